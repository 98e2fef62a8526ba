//! Path validation by RFC 5280 §6.1, for mail.

use crate::cms::certificate::Certificate;
use crate::cms::constraint::Constraints;
use crate::cms::element::Seconds;
use crate::cms::flaw::{Flaw, PathFault};
use crate::cms::oid;
use crate::cms::policy::{Policies, PolicyDemand};
use crate::cms::public_key::{KeyKind, Strictness};

/// What the certificate is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its key signed mail (RFC 8550 §4.4).
    Sign,
    /// Mail is sealed to its key.
    Seal,
    /// Its key signed a revocation list (RFC 5280 §6.3.3 f).
    SignLists,
}

/// What a path is held to.
#[derive(Debug, Clone)]
pub struct Check {
    /// When it must be valid.
    pub at: Seconds,
    /// What for.
    pub purpose: Purpose,
    /// Whether weak signatures count.
    pub strictness: Strictness,
    /// What is demanded of policies; usually nothing.
    pub policies: PolicyDemand,
}

/// RFC 5280 §6.1, without signatures and names in chain, which the search saw to. From the anchor down.
pub(crate) fn validate(path: &[Certificate], check: &Check) -> Result<Vec<Vec<u8>>, PathFault> {
    let Some((anchor, below)) = path.split_last() else { return Err(Flaw::IssuerIsMissing.of(0)) };
    is_valid_at(anchor, check.at).map_err(|flaw| flaw.of(below.len()))?;
    let Some((last, _)) = below.split_first() else {
        return may_serve(anchor, check.purpose).map(|()| Vec::new()).map_err(|flaw| flaw.of(0));
    };
    let mut state = State::below(anchor, check, below.len()).map_err(|flaw| flaw.of(below.len()))?;
    for (place, certificate) in below.iter().enumerate().rev() {
        state.enter(certificate, place == 0, check).map_err(|flaw| flaw.of(place))?;
    }
    state.policies.finish(last, &check.policies).map_err(|flaw| Flaw::Policy(flaw).of(0))
}

/// What RFC 5280 §6.1.2 calls the state variables.
struct State<'a> {
    policies: Policies<'a>,
    constraints: Constraints<'a>,
    /// Authorities that may still follow; none is no bound.
    length_left: Option<u64>,
}

impl<'a> State<'a> {
    fn below(anchor: &'a Certificate, check: &Check, certificates: usize) -> Result<Self, Flaw> {
        let constraints = anchor.basic_constraints()?;
        // The oldest roots are of version 1 and say nothing; a trusted leaf is no authority for being trusted.
        if !constraints.map_or(anchor.extensions()?.is_empty(), |constraints| constraints.ca) {
            return Err(Flaw::IsNoAuthority);
        }
        let mut state = Self {
            policies: Policies::new(&check.policies, certificates),
            constraints: Constraints::default(),
            length_left: constraints.and_then(|constraints| constraints.path_length),
        };
        if let Some(constraints) = anchor.name_constraints()? {
            state.constraints.add(constraints);
        }
        Ok(state)
    }

    fn enter(&mut self, certificate: &'a Certificate, is_last: bool, check: &Check) -> Result<(), Flaw> {
        is_valid_at(certificate, check.at)?;
        understands_what_is_critical(certificate)?;
        let is_self_issued = certificate.is_self_issued();
        if is_last || !is_self_issued {
            self.constraints.check(certificate).map_err(Flaw::Name)?;
        }
        self.policies.enter(certificate, is_last).map_err(Flaw::Policy)?;
        if is_last {
            return may_serve(certificate, check.purpose);
        }
        let constraints = certificate.basic_constraints()?.unwrap_or_default();
        if !constraints.ca {
            return Err(Flaw::IsNoAuthority);
        }
        if certificate.key_usage()?.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(Flaw::KeyUsage);
        }
        // Not in RFC 5280, and in the field: what binds an authority's certificate binds those below it.
        if check.purpose != Purpose::SignLists && !serves_mail(certificate)? {
            return Err(Flaw::Purpose);
        }
        self.policies.prepare(certificate).map_err(Flaw::Policy)?;
        if let Some(constraints) = certificate.name_constraints()? {
            self.constraints.add(constraints);
        }
        if !is_self_issued && let Some(left) = self.length_left {
            self.length_left = Some(left.checked_sub(1).ok_or(Flaw::PathIsTooLong)?);
        }
        self.length_left = [self.length_left, constraints.path_length].into_iter().flatten().min();
        Ok(())
    }
}

fn is_valid_at(certificate: &Certificate, at: Seconds) -> Result<(), Flaw> {
    let (from, until) = certificate.validity()?;
    if at < from {
        Err(Flaw::IsNotYetValid(from))
    } else if at > until {
        Err(Flaw::HasExpired(until))
    } else {
        Ok(())
    }
}

/// Every critical extension is one of those that are processed here (RFC 5280 §6.1.4 o, §6.1.5 f).
fn understands_what_is_critical(certificate: &Certificate) -> Result<(), Flaw> {
    const UNDERSTOOD: [der::oid::ObjectIdentifier; 9] = [
        oid::KEY_USAGE,
        oid::SUBJECT_ALT_NAME,
        oid::BASIC_CONSTRAINTS,
        oid::NAME_CONSTRAINTS,
        oid::CERTIFICATE_POLICIES,
        oid::POLICY_MAPPINGS,
        oid::POLICY_CONSTRAINTS,
        oid::EXT_KEY_USAGE,
        oid::INHIBIT_ANY_POLICY,
    ];
    // Where revocation is told: whoever asks about it reads this one.
    let known = |id: &[u8]| {
        UNDERSTOOD.iter().any(|known| known.as_bytes() == id) || id == oid::CRL_DISTRIBUTION_POINTS.as_bytes()
    };
    match certificate.extensions()?.iter().find(|extension| extension.critical && !known(extension.id)) {
        Some(extension) => Err(Flaw::CriticalExtension(extension.id.to_vec())),
        None => Ok(()),
    }
}

/// Whether the certificate at the end may be used so (RFC 8550 §4.4.2, §4.4.4). Who says nothing, allows all.
fn may_serve(certificate: &Certificate, purpose: Purpose) -> Result<(), Flaw> {
    let kind = certificate.public_key()?.kind();
    let allows = certificate.key_usage()?.is_none_or(|usage| match (purpose, kind) {
        (Purpose::Sign, _) => usage.digital_signature() || usage.non_repudiation(),
        (Purpose::SignLists, _) => usage.crl_sign(),
        (Purpose::Seal, KeyKind::Rsa(_) | KeyKind::MlKem(_)) => usage.key_encipherment(),
        (Purpose::Seal, KeyKind::P256 | KeyKind::P384 | KeyKind::P521 | KeyKind::X25519) => usage.key_agreement(),
        (Purpose::Seal, KeyKind::Ed25519 | KeyKind::Other) => false,
    });
    let is_able = match (purpose, kind) {
        (_, KeyKind::Other) | (Purpose::Sign, KeyKind::X25519 | KeyKind::MlKem(_)) => false,
        (Purpose::Seal, kind) => kind != KeyKind::Ed25519,
        _ => true,
    };
    if !allows || !is_able {
        return Err(Flaw::KeyUsage);
    }
    if purpose != Purpose::SignLists && !serves_mail(certificate)? {
        return Err(Flaw::Purpose);
    }
    Ok(())
}

fn serves_mail(certificate: &Certificate) -> Result<bool, Flaw> {
    let purposes = certificate.purposes()?;
    let any_of = [oid::EKU_EMAIL_PROTECTION, oid::EKU_ANY];
    Ok(purposes.is_none_or(|all| all.iter().any(|purpose| any_of.iter().any(|good| good.as_bytes() == *purpose))))
}
