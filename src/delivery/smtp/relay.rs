//! Relay over SMTP or LMTP: the transport to a smarthost and to our own mail server.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;

use crate::delivery::config::Settings;
use crate::delivery::error::SessionError;
use crate::delivery::outcome::{Diagnosis, Outcome};
use crate::delivery::route::{Route, Router};
use crate::delivery::smtp::connect::{Caller, Resolver, SystemResolver};
use crate::delivery::smtp::pool::{Lent, Pool};
use crate::delivery::smtp::transaction::{Fate, Party, attempt};
use crate::delivery::smtp::wire::Patience;
use crate::delivery::transport::{Dispatch, Transport};
use crate::delivery::trouble;
use crate::mail::{Address, Recipient};
use crate::net::{ClientTls, ClientTlsError};

/// Recipients of one transaction: what every server takes (RFC 5321 §4.5.3.1.8). It also bounds a pipelined group.
const RECIPIENTS: usize = 100;

/// Hands mail to the next hop of its route.
pub struct Relay {
    router: Router,
    pool: Pool,
}

impl Relay {
    /// A relay by these settings, with the machine's resolver and the standard's patience.
    ///
    /// # Errors
    /// `ca_file` is unreadable or has no root.
    pub fn new(settings: Settings) -> Result<Self, ClientTlsError> {
        let tls = ClientTls::new(settings.ca_file.as_deref())?;
        Ok(Self::with(settings, tls, Arc::new(SystemResolver), Patience::STANDARD))
    }

    /// A relay whose trust, resolver and patience are given; `settings.ca_file` is not read.
    #[must_use]
    pub fn with(settings: Settings, tls: ClientTls, resolver: Arc<dyn Resolver>, patience: Patience) -> Self {
        let caller = Caller { hostname: settings.hostname.clone(), tls, patience };
        let pool = Pool::new(caller, resolver, settings.bounds);
        Self { router: Router::new(settings), pool }
    }

    /// Takes leave of the peers whose sessions rest.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// All recipients, by as many transactions as it takes. The first that ends its session settles those behind it.
    async fn carry(&self, mail: &Dispatch, route: &Route) -> Vec<(Address, Outcome)> {
        let mut outcomes = Vec::with_capacity(mail.envelope.recipients.len());
        let mut due: VecDeque<&Recipient> = mail.envelope.recipients.iter().collect();
        while !due.is_empty() {
            let mut group: Vec<Party<'_>> = due.drain(..due.len().min(RECIPIENTS)).map(Party::new).collect();
            let ended = self.transact(mail, route, &mut group).await.err();
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
        outcomes
    }

    /// One transaction. A session that had died while it rested is replaced, once, by a fresh one.
    async fn transact(&self, mail: &Dispatch, route: &Route, group: &mut [Party<'_>]) -> Result<(), Diagnosis> {
        let diagnose = |error: SessionError| trouble::session(&error, &route.hop.host);
        let mut lent = self.pool.lend(route).await.map_err(diagnose)?;
        let mut fate = attempt(&mut lent.session, mail, group).await;
        if lent.is_reused && matches!(fate, Fate::DiedUnused(_)) {
            lent = self.pool.replace(lent, route).await.map_err(diagnose)?;
            fate = attempt(&mut lent.session, mail, group).await;
        }
        self.part(lent, fate).map_err(diagnose)
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

#[async_trait]
impl Transport for Relay {
    async fn deliver(&self, mail: &Dispatch) -> Vec<(Address, Outcome)> {
        match self.router.route(mail.destination, mail.passage) {
            Ok(route) => self.carry(mail, &route).await,
            Err(why) => {
                let outcome = Outcome::unserved(trouble::no_way(why));
                mail.envelope.recipients.iter().map(|it| (it.address.clone(), outcome.clone())).collect()
            }
        }
    }
}

fn is_crowded_out(outcome: &Outcome) -> bool {
    outcome.diagnosis().is_some_and(trouble::is_crowded_out)
}
