//! kill -9 at random moments under load: what had its `250` is delivered, deposited or reported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::mail_sink::Sink;
use crate::running::{Gateway, wait_until};

/// Rounds in the usual run; the long tier makes ten times as many.
const ROUNDS: u64 = 50;
const SENDERS: u64 = 4;
/// Every so many messages one is large: its body is a file.
const LARGE_EVERY: u64 = 23;

/// Sends one message; true if the final dot was answered with 250.
fn send(reader: &mut BufReader<TcpStream>, number: u64) -> std::io::Result<bool> {
    let tagged = number.is_multiple_of(3);
    let tag = if tagged { "[sikker] " } else { "" };
    let kind = if tagged { 't' } else { 'p' };
    let filler = if number.is_multiple_of(LARGE_EVERY) {
        "HEMLIGT fyllning i stor kropp\r\n".repeat(12_000)
    } else {
        "HEMLIGT\r\n".to_owned()
    };
    let text = format!("Subject: {tag}HEMLIGT {number}\r\nMessage-ID: <m{number}@crash.example>\r\n\r\n{filler}.\r\n");
    for (line, code) in [
        ("MAIL FROM:<anna@sundby.example>\r\n".to_owned(), "250"),
        (format!("RCPT TO:<{kind}{number}@live.example>\r\n"), "250"),
        ("DATA\r\n".to_owned(), "354"),
        (text, "250"),
    ] {
        reader.get_mut().write_all(line.as_bytes())?;
        let mut reply = String::new();
        if reader.read_line(&mut reply)? == 0 || !reply.starts_with(code) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Set by nobody: the load of a crash ends with the process.
static NEVER: AtomicBool = AtomicBool::new(false);

/// Sends until the connection breaks or it is told to stop; every acknowledged number goes to `acknowledged`.
pub fn load(address: SocketAddr, next: &AtomicU64, acknowledged: &mpsc::Sender<u64>, stop: &AtomicBool) {
    let Ok(stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream);
    let mut greeting = String::new();
    if reader.read_line(&mut greeting).unwrap_or(0) == 0
        || reader.get_mut().write_all(b"HELO crash.example\r\n").is_err()
    {
        return;
    }
    if reader.read_line(&mut greeting).unwrap_or(0) == 0 {
        return;
    }
    while !stop.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        match send(&mut reader, number) {
            Ok(true) => _ = acknowledged.send(number),
            Ok(false) | Err(_) => return,
        }
    }
}

/// One round: load, until so many are acknowledged and a little longer, then kill.
fn round(gateway: &mut Gateway, next: &AtomicU64, acknowledged: &mut BTreeSet<u64>, chance: u64) {
    gateway.start();
    let (sender, receiver) = mpsc::channel();
    let address = gateway.outbound;
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            let sender = sender.clone();
            scope.spawn(move || load(address, next, &sender, &NEVER));
        }
        drop(sender);
        let wanted = chance % 40;
        for _ in 0..wanted {
            match receiver.recv_timeout(Duration::from_secs(10)) {
                Ok(number) => _ = acknowledged.insert(number),
                Err(_) => break,
            }
        }
        // Somewhere between two acknowledgements, not just behind one.
        if let Ok(number) = receiver.recv_timeout(Duration::from_micros(chance % 7_000)) {
            acknowledged.insert(number);
        }
        gateway.kill();
        acknowledged.extend(receiver.iter());
    });
}

/// How often each recipient's mail reached the sink.
pub fn delivered(sink: &Sink) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in sink.messages() {
        let text = String::from_utf8_lossy(&message);
        let recipient =
            text.lines().find_map(|line| line.strip_prefix("X-Rcpt-Args: <")).and_then(|rest| rest.split('>').next());
        *counts.entry(recipient.unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_is_accounted_for_after_kill_9() {
    let outside = Sink::start(true, &[]).await;
    let inside = Sink::start(false, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let rounds =
        if std::env::var_os("SEALGATE_LONG").is_some_and(|long| !long.is_empty()) { ROUNDS * 10 } else { ROUNDS };
    let next = AtomicU64::new(1);
    let mut acknowledged = BTreeSet::new();
    let seed = std::process::id().into();
    let mut chance: u64 = seed;
    for _ in 0..rounds {
        // A small generator: which moments were tried can be had again from the seed.
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        round(&mut gateway, &next, &mut acknowledged, chance >> 33);
    }
    assert_eq!(gateway.readable(&["HEMLIGT", "@live.example", "anna@"]), Vec::<String>::new());

    gateway.start();
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    let reached = delivered(&outside);
    let deposited: BTreeSet<String> = gateway
        .ask(&["message", "list"])
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|message| message["recipients"].as_array().unwrap().clone())
        .map(|recipient| recipient["address"].as_str().unwrap().to_owned())
        .collect();
    let mut lost = Vec::new();
    let mut twice = 0;
    for number in &acknowledged {
        let tagged = number.is_multiple_of(3);
        let address = format!("{}{number}@live.example", if tagged { 't' } else { 'p' });
        let arrivals = reached.get(&address).copied().unwrap_or(0);
        if arrivals == 0 || (tagged && !deposited.contains(&address)) {
            lost.push(address);
        }
        twice += usize::from(arrivals > 1);
    }
    println!(
        "seed {seed}: {rounds} rounds, {} acknowledged, {} lost, {twice} delivered twice",
        acknowledged.len(),
        lost.len()
    );
    assert!(lost.is_empty(), "seed {seed}: acknowledged and lost: {lost:?}");
    assert!(acknowledged.len() as u64 > rounds * 5, "too little load to tell anything");
    assert_eq!(gateway.ask(&["audit", "verify"])["sound"], true);
    assert_eq!(gateway.readable(&["HEMLIGT", "@live.example", "anna@"]), Vec::<String>::new());
}
