//! Whether the certificates of a path are revoked, by lists (RFC 5280 §6.3) and answers (RFC 6960) that are handed in.

use std::cell::Cell;

use crate::cms::certificate::Certificate;
use crate::cms::crl::{Crl, Entry};
use crate::cms::element::Seconds;
use crate::cms::error::CmsError;
use crate::cms::extension::{DistributionPoint, GeneralName};
use crate::cms::flaw::{Flaw, PathFault};
use crate::cms::ocsp::{CertStatus, OcspCheck, ocsp_status};
use crate::cms::oid;
use crate::cms::path::{Path, Sources};
use crate::cms::policy::PolicyDemand;
use crate::cms::public_key::Strictness;
use crate::cms::validate::{Check, Purpose};

/// All reasons of RFC 5280 §4.2.1.13: bits 1 to 8.
const ALL_REASONS: u16 = 0x1fe;
/// The reason code that takes an entry back, in a delta.
const REMOVE_FROM_LIST: u8 = 8;
/// Who signs a list may be another than the issuer, whose certificate may be told of by a list, and so on.
const SIGNERS_OF_SIGNERS: usize = 3;
/// Signatures of lists that one path may cost, those on the way to the lists' signers included.
const LIST_SIGNATURES: usize = 200;

/// What is at hand about revocation.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Revocation lists, complete and delta, of whomever.
    pub lists: &'a [Crl],
    /// OCSP answers in DER.
    pub answers: &'a [Vec<u8>],
    /// Where certificates of those who sign lists are looked for.
    pub sources: Sources<'a>,
    /// When it must be in force.
    pub at: Seconds,
    /// For how many seconds it may be believed after the next is due: what an outage of the authority may last.
    pub grace: Seconds,
    /// Whether weak signatures count.
    pub strictness: Strictness,
}

impl Evidence<'_> {
    /// Whether all certificates of the path but the anchor are known not to be revoked.
    ///
    /// # Errors
    /// [`Flaw::IsRevoked`], or [`Flaw::RevocationIsUnknown`], of the certificate nearest to the anchor.
    pub fn check(&self, path: &Path) -> Result<(), PathFault> {
        self.check_within(path, 0, &Cell::new(LIST_SIGNATURES))
    }

    fn check_within(&self, path: &Path, depth: usize, signatures_left: &Cell<usize>) -> Result<(), PathFault> {
        let issuers = path.certificates.iter().skip(1);
        for (place, (certificate, issuer)) in path.certificates.iter().zip(issuers).enumerate().rev() {
            let question = Question { evidence: self, path, certificate, issuer, depth, signatures_left };
            match question.status() {
                CertStatus::Good(_) => {}
                CertStatus::Revoked(at, reason) => return Err(Flaw::IsRevoked(at, reason).of(place)),
                CertStatus::Unknown => return Err(Flaw::RevocationIsUnknown.of(place)),
            }
        }
        Ok(())
    }

    /// What is known of one certificate of the path, counted from the one that was checked.
    #[must_use]
    pub fn status(&self, path: &Path, place: usize) -> CertStatus {
        let issuer = place.checked_add(1).and_then(|above| path.certificates.get(above));
        match (path.certificates.get(place), issuer) {
            (Some(certificate), Some(issuer)) => {
                let signatures_left = &Cell::new(LIST_SIGNATURES);
                Question { evidence: self, path, certificate, issuer, depth: 0, signatures_left }.status()
            }
            _ => CertStatus::Unknown,
        }
    }
}

/// Is this certificate, which stands on this path, revoked?
struct Question<'a> {
    evidence: &'a Evidence<'a>,
    path: &'a Path,
    certificate: &'a Certificate,
    issuer: &'a Certificate,
    depth: usize,
    signatures_left: &'a Cell<usize>,
}

/// What the lists have told so far.
struct Told {
    reasons: u16,
    revoked: Option<Entry>,
    until: Seconds,
}

impl Question<'_> {
    /// An answer to our question is newer than any list; who is revoked by either, is.
    fn status(&self) -> CertStatus {
        let check = OcspCheck {
            at: self.evidence.at,
            grace: self.evidence.grace,
            nonce: None,
            strictness: self.evidence.strictness,
        };
        let mut good = None;
        for answer in self.evidence.answers {
            match ocsp_status(answer, self.certificate, self.issuer, &check) {
                Ok(revoked @ CertStatus::Revoked(..)) => return revoked,
                Ok(CertStatus::Good(until)) => good = good.max(Some(until)),
                Ok(CertStatus::Unknown) | Err(_) => {}
            }
        }
        match self.by_lists() {
            CertStatus::Unknown => good.map_or(CertStatus::Unknown, CertStatus::Good),
            told => told,
        }
    }

    fn by_lists(&self) -> CertStatus {
        let mut told = Told { reasons: 0, revoked: None, until: Seconds::MAX };
        let Ok(mut points) = self.certificate.distribution_points() else { return CertStatus::Unknown };
        // The issuer's own list, wherever it is found (RFC 5280 §6.3.3, last paragraph).
        points.push(DistributionPoint {
            names: vec![GeneralName::Directory(self.certificate.issuer())],
            ..DistributionPoint::default()
        });
        for point in &points {
            for list in self.evidence.lists {
                if told.reasons == ALL_REASONS || told.revoked.is_some() {
                    break;
                }
                // A list that cannot be used tells nothing; others may.
                let _ = self.by_list(list, point, &mut told);
            }
        }
        match told.revoked {
            Some(entry) => CertStatus::Revoked(entry.at, entry.reason),
            None if told.reasons == ALL_REASONS => CertStatus::Good(told.until),
            None => CertStatus::Unknown,
        }
    }

    /// RFC 5280 §6.3.3 (a) to (l) for one complete list.
    fn by_list(&self, list: &Crl, point: &DistributionPoint<'_>, told: &mut Told) -> Result<(), CmsError> {
        if !list.is_fresh(self.evidence.at, self.evidence.grace) || list.is_delta()? || !list.is_understood()? {
            return Ok(());
        }
        let Some(reasons) = self.reasons_of(list, point)? else { return Ok(()) };
        if reasons & !told.reasons == 0 || !self.is_signed(list) {
            return Ok(());
        }
        let issuer = self.certificate.issuer();
        let mut entry = list.entry(issuer, self.certificate.serial())?;
        for delta in self.evidence.lists {
            if self.goes_with(delta, list)? && self.is_signed(delta) {
                match delta.entry(issuer, self.certificate.serial())? {
                    Some(taken_back) if taken_back.reason == REMOVE_FROM_LIST => entry = None,
                    Some(newer) => entry = Some(newer),
                    None => {}
                }
            }
        }
        told.revoked = entry.filter(|entry| entry.reason != REMOVE_FROM_LIST);
        told.reasons |= reasons;
        let until = list.next_update().unwrap_or(Seconds::MIN).saturating_add(self.evidence.grace);
        told.until = told.until.min(until);
        Ok(())
    }

    /// The reasons that this list tells of for this certificate, if it is about it at all (RFC 5280 §6.3.3 b and d).
    fn reasons_of(&self, list: &Crl, point: &DistributionPoint<'_>) -> Result<Option<u16>, CmsError> {
        let scope = list.scope()?;
        let is_by_whom = if point.crl_issuer.is_empty() {
            list.issuer().matches(self.certificate.issuer())
        } else {
            scope.is_indirect && point.crl_issuer.iter().any(|issuer| issuer.matches(list.issuer()))
        };
        let is_authority = self.certificate.basic_constraints()?.is_some_and(|constraints| constraints.ca);
        let is_about = !scope.only_attributes
            && if is_authority { !scope.only_user } else { !scope.only_authorities }
            && scope.is_at(point, list.issuer());
        if !is_by_whom || !is_about {
            return Ok(None);
        }
        Ok(Some(scope.reasons.unwrap_or(ALL_REASONS) & point.reasons.unwrap_or(ALL_REASONS) & ALL_REASONS))
    }

    /// Whether it is a delta in force that goes with this list (RFC 5280 §6.3.3 c).
    fn goes_with(&self, delta: &Crl, list: &Crl) -> Result<bool, CmsError> {
        let same = |id| -> Result<bool, CmsError> {
            let (one, other) = (delta.extension(id)?, list.extension(id)?);
            Ok(one.map(|extension| extension.value) == other.map(|extension| extension.value))
        };
        if !delta.is_delta()? || !delta.is_fresh(self.evidence.at, self.evidence.grace) || !delta.is_understood()? {
            return Ok(false);
        }
        let (base, number) = (delta.number_of(oid::DELTA_CRL_INDICATOR)?, list.number_of(oid::CRL_NUMBER)?);
        let newer = delta.number_of(oid::CRL_NUMBER)?;
        let ordered = |one: Option<&[u8]>, other: Option<&[u8]>| match (one, other) {
            (Some(one), Some(other)) => (one.len(), one) <= (other.len(), other),
            _ => false,
        };
        Ok(delta.issuer().matches(list.issuer())
            && same(oid::ISSUING_DISTRIBUTION_POINT)?
            && same(oid::AUTHORITY_KEY_IDENTIFIER)?
            && ordered(base, number)
            && ordered(number, newer))
    }

    /// Whether somebody signed the list who may (RFC 5280 §6.3.3 f to h): the issuer of the certificate, or one of the
    /// list's name below the same anchor, itself not revoked.
    fn is_signed(&self, list: &Crl) -> bool {
        let signer = |candidate: &Certificate| {
            let Some(left) = self.signatures_left.get().checked_sub(1) else { return false };
            self.signatures_left.set(left);
            let may = candidate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.crl_sign()));
            let strictness = self.evidence.strictness;
            may && candidate.public_key().is_ok_and(|key| list.verify_by(&key, strictness).is_ok())
        };
        if self.issuer.subject().matches(list.issuer()) && signer(self.issuer) {
            return true;
        }
        let sources = self.evidence.sources;
        let others = sources.anchors.of(list.issuer()).iter().chain(sources.others.of(list.issuer()));
        for candidate in others {
            if candidate != self.certificate && signer(candidate) && self.is_trusted(candidate) {
                return true;
            }
        }
        false
    }

    fn is_trusted(&self, signer: &Certificate) -> bool {
        if self.path.certificates.last() == Some(signer) {
            return true;
        }
        if self.depth >= SIGNERS_OF_SIGNERS {
            return false;
        }
        let check = Check {
            at: self.evidence.at,
            purpose: Purpose::SignLists,
            strictness: self.evidence.strictness,
            policies: PolicyDemand::default(),
        };
        let found = self.evidence.sources.find(signer, &check, &mut |path| {
            if path.certificates.last() != self.path.certificates.last() {
                return Err(Flaw::IsNotTrusted.of(0));
            }
            self.evidence.check_within(path, self.depth.saturating_add(1), self.signatures_left)
        });
        found.is_ok()
    }
}
