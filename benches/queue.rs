//! A queue with a million entries: how long the daemon takes to start with it, cleanly ended before and killed; how much
//! memory it has then; how long it takes to list and to retry what goes to one of a thousand domains, to count, and to take a
//! message. `benches/run queue` runs it, `benches/run queue 50000` with fewer entries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod rig;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealgate::config::{self, Files};
use sealgate::daemon::{Kept, found};
use sealgate::mail::{Address, Envelope, QueueId, ReversePath};
use sealgate::net::{Clock, Time};
use sealgate::policy::{FixedKind, Verdict};
use sealgate::queue::{Item, Kind, NewItem, Origin, PreparedItem, RecipientState, Smime, Summary};
use sealgate::sealing::{Content, Outgoing};
use sealgate::vault::random_octets;

const ENTRIES: u64 = 1_000_000;
const DOMAINS: u64 = 1_000;
/// Entries written in one transaction.
const TOGETHER: u64 = 5_000;
/// Everything waits for an attempt that is not due while we measure.
const LATER: Duration = Duration::from_secs(6 * 3_600);

async fn entry(kept: &Kept, number: u64, created: Time) -> PreparedItem {
    let octets: [u8; 10] = random_octets().unwrap();
    let id = QueueId::from_parts(u64::try_from(created.unix_ms()).unwrap() + number, octets);
    let to: Address = format!("r{number}@d{}.example", number % DOMAINS).parse().unwrap();
    let body = kept.spool.keep(b"From: anna@sundby.example\r\nSubject: Hej\r\n\r\nHej\r\n").await.unwrap();
    let envelope = Envelope::plain(ReversePath::Mailbox("anna@sundby.example".parse().unwrap()), vec![to.clone()]);
    let content = Content {
        head: Vec::new(),
        skip: 0,
        body: body.body_ref().clone(),
        has_eight_bit: false,
        has_utf8_header: false,
    };
    let item = Item {
        kind: Kind::Written { kind: FixedKind::Notice, about: id, recipient: None, teller: ReversePath::Null },
        origin: Origin::Outbound,
        sender_is_proven: false,
        smime: Smime::None,
        envelope: envelope.clone(),
        verdict: Verdict::fixed(FixedKind::Notice, &[to]),
        states: vec![RecipientState::Consigned(0)],
        summary: Summary { message_id: Some(format!("<{id}@bench.example>")), ..Summary::default() },
    };
    let outgoings = vec![Outgoing::written(FixedKind::Notice, envelope, content)];
    let expires = created.after(Duration::from_secs(5 * 86_400));
    NewItem { id, item, body, created, expires, outgoings, entries: Vec::new() }.prepare(&kept.vault).unwrap()
}

fn fill(config: &Path, entries: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = config::load(config, Files::Start).unwrap().settings;
    let kept = Kept::open(&settings, Clock::System).unwrap();
    let created = Clock::System.now().after(LATER);
    runtime.block_on(async {
        for first in (0..entries).step_by(usize::try_from(TOGETHER).unwrap()) {
            let mut prepared = Vec::new();
            for number in first..(first + TOGETHER).min(entries) {
                prepared.push(entry(&kept, number, created).await);
            }
            let change = move |tx: &mut dyn sealgate::store::Transaction| {
                prepared.into_iter().try_for_each(|item| item.write(tx))
            };
            kept.rows.commit(Box::new(change)).await.unwrap();
        }
    });
}

struct Daemon {
    child: Child,
    door: SocketAddr,
}

impl Daemon {
    /// Starts it; how long it took until mail was taken.
    fn start(config: &Path, door: SocketAddr) -> (Self, Duration) {
        let begun = Instant::now();
        let log = std::fs::File::create(config.with_file_name("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
        command.arg("run").arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        while TcpStream::connect(door).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the daemon ended: see {}", config.display());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        (Self { child, door }, begun.elapsed())
    }

    /// Mebibytes it has, and has had at most.
    fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
        };
        (of("VmRSS"), of("VmHWM"))
    }

    fn end(mut self, kill: bool) {
        let signal = if kill { "-KILL" } else { "-TERM" };
        assert!(Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    /// Hands over a message to somebody at home; how long the answer to the final dot took.
    fn take_one(&self) -> Duration {
        let mut reader = BufReader::new(TcpStream::connect(self.door).unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let mut begun = Instant::now();
        let text = "From: anna@sundby.example\r\n\r\nHej\r\n.";
        for said in ["HELO client.example", "MAIL FROM:<anna@sundby.example>", "RCPT TO:<e@d1.example>", "DATA", text] {
            begun = Instant::now();
            reader.get_mut().write_all(format!("{said}\r\n").as_bytes()).unwrap();
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        assert!(line.starts_with("250"), "{line}");
        begun.elapsed()
    }
}

fn timed(what: &str, work: impl FnOnce() -> String) {
    let begun = Instant::now();
    let told = work();
    println!("{what:<44}{:>9.3} s   {told}", begun.elapsed().as_secs_f64());
}

fn ask(config: &Path, words: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sealgate"))
        .args(words)
        .args(["--json", "--config"])
        .arg(config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn main() {
    let entries = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ENTRIES);
    let folder = tempfile::tempdir().unwrap();
    let foundation = rig::foundation();
    let (door, control) = (foundation.outbound, foundation.control);
    found(folder.path(), &foundation).unwrap();
    let config = folder.path().join("sealgate.toml");
    // Beyond the mark no mail would be taken.
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[queue]\nmax_entries = {}\n", 2 * entries)).unwrap();
    println!("{entries} entries to {DOMAINS} domains");
    timed("prepared", || {
        fill(&config, entries);
        let size = std::fs::metadata(folder.path().join("data/rows.redb")).unwrap().len();
        format!("{} MiB of rows", size >> 20)
    });
    let started = |what: &str| {
        let (daemon, took) = Daemon::start(&config, door);
        let (now, most) = daemon.memory();
        println!("{what:<44}{:>9.3} s   {now} MiB, {most} at most", took.as_secs_f64());
        daemon
    };
    started("start after a clean end").end(true);
    let daemon = started("start after kill -9");
    timed("queue list --to one domain", || {
        format!("{} items", count(&ask(&config, &["queue", "list", "--to", "d7.example"])))
    });
    timed("queue list --limit 1000", || {
        format!("{} items", count(&ask(&config, &["queue", "list", "--limit", "1000"])))
    });
    timed("queue list --stage held", || {
        format!("{} items", count(&ask(&config, &["queue", "list", "--stage", "held"])))
    });
    timed("queue retry --to one domain", || {
        format!("{} items", ask(&config, &["queue", "retry", "--to", "d7.example"])["count"])
    });
    timed("/metrics", || {
        let mut stream = TcpStream::connect(control).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page.lines().filter(|line| line.starts_with("sealgate_queue_messages")).collect::<Vec<_>>().join(" ")
    });
    println!("{:<44}{:>9.3} s", "the final dot of a message", daemon.take_one().as_secs_f64());
    let (now, most) = daemon.memory();
    println!("memory after all that{:>43} MiB, {most} at most", now);
    daemon.end(false);
}

fn count(listed: &serde_json::Value) -> usize {
    listed.as_array().map_or(0, Vec::len)
}
