//! The power is cut: what was not synced is gone. A layer under the store (`tests/powercut/shim.c`) writes down every
//! change and every sync; a replay makes of them what a disk would hold at the moment of the cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use crate::crash::{delivered, load};
use crate::mail_sink::Sink;
use crate::running::{Gateway, free, is_long, wait_until};

/// Cuts in the usual run, each in three ways; the long tier makes forty.
const CUTS: usize = 14;
/// Messages acknowledged before the load ends.
const MESSAGES: usize = 120;

/// How much of what was not synced the disk kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Nothing,
    Part,
    All,
}

#[derive(Default, Clone)]
struct Disk {
    files: Vec<Content>,
    now: Names,
    synced: Names,
}

type Names = BTreeMap<PathBuf, Option<usize>>;

#[derive(Default, Clone)]
struct Content {
    synced: Vec<u8>,
    now: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    At(usize, Vec<u8>),
    Length(usize),
}

struct Record<'j> {
    kind: u8,
    path: PathBuf,
    offset: usize,
    data: &'j [u8],
    end: usize,
}

fn records(journal: &[u8]) -> Vec<Record<'_>> {
    let number = |at: usize| usize::try_from(u64::from_ne_bytes(journal[at..at + 8].try_into().unwrap())).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while at + 25 <= journal.len() {
        let kind = journal[at];
        let (path, offset, length) = (number(at + 1), number(at + 9), number(at + 17));
        let data = at + 25 + path;
        // Only writes and names carry data.
        let length = if matches!(kind, b'w' | b'r' | b'h') { length } else { 0 };
        let end = data + length;
        if end > journal.len() {
            break;
        }
        let path = PathBuf::from(String::from_utf8_lossy(&journal[at + 25..data]).into_owned());
        found.push(Record { kind, path, offset, data: &journal[data..end], end });
        at = end;
    }
    found
}

impl Write {
    fn apply(&self, octets: &mut Vec<u8>) {
        match self {
            Self::At(offset, data) => {
                if octets.len() < offset + data.len() {
                    octets.resize(offset + data.len(), 0);
                }
                octets[*offset..offset + data.len()].copy_from_slice(data);
            }
            Self::Length(length) => octets.resize(*length, 0),
        }
    }
}

impl Disk {
    fn apply(&mut self, record: &Record<'_>) {
        let path = &record.path;
        let target = || PathBuf::from(String::from_utf8_lossy(record.data).into_owned());
        match record.kind {
            b'c' => {
                self.files.push(Content::default());
                self.now.insert(path.clone(), Some(self.files.len() - 1));
            }
            b'd' => _ = self.now.insert(path.clone(), None),
            b'w' => self.write(path, Write::At(record.offset, record.data.to_vec())),
            b'l' => self.write(path, Write::Length(record.offset)),
            b't' => self.write(path, Write::Length(0)),
            b'g' => {
                if let Some(Some(file)) = self.now.get(path)
                    && self.files[*file].now.len() < record.offset
                {
                    self.write(path, Write::Length(record.offset));
                }
            }
            b's' => self.sync(path),
            b'r' => {
                if let Some(entry) = self.now.remove(path) {
                    self.now.insert(target(), entry);
                }
            }
            b'h' => {
                if let Some(entry) = self.now.get(path).copied() {
                    self.now.insert(target(), entry);
                }
            }
            b'u' => _ = self.now.remove(path),
            other => panic!("a record of kind {other}"),
        }
    }

    fn write(&mut self, path: &Path, write: Write) {
        if let Some(Some(file)) = self.now.get(path) {
            let content = &mut self.files[*file];
            write.apply(&mut content.now);
            content.pending.push(write);
        }
    }

    fn sync(&mut self, path: &Path) {
        if let Some(Some(file)) = self.now.get(path) {
            let content = &mut self.files[*file];
            content.synced.clone_from(&content.now);
            content.pending.clear();
            return;
        }
        // A folder: the names in it are as they are now.
        let within = |named: &PathBuf| named.parent() == Some(path);
        self.synced.retain(|named, _| !within(named));
        let names: Vec<_> =
            self.now.iter().filter(|(named, _)| within(named)).map(|(named, entry)| (named.clone(), *entry)).collect();
        self.synced.extend(names);
    }

    /// Lays out what the disk holds after the cut.
    fn lay_out(&self, root: &Path, image: &Path, way: Way, chance: &mut u64) {
        std::fs::create_dir_all(image).unwrap();
        let mut folders: BTreeMap<PathBuf, bool> = BTreeMap::new();
        let parents: BTreeSet<PathBuf> =
            self.now.keys().chain(self.synced.keys()).filter_map(|path| path.parent()).map(Path::to_owned).collect();
        for parent in parents {
            folders.insert(parent, way == Way::All || (way == Way::Part && flip(chance)));
        }
        let taken: Names = folders
            .iter()
            .flat_map(|(folder, is_now)| {
                let names = if *is_now { &self.now } else { &self.synced };
                names
                    .iter()
                    .filter(move |(path, _)| path.parent() == Some(folder))
                    .map(|(path, entry)| (path.clone(), *entry))
            })
            .collect();
        for (path, entry) in &taken {
            let at = image.join(path.strip_prefix(root).unwrap());
            match entry {
                None => _ = std::fs::create_dir(&at),
                // Within a folder that is not there, nothing is.
                Some(file) => _ = std::fs::write(&at, self.octets(*file, way, chance)),
            }
        }
    }

    fn octets(&self, file: usize, way: Way, chance: &mut u64) -> Vec<u8> {
        let content = &self.files[file];
        match way {
            Way::Nothing => content.synced.clone(),
            Way::All => content.now.clone(),
            Way::Part => {
                let mut octets = content.synced.clone();
                content.pending.iter().filter(|_| flip(chance)).for_each(|write| write.apply(&mut octets));
                octets
            }
        }
    }
}

fn flip(chance: &mut u64) -> bool {
    *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *chance >> 40 & 1 == 1
}

/// What was acknowledged, and how long the journal was then.
fn run_under_the_layer(gateway: &mut Gateway, journal: &Path) -> Vec<(u64, usize)> {
    let folder = journal.parent().unwrap();
    let shim = folder.join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/shim.c");
    let built =
        Command::new("gcc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source).args(["-lpthread"]).status();
    assert!(built.expect("PEER MISSING: gcc; tests/run installs it").success());
    let environment = [
        ("LD_PRELOAD", shim.display()),
        ("POWERCUT_ROOT", gateway.data().display()),
        ("POWERCUT_JOURNAL", journal.display()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()));
    gateway.environment.extend(environment);
    gateway.start();
    let (sender, receiver) = mpsc::channel();
    let (next, stop) = (AtomicU64::new(1), AtomicBool::new(false));
    let address = gateway.outbound;
    let acknowledged = std::thread::scope(|scope| {
        for _ in 0..4 {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || load(address, next, &sender, stop));
        }
        drop(sender);
        let mut acknowledged = Vec::new();
        while let Ok(number) = receiver.recv() {
            acknowledged.push((number, usize::try_from(std::fs::metadata(journal).unwrap().len()).unwrap()));
            stop.store(acknowledged.len() >= MESSAGES, Ordering::SeqCst);
        }
        acknowledged
    });
    gateway.kill();
    gateway.environment.clear();
    acknowledged
}

/// Starts a gateway on what the disk held, and tells which of these numbers it has lost.
async fn lost(gateway: &Gateway, disk: &Disk, way: Way, chance: &mut u64, acknowledged: &[u64]) -> Vec<u64> {
    let outside = Sink::start(true, &[]).await;
    let place = tempfile::tempdir().unwrap();
    let mut reborn = gateway.at(place.path(), outside.address);
    disk.lay_out(&gateway.data(), &reborn.data(), way, chance);
    reborn.start();
    reborn.ask(&["queue", "retry", "--all"]);
    wait_until("an empty queue", || reborn.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    assert_eq!(reborn.ask(&["audit", "verify"])["sound"], true, "{way:?}");
    let reached = delivered(&outside);
    let missing = |number: &&u64| {
        !reached.contains_key(&format!("{}{number}@live.example", if number.is_multiple_of(3) { 't' } else { 'p' }))
    };
    acknowledged.iter().filter(missing).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_is_there_after_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens where mail goes: everything that is promised has to be kept.
    let mut gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let journal_at = folder.path().join("journal");
    let acknowledged = run_under_the_layer(&mut gateway, &journal_at);
    let journal = std::fs::read(&journal_at).unwrap();
    let records = records(&journal);
    assert!(acknowledged.len() >= MESSAGES && records.iter().any(|record| record.kind == b's'));

    let cuts = if is_long() { 40 } else { CUTS };
    let mut chance: u64 = std::process::id().into();
    println!("seed {chance}: {} records, {} acknowledged", records.len(), acknowledged.len());
    let first = acknowledged.iter().map(|(_, length)| *length).min().unwrap();
    let (mut disk, mut applied) = (Disk::default(), 0);
    for cut in 0..cuts {
        let at = first + (journal.len() - first) * (cut + 1) / cuts;
        while applied < records.len() && records[applied].end <= at {
            disk.apply(&records[applied]);
            applied += 1;
        }
        let promised: Vec<u64> =
            acknowledged.iter().filter(|(_, length)| *length <= at).map(|(number, _)| *number).collect();
        for way in [Way::Nothing, Way::Part, Way::All] {
            let lost = lost(&gateway, &disk, way, &mut chance, &promised).await;
            assert!(lost.is_empty(), "cut {cut} at {at}, {way:?}: acknowledged and lost: {lost:?}");
        }
    }
}

/// The layer can tell: of a program that never syncs, nothing is left.
#[test]
fn what_was_never_synced_is_gone() {
    let mut journal = Vec::new();
    let mut write = |kind: u8, path: &str, data: &[u8]| {
        journal.push(kind);
        for number in [path.len() as u64, 0, data.len() as u64] {
            journal.extend_from_slice(&number.to_ne_bytes());
        }
        journal.extend_from_slice(path.as_bytes());
        journal.extend_from_slice(data);
    };
    for (name, syncs) in [("/r/synced", true), ("/r/unsynced", false)] {
        write(b'c', name, b"");
        write(b'w', name, b"octets");
        if syncs {
            write(b's', name, b"");
            write(b's', "/r", b"");
        }
    }
    write(b'w', "/r/synced", b"OCT");
    let mut disk = Disk::default();
    records(&journal).iter().for_each(|record| disk.apply(record));
    let image = tempfile::tempdir().unwrap();
    disk.lay_out(Path::new("/r"), image.path(), Way::Nothing, &mut 1);
    assert_eq!(std::fs::read(image.path().join("synced")).unwrap(), b"octets");
    assert!(!image.path().join("unsynced").exists());
    let image = tempfile::tempdir().unwrap();
    disk.lay_out(Path::new("/r"), image.path(), Way::All, &mut 1);
    assert_eq!(std::fs::read(image.path().join("synced")).unwrap(), b"OCTets");
    assert!(image.path().join("unsynced").exists());
}
