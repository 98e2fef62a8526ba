//! DATA (RFC 5321 §4.1.1.4).

use crate::mail::limits;
use crate::smtp::{Reply, Unstuffer};
use crate::smtpd::door::Scene;
use crate::smtpd::intake::Intake;
use crate::smtpd::parting::Parting;
use crate::smtpd::state::State;
use crate::smtpd::texts;
use crate::smtpd::wire::Wire;

/// Whether the command may come now.
pub(crate) fn check(state: &State) -> Result<(), Reply> {
    match state {
        State::Connected => Err(texts::HELLO_FIRST),
        State::Greeted(_) => Err(texts::MAIL_FIRST),
        State::MailGiven(..) => Err(texts::NO_RECIPIENTS),
        State::RcptGiven(..) => Ok(()),
        State::Chunking(..) => Err(texts::CHUNKS_BEGUN),
    }
}

/// Takes the message up to its final dot, and has it promised. A message that is refused on its way is swallowed to
/// that dot all the same: what stands in it is never read as commands.
pub(crate) async fn proceed(scene: &Scene, wire: &mut Wire, state: State) -> Result<(State, Reply), Parting> {
    let State::RcptGiven(greeting, transaction) = state else { return Ok((state, texts::MAIL_FIRST)) };
    let mut intake = Intake::begin(scene, &greeting, *transaction).await;
    if let Some(refusal) = intake.refusal() {
        let refusal = refusal.clone();
        return Ok((State::Greeted(greeting), refusal));
    }
    wire.say(&texts::START_DATA);
    let mut unstuffer = Unstuffer::new(limits::TEXT_LINE_OCTETS);
    loop {
        let step = unstuffer.unstuff(wire.block(scene.settings().data_timeout, scene.settings().data_rate).await?);
        if let Some(fault) = unstuffer.fault() {
            intake.refuse(scene, texts::of_text(fault));
        }
        intake.take(scene, wire.waiting().get(..step.kept).unwrap_or_default()).await;
        wire.consume(step.used);
        if step.ended {
            break;
        }
        if intake.is_beyond_patience(0) {
            return Err(Parting::TooMuch);
        }
    }
    wire.shrink();
    Ok((State::Greeted(greeting), intake.finish(scene).await))
}
