//! All checks of one message, side by side, and what follows from them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::mail::{Domain, Header, ReversePath};
use crate::net::Clock;
use crate::sender_auth::arc::{ArcChain, ArcStatus, verify_arc};
use crate::sender_auth::body_hash::BodyHash;
use crate::sender_auth::dkim::{DkimResult, Signed, verify_dkim};
use crate::sender_auth::dmarc::{
    Authors, DmarcResult, Flaw, Identity, Method, Policy, Verdict, find, verify_dmarc, worst,
};
use crate::sender_auth::iprev::{IprevResult, verify_iprev};
use crate::sender_auth::lookup::{Asked, Lookup, Names};
use crate::sender_auth::results::{authentication_results, property, says};
use crate::sender_auth::spf::{Sender, SpfResult, check_host};

/// How long all checks of a message may take together; what is not found out by then counts as not to be found out now.
const PATIENCE: Duration = Duration::from_secs(20);

/// Checks messages. Cheap to clone.
#[derive(Clone)]
pub struct Checks {
    names: Arc<dyn Names>,
    clock: Clock,
    patience: Duration,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// A message at the door, and whose hand it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Hand<'m> {
    /// Where it comes from.
    pub ip: IpAddr,
    /// What the client calls itself.
    pub helo: &'m str,
    /// `MAIL FROM`.
    pub sender: &'m ReversePath,
    /// The message's header.
    pub header: &'m Header,
    /// … and its body's hash.
    pub body: &'m BodyHash,
}

/// What was found out about a message.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Where it came from.
    pub ip: IpAddr,
    /// Whether that address has a name.
    pub iprev: IprevResult,
    /// What the client calls itself, and what SPF says of that.
    pub helo: (String, SpfResult),
    /// The envelope sender, and what SPF says of that; `None` for the null path.
    pub mail_from: Option<(String, SpfResult)>,
    /// Its signatures.
    pub dkim: Vec<Signed>,
    /// Who passed it on.
    pub arc: ArcChain,
    /// Whether its author is proven.
    pub dmarc: Verdict,
    /// … each of its authors, who is not proven first.
    authors: Vec<Verdict>,
    /// The envelope sender is the one author.
    sender_is_author: bool,
    /// The sealer of the chain's end says himself that DMARC failed with him.
    sealer_saw_failure: bool,
}

/// What follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// The message is taken.
    Take,
    /// It is refused for good, with this status (RFC 3463, RFC 7372) and text.
    Refuse(&'static str, String),
    /// It is refused for now, with this status and text.
    Defer(&'static str, String),
}

impl Checks {
    /// Checks by what these name servers say.
    #[must_use]
    pub fn new(names: Arc<dyn Names>, clock: Clock) -> Self {
        Self { names, clock, patience: PATIENCE }
    }

    /// … with another patience than the usual 20 s.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Finds out what can be found out about a message. `host` is what we call ourselves.
    pub async fn prove(&self, host: &Domain, hand: Hand<'_>) -> Proof {
        let asked = Asked::default();
        let lookup = Lookup::new(self.names.as_ref(), Instant::now() + self.patience, &asked);
        let now = self.clock.now();
        let ip = hand.ip.to_canonical();
        let Authors { domains, flaw } = Authors::of(hand.header, hand.sender);
        let finding = join_all(domains.into_iter().map(|domain| find(lookup, domain)));
        let (iprev, helo, mail_from, dkim, arc, found) = tokio::join!(
            verify_iprev(lookup, ip),
            helo_of(lookup, host, ip, hand.helo),
            mail_from_of(lookup, host, ip, hand),
            verify_dkim(lookup, hand.header, hand.body, now),
            verify_arc(lookup, hand.header, hand.body, now),
            finding,
        );
        let authors = verify_dmarc(lookup, found, &identities(hand, helo, mail_from, &dkim)).await;
        let last = hand.header.all("ARC-Authentication-Results").find(|field| {
            mail_auth::arc::Results::parse(field.value).is_ok_and(|it| usize::try_from(it.i) == Ok(arc.sets))
        });
        Proof {
            ip,
            iprev,
            helo: (hand.helo.to_owned(), helo),
            mail_from: hand.sender.mailbox().map(|sender| (sender.to_string(), mail_from)),
            dkim,
            arc,
            dmarc: worst(&authors, flaw),
            authors,
            sender_is_author: sender_is_author(hand),
            sealer_saw_failure: last.is_some_and(|field| says(field.value, "dmarc", "fail")),
        }
    }
}

async fn helo_of(lookup: Lookup<'_>, host: &Domain, ip: IpAddr, helo: &str) -> SpfResult {
    let sender = Sender { ip, helo, local: "postmaster", domain: helo, receiver: host.as_str() };
    check_host(lookup, sender).await
}

async fn mail_from_of(lookup: Lookup<'_>, host: &Domain, ip: IpAddr, hand: Hand<'_>) -> SpfResult {
    let Some(address) = hand.sender.mailbox() else { return SpfResult::None };
    let (local, domain) = (address.local().as_str(), address.domain().as_str());
    check_host(lookup, Sender { ip, helo: hand.helo, local, domain, receiver: host.as_str() }).await
}

fn sender_is_author(hand: Hand<'_>) -> bool {
    let authors = hand.header.addresses("From");
    let sender = hand.sender.mailbox().map(crate::mail::Address::folded);
    matches!(authors.as_slice(), [(_, author)] if Some(author.folded()) == sender)
}

/// The identities that count for DMARC: the envelope sender's domain, or the client's name where there is none, and those
/// who signed.
fn identities(hand: Hand<'_>, helo: SpfResult, mail_from: SpfResult, dkim: &[Signed]) -> Vec<Identity> {
    let (by_spf, spf) = match hand.sender.mailbox() {
        Some(address) => (Some(address.domain().clone()), mail_from),
        None => (hand.helo.parse().ok(), helo),
    };
    let is_proven = match spf {
        SpfResult::Pass => Some(true),
        SpfResult::TempError => Some(false),
        SpfResult::None | SpfResult::Neutral | SpfResult::Fail | SpfResult::SoftFail | SpfResult::PermError => None,
    };
    let by_spf = by_spf.zip(is_proven).map(|(domain, is_proven)| Identity { domain, by: Method::Spf, is_proven });
    let by_dkim = dkim.iter().filter_map(|signed| {
        let is_proven = match signed.result {
            DkimResult::Pass => true,
            DkimResult::TempError => false,
            DkimResult::Fail | DkimResult::Policy | DkimResult::PermError => return None,
        };
        Some(Identity { domain: signed.domain.clone()?, by: Method::Dkim, is_proven })
    });
    by_spf.into_iter().chain(by_dkim).collect()
}

impl Proof {
    /// What follows where the wish of an author's domain is honoured. Mail that fails is taken all the same from the end of a
    /// whole chain whose last sealer is trusted: who passed it on has looked at it before changing it (RFC 8617 §7.2.1).
    #[must_use]
    pub fn ruling(&self, trusted_sealers: &[Domain]) -> Ruling {
        match self.dmarc.flaw {
            Some(Flaw::Several) => {
                return Ruling::Refuse(
                    "5.6.0",
                    "the message does not say who its one author is: more than one From".into(),
                );
            }
            Some(Flaw::Unreadable) => {
                return Ruling::Refuse(
                    "5.6.0",
                    "the message does not say who its author is: From names no mailbox".into(),
                );
            }
            Some(Flaw::TooManyLookUps) => {
                return Ruling::Refuse(
                    "5.7.26",
                    "the message asks for more look-ups than one message may cost: who it is from is not found out"
                        .into(),
                );
            }
            // Nobody is shown as its author, unless the mail server puts the envelope sender there.
            Some(Flaw::Missing) | None => {}
        }
        let domain = self.dmarc.domain.as_ref().map(ToString::to_string).unwrap_or_default();
        let may_reject = self.dmarc.policy.is_none_or(|policy| policy == Policy::Reject);
        let may_be_passed_on = self.arc.status == ArcStatus::TempError && !trusted_sealers.is_empty();
        match self.dmarc.result {
            DmarcResult::Fail | DmarcResult::TempError if may_reject && self.is_passed_on_by(trusted_sealers) => {
                Ruling::Take
            }
            DmarcResult::TempError if may_reject => {
                Ruling::Defer("4.4.3", format!("what proves that mail is from {domain} cannot be looked up now"))
            }
            DmarcResult::Fail if may_reject && may_be_passed_on => {
                Ruling::Defer("4.4.3", "who passed this mail on cannot be looked up now".into())
            }
            DmarcResult::Fail if may_reject => Ruling::Refuse(
                "5.7.26",
                format!(
                    "{domain} wants mail refused that neither its servers sent nor its keys signed (DMARC, p=reject)"
                ),
            ),
            DmarcResult::Pass
            | DmarcResult::None
            | DmarcResult::PermError
            | DmarcResult::Fail
            | DmarcResult::TempError => Ruling::Take,
        }
    }

    /// Whether the envelope sender's domain sent it, or signed it for that sender. Who is not proven gets no report of us: it
    /// would be sent to whomever the message names (RFC 5321 §6.2). What is signed once, anybody can send again, with every
    /// sender of that domain in turn: so a signature proves the sender alone who is the author too.
    #[must_use]
    pub fn is_of_sender(&self) -> bool {
        let Some((sender, spf)) = &self.mail_from else { return false };
        let domain = sender.rsplit_once('@').and_then(|(_, domain)| domain.parse::<Domain>().ok());
        let signed = |it: &Signed| it.result == DkimResult::Pass && it.domain.is_some() && it.domain == domain;
        *spf == SpfResult::Pass || (self.sender_is_author && self.dkim.iter().any(signed))
    }

    /// Whether some program may show it as from one of these domains, and nothing proves that it is.
    #[must_use]
    pub fn lacks_author_of(&self, ours: &[Domain]) -> bool {
        let is_ours = self.dmarc.flaw.is_some()
            || self.authors.iter().filter_map(|author| author.domain.as_ref()).any(|author| ours.contains(author));
        is_ours && self.dmarc.result != DmarcResult::Pass
    }

    fn is_passed_on_by(&self, trusted: &[Domain]) -> bool {
        let last = self.arc.sealers.last();
        self.arc.status == ArcStatus::Pass
            && !self.sealer_saw_failure
            && last.is_some_and(|sealer| trusted.contains(sealer))
    }

    /// Each result in the words of RFC 8601, as `Authentication-Results` and `ARC-Authentication-Results` tell them.
    #[must_use]
    pub fn results(&self) -> Vec<String> {
        let mut results = vec![self.iprev_result(), spf(self.helo.1, "smtp.helo", &self.helo.0)];
        if let Some((sender, result)) = &self.mail_from {
            results.push(spf(*result, "smtp.mailfrom", sender));
        }
        if self.dkim.is_empty() {
            results.push("dkim=none".into());
        }
        results.extend(self.dkim.iter().map(signed));
        results.extend(self.dmarc_results());
        results.push(self.arc_result());
        results
    }

    /// The whole field `Authentication-Results`, with its CRLF.
    #[must_use]
    pub fn field(&self, host: &Domain) -> String {
        authentication_results(host, &self.results())
    }

    fn iprev_result(&self) -> String {
        let result = match &self.iprev {
            IprevResult::Pass(_) => "pass",
            IprevResult::Fail => "fail",
            IprevResult::TempError => "temperror",
            IprevResult::PermError => "permerror",
        };
        property(&format!("iprev={result} policy.iprev"), &self.ip.to_string())
    }

    /// One result for each author (RFC 8601 §2.2 allows several): what a filter looks for in the worst must not stand behind
    /// another whose domain merely gives no answer.
    fn dmarc_results(&self) -> Vec<String> {
        match self.dmarc.flaw {
            Some(Flaw::Missing | Flaw::Several | Flaw::Unreadable) => vec![dmarc(&self.dmarc)],
            Some(Flaw::TooManyLookUps) | None => self.authors.iter().map(dmarc).collect(),
        }
    }

    fn arc_result(&self) -> String {
        let result = match self.arc.status {
            ArcStatus::None => "none",
            ArcStatus::Pass => "pass",
            ArcStatus::Fail | ArcStatus::TempError => "fail",
        };
        let told = with_reason(&format!("arc={result}"), self.arc.reason);
        property(&format!("{told} smtp.remote-ip"), &self.ip.to_string())
    }
}

fn spf(result: SpfResult, identity: &str, value: &str) -> String {
    let result = match result {
        SpfResult::None => "none",
        SpfResult::Neutral => "neutral",
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::TempError => "temperror",
        SpfResult::PermError => "permerror",
    };
    property(&format!("spf={result} {identity}"), value)
}

fn dmarc(verdict: &Verdict) -> String {
    let result = match verdict.result {
        DmarcResult::None => "none",
        DmarcResult::Pass => "pass",
        DmarcResult::Fail => "fail",
        DmarcResult::TempError => "temperror",
        DmarcResult::PermError => "permerror",
    };
    let policy = match verdict.policy {
        Some(Policy::Reject) => " (p=reject)",
        Some(Policy::Quarantine) => " (p=quarantine)",
        Some(Policy::None) if verdict.result != DmarcResult::None && verdict.flaw.is_none() => " (p=none)",
        Some(Policy::None) | None => "",
    };
    let told = format!("dmarc={result}{policy}");
    match verdict.domain.as_ref().filter(|_| verdict.flaw.is_none()) {
        Some(domain) => property(&format!("{told} header.from"), domain.as_str()),
        None => told,
    }
}

fn signed(signed: &Signed) -> String {
    let result = match signed.result {
        DkimResult::Pass => "pass",
        DkimResult::Fail => "fail",
        DkimResult::Policy => "policy",
        DkimResult::TempError => "temperror",
        DkimResult::PermError => "permerror",
    };
    let mut told = with_reason(&format!("dkim={result}"), signed.reason);
    let domain = signed.domain.as_ref().map(Domain::as_str).unwrap_or_default();
    let properties = [
        ("header.d", domain),
        ("header.s", signed.selector.as_str()),
        ("header.a", signed.algorithm),
        ("header.b", signed.octets.as_str()),
    ];
    for (name, value) in properties.into_iter().filter(|(_, value)| !value.is_empty()) {
        told.push(' ');
        told.push_str(&property(name, value));
    }
    told
}

fn with_reason(told: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{told} {}", property("reason", reason)),
        None => told.to_owned(),
    }
}
