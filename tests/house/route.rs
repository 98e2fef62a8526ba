//! The whole route between real peers: Postfix in front, Dovecot behind, a certified OpenID provider as the e-ID, a
//! browser as the citizen, and everything outside kept by a sink that shows every octet that left.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate::mail::Header;
use serde_json::{Value, json};

use crate::dovecot::Dovecot;
use crate::faults::readiness;
use crate::leaks::found_in;
use crate::mail_sink::Sink;
use crate::postfix::Postfix;
use crate::running::{Gateway, free, wait_until};

/// What stands in subjects, texts and files: none of it may leave or lie about.
const SECRETS: [&str; 4] = ["HEMLIGÄRENDE", "HEMLIGTEXT", "HEMLIGBILAGA", "HEMLIGSVAR"];

const ANNA: &str = "anna.berg@sundby.example";
const BYGG: &str = "bygg@sundby.example";

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

const RULE: &str = r#"

[[rule]]
name = "drafts stay in the house"
if.any = [{ subject = "UTKAST" }]
protect = "refuse"
text = "drafts are not sent"
"#;

impl Scene {
    async fn raise() -> Self {
        miss_no_peer();
        let outside = Sink::start(true, &[]).await;
        let mailboxes = Dovecot::start(&[ANNA, BYGG]).await;
        let folder = tempfile::tempdir().unwrap();
        let e_id_at = free();
        let mut gateway = Gateway::found(folder.path(), outside.address, mailboxes.lmtp, &format!("http://{e_id_at}"));
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        let by_lmtp = config.replace(
            &format!("mail_server = \"smtp://{}\"", mailboxes.lmtp),
            &format!("mail_server = \"lmtp://{}\"", mailboxes.lmtp),
        );
        assert_ne!(config, by_lmtp);
        std::fs::write(gateway.config(), by_lmtp + RULE).unwrap();
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

    /// A delivery report as mail servers write them, with a text that is meant for people.
    fn failure_report(&self) -> PathBuf {
        let report = self._folder.path().join("bounce.eml");
        std::fs::write(&report, "Subject: failure\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.live.example\r\n\r\nFinal-Recipient: rfc822; eva@live.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 log in at https://forged.example/ to release it\r\n--b--\r\n").unwrap();
        report
    }

    /// What swaks saw when a message was refused.
    fn refused_at(&self, server: SocketAddr, words: &[&str]) -> String {
        let mut command = Command::new("swaks");
        command.args(["--server", &server.to_string(), "--helo", "client.example"]).args(words);
        let output = command.output().expect("PEER MISSING: swaks; tests/run installs it");
        assert!(!output.status.success(), "swaks {words:?} was not refused");
        String::from_utf8_lossy(&output.stdout).into_owned()
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

    fn mails_to_anna(&self, subject: &str) -> Vec<String> {
        let mailbox = self.mailboxes.mailbox(ANNA);
        mailbox.into_iter().filter(|mail| subject_of(mail).starts_with(subject)).collect()
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
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["violations"], json!([]), "accessibility");
        seen
    }
}

/// A peer that is not there is a failure, told at once and by name.
fn miss_no_peer() {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/node_modules");
    for module in ["oidc-provider", "playwright-core", "axe-core"] {
        assert!(modules.join(module).exists(), "PEER MISSING: npm {module}; tests/run installs it");
    }
    assert!(Path::new("/usr/bin/chromium").exists(), "PEER MISSING: chromium; tests/run installs it");
}

fn start_e_id(address: SocketAddr, portal: SocketAddr, folder: &Path) -> OpenIdProvider {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
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
pub fn decoded(message: &str) -> String {
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

    let answer = a_tagged_mail_leaves_only_a_notice_and_the_answer_comes_home(&scene);
    the_departments_reply_stays_in_the_thread(&scene, &answer);
    a_stranger_sees_the_one_error_page(&scene);
    an_untagged_mail_passes_byte_identical(&scene);
    a_bounced_notice_tells_the_sender(&scene);
    an_answer_to_the_notice_is_not_lost(&scene);
    an_answer_the_mail_server_gives_back_is_told_of(&scene);
    nothing_readable_left(&scene);
    nothing_readable_lies_on_the_disk(&scene);
}

fn a_tagged_mail_leaves_only_a_notice_and_the_answer_comes_home(scene: &Scene) -> Header {
    let attachment = scene._folder.path().join("beslut.txt");
    std::fs::write(&attachment, "HEMLIGBILAGA åäö\n").unwrap();
    only_a_notice_leaves(scene, &format!("@{}", attachment.display()));
    nothing_readable_left(scene);
    the_citizen_reads_and_answers(scene);
    the_answer_is_in_the_departments_mailbox(scene)
}

fn only_a_notice_leaves(scene: &Scene, attachment: &str) {
    scene.swaks(&[
        "--from",
        ANNA,
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
    assert!(header_of(&notice).text("Auto-Submitted").is_some_and(|value| value == "auto-generated"));
    assert!(notice.contains("X-Mail-Args: <bounce+"), "{notice}");
    wait_until("the receipt", || !scene.mailboxes.mailbox(ANNA).is_empty());
    assert_eq!(scene.mailboxes.mailbox(ANNA).len(), 1);
    let receipt = scene.mailboxes.mailbox(ANNA).remove(0);
    assert!(subject_of(&receipt).starts_with("Kvitto: HEMLIG"), "{}", subject_of(&receipt));
    assert!(decoded(&receipt).contains("Svar kommer till bygg@sundby.example"), "{}", decoded(&receipt));
}

fn the_citizen_reads_and_answers(scene: &Scene) {
    let link = link_in(&scene.notices()[0]);
    let file = STANDARD.encode("HEMLIGSVAR i fil\n");
    let seen = scene.citizen(json!({ "link": link, "person": "eva", "answer": "HEMLIGSVAR från Eva", "file": { "name": "ritning.txt", "octets": file } }));
    for page in ["/messages/", "/reply", "/drafts", "/inbox", "/outbox", "/accessibility"] {
        let pages = seen["pages"].as_array().unwrap();
        assert!(pages.iter().any(|seen| seen.as_str().unwrap().contains(page)), "{page}: {pages:?}");
    }
    assert!(seen["text"].as_str().unwrap().contains("HEMLIGTEXT till dig"), "{seen}");
    let attachments = seen["attachments"].as_object().unwrap();
    assert_eq!(attachments.len(), 1);
    let octets = STANDARD.decode(attachments.values().next().unwrap().as_str().unwrap()).unwrap();
    assert_eq!(String::from_utf8(octets).unwrap(), "HEMLIGBILAGA åäö\n");
    assert!(STANDARD.decode(seen["pdf"].as_str().unwrap()).unwrap().starts_with(b"%PDF-"));
    assert_eq!(seen["inDanish"], "da HEMLIGSVAR från Eva – kladde");
    assert_eq!(seen["draft"], "HEMLIGSVAR från Eva – kladde");
    for (page, said) in
        [("unsent", "Ditt svar har inte skickats"), ("unsentInEnglish", "Your answer has not been sent")]
    {
        let page = seen[page].as_str().unwrap();
        assert!(page.contains(said) && page.ends_with("HEMLIGSVAR från Eva"), "{page}");
    }
    assert_eq!(seen["outbox"], 1, "Back and sent again, it is sent once: {}", seen["back"]);
    assert!(seen["afterLogout"].as_str().unwrap().contains("/login"), "logged out: {}", seen["afterLogout"]);
    // The same on a phone and without any script: reading again is no second first reading.
    let again = scene.citizen(json!({ "link": link, "person": "eva", "scripts": false, "width": 390 }));
    assert!(again["text"].as_str().unwrap().contains("HEMLIGTEXT till dig"));
    assert_eq!(again["attachments"], seen["attachments"]);
}

fn the_answer_is_in_the_departments_mailbox(scene: &Scene) -> Header {
    wait_until("the answer", || !scene.mailboxes.mailbox(BYGG).is_empty());
    assert_eq!(scene.mailboxes.mailbox(BYGG).len(), 1);
    let answer = scene.mailboxes.mailbox(BYGG).remove(0);
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
    assert!(found_in(answer.as_bytes(), &["HEMLIGSVAR från Eva"]).len() == 1, "{answer}");
    wait_until("the word that it was read", || !scene.mails_to_anna("Läst").is_empty());
    assert_eq!(scene.mails_to_anna("Läst").len(), 1, "read twice, told once");
    header
}

fn the_departments_reply_stays_in_the_thread(scene: &Scene, answer: &Header) {
    let _dump = Dump(&scene.gateway, &scene.mail_server);
    let (_, thread) = answer.addresses("Reply-To").remove(0);
    let thread = thread.to_string();
    let in_reply_to = format!("In-Reply-To: {}", answer.message_ids("Message-ID").remove(0));
    // Neither the department's clerk nor the first sender tags the reply: the address alone keeps it inside.
    for (from, subject) in [(BYGG, "Sv: ritning"), (ANNA, "Sv: ritning igen")] {
        let before = (scene.notices().len(), scene.outside.messages().len());
        let subject_field = format!("Subject: {subject}");
        let headers = ["--header", &subject_field, "--header", &in_reply_to, "--body", "HEMLIGTEXT två"];
        scene.swaks(&[["--from", from, "--to", &thread].as_slice(), &headers].concat());
        wait_until("another notice", || scene.notices().len() > before.0);
        assert_eq!(scene.outside.messages().len(), before.1 + 1, "only another notice left");
        let link = link_in(scene.notices().last().unwrap());
        let seen = scene.citizen(json!({ "link": link, "person": "eva", "scripts": false }));
        assert!(seen["text"].as_str().unwrap().contains("HEMLIGTEXT två"), "{}", seen["text"]);
        assert!(seen["inbox"].as_str().unwrap().contains(subject), "{}", seen["inbox"]);
    }
    nothing_readable_left(scene);

    // A rule that refuses holds in a thread too; that somebody else gets the same mail changes nothing.
    let before = scene.notices().len();
    let both = format!("{thread},{ANNA}");
    let headers = ["--header", "Subject: Sv: ritning UTKAST", "--header", &in_reply_to, "--body", "HEMLIGTEXT utkast"];
    scene.swaks(&[["--from", BYGG, "--to", &both].as_slice(), &headers].concat());
    let refusals = || scene.mailboxes.mailbox(BYGG).into_iter().filter(|mail| mail.contains("5.7.1"));
    wait_until("the report of the refusal", || refusals().count() == 1);
    assert!(decoded(&refusals().next().unwrap()).contains("drafts are not sent"));
    assert_eq!(scene.notices().len(), before, "a refused draft was announced");
}

fn a_stranger_sees_the_one_error_page(scene: &Scene) {
    let link = link_in(&scene.notices()[0]);
    let unknown = format!("{}/m/{}", link.split("/m/").next().unwrap(), "a".repeat(26));
    let adam = scene.citizen(json!({ "link": link, "person": "adam", "refused": true }));
    let nobody = scene.citizen(json!({ "link": unknown, "person": "adam", "refused": true }));
    assert_eq!((&adam["refused"], &adam["status"]), (&nobody["refused"], &nobody["status"]), "one and the same page");
    assert_eq!(adam["status"], 404);
    let page = adam["refused"].as_str().unwrap();
    assert!(
        !page.is_empty() && found_in(page.as_bytes(), &["HEMLIG", "Eva", "eva@", "Sv: ritning"]).is_empty(),
        "{page}"
    );
}

fn an_untagged_mail_passes_byte_identical(scene: &Scene) {
    let sent = untagged();
    let file = scene._folder.path().join("untagged.eml");
    // swaks ends the last line itself.
    std::fs::write(&file, sent.strip_suffix(b"\r\n").unwrap()).unwrap();
    let data = format!("@{}", file.display());
    // Straight to the gateway no other program can have changed anything; by Postfix is how it will be.
    let straight = ["--from", ANNA, "--to", "per@live.example", "--data", &data];
    scene.swaks_at(scene.gateway.outbound, &straight);
    scene.swaks(&["--from", ANNA, "--to", "ole@live.example", "--data", &data]);
    for (to, hops) in [("per@live.example", 2), ("ole@live.example", 3)] {
        let wanted = format!("X-Rcpt-Args: <{to}>");
        let left = || scene.outside.messages().into_iter().find(|mail| found_in(mail, &[&wanted]).len() == 1);
        wait_until("the untagged mail", || left().is_some_and(|mail| mail.ends_with(b"\n\n")));
        let (added, arrived) = behind_the_traces(&left().unwrap());
        // The sink ends lines by LF, and the whole message by an empty line.
        let sent = String::from_utf8(sent.clone()).unwrap().replace("\r\n", "\n") + "\n";
        assert_eq!(String::from_utf8(arrived).unwrap(), sent, "to {to}");
        let traces = added.iter().filter(|field| field.starts_with("Received:")).count();
        assert_eq!(traces, hops, "one trace field of each hop: {added:#?}");
        assert_eq!(added.iter().filter(|field| field.contains("(sealgate)")).count(), 1, "{added:#?}");
        assert_eq!(added.iter().filter(|field| field.starts_with(PASSES)).count(), 1, "{added:#?}");
    }
}

/// A mail with everything that a well-meaning program would tidy up.
fn untagged() -> Vec<u8> {
    let long = "ö".repeat(490);
    format!(
        "From: Anna Berg <{ANNA}>\r\nTo: ole@live.example\r\nSubject:   Lunch\r\n\t=?iso-8859-1?Q?p=E5?=  torsdag \r\n\
         Date: Tue, 24 Nov 2026 12:00:00 +0100\r\nMessage-Id: <untagged@sundby.example>\r\nx-ODD:two  blanks  \r\n\
         X-Odd:\tagain\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\n\r\nVi ses på måndag \t\r\n.\r\n..\r\n. ensam punkt\r\n\
         From the start\r\n-- \r\n{long}\r\n\r\n\r\n"
    )
    .into_bytes()
}

/// Our count of passes, which stands behind our trace field.
const PASSES: &str = "X-Sealgate-Loop: 1; ";

/// The header fields that each hop put on top, and all below them.
fn behind_the_traces(mail: &[u8]) -> (Vec<String>, Vec<u8>) {
    let mut added: Vec<String> = Vec::new();
    let mut length = 0;
    for line in mail.split_inclusive(|octet| *octet == b'\n') {
        let text = String::from_utf8_lossy(line).into_owned();
        match added.last_mut() {
            Some(field) if text.starts_with(['\t', ' ']) => field.push_str(&text),
            _ if text.starts_with("Received:") || is_the_sinks(&text) || text.starts_with(PASSES) => added.push(text),
            _ => break,
        }
        length += line.len();
    }
    (added, mail[length..].to_vec())
}

fn is_the_sinks(line: &str) -> bool {
    ["X-Client-Addr:", "X-Client-Proto:", "X-Helo-Args:", "X-Mail-Args:", "X-Rcpt-Args:"]
        .iter()
        .any(|name| line.starts_with(name))
}

fn a_bounced_notice_tells_the_sender(scene: &Scene) {
    let notice = scene.notices().remove(0);
    let (_, rest) = notice.split_once("X-Mail-Args: <").unwrap();
    let bounce = rest.split('>').next().unwrap();
    let report = scene.failure_report();
    let data = format!("@{}", report.display());
    // Named twice, an address is read twice and told of once.
    let twice = format!("{bounce},{bounce}");
    let come_back = |from| scene.swaks_at(scene.gateway.inbound, &["--from", from, "--to", &twice, "--data", &data]);
    // A report that is none: it has a sender.
    come_back("eva@live.example");
    wait_until("the event of a mail to a bounce address", || {
        scene.gateway.ask(&["audit", "export"]).as_array().unwrap().iter().any(|event| event["event"] == "reduced")
    });
    assert!(scene.mails_to_anna("Kunde inte aviseras").is_empty());
    come_back("<>");
    wait_until("the word that the notice came back", || !scene.mails_to_anna("Kunde inte aviseras").is_empty());
    let told = decoded(&scene.mails_to_anna("Kunde inte aviseras").remove(0));
    assert!(told.contains("adressen finns inte (5.1.1)") && !told.contains("forged.example"), "{told}");
    // Told once, it is over: whoever got a notice could write such reports all day.
    assert!(scene.refused_at(scene.gateway.inbound, &["--from", "<>", "--to", bounce]).contains("550 5.1.1"));
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
            "noreply@gw.sundby.example,noreply@gw.sundby.example",
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
    wait_until("the word that somebody tried", || !scene.mails_to_anna("Försök att svara").is_empty());
    for mailbox in [ANNA, BYGG] {
        for mail in scene.mailboxes.mailbox(mailbox) {
            assert!(found_in(mail.as_bytes(), &["HEMLIGSVAR i klartext"]).is_empty(), "the text was passed on: {mail}");
        }
    }
}

fn an_answer_the_mail_server_gives_back_is_told_of(scene: &Scene) {
    let all = scene.mailboxes.mailbox(BYGG);
    let bounce = all.iter().find_map(|mail| {
        mail.split("Return-Path: <").nth(1)?.split('>').next().filter(|path| path.starts_with("bounce+"))
    });
    let bounce = bounce.expect("the answer");
    let data = format!("@{}", scene.failure_report().display());
    scene.swaks_at(scene.gateway.inbound, &["--from", "<>", "--to", bounce, "--data", &data]);
    wait_until("the word to the person who answered", || {
        scene.left_for("eva@live.example").iter().any(|mail| decoded(mail).contains("Ditt svar kom inte fram"))
    });
}

fn nothing_readable_left(scene: &Scene) {
    let mut words = SECRETS.to_vec();
    words.extend(["HEMLIG", "ritning", "beslut"]);
    for message in scene.outside.messages() {
        assert!(found_in(&message, &words).is_empty(), "{}", String::from_utf8_lossy(&message));
    }
}

fn nothing_readable_lies_on_the_disk(scene: &Scene) {
    let mut words = SECRETS.to_vec();
    words.extend(["eva@", "anna.berg", "Anna Berg", "live.example", "Eva Rätt", "Rätt", "ritning", "beslut"]);
    words.extend(["198501012382", "8501012382", "original@sundby", "Adam Fel"]);
    // What a search can find it does find: the same word, laid there by us.
    let planted = scene.gateway.data().join("planted");
    std::fs::write(&planted, STANDARD.encode("xx HEMLIGTEXT")).unwrap();
    assert_eq!(scene.gateway.readable(&words).len(), 1);
    std::fs::remove_file(planted).unwrap();
    assert_eq!(scene.gateway.readable(&words), Vec::<String>::new());
    assert_eq!(readiness(scene.gateway.control), (200, "ready\n".to_owned()));
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
