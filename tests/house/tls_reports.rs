//! Reports on TLS (RFC 8460), on a network of its own: each way TLS can fail is met, and its domain is told of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use flate2::read::GzDecoder;
use mail_parser::MessageParser;
use sealgate::config::{self, Files};
use sealgate::daemon::{Daemon, Kept};
use sealgate::delivery::{
    Dispatch, Internet, Patience, Relay, SystemResolver, TlsReporter, TlsTally, Transport, Trust,
};
use sealgate::net::{ClientTls, Clock, Dns, Shutdown, Steadiness};
use sealgate::store::Table;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::delivery::{mail, settings};
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::open_internet::{Host, hex, policy, serve_policies};
use crate::running::{Gateway, free};
use crate::scripted_peer::{Act, Certificate, Peer, say};

const HOUR: Duration = Duration::from_secs(3_600);
const TALLIES: Table = Table("delivery.tls_tally");

#[test]
fn domains_that_ask_are_told_what_came_of_tls() {
    on_a_network_of_its_own("tls_reports::every_failure_is_told");
}

/// What a report says of a policy: its kind, sessions that went well and that failed, and in which ways.
type Told = (&'static str, u64, u64, &'static [(&'static str, u64)]);

const TABLE: [(&str, &[Told]); 18] = [
    ("dane.example", &[("tlsa", 1, 0, &[])]),
    // Once before the crash and once after.
    ("wrong.example", &[("tlsa", 0, 2, &[("validation-failure", 2)])]),
    ("stripped.example", &[("tlsa", 0, 1, &[("starttls-not-supported", 1)])]),
    ("unusable.example", &[("tlsa", 0, 1, &[("tlsa-invalid", 1)])]),
    ("refused.example", &[("tlsa", 0, 1, &[("dnssec-invalid", 1)])]),
    ("tls.unsigned", &[("no-policy-found", 1, 0, &[])]),
    ("clear.unsigned", &[("no-policy-found", 0, 1, &[("starttls-not-supported", 1)])]),
    ("sts.unsigned", &[("sts", 1, 0, &[])]),
    ("stranger.unsigned", &[("sts", 0, 1, &[("certificate-not-trusted", 1)])]),
    ("expired.unsigned", &[("sts", 0, 1, &[("certificate-expired", 1)])]),
    ("mismatch.unsigned", &[("sts", 0, 1, &[("certificate-host-mismatch", 1)])]),
    ("other.unsigned", &[("sts", 0, 1, &[("validation-failure", 1)])]),
    ("bare.unsigned", &[("sts", 0, 1, &[("starttls-not-supported", 1)])]),
    ("testing.unsigned", &[("sts", 0, 1, &[("certificate-not-trusted", 1)])]),
    ("tested.unsigned", &[("sts", 1, 0, &[])]),
    ("mute.unsigned", &[("no-policy-found", 1, 0, &[]), ("sts", 0, 1, &[("sts-policy-invalid", 1)])]),
    ("unfetched.unsigned", &[("no-policy-found", 1, 0, &[]), ("sts", 0, 1, &[("sts-policy-fetch-error", 1)])]),
    ("unproven.unsigned", &[("no-policy-found", 1, 0, &[]), ("sts", 0, 1, &[("sts-webpki-invalid", 1)])]),
];

/// Takes reports at port 443 of an address, but the first of the domain that is `refused`: path and report.
async fn take_reports(address: &str, tls: TlsAcceptor, refused: &'static str) -> Arc<Mutex<Vec<(String, Value)>>> {
    let listener = TcpListener::bind((address, 443)).await.unwrap();
    let taken: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let told = Arc::clone(&taken);
    tokio::spawn(async move {
        let mut has_refused = false;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = tls.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while stream.read_line(&mut head).await.unwrap_or(0) > 2 {}
            let head = head.to_ascii_lowercase();
            assert!(head.contains("content-type: application/tlsrpt+gzip\r\n"), "{head}");
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let report = opened(&body);
            let refuses = !has_refused && domain_of(&report) == refused;
            has_refused |= refuses;
            let answer = if refuses { "503 later" } else { "201 taken" };
            if !refuses {
                let path = head.split(' ').nth(1).unwrap().to_owned();
                told.lock().unwrap().push((path, report));
            }
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap_or_default();
            stream.flush().await.unwrap_or_default();
        }
    });
    taken
}

fn opened(gzip: &[u8]) -> Value {
    let mut json = String::new();
    GzDecoder::new(gzip).read_to_string(&mut json).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn domain_of(report: &Value) -> String {
    report["policies"][0]["policy"]["policy-domain"].as_str().unwrap().to_owned()
}

/// A report in the form of the table, in order.
fn said(report: &Value) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    for policy in report["policies"].as_array().unwrap() {
        let count = |name: &str| policy["summary"][name].as_u64().unwrap();
        let failures = policy["failure-details"].as_array().cloned().unwrap_or_default();
        let failures = failures.iter().map(|it| format!("{} {}", it["result-type"], it["failed-session-count"]));
        said.push(format!(
            "{} {} {} {:?}",
            policy["policy"]["policy-type"],
            count("total-successful-session-count"),
            count("total-failure-session-count"),
            failures.collect::<Vec<_>>()
        ));
    }
    said.sort();
    said
}

fn wanted(told: &[Told]) -> Vec<String> {
    told.iter()
        .map(|(kind, good, bad, failures)| {
            let failures: Vec<_> = failures.iter().map(|(failure, count)| format!("\"{failure}\" {count}")).collect();
            format!("\"{kind}\" {good} {bad} {failures:?}")
        })
        .collect()
}

fn is_readable(kept: &Kept, word: &str) -> bool {
    let rows = kept.rows.range(TALLIES, std::ops::Bound::Unbounded, std::ops::Bound::Unbounded, 1_000).unwrap();
    assert!(!rows.is_empty());
    rows.iter().any(|(_, row)| row.windows(word.len()).any(|part| part == word.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "domains_that_ask_are_told_what_came_of_tls runs it on a network of its own"]
async fn every_failure_is_told() {
    let own = Certificate::for_names(&["mx.dane.example"]);
    let policy_hosts = ["sts", "stranger", "expired", "mismatch", "other", "bare", "testing", "tested", "mute"];
    let mut names: Vec<String> = policy_hosts.iter().map(|name| format!("mta-sts.{name}.unsigned")).collect();
    names.extend(["mx.sts.unsigned", "mx.other.unsigned", "mx.tested.unsigned", "reports.unsigned"].map(str::to_owned));
    let (issuer, issued) = Certificate::issued_for_names(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (other_issuer, ended) = Certificate::expired_for_names(&["mx.expired.unsigned"]);
    let (clear_at, tls_at, trusted_at, expired_at) = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13");
    let _hosts = [
        Host::start(clear_at, None).await,
        Host::start(tls_at, Some(own.acceptor())).await,
        Host::start(trusted_at, Some(issued.acceptor())).await,
        Host::start(expired_at, Some(ended.acceptor())).await,
    ];
    let fits = format!("3 1 1 {}", hex(digest(&SHA256, &own.public_key()).as_ref()));
    let wrong = format!("3 1 1 {}", "ab".repeat(32));
    let rua = "TXT \"v=TLSRPTv1; rua=https://reports.unsigned/v1\"";
    let mut root = String::new();
    for (domain, address, tlsa) in [
        ("dane.example", tls_at, fits.as_str()),
        ("wrong.example", tls_at, &wrong),
        ("stripped.example", clear_at, &fits),
        ("unusable.example", tls_at, "1 1 1 00"),
        ("refused.example", tls_at, &fits),
    ] {
        writeln!(root, "{domain}. MX 10 mx.{domain}.\nmx.{domain}. A {address}\n_smtp._tls.{domain}. {rua}").unwrap();
        writeln!(root, "_25._tcp.mx.{domain}. TLSA {tlsa}").unwrap();
    }
    let mut unsigned = "reports A 192.0.2.40\nin.inside A 10.0.0.1\n".to_owned();
    for (name, address, record) in [
        ("tls", tls_at, rua),
        ("clear", clear_at, rua),
        ("quiet", tls_at, rua),
        ("none", tls_at, "TXT \"nobody asks\""),
        ("inside", tls_at, "TXT \"v=TLSRPTv1;rua=https://in.inside.unsigned/\""),
        ("letter", tls_at, "TXT \"v=TLSRPTv1;rua=mailto:tls%2Breports@box.unsigned,https://reports.unsigned/both\""),
    ] {
        writeln!(unsigned, "{name} MX 10 mx.{name}\nmx.{name} A {address}\n_smtp._tls.{name} {record}").unwrap();
    }
    let mut policies = HashMap::new();
    for (name, address, policy_at, mode, host) in [
        ("sts", trusted_at, "192.0.2.30", "enforce", "mx.sts.unsigned"),
        ("stranger", tls_at, "192.0.2.30", "enforce", "mx.stranger.unsigned"),
        ("expired", expired_at, "192.0.2.30", "enforce", "mx.expired.unsigned"),
        ("mismatch", trusted_at, "192.0.2.30", "enforce", "mx.mismatch.unsigned"),
        ("other", trusted_at, "192.0.2.30", "enforce", "mx.elsewhere.unsigned"),
        ("bare", clear_at, "192.0.2.30", "enforce", "mx.bare.unsigned"),
        ("testing", tls_at, "192.0.2.30", "testing", "mx.testing.unsigned"),
        ("tested", trusted_at, "192.0.2.30", "testing", "mx.tested.unsigned"),
        ("mute", tls_at, "192.0.2.30", "", ""),
        ("unfetched", tls_at, "192.0.2.98", "enforce", "mx.unfetched.unsigned"),
        ("unproven", tls_at, "192.0.2.31", "enforce", "mx.unproven.unsigned"),
    ] {
        writeln!(unsigned, "{name} MX 10 mx.{name}\nmx.{name} A {address}\n_smtp._tls.{name} {rua}").unwrap();
        writeln!(unsigned, "_mta-sts.{name} TXT \"v=STSv1; id=1;\"\nmta-sts.{name} A {policy_at}").unwrap();
        policies.insert(format!("{name}.unsigned"), policy(mode, host));
    }
    serve_policies("192.0.2.31", own.acceptor(), policies.clone()).await;
    serve_policies("192.0.2.30", issued.acceptor(), policies).await;
    let taken = take_reports("192.0.2.40", issued.acceptor(), "tls.unsigned").await;
    let inside = TcpListener::bind(("10.0.0.1", 443)).await.unwrap();
    let post_box = Peer::plays(vec![vec![say("220 box"), Act::TakeAll]]).await;
    let servers = NameServers::start(&root, &unsigned, ("", ""), &["_tcp.mx.refused.example."]);
    let dns = servers.validated_here();

    // A gateway that carries the letters, and beside it deliveries under roots of the test.
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let route =
        format!("\n[[delivery.route]]\ndomains = [\"box.unsigned\"]\nnext_hop = \"smtp://{}\"\n", post_box.address);
    std::fs::write(gateway.config(), servers.instead_of_smarthost(&config) + &route).unwrap();
    let clock = Clock::set_to(Clock::System.now());
    let loaded = config::load(&gateway.config(), Files::Start).unwrap();
    let daemon = Daemon::build(&loaded.settings, clock.clone()).await.unwrap();
    let (kept, shutdown) = (daemon.kept.clone(), Shutdown::new());
    daemon.start(&shutdown).await.unwrap();
    let mut roots = issuer.roots();
    roots.roots.extend(other_issuer.roots().roots);
    let trust = Trust::from(ClientTls::with_roots(roots).unwrap());
    let relay = || {
        let settings = sealgate::delivery::Settings { internet: Internet::Mx, ..settings("smtp://127.0.0.1:9") };
        let (dns, resolver) = (Dns::new(&dns).unwrap(), Arc::new(SystemResolver));
        Relay::with(settings, trust.clone(), Some(dns), Some(kept.policies()), resolver, Patience::STANDARD)
    };
    let reporter = |relay: &Relay| TlsReporter {
        tally: relay.tally().unwrap(),
        https: relay.https().unwrap(),
        mailer: kept.reporter.mailer().clone(),
        schedule: kept.schedule.clone(),
        rows: Arc::clone(&kept.rows),
        steadiness: Steadiness::unwatched(clock.clone()),
        metrics: kept.metrics.clone(),
    };

    // What is kept outlives a crash.
    let before = relay();
    before.deliver(&mail(&["eva@wrong.example"])).await;
    reporter(&before).round().await.unwrap();
    before.deliver(&mail(&["eva@tls.unsigned"])).await;
    drop(before);
    let relay = relay();
    for domain in TABLE.iter().map(|(domain, _)| *domain).chain(["none.unsigned", "inside.unsigned", "letter.unsigned"])
    {
        relay.deliver(&mail(&[&format!("eva.local.part@{domain}")])).await;
    }
    relay.deliver(&Dispatch { is_tls_report: true, ..mail(&["eva@quiet.unsigned"]) }).await;
    let reporter = reporter(&relay);
    reporter.round().await.unwrap();
    assert!(taken.lock().unwrap().is_empty(), "the day is not over");
    assert!(!is_readable(&kept, "wrong.example"));

    clock.advance(29 * HOUR);
    reporter.round().await.unwrap();
    let reports: BTreeMap<String, Value> = taken
        .lock()
        .unwrap()
        .iter()
        .filter(|(path, _)| path == "/v1")
        .map(|(_, it)| (domain_of(it), it.clone()))
        .collect();
    let mut faults = Vec::new();
    for (domain, told) in TABLE.iter().filter(|(domain, _)| *domain != "tls.unsigned") {
        let came = reports.get(*domain).map(said).unwrap_or_default();
        if came != wanted(told) {
            faults.push(format!("{domain}: {came:?}, not {:?}", wanted(told)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(taken.lock().unwrap().len(), TABLE.len(), "each once, letter.unsigned too, tls.unsigned not yet");
    let wrong_one = &reports["wrong.example"];
    assert_eq!(wrong_one["policies"][0]["policy"]["policy-string"][0], wrong.to_uppercase());
    let detail = &wrong_one["policies"][0]["failure-details"][0];
    assert_eq!(
        (&detail["receiving-mx-hostname"], &detail["receiving-ip"]),
        (&"mx.wrong.example".into(), &tls_at.into())
    );
    assert_eq!(wrong_one["contact-info"], "postmaster@gw.sundby.example");
    assert_eq!(reports["testing.unsigned"]["policies"][0]["policy"]["policy-string"][1], "mode: testing");
    let everything = format!("{:?}", taken.lock().unwrap());
    assert!(!everything.contains("eva"), "whom the mail was for is told to nobody");

    // The same by mail.
    post_box.hears(".").await;
    let lines = post_box.heard();
    assert!(lines.contains(&"MAIL FROM:<>".to_owned()) || lines.iter().any(|line| line.starts_with("MAIL FROM:<> ")));
    assert!(lines.iter().any(|line| line.starts_with("RCPT TO:<tls+reports@box.unsigned>")), "{lines:?}");
    let begun = lines.iter().position(|line| line.starts_with("DATA")).unwrap() + 1;
    let letter = lines[begun..].join("\r\n");
    let letter = MessageParser::default().parse(letter.as_bytes()).unwrap();
    assert_eq!(letter.header_raw("TLS-Report-Domain").unwrap().trim(), "letter.unsigned");
    let uploaded = taken.lock().unwrap().iter().find(|(path, _)| path == "/both").unwrap().1.clone();
    assert_eq!(opened(letter.attachment(0).unwrap().contents()), uploaded);

    // What was not taken is told again later, and nothing else.
    reporter.round().await.unwrap();
    assert_eq!(taken.lock().unwrap().len(), TABLE.len());
    clock.advance(HOUR);
    reporter.round().await.unwrap();
    let last = taken.lock().unwrap().last().unwrap().1.clone();
    assert_eq!((taken.lock().unwrap().len(), domain_of(&last)), (TABLE.len() + 1, "tls.unsigned".to_owned()));
    assert_eq!(said(&last), wanted(TABLE[5].1), "the session after the last keeping died with the crash");
    let numbers = kept.metrics.render();
    assert!(numbers.contains("sealgate_tls_reports_total{kind=\"by-mail\"} 1\n"), "{numbers}");
    assert!(numbers.contains(&format!("sealgate_tls_reports_total{{kind=\"by-https\"}} {}\n", TABLE.len() + 1)));

    // Only who wants it inside is left, and nobody was called there.
    let called = tokio::time::timeout(Duration::ZERO, inside.accept()).await;
    assert!(called.is_err(), "somebody was called inside");
    assert!(kept.rows.last(TALLIES).unwrap().is_some());
    clock.advance(72 * HOUR);
    reporter.round().await.unwrap();
    TlsTally::new(kept.policies()).forget().await.unwrap();
    assert!(kept.rows.last(TALLIES).unwrap().is_none());
    shutdown.begin();
}
