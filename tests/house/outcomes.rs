//! What becomes of recipients, as the queue and the reports tell it, whatever the next hop says and however it hangs.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sealgate::config::{self, Files};
use sealgate::daemon::Kept;
use sealgate::delivery::{Blame, Delivery, Destination, Diagnosis, Dispatch, Handover, Outcome, Transport, Worker};
use sealgate::mail::{Address, QueueId};
use sealgate::net::{Clock, Shutdown, Steadiness, Time};
use sealgate::queue::Backoff;
use sealgate::sealing::NextHop;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::mail_sink::Sink;
use crate::operator::{id_in, send};
use crate::queue::talk;
use crate::route::decoded;
use crate::running::{Gateway, free, wait_until};

/// A next hop that says to each recipient what its name asks for: `ok…`, `later…` or `never…`.
#[derive(Clone, Default)]
struct Hop {
    /// How often each recipient got a message.
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
    /// `later` is now.
    is_later: Arc<AtomicBool>,
    /// What it took, as it came.
    letters: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Hop {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hop = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hop = hop.clone();
                tokio::spawn(async move { hop.converse(stream).await });
            }
        });
        address
    }

    async fn converse(&self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 hop.example\r\n").await.ok()?;
        let (mut accepted, mut in_message, mut line, mut letter) = (Vec::new(), false, String::new(), String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let reply = match line.get(..4).unwrap_or_default() {
                _ if in_message && line == ".\r\n" => {
                    in_message = false;
                    self.letters.lock().unwrap().push(std::mem::take(&mut letter).into_bytes());
                    for name in accepted.drain(..) {
                        *self.taken.lock().unwrap().entry(name).or_default() += 1;
                    }
                    "250 2.0.0 taken\r\n".to_owned()
                }
                _ if in_message => {
                    letter.push_str(line.strip_prefix('.').unwrap_or(&line));
                    continue;
                }
                "EHLO" | "LHLO" => {
                    let offers = ["PIPELINING", "8BITMIME", "SMTPUTF8"].map(|it| format!("250-{it}\r\n")).concat();
                    format!("250-hop.example\r\n{offers}250 ENHANCEDSTATUSCODES\r\n")
                }
                "MAIL" => {
                    accepted.clear();
                    "250 2.1.0 ok\r\n".to_owned()
                }
                "RCPT" => {
                    let name = line.trim().trim_start_matches("RCPT TO:<").split('@').next()?.to_owned();
                    match name.get(..2)? {
                        "la" if !self.is_later.load(Ordering::SeqCst) => format!("450 4.2.1 {name}: not now\r\n"),
                        "ne" => format!("550 5.1.1 {name}: not here\r\n"),
                        _ => {
                            accepted.push(name);
                            "250 2.1.5 ok\r\n".to_owned()
                        }
                    }
                }
                "DATA" if accepted.is_empty() => "554 5.5.1 nobody\r\n".to_owned(),
                "DATA" => {
                    in_message = true;
                    "354 go\r\n".to_owned()
                }
                _ => "250 2.0.0 ok\r\n".to_owned(),
            };
            stream.write_all(reply.as_bytes()).await.ok()?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_and_fifty_recipients_have_two_hundred_and_fifty_outcomes() {
    let (hop, inside) = (Hop::default(), Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), hop.start().await, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let kinds = ["ok", "later", "never", "ok", "later"];
    let names: Vec<String> = (0..250).map(|number| format!("{}{number}", kinds[number % 5])).collect();
    let addresses: Vec<String> = names.iter().map(|name| format!("{name}@live.example")).collect();
    let id = id_in(&send(gateway.outbound, &addresses.iter().map(String::as_str).collect::<Vec<_>>(), "Hej"));

    let shown = || {
        let item = gateway.ask(&["queue", "show", &id]);
        let of = |it: &serde_json::Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
        let recipients = item["recipients"].as_array().unwrap().iter();
        recipients.map(|it| (of(it, "address"), (of(it, "state"), of(it, "last_reply")))).collect::<BTreeMap<_, _>>()
    };
    wait_until("the first attempt", || shown().values().all(|(state, _)| state != "waiting"));
    let states = shown();
    assert_eq!(states.len(), 250);
    for (name, address) in names.iter().zip(&addresses) {
        let (state, reply) = &states[address];
        let (wanted, words) = match &name[..2] {
            "ok" => ("delivered", "250 2.0.0 taken".to_owned()),
            "la" => ("deferred", format!("450 4.2.1 {name}: not now")),
            _ => ("failed", format!("550 5.1.1 {name}: not here")),
        };
        assert!(state == wanted && reply.ends_with(&words), "{address}: {state} {reply}");
    }
    // One report names all who failed, each with what was said to it, and nobody else.
    wait_until("the report", || inside.messages().len() == 1);
    let report = decoded(&String::from_utf8_lossy(&inside.messages()[0]));
    for (name, address) in names.iter().zip(&addresses) {
        let is_reported = report.contains(&format!("Final-Recipient: rfc822;{address}"))
            || report.contains(&format!("Final-Recipient: rfc822; {address}"));
        assert_eq!(is_reported, name.starts_with("never"), "{address} in {report}");
        assert_eq!(report.contains(&format!("550 5.1.1 {name}: not here")), is_reported, "{address}");
    }
    // Who waited gets it, and nobody gets it twice.
    hop.is_later.store(true, Ordering::SeqCst);
    gateway.ask(&["queue", "retry", &id]);
    wait_until("the rest", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    let taken = hop.taken.lock().unwrap();
    assert_eq!(taken.len(), 200);
    assert!(taken.iter().all(|(name, times)| *times == 1 && !name.starts_with("never")), "{taken:?}");
    assert_eq!(inside.messages().len(), 1, "and nothing more is told");
}

/// Each domain goes its own way and ends at its own time. What the sender hears of them comes together, once, whenever the
/// gateway dies in between.
#[tokio::test(flavor = "multi_thread")]
async fn who_fails_in_many_domains_is_told_of_together_and_once() {
    let (hop, inside) = (Hop::default(), Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let address = hop.start().await;
    let mut gateway = Gateway::found(folder.path(), address, inside.address, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let config = config.replace(&format!("\"smtp://{address}\""), &format!("\"mx\"\ndns = [\"{}\"]", free()));
    let more = format!(
        "\n[[delivery.route]]\ndomains = [\".many.example\"]\nnext_hop = \"smtp://{address}\"\n\n[queue]\n\
         minimal_backoff = \"4s\"\nmaximal_backoff = \"4s\"\ndelay_warning = \"12s\"\n"
    );
    std::fs::write(gateway.config(), config + &more).unwrap();
    gateway.start();
    let kinds = ["ok", "later", "never", "ok", "later"];
    let to: Vec<String> =
        (0..250).map(|number| format!("{}{number}@d{}.many.example", kinds[number % 5], number * 7 % 60)).collect();
    id_in(&send(gateway.outbound, &to.iter().map(String::as_str).collect::<Vec<_>>(), "Hej"));
    for taken in [1, 40] {
        wait_until("some of them", || hop.taken.lock().unwrap().len() >= taken);
        gateway.kill();
        gateway.start();
    }
    let reports = |action: &str| -> Vec<String> {
        let letters = inside.messages().into_iter().map(|octets| decoded(&String::from_utf8_lossy(&octets)));
        letters.filter(|letter| letter.contains(&format!("Action: {action}"))).collect()
    };
    let named = |reports: &[String]| {
        let lines = reports.iter().flat_map(|report| report.lines());
        let mut named: Vec<String> =
            lines.filter_map(|line| line.strip_prefix("Final-Recipient: rfc822; ")).map(str::to_owned).collect();
        named.sort();
        named
    };
    let all_of = |kind: &str| {
        let mut all: Vec<String> = to.iter().filter(|it| it.starts_with(kind)).cloned().collect();
        all.sort();
        all
    };
    wait_until("all failures told", || named(&reports("failed")).len() >= 50);
    wait_until("the delay told", || !reports("delayed").is_empty());
    assert_eq!(named(&reports("failed")), all_of("never"), "each once");
    assert!(reports("failed").len() <= 3, "one for each life of the gateway at most: {}", reports("failed").len());
    hop.is_later.store(true, Ordering::SeqCst);
    wait_until("the rest", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
    assert_eq!((named(&reports("delayed")), reports("delayed").len()), (all_of("later"), 1));
    assert_eq!(named(&reports("failed")).len(), 50, "and nothing more is told");
}

/// Reads a report as somebody else's program does: to whom it is, its parts, and what it says of each recipient.
const READER: &str = r#"
import email, re, sys
from email import policy
report = email.message_from_binary_file(sys.stdin.buffer, policy=policy.SMTPUTF8)
utf8 = lambda text: text.encode("utf-8", "surrogateescape").decode()
assert not any(part.defects for part in report.walk()), [part.defects for part in report.walk()]
print("to", utf8(str(report["To"])).strip("<>"))
print("kind", report.get_content_type(), report.get_param("report-type"))
print("parts", *[part.get_content_type() for part in report.iter_parts()])
status = report.get_payload(1).as_bytes().decode().replace("\r", "")
print(*re.findall("^(?:Final-Recipient|Action|Status): .*$", status, re.M), sep="\n")
"#;

fn as_python_reads(report: &[u8]) -> Vec<String> {
    let mut python = Command::new("python3")
        .args(["-c", READER])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("PEER MISSING: python3");
    python.stdin.take().unwrap().write_all(report).unwrap();
    let output = python.wait_with_output().unwrap();
    let told = format!("{}\n{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(report));
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// RFC 3461 §5.2, RFC 6533: what a sender asked to hear of success, and a sender whose address is not ASCII of failure.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_end_is_reported_as_what_it_is() {
    let (outside, inside) = (Hop::default(), Hop::default());
    let folder = tempfile::tempdir().unwrap();
    let mail_server = inside.start().await;
    let mut gateway = Gateway::found(folder.path(), outside.start().await, mail_server, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let lmtp = config.replace(&format!("smtp://{mail_server}"), &format!("lmtp://{mail_server}"));
    std::fs::write(gateway.config(), lmtp).unwrap();
    gateway.start();
    let plain = "multipart/alternative message/delivery-status text/rfc822-headers";
    let mixed = "multipart/alternative message/delivery-status message/global-headers";
    let global = "multipart/alternative message/global-delivery-status message/global-headers";
    for (number, (from, to, tag, parts, said)) in [
        ("anna@sundby.example", "bo@sundby.example", "", plain, ["rfc822; bo@sundby.example", "delivered", "2.0.0"]),
        ("anna@sundby.example", "eva@live.example", "", plain, ["rfc822; eva@live.example", "relayed", "2.0.0"]),
        (
            "anna@sundby.example",
            "eva@live.example",
            "[sikker] ",
            plain,
            ["rfc822; eva@live.example", "delivered", "2.0.0"],
        ),
        ("åsa@sundby.example", "never@live.example", "", mixed, ["rfc822; never@live.example", "failed", "5.1.1"]),
        ("åsa@sundby.example", "åke@live.example", "", global, ["utf-8; åke@live.example", "relayed", "2.0.0"]),
    ]
    .into_iter()
    .enumerate()
    {
        let from_utf8 = if from.is_ascii() { "" } else { " SMTPUTF8" };
        let lines = [
            "EHLO client.example".to_owned(),
            format!("MAIL FROM:<{from}>{from_utf8}"),
            format!("RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE"),
            "DATA".to_owned(),
            format!("From: {from}\r\nSubject: {tag}Hej\r\nMessage-ID: <{number}@sundby.example>\r\n\r\nHej\r\n."),
        ];
        id_in(talk(gateway.outbound, &lines.each_ref().map(String::as_str)).last().unwrap());
        let report = || {
            let letters = inside.letters.lock().unwrap().clone();
            let text = |letter: &Vec<u8>| String::from_utf8_lossy(letter).into_owned();
            let about = format!("<{number}@sundby.example>");
            letters.into_iter().find(|it| text(it).contains("multipart/report") && text(it).contains(&about))
        };
        wait_until("the report", || report().is_some());
        let [recipient, action, status] = said;
        let wanted = [
            format!("to {from}"),
            "kind multipart/report delivery-status".to_owned(),
            format!("parts {parts}"),
            format!("Final-Recipient: {recipient}"),
            format!("Action: {action}"),
            format!("Status: {status}"),
        ];
        assert_eq!(as_python_reads(&report().unwrap()), wanted, "{number}");
    }
}

/// A next hop that takes calls and says nothing.
async fn mute() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_next_hop_hangs_mail_to_the_other_leaves() {
    let (_listener, hanging) = mute().await;
    let quick = Hop::default();
    let address = quick.start().await;
    for (internet, mail_server, stuck, free) in [
        (address, hanging, "ok@sundby.example", "ok@live.example"),
        (hanging, address, "ok@live.example", "ok@sundby.example"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), internet, mail_server, "http://127.0.0.1:9");
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        std::fs::write(gateway.config(), config.replace("[delivery]\n", "[delivery]\nmax_connections = 2\n")).unwrap();
        gateway.start();
        // More than may be under way in all.
        for _ in 0..12 {
            id_in(&send(gateway.outbound, &[stuck], "Hej"));
        }
        id_in(&send(gateway.outbound, &[free], "Hej"));
        wait_until("the one that is not in the way", || quick.taken.lock().unwrap().remove("ok") == Some(1));
        wait_until("its end", || gateway.ask(&["queue", "list"]).as_array().unwrap().len() == 12);
    }
}

/// The internet says *not now* until it is told otherwise; the mail server takes all, and shows it.
#[derive(Clone, Default)]
struct Later {
    takes: Arc<AtomicBool>,
    letters: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for Later {
    async fn deliver(&self, mail: &Dispatch) -> Vec<(Address, Outcome)> {
        let is_inside = mail.destination == Destination::MailServer;
        if is_inside {
            let (mut octets, mut letter) = (mail.contents.open().await.unwrap(), Vec::new());
            while let Some(more) = octets.next().await.unwrap() {
                letter.extend_from_slice(&more);
            }
            self.letters.lock().unwrap().push(decoded(&String::from_utf8_lossy(&letter)));
        }
        let outcome = if is_inside || self.takes.load(Ordering::SeqCst) {
            let (remote, reply) = ("hop.example".to_owned(), "250 2.0.0 taken".to_owned());
            Outcome::Delivered(Delivery { handover: Handover::WishesPassedOn, remote, reply })
        } else {
            Outcome::unserved(Diagnosis {
                blame: Blame::Recipient,
                status: "4.2.1".parse().unwrap(),
                reason: "the peer refused the recipient at RCPT".into(),
                reply: Some("450 4.2.1 not now".into()),
                remote: Some("hop.example".into()),
            })
        };
        mail.envelope.recipients.iter().map(|it| (it.address.clone(), outcome.clone())).collect()
    }
}

/// Who attempts what is kept, over this transport, one message at a time to each side.
pub fn worker(kept: &Kept, transport: Arc<dyn Transport>, steadiness: Steadiness) -> Worker {
    Worker {
        transport,
        schedule: kept.schedule.clone(),
        settlement: kept.settlement.clone(),
        inspector: kept.inspector.clone(),
        bodies: Arc::clone(&kept.bodies),
        warm: kept.spool.warm().clone(),
        vault: kept.vault.clone(),
        reporter: kept.reporter.clone(),
        journal: kept.journal.clone(),
        signers: kept.keyring.signers(),
        certificates: kept.directory.certificates().clone(),
        backoff: Backoff::default(),
        delay_warning: Duration::from_secs(3_600),
        at_once: [(NextHop::Internet, 1), (NextHop::MailServer, 1)],
        clock: kept.clock.clone(),
        steadiness,
        metrics: kept.metrics.clone(),
    }
}

/// A message that was attempted once, and a delivery of its own for what is kept, by a clock of our own.
struct Waiting {
    kept: Kept,
    clock: Clock,
    id: QueueId,
    hop: Later,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Waiting {
    async fn begin(watched: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
        gateway.start();
        let id = id_in(&send(gateway.outbound, &["eva@live.example"], "Hej"));
        let tried = || gateway.ask(&["queue", "show", &id])["recipients"][0]["attempts"] == 1;
        wait_until("a first attempt", tried);
        gateway.kill();
        let settings = config::load(&gateway.config(), Files::Start).unwrap().settings;
        let clock = Clock::set_to(Clock::System.now());
        let kept = Kept::open(&settings, clock.clone()).unwrap();
        let steadiness = if watched { Steadiness::of(clock.clone()) } else { Steadiness::unwatched(clock.clone()) };
        let (hop, shutdown) = (Later::default(), Shutdown::new());
        let delay_warning = Duration::from_secs(4 * 3_600);
        let worker = Worker { delay_warning, ..worker(&kept, Arc::new(hop.clone()), steadiness) };
        tokio::spawn(worker.run(shutdown.clone()));
        Self { kept, clock, id: id.parse().unwrap(), hop, shutdown, _folder: folder }
    }

    fn set(&self, time: Time) {
        let Clock::Set(hand) = &self.clock else { unreachable!("it was set") };
        hand.store(time.unix_ms(), Ordering::SeqCst);
        self.kept.schedule.ring();
    }

    /// Attempts so far; `None` if it lies in the queue no more.
    fn attempts(&self) -> Option<u32> {
        // Between two reads it may have ended.
        self.kept.inspector.show(self.id).ok()?.recipients.first().map(|recipient| recipient.attempts)
    }

    fn letters(&self) -> Vec<String> {
        self.hop.letters.lock().unwrap().clone()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_and_fifty_for_days_ends_with_one_warning_and_one_report() {
    let waiting = Waiting::begin(false).await;
    let begun = waiting.clock.now();
    let mut attempts = 1;
    for hours in (2..=118).step_by(2) {
        waiting.set(begun.after(Duration::from_secs(hours * 3_600)));
        wait_until("an attempt", || waiting.attempts() > Some(attempts));
        attempts = waiting.attempts().unwrap();
        wait_until("the warning", || waiting.letters().len() == usize::from(hours >= 4));
    }
    assert_eq!(attempts, 60, "one for each time it was due");
    assert!(waiting.letters()[0].contains("Action: delayed"), "{:?}", waiting.letters());
    waiting.set(begun.after(Duration::from_secs(121 * 3_600)));
    wait_until("its end", || waiting.attempts().is_none());
    wait_until("the report", || waiting.letters().len() == 2);
    let report = &waiting.letters()[1];
    for words in ["Action: failed", "Status: 5.2.1", "450 4.2.1 not now", "eva@live.example"] {
        assert!(report.contains(words), "{words} in {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_delays_mail_and_gives_none_up() {
    let waiting = Waiting::begin(true).await;
    let begun = waiting.clock.now();
    let hours = |count: u64| Duration::from_secs(count * 3_600);
    for (number, (what, time)) in (1..).zip([
        ("an hour forward", begun.after(hours(1))),
        ("a year forward", begun.after(hours(24 * 365))),
        ("and still there when it is due again", begun.after(hours(24 * 365 + 3))),
        ("a year back", begun),
        ("an hour back, and it is due within three", begun.before(hours(1)).after(hours(3))),
    ]) {
        waiting.set(time);
        wait_until(what, || waiting.attempts() == Some(number + 1));
    }
    let failed = |letter: &String| letter.contains("Action: failed");
    assert!(!waiting.letters().iter().any(failed), "{:?}", waiting.letters());
    waiting.hop.takes.store(true, Ordering::SeqCst);
    waiting.set(begun.after(hours(4)));
    wait_until("the mail", || waiting.attempts().is_none());
    assert!(!waiting.letters().iter().any(failed));
}
