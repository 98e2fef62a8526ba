//! The malware scanner, a real clamd with one signature of our own: what it finds is held and told, and where it cannot
//! tell, nothing is taken.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::faults::readiness;
use crate::mail_sink::Sink;
use crate::operator::id_in;
use crate::route::decoded;
use crate::running::{Gateway, free, wait_until};

/// What the signature knows: a harmless word.
pub const MARKER: &str = "SEALGATE-HARMLESS-MARKER-4711";
/// Octets of a stream that clamd takes.
const STREAM_OCTETS: usize = 1 << 20;

/// clamd, running until dropped.
pub struct Clamd {
    pub address: SocketAddr,
    child: Child,
    _folder: TempDir,
}

impl Clamd {
    pub fn start() -> Self {
        Self::start_at(free())
    }

    fn start_at(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("db")).unwrap();
        let octets: String = MARKER.bytes().map(|octet| format!("{octet:02x}")).collect();
        std::fs::write(path("db/own.ndb"), format!("Sealgate.Marker:0:*:{octets}\n")).unwrap();
        let config = format!(
            "Foreground yes\nTCPAddr {}\nTCPSocket {}\nDatabaseDirectory {}\nStreamMaxLength {STREAM_OCTETS}\n\
             TemporaryDirectory {}\n",
            address.ip(),
            address.port(),
            path("db").display(),
            folder.path().display(),
        );
        std::fs::write(path("clamd.conf"), config).unwrap();
        let child = Command::new("clamd")
            .arg("-c")
            .arg(path("clamd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("PEER MISSING: clamd; tests/run installs it");
        wait_until("clamd", || {
            let Ok(mut socket) = TcpStream::connect(address) else { return false };
            let mut told = Vec::new();
            socket.write_all(b"zPING\0").is_ok() && socket.read_to_end(&mut told).is_ok() && told == b"PONG\0"
        });
        Self { address, child, _folder: folder }
    }

    /// Ends it; nobody listens at its address then.
    pub fn stop(mut self) -> SocketAddr {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Hands a message over; the answer to the final dot.
fn send(address: SocketAddr, from: &str, to: &str, message: &str) -> String {
    let mut reader = BufReader::new(TcpStream::connect(address).unwrap());
    let mut told = String::new();
    reader.read_line(&mut told).unwrap();
    let whole = format!("{message}\r\n.");
    for line in ["HELO client.example", &format!("MAIL FROM:<{from}>"), &format!("RCPT TO:<{to}>"), "DATA", &whole] {
        reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        told.clear();
        reader.read_line(&mut told).unwrap();
    }
    told.trim().to_owned()
}

fn attached(head: &str, file: &[u8]) -> String {
    let text = STANDARD.encode(file);
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSe bilagan.\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--",
        lines.join("\r\n")
    )
}

fn zipped(text: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("a.txt", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(text.repeat(40).as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

fn long(octets: usize) -> String {
    format!("Subject: a secret subject\r\n\r\n{}", "0123456789 and so on\r\n".repeat(octets / 22))
}

struct Scene {
    outside: Sink,
    inside: Sink,
    gateway: Gateway,
    _folder: TempDir,
}

impl Scene {
    async fn raise(scan: &str) -> Self {
        let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        std::fs::write(gateway.config(), format!("{config}\n[scan]\n{scan}")).unwrap();
        gateway.start();
        Self { outside, inside, gateway, _folder: folder }
    }

    fn send(&self, to: &str, message: &str) -> String {
        send(self.gateway.outbound, "anna@sundby.example", to, message)
    }

    fn stage(&self, id: &str) -> String {
        let list = self.gateway.ask(&["queue", "list"]);
        let found = list.as_array().unwrap().iter().find(|item| item["id"] == id).cloned();
        found.map_or("gone".to_owned(), |item| item["stage"].as_str().unwrap().to_owned())
    }

    fn told(&self, whom: &str, words: &[&str]) -> bool {
        let texts = self.inside.messages().into_iter().map(|message| decoded(&String::from_utf8_lossy(&message)));
        texts.filter(|text| text.contains(whom)).any(|text| words.iter().all(|word| text.contains(word)))
    }
}

#[tokio::test]
async fn what_the_scanner_finds_is_held_and_told_and_what_it_cannot_tell_is_not_taken() {
    let clamd = Clamd::start();
    let scene = Scene::raise(&format!("clamd = \"tcp://{}\"\nmax_size = \"2 MiB\"\n", clamd.address)).await;
    let subject = "Subject: a secret subject\r\n";
    let found = "scan: Sealgate.Marker.UNOFFICIAL";
    let large = "scan: larger than the scanner takes";
    let marked = format!("{subject}\r\nbefore {MARKER} behind");
    for (name, to, message, rule) in [
        ("clean", "eva@live.example", format!("{subject}\r\nnothing"), ""),
        ("clean, with a file", "eva@live.example", attached(subject, &zipped("nothing")), ""),
        ("in the text", "eva@live.example", marked.clone(), found),
        ("to those inside", "berit@sundby.example", marked.clone(), found),
        ("in a file", "eva@live.example", attached(subject, MARKER.as_bytes()), found),
        (
            "in a file, behind a field nobody knows",
            "eva@live.example",
            format!("X-Odd: a\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", STANDARD.encode(MARKER)),
            found,
        ),
        ("in a zip", "eva@live.example", attached(subject, &zipped(MARKER)), found),
        ("larger than clamd takes", "eva@live.example", long(STREAM_OCTETS + 100_000), large),
        ("larger than is shown to it", "eva@live.example", long(3 << 20), large),
    ] {
        let id = id_in(&scene.send(to, &message));
        if rule.is_empty() {
            wait_until(name, || scene.stage(&id) == "gone");
            continue;
        }
        wait_until(name, || scene.stage(&id) == "held");
        let trace = scene.gateway.ask(&["message", "trace", &id]).to_string();
        assert!(trace.contains(rule), "{name}: {trace}");
        let (_, finding) = rule.split_once(": ").unwrap();
        wait_until(name, || scene.told("anna@sundby.example", &[&id, to, "virusskyddet", finding]));
    }
    assert_eq!(scene.outside.messages().len(), 2, "the clean ones alone have left");
    assert!(!scene.told("", &[MARKER]), "nothing that was found has arrived");

    // Released, it goes its way; and from nobody inside, the postmaster hears of it, and not what it is about.
    let id = id_in(&send(scene.gateway.outbound, "", "eva@live.example", &marked));
    wait_until("held", || scene.stage(&id) == "held");
    let release = format!("sealgate queue release {id}");
    let wanted = [release.as_str(), "eva@live.example", "Sealgate.Marker.UNOFFICIAL"];
    wait_until("the postmaster is told", || scene.told("postmaster@sundby.example", &wanted));
    assert!(!scene.told("postmaster@sundby.example", &["secret subject"]));
    // As the letter says.
    assert!(scene.gateway.command(&["queue", "release", &id]).output().unwrap().status.success());
    wait_until("released", || scene.outside.messages().len() == 3);

    // From outside, whose sender nobody vouches for, the operator hears who was told.
    let id = id_in(&send(scene.gateway.inbound, "eva@live.example", "berit@sundby.example", &marked));
    wait_until("held", || scene.stage(&id) == "held");
    assert_eq!(scene.gateway.ask(&["queue", "drop", "--notify", &id])["hears"], "postmaster");
    wait_until("told", || scene.told("postmaster@sundby.example", &["multipart/report", &id, "Action: failed"]));
    assert_eq!(scene.outside.messages().len(), 3);

    let metrics = metrics(scene.gateway.control);
    for line in
        ["scanned_total{kind=\"clean\"} 2", "scanned_total{kind=\"found\"} 7", "scanned_total{kind=\"too-large\"} 2"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    // Down: the peer keeps it. Up again: it is taken.
    let address = clamd.stop();
    let reply = scene.send("eva@live.example", &format!("{subject}\r\nnothing"));
    assert!(reply.starts_with("451 4.3.0"), "{reply}");
    let (status, why) = readiness(scene.gateway.control);
    assert!(status == 503 && why.contains("scan.clamd"), "{status} {why}");
    let _clamd = Clamd::start_at(address);
    assert_eq!(readiness(scene.gateway.control).0, 200);
    id_in(&scene.send("eva@live.example", &format!("{subject}\r\nnothing")));

    // From outside no more is held than a disk bears; mail of our own is held all the same.
    let mut stranger = BufReader::new(TcpStream::connect(scene.gateway.inbound).unwrap());
    let mut say = |words: &str| {
        stranger.get_mut().write_all(words.as_bytes()).unwrap();
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            assert!(stranger.read_line(&mut line).unwrap() > 0, "the door closed");
        }
        line
    };
    say("");
    say("EHLO mx.live.example\r\n");
    let message = format!("{marked}\r\n.\r\n");
    let (from, to) = ("MAIL FROM:<eva@live.example>\r\n", "RCPT TO:<postmaster@gw.sundby.example>\r\n");
    let mut taken = |_| {
        let [.., last] = [from, to, "DATA\r\n", &message].map(&mut say);
        last
    };
    let replies: Vec<String> = (0..62).map(&mut taken).collect();
    // Sixty in an hour, with the one above.
    assert!(replies.iter().take(59).all(|reply| reply.starts_with("250 2.0.0")), "{replies:?}");
    assert!(replies.iter().skip(59).all(|reply| reply.starts_with("550 5.7.1")), "{replies:?}");
    id_in(&scene.send("eva@live.example", &marked));
    let leaks = scene.gateway.readable(&["secret subject", MARKER]);
    assert!(leaks.is_empty(), "{leaks:?}");
}

fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[tokio::test]
async fn a_scanner_that_babbles_or_sleeps_has_said_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // One who babbles, then one who takes all and says nothing, for as long as the other side waits.
    let stand_in = std::thread::spawn(move || {
        let (mut babbler, _) = listener.accept().unwrap();
        babbler.write_all(b"220 mx.live.example ESMTP\r\n").unwrap();
        babbler.shutdown(std::net::Shutdown::Write).unwrap();
        _ = std::io::copy(&mut babbler, &mut std::io::sink());
        let (mut sleeper, _) = listener.accept().unwrap();
        _ = std::io::copy(&mut sleeper, &mut std::io::sink());
    });
    let scan = format!("clamd = \"tcp://{address}\"\ntimeout = \"1s\"\non_found = \"refuse\"\n");
    let scene = Scene::raise(&scan).await;
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        let reply = scene.send("eva@live.example", "Subject: a\r\n\r\nb");
        assert!(reply.starts_with("451 4.3.0"), "{reply}");
    }
    assert!((1..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    stand_in.join().unwrap();
    assert!(scene.gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());

    let clamd = Clamd::start_at(address);
    let reply = scene.send("eva@live.example", &format!("Subject: a\r\n\r\n{MARKER}"));
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    drop(clamd);
}
