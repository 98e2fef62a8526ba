//! Relay over SMTP or LMTP: the transport to a smarthost and to our own mail server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout_at;

use crate::delivery::config::{Internet, Settings};
use crate::delivery::error::{SessionError, Step};
use crate::delivery::https::Https;
use crate::delivery::outcome::{Diagnosis, Outcome};
use crate::delivery::route::{Destination, Passage, Route, Router, Way};
use crate::delivery::smtp::allowance::Allowance;
use crate::delivery::smtp::connect::{Caller, Resolver, SystemResolver, Trust};
use crate::delivery::smtp::crowd::{Crowd, Reach, Room};
use crate::delivery::smtp::mx::Exchangers;
use crate::delivery::smtp::pool::{Lent, Pool};
use crate::delivery::smtp::sts::{Sts, StsKeeping};
use crate::delivery::smtp::tally::TlsTally;
use crate::delivery::smtp::transaction::{Fate, Party, attempt};
use crate::delivery::smtp::wire::Patience;
use crate::delivery::transport::{Dispatch, Transport};
use crate::delivery::trouble::{self, NoWay};
use crate::mail::{Address, Domain, Envelope, Recipient};
use crate::net::{ClientTls, ClientTlsError, Dns, DnsFault, Outside};
use crate::queue::EndPauses;
use crate::smtp::EnhancedStatus;

/// Recipients of one transaction: what every server takes (RFC 5321 §4.5.3.1.8). It also bounds a pipelined group.
const RECIPIENTS: usize = 100;

/// Attempts for one domain or next hop of domains, those that wait included, to each connection that it may have.
const SHARE: usize = 5;

/// Domains of one message that are served at the same time.
const DOMAINS: usize = 8;

/// Hands mail to the next hop of its route.
pub struct Relay {
    router: Router,
    pool: Pool,
    exchangers: Option<Exchangers>,
    https: Option<Https>,
    tally: Option<TlsTally>,
    crowd: Crowd,
    /// How long an attempt may last before a peer is given the message.
    patience: Duration,
}

/// Why no relay could be made.
#[derive(Debug, thiserror::Error)]
pub enum RelayFault {
    /// The roots we trust cannot be read.
    #[error(transparent)]
    Tls(#[from] ClientTlsError),
    /// Nobody can be asked for mail exchangers.
    #[error(transparent)]
    Dns(#[from] DnsFault),
}

/// What came of one way.
struct Carried {
    outcomes: Vec<(Address, Outcome)>,
    /// Nobody was there to be given the message: another host may be.
    found_nobody: bool,
}

impl Relay {
    /// A relay by these settings, with the machine's resolver for hosts that the operator named and the standard's
    /// patience. What domains say by MTA-STS is remembered in `keeping`, and what is counted of TLS with them; without, they
    /// are not asked, and nothing is counted.
    ///
    /// # Errors
    /// `ca_file` is unreadable or has no root; with `internet = "mx"`, there are no name servers.
    pub fn new(settings: Settings, keeping: Option<StsKeeping>) -> Result<Self, RelayFault> {
        let trust = Trust { named: ClientTls::new(settings.ca_file.as_deref())?, open: ClientTls::new(None)? };
        let dns = match settings.internet {
            Internet::Mx => Some(Dns::new(&settings.dns)?),
            Internet::Smarthost(_) => None,
        };
        Ok(Self::with(settings, trust, dns, keeping, Arc::new(SystemResolver), Patience::STANDARD))
    }

    /// A relay whose trust, resolvers and patience are given; `settings.ca_file` and `settings.dns` are not read.
    #[must_use]
    pub fn with(
        settings: Settings,
        trust: Trust,
        dns: Option<Dns>,
        keeping: Option<StsKeeping>,
        resolver: Arc<dyn Resolver>,
        patience: Patience,
    ) -> Self {
        let hostname = settings.hostname.clone();
        // Beside a smarthost there are fewer places for all attempts together.
        let share = if settings.internet == Internet::Mx { SHARE } else { 1 };
        let crowd = Crowd::new(Room {
            of_one: settings.bounds.connections,
            of_one_in_all: settings.bounds.connections.saturating_mul(share),
            under_way: settings.under_way(),
            waiting: settings.waiting(),
        });
        let outside = Outside::and(&settings.private_networks);
        let https = dns.clone().map(|dns| Https { dns, tls: trust.open.clone(), outside: outside.clone() });
        let sts = https.clone().zip(keeping.clone()).map(|(https, keeping)| Sts::new(https, keeping));
        let tally = keeping.filter(|_| dns.is_some() && settings.tls_reports).map(TlsTally::new);
        let caller = Caller { hostname: hostname.clone(), trust, outside: outside.clone(), patience, dns: dns.clone() };
        let pool = Pool::new(caller, resolver, settings.bounds);
        let exchangers = dns.map(|dns| Exchangers { dns, sts, hostname, outside });
        Self { router: Router::new(settings), pool, exchangers, https, tally, crowd, patience: patience.attempt }
    }

    /// Whether some mail goes where the DNS says.
    #[must_use]
    pub fn asks_the_dns(&self) -> bool {
        self.exchangers.is_some()
    }

    /// Who knows the policies of domains, where mail goes to the open internet.
    #[must_use]
    pub fn sts(&self) -> Option<Sts> {
        self.exchangers.as_ref().and_then(|exchangers| exchangers.sts.clone())
    }

    /// What is counted of TLS with each domain, where mail goes to the open internet and reports are wanted.
    #[must_use]
    pub fn tally(&self) -> Option<TlsTally> {
        self.tally.clone()
    }

    /// How hosts are asked that strangers' records name, where mail goes to the open internet.
    #[must_use]
    pub fn https(&self) -> Option<Https> {
        self.https.clone()
    }

    /// Takes leave of the peers whose sessions rest, and keeps what was counted.
    pub async fn close(&self) {
        self.pool.close().await;
        if let Some(tally) = &self.tally
            && let Err(fault) = tally.write().await
        {
            tracing::error!(%fault, "what was counted of TLS since it was last kept is lost");
        }
    }

    /// The message for those who are reached in the same way, by way.
    fn parts(&self, mail: &Dispatch) -> Vec<(Result<Way, NoWay>, Dispatch)> {
        let mut parts: Vec<(Result<Way, NoWay>, Vec<Recipient>)> = Vec::new();
        for recipient in &mail.envelope.recipients {
            let way = self.router.way(mail.destination, mail.passage, recipient.address.domain());
            match parts.iter_mut().find(|(known, _)| *known == way) {
                Some((_, recipients)) => recipients.push(recipient.clone()),
                None => parts.push((way, vec![recipient.clone()])),
            }
        }
        let part = |recipients| Dispatch { envelope: Envelope { recipients, ..mail.envelope.clone() }, ..mail.clone() };
        parts.into_iter().map(|(way, recipients)| (way, part(recipients))).collect()
    }

    /// All recipients, by as many transactions as it takes. The first that ends its session settles those behind it.
    async fn carry(&self, mail: &Dispatch, route: &Route, allowance: &mut Allowance) -> Carried {
        let mut outcomes = Vec::with_capacity(mail.envelope.recipients.len());
        let mut found_nobody = false;
        let mut due: VecDeque<&Recipient> = mail.envelope.recipients.iter().collect();
        while !due.is_empty() {
            let mut group: Vec<Party<'_>> = due.drain(..due.len().min(RECIPIENTS)).map(Party::new).collect();
            let ended = match self.transact(mail, route, &mut group, allowance).await {
                Ok(()) => None,
                Err(Stop::Before(diagnosis)) => {
                    found_nobody = outcomes.is_empty();
                    Some(diagnosis)
                }
                Err(Stop::Within(diagnosis)) => Some(diagnosis),
            };
            let has_progressed = group.iter().any(|party| matches!(party.outcome, Some(Outcome::Delivered(_))));
            for party in group {
                match party.outcome {
                    Some(outcome) if has_progressed && is_crowded_out(&outcome) => due.push_back(party.recipient),
                    Some(outcome) => outcomes.push((party.recipient.address.clone(), outcome)),
                    None => {
                        let lost = || trouble::session(&SessionError::PeerIsOutOfStep, &route.hop.host);
                        let diagnosis = ended.clone().unwrap_or_else(lost);
                        outcomes.push((party.recipient.address.clone(), Outcome::unserved(diagnosis)));
                    }
                }
            }
            if let Some(diagnosis) = ended {
                let unserved = |it: &Recipient| (it.address.clone(), Outcome::unserved(diagnosis.clone()));
                outcomes.extend(due.drain(..).map(unserved));
            }
        }
        Carried { outcomes, found_nobody }
    }

    /// By the one next hop. One that some domains are given to has its share of attempts, as a domain has: where it hangs,
    /// mail to all others leaves. Where everything goes the same way, nobody is held up.
    async fn carry_by_hop(&self, mail: &Dispatch, route: &Route) -> Vec<(Address, Outcome)> {
        let configured = |it: &Recipient| self.router.configured(it.address.domain());
        let is_routed = |it| configured(it).is_some_and(|route| route.next_hop.is_some());
        if mail.destination == Destination::MailServer || !mail.envelope.recipients.iter().any(is_routed) {
            return self.carry(mail, route, &mut Allowance::new(self.patience)).await.outcomes;
        }
        let place = match self.crowd.place(&route.hop.to_string()).await {
            Ok(place) => place,
            Err(why) => return unserved(mail, &trouble::no_way(&why)),
        };
        let outcomes = self.carry(mail, route, &mut Allowance::new(self.patience)).await.outcomes;
        place.leave(Reach::of(&outcomes));
        outcomes
    }

    /// Each recipient by the hosts of its domain, several domains at the same time.
    async fn carry_by_mx(&self, mail: &Dispatch) -> Vec<(Address, Outcome)> {
        let mut domains: BTreeMap<Domain, Vec<Recipient>> = BTreeMap::new();
        for recipient in &mail.envelope.recipients {
            domains.entry(recipient.address.domain().clone()).or_default().push(recipient.clone());
        }
        let mut under_way = FuturesUnordered::new();
        let mut outcomes = Vec::with_capacity(mail.envelope.recipients.len());
        for (domain, recipients) in domains {
            let part = Dispatch { envelope: Envelope { recipients, ..mail.envelope.clone() }, ..mail.clone() };
            if under_way.len() >= DOMAINS {
                outcomes.extend(under_way.next().await.unwrap_or_default());
            }
            under_way.push(self.carry_to_domain(domain, part));
        }
        while let Some(more) = under_way.next().await {
            outcomes.extend(more);
        }
        outcomes
    }

    /// By the best host of a domain that is there. Who took the call decides, even if it is for the worse: that another
    /// host knows better is no reason to give it the same message (RFC 5321 §5.1).
    async fn carry_to_domain(&self, domain: Domain, mail: Dispatch) -> Vec<(Address, Outcome)> {
        let place = match self.crowd.place(domain.as_str()).await {
            Ok(place) => place,
            Err(why) => return unserved(&mail, &trouble::no_way(&why)),
        };
        let mut allowance = Allowance::new(self.patience);
        let outcomes = self.carry_by_routes(&domain, &mail, &mut allowance).await;
        place.leave(Reach::of(&outcomes));
        // What a report needs on its way is no cause for another, or two that report to each other never end.
        if let Some(tally) = self.tally.as_ref().filter(|_| !mail.is_tls_report) {
            tally.count(&domain, allowance.observed.into_policies(&domain));
        }
        outcomes
    }

    async fn carry_by_routes(
        &self,
        domain: &Domain,
        mail: &Dispatch,
        allowance: &mut Allowance,
    ) -> Vec<(Address, Outcome)> {
        let routes = match &self.exchangers {
            Some(exchangers) => {
                let (until, configured) = (allowance.until(), self.router.configured(domain));
                let found = exchangers.routes(domain, configured, mail.passage, &mut allowance.observed);
                timeout_at(until, found)
                    .await
                    .unwrap_or_else(|_| Err(NoWay::NameServers("the look-ups took too long".to_owned())))
            }
            None => Err(NoWay::NameServers("no name server is configured".to_owned())),
        };
        let routes = match routes {
            Ok(routes) => routes,
            Err(why) => return unserved(mail, &trouble::no_way(&why)),
        };
        let mut best: Option<Vec<(Address, Outcome)>> = None;
        for route in routes {
            let carried = self.carry(mail, &route, allowance).await;
            if !carried.found_nobody && !carried.outcomes.iter().all(|(_, outcome)| is_for_another_host(outcome)) {
                return carried.outcomes;
            }
            // What may be put right outweighs what may not.
            let is_deferred = |outcomes: &Vec<(Address, Outcome)>| {
                outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Deferred(_)))
            };
            best = best.filter(is_deferred).or(Some(carried.outcomes));
            if allowance.is_spent() {
                break;
            }
        }
        best.unwrap_or_default()
    }

    /// One transaction. A session that had died while it rested is replaced, once, by a fresh one.
    async fn transact(
        &self,
        mail: &Dispatch,
        route: &Route,
        group: &mut [Party<'_>],
        allowance: &mut Allowance,
    ) -> Result<(), Stop> {
        let diagnose = |error: SessionError| trouble::session(&error, &route.hop.host);
        if allowance.is_spent() {
            return Err(Stop::Before(diagnose(SessionError::AttemptTooLong(Step::Connect))));
        }
        let mut lent = self.pool.lend(route, allowance).await.map_err(|error| Stop::Before(diagnose(error)))?;
        let mut fate = attempt(&mut lent.session, mail, group).await;
        if lent.is_reused && matches!(fate, Fate::DiedUnused(_)) {
            lent = self.pool.replace(lent, route, allowance).await.map_err(|error| Stop::Before(diagnose(error)))?;
            fate = attempt(&mut lent.session, mail, group).await;
        }
        self.part(lent, fate).map_err(|error| Stop::Within(diagnose(error)))
    }

    fn part(&self, lent: Lent, fate: Fate) -> Result<(), SessionError> {
        match fate {
            Fate::Reusable => self.pool.take_back(lent),
            Fate::Spent => {}
            Fate::Ended(error) | Fate::DiedUnused(error) => return Err(error),
        }
        Ok(())
    }
}

impl EndPauses for Relay {
    fn end_pauses(&self, domains: Option<&[Domain]>) {
        let at = |domain: &Domain| match self.router.way(Destination::Internet, Passage::Any, domain) {
            Ok(Way::Hop(route)) => route.hop.to_string(),
            Ok(Way::Mx) | Err(_) => domain.to_string(),
        };
        let these: Option<Vec<String>> = domains.map(|domains| domains.iter().map(at).collect());
        self.crowd.wake(these.as_deref());
    }
}

/// Why a transaction came to nothing.
enum Stop {
    /// There was no session: nobody was asked about the message.
    Before(Diagnosis),
    /// The session ended.
    Within(Diagnosis),
}

#[async_trait]
impl Transport for Relay {
    async fn deliver(&self, mail: &Dispatch) -> Vec<(Address, Outcome)> {
        let parts = self.parts(mail).into_iter().map(|(way, part)| async move {
            match way {
                Ok(Way::Hop(route)) => self.carry_by_hop(&part, &route).await,
                Ok(Way::Mx) => self.carry_by_mx(&part).await,
                Err(why) => unserved(&part, &trouble::no_way(&why)),
            }
        });
        futures_util::stream::iter(parts).buffer_unordered(DOMAINS).concat().await
    }
}

/// The same for all recipients. Where nothing proves who takes the mail, its sender is told at once if that is the
/// sender's own wish (RFC 8689 §4.1), and when its time is over if it is ours.
fn unserved(mail: &Dispatch, diagnosis: &Diagnosis) -> Vec<(Address, Outcome)> {
    let mut diagnosis = diagnosis.clone();
    if mail.passage == Passage::RequireTls && diagnosis.status == EnhancedStatus::new(4, 7, 10) {
        diagnosis.status = diagnosis.status.with_class(5);
    }
    let outcome = Outcome::unserved(diagnosis);
    mail.envelope.recipients.iter().map(|it| (it.address.clone(), outcome.clone())).collect()
}

fn is_for_another_host(outcome: &Outcome) -> bool {
    outcome.diagnosis().is_some_and(trouble::may_be_promised_elsewhere)
}

fn is_crowded_out(outcome: &Outcome) -> bool {
    outcome.diagnosis().is_some_and(trouble::is_crowded_out)
}
