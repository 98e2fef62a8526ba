//! The seal on what is handed on (RFC 8617): what we found out about a message stays believable behind us, though mail
//! servers change it and pass it on.
//!
//! It is made at the door, where the body was hashed to check its signatures, and not at delivery as DKIM is: nothing is read
//! again, and nothing of the checks has to be kept. What leaves is what was sealed, for the only change delivery makes is
//! to write eight bits in seven.

use crate::flow::stamp::Stamped;
use crate::mail::{Envelope, Header};
use crate::net::Time;
use crate::sender_auth::{BodyDigest, Chain, Ring};

/// What a seal says of a message.
pub struct Seal {
    /// What came of our checks: the value of `Authentication-Results`.
    pub results: String,
    /// The chain it came with, which is whole.
    pub chain: Chain,
    /// The hash of its body.
    pub body: BodyDigest,
}

impl Seal {
    /// Puts our set of ARC fields on top of a message that is handed on to our domains, over its header as it goes on. No
    /// keys, no seal; nor where the chain has as many sets as it may. The message goes on without.
    pub fn put_on(&self, stamped: &mut Stamped, header: &Header, envelope: &Envelope, ring: &Ring, now: Time) {
        let domains = envelope.recipients.iter().map(|recipient| recipient.address.domain());
        let Some(signer) = ring.sealer(domains) else { return };
        match signer.arc(&stamped.header(header), self.body, &self.results, self.chain, now) {
            Ok(set) => stamped.head = [set, std::mem::take(&mut stamped.head)].concat(),
            Err(fault) => tracing::info!(%fault, "a message goes on without a seal of ours"),
        }
    }
}
