//! The same load through Postfix as relay, through sealgate untouched, and through sealgate tagged, in one run: messages
//! a second from first connection to last delivery, the 99th percentile of the answer to the final dot, CPU a message,
//! peak memory. The client here knows the p99; Postfix's own `smtp-source` then sends the same load again, for a rate that
//! does not rest on our client. `benches/run` runs it, `benches/run "1 MiB"` one size; the ratios are what counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod rig;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Instant;

use sealgate::daemon::{Foundation, found};

use crate::rig::{
    SESSIONS, Sink, Stop, cpu_ms, family, foundation, free, letters, listens, median, memory_mib, send, serve,
};

const REPEATS: usize = 3;
const IDLE_SESSIONS: usize = 1_000;
const LOADS: [(&str, usize, u64); 3] = [("4 KiB", 4 << 10, 3_200), ("64 KiB", 64 << 10, 960), ("1 MiB", 1 << 20, 640)];

/// Postfix's load generator sends the load: messages a second until the last one leaves.
fn by_smtp_source(address: SocketAddr, subject: &str, leave: u64, sink: &Sink, size: usize, messages: u64) -> f64 {
    let before = sink.taken.load(Ordering::SeqCst);
    let begun = Instant::now();
    let sent = Command::new("/usr/sbin/smtp-source")
        .args(["-d", "-s", &SESSIONS.to_string(), "-m", &messages.to_string(), "-l", &size.to_string()])
        .args(["-S", subject, "-f", "anna@sundby.example", "-t", "r@live.example", &address.to_string()])
        .status()
        .expect("PEER MISSING: smtp-source");
    assert!(sent.success());
    sink.wait_for(before + messages * leave);
    messages as f64 / begun.elapsed().as_secs_f64()
}

fn recipient(session: u64, number: u64) -> String {
    format!("r{session}-{number}@live.example")
}

/// Who is measured.
struct System {
    name: &'static str,
    subject: &'static str,
    address: SocketAddr,
    /// Messages that leave for one that comes.
    leave: u64,
    pids: Box<dyn Fn() -> Vec<u32>>,
    _folder: tempfile::TempDir,
    _stop: Stop,
}

#[derive(Clone, Copy)]
struct Figures {
    per_second: f64,
    source_per_second: f64,
    p99_ms: f64,
    cpu_ms: f64,
    memory_mib: f64,
}

fn sealgate(name: &'static str, subject: &'static str, leave: u64, sink: SocketAddr) -> System {
    let folder = tempfile::tempdir().unwrap();
    let foundation = Foundation { internet: sink, mail_server: sink, ..foundation() };
    found(folder.path(), &foundation).unwrap();
    let file = folder.path().join("sealgate.toml");
    let listen = format!("listen = \"{}\"", foundation.outbound);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&listen));
    let room = IDLE_SESSIONS + 100;
    let wider = format!("{listen}\nmax_sessions = {room}\nmax_sessions_per_client = {room}");
    std::fs::write(&file, text.replacen(&listen, &wider, 1)).unwrap();
    let (stop, pid) = serve(&file, foundation.outbound);
    System {
        name,
        subject,
        address: foundation.outbound,
        leave,
        pids: Box::new(move || vec![pid]),
        _folder: folder,
        _stop: stop,
    }
}

const SERVICES: &str = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\nretry unix - - n - - error\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n";

fn postfix(sink: SocketAddr) -> System {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::set_permissions(at, PermissionsExt::from_mode(0o755)).unwrap();
    for name in ["etc", "spool", "data"] {
        std::fs::create_dir(at.join(name)).unwrap();
    }
    let owner = Command::new("id").args(["-u", "postfix"]).output().expect("PEER MISSING: postfix");
    chown(at.join("data"), Some(String::from_utf8(owner.stdout).unwrap().trim().parse().unwrap()), None).unwrap();
    let address = free();
    std::fs::write(at.join("etc/master.cf"), format!("127.0.0.1:{} inet n - n - - smtpd\n{SERVICES}", address.port()))
        .unwrap();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {0}/spool\ndata_directory = {0}/data\nmaillog_file = {0}/mail.log\nmaillog_file_prefixes = {0}\nmyhostname = mail.sundby.example\nmydestination =\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nrelayhost = [127.0.0.1]:{1}\nsmtp_dns_support_level = disabled\nsmtp_host_lookup = native\nalias_maps =\nalias_database =\nmessage_size_limit = 209715200\n",
        at.display(),
        sink.port()
    );
    std::fs::write(at.join("etc/main.cf"), main).unwrap();
    for verb in ["check", "start"] {
        assert!(Command::new("/usr/sbin/postfix").arg("-c").arg(at.join("etc")).arg(verb).status().unwrap().success());
    }
    listens(address);
    let master: u32 = std::fs::read_to_string(at.join("spool/pid/master.pid")).unwrap().trim().parse().unwrap();
    System {
        name: "Postfix, relay",
        subject: "bench",
        address,
        leave: 1,
        pids: Box::new(move || family(master)),
        _folder: folder,
        _stop: Stop(None, Some(master)),
    }
}

fn measure(system: &System, sink: &Sink, size: usize, messages: u64) -> Figures {
    let before = sink.taken.load(Ordering::SeqCst);
    let cpu = cpu_ms(&(system.pids)());
    let begun = Instant::now();
    let mut answers = send(system.address, messages, letters(system.subject, size, recipient));
    sink.wait_for(before + messages * system.leave);
    let seconds = begun.elapsed().as_secs_f64();
    let pids = (system.pids)();
    answers.sort();
    let cpu_ms = (cpu_ms(&pids) - cpu) / messages as f64;
    let source_per_second = by_smtp_source(system.address, system.subject, system.leave, sink, size, messages);
    Figures {
        per_second: messages as f64 / seconds,
        source_per_second,
        p99_ms: answers[answers.len() * 99 / 100].as_secs_f64() * 1_000.0,
        cpu_ms,
        memory_mib: memory_mib(&(system.pids)()),
    }
}

/// Memory that many idle sessions take.
fn idle(system: &System, sessions: usize) -> f64 {
    let rss = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", (system.pids)()[0])).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap()
            .trim()
            .trim_end_matches(" kB")
            .parse::<f64>()
            .unwrap()
            / 1024.0
    };
    let before = rss();
    let held: Vec<BufReader<TcpStream>> = (0..sessions)
        .map(|_| {
            let mut reader = BufReader::with_capacity(256, TcpStream::connect(system.address).unwrap());
            let mut greeting = String::new();
            reader.read_line(&mut greeting).unwrap();
            assert!(greeting.starts_with("220"), "{greeting}");
            reader
        })
        .collect();
    let after = rss();
    drop(held);
    after - before
}

fn main() {
    let sink = Sink::start();
    println!(
        "{:<7} {:<21} {:>7} {:>12} {:>7} {:>11} {:>9}   against Postfix: rate, smtp-source, CPU",
        "size", "system", "msg/s", "smtp-source", "p99 ms", "CPU ms/msg", "peak MiB"
    );
    // `cargo bench --bench relay -- "1 MiB"` measures that size alone.
    let sizes: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    for (size_name, size, messages) in LOADS {
        if !sizes.is_empty() && !sizes.iter().any(|size| size == size_name) {
            continue;
        }
        let mut figures: Vec<(&str, Vec<Figures>)> = vec![
            ("straight to the sink", vec![]),
            ("Postfix, relay", vec![]),
            ("sealgate, untagged", vec![]),
            ("sealgate, tagged", vec![]),
        ];
        for _ in 0..REPEATS {
            // Each system alone, one after the other, fresh each time.
            let before = sink.taken.load(Ordering::SeqCst);
            let begun = Instant::now();
            let mut answers = send(sink.address, messages, letters("bench", size, recipient));
            sink.wait_for(before + messages);
            answers.sort();
            let per_second = messages as f64 / begun.elapsed().as_secs_f64();
            figures[0].1.push(Figures {
                per_second,
                source_per_second: by_smtp_source(sink.address, "bench", 1, &sink, size, messages),
                p99_ms: answers[answers.len() * 99 / 100].as_secs_f64() * 1e3,
                cpu_ms: 0.0,
                memory_mib: 0.0,
            });
            figures[1].1.push(measure(&postfix(sink.address), &sink, size, messages));
            figures[2].1.push(measure(
                &sealgate("sealgate, untagged", "bench", 1, sink.address),
                &sink,
                size,
                messages,
            ));
            figures[3].1.push(measure(
                &sealgate("sealgate, tagged", "[sikker] bench", 2, sink.address),
                &sink,
                size,
                messages,
            ));
        }
        let postfix = figures[1].1.clone();
        for (name, all) in figures {
            let of = |by: fn(&Figures) -> f64| median(&mut all.clone(), by);
            let rate = of(|f| f.per_second) / median(&mut postfix.clone(), |f| f.per_second);
            let source = of(|f| f.source_per_second) / median(&mut postfix.clone(), |f| f.source_per_second);
            let cpu = of(|f| f.cpu_ms) / median(&mut postfix.clone(), |f| f.cpu_ms);
            println!(
                "{size_name:<7} {name:<21} {:>7.0} {:>12.0} {:>7.1} {:>11.2} {:>9.1}   {rate:>6.2} x, {source:>5.2} x, {cpu:>5.2} x",
                of(|f| f.per_second),
                of(|f| f.source_per_second),
                of(|f| f.p99_ms),
                of(|f| f.cpu_ms),
                of(|f| f.memory_mib)
            );
        }
    }
    let system = sealgate("sealgate", "bench", 1, sink.address);
    let taken = idle(&system, IDLE_SESSIONS);
    println!("{IDLE_SESSIONS} idle sessions take {taken:.1} MiB ({})", system.name);
}
