//! What one connection needs of TLS, once it is known who answered.

use std::net::IpAddr;

use crate::delivery::config::Protocol;
use crate::delivery::route::TlsPolicy;
use crate::net::Proof;

/// What to do about TLS on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// None, even if offered: both ends are on this machine.
    Nothing,
    /// Whatever is offered; in the clear where nothing is, or where the handshake fails.
    IfOffered,
    /// TLS with this proof, or the connection is of no use.
    Required(Proof),
}

/// The demand on a connection to this address. Loopback is what the socket says, not what a name says.
#[must_use]
pub fn demand(policy: &TlsPolicy, protocol: Protocol, peer: IpAddr) -> Demand {
    let is_local = peer.to_canonical().is_loopback();
    match (policy, protocol) {
        (TlsPolicy::Dane(dane), _) => Demand::Required(Proof::Dane(dane.clone())),
        (TlsPolicy::Named(named), _) => Demand::Required(Proof::Named(named.clone())),
        (TlsPolicy::Verified, _) => Demand::Required(Proof::Verified),
        (TlsPolicy::Encrypted, _) => Demand::Required(Proof::Any),
        (TlsPolicy::VerifiedOffLoopback, _) if !is_local => Demand::Required(Proof::Verified),
        (TlsPolicy::VerifiedOffLoopback | TlsPolicy::Opportunistic, Protocol::Smtps) => Demand::Required(Proof::Any),
        (TlsPolicy::VerifiedOffLoopback, Protocol::Smtp | Protocol::Lmtp) => Demand::Nothing,
        (TlsPolicy::Opportunistic, Protocol::Smtp | Protocol::Lmtp) => Demand::IfOffered,
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::smtp::tls_policy::*;

    #[test]
    fn off_loopback_a_peer_that_must_prove_itself_proves_itself() {
        let demand = |policy, protocol, peer: &str| demand(&policy, protocol, peer.parse().unwrap());
        for protocol in [Protocol::Smtp, Protocol::Smtps, Protocol::Lmtp] {
            for peer in ["192.0.2.1", "2001:db8::1", "10.0.0.1"] {
                assert_eq!(demand(TlsPolicy::VerifiedOffLoopback, protocol, peer), Demand::Required(Proof::Verified));
            }
        }
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(demand(TlsPolicy::VerifiedOffLoopback, Protocol::Smtp, peer), Demand::Nothing);
            assert_eq!(demand(TlsPolicy::VerifiedOffLoopback, Protocol::Smtps, peer), Demand::Required(Proof::Any));
        }
        assert_eq!(demand(TlsPolicy::Opportunistic, Protocol::Smtp, "192.0.2.1"), Demand::IfOffered);
        assert_eq!(demand(TlsPolicy::Opportunistic, Protocol::Smtps, "192.0.2.1"), Demand::Required(Proof::Any));
    }
}
