//! STARTTLS (RFC 3207).

use crate::net::ServerTls;
use crate::smtp::Reply;
use crate::smtpd::door::Scene;
use crate::smtpd::parting::Parting;
use crate::smtpd::texts;
use crate::smtpd::wire::Wire;

/// Whether a handshake may begin; gives the certificate to begin it with.
pub(crate) fn check(scene: &Scene) -> Result<ServerTls, Reply> {
    match &scene.door.tls {
        Some(_) if scene.tls.is_some() => Err(texts::TLS_ALREADY),
        Some(tls) => Ok(tls.clone()),
        None => Err(texts::NOT_SERVED),
    }
}

/// Says that the handshake may begin. All that was said before is forgotten then (RFC 3207 §4.2): the caller goes on
/// with a new scene.
///
/// Octets that came behind the command came in the clear. Whoever put them there would have them taken as if they
/// had come through TLS, so the session ends.
pub(crate) async fn proceed(wire: &mut Wire) -> Result<(), Parting> {
    if !wire.waiting().is_empty() {
        return Err(Parting::BehindStartTls);
    }
    wire.say(&texts::START_TLS);
    wire.flush().await
}
