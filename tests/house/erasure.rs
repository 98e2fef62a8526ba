//! The end of an epoch: its identity goes when nobody can read anything of it any more; what outlives it moves on.

use std::time::Duration;

use sealgate::config::{self, Files, Settings};
use sealgate::daemon::Kept;
use sealgate::flow::Bearing;
use sealgate::mailboxes::{Draft, DraftFile, Identified};
use sealgate::net::{Clock, Time};
use sealgate::queue::{Answer, AnswerIntake};
use sealgate::records::EventKind;
use sealgate::store::{Table, decode_row, encode_row, lock_value, unlock_value};
use sealgate::vault::Token;

use crate::faults::damage_the_first_row;
use crate::mail_sink::Sink;
use crate::operator::{id_in, send};
use crate::route::decoded;
use crate::running::{Gateway, wait_until};

const POLICIES: Table = Table("delivery.sts");
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is kept, opened without a daemon at a moment of our choosing.
fn open(settings: &Settings, clock: &Clock) -> Kept {
    Kept::open(settings, clock.clone()).unwrap()
}

/// Eva, as her e-ID says.
fn eva() -> Identified {
    Identified {
        provider: "freja".into(),
        issuer: "https://freja.example".into(),
        subject: "eva".into(),
        name: "Eva".into(),
        level: "loa3".into(),
        number: None,
    }
}

/// The token in a notice's link.
fn token_in(notice: &[u8]) -> Token {
    let notice = String::from_utf8_lossy(notice).replace("=\r\n", "").replace("=\n", "");
    notice.split("/m/").nth(1).unwrap()[..26].parse().unwrap()
}

/// The department's mailbox is gone: an answer to it waits for an operator, and its author is told if it is given up.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_takes_is_held_and_its_author_hears_if_it_is_dropped() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &["-f", "rcpt"]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    wait_until("the notice", || outside.messages().len() == 1);
    gateway.kill();

    let settings = config::load(&gateway.config(), Files::Start).unwrap().settings;
    let kept = open(&settings, &Clock::System);
    let claim = kept.post_box.claim(&token_in(&outside.messages()[0]), &eva()).await.unwrap().unwrap();
    let answer = Answer {
        message: claim.id.message,
        recipient: claim.id.place,
        author: "Eva".into(),
        provider: "freja".into(),
        level: "loa3".into(),
        number_verified: false,
        subject: "Sv: Hej".into(),
        text: "Tack".into(),
        attachments: Vec::new(),
        language: "sv".into(),
        form: Token::random().unwrap(),
    };
    // Sent twice at once, and once more after a restart: one answer.
    let answers = kept.answers();
    let (one, other) = tokio::join!(answers.answer(answer.clone()), answers.answer(answer.clone()));
    let id = one.unwrap();
    assert_eq!(other.unwrap(), id);
    drop((answers, kept));
    let kept = open(&settings, &Clock::System);
    assert_eq!(kept.answers().answer(answer).await.unwrap(), id);
    assert_eq!(kept.post_box.outbox(claim.person).unwrap().len(), 1);
    drop(kept);
    let id = id.to_string();

    gateway.start();
    let stage = || gateway.ask(&["queue", "show", &id])["stage"].clone();
    wait_until("the answer being held", || stage() == "held");
    gateway.ask(&["queue", "drop", &id, "--notify"]);
    wait_until("the word to its author", || {
        let letter = outside.messages().pop().unwrap_or_default();
        decoded(&String::from_utf8_lossy(&letter)).contains("Ditt svar kom inte fram")
    });
}

/// One row nobody can read stands in nobody's way: the others are listed, told of and ended, and so is it.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_does_not_stop_the_others() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let damaged = id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    wait_until("the first notice", || outside.messages().len() == 1);
    let whole = id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej igen"));
    wait_until("notices and receipts", || outside.messages().len() == 2 && inside.messages().len() == 2);
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    gateway.kill();
    damage_the_first_row(&gateway, Table("mailboxes.stored")).await;

    let listed = gateway.ask(&["message", "list"]);
    let state = |id: &str| {
        let message = listed.as_array().unwrap().iter().find(|message| message["id"] == id).unwrap();
        (message["recipients"][0]["state"].clone(), message["recipients"][0]["damaged"].clone())
    };
    assert_eq!(state(&damaged), ("noticed".into(), true.into()));
    assert_eq!(state(&whole), ("noticed".into(), false.into()));

    let settings = config::load(&gateway.config(), Files::Start).unwrap().settings;
    let now = Clock::System.now();
    let set = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(now.unix_ms()));
    let at = |time: Time| set.store(time.unix_ms(), std::sync::atomic::Ordering::SeqCst);
    let kept = open(&settings, &Clock::Set(std::sync::Arc::clone(&set)));
    // Eva finds the one that can be read.
    let claim = kept.post_box.claim(&token_in(&outside.messages()[1]), &eva()).await.unwrap().unwrap();
    assert_eq!(kept.post_box.inbox(claim.person).unwrap().len(), 1);
    let events = |kept: &Kept| -> Vec<EventKind> {
        kept.journal.from(0, 1_000).unwrap().iter().map(|event| event.kind).collect()
    };
    let count = |kept: &Kept, kind: EventKind| events(kept).iter().filter(|found| **found == kind).count();
    at(now.after(DAY * 29));
    for _ in 0..2 {
        kept.sweeper().sweep().await.unwrap();
    }
    assert_eq!(count(&kept, EventKind::Corrupt), 1, "told once");
    assert_eq!(count(&kept, EventKind::Receipt), 3, "the sender hears that one is unread, once");
    at(now.after(DAY * 31));
    kept.sweeper().sweep().await.unwrap();
    assert_eq!(count(&kept, EventKind::Expired), 2);
    assert!(kept.post_box.inbox(claim.person).unwrap().is_empty());
    assert!(kept.post_box.all(10).unwrap().iter().all(|found| found.milestones.ended.is_some()));
    assert!(kept.metrics.render().contains("sealgate_corrupt_total 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_ends_after_its_last_message_and_takes_everything_but_ties_threads_and_drafts() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let id = id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    wait_until("notice and receipt", || outside.messages().len() == 1 && !inside.messages().is_empty());
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    gateway.kill();

    let settings = config::load(&gateway.config(), Files::Start).unwrap().settings;
    let now = Clock::System.now();
    let set = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(now.unix_ms()));
    let clock = Clock::Set(std::sync::Arc::clone(&set));
    let at = |time: Time| set.store(time.unix_ms(), std::sync::atomic::Ordering::SeqCst);
    let kept = open(&settings, &clock);
    let first = kept.vault.locker().epoch();

    // Eva comes by the link and begins an answer with a file; what she wrote could bounce, and be answered.
    let claim = kept.post_box.claim(&token_in(&outside.messages()[0]), &eva()).await.unwrap().unwrap();
    let mut upload = kept.post_box.upload().unwrap();
    let content = b"en bilaga ".repeat(40_000);
    upload.write(&content).await.unwrap();
    let file = upload.finish().await.unwrap();
    let named = DraftFile { name: "a.txt".into(), media_type: "text/plain".into(), body: file.body_ref().clone() };
    let draft = Draft { subject: "Sv: Hej".into(), text: "Tack".into(), files: vec![named], saved: 0 };
    kept.post_box.save_draft(claim.person, claim.id, draft, vec![file], Vec::new()).await.unwrap();
    let address = "eva@live.example".parse().unwrap();
    let thread = Bearing::Thread {
        about: claim.id.message,
        place: claim.id.place,
        recipient: address,
        person: *claim.person.as_bytes(),
    };
    let bounce =
        Bearing::Bounce { about: claim.id.message, recipient: None, sender: None, subject: "[sikker] Hej".into() };
    let (thread_token, thread_row) = kept.tokens.mint(&thread).unwrap();
    let (bounce_token, bounce_row) = kept.tokens.mint(&bounce).unwrap();
    let write =
        move |tx: &mut dyn sealgate::store::Transaction| thread_row.write(tx).and_then(|()| bounce_row.write(tx));
    kept.rows.commit(Box::new(write)).await.unwrap();

    // A domain's policy counts for longer than its epoch; one that cannot be read counts for nobody.
    let known = serde_json::json!({
        "domain": "live.example",
        "id": "1",
        "policy": { "mode": "enforce", "hosts": ["mx.live.example"], "max_age": 31_557_600 },
        "fetched": now.unix_ms(),
    });
    let locked = lock_value(&kept.vault, &known).unwrap();
    let row = encode_row(&locked.epoch, &locked.octets).unwrap();
    let damaged = encode_row(&locked.epoch, b"no longer what it was").unwrap();
    let write = move |tx: &mut dyn sealgate::store::Transaction| {
        tx.put(POLICIES, b"a policy", &row).and_then(|()| tx.put(POLICIES, b"damaged", &damaged))
    };
    kept.rows.commit(Box::new(write)).await.unwrap();

    // A new epoch alone ends nothing: the message can be read for thirty days.
    let rotated = now.after(DAY);
    at(rotated);
    kept.vault.rotate(rotated).unwrap();
    at(rotated.after(DAY * 20));
    kept.sweeper().erase(clock.now()).await.unwrap();
    assert!(!kept.vault.epochs()[0].destroyed);
    let told = |kept: &Kept| kept.journal.trace(claim.id.message).unwrap()[0].told.clone();
    assert!(told(&kept).is_some());

    at(now.after(DAY * 31));
    kept.sweeper().sweep().await.unwrap();
    kept.sweeper().erase(clock.now()).await.unwrap();
    assert!(kept.vault.epochs()[0].destroyed);
    assert!(!gateway.data().join("keys/0001.age").exists());
    drop(kept);

    // Started anew: nothing of it opens any more, and what had to outlive it does.
    let kept = open(&settings, &clock);
    assert!(kept.vault.unlocking(first).is_err());
    assert!(told(&kept).is_none(), "the personal part of an event ends with its epoch");
    assert!(kept.journal.verify(None).unwrap().sound, "and the chain holds");
    let ties = kept.post_box.bindings(10).unwrap();
    assert_eq!(ties.iter().map(|tie| tie.address.as_str()).collect::<Vec<_>>(), ["eva@live.example"]);
    assert_eq!(kept.tokens.bearing(&thread_token).unwrap(), Some(thread));
    assert_eq!(kept.tokens.bearing(&bounce_token).unwrap(), None);
    let row = kept.rows.get(POLICIES, b"a policy").unwrap().unwrap();
    let (epoch, locked): (u32, _) = decode_row(&row).unwrap();
    assert_ne!(epoch, first.number());
    assert_eq!(unlock_value::<serde_json::Value>(&kept.vault, epoch, locked).unwrap(), known);
    assert_eq!(kept.rows.get(POLICIES, b"damaged").unwrap(), None);
    let draft = kept.post_box.draft(claim.person, claim.id).unwrap().unwrap();
    assert_eq!(draft.text, "Tack");
    assert_ne!(draft.files[0].body.epoch, first);
    let locked = kept.bodies.read_whole(&draft.files[0].body, 1_000_000).await.unwrap();
    assert_eq!(&*kept.vault.unlock(draft.files[0].body.epoch, &locked).unwrap(), content);
    drop(kept);

    let trace = gateway.command(&["message", "trace", &id]).output().unwrap();
    assert!(trace.status.success(), "the help desk is told what is left: {}", String::from_utf8_lossy(&trace.stderr));
}
