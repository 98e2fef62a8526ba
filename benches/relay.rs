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

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sealgate::daemon::{Foundation, found};

const SESSIONS: u64 = 16;
const REPEATS: usize = 3;
const IDLE_SESSIONS: usize = 1_000;
const LOADS: [(&str, usize, u64); 3] = [("4 KiB", 4 << 10, 3_200), ("64 KiB", 64 << 10, 960), ("1 MiB", 1 << 20, 640)];

fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Takes everything and counts it.
struct Sink {
    address: SocketAddr,
    taken: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || session(stream, &counter));
            }
        });
        Self { address, taken }
    }

    fn wait_for(&self, count: u64) {
        let begun = Instant::now();
        while self.taken.load(Ordering::SeqCst) < count {
            assert!(
                begun.elapsed() < Duration::from_secs(300),
                "{} of {count} arrived",
                self.taken.load(Ordering::SeqCst)
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

fn session(stream: TcpStream, taken: &AtomicU64) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let say = |reader: &mut BufReader<TcpStream>, text: &str| reader.get_mut().write_all(text.as_bytes()).is_ok();
    if !say(&mut reader, "220 sink ESMTP\r\n") {
        return;
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let going = match line.get(..4).map(<[u8]>::to_ascii_uppercase).as_deref() {
            Some(b"EHLO") => say(&mut reader, "250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250 8BITMIME\r\n"),
            Some(b"DATA") => {
                if !say(&mut reader, "354 go\r\n") {
                    return;
                }
                if !pass_over_message(&mut reader) {
                    return;
                }
                taken.fetch_add(1, Ordering::SeqCst);
                say(&mut reader, "250 ok\r\n")
            }
            Some(b"QUIT") => {
                say(&mut reader, "221 bye\r\n");
                return;
            }
            _ => say(&mut reader, "250 ok\r\n"),
        };
        if !going {
            return;
        }
    }
}

/// Reads up to the final dot, block by block: the sink must not cost what the systems under test could use.
fn pass_over_message(reader: &mut BufReader<TcpStream>) -> bool {
    const END: &[u8] = b"\r\n.\r\n";
    // The last octets of the block before; at the start, the line end of DATA.
    let mut seam = b"\r\n".to_vec();
    loop {
        let Ok(block) = reader.fill_buf() else { return false };
        if block.is_empty() {
            return false;
        }
        let before = seam.len();
        seam.extend_from_slice(&block[..block.len().min(END.len() - 1)]);
        let end = match memchr::memmem::find(&seam, END) {
            Some(at) => Some(at + END.len() - before),
            None => memchr::memmem::find(block, END).map(|at| at + END.len()),
        };
        if let Some(end) = end {
            reader.consume(end);
            return true;
        }
        // A short block is in the seam already.
        if block.len() >= END.len() - 1 {
            seam = block[block.len() - (END.len() - 1)..].to_vec();
        } else {
            seam.drain(..seam.len().saturating_sub(END.len() - 1));
        }
        let length = block.len();
        reader.consume(length);
    }
}

/// Sends the load; how long each final dot's answer took.
fn send(address: SocketAddr, subject: &str, size: usize, messages: u64) -> Vec<Duration> {
    let filler = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ......\r\n".repeat(size / 72);
    let one = |session: u64| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        let mut expect = |reader: &mut BufReader<TcpStream>, code: &str| loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return;
            }
        };
        expect(&mut reader, "220");
        reader.get_mut().write_all(b"EHLO client.example\r\n").unwrap();
        expect(&mut reader, "250");
        let mut answers = Vec::new();
        for number in 0..messages / SESSIONS {
            let envelope =
                format!("MAIL FROM:<anna@sundby.example>\r\nRCPT TO:<r{session}-{number}@live.example>\r\nDATA\r\n");
            reader.get_mut().write_all(envelope.as_bytes()).unwrap();
            expect(&mut reader, "250");
            expect(&mut reader, "250");
            expect(&mut reader, "354");
            let text = format!(
                "From: anna@sundby.example\r\nTo: r@live.example\r\nSubject: {subject} {number}\r\nMessage-ID: <{session}.{number}.{size}@bench.example>\r\n\r\n{filler}.\r\n"
            );
            reader.get_mut().write_all(text.as_bytes()).unwrap();
            let begun = Instant::now();
            expect(&mut reader, "250");
            answers.push(begun.elapsed());
        }
        reader.get_mut().write_all(b"QUIT\r\n").unwrap();
        answers
    };
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS).map(|session| scope.spawn(move || one(session))).collect();
        sessions.into_iter().flat_map(|session| session.join().unwrap()).collect()
    })
}

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

struct Stop(Option<Child>, Option<u32>);

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(pid) = self.1 {
            let _ = Command::new("kill").arg(pid.to_string()).status();
        }
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
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
    let foundation = Foundation {
        outbound: free(),
        inbound: free(),
        portal: free(),
        control: free(),
        internet: sink,
        mail_server: sink,
        ..Foundation::usual("Sundby kommun", "sundby.example".parse().unwrap())
    };
    found(folder.path(), &foundation).unwrap();
    let file = folder.path().join("sealgate.toml");
    let listen = format!("listen = \"{}\"", foundation.outbound);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(&listen));
    let room = IDLE_SESSIONS + 100;
    let wider = format!("{listen}\nmax_sessions = {room}\nmax_sessions_per_client = {room}");
    std::fs::write(&file, text.replacen(&listen, &wider, 1)).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_sealgate"))
        .args(["run", "--config"])
        .arg(folder.path().join("sealgate.toml"))
        .env("SEALGATE_LOG", "warn")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    listens(foundation.outbound);
    System {
        name,
        subject,
        address: foundation.outbound,
        leave,
        pids: Box::new(move || vec![pid]),
        _folder: folder,
        _stop: Stop(Some(child), None),
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

fn listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{address} does not listen");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A process and its children.
fn family(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| *pid == parent || stat(*pid).is_some_and(|fields| fields[1] == parent.to_string())).collect()
}

/// The fields of /proc/PID/stat behind the name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// Milliseconds of CPU, those of children that ended included.
fn cpu_ms(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> f64 {
        stat(*pid).map_or(0.0, |fields| fields[11..15].iter().map(|field| field.parse::<f64>().unwrap()).sum())
    };
    pids.iter().map(ticks).sum::<f64>() * 10.0
}

/// Peak memory: what one process had at most, or what several have together, shared pages split among them.
fn memory_mib(pids: &[u32]) -> f64 {
    let field = |path: String, name: &str| -> f64 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())
            .unwrap_or(0.0)
    };
    match pids {
        [one] => field(format!("/proc/{one}/status"), "VmHWM:") / 1024.0,
        several => several.iter().map(|pid| field(format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum::<f64>() / 1024.0,
    }
}

fn measure(system: &System, sink: &Sink, size: usize, messages: u64) -> Figures {
    let before = sink.taken.load(Ordering::SeqCst);
    let cpu = cpu_ms(&(system.pids)());
    let begun = Instant::now();
    let mut answers = send(system.address, system.subject, size, messages);
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

fn median(mut figures: Vec<Figures>, by: impl Fn(&Figures) -> f64) -> f64 {
    figures.sort_by(|a, b| by(a).total_cmp(&by(b)));
    by(&figures[figures.len() / 2])
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
            let mut answers = send(sink.address, "bench", size, messages);
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
            let of = |by: fn(&Figures) -> f64| median(all.clone(), by);
            let rate = of(|f| f.per_second) / median(postfix.clone(), |f| f.per_second);
            let source = of(|f| f.source_per_second) / median(postfix.clone(), |f| f.source_per_second);
            let cpu = of(|f| f.cpu_ms) / median(postfix.clone(), |f| f.cpu_ms);
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
