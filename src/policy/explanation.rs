//! What `sealgate explain` says.

use serde::Serialize;

use crate::mail::Address;
use crate::policy::error::Refusal;
use crate::policy::protection::Protection;
use crate::policy::sealable::Sealables;
use crate::policy::treatment::{Means, Treatment};
use crate::policy::verdict::{RecipientVerdict, Verdict};

/// What would happen to a message. The field names are those of the interface page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Per recipient.
    pub recipients: Vec<Explained>,
}

/// What would happen for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The recipient.
    pub address: String,
    /// What the strongest rule asks.
    pub protection: Protection,
    /// Its name.
    pub rule: String,
    /// Why, in sentences.
    pub reasons: Vec<String>,
    /// `pass`, `tunnel`, `personal`, `pickup`, `hold` or `refuse`.
    pub treatment: &'static str,
    /// The route that the configuration has for the recipient's domain, by the pattern that fits.
    pub route: Option<String>,
    /// Which way it would go, and what would have to be proven there; for what passes.
    pub way: Option<String>,
    /// The fingerprint of the certificate that it would be sealed to.
    pub certificate: Option<String>,
    /// Where an answer would go.
    pub return_mailbox: Option<String>,
    /// The subject it would go on with.
    pub subject: String,
}

/// The way to one recipient, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedWay {
    /// The route of the configuration, if one fits.
    pub route: Option<String>,
    /// All of it.
    pub text: String,
}

impl Explanation {
    /// Explains a message that would be refused whole.
    #[must_use]
    pub fn refused(recipients: &[Address], subject: &str, why: &Refusal) -> Self {
        let explained = |address: &Address| Explained {
            address: address.to_string(),
            protection: Protection::Refuse,
            rule: why.rule.clone(),
            reasons: vec![format!("the sender is told: 550 {why}")],
            treatment: "refuse",
            route: None,
            way: None,
            certificate: None,
            return_mailbox: None,
            subject: subject.to_owned(),
        };
        Self { recipients: recipients.iter().map(explained).collect() }
    }

    /// Explains a verdict and the treatments that come of it.
    #[must_use]
    pub fn of(verdict: &Verdict, treatments: &[Treatment], return_mailbox: Option<&str>, subject: &str) -> Self {
        let explained = verdict.recipients().iter().zip(treatments).map(|(verdict, treatment)| {
            let mut reasons = verdict.reasons.clone();
            reasons.extend(reason(&treatment.means));
            Explained {
                address: verdict.address.to_string(),
                protection: verdict.protection,
                rule: verdict.rule.clone(),
                reasons,
                treatment: treatment.means.word(),
                route: None,
                way: None,
                certificate: None,
                return_mailbox: matches!(treatment.means, Means::Seal(_))
                    .then(|| return_mailbox.map(str::to_owned))
                    .flatten(),
                subject: subject.to_owned(),
            }
        });
        Self { recipients: explained.collect() }
    }

    /// Adds what is known of certificates: which would be sealed to, and of all why or why not.
    #[must_use]
    pub fn with_certificates(mut self, treatments: &[Treatment], sealables: &[Sealables]) -> Self {
        for ((explained, treatment), sealables) in self.recipients.iter_mut().zip(treatments).zip(sealables) {
            if explained.protection == Protection::Secure {
                explained.reasons.extend(sealables.reasons.iter().cloned());
            }
            if let Means::Seal(channel) = treatment.means {
                explained.certificate = sealables.certificate(channel).map(str::to_owned);
            }
        }
        self
    }

    /// Adds what the configuration says of the way of those to whom the message passes: of each, by the treatments that it
    /// was made of, and whether verified TLS is asked for.
    #[must_use]
    pub fn with_ways(
        mut self,
        verdict: &Verdict,
        treatments: &[Treatment],
        of: impl Fn(&RecipientVerdict, bool) -> ExplainedWay,
    ) -> Self {
        for ((explained, verdict), treatment) in self.recipients.iter_mut().zip(verdict.recipients()).zip(treatments) {
            if let Means::Pass { verified_tls } = treatment.means {
                let way = of(verdict, verified_tls);
                (explained.route, explained.way) = (way.route, Some(way.text));
            }
        }
        self
    }
}

impl Means {
    /// The word for it on the interface page.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass { .. } | Self::Service => "pass",
            Self::Seal(channel) => channel.as_str(),
            Self::Hold(_) | Self::Wait(_) => "hold",
            Self::Refuse(_) => "refuse",
        }
    }
}

fn reason(means: &Means) -> Option<String> {
    match means {
        Means::Pass { .. } | Means::Seal(_) | Means::Service => None,
        Means::Hold(reason) | Means::Refuse(reason) | Means::Wait(reason) => Some(reason.to_string()),
    }
}
