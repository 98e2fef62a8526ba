//! What a client has said of itself and of one message.

use crate::mail::{Envelope, Recipient};
use crate::smtp::MailFrom;

/// What the client said in EHLO or HELO.
pub(crate) struct Greeting {
    pub(crate) helo: String,
    /// EHLO, not HELO.
    pub(crate) is_extended: bool,
}

/// A sender and recipients.
pub(crate) struct Transaction {
    pub(crate) mail: MailFrom,
    pub(crate) recipients: Vec<Recipient>,
}

impl Transaction {
    /// The envelope, and the size declared for the message.
    pub(crate) fn into_envelope(self) -> (Envelope, Option<u64>) {
        let Self { mail, recipients } = self;
        let envelope = Envelope {
            sender: mail.path,
            recipients,
            body: mail.body,
            smtputf8: mail.smtputf8,
            dsn_return: mail.dsn_return,
            envelope_id: mail.envelope_id,
            require_tls: mail.require_tls,
        };
        (envelope, mail.size)
    }
}
