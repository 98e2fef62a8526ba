//! Who inbound mail is from. Tables by records in memory; then the same on a network of its own, where Knot and Unbound answer
//! and dkimpy signs.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::RecordType;
use sealgate::mail::{Domain, Header, ReversePath};
use sealgate::net::{Clock, Dns, DnsSettings};
use sealgate::sender_auth::{
    ArcStatus, BodyHashes, Checks, DkimResult, DmarcResult, Hand, IprevResult, Names, Policy, Proof, Ruling, SpfResult,
    Unanswered,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::name_server::NameServers;
use crate::running::{Gateway, free, wait_until};

/// Records by name and kind. A name with `silent` in it gets no answer.
#[derive(Default)]
struct Zone(HashMap<(String, &'static str), Vec<String>>);

impl Zone {
    /// Lines such as `name A 192.0.2.1`.
    fn of(lines: &str) -> Self {
        let mut zone = Self::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(' ').unwrap();
            let (kind, told) = rest.split_once(' ').unwrap();
            let kind = ["A", "AAAA", "MX", "PTR", "TXT"].into_iter().find(|known| *known == kind).unwrap();
            zone.0.entry((name.to_owned(), kind)).or_default().push(told.to_owned());
        }
        zone
    }

    fn told(&self, name: &str, kind: &'static str) -> Result<Vec<String>, Unanswered> {
        if name.contains("silent") {
            return Err(Unanswered);
        }
        Ok(self.0.get(&(name.trim_end_matches('.').to_lowercase(), kind)).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Names for Zone {
    async fn texts(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        self.told(name, "TXT")
    }

    async fn addresses(&self, name: &str, ipv6: bool) -> Result<Vec<IpAddr>, Unanswered> {
        let told = self.told(name, if ipv6 { "AAAA" } else { "A" })?;
        Ok(told.iter().map(|address| address.parse().unwrap()).collect())
    }

    async fn exchangers(&self, name: &str) -> Result<Vec<String>, Unanswered> {
        self.told(name, "MX")
    }

    async fn pointers(&self, address: IpAddr) -> Result<Vec<String>, Unanswered> {
        self.told(&address.to_string(), "PTR")
    }

    async fn exists(&self, name: &str) -> Result<bool, Unanswered> {
        self.told(name, "TXT")?;
        Ok(self.0.keys().any(|(known, _)| known == name || known.ends_with(&format!(".{name}"))))
    }
}

fn host() -> Domain {
    "gw.sundby.example".parse().unwrap()
}

fn path(sender: &str) -> ReversePath {
    if sender.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(sender.parse().unwrap()) }
}

pub async fn prove(checks: &Checks, ip: &str, helo: &str, sender: &str, message: &str) -> Proof {
    let mut hashes = BodyHashes::new();
    message.as_bytes().chunks(11).for_each(|octets| hashes.write(octets));
    let (body, sender) = (hashes.finish(), path(sender));
    let header = Header::new(message.split_once("\r\n\r\n").map_or(message, |(header, _)| header).to_owned() + "\r\n");
    let hand = Hand { ip: ip.parse().unwrap(), helo, sender: &sender, header: &header, body: &body };
    checks.prove(&host(), hand).await
}

/// A limit of RFC 7208 and a form of a record each.
#[tokio::test]
async fn spf_says_what_rfc_7208_says() {
    let mut zone = String::from(
        "live.example TXT v=spf1 ip4:192.0.2.0/28 -all
        live.example TXT something else
        soft.example TXT v=spf1 ~all
        neutral.example TXT v=spf1 ?all
        default.example TXT v=spf1 ip4:198.51.100.1
        twice.example TXT v=spf1 -all
        twice.example TXT v=spf1 +all
        case.example TXT V=SPF1 IP4:192.0.2.1 -ALL
        v10.example TXT v=spf10 +all
        syntax.example TXT v=spf1 +all -all/32
        unknown.example TXT v=spf1 something:x +all
        again.example TXT v=spf1 redirect=live.example redirect=live.example
        modifier.example TXT v=spf1 foo=bar +all
        six.example TXT v=spf1 ip6:2001:db8::/32 -all
        a.example TXT v=spf1 a a:mail.a.example/30 -all
        a.example A 198.51.100.1
        mail.a.example A 192.0.2.5
        a.example AAAA 2001:db8::5
        mx.example TXT v=spf1 mx -all
        mx.example MX one.mx.example
        mx.example MX two.mx.example
        one.mx.example A 198.51.100.1
        two.mx.example A 192.0.2.1
        include.example TXT v=spf1 include:live.example -all
        nothing.example TXT v=spf1 include:absent.example +all
        broken.example TXT v=spf1 include:syntax.example +all
        later.example TXT v=spf1 include:silent.example +all
        redirect.example TXT v=spf1 redirect=live.example
        nowhere.example TXT v=spf1 redirect=absent.example
        behind-all.example TXT v=spf1 ?all redirect=live.example
        ptr.example TXT v=spf1 ptr -all
        192.0.2.1 PTR mx.ptr.example
        mx.ptr.example A 192.0.2.1
        192.0.2.2 PTR mx.ptr.example
        exists.example TXT v=spf1 exists:%{ir}.%{l1r+}._spf.%{d} -all
        1.2.0.192.eva._spf.exists.example A 127.0.0.2
        p.example TXT v=spf1 exists:%{p}.who.%{d} -all
        mx.ptr.example.who.p.example A 127.0.0.2
        h.example TXT v=spf1 exists:%{h}.%{v}.%{d2} -all
        mx.live.example.in-addr.h.example A 127.0.0.2
        six-macro.example TXT v=spf1 exists:%{i}.six.example -all
        2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.six.example A 127.0.0.2
        void2.example TXT v=spf1 a:none1.example a:none2.example +all
        void3.example TXT v=spf1 a:none1.example a:none2.example a:none3.example +all
        silent-a.example TXT v=spf1 +all
        asks.example TXT v=spf1 a:silent.example +all
        before.example TXT v=spf1 ip4:192.0.2.1 a:silent.example -all
        loop.example TXT v=spf1 include:loop.example +all
        circle.example TXT v=spf1 redirect=circle.example
        accent.example TXT v=spf1 include:v\u{e4}xj\u{f6}.example +all
        long.example TXT v=spf1 exists:%{l}.%{l}.%{l}.%{l}.%{l}.%{d} +all
        ",
    );
    let hosts = |count: usize| (0..count).map(|n| format!("a:h{n}.many.example ")).collect::<String>();
    (0..12).for_each(|n| writeln!(zone, "h{n}.many.example A 198.51.100.{n}").unwrap());
    writeln!(zone, "ten.example TXT v=spf1 {}+all\neleven.example TXT v=spf1 {}+all", hosts(10), hosts(11)).unwrap();
    writeln!(zone, "mx10.example TXT v=spf1 mx ?all\nmx11.example TXT v=spf1 mx ?all").unwrap();
    (0..10).for_each(|n| writeln!(zone, "mx10.example MX h{n}.many.example").unwrap());
    (0..11).for_each(|n| writeln!(zone, "mx11.example MX h{n}.many.example").unwrap());
    for n in 0..12 {
        writeln!(zone, "chain{n}.example TXT v=spf1 include:chain{}.example ~all", n + 1).unwrap();
    }
    zone.push_str("chain12.example TXT v=spf1 +all\n");
    let checks = Checks::new(Arc::new(Zone::of(&zone)), Clock::System);

    use SpfResult::{Fail, Neutral, None, Pass, PermError, SoftFail, TempError};
    let long_label = format!("{}.example", "a".repeat(63));
    let mut faults = Vec::new();
    for (sender, ip, expected) in [
        ("eva@live.example", "192.0.2.1", Pass),
        ("eva@live.example", "::ffff:192.0.2.1", Pass),
        ("eva@live.example", "192.0.2.16", Fail),
        ("eva@live.example", "2001:db8::1", Fail),
        ("eva@soft.example", "192.0.2.1", SoftFail),
        ("eva@neutral.example", "192.0.2.1", Neutral),
        ("eva@default.example", "192.0.2.1", Neutral),
        ("eva@absent.example", "192.0.2.1", None),
        (&format!("eva@{long_label}"), "192.0.2.1", None),
        // So deep a name is not asked about.
        (&format!("eva@{}silent.example", "a.".repeat(48)), "192.0.2.1", TempError),
        (&format!("eva@{}silent.example", "a.".repeat(49)), "192.0.2.1", None),
        ("eva@example", "192.0.2.1", None),
        ("eva@twice.example", "192.0.2.1", PermError),
        ("eva@case.example", "192.0.2.1", Pass),
        ("eva@v10.example", "192.0.2.1", None),
        ("eva@syntax.example", "192.0.2.1", PermError),
        ("eva@unknown.example", "192.0.2.1", PermError),
        ("eva@again.example", "192.0.2.1", PermError),
        ("eva@modifier.example", "192.0.2.1", Pass),
        ("eva@six.example", "2001:db8:1::1", Pass),
        ("eva@six.example", "2001:db9::1", Fail),
        ("eva@six.example", "192.0.2.1", Fail),
        ("eva@a.example", "198.51.100.1", Pass),
        ("eva@a.example", "192.0.2.4", Pass),
        ("eva@a.example", "192.0.2.8", Fail),
        ("eva@a.example", "2001:db8::5", Pass),
        ("eva@mx.example", "192.0.2.1", Pass),
        ("eva@mx.example", "192.0.2.2", Fail),
        ("eva@include.example", "192.0.2.1", Pass),
        ("eva@include.example", "192.0.2.99", Fail),
        ("eva@nothing.example", "192.0.2.1", PermError),
        ("eva@broken.example", "192.0.2.1", PermError),
        ("eva@later.example", "192.0.2.1", TempError),
        ("eva@redirect.example", "192.0.2.1", Pass),
        ("eva@redirect.example", "192.0.2.99", Fail),
        ("eva@nowhere.example", "192.0.2.1", PermError),
        ("eva@behind-all.example", "192.0.2.1", Neutral),
        ("eva@ptr.example", "192.0.2.1", Pass),
        ("eva@ptr.example", "192.0.2.2", Fail),
        ("eva@exists.example", "192.0.2.1", Pass),
        ("eva+tag@exists.example", "192.0.2.1", Pass),
        ("ove@exists.example", "192.0.2.1", Fail),
        ("eva@p.example", "192.0.2.1", Pass),
        ("eva@p.example", "192.0.2.9", Fail),
        ("eva@h.example", "192.0.2.1", Pass),
        ("eva@six-macro.example", "2001:db8::1", Pass),
        ("eva@void2.example", "192.0.2.1", Pass),
        ("eva@void3.example", "192.0.2.1", PermError),
        ("eva@silent-a.example", "192.0.2.1", TempError),
        ("eva@asks.example", "192.0.2.1", TempError),
        ("eva@before.example", "192.0.2.1", Pass),
        ("eva@loop.example", "192.0.2.1", PermError),
        ("eva@circle.example", "192.0.2.1", PermError),
        ("eva@accent.example", "192.0.2.1", PermError),
        (&format!("{}@long.example", "l".repeat(63)), "192.0.2.1", Pass),
        ("eva@ten.example", "192.0.2.1", Pass),
        ("eva@eleven.example", "192.0.2.1", PermError),
        ("eva@mx10.example", "192.0.2.1", Neutral),
        ("eva@mx11.example", "192.0.2.1", PermError),
        ("eva@chain2.example", "192.0.2.1", Pass),
        ("eva@chain1.example", "192.0.2.1", PermError),
    ] {
        let proof = prove(&checks, ip, "mx.live.example", sender, "\r\n").await;
        let said = proof.mail_from.unwrap().1;
        if said != expected {
            faults.push(format!("{sender} from {ip}: {said:?}, not {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    let bounce = prove(&checks, "192.0.2.1", "live.example", "", "\r\n").await;
    assert_eq!((bounce.helo.1, bounce.mail_from), (Pass, Option::None));
    let literal = prove(&checks, "192.0.2.1", "[192.0.2.1]", "", "\r\n").await;
    assert_eq!(literal.helo.1, None);
    for (ip, expected) in [
        ("192.0.2.1", IprevResult::Pass("mx.ptr.example".into())),
        ("192.0.2.2", IprevResult::Fail),
        ("192.0.2.3", IprevResult::PermError),
    ] {
        assert_eq!(prove(&checks, ip, "x", "", "\r\n").await.iprev, expected);
    }
}

#[tokio::test]
async fn dmarc_asks_for_one_proof_of_the_author() {
    let zone = "
        good.example TXT v=spf1 ip4:192.0.2.1 -all
        mail.good.example TXT v=spf1 ip4:192.0.2.1 -all
        stranger.example TXT v=spf1 +all
        notgood.example TXT v=spf1 +all
        _dmarc.good.example TXT v=DMARC1; p=reject; sp=quarantine; np=reject
        there.good.example A 192.0.2.9
        _dmarc.strict.example TXT v=DMARC1; p=reject; aspf=s; adkim=s
        strict.example TXT v=spf1 -all
        sub.strict.example TXT v=spf1 +all
        _dmarc.testing.example TXT v=DMARC1; p=reject; t=y
        _dmarc.mild.example TXT v=DMARC1; p=none
        _dmarc.twice.example TXT v=DMARC1; p=reject
        _dmarc.twice.example TXT v=DMARC1; p=none
        _dmarc.other.example TXT v=spf1 -all
        _dmarc.psd.example TXT v=DMARC1; p=reject; psd=y
        one.psd.example TXT v=spf1 +all
        two.psd.example TXT v=spf1 +all
        mail.two.psd.example TXT v=spf1 +all
        _dmarc.own.good.example TXT v=DMARC1; p=quarantine; psd=n
        a.own.good.example TXT v=spf1 +all
        asks.example TXT v=spf1 a:silent.example -all
        _dmarc.asks.example TXT v=DMARC1; p=reject
        _dmarc.c.d.e.f.g.h.example TXT v=DMARC1; p=reject
        _dmarc.b.c.d.e.f.g.h.example TXT v=DMARC1; p=none; rua=mailto:a@b.example
    ";
    let checks = Checks::new(Arc::new(Zone::of(zone)), Clock::System);
    use DmarcResult::{Fail, None as Nothing, Pass, PermError, TempError};
    let refused = |status| move |ruling: &Ruling| matches!(ruling, Ruling::Refuse(it, _) if *it == status);
    let taken = |ruling: &Ruling| *ruling == Ruling::Take;
    let deferred = |ruling: &Ruling| matches!(ruling, Ruling::Defer("4.4.3", _));
    type Follows<'f> = &'f dyn Fn(&Ruling) -> bool;
    let (rejected, malformed) = (refused("5.7.26"), refused("5.6.0"));
    let (taken, deferred): (Follows<'_>, Follows<'_>) = (&taken, &deferred);
    let (rejected, malformed): (Follows<'_>, Follows<'_>) = (&rejected, &malformed);
    let mut faults = Vec::new();
    for (from, sender, helo, expected, policy, follows) in [
        ("From: eva@good.example", "eva@good.example", "x.example", Pass, Some(Policy::Reject), taken),
        ("From: eva@good.example", "b@mail.good.example", "x.example", Pass, Some(Policy::Reject), taken),
        ("From: eva@good.example", "", "mail.good.example", Pass, Some(Policy::Reject), taken),
        ("From: eva@good.example", "", "stranger.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@good.example", "x@stranger.example", "good.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@good.example", "x@notgood.example", "x.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@GOOD.example", "x@stranger.example", "x.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@there.good.example", "x@stranger.example", "x.example", Fail, Some(Policy::Quarantine), taken),
        ("From: eva@absent.good.example", "x@stranger.example", "x.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@there.good.example", "b@mail.good.example", "x.example", Pass, Some(Policy::Quarantine), taken),
        ("From: eva@strict.example", "x@sub.strict.example", "x.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@testing.example", "x@stranger.example", "x.example", Fail, Some(Policy::Quarantine), taken),
        ("From: eva@mild.example", "x@stranger.example", "x.example", Fail, Some(Policy::None), taken),
        ("From: eva@twice.example", "x@stranger.example", "x.example", Nothing, Some(Policy::None), taken),
        ("From: eva@other.example", "x@stranger.example", "x.example", Nothing, Some(Policy::None), taken),
        ("From: eva@absent.example", "x@stranger.example", "x.example", Nothing, Some(Policy::None), taken),
        // Below a public suffix each has an organisation of its own.
        ("From: eva@one.psd.example", "x@two.psd.example", "x.example", Fail, Some(Policy::Reject), rejected),
        ("From: eva@two.psd.example", "x@mail.two.psd.example", "x.example", Pass, Some(Policy::Reject), taken),
        // `psd=n` divides one.
        ("From: eva@own.good.example", "x@a.own.good.example", "x.example", Pass, Some(Policy::Quarantine), taken),
        ("From: eva@own.good.example", "x@mail.good.example", "x.example", Fail, Some(Policy::Quarantine), taken),
        // Of a long name the walk leaves steps out: `b.…` is not asked, `c.…` is.
        (
            "From: eva@z.a.b.c.d.e.f.g.h.example",
            "x@stranger.example",
            "x.example",
            Fail,
            Some(Policy::Reject),
            rejected,
        ),
        ("From: eva@b.c.d.e.f.g.h.example", "x@stranger.example", "x.example", Fail, Some(Policy::None), taken),
        ("From: eva@silent.example", "x@stranger.example", "x.example", TempError, None, deferred),
        ("From: eva@asks.example", "x@asks.example", "x.example", TempError, Some(Policy::Reject), deferred),
        // Who the author is.
        (
            "From: a@good.example\r\nFrom: b@stranger.example",
            "b@stranger.example",
            "x.example",
            PermError,
            Some(Policy::None),
            malformed,
        ),
        (
            "From: a@stranger.example\r\nfrom : b@good.example",
            "b@stranger.example",
            "x.example",
            PermError,
            Some(Policy::None),
            malformed,
        ),
        // One whose domain asks for nothing covers nobody else.
        (
            "From: a@mild.example, b@asks.example",
            "b@asks.example",
            "x.example",
            TempError,
            Some(Policy::Reject),
            deferred,
        ),
        ("From: a@mild.example, b@silent.example", "b@stranger.example", "x.example", TempError, None, deferred),
        (
            "From: a@silent.example, b@good.example",
            "b@stranger.example",
            "x.example",
            Fail,
            Some(Policy::Reject),
            rejected,
        ),
        (
            "From: a@stranger.example, b@good.example",
            "b@stranger.example",
            "x.example",
            Fail,
            Some(Policy::Reject),
            rejected,
        ),
        (
            "From: all: a@stranger.example, b@good.example;",
            "b@stranger.example",
            "x.example",
            Fail,
            Some(Policy::Reject),
            rejected,
        ),
        ("From: nobody:;", "b@stranger.example", "x.example", PermError, Some(Policy::None), malformed),
        (
            "From: a@a.example, a@b.example, a@c.example, a@d.example, a@e.example",
            "b@stranger.example",
            "x.example",
            PermError,
            Some(Policy::None),
            malformed,
        ),
        ("Subject: nobody", "b@stranger.example", "x.example", PermError, Some(Policy::None), taken),
        // What people are shown beside the address is not an identity.
        (
            "From: \"eva@good.example\" <b@stranger.example>",
            "b@stranger.example",
            "x.example",
            Nothing,
            Some(Policy::None),
            taken,
        ),
    ] {
        let proof = prove(&checks, "192.0.2.1", helo, sender, &format!("{from}\r\n\r\nhej\r\n")).await;
        let ruling = proof.ruling(&[]);
        if (proof.dmarc.result, proof.dmarc.policy) != (expected, policy) || !follows(&ruling) {
            faults.push(format!("{from}; {sender}: {:?} {:?} {ruling:?}", proof.dmarc.result, proof.dmarc.policy));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    // Each author is told of, who failed before who could not be looked up; who may be refused still decides.
    for (from, told) in [
        (
            "a@silent.example, b@testing.example, c@mild.example",
            "dmarc=fail (p=quarantine) header.from=testing.example;\r\n\tdmarc=fail (p=none) header.from=mild.example;\
             \r\n\tdmarc=temperror header.from=silent.example",
        ),
        (
            "a@absent.example, b@good.example",
            "dmarc=none header.from=absent.example;\r\n\tdmarc=pass (p=reject) header.from=good.example",
        ),
    ] {
        let message = format!("From: {from}\r\n\r\nhej\r\n");
        let proof = prove(&checks, "192.0.2.1", "x.example", "b@good.example", &message).await;
        let field = proof.field(&host());
        assert!(field.contains(&format!(";\r\n\t{told};\r\n\tarc=none")), "{field}");
        assert_eq!(deferred(&proof.ruling(&[])), from.contains("silent"), "{from}");
    }
}

/// Ways to write an author so that one program sees another than the next (Chen, Paxson, Jiang: Composition Kills, 2020, and
/// others of the kind): each `From` shows `good.example`, or lets the mail server show the envelope sender.
#[tokio::test]
async fn no_way_of_writing_hides_an_author() {
    let zone = "
        good.example TXT v=spf1 ip4:192.0.2.1 -all
        _dmarc.good.example TXT v=DMARC1; p=reject
        evil.example TXT v=spf1 +all
    ";
    let checks = Checks::new(Arc::new(Zone::of(zone)), Clock::System);
    let long = "l".repeat(70);
    let mut faults = Vec::new();
    let (evil, boss) = ("x@evil.example", "boss@good.example");
    for (sender, header) in [
        (evil, "From: <boss..x@good.example>, x@evil.example"),
        (evil, &format!("From: {long}@good.example, x@evil.example")),
        (evil, "From: <@evil.example:boss@good.example>, x@evil.example"),
        (evil, "From: =?utf-8?Q?boss=40good.example?=, <x@evil.example>"),
        (evil, "From: <=?utf-8?B?Ym9zc0Bnb29kLmV4YW1wbGU=?=>, x@evil.example"),
        (evil, "From: =?utf-8?Q?=3Cboss=40good.example=3E=2C?=, x@evil.example"),
        (evil, "From: boss@good.example,x@evil.example"),
        (evil, "From: <boss@good.example> <x@evil.example>"),
        (evil, "From: <boss@good.example>x@evil.example"),
        (evil, "From: <boss@good.example@evil.example>"),
        (evil, "From: <x@evil.example>\\,<boss@good.example>"),
        (evil, "From: (<x@evil.example>) boss@good.example"),
        (evil, "From: \"x@evil.example\" <boss@good.example>"),
        (evil, "From: x@evil.example (, boss@good.example"),
        (evil, "From: x@evil.example, <boss@[192.0.2.1]>"),
        (evil, "From:\r\n boss@good.example (x@evil.example)"),
        (evil, "From: boss@good\u{3002}example"),
        (evil, "From: boss@good.example."),
        (evil, "From: x@evil.example\r\n , boss@good.example"),
        (evil, &format!("From: {}boss@good.example", "x@evil.example,".repeat(1_001))),
        (evil, "From: x: boss@good.example;"),
        (evil, "FROM\t: x@evil.example\r\nfrom: boss@good.example"),
        (evil, "From\r\n : boss@good.example\r\nFrom: x@evil.example"),
        (evil, "From\0: boss@good.example\r\nFrom: x@evil.example"),
        (evil, "\u{feff}From: boss@good.example\r\nFrom: x@evil.example"),
        // A mail server writes the field where it finds none, and finds none behind what is no field.
        (boss, "Subject: hej"),
        (boss, "no field\r\nFrom: x@evil.example"),
        (boss, "No field: x\r\nFrom: x@evil.example"),
        (boss, ": x\r\nFrom: x@evil.example"),
        (boss, " From: x@evil.example\r\nFrom: x@evil.example"),
    ] {
        let proof = prove(&checks, "192.0.2.66", "mx.evil.example", sender, &format!("{header}\r\n\r\nhej\r\n")).await;
        if !matches!(proof.ruling(&[]), Ruling::Refuse("5.7.26" | "5.6.0", _)) {
            faults.push(format!("{header:?} is taken: {:?}", proof.dmarc));
        }
    }
    for header in [
        "From: Ratt, Eva <eva@good.example>",
        "From: eva@good.example <eva@good.example>",
        "From: <eva..r.@good.example>",
        "From: \"eva r\"@good.example",
        "From: <\"eva r\"@good.example>",
        &format!("From: {long}@good.example"),
        "From: \"eva@evil.example\" <eva@good.example>",
        "Subject: hej",
        "no field\r\nFrom: eva@good.example",
    ] {
        let sender = "eva@good.example";
        let proof = prove(&checks, "192.0.2.1", "mx.good.example", sender, &format!("{header}\r\n\r\nhej\r\n")).await;
        if proof.ruling(&[]) != Ruling::Take {
            faults.push(format!("{header:?} is not taken: {:?}", proof.dmarc));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Addresses and ports below 1024 belong to whoever owns the network: so it is one of our own, without a way out.
#[test]
fn inbound_mail_is_known_by_what_its_senders_prove() {
    let inside = "ip link set lo up && for n in 1 10 11; do ip addr add 192.0.2.$n/24 dev lo; done && exec \"$@\"";
    let program = std::env::current_exe().unwrap();
    for test in [
        "signatures_of_others_are_verified",
        "the_door_refuses_what_is_not_from_whom_it_says",
        "a_message_made_to_cost_look_ups_costs_no_more_than_its_share",
    ] {
        let run = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", inside, "sh"])
            .arg(&program)
            .args(["--ignored", "--exact", &format!("sender_auth::{test}"), "--nocapture"])
            .output()
            .expect("PEER MISSING: unshare (util-linux)");
        let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
        assert!(run.status.success() && said.contains("1 passed"), "{said}");
    }
}

/// A key pair: its private half as a file for dkimpy, its public half as a record.
pub struct Key {
    file: PathBuf,
    pub record: String,
}

fn ran(program: &str, options: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("PEER MISSING: {program}: {fault}"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {options:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

impl Key {
    pub fn rsa(folder: &Path, bits: u32) -> Self {
        let file = folder.join(format!("rsa{bits}.pem"));
        let at = file.to_str().unwrap();
        ran("openssl", &["genrsa", "-traditional", "-out", at, &bits.to_string()], b"");
        let public = ran("openssl", &["rsa", "-in", at, "-pubout", "-outform", "DER"], b"");
        Self { file, record: format!("v=DKIM1; k=rsa; p={}", base64(&public)) }
    }

    fn ed25519(folder: &Path) -> Self {
        let file = folder.join("ed25519");
        ran("dknewkey", &["--ktype", "ed25519", file.to_str().unwrap()], b"");
        let record = std::fs::read_to_string(folder.join("ed25519.dns")).unwrap();
        Self { file: folder.join("ed25519.key"), record: record.trim().to_owned() }
    }

    pub fn sign(&self, options: &[&str], domain: &str, message: &str) -> String {
        let file = self.file.to_str().unwrap();
        let options = [options, &["key", domain, file]].concat();
        let signed = String::from_utf8(ran("dkimsign", &options, message.as_bytes())).unwrap();
        signed.replace("\r\n", "\n").replace('\n', "\r\n")
    }

    pub fn seal(&self, domain: &str, message: &str) -> String {
        let sealed = ran("arcsign", &["key", domain, self.file.to_str().unwrap(), domain], message.as_bytes());
        String::from_utf8(sealed).unwrap().replace("\r\n", "\n").replace('\n', "\r\n")
    }
}

fn base64(octets: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// A TXT record, in strings of at most 255 octets.
pub fn txt(name: &str, text: &str) -> String {
    let strings: Vec<String> =
        text.as_bytes().chunks(200).map(|part| format!("\"{}\"", String::from_utf8_lossy(part))).collect();
    format!("{name} TXT {}\n", strings.join(" "))
}

const MESSAGE: &str = "From: Eva <eva@live.unsigned>\r\nTo: bygg@sundby.example\r\nSubject: Hej  du\r\nDate: Fri, 27 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@live.unsigned>\r\n\r\nHej \r\n\r\n  du\tdu\r\n.\r\n\r\n\r\n";

/// A name server on the way to the real one: it notes the type of what is asked, once for each question.
async fn count_at(address: &str, upstream: SocketAddr) -> Arc<Mutex<BTreeSet<(String, RecordType)>>> {
    let asked: Arc<Mutex<BTreeSet<(String, RecordType)>>> = Arc::default();
    let noted = Arc::clone(&asked);
    let socket = Arc::new(tokio::net::UdpSocket::bind((address, 53)).await.unwrap());
    tokio::spawn(async move {
        let mut octets = [0; 8_192];
        loop {
            let (length, from) = socket.recv_from(&mut octets).await.unwrap();
            let (query, socket) = (octets[..length].to_vec(), Arc::clone(&socket));
            // On a busy machine the same is asked again before its answer has come.
            let question = Message::from_vec(&query).unwrap().queries.remove(0);
            noted.lock().unwrap().insert((question.name().to_ascii().to_lowercase(), question.query_type()));
            tokio::spawn(async move {
                let own = tokio::net::UdpSocket::bind("192.0.2.1:0").await.unwrap();
                own.send_to(&query, upstream).await.unwrap();
                let mut octets = [0; 8_192];
                let length = own.recv(&mut octets).await.unwrap();
                socket.send_to(&octets[..length], from).await.unwrap();
            });
        }
    });
    // Long answers are asked for again over TCP.
    let listener = tokio::net::TcpListener::bind((address, 53)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut other = tokio::net::TcpStream::connect(upstream).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
            });
        }
    });
    asked
}

/// Everything at once that costs look-ups: SPF of two names with as many hosts as it may have, signatures, a chain, and
/// authors with long names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "inbound_mail_is_known_by_… runs it on a network of its own"]
async fn a_message_made_to_cost_look_ups_costs_no_more_than_its_share() {
    let mut zone = String::new();
    for name in ["one", "two"] {
        let terms: String = (0..10).map(|n| format!(" mx:m{n}.{name}.unsigned")).collect();
        zone += &txt(name, &format!("v=spf1{terms} ?all"));
        for (term, host) in (0..10).flat_map(|term| (0..10).map(move |host| (term, host))) {
            writeln!(zone, "m{term}.{name} MX 1 h{host}.m{term}.{name}\nh{host}.m{term}.{name} A 198.51.100.1")
                .unwrap();
        }
    }
    zone += &txt("_dmarc.good", "v=DMARC1; p=reject");
    zone += &txt("good", "v=spf1 ip4:192.0.2.10 -all");
    let servers = NameServers::start("", &zone, ("", ""), &[]);
    let asked = count_at("192.0.2.11", servers.address()).await;
    let server: SocketAddr = "192.0.2.11:53".parse().unwrap();
    let checks = || {
        let settings =
            DnsSettings { servers: vec![server], trust_anchor: Some(servers.trust_anchor()), ..DnsSettings::default() };
        Checks::new(Arc::new(Dns::new(&settings).unwrap()), Clock::System)
    };
    let body = "hej\r\n";
    let hash = base64(digest(&SHA256, body.as_bytes()).as_ref());
    let mut fields = String::new();
    let over = format!("c=simple/simple; h=From; bh={hash}; b=AAAA\r\n");
    for n in 1..=10 {
        write!(fields, "DKIM-Signature: v=1; a=rsa-sha256; d=d{n}.unsigned; s=k; {over}").unwrap();
    }
    for n in 1..=50 {
        let cv = if n == 1 { "none" } else { "pass" };
        write!(
            fields,
            "ARC-Seal: i={n}; a=rsa-sha256; cv={cv}; d=s{n}.unsigned; s=k; b=AAAA\r\nARC-Message-Signature: i={n}; \
             a=rsa-sha256; d=s{n}.unsigned; s=k; {over}ARC-Authentication-Results: i={n}; s{n}.unsigned; spf=pass\r\n"
        )
        .unwrap();
    }
    let authors: String = (1..=3).map(|n| format!("a@a.b.c.d.e.f.g.h{n}.unsigned, ")).collect();
    let hostile = format!("{fields}From: {authors}a@good.unsigned\r\n\r\n{body}");
    let proof = prove(&checks(), "192.0.2.66", "one.unsigned", "a@two.unsigned", &hostile).await;
    let kinds = std::mem::take(&mut *asked.lock().unwrap()).into_iter().map(|(_, kind)| kind);
    // The validator asks besides where zones begin, and for their keys: nothing of that is in what is checked.
    let is_of_ours = |kind: &RecordType| !matches!(kind, RecordType::NS | RecordType::DS | RecordType::DNSKEY);
    let (of_ours, of_dnssec): (Vec<RecordType>, Vec<RecordType>) = kinds.partition(is_of_ours);
    println!("a costly message: {} questions and {} for DNSSEC", of_ours.len(), of_dnssec.len());
    assert!(of_ours.len() <= 150 && of_ours.len() > 100, "{}", of_ours.len());
    assert!(matches!(proof.ruling(&[]), Ruling::Refuse("5.7.26", _)), "{:?}", proof.ruling(&[]));
    assert!(proof.arc.status == ArcStatus::Fail && proof.dkim.iter().all(|it| it.result != DkimResult::Pass));
    assert_ne!(
        (proof.helo.1, proof.mail_from.unwrap().1),
        (SpfResult::Neutral, SpfResult::Neutral),
        "both are evaluated"
    );

    // Honest mail has its own.
    let honest = format!("From: a@good.unsigned\r\n\r\n{body}");
    let proof = prove(&checks(), "192.0.2.10", "good.unsigned", "a@good.unsigned", &honest).await;
    println!("an honest one: {} questions", asked.lock().unwrap().len());
    assert_eq!((proof.dmarc.result, proof.ruling(&[])), (DmarcResult::Pass, Ruling::Take));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "inbound_mail_is_known_by_… runs it on a network of its own"]
async fn signatures_of_others_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (rsa, edwards) = (Key::rsa(folder.path(), 2048), Key::ed25519(folder.path()));
    let (weak, least) = (Key::rsa(folder.path(), 768), Key::rsa(folder.path(), 1024));
    let mut unsigned = String::from("live TXT \"v=spf1 -all\"\n");
    unsigned += &txt("_dmarc.live", "v=DMARC1; p=reject");
    unsigned += &txt("key._domainkey.live", &rsa.record);
    unsigned += &txt("key._domainkey.edwards", &edwards.record);
    unsigned += &txt("key._domainkey.weak", &weak.record);
    unsigned += &txt("key._domainkey.least", &least.record);
    unsigned += &txt("key._domainkey.revoked", "v=DKIM1; p=");
    unsigned += &txt("key._domainkey.strict", &rsa.record.replace("k=rsa", "k=rsa; t=s"));
    unsigned += &txt("key._domainkey.sha1", &rsa.record.replace("k=rsa", "k=rsa; h=sha1"));
    unsigned += &txt("key._domainkey.lists", &rsa.record);
    unsigned += &txt("key._domainkey.lists2", &rsa.record);
    let signed_zone = txt("key._domainkey.signed.example.", &rsa.record);
    let refused = ["key._domainkey.away.unsigned"];
    let servers = NameServers::start(&signed_zone, &unsigned, ("", ""), &refused);
    let settings = servers.validated_here();
    let checks = Checks::new(Arc::new(Dns::new(&settings).unwrap()), Clock::System);
    let look_at = async |message: &str| prove(&checks, "192.0.2.10", "mx.stranger.unsigned", "", message).await;

    use DkimResult::{Fail, Pass, PermError, Policy as ByPolicy, TempError};
    let live = "live.unsigned";
    let plain = rsa.sign(&[], live, MESSAGE);
    let away = rsa.sign(&[], "away.unsigned", MESSAGE);
    let mut cases = vec![("as it came", plain.clone(), Pass)];
    for form in ["simple", "relaxed"] {
        for body in ["simple", "relaxed"] {
            let signed = rsa.sign(&["--hcanon", form, "--bcanon", body], live, MESSAGE);
            cases.push(("each form", signed.clone(), Pass));
            let refolded = signed.replace("Subject: Hej  du", "Subject: Hej\r\n du");
            cases.push(("a field folded", refolded, if form == "relaxed" { Pass } else { Fail }));
            let blanks = signed.replace("Hej \r\n", "Hej\r\n");
            cases.push(("a blank gone", blanks, if body == "relaxed" { Pass } else { Fail }));
        }
    }
    cases.extend([
        ("body changed", plain.replace("du\tdu", "du\tnu"), Fail),
        ("lines added", plain.clone() + "more\r\n", Fail),
        ("field changed", plain.replace("Hej  du", "Hej  nu"), Fail),
        ("another date put first", format!("Date: x\r\n{plain}"), Pass),
        ("another subject put first", format!("Subject: y\r\n{plain}"), ByPolicy),
        ("… with a blank behind its name", format!("SUBJECT : y\r\n{plain}"), ByPolicy),
        ("a type put first that is not signed", format!("Content-Type: text/html\r\n{plain}"), Pass),
        (
            "another subject put behind",
            plain.replace("\r\nSubject:", "\r\nX:").replace("Message-ID", "Subject: y\r\nMessage-ID"),
            Fail,
        ),
        ("by Ed25519 (RFC 8463)", edwards.sign(&["--signalg", "ed25519-sha256"], "edwards.unsigned", MESSAGE), Pass),
        ("in a signed zone", rsa.sign(&[], "signed.example", MESSAGE), Pass),
        ("1024 bits", least.sign(&[], "least.unsigned", MESSAGE), Pass),
        ("768 bits (RFC 8301)", weak.sign(&[], "weak.unsigned", MESSAGE), ByPolicy),
        ("SHA-1 (RFC 8301)", rsa.sign(&["--signalg", "rsa-sha1"], live, MESSAGE), ByPolicy),
        ("a key for SHA-1 alone", rsa.sign(&[], "sha1.unsigned", MESSAGE), PermError),
        ("no key", rsa.sign(&[], "absent.unsigned", MESSAGE), PermError),
        ("a selector that no host is called", plain.replacen("s=key;", "s=-;", 1), PermError),
        ("… nor this", plain.replacen("s=key;", "s=+a=!;", 1), PermError),
        ("a selector that makes a name deep", away.replacen("s=key;", "s=a.b.c.d.e.f.g.key;", 1), TempError),
        ("… too deep", away.replacen("s=key;", "s=a.b.c.d.e.f.g.h.key;", 1), PermError),
        ("a name as deep as is asked about", plain.replacen("; d=", &format!("; d={}", "a.".repeat(46)), 1), PermError),
        ("key revoked", rsa.sign(&[], "revoked.unsigned", MESSAGE), PermError),
        ("no answer", away.clone(), TempError),
        ("i= below d=", rsa.sign(&["--identity", "@sub.live.unsigned"], live, MESSAGE), Pass),
        (
            "i= below d=, forbidden",
            rsa.sign(&["--identity", "@sub.strict.unsigned"], "strict.unsigned", MESSAGE),
            PermError,
        ),
        ("somebody else's key", edwards.sign(&["--signalg", "ed25519-sha256"], live, MESSAGE), PermError),
        ("l=", plain.replacen("q=dns/txt;", "q=dns/txt; l=5;", 1), ByPolicy),
        ("expired", plain.replacen("q=dns/txt;", "q=dns/txt; x=5;", 1), ByPolicy),
        ("a tag twice", plain.replacen("; d=", "; d=x; d=", 1), PermError),
        ("no signature at all", "DKIM-Signature: nonsense\r\n".to_owned() + MESSAGE, PermError),
    ]);
    let mut faults = Vec::new();
    // Whoever validates.
    let by_resolver = Checks::new(Arc::new(Dns::new(&servers.validated_by_resolver()).unwrap()), Clock::System);
    for (what, message, expected) in &cases {
        for checks in [&checks, &by_resolver] {
            let proof = prove(checks, "192.0.2.10", "mx.stranger.unsigned", "", message).await;
            if proof.dkim.first().map(|signed| signed.result) != Some(*expected) {
                faults.push(format!("{what}: {:?}, not {expected:?}\n{message}", proof.dkim));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let many = "DKIM-Signature: nonsense\r\n".repeat(50) + &plain;
    assert_eq!(look_at(&many).await.dkim.len(), 10, "no more than that are looked at");

    // DKIM alone proves the author.
    let proof = look_at(&plain).await;
    assert_eq!((proof.dmarc.result, proof.ruling(&[])), (DmarcResult::Pass, Ruling::Take));
    let told = proof.field(&host());
    assert!(told.starts_with("Authentication-Results: gw.sundby.example;\r\n\tiprev=permerror policy.iprev=192.0.2.10;\r\n\tspf=none smtp.helo=mx.stranger.unsigned;\r\n\tdkim=pass header.d=live.unsigned header.s=key header.a=rsa-sha256 header.b="), "{told}");
    assert!(
        told.contains(
            ";\r\n\tdmarc=pass (p=reject) header.from=live.unsigned;\r\n\tarc=none smtp.remote-ip=192.0.2.10\r\n"
        ),
        "{told}"
    );
    let stranger = look_at(&rsa.sign(&[], "lists.unsigned", MESSAGE)).await;
    assert!(matches!(stranger.ruling(&[]), Ruling::Refuse("5.7.26", _)), "{stranger:?}");

    // A message that was signed once can be sent again by anybody: no proof of another sender of the domain.
    for (sender, is_theirs) in [("eva@live.unsigned", true), ("victim@live.unsigned", false), ("", false)] {
        let proof = prove(&checks, "192.0.2.10", "mx.stranger.unsigned", sender, &plain).await;
        assert_eq!(proof.is_of_sender(), is_theirs, "{sender}");
    }

    // A list that changes what it passes on, and seals it.
    let at_list =
        format!("Authentication-Results: lists.unsigned; dkim=pass header.d=live.unsigned; dmarc=pass\r\n{plain}");
    let sealed = rsa.seal("lists.unsigned", &at_list.replace("Hej  du", "[lista] Hej"));
    let (list, other): (Domain, Domain) = ("lists.unsigned".parse().unwrap(), "lists2.unsigned".parse().unwrap());
    let proof = look_at(&sealed).await;
    assert_eq!(
        (proof.arc.status, proof.arc.sets, proof.arc.sealers.clone()),
        (ArcStatus::Pass, 1, vec![list.clone()]),
        "{sealed}"
    );
    assert_eq!(proof.dmarc.result, DmarcResult::Fail);
    assert_eq!(proof.ruling(std::slice::from_ref(&list)), Ruling::Take);
    for trusted in [&[][..], std::slice::from_ref(&other)] {
        assert!(matches!(proof.ruling(trusted), Ruling::Refuse("5.7.26", _)));
    }
    for (what, message) in [
        ("body", sealed.replace("du\tdu", "du\tnu")),
        ("results", sealed.replacen("dmarc=pass", "dmarc=none", 1)),
        ("a set taken out", sealed.replacen("ARC-Seal", "X-Seal", 1)),
        ("instance", sealed.replace("i=1;", "i=2;")),
        ("another subject", format!("Subject: y\r\n{sealed}")),
        ("cv", sealed.replacen("cv=none", "cv=pass", 1)),
        ("twice", sealed.replacen("ARC-Seal", "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=x; s=y; b=eA==\r\nARC-Seal", 1)),
    ] {
        let proof = look_at(&message).await;
        assert_eq!(proof.arc.status, ArcStatus::Fail, "{what}: {:?}\n{message}", proof.arc);
        assert!(matches!(proof.ruling(std::slice::from_ref(&list)), Ruling::Refuse("5.7.26", _)), "{what}");
    }
    let seen = at_list.replace("dmarc=pass", "dmarc=fail").replace("Hej  du", "[lista] Hej");
    let proof = look_at(&rsa.seal("lists.unsigned", &seen)).await;
    assert_eq!(proof.arc.status, ArcStatus::Pass);
    assert!(
        matches!(proof.ruling(std::slice::from_ref(&list)), Ruling::Refuse("5.7.26", _)),
        "the list saw it fail too"
    );

    // A name server that says nothing: in bounded time, and nothing is taken for proven.
    let silent = std::net::UdpSocket::bind("192.0.2.11:53").unwrap();
    let settings = DnsSettings { servers: vec![silent.local_addr().unwrap()], ..settings };
    let patience = Duration::from_secs(1);
    let checks = Checks::new(Arc::new(Dns::new(&settings).unwrap()), Clock::System).with_patience(patience);
    let begun = std::time::Instant::now();
    let proof = prove(&checks, "192.0.2.10", "mx.stranger.unsigned", "eva@live.unsigned", &sealed).await;
    assert!(begun.elapsed() < 3 * patience, "{:?}", begun.elapsed());
    assert_eq!(proof.mail_from.as_ref().unwrap().1, SpfResult::TempError);
    assert_eq!((proof.dmarc.result, proof.arc.status), (DmarcResult::TempError, ArcStatus::TempError));
    assert!(matches!(proof.ruling(&[]), Ruling::Defer("4.4.3", _)));
}

/// One message by SMTP from an address of our choice; the reply to its final dot.
pub async fn send_from(address: &str, door: SocketAddr, sender: &str, to: &str, message: &str) -> String {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    let mut stream = BufReader::new(socket.connect(door).await.unwrap());
    let mut last = String::new();
    let body = format!("{message}.\r\n");
    let said = [
        "EHLO mx.live.unsigned\r\n",
        &format!("MAIL FROM:<{sender}>\r\n"),
        &format!("RCPT TO:<{to}>\r\n"),
        "DATA\r\n",
        &body,
    ];
    for (number, words) in [""].into_iter().chain(said).enumerate() {
        stream.write_all(words.as_bytes()).await.unwrap();
        loop {
            last.clear();
            assert!(stream.read_line(&mut last).await.unwrap() > 0, "the door closed at step {number}");
            if last.as_bytes()[3] == b' ' {
                break;
            }
        }
        assert!(number == 5 || last.starts_with(['2', '3']), "step {number}: {last}");
    }
    last
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "inbound_mail_is_known_by_… runs it on a network of its own"]
async fn the_door_refuses_what_is_not_from_whom_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::rsa(folder.path(), 2048);
    let mut zone = String::from("mx.live TXT \"v=spf1 ip4:192.0.2.10 -all\"\nmild TXT \"v=spf1 -all\"\n");
    zone += &txt("_dmarc.live", "v=DMARC1; p=reject");
    zone += &txt("_dmarc.mild", "v=DMARC1; p=quarantine");
    zone += &txt("key._domainkey.live", &key.record);
    let servers = NameServers::start("", &zone, ("", ""), &["_dmarc.away.unsigned"]);
    let place = folder.path().join("gateway");
    let mut gateway = Gateway::found(&place, free(), free(), "http://127.0.0.1:9");
    let door: SocketAddr = "192.0.2.1:25".parse().unwrap();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let dns = format!(
        "[delivery]\ndns = [\"{}\"]\ndns_trust_anchor = \"{}\"\n",
        servers.address(),
        servers.trust_anchor().display()
    );
    let config = config.replace(&gateway.inbound.to_string(), &door.to_string()).replace("[delivery]\n", &dns);
    std::fs::write(gateway.config(), &config).unwrap();
    gateway.start();
    wait_until("the inbound door", || std::net::TcpStream::connect(door).is_ok());

    let to = "noreply@gw.sundby.example";
    let (good, bad) = ("192.0.2.10", "192.0.2.11");
    let signed = key.sign(&[], "live.unsigned", MESSAGE);
    let mild = MESSAGE.replace("live.unsigned", "mild.unsigned");
    let away = MESSAGE.replace("live.unsigned", "away.unsigned");
    let nowhere = |top: &str| MESSAGE.replace("live.unsigned>\r\nTo", &format!("live.unsigned.{top}>\r\nTo"));
    let dots = |message: &str| message.replace("\r\n.", "\r\n..");
    for (what, from, message, reply) in [
        ("a bounce by SPF of its HELO", good, MESSAGE, "250 2.0.0"),
        ("a forged bounce", bad, MESSAGE, "550 5.7.26 live.unsigned wants mail refused"),
        ("signed", bad, &signed, "250 2.0.0"),
        ("signed and changed", bad, &signed.replace("du\tdu", "nu\tdu"), "550 5.7.26"),
        ("quarantine is only marked", bad, &mild, "250 2.0.0"),
        ("the DNS fails", bad, &away, "450 4.4.3"),
        ("from where nothing can be", bad, &nowhere("invalid"), "250 2.0.0"),
        ("… nor there", bad, &nowhere("LocalHost"), "250 2.0.0"),
        ("… nor there", bad, &nowhere("onion"), "250 2.0.0"),
        ("two authors", good, &format!("From: x@mild.unsigned\r\n{MESSAGE}"), "550 5.6.0"),
    ] {
        let told = send_from(from, door, "", to, &dots(message)).await;
        assert!(told.starts_with(reply), "{what}: {told}");
    }
    gateway.kill();
    let marks = config.replace("listen = \"192.0.2.1:25\"\n", "listen = \"192.0.2.1:25\"\ndmarc = \"mark\"\n");
    assert_ne!(marks, config);
    std::fs::write(gateway.config(), marks).unwrap();
    gateway.start();
    wait_until("the inbound door", || std::net::TcpStream::connect(door).is_ok());
    for message in [MESSAGE, &away] {
        let told = send_from(bad, door, "", to, &dots(message)).await;
        assert!(told.starts_with("250 2.0.0"), "{told}");
    }
}
