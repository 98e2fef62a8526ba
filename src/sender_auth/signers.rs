//! All keys we sign with, and which of them sign a message: those of its author's domain, if that is ours.

use std::sync::{Arc, PoisonError, RwLock};

use crate::mail::{Domain, Header};
use crate::sender_auth::dmarc::domains_in_from;
use crate::sender_auth::signer::Signer;
use crate::sender_auth::signing_key::Algorithm;

/// Signatures on one message.
const SIGNATURES: usize = 8;

/// The keys in use at one time.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    /// Domains whose authors we sign for.
    pub ours: Vec<Domain>,
    /// The keys.
    pub signers: Vec<Signer>,
}

/// The keys in use. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Signers(Arc<RwLock<Arc<Ring>>>);

impl Signers {
    /// The keys in use now.
    #[must_use]
    pub fn now(&self) -> Arc<Ring> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other keys into use.
    pub fn swap(&self, ring: Ring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }
}

impl Ring {
    /// Who signs a message with this header: all keys of the domain in `From`, or of the nearest domain above it that has
    /// any, so that DMARC finds the two aligned (RFC 9989 §4.4). Nobody, if the author's domain is not ours, or one of several
    /// authors cannot be read: a signature would vouch for whomever some program shows.
    #[must_use]
    pub fn of(&self, header: &Header) -> Vec<&Signer> {
        let mut found: Vec<&Signer> = Vec::new();
        for domain in domains_in_from(header).unwrap_or_default() {
            if !self.ours.contains(&domain) {
                continue;
            }
            for signer in self.above(domain.as_str()) {
                let is_new = |it: &&Signer| it.domain != signer.domain || it.selector != signer.selector;
                if found.len() < SIGNATURES && found.iter().all(is_new) {
                    found.push(signer);
                }
            }
        }
        found
    }

    /// Whether some program may show a message with this header as from an author of ours: one of them is, or cannot be read.
    #[must_use]
    pub fn may_show_ours(&self, header: &Header) -> bool {
        domains_in_from(header).map_or(true, |domains| domains.iter().any(|domain| self.ours.contains(domain)))
    }

    /// Who seals a message that we hand on to these domains of ours: the first of them that has keys, else the first domain of
    /// ours that has. A set has one signature, so it is by RSA where there is a choice: every verifier knows that.
    #[must_use]
    pub fn sealer<'r>(&'r self, handed_on_to: impl Iterator<Item = &'r Domain>) -> Option<&'r Signer> {
        let ours = handed_on_to.filter(|domain| self.ours.contains(domain)).chain(&self.ours);
        let signers = ours.map(|domain| self.above(domain.as_str())).find(|signers| !signers.is_empty())?;
        let is_rsa = |signer: &&&Signer| signer.key.algorithm() == Algorithm::Rsa;
        signers.iter().find(is_rsa).or(signers.first()).copied()
    }

    /// The domains of ours whose authors nobody signs for.
    #[must_use]
    pub fn unsigned(&self) -> Vec<&Domain> {
        self.ours.iter().filter(|domain| self.above(domain.as_str()).is_empty()).collect()
    }

    fn above<'r>(&'r self, domain: &str) -> Vec<&'r Signer> {
        let mut name = domain;
        loop {
            let here: Vec<&Signer> = self.signers.iter().filter(|signer| signer.domain.as_str() == name).collect();
            match name.split_once('.') {
                Some((_, parent)) if here.is_empty() => name = parent,
                _ => return here,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sender_auth::signers::*;
    use crate::sender_auth::signing_key::{Algorithm, SigningKey};

    #[test]
    fn only_our_own_authors_are_signed_for_by_the_nearest_keys() {
        let key = Arc::new(SigningKey::generate(Algorithm::Ed25519).unwrap());
        let signer = |domain: &str, selector: &str| Signer {
            domain: domain.parse().unwrap(),
            selector: selector.to_owned(),
            key: Arc::clone(&key),
        };
        let ours = ["sundby.example", "gw.sundby.example", "skola.sundby.example", "norrby.example"];
        let ring = Ring {
            ours: ours.iter().map(|name| name.parse().unwrap()).collect(),
            signers: vec![
                signer("sundby.example", "a"),
                signer("sundby.example", "b"),
                signer("skola.sundby.example", "c"),
            ],
        };
        for (from, signers) in [
            ("Anna <anna@sundby.example>", "a b"),
            ("ANNA@SUNDBY.EXAMPLE", "a b"),
            ("noreply@gw.sundby.example", "a b"),
            ("x@skola.sundby.example", "c"),
            ("x@skola.sundby.example, anna@sundby.example", "c a b"),
            ("x@other.sundby.example", ""),
            ("x@norrby.example", ""),
            ("eva@live.example", ""),
            ("\"anna@sundby.example\" <eva@live.example>", ""),
            ("eva@notsundby.example", ""),
            ("", ""),
            ("Anna <anna..b.@sundby.example>", "a b"),
            ("anna@sundby.example, eva@live.example", "a b"),
            ("anna@sundby.example, <eva@live..example>", ""),
            ("anna@sundby.example (, eva@live.example", ""),
            ("anna@sundby.example\r\nFrom: eva@live.example", ""),
        ] {
            let header = Header::new(format!("From: {from}\r\n").into_bytes());
            let found: Vec<&str> = ring.of(&header).iter().map(|signer| signer.selector.as_str()).collect();
            assert_eq!(found.join(" "), signers, "{from}");
        }
        assert_eq!(ring.unsigned(), [&ring.ours[3]]);
        for (to, sealer) in [("skola.sundby.example", "c"), ("norrby.example", "a"), ("live.example", "a"), ("", "a")] {
            let to: Option<Domain> = to.parse().ok();
            assert_eq!(ring.sealer(to.iter()).unwrap().selector, sealer, "{to:?}");
        }
        assert!(Ring { signers: Vec::new(), ..ring.clone() }.sealer(ring.ours.iter()).is_none());
        assert!(ring.of(&Header::new(&b"Subject: x\r\n"[..])).is_empty());
    }
}
