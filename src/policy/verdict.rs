//! The verdict: what should happen, per recipient, and which rule said so.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::directory::NationalId;
use crate::mail::{Address, Domain};
use crate::policy::directive::Removals;
use crate::policy::protection::{Channel, Protection};

/// What should happen to a message. Made by `judge`, or by [`Verdict::fixed`] for what sealgate writes itself; rows keep
/// it locked and read it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub(crate) recipients: Vec<RecipientVerdict>,
    pub(crate) return_to: Option<String>,
    pub(crate) remember_return: bool,
    pub(crate) sms: Option<String>,
    pub(crate) removals: Removals,
    pub(crate) lifted: Vec<String>,
}

/// What should happen for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientVerdict {
    /// The recipient.
    pub address: Address,
    /// Where the recipient is.
    pub place: Place,
    /// What the strongest rule asks.
    pub protection: Protection,
    /// Its name.
    pub rule: String,
    /// Why, in sentences, for `explain` alone: a file's name may stand in them.
    pub reasons: Vec<String>,
    /// What the sender of a refused one is told.
    pub refusal: Option<String>,
    /// What would apply if a hold were lifted.
    pub below_hold: Option<Box<(Protection, String)>>,
    /// The number its reader must have.
    pub number: Option<NationalId>,
    /// How long it can be read.
    pub retention: Option<Duration>,
    /// The channels to serve it by, in order.
    pub channels: Vec<Channel>,
}

/// Where a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In one of our domains: never judged, on the way to our own mail server.
    Inside,
    /// Anywhere else.
    Outside,
    /// A national number instead of an address: never relayed.
    Number,
    /// A service address at our own host name.
    Service,
}

/// What sealgate writes itself. It is never judged anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FixedKind {
    /// A notice to a recipient.
    Notice,
    /// A receipt to a sender.
    Receipt,
    /// A delivery report to a sender.
    Report,
    /// A delivery report to a sender outside who is proven.
    ReportOutside,
    /// An answer on its way to its department.
    Answer,
    /// Mail that was opened, on its way inside.
    Opened,
    /// An automatic answer to somebody outside.
    AutoReply,
    /// A report on TLS to a domain outside that asks for it (RFC 8460).
    TlsReport,
}

impl Verdict {
    /// The verdict on what sealgate writes itself.
    #[must_use]
    pub fn fixed(kind: FixedKind, recipients: &[Address]) -> Self {
        let rule = format!("built in: {}", kind.as_str());
        let fixed = |address: &Address| RecipientVerdict {
            address: address.clone(),
            place: Place::Inside,
            protection: Protection::Plain,
            rule: rule.clone(),
            reasons: Vec::new(),
            refusal: None,
            below_hold: None,
            number: None,
            retention: None,
            channels: Vec::new(),
        };
        Self {
            recipients: recipients.iter().map(fixed).collect(),
            return_to: None,
            remember_return: false,
            sms: None,
            removals: Removals::default(),
            lifted: Vec::new(),
        }
    }

    /// The verdict on what came through the inbound door: no rule is asked. What is for our domains goes to the mail
    /// server, and what came to service addresses at `hostname` sealgate itself reads. Only a report about what we forwarded
    /// goes back outside, to those `homeward`.
    #[must_use]
    pub fn inbound(recipients: &[Address], hostname: &Domain, homeward: &[Address]) -> Self {
        let mut verdict = Self::fixed(FixedKind::Opened, recipients);
        for recipient in &mut verdict.recipients {
            let (place, rule) = if recipient.address.domain() == hostname {
                (Place::Service, "service address")
            } else if homeward.contains(&recipient.address) {
                (Place::Outside, "report about forwarded mail")
            } else {
                (Place::Inside, "inbound")
            };
            recipient.place = place;
            recipient.rule = format!("built in: {rule}");
        }
        verdict
    }

    /// Per recipient, in the envelope's order.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientVerdict] {
        &self.recipients
    }

    /// The department that gets answers, by directive, header or rule.
    #[must_use]
    pub fn return_to(&self) -> Option<&str> {
        self.return_to.as_deref()
    }

    /// The sender wants that department from now on.
    #[must_use]
    pub fn remember_return(&self) -> bool {
        self.remember_return
    }

    /// The telephone number at which the sender wants the recipient told too.
    #[must_use]
    pub fn sms(&self) -> Option<&str> {
        self.sms.as_deref()
    }

    /// What goes off the header before the message goes on.
    #[must_use]
    pub fn removals(&self) -> &Removals {
        &self.removals
    }

    /// Rules that a grant lifted: they are audited.
    #[must_use]
    pub fn lifted(&self) -> &[String] {
        &self.lifted
    }

    /// Whether every recipient just passes: nothing needs to be looked up to serve it.
    #[must_use]
    pub fn all_plain(&self) -> bool {
        self.recipients
            .iter()
            .all(|r| matches!(r.place, Place::Inside | Place::Outside) && r.protection == Protection::Plain)
    }
}

impl Verdict {
    /// The same verdict with every recipient held, those inside too, by `rule`. Who was held already waits for the same
    /// decision; who is refused stays so.
    #[must_use]
    pub fn held(mut self, rule: &str) -> Self {
        for recipient in self.recipients.iter_mut().filter(|recipient| recipient.protection != Protection::Refuse) {
            if recipient.protection == Protection::Hold {
                recipient.rule = format!("{rule}; {}", recipient.rule);
            } else {
                let below = (recipient.protection, std::mem::replace(&mut recipient.rule, rule.to_owned()));
                recipient.below_hold = Some(Box::new(below));
                recipient.protection = Protection::Hold;
            }
        }
        self
    }
}

impl FixedKind {
    /// Its name, for traces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Receipt => "receipt",
            Self::Report => "report",
            Self::ReportOutside => "report-outside",
            Self::Answer => "answer",
            Self::Opened => "opened",
            Self::AutoReply => "auto-reply",
            Self::TlsReport => "tls-report",
        }
    }
}

/// The same verdict with one recipient's hold lifted: the next strongest protection applies.
#[must_use]
pub fn lift_hold(verdict: &Verdict, place: usize) -> Verdict {
    let mut lifted = verdict.clone();
    if let Some(recipient) = lifted.recipients.get_mut(place)
        && recipient.protection == Protection::Hold
        && let Some(below) = recipient.below_hold.take()
    {
        (recipient.protection, recipient.rule) = *below;
    }
    lifted
}
