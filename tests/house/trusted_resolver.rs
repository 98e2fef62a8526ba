//! A resolver on this machine validates, and is believed: what is told then, and who is not believed.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use sealgate::net::{Dns, DnsFault, DnsSettings, Told};

use crate::faults::page;
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::open_internet::{Host, gateway_asking};
use crate::operator::{id_in, send};
use crate::running::{Gateway, free, wait_until};

#[test]
fn a_resolver_is_believed_if_it_is_here_and_validates() {
    for test in [
        "what_is_told_is_proven_by_the_resolvers_word",
        "one_that_does_not_answer_is_passed_over",
        "one_that_does_not_validate_is_not_listened_to",
        "one_that_was_away_has_to_show_it_again",
        "their_loss_and_return_are_told",
    ] {
        on_a_network_of_its_own(&format!("trusted_resolver::{test}"));
    }
}

fn asking(settings: &DnsSettings) -> Dns {
    Dns::new(settings).unwrap()
}

/// One address, and how it was told.
fn told(is_proven: bool, alias_is_proven: bool, canonical: Option<&str>) -> Told<IpAddr> {
    let canonical = canonical.map(|name| name.parse().unwrap());
    Told { records: vec!["192.0.2.10".parse().unwrap()], is_proven, alias_is_proven, canonical }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a_resolver_is_believed_… runs it on a network of its own"]
async fn what_is_told_is_proven_by_the_resolvers_word() {
    let mut root = "host.example. A 192.0.2.10\nalias.example. CNAME host.example.\nold.example. DNAME example.\naway.example. DNAME unsigned.\n\
                    leaving.example. CNAME host.unsigned.\ndangling.example. CNAME nobody.example.\n\
                    one.example. CNAME two.example.\ntwo.example. CNAME one.example.\n*.wild.example. A 192.0.2.10\n\
                    forged.example. A 192.0.2.77\nrefused.example. A 192.0.2.10\n\
                    10.2.0.192.in-addr.arpa. PTR host.example.\nlong.example. TXT"
        .to_owned();
    // More than fits in a datagram.
    (0..40).for_each(|_| write!(root, " \"{}\"", "x".repeat(200)).unwrap());
    let unsigned = "host A 192.0.2.10\nback CNAME host.example.\naround CNAME host\n";
    let servers = NameServers::start(&(root + "\n"), unsigned, ("192.0.2.77", "192.0.2.10"), &["refused.example."]);
    let dns = asking(&servers.validated_by_resolver());
    assert!(dns.validates().await);

    for (name, wanted) in [
        ("host.example", told(true, false, None)),
        ("HOST.example", told(true, false, None)),
        ("a.b.wild.example", told(true, false, None)),
        ("alias.example", told(true, true, Some("host.example"))),
        ("host.old.example", told(true, true, Some("host.example"))),
        ("leaving.example", told(false, true, Some("host.unsigned"))),
        ("leaving.old.example", told(false, true, Some("host.unsigned"))),
        ("host.away.example", told(false, true, Some("host.unsigned"))),
        ("host.unsigned", told(false, false, None)),
        ("around.unsigned", told(false, false, Some("host.unsigned"))),
        ("back.unsigned", told(false, false, Some("host.example"))),
    ] {
        assert_eq!(dns.addresses(&name.parse().unwrap()).await, Ok(wanted), "{name}");
    }

    // What is not there: proven where the zone is signed.
    let nothing = |is_proven| Told { records: Vec::<String>::new(), is_proven, ..TOLD };
    const TOLD: Told<String> = Told { records: Vec::new(), is_proven: false, alias_is_proven: false, canonical: None };
    for (name, is_proven, exists) in [
        ("host.example", true, true),
        ("nobody.example", true, false),
        ("host.unsigned", false, true),
        ("nobody.unsigned", false, false),
    ] {
        assert_eq!(dns.texts(name).await, Ok(nothing(is_proven)), "{name}");
        assert_eq!(dns.exists(name).await, Ok(exists), "{name}");
    }
    assert_eq!(dns.exists("dangling.example").await, Ok(false));
    assert!(matches!(dns.exchanges(&"nobody.example".parse().unwrap()).await, Err(DnsFault::NoSuchName(_))));
    assert!(matches!(dns.addresses(&"dangling.example".parse().unwrap()).await, Err(DnsFault::NoSuchName(_))));

    // What does not fit its signature, what is refused, what does not end.
    for (name, is_forgery) in [("forged.example", true), ("refused.example", false), ("one.example", false)] {
        let fault = dns.addresses(&name.parse().unwrap()).await.unwrap_err();
        assert!(matches!(fault, DnsFault::Unavailable(..)) && fault.is_forgery() == is_forgery, "{name}: {fault}");
    }

    assert_eq!(dns.texts("long.example").await.unwrap().records, ["x".repeat(8_000)]);
    let pointers = dns.pointers("192.0.2.10".parse().unwrap()).await.unwrap();
    assert!(pointers.is_proven && pointers.records == ["host.example"], "{pointers:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a_resolver_is_believed_… runs it on a network of its own"]
async fn one_that_does_not_answer_is_passed_over() {
    let servers = NameServers::start("host.example. A 192.0.2.10\n", "host A 192.0.2.10\n", ("", ""), &[]);
    let both = |first: &str| {
        let mut settings = servers.validated_by_resolver();
        settings.servers.insert(0, first.parse().unwrap());
        asking(&settings)
    };
    // Nobody is there, or somebody who does not validate.
    for first in [both("127.0.0.56:53"), both("127.0.0.53:53")] {
        assert!(!first.validates().await);
        for (name, is_proven) in [("host.unsigned", false), ("host.example", true)] {
            assert_eq!(first.addresses(&name.parse().unwrap()).await, Ok(told(is_proven, false, None)), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a_resolver_is_believed_… runs it on a network of its own"]
async fn one_that_was_away_has_to_show_it_again() {
    let mut servers = NameServers::start("host.example. A 192.0.2.10\n", "host A 192.0.2.10\n", ("", ""), &[]);
    let dns = asking(&servers.validated_by_resolver());
    // It has shown it, and what it shows counts for a minute, were it not away meanwhile.
    assert_eq!(dns.exists("nobody.unsigned").await, Ok(false));
    servers.stop_resolver();
    assert!(dns.exists("nobody.unsigned").await.is_err() && !dns.serves().await);
    servers.start_resolver(false);
    for name in ["host.example", "nobody.example", "host.unsigned", "nobody.unsigned"] {
        let fault = dns.exists(name).await.unwrap_err();
        assert!(fault.to_string().contains("does not validate"), "{name}: {fault}");
    }
    assert!(!dns.serves().await);
    servers.stop_resolver();
    servers.start_resolver(true);
    assert_eq!(dns.exists("nobody.unsigned").await, Ok(false));
    assert!(dns.serves().await);
}

/// With a memory of our own, as with the resolver's.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a_resolver_is_believed_… runs it on a network of its own"]
async fn their_loss_and_return_are_told() {
    let mut servers = NameServers::start("host.example. A 192.0.2.10\n", "host A 192.0.2.10\n", ("", ""), &[]);
    let resolver = servers.validated_by_resolver().servers[0];
    let anchor = servers.trust_anchor();
    let _inside = Host::start("127.0.0.1", None).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let own = format!("dns = [\"{resolver}\"]\ndns_trust_anchor = \"{}\"", anchor.display());
    let believed = format!("dns = [\"{resolver}\"]\ndnssec = \"resolver\"");
    let gateways =
        [own, believed].into_iter().zip(&folders).map(|(dns, folder)| gateway_asking(folder.path(), &dns, ""));
    let gateways: Vec<Gateway> = gateways.collect();
    let logs = || folders.each_ref().map(|folder| std::fs::read_to_string(folder.path().join("log")).unwrap());
    let said = |what: &str| logs().map(|log| log.lines().filter(|line| line.contains(what)).count());
    let pages = || gateways.iter().map(|gateway| page(gateway.control, "/readyz")).collect::<Vec<_>>();
    let are_ready = |ready: bool| pages().iter().all(|(status, _)| *status == if ready { 200 } else { 503 });

    assert!(are_ready(true));
    servers.stop_resolver();
    wait_until("their loss", || are_ready(false));
    assert!(pages().iter().all(|(_, why)| why.contains("name servers") && why.contains("mail to the open internet")));
    servers.start_resolver(true);
    wait_until("their return", || are_ready(true));
    assert_eq!((said("the name servers do not answer"), said("the name servers serve again")), ([1, 1], [1, 1]));
}

/// Such a resolver says of all that it is not signed: nothing is sent on its word, and the operator hears of it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a_resolver_is_believed_… runs it on a network of its own"]
async fn one_that_does_not_validate_is_not_listened_to() {
    let mx = "MX 10 mx";
    let root = format!("dane.example. {mx}.dane.example.\nmx.dane.example. A 192.0.2.10\n");
    let unsigned = format!("clear {mx}.clear\nmx.clear A 192.0.2.10\n");
    let tlsa = format!("_25._tcp.mx.dane.example. TLSA 3 1 1 {}\n", "ab".repeat(32));
    let servers = NameServers::start(&(root + &tlsa), &unsigned, ("", ""), &[]);
    let (clear, _inside) = (Host::start("192.0.2.10", None).await, Host::start("127.0.0.1", None).await);
    let folder = tempfile::tempdir().unwrap();
    let lines = |settings: &DnsSettings| format!("dns = [\"{}\"]\ndnssec = \"resolver\"", settings.servers[0]);
    let (nobody, resolver) = (lines(&servers.validated_by_nobody()), lines(&servers.validated_by_resolver()));
    let mut gateway = gateway_asking(folder.path(), &nobody, "");
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
    wait_until("a word about it", || log().contains("do not validate"));
    let replies = |gateway: &Gateway, id: &str| {
        let item = gateway.ask(&["queue", "show", id]);
        let recipients = item["recipients"].as_array().unwrap().clone();
        recipients.iter().map(|it| it["last_reply"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let id = id_in(&send(gateway.outbound, &["eva@dane.example", "ove@clear.unsigned"], "Hej"));
    wait_until("both put off", || replies(&gateway, &id).iter().all(|reply| reply.starts_with("4.4.3")));
    assert!(clear.take().is_empty());

    // With one that validates, each domain gets what it asks for.
    gateway.kill();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config.replace(&nobody, &resolver)).unwrap();
    std::fs::write(folder.path().join("log"), "").unwrap();
    gateway.start();
    gateway.ask(&["queue", "retry", &id]);
    wait_until("the domain without DNSSEC", || clear.take() == ["in the clear"]);
    wait_until("the other put off", || replies(&gateway, &id).iter().any(|reply| reply.starts_with("4.7.5")));
    assert!(clear.take().is_empty() && !log().contains("do not validate"));
}

/// What a network lies between is not believed, whoever names it.
#[test]
fn a_resolver_elsewhere_is_refused() {
    let servers = ["127.0.0.1:53", "192.0.2.54:53"].map(|address| address.parse().unwrap()).to_vec();
    let settings = DnsSettings { servers, dnssec: sealgate::net::Dnssec::Resolver, trust_anchor: None };
    let refused = Dns::new(&settings).err().unwrap();
    assert!(matches!(&refused, DnsFault::Settings(why) if why.contains("192.0.2.54:53")), "{refused}");

    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config.replace("[delivery]\n", "[delivery]\ndnssec = \"resolver\"\n")).unwrap();
    for (servers, is_refused) in [
        ("nameserver 127.0.0.1\n", false),
        ("nameserver ::1\nnameserver 127.0.0.53\n", false),
        ("nameserver 192.0.2.54\n", true),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.54\n", true),
    ] {
        let said = checked_where_the_system_asks(&gateway, &folder.path().join("resolv.conf"), servers);
        assert_eq!(said.contains("delivery.dnssec"), is_refused, "{servers}: {said}");
        assert_eq!(said.contains("192.0.2.54:53 is not on this machine"), is_refused, "{servers}: {said}");
        assert_eq!(said.contains("named in /etc/resolv.conf"), is_refused, "{servers}: {said}");
    }
    // On this machine and validating nothing.
    for forwarder in ["127.0.0.11", "127.0.0.54"] {
        let servers = format!("nameserver {forwarder}\n");
        let said = checked_where_the_system_asks(&gateway, &folder.path().join("resolv.conf"), &servers);
        assert!(said.contains("passes on what others over the network say"), "{servers}: {said}");
        let servers = vec![format!("{forwarder}:53").parse().unwrap()];
        let settings = DnsSettings { servers, dnssec: sealgate::net::Dnssec::Resolver, trust_anchor: None };
        assert!(matches!(Dns::new(&settings), Err(DnsFault::Settings(_))));
    }
}

/// What `check` says where these are the system's name servers.
fn checked_where_the_system_asks(gateway: &Gateway, file: &Path, servers: &str) -> String {
    std::fs::write(file, servers).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\""]);
    command.arg(file).arg(env!("CARGO_BIN_EXE_sealgate")).args(["check", "--config"]).arg(gateway.config());
    let run = command.output().expect("PEER MISSING: unshare (util-linux)");
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(!said.contains("mount:"), "{said}");
    said
}
