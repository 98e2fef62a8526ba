//! What becomes of mail to the open internet, domain by domain: the tables of docs/transport.md.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use sealgate::delivery::{
    Dispatch, DomainRoute, Internet, Outcome, Passage, Patience, Relay, StsKeeping, SystemResolver, TlsLevel,
    Transport, Trust,
};
use sealgate::mail::ByDomain;
use sealgate::net::{ClientTls, Dns, DnsSettings, Roots};
use tempfile::TempDir;

use crate::delivery::{mail, settings};
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::open_internet::{Host, hex, keeping, policy, serve_policies};
use crate::scripted_peer::Certificate;

#[test]
fn the_page_on_transport_holds() {
    for test in ["the_table_holds", "the_table_holds_by_the_word_of_a_resolver"] {
        on_a_network_of_its_own(&format!("transport_table::{test}"));
    }
}

/// What becomes of a message: how it was taken, or the status it waits or comes back with.
struct Expected {
    domain: &'static str,
    what: &'static str,
    /// Without a route, plain mail and mail that needs verified TLS; plain mail by a route with `tls = "encrypt"`; any mail
    /// by one with `tls = "verified"`.
    becomes: [&'static str; 4],
}

const fn row(domain: &'static str, what: &'static str, becomes: [&'static str; 4]) -> Expected {
    Expected { domain, what, becomes }
}

const TABLE: [Expected; 36] = [
    row("clear.unsigned", "no DNSSEC, no TLS", ["in the clear", "waits 4.7.10", "waits 4.7.5", "waits 4.7.5"]),
    row("tls.unsigned", "no DNSSEC, TLS", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
    row(
        "pkix.unsigned",
        "no DNSSEC, a certificate we trust for the domain",
        ["by TLS", "waits 4.7.10", "by TLS", "by TLS"],
    ),
    row(
        "host.unsigned",
        "no DNSSEC, a certificate we trust for the host",
        ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"],
    ),
    row("signed.example", "DNSSEC without TLSA, TLS", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
    row(
        "host.example",
        "DNSSEC without TLSA, a certificate we trust for the host",
        ["by TLS", "waits 4.7.10", "by TLS", "by TLS"],
    ),
    row("dane.example", "TLSA 3 1 1 that fits", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("anchor.example", "TLSA 2 0 1 of the issuer", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("alias.example", "TLSA where the host's alias points", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("aliased.example", "TLSA behind an alias of their own", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row(
        "leaving.example",
        "TLSA at the host's alias, which leads out of DNSSEC",
        ["by TLS", "by TLS", "by TLS", "by TLS"],
    ),
    row(
        "lost.example",
        "the same, of another certificate",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row("whole.example", "the domain an alias, no MX", ["in the clear", "waits 4.7.10", "waits 4.7.5", "waits 4.7.5"]),
    row("wrong.example", "TLSA of another certificate", ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"]),
    row("stripped.example", "TLSA, STARTTLS not offered", ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"]),
    row("unusable.example", "TLSA of a usage that says nothing", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
    row(
        "refused.example",
        "TLSA that cannot be looked up",
        ["waits 4.4.3", "waits 4.4.3", "waits 4.4.3", "waits 4.4.3"],
    ),
    row(
        "forged.example",
        "an address that is not as signed",
        ["waits 4.4.3", "waits 4.4.3", "waits 4.4.3", "waits 4.4.3"],
    ),
    row("mixed.example", "signed MX to a host without DNSSEC", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
    row("sts.unsigned", "MTA-STS enforce, a certificate we trust", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row(
        "stranger.unsigned",
        "MTA-STS enforce, a certificate we do not trust",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row(
        "bare.unsigned",
        "MTA-STS enforce, STARTTLS not offered",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row(
        "other.unsigned",
        "MTA-STS enforce, the host not in the policy",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row(
        "testing.unsigned",
        "MTA-STS testing, a certificate we do not trust",
        ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"],
    ),
    row("mute.unsigned", "MTA-STS record, never a policy", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
    row(
        "both.example",
        "MTA-STS enforce that fits, TLSA that does not",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row("second.example", "the best host is not there", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row(
        "half.example",
        "the best host fails its TLSA, the next has none",
        ["by TLS", "waits 4.7.5", "by TLS", "waits 4.7.5"],
    ),
    row("implicit.unsigned", "an address and no MX", ["in the clear", "waits 4.7.10", "waits 4.7.5", "waits 4.7.5"]),
    row(
        "null.example",
        "null MX",
        ["comes back 5.1.10", "comes back 5.1.10", "comes back 5.1.10", "comes back 5.1.10"],
    ),
    row(
        "nobody.example",
        "no such domain",
        ["comes back 5.1.2", "comes back 5.1.2", "comes back 5.1.2", "comes back 5.1.2"],
    ),
    row(
        "loop.example",
        "MX to loopback",
        ["comes back 5.4.6", "comes back 5.4.6", "comes back 5.4.6", "comes back 5.4.6"],
    ),
    row(
        "circle.example",
        "MX to ourselves",
        ["comes back 5.4.6", "comes back 5.4.6", "comes back 5.4.6", "comes back 5.4.6"],
    ),
    row(
        "inside.example",
        "MX to a private address",
        ["comes back 5.4.4", "comes back 5.4.4", "comes back 5.4.4", "comes back 5.4.4"],
    ),
    row("partly.example", "MX to a private address and another", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("fetch.unsigned", "MTA-STS policy at a private address", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
];

/// What a resolver can judge beyond that: where answers are validated here, mail for these domains waits (4.4.3).
const BEYOND: [Expected; 5] = [
    row("a.many.example", "MX by a wildcard", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("wild.example", "address and TLSA by a wildcard", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row("moved.example", "TLSA behind a DNAME on the way to the host", ["by TLS", "by TLS", "by TLS", "by TLS"]),
    row(
        "astray.example",
        "the same, of another certificate",
        ["waits 4.7.5", "waits 4.7.5", "waits 4.7.5", "waits 4.7.5"],
    ),
    row("tame.example", "address by a wildcard, no TLSA", ["by TLS", "waits 4.7.10", "by TLS", "waits 4.7.5"]),
];

/// A table as the page shows it.
fn shown(rows: &[Expected]) -> String {
    let mut table =
        "| the domain | plain mail and notices | `protect = \"tls\"` | `encrypt` | `verified` |\n".to_owned();
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for Expected { what, becomes: [any, strict, encrypted, verified], .. } in rows {
        writeln!(table, "| {what} | {any} | {strict} | {encrypted} | {verified} |").unwrap();
    }
    table
}

/// A route for all domains of the table.
fn route(tls: TlsLevel, names: &[&str], roots: Option<Roots>) -> ByDomain<Arc<DomainRoute>> {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    let route = Arc::new(DomainRoute { next_hop: None, login: None, tls, names, roots });
    [".example", ".unsigned"].map(|pattern| (pattern.parse().unwrap(), Arc::clone(&route))).into_iter().collect()
}

/// The domains of the tables with their hosts, on this network.
struct Scene {
    own: Certificate,
    issuer: Certificate,
    clear: Host,
    tls: Host,
    anchored: Host,
    /// Lives inside: it would take the mail, and say what goes.
    inside: Host,
    servers: NameServers,
    folder: TempDir,
    kept: StsKeeping,
}

impl Scene {
    async fn set() -> Self {
        let own = Certificate::for_names(&["mx.dane.example"]);
        let (issuer, issued) = Certificate::issued_for_names(&[
            "mx.anchor.example",
            "mx.sts.unsigned",
            "mx.both.example",
            "pkix.unsigned",
            "mx.host.unsigned",
            "mx.host.example",
            "mta-sts.sts.unsigned",
            "mta-sts.stranger.unsigned",
            "mta-sts.bare.unsigned",
            "mta-sts.other.unsigned",
            "mta-sts.testing.unsigned",
            "mta-sts.both.example",
            "mta-sts.fetch.unsigned",
        ]);
        let clear = Host::start("192.0.2.10", None).await;
        let tls = Host::start("192.0.2.11", Some(own.acceptor())).await;
        let promises = "250-host.example\r\n250 REQUIRETLS\r\n";
        let anchored = Host::start_offering("192.0.2.12", Some(issued.acceptor()), promises).await;

        let fits = format!("3 1 1 {}", hex(digest(&SHA256, &own.public_key()).as_ref()));
        let above = format!("2 0 1 {}", hex(digest(&SHA256, issuer.der()).as_ref()));
        let wrong = format!("3 1 1 {}", "ab".repeat(32));
        let (clear_at, tls_at, anchored_at, nobody_at) = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.99");
        let policies_at = "192.0.2.30";
        let mut root = String::new();
        for (domain, address, tlsa) in [
            ("signed.example", tls_at, None),
            ("dane.example", tls_at, Some(fits.as_str())),
            ("anchor.example", anchored_at, Some(above.as_str())),
            ("wrong.example", tls_at, Some(wrong.as_str())),
            ("stripped.example", clear_at, Some(fits.as_str())),
            ("unusable.example", tls_at, Some("1 1 1 00")),
            ("refused.example", tls_at, Some(fits.as_str())),
            ("forged.example", "192.0.2.77", None),
            ("both.example", anchored_at, Some(wrong.as_str())),
            ("host.example", anchored_at, None),
            ("loop.example", "127.0.0.1", None),
            ("inside.example", "10.0.0.1", None),
            ("partly.example", "10.0.0.1", Some(fits.as_str())),
        ] {
            writeln!(root, "{domain}. MX 10 mx.{domain}.\nmx.{domain}. A {address}").unwrap();
            if let Some(tlsa) = tlsa {
                writeln!(root, "_25._tcp.mx.{domain}. TLSA {tlsa}").unwrap();
            }
        }
        writeln!(root, "alias.example. MX 10 mx.alias.example.\nmx.alias.example. CNAME mx.dane.example.").unwrap();
        writeln!(root, "aliased.example. MX 10 mx.aliased.example.\nmx.aliased.example. A {tls_at}").unwrap();
        writeln!(root, "_25._tcp.mx.aliased.example. CNAME _25._tcp.mx.dane.example.").unwrap();
        for (domain, tlsa) in [("leaving.example", &fits), ("lost.example", &wrong)] {
            writeln!(root, "{domain}. MX 10 mx.{domain}.\nmx.{domain}. CNAME mx.tls.unsigned.").unwrap();
            writeln!(root, "_25._tcp.mx.{domain}. TLSA {tlsa}").unwrap();
        }
        writeln!(root, "whole.example. CNAME target.example.\ntarget.example. A {clear_at}").unwrap();
        writeln!(root, "mx.partly.example. A {tls_at}").unwrap();
        writeln!(root, "mixed.example. MX 10 mx.tls.unsigned.").unwrap();
        writeln!(root, "second.example. MX 20 mx.dane.example.\nsecond.example. MX 10 gone.second.example.").unwrap();
        writeln!(root, "promise.example. MX 10 mx.dane.example.\npromise.example. MX 20 mx.anchor.example.").unwrap();
        writeln!(root, "gone.second.example. A {nobody_at}").unwrap();
        writeln!(root, "half.example. MX 10 mx.wrong.example.\nhalf.example. MX 20 mx.signed.example.").unwrap();
        for (domain, host, address, tlsa) in
            [("wild.example", "*.wild.example", tls_at, Some(&fits)), ("tame.example", "*.tame.example", tls_at, None)]
        {
            writeln!(root, "{domain}. MX 10 mx.{domain}.\n{host}. A {address}").unwrap();
            tlsa.iter().for_each(|tlsa| writeln!(root, "{host}. TLSA {tlsa}").unwrap());
        }
        writeln!(root, "*.many.example. MX 10 mx.dane.example.").unwrap();
        writeln!(root, "moved.example. MX 10 mx.old.example.\nold.example. DNAME dane.example.").unwrap();
        writeln!(root, "astray.example. MX 10 mx.gone.example.\ngone.example. DNAME wrong.example.").unwrap();
        writeln!(root, "null.example. MX 0 .\ncircle.example. MX 10 gw.sundby.example.").unwrap();
        writeln!(root, "gw.sundby.example. A 192.0.2.1").unwrap();
        writeln!(root, "_mta-sts.both.example. TXT \"v=STSv1; id=1;\"\nmta-sts.both.example. A {policies_at}").unwrap();
        let mut unsigned = format!(
            "clear MX 10 mx.clear\nmx.clear A {clear_at}\ntls MX 10 mx.tls\nmx.tls A {tls_at}\nimplicit A {clear_at}\n\
         pkix MX 10 mx.pkix\nmx.pkix A {anchored_at}\nhost MX 10 mx.host\nmx.host A {anchored_at}\n"
        );
        let mut policies = HashMap::from([("both.example".to_owned(), policy("enforce", "*.both.example"))]);
        for (name, address, mode, host) in [
            ("sts", anchored_at, "enforce", "mx.sts.unsigned"),
            ("stranger", tls_at, "enforce", "mx.stranger.unsigned"),
            ("bare", clear_at, "enforce", "mx.bare.unsigned"),
            ("other", anchored_at, "enforce", "mx.elsewhere.unsigned"),
            ("testing", tls_at, "testing", "mx.testing.unsigned"),
            ("mute", tls_at, "", ""),
        ] {
            writeln!(unsigned, "{name} MX 10 mx.{name}\nmx.{name} A {address}").unwrap();
            writeln!(unsigned, "_mta-sts.{name} TXT \"v=STSv1; id=1;\"\nmta-sts.{name} A {policies_at}").unwrap();
            // There is no way to it.
            writeln!(unsigned, "mta-sts.{name} AAAA 2001:db8::30").unwrap();
            policies.insert(format!("{name}.unsigned"), policy(mode, host));
        }
        let inside = Host::start("10.0.0.1", None).await;
        writeln!(unsigned, "fetch MX 10 mx.fetch\nmx.fetch A {tls_at}").unwrap();
        writeln!(unsigned, "_mta-sts.fetch TXT \"v=STSv1; id=1;\"\nmta-sts.fetch A 10.0.0.1").unwrap();
        let said = HashMap::from([("fetch.unsigned".to_owned(), policy("enforce", "mx.fetch.unsigned"))]);
        serve_policies("10.0.0.1", issued.acceptor(), said).await;
        serve_policies(policies_at, issued.acceptor(), policies).await;
        let servers = NameServers::start(&root, &unsigned, ("192.0.2.77", tls_at), &["_tcp.mx.refused.example."]);
        let folder = tempfile::tempdir().unwrap();
        let kept = keeping(folder.path());
        Self { own, issuer, clear, tls, anchored, inside, servers, folder, kept }
    }

    /// A relay that asks so, with these routes.
    fn relay(&self, dns: &DnsSettings, routes: ByDomain<Arc<DomainRoute>>) -> Relay {
        let trust = Trust::from(ClientTls::with_roots(self.issuer.roots()).unwrap());
        let settings =
            sealgate::delivery::Settings { internet: Internet::Mx, routes, ..settings("smtp://127.0.0.1:9") };
        let (dns, resolver) = (Dns::new(dns).unwrap(), Arc::new(SystemResolver));
        Relay::with(settings, trust, Some(dns), Some(self.kept.clone()), resolver, Patience::STANDARD)
    }

    /// What becomes of a message.
    async fn becomes(&self, relay: &Relay, domain: &str, passage: Passage) -> String {
        let mut mail = Dispatch { passage, ..mail(&[&format!("eva@{domain}")]) };
        mail.envelope.require_tls = passage == Passage::RequireTls;
        let outcomes = relay.deliver(&mail).await;
        let taken: Vec<&str> = [&self.clear, &self.tls, &self.anchored].into_iter().flat_map(Host::take).collect();
        match &outcomes[0].1 {
            Outcome::Delivered(_) => taken.join(", "),
            Outcome::Deferred(why) => format!("waits {}{}", why.status, taken.concat()),
            Outcome::Failed(why) => format!("comes back {}{}", why.status, taken.concat()),
        }
    }

    /// Where a table does not hold.
    async fn faults(&self, dns: &DnsSettings, rows: &[Expected]) -> Vec<String> {
        let free = self.relay(dns, ByDomain::default());
        assert!(free.asks_the_dns() && Dns::new(dns).unwrap().serves().await);
        let opportunistic = self.relay(dns, route(TlsLevel::Opportunistic, &[], None));
        let encrypted = self.relay(dns, route(TlsLevel::Encrypt, &[], None));
        let verified = self.relay(dns, route(TlsLevel::Verified, &[], None));
        let mut faults = Vec::new();
        for Expected { domain, what, becomes: [any, strict, with_tls, with_proof] } in rows {
            for (way, relay, passage, wanted) in [
                ("no route", &free, Passage::Any, any),
                ("no route", &free, Passage::VerifiedTls, strict),
                ("opportunistic", &opportunistic, Passage::Any, any),
                ("opportunistic", &opportunistic, Passage::VerifiedTls, strict),
                ("encrypt", &encrypted, Passage::Any, with_tls),
                ("encrypt", &encrypted, Passage::VerifiedTls, strict),
                ("verified", &verified, Passage::Any, with_proof),
                ("verified", &verified, Passage::VerifiedTls, with_proof),
            ] {
                let came = self.becomes(relay, domain, passage).await;
                if came != *wanted {
                    faults.push(format!("{domain} ({what}), {way}, {passage:?}: {came}, not {wanted}"));
                }
            }
        }
        faults
    }
}

/// The page holds this table.
fn stands_in_transport(rows: &[Expected]) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/transport.md")).unwrap();
    let table = shown(rows);
    assert!(page.contains(&table), "docs/transport.md must hold this table:\n{table}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the_page_on_transport_holds runs it on a network of its own"]
async fn the_table_holds() {
    let scene = Scene::set().await;
    let dns = scene.servers.validated_here();
    stands_in_transport(&TABLE);
    let mut faults = scene.faults(&dns, &TABLE).await;
    let free = scene.relay(&dns, ByDomain::default());
    // What cannot be judged here waits.
    for Expected { domain, .. } in &BEYOND {
        let came = scene.becomes(&free, domain, Passage::Any).await;
        if came != "waits 4.4.3" {
            faults.push(format!("{domain}: {came}"));
        }
    }
    // Names that are written count, roots that are written count alone.
    let roots = |certificate: &Certificate| {
        let file = scene.folder.path().join("roots.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        Some(Roots::read(&file).unwrap())
    };
    for (what, names, pinned, domain, wanted) in [
        ("its name", &["mx.host.unsigned"][..], None, "host.unsigned", "by TLS"),
        ("another's name", &["mx.host.example"], None, "tls.unsigned", "waits 4.7.5"),
        ("its name and its root", &["mx.dane.example"], roots(&scene.own), "tls.unsigned", "by TLS"),
        ("its root alone", &[], roots(&scene.own), "tls.unsigned", "waits 4.7.5"),
        ("another's root", &[], roots(&scene.own), "pkix.unsigned", "waits 4.7.5"),
        ("another's root, MTA-STS", &[], roots(&scene.own), "sts.unsigned", "waits 4.7.5"),
        ("another's root, DANE", &[], roots(&scene.own), "anchor.example", "by TLS"),
    ] {
        let came = scene
            .becomes(&scene.relay(&dns, route(TlsLevel::Verified, names, pinned)), domain, Passage::VerifiedTls)
            .await;
        if came != wanted {
            faults.push(format!("{domain}, {what}: {came}, not {wanted}"));
        }
    }
    // TLS all the way: the first host that proves itself and promises it.
    for (domain, wanted) in [
        ("anchor.example", "by TLS"),
        ("sts.unsigned", "by TLS"),
        ("promise.example", "by TLS"),
        ("dane.example", "comes back 5.7.30"),
        ("clear.unsigned", "comes back 5.7.10"),
        ("tls.unsigned", "comes back 5.7.10"),
        ("wrong.example", "waits 4.7.5"),
    ] {
        let came = scene.becomes(&free, domain, Passage::RequireTls).await;
        if came != wanted {
            faults.push(format!("{domain}, REQUIRETLS: {came}, not {wanted}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(scene.inside.take().is_empty());
    assert_called_by_base_domain(&scene.tls);
}

/// The same domains fare the same where a resolver on this machine validates, and those that only it can judge are served.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the_page_on_transport_holds runs it on a network of its own"]
async fn the_table_holds_by_the_word_of_a_resolver() {
    let scene = Scene::set().await;
    let dns = scene.servers.validated_by_resolver();
    stands_in_transport(&BEYOND);
    let mut faults = scene.faults(&dns, &TABLE).await;
    faults.extend(scene.faults(&dns, &BEYOND).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(scene.inside.take().is_empty());
    assert_called_by_base_domain(&scene.tls);
}

/// The TLSA base domain is what a host is called by (RFC 7672 §8.1).
fn assert_called_by_base_domain(host: &Host) {
    let called = host.called();
    assert!(called.contains(&"mx.leaving.example".to_owned()) && called.contains(&"mx.dane.example".to_owned()));
    assert!(!called.contains(&"mx.alias.example".to_owned()), "{called:?}");
}
