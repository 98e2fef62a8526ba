//! What the house does when something is wrong with it or with what it is handed: a full disk, a key that is gone, mail
//! that nobody can parse. Nothing acknowledged is lost, nothing leaves unprotected, and somebody is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Bound;
use std::path::Path;
use std::process::Command;

use sealgate::store::{Embedded, Rows, Table};

use crate::crash::delivered;
use crate::leaks::found_in;
use crate::mail_sink::Sink;
use crate::route::decoded;
use crate::running::{Gateway, free, wait_until};

/// Messages a disk that cannot grow may still take: the rows' file has room of its own.
const MOST: usize = 400;

/// Hands over one message; the last answer, which may be that of `DATA`.
fn send(address: SocketAddr, to: &str, message: &[u8]) -> String {
    send_with(address, to, "", message)
}

/// Hands over one message with parameters at its recipient.
fn send_with(address: SocketAddr, to: &str, parameters: &str, message: &[u8]) -> String {
    let mut reader = BufReader::new(TcpStream::connect(address).unwrap());
    let mut told = String::new();
    reader.read_line(&mut told).unwrap();
    let recipient = format!("RCPT TO:<{to}>{parameters}");
    for line in ["HELO client.example", "MAIL FROM:<anna@sundby.example>", &recipient, "DATA"] {
        reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        told.clear();
        reader.read_line(&mut told).unwrap();
    }
    if told.starts_with("354") {
        reader.get_mut().write_all(message).unwrap();
        reader.get_mut().write_all(b"\r\n.\r\n").unwrap();
        told.clear();
        reader.read_line(&mut told).unwrap();
    }
    told.trim().to_owned()
}

/// A page of the control door: its status and text.
pub fn page(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), text.to_owned())
}

/// What `/readyz` says.
pub fn readiness(control: SocketAddr) -> (u16, String) {
    page(control, "/readyz")
}

/// Runs the daemon where it should refuse to; what it says. One that runs all the same is ended by `timeout`.
fn refused(gateway: &Gateway) -> String {
    let mut command = Command::new("timeout");
    command.args(["20", env!("CARGO_BIN_EXE_sealgate"), "run", "--config"]).arg(gateway.config());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let ended = output.status.code();
    assert!(
        ended.is_some_and(|code| !matches!(code, 0 | 101 | 124)) && !told.contains("panicked"),
        "{ended:?}: {told}"
    );
    told
}

fn log(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.folder.join("log")).unwrap()
}

fn queue_is_empty(gateway: &Gateway) -> bool {
    gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty()
}

/// A gateway whose disk has a fault while the flag is there; the flag says which.
fn under_the_layer(gateway: &mut Gateway) -> std::path::PathBuf {
    let (shim, flag) = (gateway.folder.join("shim.so"), gateway.folder.join("full"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diskfull/shim.c");
    let built = Command::new("gcc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source).status();
    assert!(built.expect("PEER MISSING: gcc; tests/run installs it").success());
    let environment = [
        ("LD_PRELOAD", shim.display()),
        ("DISKFULL_ROOT", gateway.data().display()),
        ("DISKFULL_FLAG", flag.display()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()));
    gateway.environment.extend(environment);
    flag
}

fn mail(number: usize, filler: usize) -> Vec<u8> {
    let tag = if number.is_multiple_of(2) { "[sikker] " } else { "" };
    format!("Subject: {tag}Hej {number}\r\nMessage-ID: <f{number}@sundby.example>\r\n\r\n{}", "text\r\n".repeat(filler))
        .into_bytes()
}

async fn a_full_disk(way: &str) {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let flag = under_the_layer(&mut gateway);
    gateway.start();
    let (pid, mut acknowledged) = (gateway.pid(), Vec::new());
    let mut hand_over = |number: usize, filler: usize| {
        let to = format!("p{number}@live.example");
        let reply = send(gateway.outbound, &to, &mail(number, filler));
        if reply.starts_with("250") {
            acknowledged.push(to);
        }
        reply
    };
    for number in 0..6 {
        assert!(hand_over(number, 1).starts_with("250"));
    }
    assert_eq!(readiness(gateway.control), (200, "ready\n".to_owned()));

    std::fs::write(&flag, way).unwrap();
    let refusal = (6..MOST).map(|number| hand_over(number, 30_000)).find(|reply| !reply.starts_with("250")).unwrap();
    assert!(refusal.starts_with("452 4.3.1"), "{way}: {refusal}");
    // Its body would be a file.
    let large = hand_over(MOST, 100_000);
    assert!(large.starts_with("452 4.3.1"), "{way}: {large}");
    wait_until("the word that there is no room", || {
        let (status, reason) = readiness(gateway.control);
        status == 503 && reason.contains("the disk is full; make room for data_dir")
    });
    assert_eq!(page(gateway.control, "/healthz").0, 200);
    let again = hand_over(MOST + 1, 1);
    assert!(again.starts_with("452 4.3.1"), "{way}: {again}");

    std::fs::remove_file(&flag).unwrap();
    wait_until("mail being taken again", || readiness(gateway.control).0 == 200);
    for number in MOST + 2..MOST + 8 {
        let reply = hand_over(number, 1);
        assert!(reply.starts_with("250"), "{way}: {reply}");
    }
    wait_until("an empty queue", || queue_is_empty(&gateway));
    let reached = delivered(&outside);
    for to in &acknowledged {
        assert!(reached.contains_key(to), "{way}: {to} was acknowledged and is lost\n{}", log(&gateway));
    }
    let twice: Vec<_> = reached.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{way}: what was sent is settled later, not sent again: {twice:?}");
    assert!(reached.keys().all(|to| acknowledged.contains(to)), "{way}: refused, and sent all the same");
    assert_eq!((gateway.pid(), gateway.ask(&["audit", "verify"])["sound"].as_bool()), (pid, Some(true)));
    assert!(!log(&gateway).contains("panicked"), "{}", log(&gateway));
    assert!(!gateway.data().join("rows.room").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_on_which_nothing_can_be_written_refuses_mail_until_there_is_room() {
    a_full_disk("all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_on_which_nothing_can_grow_refuses_mail_until_there_is_room() {
    a_full_disk("growth").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_left_while_the_disk_was_full_is_settled_later_and_not_sent_again() {
    // The answer to the final dot comes after two seconds: when the disk is full.
    let (outside, inside) = (Sink::start(true, &["-w", "2"]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let flag = under_the_layer(&mut gateway);
    gateway.start();
    assert!(send(gateway.outbound, "p1@live.example", &mail(1, 1)).starts_with("250"));
    std::fs::write(&flag, "all").unwrap();
    wait_until("a second try to settle", || log(&gateway).matches("cannot be settled yet").count() > 1);
    assert_eq!(delivered(&outside).get("p1@live.example"), Some(&1), "{}", log(&gateway));
    std::fs::remove_file(&flag).unwrap();
    wait_until("an empty queue", || queue_is_empty(&gateway));
    assert_eq!(delivered(&outside).get("p1@live.example"), Some(&1), "{}", log(&gateway));
}

/// Turns an octet in the locked part of the first row of a table.
pub async fn damage_the_first_row(gateway: &Gateway, table: Table) {
    let rows = Embedded::open(&gateway.data().join("rows.redb")).unwrap();
    let (key, mut row) = rows.range(table, Bound::Unbounded, Bound::Unbounded, 1).unwrap().pop().unwrap();
    *row.last_mut().unwrap() ^= 1;
    rows.commit(Box::new(move |tx| tx.put(table, &key, &row))).await.unwrap();
}

/// The item cannot be read, so nobody can be told that its message was delivered.
#[tokio::test(flavor = "multi_thread")]
async fn what_left_and_can_never_be_settled_is_set_aside_and_not_sent_again() {
    let (outside, inside) = (Sink::start(true, &["-e"]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let nobody = free();
    let mut gateway = Gateway::found(folder.path(), nobody, inside.address, "http://127.0.0.1:9");
    gateway.start();
    assert!(send_with(gateway.outbound, "p1@live.example", " NOTIFY=SUCCESS", &mail(1, 1)).starts_with("250"));
    wait_until("a first attempt", || gateway.ask(&["queue", "list"])[0]["recipients"][0]["state"] == "deferred");
    gateway.kill();
    damage_the_first_row(&gateway, Table("queue.items")).await;
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config.replace(&nobody.to_string(), &outside.address.to_string())).unwrap();
    gateway.start();
    let id = gateway.ask(&["queue", "list"])[0]["id"].as_str().unwrap().to_owned();
    gateway.ask(&["queue", "retry", &id]);
    wait_until("the word that it is set aside", || log(&gateway).contains("can never be settled; it is set aside"));
    wait_until("an event about it", || {
        let events = gateway.ask(&["audit", "export"]);
        events.as_array().unwrap().iter().any(|event| event["event"] == "corrupt")
    });
    assert_eq!(gateway.ask(&["queue", "list"])[0]["stage"], "corrupt");
    // Asked for once more, it is found to have been delivered, and lies in the queue no longer.
    gateway.ask(&["queue", "retry", &id]);
    assert!(queue_is_empty(&gateway));
    gateway.kill();
    gateway.start();
    assert!(send(gateway.outbound, "p2@live.example", &mail(3, 1)).starts_with("250"));
    wait_until("later mail", || delivered(&outside).contains_key("p2@live.example"));
    assert_eq!(delivered(&outside).get("p1@live.example"), Some(&1), "{}", log(&gateway));
}

/// The operator gives a message up while it is on its way: what came of it is told nobody, and alarms nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_while_it_is_attempted_is_dropped() {
    // The answer to the final dot comes after two seconds, and a report of success is due then.
    let (outside, inside) = (Sink::start(true, &["-e", "-w", "2"]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    assert!(send_with(gateway.outbound, "p1@live.example", " NOTIFY=SUCCESS", &mail(1, 1)).starts_with("250"));
    wait_until("an attempt", || gateway.ask(&["queue", "list"])[0]["stage"] == "active");
    let id = gateway.ask(&["queue", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(gateway.ask(&["queue", "drop", &id, "--notify"])["hears"], "sender");
    wait_until("its end", || log(&gateway).contains("what came of an attempt is not wanted any more"));
    assert!(!log(&gateway).contains("can never be settled"), "{}", log(&gateway));
    wait_until("an empty queue", || queue_is_empty(&gateway));
}

/// A peer that answers and has no TLS where a route asks for it: its sender hears that, and not that nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_hears_that_it_was_for_want_of_tls() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let short = "[queue]\nminimal_backoff = \"1s\"\nmaximal_backoff = \"1s\"\nmaximal_lifetime = \"2s\"\n";
    let hop = outside.address;
    let route =
        format!("[[delivery.route]]\ndomains = [\"live.example\"]\nnext_hop = \"smtp://{hop}\"\ntls = \"encrypt\"\n");
    std::fs::write(gateway.config(), format!("{config}\n{short}\n{route}")).unwrap();
    gateway.start();
    assert!(send(gateway.outbound, "p1@live.example", &mail(1, 1)).starts_with("250"));
    wait_until("the report", || inside.messages().len() == 1);
    let report = decoded(&String::from_utf8_lossy(&inside.messages()[0]));
    assert!(report.contains("ingen verifierad") && !report.contains("svarar inte"), "{report}");
    assert!(outside.messages().is_empty());
}

/// The system may take for written what a failed sync left behind: nothing is built on it before a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_sync_takes_no_mail_before_a_restart() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let flag = under_the_layer(&mut gateway);
    gateway.start();
    assert!(send(gateway.outbound, "p1@live.example", &mail(1, 1)).starts_with("250"));
    std::fs::write(&flag, "sync").unwrap();
    let reply = send(gateway.outbound, "p2@live.example", &mail(2, 1));
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    std::fs::remove_file(&flag).unwrap();
    let (status, reason) = readiness(gateway.control);
    assert!(status == 503 && reason.contains("check the disk, then restart sealgate"), "{reason}");
    assert_eq!(page(gateway.control, "/healthz").0, 200);
    gateway.kill();
    gateway.start();
    assert!(send(gateway.outbound, "p3@live.example", &mail(3, 1)).starts_with("250"));
    wait_until("readiness", || readiness(gateway.control).0 == 200);
    wait_until("an empty queue", || queue_is_empty(&gateway));
    let reached = delivered(&outside);
    assert!(reached.contains_key("p1@live.example") && reached.contains_key("p3@live.example"), "{reached:?}");
}

/// Headers are held in memory until their messages have arrived.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_endless_headers_is_not_held_in_memory() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let large = format!("X-Filler: {}\r\n", "x".repeat(900)).repeat(100);
    let begin = || {
        let mut stream = TcpStream::connect(gateway.outbound).unwrap();
        let head = "HELO client.example\r\nMAIL FROM:<anna@sundby.example>\r\nRCPT TO:<p1@live.example>\r\nDATA\r\n";
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        stream.write_all(head.as_bytes()).unwrap();
        for wanted in ["220", "250", "250", "250", "354"] {
            let mut told = String::new();
            reader.read_line(&mut told).unwrap();
            assert!(told.starts_with(wanted), "{told}");
        }
        stream.write_all(large.as_bytes()).unwrap();
        stream
    };
    let one_more = format!("{large}Subject: Hej\r\n\r\ntext");
    let mut crowd: Vec<TcpStream> = Vec::new();
    wait_until("a refusal for now", || {
        crowd.push(begin());
        send(gateway.outbound, "p2@live.example", one_more.as_bytes()).starts_with("451 4.3.0")
    });
    assert!((32..80).contains(&crowd.len()), "{}", crowd.len());
    assert!(send(gateway.outbound, "p3@live.example", &mail(3, 1)).starts_with("250"), "small headers have room");
    drop(crowd);
    wait_until("room again", || send(gateway.outbound, "p2@live.example", one_more.as_bytes()).starts_with("250"));
}

/// Lays a file aside and brings it back.
struct Aside(std::path::PathBuf);

impl Aside {
    fn lay(path: &Path) -> Self {
        std::fs::rename(path, path.with_extension("aside")).unwrap();
        Self(path.to_owned())
    }

    fn back(&self) {
        std::fs::rename(self.0.with_extension("aside"), &self.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_a_key_is_refused_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there yet: everything that is promised has to be kept.
    let (internet, mail_server) = (free(), free());
    let mut gateway = Gateway::found(folder.path(), internet, mail_server, "http://127.0.0.1:9");
    gateway.start();
    for number in 0..2 {
        assert!(send(gateway.outbound, &format!("p{number}@live.example"), &mail(number, 1)).starts_with("250"));
    }
    gateway.kill();

    let keys = gateway.data().join("keys");
    let (epoch, index) = (keys.join("0001.age"), keys.join("index.age"));
    for file in [&epoch, &index] {
        let aside = Aside::lay(file);
        let told = refused(&gateway);
        assert!(told.contains(&format!("{} is missing: bring it back", file.display())), "{told}");
        assert!(!file.exists(), "no new key takes the place of the old");
        std::fs::create_dir(file).unwrap();
        let told = refused(&gateway);
        assert!(told.contains(&format!("{}: Is a directory", file.display())), "{told}");
        std::fs::remove_dir(file).unwrap();
        std::fs::write(file, "no key at all").unwrap();
        let told = refused(&gateway);
        assert!(told.contains(&format!("{}: this is not an age file", file.display())), "{told}");
        aside.back();
    }
    let aside = Aside::lay(&keys);
    let told = refused(&gateway);
    assert!(told.contains("index.age is missing") && !keys.exists(), "{told}");
    aside.back();

    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let config = config.replace(&internet.to_string(), &outside.address.to_string());
    std::fs::write(gateway.config(), config.replace(&mail_server.to_string(), &inside.address.to_string())).unwrap();
    gateway.start();
    gateway.ask(&["queue", "retry", "--all"]);
    wait_until("an empty queue", || queue_is_empty(&gateway));
    assert_eq!(delivered(&outside).len(), 2);

    // Lost for good, and somebody says so.
    gateway.kill();
    std::fs::remove_file(&epoch).unwrap();
    std::fs::write(epoch.with_extension("destroyed"), "").unwrap();
    gateway.start();
    assert!(send(gateway.outbound, "p2@live.example", &mail(2, 1)).starts_with("250"));
    wait_until("a message under the next key", || delivered(&outside).len() == 3);
}

const HOLD: &str = "\n[[rule]]\nname = \"held\"\nif.any = [{ subject = \"Hej\" }]\nprotect = \"hold\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_goes_while_the_daemon_runs_stops_mail_until_it_is_back() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config + HOLD).unwrap();
    gateway.start();
    let reply = send(gateway.outbound, "p0@live.example", &mail(0, 1));
    let held = reply.rsplit(' ').next().unwrap();
    wait_until("the hold", || gateway.ask(&["queue", "list"])[0]["stage"] == "held");

    for file in ["0001.age", "index.age"] {
        let path = gateway.data().join("keys").join(file);
        let aside = Aside::lay(&path);
        let (status, reason) = readiness(gateway.control);
        assert!(status == 503 && reason.contains(&format!("{} is missing", path.display())), "{reason}");
        assert_eq!(page(gateway.control, "/healthz").0, 200);
        // What is taken now nobody could open after the next start.
        let reply = send(gateway.outbound, "p1@live.example", &mail(1, 1));
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
        if file == "0001.age" {
            gateway.ask(&["queue", "release", held]);
            wait_until("a message that waits", || log(&gateway).contains("a message could not be carried"));
            assert!(outside.messages().is_empty());
        }
        aside.back();
        assert_eq!(readiness(gateway.control).0, 200);
    }
    wait_until("the message that waited", || delivered(&outside).contains_key("p0@live.example"));
    assert_eq!(gateway.ask(&["audit", "verify"])["sound"], true);
    assert!(!log(&gateway).contains("panicked"), "{}", log(&gateway));
}

#[test]
fn a_port_in_use_ends_the_program_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let doors = [
        ("smtpd.outbound.listen", gateway.outbound),
        ("smtpd.inbound.listen", gateway.inbound),
        ("portal.listen", gateway.portal),
        ("control.listen", gateway.control),
    ];
    for (setting, address) in doors {
        let taken = TcpListener::bind(address).unwrap();
        let told = refused(&gateway);
        assert!(told.contains(&format!("{setting}: {address} is in use")), "{told}");
        drop(taken);
    }
}

/// A real personal number; it must not leave in any form.
const NUMBER: &str = "19811218-9876";

/// Messages that are no proper mail, each with a personal number in it.
fn broken() -> Vec<(&'static str, Vec<u8>)> {
    let mail = |header: &str, body: &[u8]| [format!("Subject: Hej\r\n{header}\r\n\r\n").as_bytes(), body].concat();
    let nested: String =
        (0..10_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n")).collect();
    let utf_16: Vec<u8> = NUMBER.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let base64 = |octets: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, octets);
    let in_base64 = base64(format!("Personnummer {NUMBER}, mer text").as_bytes());
    vec![
        ("nested", format!("Subject: Hej\r\n{nested}\r\n{NUMBER}\r\n").into_bytes()),
        ("noboundary", mail("MIME-Version: 1.0\r\nContent-Type: multipart/mixed", NUMBER.as_bytes())),
        ("unended", mail("Content-Type: multipart/mixed; boundary=b", format!("--b\r\n\r\n{NUMBER}").as_bytes())),
        ("preamble", mail("Content-Type: multipart/mixed; boundary=b", format!("{NUMBER}\r\n--b--").as_bytes())),
        ("noheader", format!("{NUMBER} is no field name\r\nnor this\r\n\r\ntext").into_bytes()),
        ("folded", format!(" {NUMBER} goes on with nothing\r\nSubject: Hej\r\n\r\ntext").into_bytes()),
        ("nuls", mail("X-Nul: \0", format!("\0\0{NUMBER}\0\0").as_bytes())),
        ("nulswithin", mail("X: y", NUMBER.replace('-', "\0-\0").as_bytes())),
        ("charset", mail("Content-Type: text/plain; charset=klingon-8", NUMBER.as_bytes())),
        (
            "utf16",
            mail(
                "Content-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: base64",
                base64(&utf_16).as_bytes(),
            ),
        ),
        (
            "utf16untold",
            mail("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", base64(&utf_16).as_bytes()),
        ),
        (
            "notutf8",
            mail("Content-Type: text/plain; charset=utf-8", &[b"\xff\xfe\xc3(", NUMBER.as_bytes(), b"\xff"].concat()),
        ),
        ("encoding", mail("Content-Transfer-Encoding: rot13", NUMBER.as_bytes())),
        ("base64", mail("Content-Transfer-Encoding: base64", format!("!!{in_base64}=*=\r\n%%").as_bytes())),
        ("quoted", mail("Content-Transfer-Encoding: quoted-printable", format!("=ZZ={NUMBER}=").as_bytes())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_parse_is_protected_and_not_dropped() {
    let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(false, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let broken = broken();
    for (name, message) in &broken {
        let reply = send(gateway.outbound, &format!("{name}@live.example"), message);
        assert!(reply.starts_with("250"), "{name}: {reply}");
    }
    let fields = format!("X-Long: {}\r\n", "x".repeat(60_000)).repeat(20);
    let large = send(gateway.outbound, "large@live.example", format!("{fields}\r\n{NUMBER}").as_bytes());
    assert!(large.starts_with("554 5.6.0"), "{large}");

    wait_until("a notice to each", || queue_is_empty(&gateway) && delivered(&outside).len() >= broken.len());
    let kept = gateway.ask(&["message", "list"]).to_string();
    let left = outside.messages();
    assert_eq!(left.len(), broken.len());
    for (name, _) in &broken {
        assert!(kept.contains(&format!("{name}@live.example")), "{name} is in no post box");
    }
    for message in left {
        let text = String::from_utf8_lossy(&message);
        assert!(text.contains("bounce+"), "no notice: {text}");
        assert!(found_in(&message, &[NUMBER, "9876", "klingon"]).is_empty(), "{text}");
    }
    assert_eq!(readiness(gateway.control).0, 200);
    assert!(!log(&gateway).contains("panicked"), "{}", log(&gateway));
}
