//! MAIL FROM (RFC 5321 §4.1.1.2, RFC 1870 §6.1, RFC 8689 §2).

use crate::mail::ReversePath;
use crate::smtp::{CommandFault, MailFrom, Reply};
use crate::smtpd::door::{Limit, Scene};
use crate::smtpd::parting::Parting;
use crate::smtpd::state::State;
use crate::smtpd::texts;

/// Whether the command may come now, and says nothing we could not keep.
pub(crate) fn check(scene: &Scene, state: &State, mail: &MailFrom) -> Result<(), Reply> {
    match state {
        State::Greeted(_) => {}
        State::Connected => return Err(texts::HELLO_FIRST),
        State::MailGiven(..) | State::RcptGiven(..) => return Err(texts::MAIL_GIVEN),
        State::Chunking(..) => return Err(texts::CHUNKS_BEGUN),
    }
    if scene.settings().require.client_certificate && !scene.has_certificate {
        return Err(texts::CERTIFICATE_WANTED);
    }
    if mail.size.is_some_and(|size| size > scene.settings().max_message_size) {
        return Err(texts::TOO_LARGE);
    }
    if mail.require_tls && !scene.offers_require_tls() {
        return Err(texts::of_command(CommandFault::ParameterUnknown));
    }
    let needs_utf8 = match &mail.path {
        ReversePath::Null => false,
        ReversePath::Mailbox(address) => address.needs_smtputf8(),
    };
    if needs_utf8 && !mail.smtputf8 {
        return Err(texts::SENDER_NEEDS_SMTPUTF8);
    }
    Ok(())
}

/// Asks the house about the sender.
pub(crate) async fn proceed(scene: &Scene, state: State, mail: MailFrom) -> Result<(State, Reply), Parting> {
    let State::Greeted(greeting) = state else { return Ok((state, texts::MAIL_GIVEN)) };
    if !scene.may_begin_message() {
        return Err(Parting::TooOften(Limit::Messages));
    }
    Ok(match scene.door.reception.admit_sender(scene.settings().origin, &mail.path).await {
        Ok(()) => (State::MailGiven(greeting, mail), texts::SENDER_OK),
        Err(error) => (State::Greeted(greeting), scene.explain("sender", &error)),
    })
}
