//! One suite for every row store, and the bodies above it.

use std::ops::Bound;
use std::sync::Arc;

use sealgate::net::Time;
use sealgate::store::{Bodies, Embedded, Files, INLINE_OCTETS, RowsHandle, StoreError, Table};
use sealgate::vault::{Identity, Vault};

const FRUIT: Table = Table("test.fruit");

struct Kept {
    folder: tempfile::TempDir,
    vault: Vault,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [Identity::generate().unwrap()];
        let vault = Vault::open(&folder.path().join("keys"), &own, &[], Time::from_unix_ms(0)).unwrap();
        Self { folder, vault }
    }

    fn rows(&self) -> RowsHandle {
        Arc::new(Embedded::open(&self.folder.path().join("rows.redb")).unwrap())
    }

    fn bodies(&self, rows: &RowsHandle) -> Arc<Bodies> {
        Arc::new(Bodies::new(Arc::clone(rows), Arc::new(Files::open(&self.folder.path().join("bodies")).unwrap())))
    }
}

#[tokio::test]
async fn rows_are_ordered_and_bounded_and_survive_reopening() {
    let kept = Kept::new();
    let rows = kept.rows();
    let put =
        |key: &'static str| -> sealgate::store::Change { Box::new(move |tx| tx.put(FRUIT, key.as_bytes(), b"x")) };
    for key in ["cherry", "apple", "banana"] {
        rows.commit(put(key)).await.unwrap();
    }
    let keys = |rows: &RowsHandle, from: Bound<&[u8]>| -> Vec<String> {
        let found = rows.range(FRUIT, from, Bound::Unbounded, 10).unwrap();
        found.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect()
    };
    assert_eq!(keys(&rows, Bound::Unbounded), ["apple", "banana", "cherry"]);
    assert_eq!(keys(&rows, Bound::Excluded(b"apple")), ["banana", "cherry"]);
    assert_eq!(rows.last(FRUIT).unwrap().unwrap().0, b"cherry");
    assert_eq!(rows.get(Table("test.none"), b"x").unwrap(), None);
    drop(rows);
    assert_eq!(keys(&kept.rows(), Bound::Unbounded), ["apple", "banana", "cherry"]);
}

#[tokio::test]
async fn a_change_that_conflicts_writes_nothing_and_harms_no_other() {
    let kept = Kept::new();
    let rows = kept.rows();
    let mut writers = Vec::new();
    for number in 0..64_u8 {
        let rows = Arc::clone(&rows);
        writers.push(tokio::spawn(async move {
            let change: sealgate::store::Change = Box::new(move |tx| {
                if number % 7 == 0 {
                    return Err(StoreError::Conflict("every seventh"));
                }
                tx.put(FRUIT, &[number], b"x")
            });
            (number, rows.commit(change).await)
        }));
    }
    for writer in writers {
        let (number, outcome) = writer.await.unwrap();
        assert_eq!(outcome.is_ok(), number % 7 != 0);
        assert_eq!(rows.get(FRUIT, &[number]).unwrap().is_some(), number % 7 != 0);
    }
}

#[tokio::test]
async fn a_change_that_panics_leaves_the_store_working() {
    let kept = Kept::new();
    let rows = kept.rows();
    let panicking: sealgate::store::Change = Box::new(|tx| {
        tx.put(FRUIT, b"half", b"x")?;
        panic!("on purpose")
    });
    assert!(rows.commit(panicking).await.is_err());
    assert_eq!(rows.get(FRUIT, b"half").unwrap(), None);
    rows.commit(Box::new(|tx| tx.put(FRUIT, b"whole", b"x"))).await.unwrap();
    assert!(rows.get(FRUIT, b"whole").unwrap().is_some());
}

#[tokio::test]
async fn a_store_of_a_newer_version_and_one_that_is_open_are_refused() {
    let kept = Kept::new();
    let rows = kept.rows();
    let path = kept.folder.path().join("rows.redb");
    assert!(matches!(Embedded::open(&path), Err(StoreError::OpenElsewhere)));
    let newer = 99_u32.to_be_bytes();
    rows.commit(Box::new(move |tx| tx.put(Table("store.meta"), b"version", &newer))).await.unwrap();
    drop(rows);
    let refused = loop {
        match Embedded::open(&path) {
            Err(StoreError::OpenElsewhere) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(refused, Err(StoreError::WrittenByNewerVersion { found: 99, known: 1 })));
}

async fn keep(kept: &Kept, bodies: &Bodies, plain: &[u8]) -> sealgate::store::PreparedBody {
    let mut lock = kept.vault.locker().stream().unwrap();
    let mut writer = bodies.writer();
    for piece in plain.chunks(50_000) {
        writer.write(lock.write(piece).unwrap()).await.unwrap();
    }
    let (last, digest) = lock.finish().unwrap();
    writer.write(last).await.unwrap();
    writer.finish(kept.vault.locker().epoch(), digest, plain.len() as u64).await.unwrap()
}

fn files(kept: &Kept) -> usize {
    let folders = std::fs::read_dir(kept.folder.path().join("bodies")).unwrap();
    folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn small_bodies_ride_in_the_row_and_large_ones_are_files_until_released() {
    let kept = Kept::new();
    let rows = kept.rows();
    let bodies = kept.bodies(&rows);
    for length in [0, 1_000, INLINE_OCTETS * 2, 5 << 20] {
        let plain: Vec<u8> = (0..length).map(|n| (n % 253) as u8).collect();
        let mut prepared = keep(&kept, &bodies, &plain).await;
        let reference = prepared.body_ref().clone();
        rows.commit(Box::new(move |tx| prepared.record(tx))).await.unwrap();
        assert_eq!(files(&kept), usize::from(length > INLINE_OCTETS), "{length}");
        let locked = bodies.read_whole(&reference, u64::MAX).await.unwrap();
        assert_eq!(&*kept.vault.unlock(reference.epoch, &locked).unwrap(), &plain[..]);
        for _ in 0..2 {
            let (sharing, reference) = (Arc::clone(&bodies), reference.clone());
            rows.commit(Box::new(move |tx| sharing.retain(tx, &reference))).await.unwrap();
        }
        for left in [2, 1, 0] {
            let (sharing, again) = (Arc::clone(&bodies), reference.clone());
            rows.commit(Box::new(move |tx| sharing.release(tx, &again))).await.unwrap();
            bodies.sweep(Time::from_unix_ms(0)).await.unwrap();
            assert_eq!(bodies.read_whole(&reference, u64::MAX).await.is_ok(), left > 0, "{length} {left}");
        }
        assert_eq!(files(&kept), 0);
    }
}

#[tokio::test]
async fn a_body_that_is_never_recorded_leaves_no_file() {
    let kept = Kept::new();
    let rows = kept.rows();
    let bodies = kept.bodies(&rows);
    drop(keep(&kept, &bodies, &vec![1; 1 << 20]).await);
    assert_eq!(files(&kept), 0);
}

#[tokio::test]
async fn a_body_that_was_changed_is_not_given_out() {
    let kept = Kept::new();
    let rows = kept.rows();
    let bodies = kept.bodies(&rows);
    let mut prepared = keep(&kept, &bodies, b"hemligt").await;
    let reference = prepared.body_ref().clone();
    rows.commit(Box::new(move |tx| prepared.record(tx))).await.unwrap();
    let other = kept.vault.locker().lock(b"forged!").unwrap().into_bytes();
    let key = reference.id.to_be_bytes();
    rows.commit(Box::new(move |tx| tx.put(Table("store.inline"), &key, &other))).await.unwrap();
    assert!(matches!(bodies.read_whole(&reference, u64::MAX).await, Err(StoreError::Damaged(_))));
}

/// What shares a sync with a change that is at fault is told to come again, and does.
#[tokio::test]
async fn a_change_that_panics_or_meets_damage_is_at_fault_alone() {
    for at_fault in ["panics", "damage"] {
        let kept = Kept::new();
        let rows = kept.rows();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel::<()>();
        let blocking = tokio::spawn({
            let rows = Arc::clone(&rows);
            async move {
                let block = move |_: &mut dyn sealgate::store::Transaction| {
                    begin.send(()).unwrap();
                    wait.recv().map_err(|_| StoreError::Conflict("nobody waits"))
                };
                rows.commit(Box::new(block)).await
            }
        });
        // In a group of its own: what comes now waits for it, and is one group.
        begun.await.unwrap();
        let commit = |change: sealgate::store::Change| {
            let rows = Arc::clone(&rows);
            tokio::spawn(async move { rows.commit(change).await })
        };
        let good = || -> sealgate::store::Change { Box::new(|tx| tx.put(FRUIT, b"good", b"x")) };
        let before = commit(good());
        let faulty = commit(Box::new(move |tx| {
            tx.put(FRUIT, b"faulty", b"x")?;
            assert!(at_fault != "panics", "on purpose");
            Err(StoreError::Damaged("on purpose".into()))
        }));
        let behind = commit(good());
        tokio::task::yield_now().await;
        go.send(()).unwrap();
        let fault = faulty.await.unwrap().unwrap_err();
        assert!(!fault.is_temporary(), "{at_fault}: {fault}");
        for other in [blocking, before, behind] {
            let outcome = other.await.unwrap();
            assert!(outcome.as_ref().is_ok_and(|()| true) || outcome.unwrap_err().is_temporary(), "{at_fault}");
        }
        rows.commit(good()).await.unwrap();
        assert!(rows.get(FRUIT, b"good").unwrap().is_some());
        assert!(rows.get(FRUIT, b"faulty").unwrap().is_none(), "{at_fault}");
    }
}
