//! Path building (RFC 4158): from a certificate to a trust anchor, within bounds, or the exact reason why not.

use std::collections::HashMap;

use crate::cms::certificate::Certificate;
use crate::cms::flaw::{Flaw, PathFault};
use crate::cms::name::{Name, NameKey};
use crate::cms::public_key::{SignatureFault, Weakness};
use crate::cms::validate::{Check, validate};

/// Certificates between the one that is checked and the anchor, the former included. Public authorities have three.
pub const PATH_CERTIFICATES: usize = 10;
/// Signatures of certificates that one search may check: what a stranger can make us work.
pub const PATH_SIGNATURES: usize = 100;

/// Certificates by their subjects. None of them is trusted for being here.
#[derive(Debug, Default, Clone)]
pub struct Pool {
    by_subject: HashMap<NameKey, Vec<Certificate>>,
}

/// A path that was found valid.
#[derive(Debug, Clone)]
pub struct Path {
    /// From the certificate that was checked to the anchor. One alone is its own anchor.
    pub certificates: Vec<Certificate>,
    /// The worst that was found of the signatures, where the weak were allowed.
    pub weakness: Option<Weakness>,
    /// The policies it is valid for, as content octets of their object identifiers.
    pub policies: Vec<Vec<u8>>,
}

impl Pool {
    /// Puts a certificate in, once. One whose subject is malformed is nobody's issuer and is left out.
    pub fn add(&mut self, certificate: Certificate) {
        let Some(key) = certificate.subject().key() else { return };
        let same = self.by_subject.entry(key).or_default();
        if !same.contains(&certificate) {
            same.push(certificate);
        }
    }

    /// All of this subject.
    #[must_use]
    pub fn of(&self, subject: Name<'_>) -> &[Certificate] {
        subject.key().and_then(|key| self.by_subject.get(&key)).map_or(&[], Vec::as_slice)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_subject.is_empty()
    }

    /// Whether it is here, octet by octet.
    #[must_use]
    pub fn contains(&self, certificate: &Certificate) -> bool {
        self.of(certificate.subject()).contains(certificate)
    }
}

impl FromIterator<Certificate> for Pool {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        let mut pool = Self::default();
        certificates.into_iter().for_each(|certificate| pool.add(certificate));
        pool
    }
}

/// What paths are built from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// Those we trust. Their dates, name constraints and path length bind too (RFC 5937).
    pub anchors: &'a Pool,
    /// Those we have, from messages and from anywhere.
    pub others: &'a Pool,
}

impl Sources<'_> {
    /// The first valid path from this certificate to an anchor that `accept` takes too, which asks about revocation, or
    /// takes all.
    ///
    /// # Errors
    /// What is wrong with the best path there is.
    pub fn find(
        &self,
        certificate: &Certificate,
        check: &Check,
        accept: &mut dyn FnMut(&Path) -> Result<(), PathFault>,
    ) -> Result<Path, PathFault> {
        let mut search = Search { sources: *self, check, accept, signatures_left: PATH_SIGNATURES, fault: None };
        let mut links = vec![Link { certificate: certificate.clone(), weakness: None }];
        if self.anchors.contains(certificate)
            && let Some(path) = search.end(&links)
        {
            return Ok(path);
        }
        match search.extend(&mut links) {
            Some(path) => Ok(path),
            None => Err(search.fault.unwrap_or(Flaw::IssuerIsMissing.of(0))),
        }
    }
}

/// A certificate on the way up, and how well its issuer's signature holds it.
struct Link {
    certificate: Certificate,
    weakness: Option<Weakness>,
}

struct Search<'a, 'f> {
    sources: Sources<'a>,
    check: &'a Check,
    accept: &'f mut dyn FnMut(&Path) -> Result<(), PathFault>,
    signatures_left: usize,
    fault: Option<PathFault>,
}

impl Search<'_, '_> {
    fn note(&mut self, fault: PathFault) {
        if self.fault.as_ref().is_none_or(|known| known.flaw.weight() < fault.flaw.weight()) {
            self.fault = Some(fault);
        }
    }

    /// Looks for an issuer of the last link: an anchor first, then all others, depth first.
    fn extend(&mut self, links: &mut Vec<Link>) -> Option<Path> {
        let last = links.len().checked_sub(1)?;
        let certificate = links.get(last)?.certificate.clone();
        let anchors = issuers(self.sources.anchors, &certificate);
        let others = issuers(self.sources.others, &certificate);
        if anchors.is_empty() && others.is_empty() {
            self.note(Flaw::IssuerIsMissing.of(last));
        }
        for (issuer, is_anchor) in
            anchors.into_iter().map(|issuer| (issuer, true)).chain(others.into_iter().map(|issuer| (issuer, false)))
        {
            if links.iter().any(|link| is_same_authority(&link.certificate, issuer)) {
                if issuer == &certificate {
                    self.note(Flaw::IsNotTrusted.of(last));
                }
                continue;
            }
            if links.len() >= PATH_CERTIFICATES && !is_anchor {
                self.note(Flaw::SearchIsTooLong.of(last));
                continue;
            }
            let Some(left) = self.signatures_left.checked_sub(1) else {
                self.note(Flaw::SearchIsTooLong.of(last));
                return None;
            };
            self.signatures_left = left;
            let signed = issuer.public_key().map_err(|_| SignatureFault::Unsupported);
            match signed.and_then(|key| certificate.verify_by(&key, self.check.strictness)) {
                Ok(weakness) => links.get_mut(last)?.weakness = weakness,
                Err(fault) => {
                    self.note(Flaw::Signature(fault).of(last));
                    continue;
                }
            }
            links.push(Link { certificate: issuer.clone(), weakness: None });
            let found = if is_anchor { self.end(links) } else { self.extend(links) };
            if found.is_some() {
                return found;
            }
            links.pop();
        }
        None
    }

    /// The links reach an anchor, which is the last.
    fn end(&mut self, links: &[Link]) -> Option<Path> {
        let certificates: Vec<Certificate> = links.iter().map(|link| link.certificate.clone()).collect();
        let found = validate(&certificates, self.check).and_then(|policies| {
            let weakness = links.iter().find_map(|link| link.weakness);
            let path = Path { certificates: certificates.clone(), weakness, policies };
            (self.accept)(&path).map(|()| path)
        });
        found.map_err(|fault| self.note(fault)).ok()
    }
}

/// Certificates of the issuer's name, those first whose key is the one that is named.
fn issuers<'a>(pool: &'a Pool, certificate: &Certificate) -> Vec<&'a Certificate> {
    let named = certificate.authority_key_id().ok().flatten().and_then(|id| id.key_id);
    let mut issuers: Vec<&Certificate> = pool.of(certificate.issuer()).iter().collect();
    issuers.sort_by_key(|issuer| named.is_none() || issuer.subject_key_id().ok().flatten() != named);
    issuers
}

/// One name and one key: to meet it again on a path is a circle, whoever signed it (RFC 4158 §2.4.2).
fn is_same_authority(one: &Certificate, other: &Certificate) -> bool {
    one == other
        || (one.subject().matches(other.subject())
            && one.public_key().is_ok_and(|key| other.public_key().is_ok_and(|theirs| key == theirs)))
}
