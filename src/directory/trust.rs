//! Whom we believe: whether a certificate can be used for mail, now, by paths to our roots and by what is known about
//! revocation.

use std::time::Duration;

use crate::cms::{
    CertStatus, Certificate, Check, Crl, Evidence, Flaw, Path, PathFault, PolicyDemand, Pool, Purpose, Seconds,
    Sources, Strictness,
};
use crate::directory::evidence::{Evidences, Told, places_of};

/// What is done with a certificate that names places where its revocation is told, when none of them tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenUnknown {
    /// It is not used.
    #[default]
    Refuse,
    /// It is used.
    Use,
}

/// What is done with certificates that come with signed mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Somebody must accept them first.
    #[default]
    Ask,
    /// They are used if a path leads to a root, and the address had no other before.
    Trusted,
}

/// Whom we believe, and how far.
#[derive(Debug, Clone, Default)]
pub struct TrustSettings {
    /// The anchors.
    pub roots: Pool,
    /// Revocation lists from files.
    pub lists: Vec<Crl>,
    /// Where further revocation lists are, `http:`.
    pub list_urls: Vec<String>,
    /// How long lists and answers are believed after the next is due.
    pub grace: Duration,
    /// When revocation is not known.
    pub unknown: WhenUnknown,
    /// Who comes with signed mail.
    pub strangers: Strangers,
}

/// A certificate that can be used.
#[derive(Debug, Clone)]
pub struct Trusted {
    /// From it to the anchor.
    pub path: Vec<Certificate>,
    /// When the first certificate of the path expires.
    pub until: Seconds,
    /// Whether it is known of every certificate of the path that it is not revoked.
    pub is_checked: bool,
}

/// What judging needs besides the certificate.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub settings: &'a TrustSettings,
    pub evidences: &'a Evidences,
    /// Certificates of authorities that are at hand.
    pub issuers: &'a Pool,
    pub purpose: Purpose,
    pub at: Seconds,
}

/// What judging found, and where more could have been learnt.
pub(crate) struct Judged {
    pub outcome: Result<Trusted, PathFault>,
    pub wanted: Vec<Told>,
}

impl Question<'_> {
    fn check(&self) -> Check {
        Check { at: self.at, purpose: self.purpose, strictness: Strictness::Strict, policies: PolicyDemand::default() }
    }

    /// A certificate that is trusted for being named: its dates and its use alone are looked at.
    pub fn judge_pinned(&self, certificate: &Certificate) -> Judged {
        let anchors: Pool = [certificate.clone()].into_iter().collect();
        let others = Pool::default();
        let found = Sources { anchors: &anchors, others: &others }.find(certificate, &self.check(), &mut |_| Ok(()));
        Judged { outcome: found.map(|path| trusted(&path, false)), wanted: Vec::new() }
    }

    /// A certificate that a path must lead up from.
    pub fn judge(&self, certificate: &Certificate) -> Judged {
        let sources = Sources { anchors: &self.settings.roots, others: self.issuers };
        let mut wanted = Vec::new();
        let mut is_checked = false;
        let mut accept = |path: &Path| {
            is_checked = self.check_revocation(path, sources, &mut wanted)?;
            Ok(())
        };
        let found = sources.find(certificate, &self.check(), &mut accept);
        let outcome = found.map(|path| trusted(&path, is_checked));
        Judged { outcome, wanted }
    }

    /// Whether all of the path is known not to be revoked. Where more could be learnt is added to `wanted`.
    fn check_revocation(&self, path: &Path, sources: Sources<'_>, wanted: &mut Vec<Told>) -> Result<bool, PathFault> {
        let found = self.evidences.about(path, &self.settings.list_urls);
        let lists: Vec<Crl> = self.settings.lists.iter().cloned().chain(found.lists).collect();
        let evidence = Evidence {
            lists: &lists,
            answers: &found.answers,
            sources,
            at: self.at,
            grace: Seconds::try_from(self.settings.grace.as_secs()).unwrap_or(Seconds::MAX),
            strictness: Strictness::Strict,
        };
        let (mut is_checked, mut unknown) = (true, None);
        let pairs = path.certificates.iter().zip(path.certificates.iter().skip(1)).enumerate();
        for (place, (certificate, issuer)) in pairs {
            match evidence.status(path, place) {
                CertStatus::Good(_) => {}
                CertStatus::Revoked(at, reason) => return Err(Flaw::IsRevoked(at, reason).of(place)),
                CertStatus::Unknown => {
                    is_checked = false;
                    let places = places_of(certificate, issuer);
                    // Who says nowhere whether it is revoked is believed until it expires: small authorities do so.
                    if !places.is_empty() {
                        unknown = Some(place);
                    }
                    wanted.extend(places);
                }
            }
        }
        match unknown {
            Some(place) if self.settings.unknown == WhenUnknown::Refuse => Err(Flaw::RevocationIsUnknown.of(place)),
            _ => Ok(is_checked),
        }
    }
}

fn trusted(path: &Path, is_checked: bool) -> Trusted {
    let ends = path.certificates.iter().filter_map(|certificate| certificate.validity().ok());
    let until = ends.map(|(_, until)| until).min().unwrap_or(Seconds::MIN);
    Trusted { path: path.certificates.clone(), until, is_checked }
}
