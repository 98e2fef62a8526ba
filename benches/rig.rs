//! What the benchmarks share: a sink that takes everything, a client that hands over a load, and what a process costs.
// Each benchmark uses its part.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sealgate::daemon::Foundation;

pub const SESSIONS: u64 = 16;

pub fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 30, "{what} did not come about");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A gateway of which nobody listens at any port yet.
pub fn foundation() -> Foundation {
    Foundation {
        outbound: free(),
        inbound: free(),
        portal: free(),
        control: free(),
        internet: free(),
        mail_server: free(),
        ..Foundation::usual("Sundby kommun", "sundby.example".parse().unwrap())
    }
}

/// Has everybody here ask these name servers. Nobody outside sees this file.
pub fn ask_by_the_system(servers: SocketAddr) {
    std::fs::write("/etc/resolv.conf", format!("nameserver {}\n", servers.ip())).unwrap();
}

/// Runs the daemon until dropped; its process's id. It listens at the door.
pub fn serve(config: &Path, door: SocketAddr) -> (Stop, u32) {
    let child = Command::new(env!("CARGO_BIN_EXE_sealgate"))
        .args(["run", "--config"])
        .arg(config)
        .env("SEALGATE_LOG", "warn")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let stop = Stop(Some(child), None);
    listens(door);
    (stop, pid)
}

/// Takes everything and counts it.
pub struct Sink {
    pub address: SocketAddr,
    pub taken: Arc<AtomicU64>,
    /// The first octets of the newest message.
    newest: Arc<Mutex<Vec<u8>>>,
}

impl Sink {
    pub fn start() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicU64::new(0));
        let newest = Arc::default();
        let (counter, seen) = (Arc::clone(&taken), Arc::clone(&newest));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, seen) = (Arc::clone(&counter), Arc::clone(&seen));
                std::thread::spawn(move || session(stream, &counter, &seen));
            }
        });
        Self { address, taken, newest }
    }

    /// The beginning of the newest message, as far as it came at once.
    pub fn newest(&self) -> String {
        String::from_utf8_lossy(&self.newest.lock().unwrap()).into_owned()
    }

    pub fn wait_for(&self, count: u64) {
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

fn session(stream: TcpStream, taken: &AtomicU64, newest: &Mutex<Vec<u8>>) {
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
                if !pass_over_message(&mut reader, newest) {
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
fn pass_over_message(reader: &mut BufReader<TcpStream>, newest: &Mutex<Vec<u8>>) -> bool {
    const END: &[u8] = b"\r\n.\r\n";
    // The last octets of the block before; at the start, the line end of DATA.
    let mut seam = b"\r\n".to_vec();
    if let Ok(block) = reader.fill_buf() {
        let mut newest = newest.lock().unwrap();
        newest.clear();
        newest.extend_from_slice(&block[..block.len().min(8 << 10)]);
    }
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

/// One message to hand over.
pub struct Mail {
    pub sender: String,
    pub recipient: String,
    /// Header and body, dot-stuffed, without the final dot.
    pub text: String,
}

/// Makes messages of about this size; `recipient` names one for a session and its message.
pub fn letters(
    subject: &str,
    size: usize,
    recipient: impl Fn(u64, u64) -> String + Sync,
) -> impl Fn(u64, u64) -> Mail + Sync {
    let filler = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ......\r\n".repeat(size / 72);
    move |session, number| Mail {
        sender: "anna@sundby.example".to_owned(),
        recipient: recipient(session, number),
        text: format!(
            "From: anna@sundby.example\r\nTo: r@live.example\r\nSubject: {subject} {number}\r\nMessage-ID: <{session}.{number}.{size}@bench.example>\r\n\r\n{filler}"
        ),
    }
}

/// Sends the load; how long each final dot's answer took. `compose` makes a session's message.
pub fn send(address: SocketAddr, messages: u64, compose: impl Fn(u64, u64) -> Mail + Sync) -> Vec<Duration> {
    let compose = &compose;
    let one = &|session: u64| {
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
            let Mail { sender, recipient, text } = compose(session, number);
            let envelope = format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
            reader.get_mut().write_all(envelope.as_bytes()).unwrap();
            expect(&mut reader, "250");
            expect(&mut reader, "250");
            expect(&mut reader, "354");
            reader.get_mut().write_all(text.as_bytes()).unwrap();
            reader.get_mut().write_all(b".\r\n").unwrap();
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

/// Messages a second from first connection to last arrival, and milliseconds of CPU a message.
pub fn measure(
    sink: &Sink,
    door: SocketAddr,
    messages: u64,
    compose: impl Fn(u64, u64) -> Mail + Sync,
    pids: impl Fn() -> Vec<u32>,
) -> (f64, f64) {
    let (before, cpu, begun) = (sink.taken.load(Ordering::SeqCst), cpu_ms(&pids()), Instant::now());
    send(door, messages, compose);
    sink.wait_for(before + messages);
    let messages = messages as f64;
    (messages / begun.elapsed().as_secs_f64(), (cpu_ms(&pids()) - cpu) / messages)
}

pub fn median<F>(figures: &mut [F], by: impl Fn(&F) -> f64) -> f64 {
    figures.sort_by(|a, b| by(a).total_cmp(&by(b)));
    by(&figures[figures.len() / 2])
}

/// Prints what was measured of each, in medians.
pub fn against_postfix(name: &str, postfix: &mut [(f64, f64)], sealgate: &mut [(f64, f64)]) {
    println!("{:<16} {:>7} {:>11}   against Postfix: rate, CPU", "system", "msg/s", "CPU ms/msg");
    let (rate, cpu) = (median(postfix, |it| it.0), median(postfix, |it| it.1));
    for (name, figures) in [(name, postfix), ("sealgate", sealgate)] {
        if figures.is_empty() {
            continue;
        }
        let (own_rate, own_cpu) = (median(figures, |it| it.0), median(figures, |it| it.1));
        println!("{name:<16} {own_rate:>7.0} {own_cpu:>11.2}   {:>6.2} x, {:>5.2} x", own_rate / rate, own_cpu / cpu);
    }
}

/// What ends with a measurement: a child, and a process by its id.
pub struct Stop(pub Option<Child>, pub Option<u32>);

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

/// Waits until somebody listens there.
pub fn listens(address: SocketAddr) {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{address} does not listen");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A process and its children.
pub fn family(parent: u32) -> Vec<u32> {
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
pub fn cpu_ms(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> f64 {
        stat(*pid).map_or(0.0, |fields| fields[11..15].iter().map(|field| field.parse::<f64>().unwrap()).sum())
    };
    pids.iter().map(ticks).sum::<f64>() * 10.0
}

/// Peak memory: what one process had at most, or what several have together, shared pages split among them.
pub fn memory_mib(pids: &[u32]) -> f64 {
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

/// Runs this program again where all addresses are its own, and with a file for its name servers; `mark`, in the environment, tells it so.
pub fn go_inside(mark: &str) {
    let inside = "ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip addr add 11.7.0.1/16 dev lo \
                  && own=$(mktemp) && chmod 644 \"$own\" && mount --bind \"$own\" /etc/resolv.conf && rm \"$own\" && exec \"$@\"";
    let ran = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-ec", inside, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args().skip(1))
        .env(mark, "1")
        .status()
        .expect("PEER MISSING: unshare (util-linux)");
    assert!(ran.success(), "a network of its own needs root");
}
