//! The delivery loop: attempts what is due, settles what came of it, tells senders what they want to know.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::delivery::kept::Kept;
use crate::delivery::outcome::{Delivery, Diagnosis, Handover, Outcome};
use crate::delivery::route::{Destination, Passage};
use crate::delivery::signing::Signing;
use crate::delivery::teller::Teller;
use crate::delivery::transport::{Dispatch, Transport};
use crate::delivery::trouble;
use crate::directory::{Certificates, Scope};
use crate::mail::{Address, Domain, Envelope};
use crate::net::{Clock, Shutdown, Steadiness, Time};
use crate::notify::Reporter;
use crate::policy::FixedKind;
use crate::queue::{
    Backoff, ConsignmentLease, Ended, Failure, Inspector, Item, Kind, QueueError, Schedule, Settlement, Telling,
    Untold, Warm,
};
use crate::records::{Entry, Event, EventKind, Journal};
use crate::sealing::{Content, NextHop};
use crate::sender_auth::Signers;
use crate::store::Bodies;
use crate::telemetry::{Labels, Metrics};
use crate::texts::say;
use crate::vault::{Vault, random_octets};

/// How long it is not noted again that a tunnel serves.
const SUCCESSES_APART: Duration = Duration::from_secs(3_600);
/// How long failures are gathered at most, before their sender is told of them.
const GATHER: Duration = Duration::from_secs(120);
/// How long to wait before an outcome that could not be settled is settled again.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Attempts deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    /// The means.
    pub transport: Arc<dyn Transport>,
    /// Who is due.
    pub schedule: Schedule,
    /// What became of it.
    pub settlement: Settlement,
    /// What an item was.
    pub inspector: Inspector,
    /// Kept octets.
    pub bodies: Arc<Bodies>,
    /// What leaves soon and is still in memory.
    pub warm: Warm,
    /// The lock.
    pub vault: Vault,
    /// Who tells senders.
    pub reporter: Reporter,
    /// What happened.
    pub journal: Journal,
    /// Who signs what leaves to the internet.
    pub signers: Signers,
    /// Whose tunnels are served.
    pub certificates: Certificates,
    /// When to try again.
    pub backoff: Backoff,
    /// After how long a delay is told.
    pub delay_warning: Duration,
    /// Messages in hand at the same time to the internet, and to our own mail server.
    pub at_once: [(NextHop, usize); 2],
    /// What time it is.
    pub clock: Clock,
    /// Whether it can be relied on: what is given up cannot be delivered any more.
    pub steadiness: Steadiness,
    /// What operations watch.
    pub metrics: Metrics,
}

/// What came of one attempt, sorted.
#[derive(Default)]
struct Sorted {
    delivered: Vec<(Address, Delivery)>,
    failed: Vec<Failure>,
    deferred: Vec<Failure>,
    /// What is deferred only waits for its turn.
    awaits_turn: bool,
}

impl Worker {
    /// Attempts until the end begins; attempts under way are finished. Each kind of next hop has its own places: where one
    /// hangs, mail to the other leaves.
    pub async fn run(self, shutdown: Shutdown) {
        let lines = self.at_once.map(|(hop, at_once)| self.run_line(hop, at_once, &shutdown));
        let teller = Teller {
            schedule: self.schedule.clone(),
            settlement: self.settlement.clone(),
            reporter: self.reporter.clone(),
            bodies: Arc::clone(&self.bodies),
            warm: self.warm.clone(),
            vault: self.vault.clone(),
            gather: self.gather(),
            clock: self.clock.clone(),
        };
        futures_util::future::join(futures_util::future::join_all(lines), teller.run(shutdown.clone())).await;
    }

    async fn run_line(&self, hop: NextHop, at_once: usize, shutdown: &Shutdown) {
        let places = Arc::new(Semaphore::new(at_once));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(lease) = self.schedule.next_consignment(hop, shutdown).await else { return };
            let (worker, end) = (self.clone(), shutdown.clone());
            shutdown.spawn(async move {
                let schedule = worker.schedule.clone();
                schedule.watch(lease.grip.clone(), worker.attempt(lease, &end)).await;
                drop(place);
            });
        }
    }

    async fn attempt(&self, mut lease: ConsignmentLease, shutdown: &Shutdown) {
        let outgoing = lease.consignment.outgoing.clone();
        let open = |place: &usize| lease.consignment.progress.get(*place).is_some_and(|p| p.ended.is_none());
        let places: Vec<usize> = (0..outgoing.envelope().recipients.len()).filter(open).collect();
        let recipients =
            places.iter().filter_map(|place| outgoing.envelope().recipients.get(*place).cloned()).collect();
        let content = outgoing.content().clone();
        let dispatch = Dispatch {
            id: lease.id,
            envelope: Envelope { recipients, ..outgoing.envelope().clone() },
            destination: match outgoing.next_hop() {
                NextHop::Internet => Destination::Internet,
                NextHop::MailServer => Destination::MailServer,
            },
            passage: match (outgoing.verified_tls(), outgoing.envelope().require_tls) {
                (true, _) => Passage::VerifiedTls,
                (false, true) => Passage::RequireTls,
                (false, false) => Passage::Any,
            },
            size: content.length(),
            has_eight_bit: content.has_eight_bit,
            has_utf8_header: content.has_utf8_header,
            is_tls_report: outgoing.is_tls_report(),
            contents: Arc::new(self.kept(content.clone())),
            signing: match outgoing.next_hop() {
                NextHop::Internet if outgoing.is_of_strangers() => None,
                NextHop::Internet => Some(Arc::new(Signing::new(self.signers.clone(), self.clock.clone()))),
                NextHop::MailServer => None,
            },
        };
        let outcomes = self.transport.deliver(&dispatch).await;
        let now = self.clock.now();
        let is_over = now >= lease.term.expires && self.steadiness.holds();
        let sorted = self.note(&mut lease, &places, outcomes, is_over);
        if let Some(domain) = outgoing.tunnel().filter(|_| !sorted.delivered.is_empty()) {
            self.note_success(domain, now).await;
        }
        self.settle_in_the_end(lease, &sorted, now, shutdown).await;
    }

    /// Notes that sealed mail was taken. To the hour will do, for whoever asks whether a tunnel serves.
    async fn note_success(&self, domain: &Domain, now: Time) {
        let scope = Scope::Domain(domain.clone());
        let last = self.certificates.last_success(&scope).unwrap_or_default();
        if last.is_some_and(|last| now < last.after(SUCCESSES_APART)) {
            return;
        }
        if let Err(fault) = self.certificates.note_success(&scope, now).await {
            tracing::warn!(%fault, "that a tunnel served cannot be noted");
        }
    }

    /// Settles an attempt. While it cannot be settled the lease is kept: given back, the same mail would be sent over and
    /// over. What passes (the disk, a key) is waited for; what does not is set aside with how far it has come.
    async fn settle_in_the_end(&self, mut lease: ConsignmentLease, sorted: &Sorted, now: Time, shutdown: &Shutdown) {
        let id = lease.id;
        let noted = lease.consignment.clone();
        let mut never: Option<String> = None;
        loop {
            let settled = match &never {
                None => self.settle(&mut lease, sorted, now).await,
                Some(reason) => self.set_aside(&lease, sorted, reason).await,
            };
            let Err(fault) = settled else { return };
            if shutdown.has_begun() {
                tracing::error!(item.id = %id, %fault, "what came of an attempt could not be settled before the end");
                return;
            }
            lease.consignment.clone_from(&noted);
            if fault.is_conflict() || matches!(fault, QueueError::NoSuchItem(_)) {
                // Ended by hand meanwhile: what is left of it, if anything, stands as the operator wants it.
                tracing::warn!(item.id = %id, %fault, "what came of an attempt is not wanted any more");
                return;
            }
            if fault.is_temporary() {
                tracing::error!(item.id = %id, %fault, "what came of an attempt cannot be settled yet");
            } else if never.is_none() {
                tracing::error!(item.id = %id, %fault, "what came of an attempt can never be settled; it is set aside");
                never = Some(fault.to_string());
                continue;
            } else {
                tracing::error!(item.id = %id, %fault, "what came of an attempt cannot be set aside yet");
            }
            tokio::select! {
                () = tokio::time::sleep(AFTER_FAULT) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// Sets an attempt aside, with what came of it.
    async fn set_aside(&self, lease: &ConsignmentLease, sorted: &Sorted, reason: &str) -> Result<(), QueueError> {
        let entries = self.events(lease, sorted)?;
        self.settlement.set_aside_attempted(lease, entries, reason).await
    }

    /// Notes each outcome in the consignment.
    fn note(
        &self,
        lease: &mut ConsignmentLease,
        places: &[usize],
        outcomes: Vec<(Address, Outcome)>,
        is_over: bool,
    ) -> Sorted {
        let mut sorted = Sorted { awaits_turn: true, ..Sorted::default() };
        let recipients = lease.consignment.outgoing.envelope().recipients.clone();
        for place in places {
            let (Some(recipient), Some(progress)) =
                (recipients.get(*place), lease.consignment.progress.get_mut(*place))
            else {
                continue;
            };
            let Some((_, outcome)) = outcomes.iter().find(|(address, _)| *address == recipient.address) else {
                continue;
            };
            progress.delayed = None;
            match outcome {
                Outcome::Delivered(delivery) => {
                    progress.ended = Some(Ended::Delivered);
                    progress.last_reply = Some(delivery.reply.clone());
                    sorted.delivered.push((recipient.address.clone(), delivery.clone()));
                }
                Outcome::Failed(diagnosis) => {
                    progress.ended = Some(Ended::Failed);
                    progress.last_reply = Some(diagnosis.to_string());
                    sorted.failed.push(self.failure(&recipient.address, diagnosis, false));
                }
                Outcome::Deferred(diagnosis) => {
                    sorted.awaits_turn &= trouble::is_turn_to_come(diagnosis);
                    progress.last_reply = Some(diagnosis.to_string());
                    if is_over {
                        progress.ended = Some(Ended::Failed);
                        sorted.failed.push(self.failure(&recipient.address, diagnosis, true));
                    } else {
                        let waits = self.failure(&recipient.address, diagnosis, false);
                        progress.delayed = Some(waits.clone());
                        sorted.deferred.push(waits);
                    }
                }
            }
        }
        let count = |kind: &'static str, number: usize| {
            self.metrics.attempts.get_or_create(&Labels::of(kind)).inc_by(number as u64)
        };
        count("delivered", sorted.delivered.len());
        count("failed", sorted.failed.len());
        count("deferred", sorted.deferred.len());
        log(lease, &outcomes);
        sorted
    }

    fn failure(&self, address: &Address, diagnosis: &Diagnosis, is_over: bool) -> Failure {
        let house = self.reporter.mailer().house();
        let language = house.head.language;
        let unsaid = || self.reporter.reason_unsaid(&diagnosis.status.to_string());
        let mut reason = diagnosis.reply.clone().unwrap_or_else(unsaid);
        if is_over {
            reason = format!("{}; {reason}", say(language, "reason-expired", &[]));
        }
        let status = if is_over { diagnosis.status.with_class(5).to_string() } else { diagnosis.status.to_string() };
        Failure {
            address: address.clone(),
            status,
            diagnostic: diagnosis.reply.clone(),
            remote: diagnosis.remote.clone(),
            reason,
            note: match &diagnosis.remote {
                Some(remote) => format!("{remote}: {diagnosis}"),
                None => diagnosis.to_string(),
            },
        }
    }

    async fn settle(&self, lease: &mut ConsignmentLease, sorted: &Sorted, now: Time) -> Result<(), QueueError> {
        let entries = self.events(lease, sorted)?;
        let [stored, relayed] = [Handover::Final, Handover::Relayed].map(|how| succeeded(lease, sorted, how));
        let backoff = if sorted.awaits_turn { self.backoff.for_a_turn() } else { self.backoff };
        let next = backoff.next(now, lease.term.attempts + 1, chance());
        // It may live longer than its time where the clock has jumped.
        let again = if now < lease.term.expires { next.min(lease.term.expires) } else { next };
        let mut telling = Telling {
            untold: Untold { failed: sorted.failed.clone(), stored, relayed },
            is_late: !sorted.deferred.is_empty() && now >= lease.term.created.after(self.delay_warning),
            gather: self.gather(),
        };
        let is_to_tell = telling.is_late || !telling.untold.is_empty();
        // Of an item that cannot be read nobody could be told: that is found out before anything is settled.
        let item = is_to_tell.then(|| self.inspector.item(lease.id)).transpose()?;
        if !sorted.failed.is_empty() && item.as_ref().is_some_and(is_answer) {
            // A person's answer is never thrown away: it waits for an operator.
            tracing::error!(item.id = %lease.id, "an answer could not be delivered to its department and is held");
            reopen(lease);
            telling.untold.failed.clear();
            self.settlement.hold(lease, &telling, entries).await?;
        } else {
            self.settlement.settle(lease, again, &telling, entries).await?;
        }
        if is_to_tell {
            self.schedule.ring();
        }
        Ok(())
    }

    /// Not so long that what was put off meanwhile is attempted again before.
    fn gather(&self) -> Duration {
        GATHER.min(self.backoff.minimal / 2)
    }

    /// One event for each kind of outcome.
    fn events(&self, lease: &ConsignmentLease, sorted: &Sorted) -> Result<Vec<Entry>, QueueError> {
        let mut entries = Vec::new();
        let about = |kind: EventKind| Event::new(kind).about(lease.id);
        if let Some((_, first)) = sorted.delivered.first() {
            let mut event = about(EventKind::Delivered).detail(counted(sorted.delivered.len()));
            event.told.recipients = sorted.delivered.iter().map(|(address, _)| address.to_string()).collect();
            event.told.note = format!("{}: {}", first.remote, first.reply);
            entries.push(self.journal.entry(event)?);
        }
        for (kind, failures) in [(EventKind::Failed, &sorted.failed), (EventKind::Deferred, &sorted.deferred)] {
            if let Some(first) = failures.first() {
                let mut event = about(kind).detail(format!("{}, {}", counted(failures.len()), first.status));
                event.told.recipients = failures.iter().map(|failure| failure.address.to_string()).collect();
                event.told.note = first.note.clone();
                entries.push(self.journal.entry(event)?);
            }
        }
        Ok(entries)
    }

    fn kept(&self, content: Content) -> Kept {
        Kept::new(content, Arc::clone(&self.bodies), self.vault.clone(), self.warm.clone())
    }
}

/// Deliveries of this kind whose sender wants to hear of them (RFC 3461 §5.2).
fn succeeded(lease: &ConsignmentLease, sorted: &Sorted, how: Handover) -> Vec<Failure> {
    let wants = |address: &Address| {
        let recipients = &lease.consignment.outgoing.envelope().recipients;
        let wishes = recipients.iter().find(|r| r.address == *address).and_then(|r| r.notify);
        wishes.is_some_and(|wishes| wishes.success)
    };
    let those = sorted.delivered.iter().filter(|(address, delivery)| delivery.handover == how && wants(address));
    those
        .map(|(address, delivery)| Failure {
            address: address.clone(),
            status: "2.0.0".to_owned(),
            diagnostic: Some(delivery.reply.clone()),
            remote: Some(delivery.remote.clone()),
            reason: delivery.reply.clone(),
            note: delivery.reply.clone(),
        })
        .collect()
}

/// One line for each kind of outcome, with the first one's cause. The peer's own words may name people.
fn log(lease: &ConsignmentLease, outcomes: &[(Address, Outcome)]) {
    let id = lease.id;
    let (mut delivered, mut failed, mut deferred) = (Vec::new(), Vec::new(), Vec::new());
    for (_, outcome) in outcomes {
        match outcome {
            Outcome::Delivered(delivery) => delivered.push(&delivery.remote),
            Outcome::Failed(diagnosis) => failed.push(diagnosis),
            Outcome::Deferred(diagnosis) => deferred.push(diagnosis),
        }
    }
    if let Some(remote) = delivered.first() {
        tracing::info!(item.id = %id, recipients = delivered.len(), remote, "delivered");
    }
    if let Some(reason) = failed.first() {
        tracing::warn!(item.id = %id, recipients = failed.len(), ?reason, remote = reason.remote, "failed");
    }
    if let Some(reason) = deferred.first() {
        tracing::warn!(item.id = %id, recipients = deferred.len(), ?reason, remote = reason.remote, "deferred");
    }
}

fn counted(recipients: usize) -> String {
    format!("{recipients} {}", if recipients == 1 { "recipient" } else { "recipients" })
}

fn is_answer(item: &Item) -> bool {
    matches!(item.kind, Kind::Written { kind: FixedKind::Answer, .. })
}

/// What failed is open again.
fn reopen(lease: &mut ConsignmentLease) {
    for progress in &mut lease.consignment.progress {
        if progress.ended == Some(Ended::Failed) {
            progress.ended = None;
        }
    }
}

fn chance() -> u8 {
    random_octets::<1>().map_or(128, |[octet]| octet)
}
