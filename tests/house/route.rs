//! The whole route between real peers: Postfix in front, Dovecot behind, a certified OpenID provider as the e-ID, a
//! browser as the citizen, and everything outside kept by a sink that shows every octet that left.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate::mail::Header;
use serde_json::{Value, json};

use crate::dovecot::Dovecot;
use crate::mail_sink::Sink;
use crate::postfix::Postfix;
use crate::running::{Gateway, free, wait_until};

const WORDS: [&str; 4] = ["HEMLIGÄRENDE", "HEMLIGTEXT", "HEMLIGBILAGA", "HEMLIGSVAR"];

/// The e-ID: a node process that ends when dropped.
struct OpenIdProvider {
    child: Child,
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Scene {
    outside: Sink,
    mailboxes: Dovecot,
    mail_server: Postfix,
    gateway: Gateway,
    _e_id: OpenIdProvider,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn raise() -> Self {
        let outside = Sink::start(true, &[]).await;
        let mailboxes = Dovecot::start(&["anna.berg@sundby.example", "bygg@sundby.example"]).await;
        let folder = tempfile::tempdir().unwrap();
        let e_id_at = free();
        let mut gateway = Gateway::found(folder.path(), outside.address, mailboxes.lmtp, &format!("http://{e_id_at}"));
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        let by_lmtp = config.replace(
            &format!("mail_server = \"smtp://{}\"", mailboxes.lmtp),
            &format!("mail_server = \"lmtp://{}\"", mailboxes.lmtp),
        );
        assert_ne!(config, by_lmtp);
        std::fs::write(gateway.config(), by_lmtp).unwrap();
        let e_id = start_e_id(e_id_at, gateway.portal, folder.path());
        gateway.start();
        let mail_server = Postfix::start(gateway.outbound, mailboxes.lmtp);
        Self { outside, mailboxes, mail_server, gateway, _e_id: e_id, _folder: folder }
    }

    /// A clerk's client hands the mail server a message.
    fn swaks(&self, words: &[&str]) {
        self.swaks_at(self.mail_server.address, words);
    }

    fn swaks_at(&self, server: SocketAddr, words: &[&str]) {
        let mut command = Command::new("swaks");
        command.args(["--server", &server.to_string(), "--helo", "client.example", "--silent", "2"]).args(words);
        let output = command.output().expect("PEER MISSING: swaks; tests/run installs it");
        assert!(
            output.status.success(),
            "swaks {words:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.mail_server.log()
        );
    }

    /// What has left to this recipient, oldest first. The sink ends each whole message with an empty line: what it is
    /// still writing does not count yet.
    fn left_for(&self, address: &str) -> Vec<String> {
        let wanted = format!("X-Rcpt-Args: <{address}>");
        let all = self.outside.messages().into_iter().map(|octets| String::from_utf8_lossy(&octets).into_owned());
        all.filter(|text| text.contains(&wanted) && text.ends_with("\n\n")).collect()
    }

    fn notices(&self) -> Vec<String> {
        self.left_for("eva@live.example").into_iter().filter(|text| text.contains("bounce+")).collect()
    }

    fn citizen(&self, asked: Value) -> Value {
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/portal.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("PEER MISSING: node");
        child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the browser failed; see above");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn start_e_id(address: SocketAddr, portal: SocketAddr, folder: &Path) -> OpenIdProvider {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    assert!(
        peers.join("node_modules/oidc-provider").exists(),
        "PEER MISSING: npm oidc-provider; tests/run installs it"
    );
    let secret = std::fs::read_to_string(folder.join("keys/op-secret")).unwrap();
    let callback = format!("https://localhost:{}/callback/eid", portal.port());
    let mut child = Command::new("node")
        .arg(peers.join("op.mjs"))
        .args([address.port().to_string(), callback, secret.trim().to_owned()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("PEER MISSING: node");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("ready"));
    OpenIdProvider { child }
}

/// Quoted-printable as text.
fn decoded(message: &str) -> String {
    let joined = message.replace("=\n", "");
    let mut octets = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, more @ ..] = rest {
        match (first, more) {
            (b'=', [a, b, after @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                octets.push(u8::from_str_radix(std::str::from_utf8(&[*a, *b]).unwrap(), 16).unwrap());
                rest = after;
            }
            _ => {
                octets.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn link_in(notice: &str) -> String {
    let text = decoded(notice);
    let links: std::collections::BTreeSet<&str> =
        text.split(|c: char| c.is_whitespace() || c == '"' || c == '<').filter(|word| word.contains("/m/")).collect();
    assert_eq!(links.len(), 1, "exactly one link: {links:?}");
    links.into_iter().next().unwrap().to_owned()
}

fn header_of(message: &str) -> Header {
    Header::new(message.split("\n\n").next().unwrap_or_default().split("\r\n\r\n").next().unwrap_or_default())
}

fn subject_of(message: &str) -> String {
    header_of(message).text("Subject").unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confidential_mail_goes_all_the_way_and_comes_home() {
    let scene = Scene::raise().await;
    let attachment = scene._folder.path().join("beslut.txt");
    std::fs::write(&attachment, "HEMLIGBILAGA åäö\n").unwrap();
    let at = format!("@{}", attachment.display());

    a_tagged_mail_leaves_only_a_notice(&scene, &at);
    the_citizen_reads_and_answers(&scene);
    let answer = the_answer_is_in_the_departments_mailbox(&scene);
    the_departments_reply_stays_in_the_thread(&scene, &answer);
    a_stranger_sees_the_one_error_page(&scene);
    an_untagged_mail_passes_byte_identical(&scene);
    a_bounced_notice_tells_the_sender(&scene);
    an_answer_to_the_notice_is_not_lost(&scene);
    nothing_readable_lies_on_the_disk_or_left(&scene);
}

fn a_tagged_mail_leaves_only_a_notice(scene: &Scene, attachment: &str) {
    scene.swaks(&[
        "--from",
        "anna.berg@sundby.example",
        "--to",
        "eva@live.example",
        "--h-From",
        "Anna Berg <anna.berg@sundby.example>",
        "--header",
        "Subject: [sikker] HEMLIGÄRENDE",
        "--header",
        "Message-Id: <original@sundby.example>",
        "--body",
        "HEMLIGTEXT till dig",
        "--attach",
        attachment,
    ]);
    wait_until("the notice", || scene.notices().len() == 1);
    assert_eq!(scene.outside.messages().len(), 1, "nothing but the notice left");
    let notice = scene.notices().remove(0);
    assert!(decoded(&notice).contains("Sundby kommun"));
    assert!(header_of(&notice).text("Auto-Submitted").is_none_or(|value| value == "auto-generated"));
    wait_until("the receipt", || !scene.mailboxes.mailbox("anna.berg@sundby.example").is_empty());
    let receipt = scene.mailboxes.mailbox("anna.berg@sundby.example").remove(0);
    assert!(subject_of(&receipt).starts_with("Kvitto: HEMLIG"), "{}", subject_of(&receipt));
    assert!(decoded(&receipt).contains("Svar kommer till bygg@sundby.example"), "{}", decoded(&receipt));
}

fn the_citizen_reads_and_answers(scene: &Scene) {
    let link = link_in(&scene.notices()[0]);
    let file = STANDARD.encode("HEMLIGSVAR i fil\n");
    let seen = scene.citizen(json!({ "link": link, "person": "eva", "answer": "HEMLIGSVAR från Eva", "file": { "name": "ritning.txt", "octets": file } }));
    assert_eq!(seen["violations"], json!([]), "accessibility");
    assert!(seen["text"].as_str().unwrap().contains("HEMLIGTEXT till dig"), "{seen}");
    let attachments = seen["attachments"].as_object().unwrap();
    let octets = STANDARD.decode(attachments.values().next().unwrap().as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(octets).unwrap(), "HEMLIGBILAGA åäö\n");
    assert!(STANDARD.decode(seen["pdf"].as_str().unwrap()).unwrap().starts_with(b"%PDF-"));
    assert!(seen["afterLogout"].as_str().unwrap().contains("/login"), "logged out: {}", seen["afterLogout"]);
    // The same on a phone and without any script: reading again is no second first reading.
    let again = scene.citizen(json!({ "link": link, "person": "eva", "scripts": false, "width": 390 }));
    assert!(again["text"].as_str().unwrap().contains("HEMLIGTEXT till dig"));
}

fn the_answer_is_in_the_departments_mailbox(scene: &Scene) -> Header {
    wait_until("the answer", || !scene.mailboxes.mailbox("bygg@sundby.example").is_empty());
    let answer = scene.mailboxes.mailbox("bygg@sundby.example").remove(0);
    let header = header_of(&answer);
    assert_eq!(header.message_ids("In-Reply-To"), ["<original@sundby.example>"]);
    assert_eq!(header.message_ids("References"), ["<original@sundby.example>"]);
    let (name, from) = header.addresses("From").remove(0);
    assert_eq!(name.as_deref(), Some("Eva Rätt via Sundby kommun"));
    assert!(from.to_string().starts_with("thread+"), "{from}");
    let origin = header.first("X-Sealgate-Origin").unwrap().unfolded();
    assert!(origin.starts_with("portal; provider=eid;") && origin.contains("number=verified"), "{origin}");
    assert!(header.text("X-Sealgate-Message").is_some());
    let text = answer.replace("\r\n", "\n");
    assert!(text.contains(&STANDARD.encode("HEMLIGSVAR i fil\n")), "the file came through");
    wait_until("the word that it was read", || {
        scene.mailboxes.mailbox("anna.berg@sundby.example").iter().any(|mail| subject_of(mail).starts_with("Läst"))
    });
    header
}

fn the_departments_reply_stays_in_the_thread(scene: &Scene, answer: &Header) {
    let before = scene.outside.messages().len();
    let _dump = Dump(&scene.gateway, &scene.mail_server);
    let (_, thread) = answer.addresses("Reply-To").remove(0);
    let id = answer.message_ids("Message-ID").remove(0);
    let in_reply_to = format!("In-Reply-To: {id}");
    scene.swaks(&[
        "--from",
        "bygg@sundby.example",
        "--to",
        &thread.to_string(),
        "--header",
        "Subject: Sv: ritning",
        "--header",
        &in_reply_to,
        "--body",
        "HEMLIGTEXT två",
    ]);
    wait_until("the second notice", || scene.outside.messages().len() > before);
    let seen = scene.citizen(json!({ "link": link_in(&scene.notices()[0]), "person": "eva", "scripts": false }));
    assert!(seen["inbox"].as_str().unwrap().contains("Sv: ritning"), "{}", seen["inbox"]);
}

fn a_stranger_sees_the_one_error_page(scene: &Scene) {
    let link = link_in(&scene.notices()[0]);
    let unknown = format!("{}/m/{}", link.split("/m/").next().unwrap(), "a".repeat(26));
    let adam = scene.citizen(json!({ "link": link, "person": "adam", "refused": true }));
    let nobody = scene.citizen(json!({ "link": unknown, "person": "adam", "refused": true }));
    assert_eq!(adam["violations"], json!([]), "accessibility");
    assert_eq!(adam["refused"], nobody["refused"], "one and the same page");
    assert!(!adam["refused"].as_str().unwrap().contains("HEMLIG"));
}

fn an_untagged_mail_passes_byte_identical(scene: &Scene) {
    scene.swaks(&[
        "--from",
        "anna.berg@sundby.example",
        "--to",
        "ole@live.example",
        "--header",
        "Subject: Lunch",
        "--header",
        "X-Odd:   two  blanks",
        "--body",
        "Vi ses\\n.\\nensam punkt",
    ]);
    wait_until("the untagged mail", || scene.left_for("ole@live.example").len() == 1);
    let arrived = scene.left_for("ole@live.example").remove(0);
    // Below our own trace field stands what Postfix handed over, its own trace field first.
    let (_, handed_over) = arrived.split_once("by gw.sundby.example (sealgate)").unwrap();
    let (_, handed_over) = handed_over.split_once("\nReceived: ").unwrap();
    assert!(handed_over.starts_with("from client.example"), "{handed_over}");
    assert!(handed_over.contains("\nX-Odd:   two  blanks\n"), "{handed_over}");
    assert!(handed_over.contains("\n\nVi ses\n.\nensam punkt\n"), "{handed_over}");
    assert_eq!(arrived.matches("(sealgate)").count(), 1);
}

fn a_bounced_notice_tells_the_sender(scene: &Scene) {
    let notice = scene.notices().remove(0);
    let (_, rest) = notice.split_once("X-Mail-Args: <").unwrap();
    let bounce = rest.split('>').next().unwrap();
    let report = scene._folder.path().join("bounce.eml");
    std::fs::write(&report, "Subject: failure\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.live.example\r\n\r\nFinal-Recipient: rfc822; eva@live.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n--b--\r\n").unwrap();
    let data = format!("@{}", report.display());
    scene.swaks_at(scene.gateway.inbound, &["--from", "<>", "--to", bounce, "--data", &data]);
    wait_until("the word that the notice came back", || {
        scene
            .mailboxes
            .mailbox("anna.berg@sundby.example")
            .iter()
            .any(|mail| subject_of(mail).starts_with("Kunde inte aviseras") && decoded(mail).contains("no such user"))
    });
}

fn an_answer_to_the_notice_is_not_lost(scene: &Scene) {
    let notice = scene.notices().remove(0);
    let id = notice.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
    let in_reply_to = format!("In-Reply-To: {id}");
    scene.swaks_at(
        scene.gateway.inbound,
        &[
            "--from",
            "eva@live.example",
            "--to",
            "noreply@gw.sundby.example",
            "--header",
            "Subject: Re: notice",
            "--header",
            &in_reply_to,
            "--body",
            "HEMLIGSVAR i klartext",
        ],
    );
    wait_until("the word how to answer safely", || {
        scene.left_for("eva@live.example").iter().any(|mail| mail.contains("auto-replied"))
    });
    wait_until("the word that somebody tried", || {
        scene
            .mailboxes
            .mailbox("anna.berg@sundby.example")
            .iter()
            .any(|mail| subject_of(mail).starts_with("Försök att svara"))
    });
    let told = scene.mailboxes.mailbox("anna.berg@sundby.example").join("\n");
    assert!(!decoded(&told).contains("HEMLIGSVAR i klartext"), "the text was passed on");
}

fn nothing_readable_lies_on_the_disk_or_left(scene: &Scene) {
    let mut words = WORDS.to_vec();
    words.extend(["eva@", "anna.berg", "live.example", "Rätt", "ritning", "beslut"]);
    assert_eq!(scene.gateway.readable(&words), Vec::<String>::new());
    for message in scene.outside.messages() {
        let text = decoded(&String::from_utf8_lossy(&message));
        assert!(!text.contains("HEMLIG"), "{text}");
    }
    let health = std::process::Command::new("curl")
        .args(["-s", &format!("http://{}/readyz", scene.gateway.control)])
        .output()
        .unwrap();
    assert_eq!(health.stdout, b"ready\n");
    assert_eq!(scene.gateway.ask(&["audit", "verify"])["sound"], true);
}
struct Dump<'a>(&'a Gateway, &'a Postfix);
impl Drop for Dump<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", std::fs::read_to_string(self.0.folder.join("log")).unwrap());
            println!("{}", self.1.log());
            println!("{}", self.0.ask(&["queue", "list"]));
            println!("{}", self.0.ask(&["audit", "export"]));
        }
    }
}
