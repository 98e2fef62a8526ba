//! What becomes of a message's header when it is taken: as it goes on, and as the portal shows it.

use crate::flow::checked::Checked;
use crate::flow::house::House;
use crate::flow::passes::Passes;
use crate::flow::settings::Settings;
use crate::flow::stamp::{OURS, Stamped, stamp};
use crate::mail::{Envelope, Hop, QueueId, is_automatic, received, without};
use crate::net::Time;
use crate::policy::{DIRECTIVE_FIELDS, Facts, Place, Verdict};
use crate::queue::{Origin, Peer, Summary};

/// Ids of a thread that are kept, the newest ones: what a receipt and an answer to a notice need.
const REFERENCES: usize = 200;

/// A message that was judged, and is to be promised under this id.
pub(crate) struct Judged<'m> {
    pub(crate) settings: &'m Settings,
    pub(crate) origin: Origin,
    pub(crate) peer: &'m Peer,
    pub(crate) envelope: &'m Envelope,
    pub(crate) facts: &'m Facts,
    /// Octets of its header, with the blank line.
    pub(crate) header_length: u64,
    pub(crate) verdict: &'m Verdict,
    pub(crate) id: QueueId,
    pub(crate) now: Time,
}

impl Judged<'_> {
    /// As it goes on: results of checks, count of passes and trace on top, and a seal over all of it where there is one.
    pub(crate) fn going_on(&self, house: &House, checked: &Checked, passes: &Passes) -> Stamped {
        let (hostname, header) = (&self.settings.hostname, &self.facts.header);
        // What a message begins with may go on the field before it (RFC 5322 §2.2.3): that is one nobody counts on.
        // A mark only takes away, so it stays whoever put it there, but not on a stranger's own mail: it would hold against whoever
        // of ours makes that his, such as a list.
        let may_stay = self.origin != Origin::Inbound || house.signers.now().may_show_ours(header);
        let is_marked = passes.is_marked() && may_stay || checked.author_is_unproven;
        let counted = passes.next_field(house.vault.index(), hostname, is_marked);
        let traced = format!("{}{counted}{}", checked.field, self.received());
        let results_of = (self.origin == Origin::Inbound).then_some(hostname);
        let marks = match self.origin {
            Origin::Inbound => self.settings.subject_marks.as_slice(),
            Origin::Outbound => &[],
        };
        let mut removals = self.verdict.removals().clone();
        removals.subject_tags.extend_from_slice(marks);
        let mut on = stamp(&traced, header, self.header_length, &removals, &self.taken_off(), results_of);
        if let Some(seal) = &checked.seal {
            seal.put_on(&mut on, header, self.envelope, &house.signers.now(), self.now);
        }
        on
    }

    /// As the recipient reads it.
    pub(crate) fn in_portal(&self) -> Stamped {
        let by_number = self.verdict.recipients().iter().any(|recipient| recipient.place == Place::Number);
        let mut hidden = self.taken_off();
        hidden.extend(["Bcc", "Resent-Bcc", "Disposition-Notification-To"]);
        if by_number {
            // Who else has this address has the number.
            hidden.extend(["To", "Cc", "Resent-To", "Resent-Cc"]);
        }
        stamp("", &self.facts.header, self.header_length, self.verdict.removals(), &hidden, None)
    }

    /// What is kept of it for letters about it.
    pub(crate) fn summary(&self) -> Summary {
        let header = &self.facts.header;
        let mut references = header.message_ids("References");
        references.extend(header.message_ids("In-Reply-To"));
        references.dedup();
        references.drain(..references.len().saturating_sub(REFERENCES));
        Summary {
            about_subject: String::new(),
            subject: without(&self.facts.subject.text, &self.verdict.removals().subject_tags),
            message_id: header.message_ids("Message-ID").into_iter().next(),
            references,
            author: header.addresses("From").into_iter().find_map(|(name, _)| name),
            author_address: header.addresses("From").into_iter().next().map(|(_, address)| address),
            has_reply_to: header.first("Reply-To").is_some(),
            automatic: is_automatic(header),
        }
    }

    /// Fields that nobody behind us is to see or believe.
    fn taken_off(&self) -> Vec<&str> {
        let secret = self.settings.secret_header.as_deref();
        // Directives are for our own senders: copied into a forwarded mail, they would be honoured.
        let directives = DIRECTIVE_FIELDS.iter().copied().filter(|_| self.origin == Origin::Inbound);
        OURS.iter().copied().chain(secret).chain(directives).collect()
    }

    /// The trace field (RFC 5321 §4.4).
    fn received(&self) -> String {
        let only = match self.envelope.recipients.as_slice() {
            [one] => Some(one.address.to_string()),
            _ => None,
        };
        received(&Hop {
            helo: &self.peer.helo,
            ip: self.peer.ip,
            by: self.settings.hostname.as_str(),
            protocol: self.peer.protocol,
            tls: self.peer.tls.as_deref(),
            id: &self.id.to_string(),
            only_recipient: only.as_deref(),
            unix_ms: self.now.unix_ms(),
        })
    }
}
