//! The queue under a long random walk: the carrier's and the delivery's work, an operator's hand in the middle of it, and
//! restarts. Whatever happens, what stands beside the items agrees with them, and what is held does not leave.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use sealgate::config::{self, Files};
use sealgate::daemon::Kept;
use sealgate::mail::{Envelope, QueueId, Returned, ReversePath};
use sealgate::net::{Clock, Shutdown};
use sealgate::notify::ReportKind;
use sealgate::policy::{FixedKind, Verdict};
use sealgate::queue::{
    ConsignmentLease, Ended, Exchange, Failure, Filter, IncomingLease, Item, Kind, NewItem, Origin, QueueError,
    RecipientState, Smime, Stage, Summary, Telling,
};
use sealgate::records::{Event, EventKind};
use sealgate::sealing::{Content, NextHop, Outgoing};
use sealgate::store::Table;

use crate::running::{Gateway, free};

const STEPS: usize = 300;
/// One recipient to a consignment: so each key of what is due stands for one recipient.
const RECIPIENTS: usize = 3;

struct Walk {
    kept: Kept,
    ids: Vec<QueueId>,
    incoming: Vec<IncomingLease>,
    consigned: Vec<ConsignmentLease>,
    dice: u64,
    ends: Shutdown,
}

fn open(folder: &Path) -> Kept {
    let settings = config::load(&folder.join("sealgate.toml"), Files::Start).unwrap().settings;
    Kept::open(&settings, Clock::System).unwrap()
}

impl Walk {
    fn of(folder: &Path) -> Self {
        Gateway::found(folder, free(), free(), "http://127.0.0.1:9");
        let dice = std::env::var("SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
        println!("SEED={dice}");
        let (ids, incoming, consigned) = (Vec::new(), Vec::new(), Vec::new());
        Self { kept: open(folder), ids, incoming, consigned, dice, ends: Shutdown::new() }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % sides
    }

    fn keys(&self, table: &'static str) -> Vec<Vec<u8>> {
        self.kept.rows.keys(Table(table), Bound::Unbounded, Bound::Unbounded, 10_000).unwrap()
    }

    /// Takes a message; each recipient waits for the carrier.
    async fn take(&mut self) -> QueueId {
        let kept = &self.kept;
        let id = kept.reporter.mailer().fresh_id().unwrap();
        let recipients: Vec<_> =
            (0..RECIPIENTS).map(|number| format!("p{number}@live.example").parse().unwrap()).collect();
        let body = kept.spool.keep(b"Subject: Hej\r\n\r\nHej\r\n").await.unwrap();
        let content = Content {
            head: Vec::new(),
            skip: 0,
            body: body.body_ref().clone(),
            has_eight_bit: false,
            has_utf8_header: false,
        };
        let item = Item {
            kind: Kind::Mail { content: content.clone(), portal: content },
            origin: Origin::Outbound,
            verdict: Verdict::fixed(FixedKind::Notice, &recipients),
            states: vec![RecipientState::Waiting; RECIPIENTS],
            summary: Summary::default(),
            envelope: Envelope::plain(ReversePath::Null, recipients),
            sender_is_proven: false,
            smime: Smime::None,
        };
        let now = Clock::System.now();
        let expires = now.after(Duration::from_secs(86_400));
        let new = NewItem { id, item, body, created: now, expires, outgoings: Vec::new(), entries: Vec::new() };
        let item = new.prepare(&kept.vault).unwrap();
        kept.rows.commit(Box::new(move |tx| item.write(tx))).await.unwrap();
        self.ids.push(id);
        id
    }

    /// What is due for the carrier, if anything is.
    async fn next_incoming(&self) -> Option<IncomingLease> {
        tokio::time::timeout(Duration::from_millis(2), self.kept.schedule.next_incoming(&self.ends)).await.ok()?
    }

    async fn next_consignment(&mut self) -> Option<ConsignmentLease> {
        let hop = [NextHop::Internet, NextHop::MailServer][self.roll(2)];
        tokio::time::timeout(Duration::from_millis(2), self.kept.schedule.next_consignment(hop, &self.ends))
            .await
            .ok()?
    }

    fn part(item: &Item, place: usize, hop: NextHop) -> Outgoing {
        let Kind::Mail { content, .. } = &item.kind else { panic!("no mail") };
        let recipients = vec![item.envelope.recipients[place].clone()];
        let kind = if hop == NextHop::Internet { FixedKind::Notice } else { FixedKind::Receipt };
        Outgoing::written(kind, Envelope { recipients, ..item.envelope.clone() }, content.clone())
    }

    /// The carrier comes to an end with a message.
    async fn carry(&mut self, lease: IncomingLease) -> Result<(), QueueError> {
        let item = lease.item.clone();
        let mut exchange = Exchange::of(lease);
        for (place, state) in item.states.iter().enumerate().filter(|(_, state)| state.is_waiting()) {
            match self.roll(6) {
                0 => exchange.mark(&[place], &RecipientState::Deposited),
                1 => exchange.mark(&[place], &RecipientState::Held { reason: "a rule".into() }),
                2 => {
                    exchange.mark(&[place], &RecipientState::Delayed { reason: "not now".into() });
                    exchange.again(Clock::System.now().after(Duration::from_secs(3_600)));
                }
                3 => exchange.send(Self::part(&item, place, NextHop::MailServer), &[place]),
                4 => exchange.send(Self::part(&item, place, NextHop::Internet), &[place]),
                _ => exchange.mark(&[place], state),
            }
        }
        self.kept.settlement.commit(exchange).await
    }

    /// An attempt comes to an end.
    async fn settle(&mut self, mut lease: ConsignmentLease) -> Result<(), QueueError> {
        let how = self.roll(8);
        if matches!(how, 0..=3 | 7) {
            lease.consignment.progress[0].ended = Some(if how == 0 { Ended::Failed } else { Ended::Delivered });
        }
        let settlement = &self.kept.settlement;
        let later = Clock::System.now().after(Duration::from_secs(3_600));
        match how {
            6 => settlement.hold(&lease, &Telling::default(), Vec::new()).await,
            7 => settlement.set_aside_attempted(&lease, Vec::new(), "a test").await,
            5 if self.dice & 1 == 0 => settlement.set_aside(&lease.grip, "a test").await,
            _ => settlement.settle(&lease, later, &Telling::default(), Vec::new()).await,
        }
    }

    /// An operator does something with an item; what is gone or was changed meanwhile is no fault.
    async fn interfere(&mut self, verb: usize) {
        let place = self.roll(self.ids.len());
        let id = self.ids[place];
        let inspector = self.kept.inspector.clone();
        let done = match verb {
            0 => inspector.hold(id).await,
            1 => match inspector.holds(id) {
                Ok(true) => inspector.release(id).await,
                Ok(false) | Err(_) => Ok(()),
            },
            2 => inspector.retry(id).await,
            3 => {
                let waiting = inspector.waiting(Some(&"live.example".parse().unwrap())).unwrap();
                inspector.retry_all(&waiting.ids, Some(&"live.example".parse().unwrap())).await.map(|_| ())
            }
            _ => inspector.remove(id, Vec::new(), Event::new(EventKind::Dropped).about(id)).await,
        };
        allowed(done);
    }

    fn check(&self, step: usize) {
        let items = self.kept.inspector.list(&Filter::default()).unwrap().items;
        let mut counted: BTreeMap<Stage, u64> = BTreeMap::new();
        for item in &items {
            *counted.entry(item.stage).or_default() += 1;
        }
        let mut counts = self.kept.inspector.census().unwrap().items;
        counts.retain(|_, count| *count > 0);
        assert_eq!(counts, counted, "step {step}: how many stand at each stage");
        for stage in Stage::ALL {
            let found = self.kept.inspector.list(&Filter { stage: Some(stage), ..Filter::default() }).unwrap().items;
            assert_eq!(found.len() as u64, counted.get(&stage).copied().unwrap_or(0), "step {step}: {stage:?}");
        }
        let to = Some("live.example".parse().unwrap());
        let found = self.kept.inspector.list(&Filter { to, ..Filter::default() }).unwrap().items;
        assert_eq!(found.len(), items.len(), "step {step}: by domain");
        // Each key of what is due stands for one that is due, and the other way round.
        let mut due: Vec<QueueId> = Vec::new();
        for table in ["queue.due", "queue.due_inside"] {
            due.extend(self.keys(table).iter().map(|key| QueueId::from_bytes(key[8..24].try_into().unwrap())));
        }
        due.sort();
        let consigned = |id: QueueId| {
            let (_, consignments) = self.kept.inspector.item_and_consignments(id).unwrap();
            consignments
                .iter()
                .filter(|it| !it.has_ended())
                .map(|it| it.outgoing.envelope().recipients[0].address.to_string())
                .collect::<Vec<_>>()
        };
        let mut wanted: Vec<QueueId> = Vec::new();
        for item in &items {
            let open = consigned(item.id);
            let is_due =
                |address: &String| item.recipients.iter().any(|it| it.address == *address && it.next_attempt.is_some());
            wanted.extend(open.iter().filter(|address| is_due(address)).map(|_| item.id));
        }
        wanted.sort();
        assert_eq!(due, wanted, "step {step}: what is due");
    }
}

fn allowed(done: Result<(), QueueError>) {
    match done {
        Ok(()) | Err(QueueError::NoSuchItem(_)) => {}
        Err(fault) if fault.is_conflict() => {}
        Err(fault) => panic!("{fault}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_while_a_message_is_carried_lets_nothing_leave() {
    let folder = tempfile::tempdir().unwrap();
    let mut walk = Walk::of(folder.path());
    let id = walk.take().await;
    let lease = walk.next_incoming().await.unwrap();
    walk.kept.inspector.hold(id).await.unwrap();
    let item = lease.item.clone();
    let mut exchange = Exchange::of(lease);
    exchange.send(Walk::part(&item, 0, NextHop::Internet), &[0]);
    exchange.mark(&[1, 2], &RecipientState::Deposited);
    assert!(walk.kept.settlement.commit(exchange).await.is_err_and(|fault| fault.is_conflict()));
    assert!(walk.kept.inspector.is_held(id).unwrap() && walk.keys("queue.due").is_empty());
    walk.check(0);
    walk.kept.inspector.release(id).await.unwrap();
    walk.kept.schedule.ring();
    let again = walk.next_incoming().await.unwrap();
    assert_eq!(again.item.states, [RecipientState::Waiting, RecipientState::Waiting, RecipientState::Waiting]);
}

/// The sender who requires TLS all the way requires it of what is told about the message (RFC 8689 §5).
#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_protected_like_the_message_it_is_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut walk = Walk::of(folder.path());
    for (origin, hop, sender) in [
        (Origin::Outbound, NextHop::MailServer, "anna@sundby.example"),
        (Origin::Inbound, NextHop::Internet, "eva@live.example"),
    ] {
        for require_tls in [true, false] {
            let id = walk.take().await;
            let mut item = walk.next_incoming().await.unwrap().item;
            walk.kept.inspector.hold(id).await.unwrap();
            (item.origin, item.sender_is_proven) = (origin, true);
            item.envelope.sender = ReversePath::Mailbox(sender.parse().unwrap());
            item.envelope.require_tls = require_tls;
            let failure = Failure {
                address: item.envelope.recipients[0].address.clone(),
                status: "5.1.1".into(),
                diagnostic: None,
                remote: None,
                reason: "who?".into(),
                note: String::new(),
            };
            let reporter = walk.kept.reporter.clone();
            let now = Clock::System.now();
            let about = [failure];
            let written = reporter.report(id, &item, now, ReportKind::Failed, &about, Returned::default()).await;
            let (written, _) = written.unwrap();
            for report in written {
                walk.kept.rows.commit(Box::new(move |tx| report.write(tx))).await.unwrap();
            }
            walk.kept.schedule.ring();
            let lease = walk.kept.schedule.next_consignment(hop, &walk.ends).await.unwrap();
            assert_eq!(lease.consignment.outgoing.envelope().require_tls, require_tls, "{hop:?}");
            walk.kept.inspector.remove(lease.id, Vec::new(), Event::new(EventKind::Dropped)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_beside_the_items_agrees_with_them_whatever_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut walk = Walk::of(folder.path());
    for step in 0..STEPS {
        match walk.roll(14) {
            0 | 1 => _ = walk.take().await,
            2 | 3 => walk.incoming.extend(walk.next_incoming().await),
            4..=6 => {
                let lease = walk.next_consignment().await;
                walk.consigned.extend(lease);
            }
            7 | 8 if !walk.incoming.is_empty() => {
                let place = walk.roll(walk.incoming.len());
                let lease = walk.incoming.swap_remove(place);
                let done = walk.carry(lease).await;
                allowed(done);
            }
            9 | 10 if !walk.consigned.is_empty() => {
                let place = walk.roll(walk.consigned.len());
                let lease = walk.consigned.swap_remove(place);
                let done = walk.settle(lease).await;
                allowed(done);
            }
            11 | 12 if !walk.ids.is_empty() => {
                let verb = [0, 0, 0, 1, 1, 1, 2, 3, 4][walk.roll(9)];
                walk.interfere(verb).await;
            }
            13 if walk.roll(8) == 0 => {
                // As after a crash: every lease is given back, what was committed stands.
                walk.incoming.clear();
                walk.consigned.clear();
                let Walk { kept, ids, dice, ends, .. } = walk;
                drop(kept);
                walk = Walk { kept: open(folder.path()), ids, incoming: Vec::new(), consigned: Vec::new(), dice, ends };
            }
            _ => continue,
        }
        walk.check(step);
    }
    // In the end a person lets all of it go, and nothing is left.
    walk.incoming.clear();
    walk.consigned.clear();
    for id in walk.ids.clone() {
        if walk.kept.inspector.holds(id).unwrap_or(false) {
            walk.kept.inspector.release(id).await.unwrap();
        }
        allowed(walk.kept.inspector.retry(id).await);
    }
    walk.kept.schedule.ring();
    let mut idle = 0;
    while idle < 40 {
        let mut has_worked = false;
        if let Some(lease) = walk.next_incoming().await {
            let item = lease.item.clone();
            let mut exchange = Exchange::of(lease);
            for (place, _) in item.states.iter().enumerate().filter(|(_, state)| state.is_waiting()) {
                exchange.send(Walk::part(&item, place, NextHop::Internet), &[place]);
            }
            walk.kept.settlement.commit(exchange).await.unwrap();
            has_worked = true;
        }
        if let Some(mut lease) = walk.next_consignment().await {
            lease.consignment.progress[0].ended = Some(Ended::Delivered);
            walk.kept.settlement.settle(&lease, Clock::System.now(), &Telling::default(), Vec::new()).await.unwrap();
            has_worked = true;
        }
        idle = if has_worked { 0 } else { idle + 1 };
    }
    walk.check(STEPS);
    let left = walk.kept.inspector.list(&Filter::default()).unwrap().items;
    assert!(left.is_empty(), "{left:?}");
}
