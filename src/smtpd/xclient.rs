//! XCLIENT (Postfix, XCLIENT_README): a filter before us tells who its client is.

use crate::smtp::{Reply, XCLIENT_ATTRIBUTES, Xclient};
use crate::smtpd::door::Scene;
use crate::smtpd::parting::Parting;
use crate::smtpd::state::State;
use crate::smtpd::texts;

/// As EHLO offers it, to peers that are trusted.
pub(crate) fn offer() -> String {
    format!("XCLIENT {}", XCLIENT_ATTRIBUTES.join(" "))
}

/// Whether the command may come now, and from this peer.
pub(crate) fn check(scene: &Scene, state: &State) -> Result<(), Reply> {
    if !scene.client.is_trusted {
        Err(texts::NOT_TRUSTED)
    } else if state.is_in_transaction() {
        Err(texts::TRANSACTION_BEGUN)
    } else {
        Ok(())
    }
}

/// Serves this client from now on, if it may have one more session. The caller begins anew, with the greeting.
pub(crate) fn proceed(scene: &mut Scene, xclient: Xclient) -> Result<(), Parting> {
    let before = scene.client.told_address;
    scene.client.told_address = xclient.address.over(before);
    scene.client.told_helo = xclient.helo.over(scene.client.told_helo.take());
    let Some(ip) = scene.client.told_address else {
        scene.client.stand_for_itself();
        return Ok(());
    };
    if before == Some(ip) {
        return Ok(());
    }
    if !scene.client.place.count_for(Some(ip)) {
        return Err(Parting::ClientFull);
    }
    scene.door.count_connection(ip).map_err(Parting::TooOften)
}
