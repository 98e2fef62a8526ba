//! The chain of events: nothing is changed, taken out, moved or cut off unseen.

use std::sync::Arc;

use sealgate::mail::QueueId;
use sealgate::net::{Clock, Time};
use sealgate::records::{Event, EventKind, Journal, verify};
use sealgate::store::{Embedded, RowsHandle, Table};
use sealgate::vault::{Identity, Vault};

const EVENTS: Table = Table("records.events");

struct Kept {
    _folder: tempfile::TempDir,
    rows: RowsHandle,
    vault: Vault,
    journal: Journal,
}

async fn with_events(count: u64) -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let rows: RowsHandle = Arc::new(Embedded::open(&folder.path().join("rows.redb")).unwrap());
    let own = [Identity::generate().unwrap()];
    let vault = Vault::open(&folder.path().join("keys"), &own, &[], Time::from_unix_ms(0)).unwrap();
    let journal = Journal::new(Arc::clone(&rows), vault.clone(), Clock::set_to(Time::from_unix_ms(5)));
    for number in 0..count {
        let event = Event::new(EventKind::Noticed).about(id(number % 2)).detail("d").recipient("eva@live.example");
        journal.write(event).await.unwrap();
    }
    Kept { _folder: folder, rows, vault, journal }
}

fn id(number: u64) -> QueueId {
    QueueId::from_parts(number, [0; 10])
}

#[tokio::test]
async fn a_sound_chain_is_found_sound_and_tells_its_story() {
    let kept = with_events(5).await;
    let report = verify(kept.rows.as_ref(), None).unwrap();
    assert!(report.sound && report.events == 5 && report.head == kept.journal.head().unwrap());
    let story = kept.journal.trace(id(1)).unwrap();
    assert_eq!(story.len(), 2);
    assert_eq!(story[0].told.as_ref().unwrap().recipients, ["eva@live.example"]);
}

#[tokio::test]
async fn concurrent_events_make_one_chain() {
    let kept = with_events(0).await;
    let mut writers = Vec::new();
    for _ in 0..50 {
        let journal = kept.journal.clone();
        writers.push(tokio::spawn(async move { journal.write(Event::new(EventKind::Login)).await.unwrap() }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let report = verify(kept.rows.as_ref(), None).unwrap();
    assert!(report.sound && report.events == 50);
}

#[tokio::test]
async fn a_changed_a_missing_and_a_moved_event_are_found() {
    let key = |number: u64| number.to_be_bytes();
    let kept = with_events(6).await;
    let row = kept.rows.get(EVENTS, &key(2)).unwrap().unwrap();
    let other = kept.rows.get(EVENTS, &key(3)).unwrap().unwrap();

    let mut changed = row.clone();
    *changed.last_mut().unwrap() ^= 1;
    put(&kept, 2, changed).await;
    assert_eq!(verify(kept.rows.as_ref(), None).unwrap().first_fault, Some(2));

    put(&kept, 2, other.clone()).await;
    put(&kept, 3, row.clone()).await;
    assert_eq!(verify(kept.rows.as_ref(), None).unwrap().first_fault, Some(2));

    put(&kept, 2, row).await;
    put(&kept, 3, other).await;
    assert!(verify(kept.rows.as_ref(), None).unwrap().sound);
    kept.rows.commit(Box::new(move |tx| tx.delete(EVENTS, &key(4)))).await.unwrap();
    assert_eq!(verify(kept.rows.as_ref(), None).unwrap().first_fault, Some(4));
}

async fn put(kept: &Kept, number: u64, row: Vec<u8>) {
    kept.rows.commit(Box::new(move |tx| tx.put(EVENTS, &number.to_be_bytes(), &row))).await.unwrap();
}

#[tokio::test]
async fn a_cut_tail_is_found_by_a_published_head() {
    let kept = with_events(6).await;
    let published = kept.journal.head().unwrap().hash;
    assert!(verify(kept.rows.as_ref(), Some(&published)).unwrap().sound);
    // Cut off the newest event so that the chain itself is consistent again: only the published head tells.
    let shorter = with_events(5).await;
    let head = shorter.rows.get(Table("records.chain"), b"head").unwrap().unwrap();
    assert!(verify(shorter.rows.as_ref(), None).unwrap().sound);
    assert!(!verify(shorter.rows.as_ref(), Some(&published)).unwrap().sound);
    assert_eq!(head.len(), 40);
}

#[tokio::test]
async fn erasing_an_epoch_keeps_the_chain_whole() {
    let kept = with_events(4).await;
    let old = kept.vault.locker().epoch();
    kept.vault.rotate(Time::from_unix_ms(9)).unwrap();
    kept.vault.destroy(old).unwrap();
    assert!(verify(kept.rows.as_ref(), None).unwrap().sound);
    assert!(kept.journal.trace(id(1)).unwrap().iter().all(|event| event.told.is_none()));
}
