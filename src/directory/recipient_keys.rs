//! What can be sealed to for one recipient, now; and of everything else that is known, why not. Pure.

use std::fmt;

use crate::cms::{Certificate, PathFault, Seconds};
use crate::directory::certificates::{Source, id_of};
use crate::directory::scope::Scope;
use crate::directory::trust::Trusted;

/// Names of a certificate that are told.
const NAMES: usize = 3;

/// Why a certificate is not sealed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// Nobody has accepted it yet.
    NotAccepted,
    /// It came while another was in use, or names somebody else, and nobody has decided.
    Conflict,
    /// Somebody refused it.
    Refused,
    /// No valid path leads to a root, or it is revoked, or of no use for mail.
    Distrusted(PathFault),
}

/// A certificate that is known for a domain or a mailbox.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The certificate.
    pub certificate: Certificate,
    /// Whom it is for.
    pub scope: Scope,
    /// Where it came from.
    pub source: Source,
    /// The same in words.
    pub told_by: String,
    /// It is trusted for being named, without a path to a root.
    pub is_pinned: bool,
    /// Whether it can be sealed to now.
    pub verdict: Result<Trusted, WhyNot>,
}

/// What is known for one recipient.
#[derive(Debug, Clone, Default)]
pub struct RecipientKeys {
    /// For the recipient's domain.
    pub tunnel: Vec<Candidate>,
    /// For the recipient alone.
    pub personal: Vec<Candidate>,
}

impl Candidate {
    /// Its fingerprint in hexadecimal.
    #[must_use]
    pub fn id(&self) -> String {
        id_of(&self.certificate)
    }

    /// Why it cannot be sealed to now, if so.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        let why = self.verdict.as_ref().err()?;
        let others = self.scope.others_named_by(&self.certificate);
        Some(match why {
            WhyNot::Conflict if !others.is_empty() => {
                let named = others.into_iter().take(NAMES).collect::<Vec<_>>().join(", ");
                format!("it names {named}, and not {}: nobody has decided", self.scope)
            }
            WhyNot::Conflict | WhyNot::NotAccepted | WhyNot::Refused | WhyNot::Distrusted(_) => why.to_string(),
        })
    }

    fn begins(&self) -> Seconds {
        self.certificate.validity().map_or(Seconds::MIN, |(from, _)| from)
    }
}

impl RecipientKeys {
    /// Those of the tunnel that can be sealed to, the newest first. Where a partner changes its key there are two for a
    /// while: who seals to all of them is understood by either.
    #[must_use]
    pub fn tunnel(&self) -> Vec<&Candidate> {
        usable(&self.tunnel)
    }

    /// Those of the recipient alone that can be sealed to, the newest first.
    #[must_use]
    pub fn personal(&self) -> Vec<&Candidate> {
        usable(&self.personal)
    }

    /// Everything that is known, a sentence each.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.tunnel.iter().chain(&self.personal).map(Candidate::to_string).collect()
    }
}

fn usable(candidates: &[Candidate]) -> Vec<&Candidate> {
    let mut usable: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.verdict.is_ok()).collect();
    usable.sort_by_key(|candidate| std::cmp::Reverse(candidate.begins()));
    usable
}

impl Source {
    /// Where it came from, in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Operator => "operator",
            Self::Table => "table",
            Self::Mail => "mail",
            Self::Issued => "issued",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAccepted => f.write_str("nobody has accepted it yet"),
            Self::Conflict => f.write_str("it came while another was in use, and nobody has decided between them"),
            Self::Refused => f.write_str("it was refused"),
            Self::Distrusted(PathFault { certificate: 0, flaw }) => write!(f, "{flaw}"),
            Self::Distrusted(fault) => write!(f, "{fault}"),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id: String = self.id().chars().take(16).collect();
        write!(f, "certificate {id} for {} ({}): ", self.scope, self.source.as_str())?;
        f.write_str(&self.why().unwrap_or_else(|| "can be sealed to".to_owned()))
    }
}
