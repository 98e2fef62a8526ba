//! Whether a message belongs to one of ours.

use crate::flow::addresses::ServiceAddress;
use crate::flow::house::House;
use crate::flow::settings::Settings;
use crate::mail::limits;
use crate::mail::{Address, Envelope, Header, ReversePath};
use crate::queue::ReceptionError;

impl House {
    /// Mail to `noreply@` alone must answer a notice. Whoever writes there of himself is told by his own mail server: a
    /// letter of ours would go to whomever the mail says it is from.
    pub(crate) fn expect_answers_to_notices(
        &self,
        settings: &Settings,
        envelope: &Envelope,
        header: &Header,
    ) -> Result<(), ReceptionError> {
        let is_no_reply = |address: &Address| {
            matches!(ServiceAddress::of(address, &settings.hostname), Some(ServiceAddress::NoReply))
        };
        let to_us_alone = envelope.recipients.iter().all(|recipient| is_no_reply(&recipient.address));
        if !to_us_alone || envelope.sender == ReversePath::Null || self.in_thread(settings, envelope, header)? {
            return Ok(());
        }
        let text = "nobody reads this address; it takes answers to our notices alone".to_owned();
        Err(ReceptionError::Refused { status: "5.7.1", text })
    }

    /// Whether the message stands in a secure thread: by its `In-Reply-To` and `References`, or by a thread address.
    pub(crate) fn in_thread(
        &self,
        settings: &Settings,
        envelope: &Envelope,
        header: &Header,
    ) -> Result<bool, ReceptionError> {
        let to_thread = |address: &Address| {
            matches!(ServiceAddress::of(address, &settings.hostname), Some(ServiceAddress::Thread(_)))
        };
        if envelope.recipients.iter().any(|recipient| to_thread(&recipient.address)) {
            return Ok(true);
        }
        let mut ids = header.message_ids("References");
        ids.extend(header.message_ids("In-Reply-To"));
        if ids.len() >= limits::MESSAGE_IDS {
            // More than are read: whether one of the others is of a secure message, nobody knows.
            return Ok(true);
        }
        for id in ids.iter().rev() {
            match self.post_box.thread(id) {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => {}
                Err(fault) => return Err(ReceptionError::Unavailable(fault.to_string())),
            }
        }
        Ok(false)
    }
}
