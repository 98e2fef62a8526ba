//! BDAT (RFC 3030 §2).

use crate::mail::limits;
use crate::smtp::{Bdat, Reply, TextCheck};
use crate::smtpd::door::Scene;
use crate::smtpd::intake::Intake;
use crate::smtpd::parting::Parting;
use crate::smtpd::state::{Chunks, State};
use crate::smtpd::texts;
use crate::smtpd::wire::Wire;

/// Whether the command may come now.
pub(crate) fn check(state: &State) -> Result<(), Reply> {
    match state {
        State::Connected => Err(texts::HELLO_FIRST),
        State::Greeted(_) => Err(texts::MAIL_FIRST),
        State::MailGiven(..) => Err(texts::NO_RECIPIENTS),
        State::RcptGiven(..) | State::Chunking(..) => Ok(()),
    }
}

/// Swallows the chunk of a command that may not come now: its octets follow whatever we say.
pub(crate) async fn swallow(scene: &Scene, wire: &mut Wire, bdat: Bdat) -> Result<(), Parting> {
    let mut left = bdat.octets;
    if left > scene.settings().max_message_size {
        return Err(Parting::TooMuch);
    }
    while left > 0 {
        let there = fitting(wire.block(scene.settings().data_timeout, scene.settings().data_rate).await?.len(), left);
        wire.consume(there);
        left = left.saturating_sub(u64::try_from(there).unwrap_or(u64::MAX));
    }
    wire.shrink();
    Ok(())
}

/// Takes a chunk; with the last one, has the message promised.
pub(crate) async fn proceed(
    scene: &Scene,
    wire: &mut Wire,
    state: State,
    bdat: Bdat,
) -> Result<(State, Reply), Parting> {
    let (greeting, mut chunks) = match state {
        State::RcptGiven(greeting, transaction) => {
            let intake = Intake::begin(scene, &greeting, *transaction).await;
            (greeting, Box::new(Chunks { intake, check: TextCheck::new(limits::TEXT_LINE_OCTETS) }))
        }
        State::Chunking(greeting, chunks) => (greeting, chunks),
        State::Connected | State::Greeted(_) | State::MailGiven(..) => return Ok((state, texts::MAIL_FIRST)),
    };
    if chunks.intake.is_beyond_patience(bdat.octets) {
        return Err(Parting::TooMuch);
    }
    take_chunk(scene, wire, &mut chunks, bdat.octets).await?;
    wire.shrink();
    if bdat.is_last {
        return Ok((State::Greeted(greeting), finish(scene, *chunks).await));
    }
    let reply = chunks.intake.refusal().cloned().unwrap_or(texts::CHUNK_OK);
    Ok((State::Chunking(greeting, chunks), reply))
}

async fn take_chunk(scene: &Scene, wire: &mut Wire, chunks: &mut Chunks, octets: u64) -> Result<(), Parting> {
    let mut left = octets;
    while left > 0 {
        let there = fitting(wire.block(scene.settings().data_timeout, scene.settings().data_rate).await?.len(), left);
        let octets = wire.waiting().get(..there).unwrap_or_default();
        chunks.check.look(octets);
        if let Some(fault) = chunks.check.fault() {
            chunks.intake.refuse(scene, texts::of_text(fault));
        }
        chunks.intake.take(scene, octets).await;
        wire.consume(there);
        left = left.saturating_sub(u64::try_from(there).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// A last line without CRLF is given one: what we pass on ends by a dot on a line of its own.
async fn finish(scene: &Scene, chunks: Chunks) -> Reply {
    let Chunks { mut intake, mut check } = chunks;
    let wants_end = check.finish();
    if let Some(fault) = check.fault() {
        intake.refuse(scene, texts::of_text(fault));
    } else if wants_end {
        intake.take(scene, b"\r\n").await;
    }
    intake.finish(scene).await
}

fn fitting(there: usize, left: u64) -> usize {
    usize::try_from(left).map_or(there, |left| there.min(left))
}
