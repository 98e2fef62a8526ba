//! One item as the operator sees it.

use serde::Serialize;

use crate::mail::QueueId;
use crate::net::Time;
use crate::queue::item::{Consignment, Ended, Item, RecipientState};
use crate::queue::reception::Origin;
use crate::queue::table::{ConsignmentRow, ItemRow, Stage};

/// One item as listings show it: the field names are those of the interface page.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// The item's id.
    pub id: QueueId,
    /// Where it stands.
    pub stage: Stage,
    /// `in` for what came through the inbound door; `out` for what our mail server or sealgate itself sent; `null` where
    /// the row cannot be read.
    pub direction: Option<&'static str>,
    /// Envelope sender; empty for the null path.
    pub sender: String,
    /// RFC 3339.
    pub created: String,
    /// RFC 3339.
    pub expires: String,
    /// Octets.
    pub size: u64,
    /// How far each recipient has come.
    pub recipients: Vec<ListedRecipient>,
}

/// One recipient as listings show it.
#[derive(Debug, Clone, Serialize)]
pub struct ListedRecipient {
    /// Where to.
    pub address: String,
    /// `waiting`, `deferred`, `delivered`, `failed` or `held`.
    pub state: &'static str,
    /// Attempts so far.
    pub attempts: u32,
    /// RFC 3339.
    pub next_attempt: Option<String>,
    /// What the next hop said last, or why it is held.
    pub last_reply: Option<String>,
}

impl Listed {
    /// One of which not even what stands in the clear can be read: its id tells when it was taken.
    pub(crate) fn undecodable(id: QueueId) -> Self {
        let created = Time::from_unix_ms(i64::try_from(id.unix_ms()).unwrap_or(0)).rfc3339();
        Self {
            id,
            stage: Stage::Corrupt,
            direction: None,
            sender: String::new(),
            expires: created.clone(),
            created,
            size: 0,
            recipients: Vec::new(),
        }
    }

    /// One of which what is locked cannot be read.
    pub(crate) fn locked(id: QueueId, clear: &ItemRow) -> Self {
        Self { stage: Stage::Corrupt, ..Self::in_the_clear(id, clear) }
    }

    /// One that can be read.
    pub(crate) fn of(
        id: QueueId,
        clear: &ItemRow,
        item: &Item,
        consignments: &[(ConsignmentRow, Consignment)],
    ) -> Self {
        let mut listed = Self::in_the_clear(id, clear);
        listed.direction = Some(match item.origin {
            Origin::Outbound => "out",
            Origin::Inbound => "in",
        });
        listed.sender = item.envelope.sender.mailbox().map(ToString::to_string).unwrap_or_default();
        for (state, recipient) in item.states.iter().zip(&item.envelope.recipients) {
            let (state, reply) = match state {
                RecipientState::Waiting if clear.stage == Stage::Held => ("held", None),
                RecipientState::Waiting => ("waiting", None),
                RecipientState::Delayed { reason } if clear.stage == Stage::Held => ("held", Some(reason.clone())),
                RecipientState::Delayed { reason } => ("deferred", Some(reason.clone())),
                RecipientState::Held { reason } => ("held", Some(reason.clone())),
                RecipientState::Deposited => ("delivered", None),
                RecipientState::Refused => ("failed", None),
                RecipientState::Consigned(_) => continue,
            };
            let next = clear
                .due
                .filter(|_| matches!(state, "waiting" | "deferred"))
                .map(|due| Time::from_unix_ms(due).rfc3339());
            listed.recipients.push(ListedRecipient {
                address: recipient.address.to_string(),
                state,
                attempts: clear.attempts,
                next_attempt: next,
                last_reply: reply,
            });
        }
        listed.recipients.extend(consignments.iter().flat_map(|(row, it)| consigned(row, it, clear.stage)));
        listed
    }

    fn in_the_clear(id: QueueId, clear: &ItemRow) -> Self {
        Self {
            id,
            stage: clear.stage,
            direction: None,
            sender: String::new(),
            created: Time::from_unix_ms(clear.created).rfc3339(),
            expires: Time::from_unix_ms(clear.expires).rfc3339(),
            size: clear.size,
            recipients: Vec::new(),
        }
    }
}

fn consigned(row: &ConsignmentRow, consignment: &Consignment, stage: Stage) -> Vec<ListedRecipient> {
    let recipients = consignment.outgoing.envelope().recipients.iter().zip(&consignment.progress);
    recipients
        .map(|(recipient, progress)| ListedRecipient {
            address: recipient.address.to_string(),
            state: match progress.ended {
                Some(Ended::Delivered) => "delivered",
                Some(Ended::Failed) => "failed",
                None if stage == Stage::Held => "held",
                None if row.attempts > 0 => "deferred",
                None => "waiting",
            },
            attempts: row.attempts,
            next_attempt: row.due.filter(|_| progress.ended.is_none()).map(|due| Time::from_unix_ms(due).rfc3339()),
            last_reply: progress.last_reply.clone(),
        })
        .collect()
}
