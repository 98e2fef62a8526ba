//! One event: what happened, to which message, when, and what only the epoch's key can tell.

use serde::{Deserialize, Serialize};

use crate::mail::QueueId;
use crate::net::Time;

/// What kind of thing happened. The words stand in `sealgate message trace` and in exports: add, never rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A message was taken and is ours to deliver or report.
    Promised,
    /// A message or recipient was refused by rule or at the door.
    Refused,
    /// A rule was lifted by a grant.
    RuleLifted,
    /// A recipient waits for a person's decision or for a channel.
    Held,
    /// Somebody let a held recipient go.
    Released,
    /// Somebody dropped a recipient; the sender was told.
    Dropped,
    /// A message that came in by S/MIME was opened, and its signatures were looked at.
    Unsealed,
    /// A message can be read in the portal.
    Deposited,
    /// A message was signed and sealed for recipients, and is on its way.
    Sealed,
    /// A notice to a recipient was queued.
    Noticed,
    /// The notice came back.
    NoticeFailed,
    /// Somebody answered the notice by mail.
    NoticeAnswered,
    /// A receipt to the sender was queued.
    Receipt,
    /// A delivery report to the sender was queued.
    Report,
    /// The next hop took the message for a recipient.
    Delivered,
    /// The next hop did not take it now.
    Deferred,
    /// It could not be delivered to a recipient.
    Failed,
    /// An automatic answer or bounce in a secure thread was reduced to its facts.
    Reduced,
    /// A recipient read the message.
    Opened,
    /// A recipient took a copy: an attachment, the PDF, the original.
    Fetched,
    /// A recipient answered.
    Answered,
    /// The time to read a message is over.
    Expired,
    /// The sender's side took a message back.
    Recalled,
    /// Somebody logged in with an e-ID.
    Login,
    /// A login or an opening was refused; the exact reason is in the detail.
    LoginRefused,
    /// Somebody logged out.
    Logout,
    /// An address was tied to a person.
    Bound,
    /// The tie was undone.
    Unbound,
    /// A key was made.
    KeyCreated,
    /// A key was used by an operator: export, rotation.
    KeyUsed,
    /// A key was destroyed, and with it all that was locked to it.
    KeyDestroyed,
    /// A certificate of somebody was brought, accepted, refused or removed.
    TrustChanged,
    /// The program began.
    Started,
    /// The program ended in order.
    Stopped,
    /// A row or body could not be read and was set aside.
    Corrupt,
}

impl EventKind {
    /// The word for this kind, as in exports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promised => "promised",
            Self::Refused => "refused",
            Self::RuleLifted => "rule-lifted",
            Self::Held => "held",
            Self::Released => "released",
            Self::Dropped => "dropped",
            Self::Unsealed => "unsealed",
            Self::Deposited => "deposited",
            Self::Sealed => "sealed",
            Self::Noticed => "noticed",
            Self::NoticeFailed => "notice-failed",
            Self::NoticeAnswered => "notice-answered",
            Self::Receipt => "receipt",
            Self::Report => "report",
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Reduced => "reduced",
            Self::Opened => "opened",
            Self::Fetched => "fetched",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Recalled => "recalled",
            Self::Login => "login",
            Self::LoginRefused => "login-refused",
            Self::Logout => "logout",
            Self::Bound => "bound",
            Self::Unbound => "unbound",
            Self::KeyCreated => "key-created",
            Self::KeyUsed => "key-used",
            Self::KeyDestroyed => "key-destroyed",
            Self::TrustChanged => "trust-changed",
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Corrupt => "corrupt",
        }
    }
}

/// An event about to be written.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The message it happened to, if any.
    pub message: Option<QueueId>,
    /// Facts without personal data: a rule's name, a reply's status, a hash.
    pub detail: String,
    /// What names a person: locked under the epoch's key, unreadable when that is destroyed.
    pub told: Told,
}

/// The personal part of an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Addresses of those concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
    /// Anything else that names a person; national numbers masked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Event {
    /// An event about nothing in particular.
    #[must_use]
    pub fn new(kind: EventKind) -> Self {
        Self { kind, message: None, detail: String::new(), told: Told::default() }
    }

    /// The same event, about this message.
    #[must_use]
    pub fn about(mut self, message: QueueId) -> Self {
        self.message = Some(message);
        self
    }

    /// The same event with facts that name nobody.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same event, concerning one more address.
    #[must_use]
    pub fn recipient(mut self, address: impl Into<String>) -> Self {
        self.told.recipients.push(address.into());
        self
    }

    /// The same event with a remark that may name a person.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.told.note = note.into();
        self
    }
}

/// An event as it stands in the chain: the clear part, and the locked one as octets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Milliseconds since 1970.
    pub time: i64,
    /// What happened.
    pub kind: EventKind,
    /// The message's id as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Facts without personal data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The epoch whose key opens the locked part.
    #[serde(default)]
    pub epoch: u32,
}

impl Record {
    pub(crate) fn at(&self) -> Time {
        Time::from_unix_ms(self.time)
    }
}

impl Told {
    pub(crate) fn is_empty(&self) -> bool {
        self.recipients.is_empty() && self.note.is_empty()
    }
}
