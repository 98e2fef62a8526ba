//! The SMTP door on a real socket: dialogues as text, smuggling, crowds, size, and a real client.
//!
//! A dialogue (`tests/house/smtp/NN-name.smtp`) has one step a line:
//! `door: KEY=VALUE …` settings, first; `#` why it exists;
//! `C: ` sends a line; `X: ` sends octets (`\r \n \0 \xNN \\`) as they stand; `T:` shakes hands;
//! `S: ` expects a line that begins so, or matches /regex/; `S+: ` reads a whole reply and expects that of its last line;
//! `E:` expects the end; `K: n` so many messages were promised; `B: ` the last one's octets, escaped;
//! `P: ` the last one's protocol name; `I: ` its client's address and name.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use regex::Regex;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use sealgate::net::{ClientTls, Proof, Rate, ServerTls, Shutdown};
use sealgate::smtpd::{DoorSettings, RequiredHeader, Server, SettingsHandle};
use sealgate::telemetry::{Labels, Metrics};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::reception::House;
use crate::smuggling::ENDS;

/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Open {
    address: SocketAddr,
    house: House,
    shutdown: Shutdown,
    settings: SettingsHandle,
    metrics: Metrics,
}

fn outbound() -> DoorSettings {
    let allow = vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
    DoorSettings::outbound("gw.sundby.example".parse().unwrap(), "127.0.0.1:0".parse().unwrap(), allow)
}

fn certificate() -> ServerTls {
    let made = rcgen::generate_simple_self_signed(vec!["gw.sundby.example".to_owned()]).unwrap();
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    ServerTls::from_pem_asking_for(chain.as_bytes(), key.as_bytes(), chain.as_bytes()).unwrap()
}

async fn open(settings: DoorSettings, house: House, tls: Option<ServerTls>) -> Open {
    let metrics = Metrics::default();
    let server = Server::bind(settings, Arc::new(house.clone()), tls, metrics.clone()).await.unwrap();
    let (address, handle, shutdown) = (server.local_address().unwrap(), server.settings(), Shutdown::new());
    shutdown.spawn(server.run(shutdown.clone()));
    Open { address, house, shutdown, settings: handle, metrics }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Client {
    wire: Option<Box<dyn Wire>>,
    received: Vec<u8>,
}

impl Client {
    async fn call(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        Self { wire: Some(Box::new(socket)), received: Vec::new() }
    }

    async fn send(&mut self, octets: &[u8]) {
        // The door may have left already; what it said is judged, not whether it heard us out.
        _ = self.wire.as_mut().unwrap().write_all(octets).await;
        _ = self.wire.as_mut().unwrap().flush().await;
    }

    /// The next line, `None` at the end.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..at + 2).collect();
                return Some(String::from_utf8(line[..at].to_vec()).unwrap());
            }
            let reading = self.wire.as_mut().unwrap().read_buf(&mut self.received);
            match tokio::time::timeout(PATIENCE, reading).await.expect("the door says nothing") {
                Ok(count) if count > 0 => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// The last line of the next reply.
    async fn reply(&mut self) -> String {
        loop {
            let line = self.line().await.unwrap_or_else(|| "the end".to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    async fn says(&mut self, line: &str, wanted: &str) {
        self.send(format!("{line}\r\n").as_bytes()).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(wanted), "{line}: {reply}");
    }

    async fn shake_hands(&mut self) {
        let tls = ClientTls::with_roots(rustls::RootCertStore::empty()).unwrap();
        let wire = self.wire.take().unwrap();
        self.wire = Some(Box::new(tls.connect(wire, "gw.sundby.example", Proof::Any).await.unwrap()));
    }

    /// From greeting to where RCPT was accepted.
    async fn ready_for_data(address: SocketAddr) -> Self {
        let mut client = Self::call(address).await;
        assert!(client.reply().await.starts_with("220 gw.sundby.example ESMTP"));
        client.says("EHLO mx.sundby.example", "250 ").await;
        client.says("MAIL FROM:<anna@sundby.example>", "250 2.1.0").await;
        client.says("RCPT TO:<eva@live.example>", "250 2.1.5").await;
        client
    }
}

#[tokio::test]
async fn every_dialogue_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/house/smtp");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "dialogues are missing");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        play(&name, &std::fs::read_to_string(&file).unwrap()).await;
    }
}

async fn play(name: &str, text: &str) {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty()).peekable();
    let words = lines.next_if(|(_, line)| line.starts_with("door:")).map_or("", |(_, line)| &line[5..]);
    let (settings, tls) = door(words);
    let door = open(settings, House::default(), tls).await;
    let mut client = Client::call(door.address).await;
    for (number, line) in lines {
        let (step, rest) = line.split_once(':').unwrap();
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        let place = format!("{name}:{}: {line}", number + 1);
        match step {
            "C" => client.send(format!("{rest}\r\n").as_bytes()).await,
            "X" => client.send(&unescape(rest)).await,
            "T" => client.shake_hands().await,
            "S" => expect(&place, rest, &client.line().await.unwrap_or_else(|| "the end".to_owned())),
            "S+" => expect(&place, rest, &client.reply().await),
            "E" => assert_eq!(client.line().await, None, "{place}"),
            "K" => assert_eq!(door.house.kept().len().to_string(), rest, "{place}"),
            "B" => {
                let kept = door.house.kept().last().unwrap().octets.clone();
                assert_eq!(kept.escape_ascii().to_string(), unescape(rest).escape_ascii().to_string(), "{place}");
            }
            "R" => assert_eq!(door.house.kept().last().unwrap().envelope.require_tls.to_string(), rest, "{place}"),
            "P" => assert_eq!(door.house.kept().last().unwrap().peer.protocol, rest, "{place}"),
            "I" => {
                let peer = door.house.kept().last().unwrap().peer.clone();
                assert_eq!(format!("{} {}", peer.ip, peer.helo), rest, "{place}");
            }
            _ => panic!("{place}: no such step"),
        }
    }
}

fn expect(place: &str, wanted: &str, line: &str) {
    let fits = match wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(pattern) => Regex::new(pattern).unwrap().is_match(line),
        None => line.starts_with(wanted),
    };
    assert!(fits, "{place}\n  came: {line}");
}

fn door(words: &str) -> (DoorSettings, Option<ServerTls>) {
    let mut settings = outbound();
    let mut tls = None;
    for word in words.split_ascii_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "inbound" => settings = DoorSettings::inbound(settings.hostname, settings.listen),
            "tls" => tls = Some(certificate()),
            "inner_plaintext" => settings.offers_require_tls = false,
            "allow" => settings.allow = vec![value.parse().unwrap()],
            "size" => settings.max_message_size = value.parse().unwrap(),
            "recipients" => settings.max_recipients = value.parse().unwrap(),
            "idle_ms" => settings.idle_timeout = Duration::from_millis(value.parse().unwrap()),
            "data_ms" => settings.data_timeout = Duration::from_millis(value.parse().unwrap()),
            "trusted" => settings.trusted_peers = vec![value.parse().unwrap()],
            "proxy" => settings.proxy_protocol = true,
            "pause_ms" => settings.greeting_pause = Duration::from_millis(value.parse().unwrap()),
            "session_ms" => settings.session_timeout = Duration::from_millis(value.parse().unwrap()),
            "header" => {
                let (name, secret) = value.split_once(':').unwrap();
                settings.require.header = Some(RequiredHeader::new(name, secret));
            }
            "certificate" => settings.require.client_certificate = true,
            "sessions" => settings.max_sessions = value.parse().unwrap(),
            "per_client" => settings.max_sessions_per_client = value.parse().unwrap(),
            _ => panic!("{word}: no such setting"),
        }
    }
    (settings, tls)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b'0') => 0,
            Some(b'x') => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(b'\\') => b'\\',
            other => panic!("{text}: no such escape: {other:?}"),
        });
    }
    octets
}

/// What some server somewhere may take for the end of a message, besides [`ENDS`] of the public tools.
const MORE_ENDS: [(&str, &str); 8] = [
    ("lflfcrlf", "\n\n.\r\n"),
    ("crlflfcrlf", "\r\n\n.\r\n"),
    ("lflfcrlf behind the dot", "\n.\n\r\n"),
    ("null within the second crlf", "\r\n.\r\0\n"),
    ("null within the first crlf", "\r\0\n.\r\n"),
    ("blank behind the dot", "\r\n. \r\n"),
    ("two dots", "\r\n..\r\n"),
    ("a line end of Unicode", "\r\n.\u{85}\u{2028}"),
];

/// What would be read as commands if the false end were believed.
const SMUGGLED: &str = "MAIL FROM:<mallory@sundby.example>\r\nRCPT TO:<victim@live.example>\r\nDATA\r\nsmuggled\r\n";

#[tokio::test]
async fn nothing_is_smuggled_behind_data() {
    for (name, end) in ENDS.into_iter().chain(MORE_ENDS) {
        for parted in [false, true] {
            let door = open(outbound(), House::default(), None).await;
            let mut client = Client::ready_for_data(door.address).await;
            client.says("DATA", "354").await;
            let message = format!("Subject: a\r\n\r\ntext{end}{SMUGGLED}.\r\n");
            if parted {
                for octet in message.as_bytes() {
                    client.send(&[*octet]).await;
                }
            } else {
                client.send(message.as_bytes()).await;
            }
            let reply = client.reply().await;
            // What holds no line end that stands alone is text, and taken as one message; all else is refused.
            let is_text = !end.replace("\r\n", "").contains(['\r', '\n']);
            assert!(reply.starts_with(if is_text { "250 2.0.0 queued" } else { "550 5.6.11" }), "{name}: {reply}");
            client.says("NOOP", "250").await;
            assert_eq!(door.house.kept().len(), usize::from(is_text), "{name}");
            assert_eq!(*door.house.senders.lock().unwrap(), ["<anna@sundby.example>"], "{name}");
        }
    }
}

#[tokio::test]
async fn nothing_is_smuggled_in_chunks() {
    for (name, end) in ENDS.into_iter().chain(MORE_ENDS) {
        let door = open(outbound(), House::default(), None).await;
        let mut client = Client::ready_for_data(door.address).await;
        let message = format!("Subject: a\r\n\r\ntext{end}{SMUGGLED}.\r\n");
        let (front, back) = message.split_at(16);
        let chunks = format!("BDAT {}\r\n{front}BDAT {} LAST\r\n{back}", front.len(), back.len());
        client.send(chunks.as_bytes()).await;
        assert!(client.reply().await.starts_with("250 2.0.0 chunk"));
        let reply = client.reply().await;
        let is_text = !end.replace("\r\n", "").contains(['\r', '\n']);
        assert!(reply.starts_with(if is_text { "250 2.0.0 queued" } else { "550 5.6.11" }), "{name}: {reply}");
        client.says("NOOP", "250").await;
        assert_eq!(*door.house.senders.lock().unwrap(), ["<anna@sundby.example>"], "{name}");
        if is_text {
            assert_eq!(door.house.kept()[0].octets, message.as_bytes());
        }
    }
}

/// smtpsmug's `pipelining`, and the true end wherever the network cuts it: one message, and one more behind it.
#[tokio::test]
async fn the_true_end_ends_one_message_however_it_comes() {
    let message = "Subject: a\r\n\r\ntext\r\n.\r\n";
    let whole = format!("{message}MAIL FROM:<berit@sundby.example>\r\nRCPT TO:<eva@live.example>\r\nDATA\r\n");
    for cut in message.len() - 6..message.len() + 2 {
        let door = open(outbound(), House::default(), None).await;
        let mut client = Client::ready_for_data(door.address).await;
        client.says("DATA", "354").await;
        let (front, back) = whole.as_bytes().split_at(cut);
        client.send(front).await;
        // Until these octets are read, the next ones may come with them.
        while door.house.octets.load(Ordering::SeqCst) + 6 < front.len().min(message.len()) as u64 {
            tokio::task::yield_now().await;
        }
        client.send(back).await;
        for wanted in ["250 2.0.0 queued", "250 2.1.0", "250 2.1.5", "354"] {
            let reply = client.reply().await;
            assert!(reply.starts_with(wanted), "cut at {cut}: {reply}");
        }
        client.says("second\r\n.", "250 2.0.0 queued").await;
        let texts: Vec<_> = door.house.kept().into_iter().map(|kept| String::from_utf8(kept.octets).unwrap()).collect();
        assert_eq!(texts, ["Subject: a\r\n\r\ntext\r\n", "second\r\n"], "cut at {cut}");
    }
}

/// Memory is measured in a process of its own, where no other test runs beside.
#[test]
fn memory_stays_bounded() {
    for test in ["a_hundred_mebibytes_pass_through_without_piling_up", "a_thousand_sessions_idle_in_little_room"] {
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &format!("smtp::{test}")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}

#[tokio::test]
#[ignore = "memory_stays_bounded runs it alone"]
async fn a_hundred_mebibytes_pass_through_without_piling_up() {
    let house = House { is_forgetful: true, ..House::default() };
    let settings = DoorSettings { max_message_size: 200 << 20, ..outbound() };
    let door = open(settings, house, None).await;
    let mut client = Client::ready_for_data(door.address).await;
    client.says("DATA", "354").await;
    let before = resident_kib();
    let line = format!("{}\r\n", "x".repeat(998));
    let block = line.repeat(1_024);
    for _ in 0..103 {
        client.send(block.as_bytes()).await;
    }
    let after = resident_kib();
    client.says(".", "250 2.0.0 queued").await;
    assert_eq!(door.house.octets.load(Ordering::SeqCst), 103 * block.len() as u64);
    assert!(door.house.largest_block.load(Ordering::SeqCst) <= 65_536);
    assert!(after.saturating_sub(before) < 4_000, "{before} KiB before, {after} KiB after");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "memory_stays_bounded runs it alone"]
async fn a_thousand_sessions_idle_in_little_room() {
    let settings = DoorSettings { max_sessions_per_client: 1_000, ..outbound() };
    let door = open(settings, House::default(), None).await;
    let before = resident_kib();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = Client::call(door.address).await;
        assert!(client.reply().await.starts_with("220"));
        client.says("EHLO mx.sundby.example", "250").await;
        clients.push(client);
    }
    let after = resident_kib();
    // The clients live in this process too.
    assert_eq!(door.metrics.sessions.get_or_create(&Labels::of("outbound")).get(), 1_000);
    assert!(after.saturating_sub(before) < 20_000, "{before} KiB before, {after} KiB after");
    for client in &mut clients {
        client.says("NOOP", "250").await;
    }
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_is_told_so() {
    for (sessions, per_client, words) in [(1, 1, "421 4.4.5"), (2, 1, "421 4.7.0")] {
        let settings = DoorSettings { max_sessions: sessions, max_sessions_per_client: per_client, ..outbound() };
        let door = open(settings, House::default(), None).await;
        let mut first = Client::call(door.address).await;
        assert!(first.reply().await.starts_with("220"));
        let mut second = Client::call(door.address).await;
        assert!(second.reply().await.starts_with(words));
        assert_eq!(second.line().await, None);
        first.says("QUIT", "221").await;
        assert_eq!(first.line().await, None);
        // The place is free when the session's task has ended, a moment after the peer saw the end.
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut third = Client::call(door.address).await;
            if third.reply().await.starts_with("220") {
                break;
            }
            assert!(tokio::time::Instant::now() < patience, "the place is never given back");
        }
    }
}

#[tokio::test]
async fn at_the_end_idle_sessions_leave_and_a_message_is_finished() {
    let door = open(outbound(), House::default(), None).await;
    let mut idle = Client::call(door.address).await;
    assert!(idle.reply().await.starts_with("220"));
    let mut busy = Client::ready_for_data(door.address).await;
    busy.says("DATA", "354").await;
    door.shutdown.begin();
    assert!(idle.reply().await.starts_with("421 4.3.2"));
    assert_eq!(idle.line().await, None);
    busy.says("Subject: a\r\n\r\nb\r\n.", "250 2.0.0 queued").await;
    assert!(busy.reply().await.starts_with("421 4.3.2"));
    assert_eq!(busy.line().await, None);
    assert!(door.shutdown.finished(PATIENCE).await);
    assert_eq!(door.house.kept().len(), 1);
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn new_settings_count_for_those_who_come_later() {
    let door = open(outbound(), House::default(), None).await;
    let mut before = Client::call(door.address).await;
    assert!(before.reply().await.starts_with("220"));
    door.settings.replace(DoorSettings { max_message_size: 1_000, ..outbound() });
    before.says("EHLO a", "250").await;
    before.says("MAIL FROM:<anna@sundby.example> SIZE=2000", "250").await;
    let mut after = Client::call(door.address).await;
    assert!(after.reply().await.starts_with("220"));
    after.says("EHLO a", "250").await;
    after.says("MAIL FROM:<anna@sundby.example> SIZE=2000", "552 5.3.4").await;
}

#[tokio::test]
async fn the_house_is_told_who_came_and_what_was_asked() {
    let door = open(outbound(), House::default(), Some(certificate())).await;
    let mut client = Client::call(door.address).await;
    client.reply().await;
    client.says("EHLO mx", "250").await;
    client.says("STARTTLS", "220").await;
    client.shake_hands().await;
    client.says("EHLO mx.sundby.example", "250").await;
    client.says("MAIL FROM:<> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1", "250").await;
    client.says("RCPT TO:<åsa@live.example> NOTIFY=NEVER ORCPT=rfc822;a@b.example", "250").await;
    client.says("RCPT TO:<postmaster>", "250").await;
    client.says("RCPT TO:<nobody@live.example>", "550 5.1.1").await;
    client.says("DATA", "354").await;
    client.says("Subject: a\r\n\r\n..b\r\n.", "250").await;
    let kept = door.house.kept().pop().unwrap();
    assert_eq!(kept.peer.helo, "mx.sundby.example");
    assert_eq!(kept.peer.protocol, "UTF8SMTPS");
    assert_eq!(kept.peer.tls.as_deref(), Some("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"));
    let envelope = kept.envelope;
    assert!(envelope.smtputf8 && envelope.dsn_return.is_some());
    assert_eq!(envelope.envelope_id.as_deref(), Some("QQ+1"));
    let recipients: Vec<_> = envelope.recipients.iter().map(|to| to.address.to_string()).collect();
    assert_eq!(recipients, ["åsa@live.example", "postmaster@gw.sundby.example"]);
    assert!(envelope.recipients[0].notify.is_some());
    assert_eq!(envelope.recipients[0].original.as_deref(), Some("rfc822;a@b.example"));
    assert_eq!(kept.octets, b"Subject: a\r\n\r\n.b\r\n");
}

/// A TLS client that shows this certificate, and believes only it.
fn showing(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsConnector {
    let chain = vec![made.cert.der().clone()];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn the_certificate_that_is_asked_for_opens_the_door_and_no_other() {
    let name = || vec!["gw.sundby.example".to_owned()];
    let ours = rcgen::generate_simple_self_signed(name()).unwrap();
    let theirs = rcgen::generate_simple_self_signed(name()).unwrap();
    for (wanted, is_let_in) in [(&ours, true), (&theirs, false)] {
        let (chain, key) = (ours.cert.pem(), ours.signing_key.serialize_pem());
        let wanted = wanted.cert.pem();
        let tls = ServerTls::from_pem_asking_for(chain.as_bytes(), key.as_bytes(), wanted.as_bytes()).unwrap();
        let mut settings = outbound();
        settings.require.client_certificate = true;
        let door = open(settings, House::default(), Some(tls)).await;
        let mut client = Client::call(door.address).await;
        client.reply().await;
        client.says("STARTTLS", "220").await;
        let host = ServerName::try_from("gw.sundby.example").unwrap();
        let wire = client.wire.take().unwrap();
        // With TLS 1.3 the client has shaken hands before it learns that it was not believed.
        client.wire = Some(Box::new(showing(&ours).connect(host, wire).await.unwrap()));
        client.send(b"EHLO mx\r\nMAIL FROM:<anna@sundby.example>\r\n").await;
        let greeted = client.reply().await;
        assert_eq!(greeted.starts_with("250"), is_let_in, "{greeted}");
        if is_let_in {
            assert!(client.reply().await.starts_with("250 2.1.0"));
        }
    }
}

#[tokio::test]
async fn a_list_longer_than_the_limit_is_put_off_not_thrown_out() {
    let door = open(DoorSettings { max_recipients: 5, ..outbound() }, House::default(), None).await;
    let mut client = Client::ready_for_data(door.address).await;
    for number in 0..300 {
        let wanted = if number < 4 { "250" } else { "452 4.5.3" };
        client.says(&format!("RCPT TO:<a{number}@live.example>"), wanted).await;
    }
    client.says("DATA", "354").await;
    client.says("a\r\n.", "250 2.0.0 queued").await;
    assert_eq!(door.house.kept()[0].envelope.recipients.len(), 5);
}

#[tokio::test]
async fn who_tries_names_does_not_try_many() {
    let door = open(outbound(), House::default(), None).await;
    let mut client = Client::ready_for_data(door.address).await;
    for _ in 0..100 {
        client.says("RCPT TO:<nobody@live.example>", "550 5.1.1").await;
    }
    assert!(client.reply().await.starts_with("421 4.7.0"));
    assert_eq!(client.line().await, None);
}

fn inbound() -> DoorSettings {
    DoorSettings::inbound("gw.sundby.example".parse().unwrap(), "127.0.0.1:0".parse().unwrap())
}

/// Calls, and gives what is said first.
async fn greeted(address: SocketAddr) -> (Client, String) {
    let mut client = Client::call(address).await;
    let reply = client.reply().await;
    (client, reply)
}

#[tokio::test]
async fn a_client_that_comes_sends_or_errs_too_often_is_put_off() {
    let settings = DoorSettings { connections: Rate::per_hour(2), ..inbound() };
    let door = open(settings, House::default(), None).await;
    for wanted in ["220", "220", "421 4.7.0"] {
        let (_, reply) = greeted(door.address).await;
        assert!(reply.starts_with(wanted), "{reply}");
    }

    let door = open(DoorSettings { messages: Rate::per_hour(2), ..inbound() }, House::default(), None).await;
    let (mut client, _) = greeted(door.address).await;
    client.says("EHLO mx", "250").await;
    for wanted in ["250", "250", "421 4.7.0"] {
        client.says("MAIL FROM:<eva@live.example>", wanted).await;
        client.says("RSET", if wanted == "250" { "250" } else { "the end" }).await;
    }

    let door = open(DoorSettings { refusals: Rate::per_hour(3), ..inbound() }, House::default(), None).await;
    let (mut client, _) = greeted(door.address).await;
    client.says("EHLO mx\r\nMAIL FROM:<eva@live.example>", "250").await;
    assert!(client.reply().await.starts_with("250"));
    for wanted in ["550 5.1.1", "550 5.1.1", "550 5.1.1", "550 5.1.1"] {
        client.says("RCPT TO:<nobody@sundby.example>", wanted).await;
    }
    assert!(client.reply().await.starts_with("421 4.7.0"));
    let (_, reply) = greeted(door.address).await;
    assert!(reply.starts_with("421 4.7.0"), "{reply}");
}

#[tokio::test]
async fn a_trusted_peer_is_counted_as_those_it_speaks_for() {
    let settings = DoorSettings {
        trusted_peers: vec!["127.0.0.1".parse().unwrap()],
        connections: Rate::per_hour(3),
        max_sessions_per_client: 1,
        greeting_pause: PATIENCE * 2,
        ..inbound()
    };
    let door = open(settings, House::default(), None).await;
    let mut filters = Vec::new();
    for _ in 0..5 {
        let (mut filter, reply) = greeted(door.address).await;
        assert!(reply.starts_with("220"), "{reply}");
        filter.says("EHLO filter", "250").await;
        filters.push(filter);
    }
    let mut filters = filters.into_iter();
    let (mut first, mut second) = (filters.next().unwrap(), filters.next().unwrap());
    // One client has one session: the second telling of it is one too many, until the first peer speaks for another.
    first.says("XCLIENT ADDR=192.0.2.7", "220").await;
    second.says("XCLIENT ADDR=192.0.2.7", "421 4.7.0").await;
    first.says("XCLIENT ADDR=192.0.2.8", "220").await;
    // Told again, it is no new connection; told anew, it is.
    let mut third = filters.next().unwrap();
    for wanted in ["220", "220", "220"] {
        third.says("XCLIENT ADDR=192.0.2.7", wanted).await;
    }
    third.says("XCLIENT ADDR=[UNAVAILABLE]", "220").await;
    third.says("XCLIENT ADDR=192.0.2.7", "220").await;
    third.says("XCLIENT ADDR=[UNAVAILABLE]", "220").await;
    third.says("XCLIENT ADDR=192.0.2.7", "421 4.7.0").await;
}

/// Sends an octet, and one more whenever nothing was answered for a while, until something is.
async fn dribbles(client: &mut Client, octets: &[u8]) -> String {
    for octet in octets.iter().cycle() {
        client.send(&[*octet]).await;
        if let Ok(line) = tokio::time::timeout(Duration::from_millis(20), client.line()).await {
            return line.unwrap_or_else(|| "the end".to_owned());
        }
    }
    "nothing".to_owned()
}

#[tokio::test]
async fn a_peer_that_sends_an_octet_a_minute_does_not_keep_its_place() {
    // The minute is 20 ms here, and all else in proportion.
    let settings = || DoorSettings {
        idle_timeout: Duration::from_millis(300),
        data_timeout: Duration::from_millis(300),
        session_timeout: PATIENCE,
        ..inbound()
    };
    let begun = std::time::Instant::now();
    let door = open(settings(), House::default(), None).await;
    let (mut client, _) = greeted(door.address).await;
    assert!(dribbles(&mut client, b"x").await.starts_with("421 4.4.2"), "in a command");
    let mut client = Client::ready_for_data(door.address).await;
    client.says("DATA", "354").await;
    assert!(dribbles(&mut client, b"x\r\n").await.starts_with("421 4.4.2"), "in a message");
    let mut client = Client::ready_for_data(door.address).await;
    client.send(b"BDAT 100000\r\n").await;
    assert!(dribbles(&mut client, b"x\r\n").await.starts_with("421 4.4.2"), "in a chunk");
    // In a whole session of small commands.
    let short = DoorSettings { session_timeout: Duration::from_millis(600), ..settings() };
    let slow = open(short, House::default(), None).await;
    let (mut client, _) = greeted(slow.address).await;
    let last = loop {
        let reply = dribbles(&mut client, b"NOOP\r\n").await;
        if !reply.starts_with("250") {
            break reply;
        }
    };
    assert!(last.starts_with("421 4.4.2"), "{last}");
    assert!(begun.elapsed() < PATIENCE, "the session's own end was what ended it");
    assert!(door.house.kept().is_empty());
}

#[tokio::test]
async fn a_message_that_comes_slowly_but_comes_is_taken() {
    // A twentieth of a second, and a second more for each octet: never less than what has come.
    let settings = DoorSettings { data_timeout: Duration::from_millis(500), data_rate: 1, ..inbound() };
    let door = open(settings, House::default(), None).await;
    let mut client = Client::ready_for_data(door.address).await;
    client.says("DATA", "354").await;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(700) {
        client.send(b"x\r\n").await;
        assert!(tokio::time::timeout(Duration::from_millis(50), client.line()).await.is_err(), "it is cut off");
    }
    client.says(".", "250 2.0.0 queued").await;
}

/// haproxy, running until dropped.
pub struct Haproxy(std::process::Child);

impl Haproxy {
    /// In front of `door`, telling for whom it speaks in this way: `send-proxy` or `send-proxy-v2`.
    pub fn start(folder: &Path, listen: SocketAddr, door: SocketAddr, way: &str) -> Self {
        let config = folder.join("haproxy.cfg");
        let text = format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             listen smtp\n bind {listen}\n server gw {door} {way}\n"
        );
        std::fs::write(&config, text).unwrap();
        let child = std::process::Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()
            .expect("PEER MISSING: haproxy; tests/run installs it");
        crate::running::wait_until("haproxy", || std::net::TcpStream::connect(listen).is_ok());
        Self(child)
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_proxy_and_a_real_filter_tell_who_their_client_is() {
    let settings =
        DoorSettings { trusted_peers: vec!["127.0.0.1".parse().unwrap()], proxy_protocol: true, ..inbound() };
    let door = open(settings.clone(), House::default(), None).await;
    let folder = tempfile::tempdir().unwrap();
    let front = crate::running::free();
    let haproxy = Haproxy::start(folder.path(), front, door.address, "send-proxy-v2");
    let swaks = |server: SocketAddr, more: &[&str]| {
        let mut swaks = std::process::Command::new("swaks");
        swaks
            .args(["--server", &server.ip().to_string(), "--port", &server.port().to_string()])
            .args(["--helo", "filter.sundby.example", "--from", "eva@live.example", "--to", "anna@sundby.example"])
            .args(more)
            .stdin(Stdio::null());
        let run = swaks.output().expect("PEER MISSING: swaks; tests/run installs it");
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr)
    };
    let talk = swaks(front, &["--local-interface", "127.0.0.5"]);
    let kept = door.house.kept().pop().unwrap_or_else(|| panic!("nothing came:\n{talk}"));
    assert_eq!(kept.peer.ip.to_string(), "127.0.0.5", "{talk}");
    drop(haproxy);

    let door = open(DoorSettings { proxy_protocol: false, ..settings }, House::default(), None).await;
    let talk = swaks(door.address, &["--xclient-addr", "192.0.2.7", "--xclient-helo", "mx.live.example"]);
    let kept = door.house.kept().pop().unwrap_or_else(|| panic!("nothing came:\n{talk}"));
    assert_eq!(
        (kept.peer.ip.to_string().as_str(), kept.peer.helo.as_str()),
        ("192.0.2.7", "mx.live.example"),
        "{talk}"
    );
}

#[tokio::test]
async fn a_real_client_sends_over_tls() {
    let door = open(outbound(), House::default(), Some(certificate())).await;
    let mut swaks = std::process::Command::new("swaks");
    swaks
        .args(["--server", &format!("127.0.0.1:{}", door.address.port()), "--tls", "--helo", "mx.sundby.example"])
        .args(["--from", "anna@sundby.example", "--to", "eva@live.example,nobody@live.example"])
        .args(["--header", "Subject: [sikker] to the door", "--body", ".a dot\n..two dots\nthe end"])
        .stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || swaks.output())
        .await
        .unwrap()
        .expect("swaks is not installed: tests/run installs it");
    let talk = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    let kept = door.house.kept().pop().unwrap_or_else(|| panic!("nothing came:\n{talk}"));
    assert_eq!(kept.peer.protocol, "ESMTPS");
    assert_eq!(kept.envelope.recipients.len(), 1);
    let text = String::from_utf8(kept.octets).unwrap();
    assert!(text.contains("Subject: [sikker] to the door\r\n"), "{text}");
    assert!(text.contains("\r\n\r\n.a dot\r\n..two dots\r\nthe end\r\n"), "{text}");
}
