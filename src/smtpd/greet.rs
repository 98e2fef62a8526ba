//! The greeting, and EHLO and HELO (RFC 5321 §3.1, §4.1.1.1).

use crate::smtp::Reply;
use crate::smtpd::door::Scene;
use crate::smtpd::state::State;
use crate::smtpd::transaction::Greeting;
use crate::smtpd::xclient;

/// `220`: who we are.
pub(crate) fn greeting(scene: &Scene) -> Reply {
    Reply::listing(220, &format!("{} ESMTP sealgate", scene.settings().hostname), Vec::new())
}

/// EHLO and HELO may come at any time, and end what was begun (RFC 5321 §4.1.4).
pub(crate) fn proceed(scene: &Scene, helo: String, is_extended: bool) -> (State, Reply) {
    let more = if is_extended { extensions(scene) } else { Vec::new() };
    let reply = Reply::listing(250, scene.settings().hostname.as_str(), more);
    (State::Greeted(Greeting { helo, is_extended }), reply)
}

/// What we offer. AUTH (RFC 4954) is not among it: nobody may count on it yet.
fn extensions(scene: &Scene) -> Vec<String> {
    let settings = scene.settings();
    let mut offered: Vec<String> =
        ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN"].map(str::to_owned).into();
    if scene.offers_require_tls() {
        offered.push("REQUIRETLS".to_owned());
    }
    offered.push(format!("SIZE {}", settings.max_message_size));
    offered.push(format!("LIMITS RCPTMAX={}", settings.max_recipients));
    if scene.door.tls.is_some() && scene.tls.is_none() {
        offered.push("STARTTLS".to_owned());
    }
    if scene.client.is_trusted {
        offered.push(xclient::offer());
    }
    offered
}
