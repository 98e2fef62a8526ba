//! The queue with an operator's hand on it, and with what is wrong in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealgate::config::{self, Files};
use sealgate::daemon::Kept;
use sealgate::delivery::{Delivery, Dispatch, Handover, Outcome, Transport, Worker};
use sealgate::mail::{Address, QueueId};
use sealgate::net::{Clock, Shutdown};
use sealgate::notify::{Post, Sheet};
use sealgate::queue::{Backoff, Filter, Stage};
use sealgate::texts::Language;
use serde_json::Value;

use crate::mail_sink::Sink;
use crate::operator::{id_in, send};
use crate::running::{Gateway, free, wait_until};

fn ids(listed: &Value) -> Vec<String> {
    listed.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Every verb of `sealgate queue`, asked of the running daemon and, with it stopped, of what is kept.
#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_the_queue_works_with_the_daemon_and_without() {
    let inside = Sink::start(true, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), free(), inside.address, "http://127.0.0.1:9");
    for runs in [true, false] {
        gateway.start();
        let [a, b, both] = [
            &["eva@live.example"][..],
            &["kund@bank.example"],
            &["eva@live.example", "kund@bank.example", "nils@bank.example"],
        ]
        .map(|to| id_in(&send(gateway.outbound, to, "Hej")));
        let all = [a.clone(), b.clone(), both.clone()];
        let attempts = |gateway: &Gateway, id: &str| {
            let shown = gateway.ask(&["queue", "show", id]);
            shown["recipients"].as_array().unwrap().iter().map(|r| r["attempts"].as_u64().unwrap()).min().unwrap()
        };
        wait_until("a first attempt of each", || all.iter().all(|id| attempts(&gateway, id) > 0));
        if !runs {
            gateway.kill();
        }
        let list = |words: &[&str]| ids(&gateway.ask(&[&["queue", "list"], words].concat()));
        let state = |id: &str| gateway.ask(&["queue", "show", id])["stage"].as_str().unwrap().to_owned();
        assert_eq!(list(&[]), all, "runs: {runs}");
        assert_eq!(list(&["--to", "BANK.example"]), [b.clone(), both.clone()]);
        assert_eq!(list(&["--to", "live.example", "--limit", "1"]), [a.clone()]);
        assert!(list(&["--to", "nobody.example"]).is_empty() && list(&["--stage", "held"]).is_empty());
        assert_eq!(list(&["--stage", "deferred"]), all);

        gateway.ask(&["queue", "hold", &a]);
        assert_eq!((state(&a).as_str(), list(&["--stage", "held"])), ("held", vec![a.clone()]));
        assert_eq!(list(&["--to", "live.example", "--stage", "deferred"]), [both.clone()]);
        let retried = gateway.ask(&["queue", "retry", "--to", "live.example"]);
        assert_eq!((retried["count"].as_u64(), ids_of(&retried)), (Some(1), vec![both.clone()]), "a held one is not");
        assert_eq!(gateway.ask(&["queue", "retry", "--all"])["count"], 2);
        assert_eq!(gateway.ask(&["queue", "retry", &b])["count"], 1);
        gateway.ask(&["queue", "release", &a]);
        assert!(list(&["--stage", "held"]).is_empty());
        let wrong = gateway.command(&["queue", "list", "--stage", "lost"]).output().unwrap();
        assert_eq!(wrong.status.code(), Some(64));
        for id in &all {
            assert_eq!(gateway.ask(&["queue", "drop", id, "--notify"])["told"], true);
        }
        let left = list(&[]);
        assert!(all.iter().all(|id| !left.contains(id)), "what is left are reports: {left:?}");
        if !runs {
            gateway.start();
        }
        wait_until("an empty queue", || ids(&gateway.ask(&["queue", "list"])).is_empty());
        let page = crate::faults::page(gateway.control, "/metrics").1;
        for stage in ["incoming", "active", "deferred", "held", "corrupt"] {
            let line = format!("sealgate_queue_messages{{kind=\"{stage}\"}} 0\n");
            assert!(page.contains(&line), "the counts come out even: {line} in {page}");
        }
        gateway.kill();
    }
}

fn ids_of(retried: &Value) -> Vec<String> {
    retried["retried"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Panics about one recipient, delivers to the others.
#[derive(Default)]
struct Poisoned {
    panics: AtomicU32,
    delivered: AtomicU32,
}

#[async_trait]
impl Transport for Poisoned {
    async fn deliver(&self, mail: &Dispatch) -> Vec<(Address, Outcome)> {
        let to = mail.envelope.recipients[0].address.clone();
        if to.local().as_str() == "poison" {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        }
        self.delivered.fetch_add(1, Ordering::SeqCst);
        let (remote, reply) = ("mx.example".to_owned(), "250 2.0.0 ok".to_owned());
        vec![(to, Outcome::Delivered(Delivery { handover: Handover::Final, remote, reply }))]
    }
}

async fn put(kept: &Kept, to: &str) -> QueueId {
    let sheet =
        Sheet { subject: "Hej".into(), language: Language::Sv, text: "Hej\n".into(), html: "<p>Hej</p>".into() };
    let post = Post::receipt(to.parse().unwrap(), sheet, kept.reporter.mailer().fresh_id().unwrap());
    let item = kept.reporter.mailer().prepare(post).await.unwrap();
    let id = item.id();
    kept.rows.commit(Box::new(move |tx| item.write(tx))).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_makes_us_panic_is_set_aside_and_the_others_flow() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let settings = config::load(&gateway.config(), Files::Start).unwrap().settings;
    let kept = Kept::open(&settings, Clock::System).unwrap();
    let poison = put(&kept, "poison@live.example").await;
    let transport = Arc::new(Poisoned::default());
    let worker = Worker {
        transport: Arc::clone(&transport) as _,
        schedule: kept.schedule.clone(),
        settlement: kept.settlement.clone(),
        inspector: kept.inspector.clone(),
        bodies: Arc::clone(&kept.bodies),
        warm: kept.spool.warm().clone(),
        vault: kept.vault.clone(),
        reporter: kept.reporter.clone(),
        journal: kept.journal.clone(),
        backoff: Backoff::default(),
        delay_warning: Duration::from_secs(3_600),
        // One place: a panic that took it with it would be the end of all delivery.
        at_once: 1,
        clock: Clock::System,
        metrics: kept.metrics.clone(),
    };
    let shutdown = Shutdown::new();
    shutdown.spawn(worker.run(shutdown.clone()));
    for number in 0..3 {
        put(&kept, &format!("p{number}@live.example")).await;
    }
    kept.schedule.ring();
    wait_until("the others", || transport.delivered.load(Ordering::SeqCst) == 3);
    let apart = || kept.inspector.list(&Filter { stage: Some(Stage::Corrupt), ..Filter::default() }).unwrap().items;
    wait_until("the poisoned one set aside", || apart().len() == 1);
    assert_eq!((apart()[0].id, transport.panics.load(Ordering::SeqCst)), (poison, 3));
    let event = kept.journal.trace(poison).unwrap().pop().unwrap();
    assert!(event.detail.contains("panics every time"), "{event:?}");
    wait_until("the alarm", || kept.metrics.corrupt.get() == 1);
    // A person may try again.
    kept.inspector.retry(poison).await.unwrap();
    kept.schedule.ring();
    wait_until("a new try", || transport.panics.load(Ordering::SeqCst) > 3);
    shutdown.begin();
    assert!(shutdown.finished(Duration::from_secs(20)).await);
}
