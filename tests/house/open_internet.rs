//! Mail to the open internet, on a network of its own: names, signatures and hosts are real, and nobody else is there.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use sealgate::delivery::{
    Dispatch, Internet, Outcome, Passage, Patience, Relay, StsKeeping, SystemResolver, Transport, Trust,
};
use sealgate::net::{ClientTls, Clock, Dns, DnsFault, DnsSettings, Proof, Steadiness, Time};
use sealgate::store::{Embedded, Table, decode_row};
use sealgate::vault::{Identity, Vault};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::delivery::{mail, settings};
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::operator::{id_in, send};
use crate::running::{Gateway, free, is_long, wait_until};
use crate::scripted_peer::Certificate;

/// Addresses and ports below 1024 belong to whoever owns the network: so it is one of our own, without a way out.
#[test]
fn mail_goes_where_the_dns_says_and_only_under_what_it_demands() {
    for test in [
        "who_stands_in_the_way_gains_a_delay_and_nothing_else",
        "a_policy_outlives_its_host_and_a_restart",
        "a_slow_domain_keeps_nobody_waiting",
        "many_mute_domains_keep_nobody_waiting",
        "who_vouches_inside_does_not_vouch_for_strangers",
        "a_host_with_many_names_is_called_once",
        "who_is_served_is_settled_while_another_domain_says_nothing",
        "the_daemon_delivers_to_the_open_internet",
    ] {
        on_a_network_of_its_own(&format!("open_internet::{test}"));
    }
}

/// A mail exchanger at port 25 of its address. It takes everything, and tells how.
pub struct Host {
    taken: Arc<Mutex<Vec<&'static str>>>,
    /// The names it was called by in TLS.
    called: Arc<Mutex<Vec<String>>>,
}

impl Host {
    pub async fn start(address: &str, tls: Option<TlsAcceptor>) -> Self {
        Self::start_offering(address, tls, "250 host.example\r\n").await
    }

    /// … with this as answer to EHLO inside TLS.
    pub async fn start_offering(address: &str, tls: Option<TlsAcceptor>, hello: &'static str) -> Self {
        let listener = TcpListener::bind((address, 25)).await.unwrap();
        let taken: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let called: Arc<Mutex<Vec<String>>> = Arc::default();
        let (told, names) = (Arc::clone(&taken), Arc::clone(&called));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, told, names) = (tls.clone(), Arc::clone(&told), Arc::clone(&names));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    stream.write_all(b"220 host.example\r\n").await.unwrap_or_default();
                    let clear =
                        if tls.is_some() { "250-host.example\r\n250 STARTTLS\r\n" } else { "250 host.example\r\n" };
                    if converse(&mut stream, clear, "in the clear", &told).await
                        && let Some(tls) = tls
                        && let Ok(stream) = tls.accept(stream.into_inner()).await
                    {
                        names.lock().unwrap().extend(stream.get_ref().1.server_name().map(str::to_owned));
                        converse(&mut BufReader::new(stream), hello, "by TLS", &told).await;
                    }
                });
            }
        });
        Self { taken, called }
    }

    /// How messages came since it was asked last.
    pub fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    /// The names it was called by in TLS.
    pub fn called(&self) -> Vec<String> {
        self.called.lock().unwrap().clone()
    }
}

/// Serves MTA-STS policies at port 443 of an address, by domain.
pub async fn serve_policies(address: &str, tls: TlsAcceptor, policies: HashMap<String, String>) -> JoinHandle<()> {
    let listener = TcpListener::bind((address, 443)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = tls.accept(stream).await else { continue };
            let mut stream = BufReader::new(stream);
            let (mut line, mut host) = (String::new(), String::new());
            while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
                if let Some(name) = line.to_ascii_lowercase().strip_prefix("host: mta-sts.") {
                    host = name.trim().to_owned();
                }
                line.clear();
            }
            let policy = policies.get(&host).cloned().unwrap_or_default();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", policy.len());
            stream.write_all((head + &policy).as_bytes()).await.unwrap_or_default();
            stream.flush().await.unwrap_or_default();
        }
    })
}

pub fn policy(mode: &str, host: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 86400\r\n")
}

/// Where policies are remembered.
pub fn keeping(folder: &Path) -> StsKeeping {
    let own = Identity::generate().unwrap();
    StsKeeping {
        rows: Arc::new(Embedded::open(&folder.join("rows.redb")).unwrap()),
        vault: Vault::open(&folder.join("keys"), &[own], &[], Time::from_unix_ms(0)).unwrap(),
        clock: Clock::System,
        steadiness: Steadiness::unwatched(Clock::System),
    }
}

/// Says yes to everything; true if the peer wants TLS now.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    hello: &str,
    how: &'static str,
    taken: &Mutex<Vec<&'static str>>,
) -> bool {
    let mut line = String::new();
    let mut in_message = false;
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let reply = match line.get(..4).unwrap_or_default() {
            _ if in_message && line == ".\r\n" => {
                in_message = false;
                taken.lock().unwrap().push(how);
                "250 2.0.0 taken\r\n"
            }
            _ if in_message => continue,
            "EHLO" => hello,
            "DATA" => {
                in_message = true;
                "354 go\r\n"
            }
            "STAR" => {
                stream.write_all(b"220 2.0.0 go\r\n").await.unwrap_or_default();
                return true;
            }
            "QUIT" => return false,
            _ => "250 2.0.0 ok\r\n",
        };
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return false;
        }
    }
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

/// A name server on the way to the real one: it adds to what is said, takes things out, and denies what is there, always
/// with records that are as their owners made them.
fn stand_in_the_way(at: &str, upstream: SocketAddr) {
    let socket = UdpSocket::bind((at, 53)).unwrap();
    let ask = move |query: &Message| {
        let own = UdpSocket::bind("192.0.2.1:0").unwrap();
        own.send_to(&query.to_vec().unwrap(), upstream).unwrap();
        let mut octets = [0; 8_192];
        let length = own.recv(&mut octets).unwrap();
        Message::from_vec(&octets[..length]).unwrap()
    };
    std::thread::spawn(move || {
        let mut octets = [0; 8_192];
        loop {
            let (length, from) = socket.recv_from(&mut octets).unwrap();
            let query = Message::from_vec(&octets[..length]).unwrap();
            let mut answer = ask(&query);
            let about = |name: &str, kind| {
                let mut other = query.clone();
                other.queries = vec![Query::query(Name::from_ascii(name).unwrap(), kind)];
                ask(&other).answers
            };
            let nothing = |answer: &mut Message, zone: &str| {
                answer.answers.clear();
                answer.authorities = about("unsigned.", RecordType::SOA);
                for record in &mut answer.authorities {
                    record.name = Name::from_ascii(zone).unwrap();
                }
            };
            let asked = query.queries[0].clone();
            match (asked.name().to_ascii().to_lowercase().as_str(), asked.query_type()) {
                ("added.example.", RecordType::MX) => answer.answers.extend(about("evil.example.", RecordType::MX)),
                ("_25._tcp.mx.tlsa.example.", RecordType::TLSA) => {
                    answer.answers.extend(about("_25._tcp.mx.evil.example.", RecordType::TLSA));
                }
                ("_25._tcp.mx.other.example.", RecordType::TLSA) => {
                    answer.answers = about("_25._tcp.mx.evil.example.", RecordType::TLSA);
                }
                ("_25._tcp.mx.gone.example.", RecordType::TLSA) | ("nomx.example.", RecordType::MX) => {
                    nothing(&mut answer, "unsigned.");
                }
                ("_25._tcp.mx.cut.example.", RecordType::TLSA) => nothing(&mut answer, "mx.cut.example."),
                ("cutmx.example.", RecordType::MX) => nothing(&mut answer, "cutmx.example."),
                ("_25._tcp.mx.nx.example.", RecordType::TLSA) | ("bounce.example.", RecordType::MX) => {
                    nothing(&mut answer, "unsigned.");
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                _ => {}
            }
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn who_stands_in_the_way_gains_a_delay_and_nothing_else() {
    let evil = Certificate::for_names(&["mx.evil.example"]);
    let hosts = [Host::start("192.0.2.10", None).await, Host::start("192.0.2.11", Some(evil.acceptor())).await];
    let fits_evil = format!("3 1 1 {}", hex(digest(&SHA256, &evil.public_key()).as_ref()));
    let wrong = format!("3 1 1 {}", "ab".repeat(32));
    let mut root = String::new();
    let table = [
        ("added.example", "192.0.2.11", "waits 4.7.5"),
        ("tlsa.example", "192.0.2.11", "waits 4.7.5"),
        ("other.example", "192.0.2.11", "waits 4.4.3"),
        ("gone.example", "192.0.2.10", "waits 4.4.3"),
        ("cut.example", "192.0.2.10", "waits 4.4.3"),
        ("nx.example", "192.0.2.10", "waits 4.4.3"),
        ("nomx.example", "192.0.2.10", "waits 4.4.3"),
        ("cutmx.example", "192.0.2.10", "waits 4.4.3"),
        ("bounce.example", "192.0.2.10", "waits 4.4.3"),
        ("badmx.unsigned", "", "comes back 5.4.4"),
        ("evil.example", "192.0.2.11", "taken"),
    ];
    for (domain, address, _) in table.iter().filter(|(_, address, _)| !address.is_empty()) {
        let (preference, tlsa) = if *domain == "evil.example" { (0, &fits_evil) } else { (10, &wrong) };
        writeln!(root, "{domain}. MX {preference} mx.{domain}.\n{domain}. A 192.0.2.10").unwrap();
        writeln!(root, "mx.{domain}. A {address}\n_25._tcp.mx.{domain}. TLSA {tlsa}").unwrap();
    }
    let servers = NameServers::start(&root, "badmx MX 10 -x.badmx\nbadmx A 192.0.2.10\n", ("", ""), &[]);
    stand_in_the_way("192.0.2.55", servers.address());
    let dns = DnsSettings { servers: vec!["192.0.2.55:53".parse().unwrap()], ..servers.validated_here() };
    let settings = sealgate::delivery::Settings { internet: Internet::Mx, ..settings("smtp://127.0.0.1:9") };
    let trust = Trust::from(ClientTls::with_roots(evil.roots()).unwrap());
    let (dns, resolver) = (Dns::new(&dns).unwrap(), Arc::new(SystemResolver));
    let relay = Relay::with(settings, trust, Some(dns), None, resolver, Patience::STANDARD);
    let mut faults = Vec::new();
    for (domain, _, wanted) in table {
        for passage in [Passage::Any, Passage::VerifiedTls] {
            let outcomes = relay.deliver(&Dispatch { passage, ..mail(&[&format!("eva@{domain}")]) }).await;
            let taken: Vec<&str> = hosts.iter().flat_map(Host::take).collect();
            let came = match &outcomes[0].1 {
                Outcome::Delivered(_) => "taken".to_owned(),
                Outcome::Deferred(why) => format!("waits {}{}", why.status, taken.concat()),
                Outcome::Failed(why) => format!("comes back {}{}", why.status, taken.concat()),
            };
            if came != wanted {
                faults.push(format!("{domain}, {passage:?}: {came}, not {wanted}: {:?}", outcomes[0].1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whoever takes the policy's record and host away gains nothing until the policy ends.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn a_policy_outlives_its_host_and_a_restart() {
    let (issuer, issued) = Certificate::issued_for_names(&["mx.sts.unsigned", "mta-sts.sts.unsigned"]);
    let clear = Host::start("192.0.2.10", None).await;
    let verified = Host::start("192.0.2.12", Some(issued.acceptor())).await;
    let zone = |mx: &str| format!("sts MX 10 mx.sts\nmx.sts A {mx}\n");
    let record = "_mta-sts.sts TXT \"v=STSv1; id=1;\"\nmta-sts.sts A 192.0.2.30\n";
    let folder = tempfile::tempdir().unwrap();
    let mut kept = keeping(folder.path());
    let (clock, hand) = {
        let hand = Arc::new(AtomicI64::new(Clock::System.now().unix_ms()));
        (Clock::Set(Arc::clone(&hand)), hand)
    };
    kept.clock = clock;
    kept.steadiness = Steadiness::of(kept.clock.clone());
    let relay = |servers: &NameServers, kept: &StsKeeping| {
        let dns = servers.validated_here();
        let settings = sealgate::delivery::Settings { internet: Internet::Mx, ..settings("smtp://127.0.0.1:9") };
        let trust = Trust::from(ClientTls::with_roots(issuer.roots()).unwrap());
        let (dns, resolver) = (Dns::new(&dns).unwrap(), Arc::new(SystemResolver));
        Relay::with(settings, trust, Some(dns), Some(kept.clone()), resolver, Patience::STANDARD)
    };
    let send = async |relay: &Relay| relay.deliver(&mail(&["eva@sts.unsigned"])).await[0].1.clone();
    let policies = HashMap::from([("sts.unsigned".to_owned(), policy("enforce", "mx.sts.unsigned"))]);
    let host = serve_policies("192.0.2.30", issued.acceptor(), policies).await;
    {
        let servers = NameServers::start("", &(zone("192.0.2.12") + record), ("", ""), &[]);
        assert!(matches!(send(&relay(&servers, &kept)).await, Outcome::Delivered(_)));
        assert_eq!(verified.take(), ["by TLS"]);
        // It moves on with the epochs, for it may outlive the one it was locked to.
        let newest = kept.vault.rotate(kept.clock.now()).unwrap();
        relay(&servers, &kept).sts().unwrap().renew_all().await.unwrap();
        let (_, row) = kept.rows.last(Table("delivery.sts")).unwrap().unwrap();
        assert_eq!(decode_row::<u32>(&row).unwrap().0, newest.number());
    }
    // The next run finds neither record nor host, and a mail host without TLS.
    host.abort();
    let servers = NameServers::start("", &zone("192.0.2.10"), ("", ""), &[]);
    let deferred = send(&relay(&servers, &kept)).await;
    assert!(matches!(&deferred, Outcome::Deferred(why) if why.status.to_string() == "4.7.5"), "{deferred:?}");
    // That the clock says it is over, when it has just jumped, counts for nothing.
    hand.fetch_add(86_400_000, Ordering::SeqCst);
    let jumped = relay(&servers, &kept);
    assert!(matches!(send(&jumped).await, Outcome::Deferred(_)));
    jumped.sts().unwrap().renew_all().await.unwrap();
    assert!(clear.take().is_empty() && kept.rows.last(Table("delivery.sts")).unwrap().is_some());
    // At its end it counts no more, and is forgotten.
    kept.steadiness = Steadiness::unwatched(kept.clock.clone());
    let after = relay(&servers, &kept);
    assert!(matches!(send(&after).await, Outcome::Delivered(_)));
    assert_eq!(clear.take(), ["in the clear"]);
    after.sts().unwrap().renew_all().await.unwrap();
    assert!(kept.rows.last(Table("delivery.sts")).unwrap().is_none());
}

/// Hundreds of messages for a domain whose host says nothing, 20,000 in the long tier: mail for another leaves all the same,
/// while they come and when they lie there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn a_slow_domain_keeps_nobody_waiting() {
    let quick = Host::start("192.0.2.10", None).await;
    let _slow = TcpListener::bind(("192.0.2.11", 25)).await.unwrap();
    let _inside = Host::start("127.0.0.1", None).await;
    let zone = "quick MX 10 mx.quick\nmx.quick A 192.0.2.10\nslow MX 10 mx.slow\nmx.slow A 192.0.2.11\n";
    let servers = NameServers::start("", zone, ("", ""), &[]);
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(folder.path(), &servers, "");
    let (mut quick_ones, mut longest) = (0, Duration::ZERO);
    let mut flows = || {
        let begun = Instant::now();
        id_in(&send(gateway.outbound, &["ove@quick.unsigned"], "Hej"));
        wait_until("the one that is not in the way", || quick.take() == ["in the clear"]);
        (quick_ones, longest) = (quick_ones + 1, longest.max(begun.elapsed()));
    };
    // More than may be under way in all.
    let (slow_ones, senders) = (if is_long() { 20_000 } else { 420 }, 4);
    std::thread::scope(|scope| {
        let send_all = || {
            for _ in 0..slow_ones / senders {
                id_in(&send(gateway.outbound, &["eva@slow.unsigned"], "Hej"));
            }
        };
        let senders: Vec<_> = (0..senders).map(|_| scope.spawn(send_all)).collect();
        while senders.iter().any(|sender| !sender.is_finished()) {
            flows();
        }
    });
    wait_until("those that wait for their turn", || {
        gateway.ask(&["queue", "list"]).to_string().contains("too many messages are on their way")
    });
    (0..5).for_each(|_| flows());
    println!("{slow_ones} for a slow domain; {quick_ones} for another, each there in {longest:?} at most");
}

/// Mute domains, each with as many messages as may wait for it: those that do take no place of the others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn many_mute_domains_keep_nobody_waiting() {
    const DOMAINS: usize = 10;
    let quick = Host::start("192.0.2.10", None).await;
    let mute = TcpListener::bind(("192.0.2.11", 25)).await.unwrap();
    let called = Arc::new(Mutex::new(Vec::new()));
    let held = Arc::clone(&called);
    tokio::spawn(async move {
        while let Ok((stream, _)) = mute.accept().await {
            held.lock().unwrap().push(stream);
        }
    });
    let _inside = Host::start("127.0.0.1", None).await;
    let mut zone = String::new();
    for number in 0..DOMAINS {
        for (name, address) in [("mute", "192.0.2.11"), ("quick", "192.0.2.10")] {
            writeln!(zone, "{name}{number} MX 10 mx.{name}{number}\nmx.{name}{number} A {address}").unwrap();
        }
    }
    let servers = NameServers::start("", &zone, ("", ""), &[]);
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway(folder.path(), &servers, "");
    for number in 0..DOMAINS * 50 {
        id_in(&send(gateway.outbound, &[&format!("eva@mute{}.unsigned", number % DOMAINS)], "Hej"));
    }
    wait_until("all that may be under way to them", || called.lock().unwrap().len() >= DOMAINS * 5);
    for number in 0..DOMAINS {
        let begun = Instant::now();
        id_in(&send(gateway.outbound, &[&format!("ove@quick{number}.unsigned")], "Hej"));
        wait_until("one that is not in the way", || quick.take() == ["in the clear"]);
        println!("behind {DOMAINS} mute domains: {:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

/// What came of one domain is on the disk while another is still waited for: nobody gets a message twice for its sake.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn who_is_served_is_settled_while_another_domain_says_nothing() {
    let quick = Host::start("192.0.2.10", None).await;
    let mute = TcpListener::bind(("192.0.2.11", 25)).await.unwrap();
    let _inside = Host::start("127.0.0.1", None).await;
    let zone = "quick MX 10 mx.quick\nmx.quick A 192.0.2.10\nmute MX 10 mx.mute\nmx.mute A 192.0.2.11\n";
    let servers = NameServers::start("", zone, ("", ""), &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = gateway(folder.path(), &servers, "");
    let id = id_in(&send(gateway.outbound, &["a@quick.unsigned", "b@mute.unsigned", "c@quick.unsigned"], "Hej"));
    let called = mute.accept().await.unwrap();
    let state = |gateway: &Gateway, address: &str| {
        let item = gateway.ask(&["queue", "show", &id]);
        item["recipients"].as_array().unwrap().iter().find(|it| it["address"] == address).unwrap()["state"].clone()
    };
    let both = |gateway: &Gateway| ["a@quick.unsigned", "c@quick.unsigned"].map(|it| state(gateway, it));
    wait_until("the quick ones", || both(&gateway) == ["delivered", "delivered"]);
    assert_eq!(state(&gateway, "b@mute.unsigned"), "waiting", "it is being tried");
    assert_eq!(quick.take(), ["in the clear"], "two recipients of a domain are one transaction");
    gateway.kill();
    drop(called);
    gateway.start();
    let _called = mute.accept().await.unwrap();
    assert_eq!(both(&gateway), ["delivered", "delivered"]);
    assert!(quick.take().is_empty(), "and nobody got it twice");
}

/// Roots of `ca_file` are believed about hosts that the operator named, and about nobody else's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn who_vouches_inside_does_not_vouch_for_strangers() {
    let (issuer, issued) = Certificate::issued_for_names(&["mx.sts.unsigned", "mta-sts.sts.unsigned"]);
    let host = Host::start("192.0.2.12", Some(issued.acceptor())).await;
    let policies = HashMap::from([("sts.unsigned".to_owned(), policy("enforce", "mx.sts.unsigned"))]);
    serve_policies("192.0.2.30", issued.acceptor(), policies).await;
    let zone = "sts MX 10 mx.sts\nmx.sts A 192.0.2.12\n_mta-sts.sts TXT \"v=STSv1; id=1;\"\nmta-sts.sts A 192.0.2.30\n";
    let servers = NameServers::start("", zone, ("", ""), &[]);
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, issuer.der());
    std::fs::write(&ca_file, format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")).unwrap();
    let settings = sealgate::delivery::Settings {
        internet: Internet::Mx,
        dns: servers.validated_here(),
        ca_file: Some(ca_file),
        ..settings("smtp://127.0.0.1:9")
    };
    let relay = Relay::new(settings, Some(keeping(folder.path()))).unwrap();
    let send = async |passage| relay.deliver(&Dispatch { passage, ..mail(&["eva@sts.unsigned"]) }).await[0].1.clone();
    let waits = send(Passage::VerifiedTls).await;
    assert!(matches!(&waits, Outcome::Deferred(why) if why.status.to_string() == "4.7.10"), "{waits:?}");
    assert!(matches!(send(Passage::Any).await, Outcome::Delivered(_)));
    assert_eq!(host.take(), ["by TLS"]);
}

/// Two names for one address, one of them twice: whoever answers there is called once in an attempt.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn a_host_with_many_names_is_called_once() {
    let listener = TcpListener::bind(("192.0.2.13", 25)).await.unwrap();
    let called = Arc::new(AtomicI64::new(0));
    let counted = Arc::clone(&called);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let zone = "many MX 10 a.many\nmany MX 20 a.many\nmany MX 30 b.many\na.many A 192.0.2.13\nb.many A 192.0.2.13\n";
    let servers = NameServers::start("", zone, ("", ""), &[]);
    let dns = servers.validated_here();
    let settings = sealgate::delivery::Settings { internet: Internet::Mx, dns, ..settings("smtp://127.0.0.1:9") };
    let outcome = Relay::new(settings, None).unwrap().deliver(&mail(&["eva@many.unsigned"])).await[0].1.clone();
    assert!(matches!(&outcome, Outcome::Deferred(why) if why.status.to_string() == "4.4.2"), "{outcome:?}");
    assert_eq!(called.load(Ordering::SeqCst), 1);
}

/// A gateway that delivers to the open internet and validates by itself.
fn gateway(folder: &Path, servers: &NameServers, rules: &str) -> Gateway {
    let anchor = servers.trust_anchor();
    let dns = format!("dns = [\"{}\"]\ndns_trust_anchor = \"{}\"", servers.address(), anchor.display());
    gateway_asking(folder, &dns, rules)
}

/// A gateway that delivers to the open internet, with these settings for the DNS.
pub fn gateway_asking(folder: &Path, dns: &str, rules: &str) -> Gateway {
    let mut gateway = Gateway::found(folder, free(), "127.0.0.1:25".parse().unwrap(), "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let smarthost = config.lines().find(|line| line.starts_with("internet = ")).unwrap().to_owned();
    let mx = format!("internet = \"mx\"\nprivate_networks = [\"192.0.2.0/24\"]\n{dns}");
    std::fs::write(gateway.config(), config.replace(&smarthost, &mx) + rules).unwrap();
    gateway.start();
    gateway
}

/// The same from the clerk's side: configured by the file, judged by rules, shown in the queue.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mail_goes_where_the_dns_says_… runs it on a network of its own"]
async fn the_daemon_delivers_to_the_open_internet() {
    let own = Certificate::for_names(&["mx.dane.example"]);
    let (clear, tls) = (Host::start("192.0.2.10", None).await, Host::start("192.0.2.11", Some(own.acceptor())).await);
    let fits = hex(digest(&SHA256, &own.public_key()).as_ref());
    let root = format!(
        "dane.example. MX 10 mx.dane.example.\nmx.dane.example. A 192.0.2.11\n_25._tcp.mx.dane.example. TLSA 3 1 1 {fits}\n"
    );
    let unsigned = "clear MX 10 mx.clear\nmx.clear A 192.0.2.10\n";
    let servers = NameServers::start(&root, unsigned, ("", ""), &[]);

    let _inside = Host::start("127.0.0.1", None).await;
    let folder = tempfile::tempdir().unwrap();
    let rule = "\n[[rule]]\nname = \"verified\"\nif.any = [{ subject = \"avtal\" }]\nprotect = \"tls\"\n";
    let gateway = gateway(folder.path(), &servers, rule);

    let took = |host: &Host| host.taken.lock().unwrap().clone();
    id_in(&send(gateway.outbound, &["eva@dane.example", "ove@clear.unsigned"], "Hej"));
    wait_until("both domains", || took(&tls) == ["by TLS"] && took(&clear) == ["in the clear"]);
    id_in(&send(gateway.outbound, &["eva@dane.example"], "[sikker] Hej"));
    wait_until("the notice", || took(&tls).len() == 2);
    let waits = id_in(&send(gateway.outbound, &["eva@dane.example", "ove@clear.unsigned"], "avtal"));
    let recipients = || gateway.ask(&["queue", "show", &waits])["recipients"].as_array().unwrap().clone();
    wait_until("one that is proven and one that is not", || {
        recipients().iter().any(|it| it["state"] == "delivered")
            && recipients().iter().any(|it| it["state"] == "deferred")
    });
    let reply = recipients().iter().find(|it| it["address"] == "ove@clear.unsigned").unwrap()["last_reply"].clone();
    assert!(reply.as_str().unwrap().starts_with("4.7.10 verified TLS is required"), "{reply}");
    assert_eq!((took(&tls).len(), took(&clear).len()), (3, 1), "nothing went where nothing was proven");

    let asked = id_in(&send_requiring_tls(gateway.outbound, "eva@dane.example").await);
    let came_back = || gateway.ask(&["message", "trace", &asked]).to_string().contains("5.7.30");
    wait_until("the one that nobody promises TLS all the way", came_back);
    assert_eq!((took(&tls).len(), took(&clear).len()), (3, 1), "and nothing went there either");

    // Where nothing can be, nobody is waited for, whoever validates.
    for to in ["eva@dane.invalid", "eva@dane.onion", "eva@mx.localhost"] {
        let lost = id_in(&send(gateway.outbound, &[to], "Hej"));
        wait_until(to, || gateway.ask(&["message", "trace", &lost]).to_string().contains("5.1.2"));
    }
    for settings in [servers.validated_here(), servers.validated_by_resolver()] {
        let dns = Dns::new(&settings).unwrap();
        let told = dns.exchanges(&"mx.invalid".parse().unwrap()).await;
        assert!(matches!(told, Err(DnsFault::NoSuchName(_))), "{told:?}");
        assert!(!dns.exists("mx.LOCALHOST.").await.unwrap());
        assert!(dns.texts("_dmarc.onion").await.unwrap().records.is_empty());
    }
}

/// Hands a gateway a message inside TLS, with the wish that it stays so; the answer to the final dot.
async fn send_requiring_tls(address: SocketAddr, to: &str) -> String {
    let mut clear = BufReader::new(TcpStream::connect(address).await.unwrap());
    let mut told = String::new();
    clear.read_line(&mut told).await.unwrap();
    clear.write_all(b"EHLO mx.sundby.example\r\n").await.unwrap();
    while !told.starts_with("250 ") {
        told.clear();
        clear.read_line(&mut told).await.unwrap();
    }
    clear.write_all(b"STARTTLS\r\n").await.unwrap();
    clear.read_line(&mut told).await.unwrap();
    let any = ClientTls::with_roots(rustls::RootCertStore::empty()).unwrap();
    let mut wire = BufReader::new(any.connect(clear.into_inner(), "gw.sundby.example", Proof::Any).await.unwrap());
    let envelope = format!("MAIL FROM:<anna@sundby.example> REQUIRETLS\r\nRCPT TO:<{to}>\r\nDATA\r\n");
    for lines in ["EHLO mx.sundby.example\r\n", &envelope, "Subject: Hej\r\n\r\ntext\r\n.\r\n"] {
        wire.write_all(lines.as_bytes()).await.unwrap();
        wire.flush().await.unwrap();
        let last = if lines.contains("DATA") { "354 " } else { "250 " };
        told.clear();
        while !told.starts_with(last) {
            told.clear();
            assert!(wire.read_line(&mut told).await.unwrap() > 0);
        }
    }
    told.trim().to_owned()
}
