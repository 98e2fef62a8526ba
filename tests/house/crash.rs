//! kill -9 at random moments under load: what had its `250` is delivered, deposited or reported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use crate::mail_sink::Sink;
use crate::running::{Gateway, is_long, wait_until};

/// Rounds in the usual run; the long tier makes ten times as many.
const ROUNDS: u64 = 50;
const SENDERS: u64 = 4;
/// Deliveries in the usual run of the other test; the long tier makes 10,000.
const DELIVERIES: usize = 600;
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
    let rounds = if is_long() { ROUNDS * 10 } else { ROUNDS };
    let next = AtomicU64::new(1);
    let mut acknowledged = BTreeSet::new();
    let seed = std::process::id().into();
    let mut chance: u64 = seed;
    for _ in 0..rounds {
        round(&mut gateway, &next, &mut acknowledged, roll(&mut chance));
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

/// A small generator: which moments were tried can be had again from the seed.
fn roll(chance: &mut u64) -> u64 {
    *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *chance >> 33
}

/// Sends plain messages until told to stop; the number of each that was promised.
fn plain_load(address: SocketAddr, next: &AtomicU64, promised: &mpsc::Sender<u64>, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let Ok(stream) = TcpStream::connect(address) else { return };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut reader = BufReader::new(stream);
        let mut greeting = String::new();
        let is_greeted = reader.read_line(&mut greeting).unwrap_or(0) > 0
            && reader.get_mut().write_all(b"HELO crash.example\r\n").is_ok()
            && reader.read_line(&mut greeting).unwrap_or(0) > 0;
        while is_greeted && !stop.load(Ordering::SeqCst) {
            let number = next.fetch_add(1, Ordering::SeqCst) * 3 + 1;
            match send(&mut reader, number) {
                Ok(true) => _ = promised.send(number),
                Ok(false) | Err(_) => break,
            }
        }
    }
}

/// One time that a message came.
struct Arrival {
    when: SystemTime,
    /// Which of the peers that followed each other took it.
    peer: usize,
    /// Under which id it was sent.
    id: String,
}

/// What came whole, by number, oldest first: what a peer had only begun when it was killed it had not taken.
fn arrivals(peers: &[Sink]) -> BTreeMap<u64, Vec<Arrival>> {
    let mut arrivals: BTreeMap<u64, Vec<Arrival>> = BTreeMap::new();
    for (peer, (when, message)) in
        peers.iter().enumerate().flat_map(|(n, it)| it.taken().into_iter().map(move |m| (n, m)))
    {
        let text = String::from_utf8_lossy(&message);
        let Some((head, body)) = text.split_once("\n\n") else { continue };
        let number = head.lines().find_map(|line| line.strip_prefix("Message-ID: <m"));
        let Some(number) = number.and_then(|rest| rest.split('@').next()?.parse::<u64>().ok()) else { continue };
        let (lines, end) = if number.is_multiple_of(LARGE_EVERY) { (12_000, "kropp\n") } else { (1, "HEMLIGT\n") };
        if body.trim_end().lines().count() == lines && format!("{}\n", body.trim_end()).ends_with(end) {
            let ours = head.split("by gw.sundby.example").nth(1).and_then(|rest| rest.split(" id ").nth(1));
            let id = ours.and_then(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next()).unwrap().to_owned();
            arrivals.entry(number).or_default().push(Arrival { when, peer, id });
        }
    }
    for of_one in arrivals.values_mut() {
        of_one.sort_by_key(|arrival| arrival.when);
    }
    arrivals
}

/// The gateway and the host it delivers to are killed, one or both, in the middle of deliveries, over and over.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_while_it_is_delivered_arrives_and_twice_only_where_the_answer_was_lost() {
    let wanted = if is_long() { 10_000 } else { DELIVERIES };
    let seed: u64 = std::env::var("SEALGATE_SEED").map_or(std::process::id().into(), |seed| seed.parse().unwrap());
    let mut chance = seed;
    println!("SEALGATE_SEED={seed} tries the same moments again");
    // Every other peer hangs up behind the final dot instead of answering it.
    let manners = |peer: usize| -> &[&str] { if peer % 2 == 1 { &["-q", "."] } else { &[] } };
    let mut sinks = vec![Sink::start(true, &[]).await];
    let inside = Sink::start(false, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), sinks[0].address, inside.address, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let soon = "\n[queue]\nminimal_backoff = \"1s\"\nmaximal_backoff = \"1s\"\n";
    std::fs::write(gateway.config(), config + soon).unwrap();
    gateway.start();
    let next = AtomicU64::new(1);
    let mut promised = BTreeSet::new();
    let mut kills = Vec::new();
    let mut killed_peers = 0;
    while promised.len() < wanted {
        let (sender, receiver) = mpsc::channel();
        let stop = AtomicBool::new(false);
        let (address, victims) = (gateway.outbound, roll(&mut chance) % 3);
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                let sender = sender.clone();
                scope.spawn(|| {
                    let sender = sender;
                    plain_load(address, &next, &sender, &stop);
                });
            }
            drop(sender);
            for _ in 0..roll(&mut chance) % 60 {
                match receiver.recv_timeout(Duration::from_secs(10)) {
                    Ok(number) => _ = promised.insert(number),
                    Err(_) => break,
                }
            }
            // Somewhere between two promises, not just behind one.
            if let Ok(number) = receiver.recv_timeout(Duration::from_micros(roll(&mut chance) % 7_000)) {
                promised.insert(number);
            }
            if victims != 1 {
                kills.push(SystemTime::now());
                gateway.kill();
            }
            if victims != 0 {
                sinks.last_mut().unwrap().kill();
                killed_peers += 1;
            }
            stop.store(true, Ordering::SeqCst);
            promised.extend(receiver.iter());
        });
        if victims != 0 {
            let address = sinks[0].address;
            sinks.push(Sink::start_at(address, true, manners(sinks.len())).await);
        }
        if victims != 1 {
            gateway.start();
        }
    }
    if sinks.len() % 2 == 0 {
        sinks.last_mut().unwrap().kill();
        sinks.push(Sink::start_at(sinks[0].address, true, &[]).await);
    }
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());

    let arrived = arrivals(&sinks);
    let lost: Vec<&u64> = promised.iter().filter(|number| !arrived.contains_key(number)).collect();
    let (mut hung_up, mut we_died, mut peer_died, mut faults) = (0, 0, 0, Vec::new());
    for (number, of_one) in arrived.iter().filter(|(_, of_one)| of_one.len() > 1) {
        let trace = gateway.ask(&["message", "trace", &of_one[0].id]);
        let events = trace["events"].as_array().unwrap();
        if events.iter().filter(|event| event["event"] == "delivered").count() != 1 {
            faults.push(format!("{number} is settled otherwise than once: {trace}"));
        }
        for pair in of_one.windows(2) {
            // What was under way when the gateway died may still have been written a moment later.
            let between = pair[0].when - Duration::from_millis(200)..pair[1].when;
            if manners(pair[0].peer).len() > 1 {
                hung_up += 1;
            } else if kills.iter().any(|kill| between.contains(kill)) {
                we_died += 1;
            } else if pair[0].peer != pair[1].peer {
                peer_died += 1;
            } else {
                faults.push(format!("{number} came again, and nobody had died: {trace}"));
            }
            if pair[0].id != pair[1].id {
                faults.push(format!("{number} was promised once and kept twice: {trace}"));
            }
        }
    }
    println!(
        "seed {seed}: {} promised, {} arrived, the gateway killed {} times and its peer {killed_peers}: {} lost, {} came again: {hung_up} whose answer the peer swallowed, {we_died} whose answer died with the gateway, {peer_died} whose answer died with the peer",
        promised.len(),
        arrived.len(),
        kills.len(),
        lost.len(),
        hung_up + we_died + peer_died
    );
    assert!(lost.is_empty(), "seed {seed}: promised and lost: {lost:?}");
    assert!(faults.is_empty(), "seed {seed}: {}", faults.join("\n"));
    assert!(hung_up > 0, "no answer was lost, so this shows nothing");
    assert!(kills.len() + killed_peers > wanted / 100, "too few kills to tell anything");
    assert_eq!(gateway.ask(&["audit", "verify"])["sound"], true);
}
