//! RCPT TO (RFC 5321 §4.1.1.3, RFC 3461 §4).

use crate::mail::{Address, Recipient};
use crate::smtp::{ForwardPath, RcptTo, Reply};
use crate::smtpd::door::Scene;
use crate::smtpd::state::State;
use crate::smtpd::texts;
use crate::smtpd::transaction::Transaction;

/// Whether the command may come now; gives the address it means.
pub(crate) fn check(scene: &Scene, state: &State, to: &RcptTo) -> Result<Address, Reply> {
    let (mail, given) = match state {
        State::Connected => return Err(texts::HELLO_FIRST),
        State::Greeted(_) => return Err(texts::MAIL_FIRST),
        State::MailGiven(_, mail) => (mail, 0),
        State::RcptGiven(_, transaction) => (&transaction.mail, transaction.recipients.len()),
        State::Chunking(..) => return Err(texts::CHUNKS_BEGUN),
    };
    if given >= scene.settings().max_recipients {
        return Err(texts::TOO_MANY_RECIPIENTS);
    }
    match &to.path {
        ForwardPath::Mailbox(address) if address.needs_smtputf8() && !mail.smtputf8 => {
            Err(texts::RECIPIENT_NEEDS_SMTPUTF8)
        }
        ForwardPath::Mailbox(address) => Ok(address.clone()),
        ForwardPath::Postmaster => {
            format!("postmaster@{}", scene.settings().hostname).parse().map_err(|_| texts::NO_POSTMASTER)
        }
    }
}

/// Asks the house about the recipient. The others are served, whatever becomes of this one.
pub(crate) async fn proceed(scene: &Scene, state: State, to: RcptTo, address: Address) -> (State, Reply) {
    let sender = match &state {
        State::MailGiven(_, mail) => &mail.path,
        State::RcptGiven(_, transaction) => &transaction.mail.path,
        State::Connected | State::Greeted(_) | State::Chunking(..) => return (state, texts::MAIL_FIRST),
    };
    if let Err(error) = scene.door.reception.admit_recipient(scene.settings().origin, sender, &address).await {
        return (state, scene.explain("recipient", &error));
    }
    let recipient = Recipient { address, notify: to.notify, original: to.original };
    (with_recipient(state, recipient), texts::RECIPIENT_OK)
}

fn with_recipient(state: State, recipient: Recipient) -> State {
    match state {
        State::MailGiven(greeting, mail) => {
            State::RcptGiven(greeting, Box::new(Transaction { mail, recipients: vec![recipient] }))
        }
        State::RcptGiven(greeting, mut transaction) => {
            transaction.recipients.push(recipient);
            State::RcptGiven(greeting, transaction)
        }
        State::Connected | State::Greeted(_) | State::Chunking(..) => state,
    }
}
