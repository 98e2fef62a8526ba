//! Delivery against peers that refuse, lie, stall and die.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rustls::RootCertStore;
use sealgate::delivery::{
    Blame, Bounds, Contents, Destination, Dispatch, DomainRoute, Handover, InMemory, Internet, NextHop, Octets,
    Outcome, Passage, Patience, Relay, Resolver, Settings, SystemResolver, TlsLevel, Transport, Trust, Unreadable,
};
use sealgate::mail::{Address, ByDomain, DsnNotify, DsnReturn, Envelope, QueueId, ReversePath};
use sealgate::net::{ClientTls, DnsSettings, Proof};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::running::{free, wait_until};
use crate::scripted_peer::{Act, Peer, certificate, hello, outer_ip, say, takes_message};

pub const MESSAGE: &str = "Subject: hello\r\n\r\n.dot\r\nbye\r\n";
const ALL: &[&str] = &["PIPELINING", "SIZE 0", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];

pub fn settings(hop: &str) -> Settings {
    Settings {
        hostname: "gw.sundby.example".parse().unwrap(),
        internet: Internet::Smarthost(hop.parse().unwrap()),
        smarthost_enforces_tls: false,
        login: None,
        routes: ByDomain::default(),
        mail_server: hop.parse().unwrap(),
        inner_plaintext: false,
        dns: DnsSettings::default(),
        private_networks: vec!["192.0.2.0/24".parse().unwrap()],
        ca_file: None,
        tls_reports: true,
        bounds: Bounds::default(),
    }
}

fn relay_with(settings: Settings, roots: RootCertStore, patience: Patience) -> Relay {
    Relay::with(
        settings,
        Trust::from(ClientTls::with_roots(roots).unwrap()),
        None,
        None,
        Arc::new(SystemResolver),
        patience,
    )
}

pub fn relay(settings: Settings) -> Relay {
    relay_with(settings, RootCertStore::empty(), Patience::STANDARD)
}

fn smtp(peer: &Peer) -> Relay {
    relay(settings(&format!("smtp://{}", peer.address)))
}

fn lmtp(peer: &Peer) -> Relay {
    relay(settings(&format!("lmtp://{}", peer.address)))
}

pub fn mail(recipients: &[&str]) -> Dispatch {
    let recipients: Vec<Address> = recipients.iter().map(|text| text.parse().unwrap()).collect();
    let sender = ReversePath::Mailbox("anna.berg@sundby.example".parse().unwrap());
    Dispatch {
        id: QueueId::from_parts(1, [1; 10]),
        envelope: Envelope::plain(sender, recipients),
        destination: Destination::Internet,
        passage: Passage::Any,
        size: MESSAGE.len() as u64,
        has_eight_bit: false,
        has_utf8_header: false,
        is_tls_report: false,
        contents: InMemory::contents(MESSAGE),
        signing: None,
    }
}

/// `address: delivered` or `address: 4.1.1 Recipient`, in the order of the answer.
pub async fn told(relay: &Relay, mail: &Dispatch) -> Vec<String> {
    let outcomes = relay.deliver(mail).await;
    assert_eq!(outcomes.len(), mail.envelope.recipients.len());
    outcomes
        .iter()
        .map(|(address, outcome)| match outcome {
            Outcome::Delivered(_) => format!("{}: delivered", address.local().as_str()),
            Outcome::Deferred(why) | Outcome::Failed(why) => {
                assert_eq!(matches!(outcome, Outcome::Deferred(_)), why.is_temporary());
                format!("{}: {} {:?}", address.local().as_str(), why.status, why.blame)
            }
        })
        .collect()
}

fn script(parts: &[Vec<Act>]) -> Vec<Act> {
    parts.concat()
}

#[tokio::test]
async fn a_message_arrives_as_it_was_given_with_its_wishes() {
    let peer = Peer::plays(vec![script(&[hello(ALL), takes_message(2), vec![Act::Stall]])]).await;
    let mut mail = mail(&["eva@live.example", "åsa@live.example"]);
    mail.envelope.dsn_return = Some(DsnReturn::Headers);
    mail.envelope.envelope_id = Some("a b".to_owned());
    mail.has_eight_bit = true;
    if let Some(first) = mail.envelope.recipients.first_mut() {
        first.notify = Some(DsnNotify { success: true, failure: true, delay: false });
        first.original = Some("rfc822;eva+1@live.example".to_owned());
    }
    let outcomes = smtp(&peer).deliver(&mail).await;
    for (_, outcome) in &outcomes {
        let Outcome::Delivered(delivery) = outcome else { panic!("{outcome:?}") };
        assert_eq!(delivery.handover, Handover::WishesPassedOn);
        assert_eq!(delivery.reply, "250 2.0.0 queued as 1");
    }
    let wanted = [
        "MAIL FROM:<anna.berg@sundby.example> SIZE=29 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b",
        "RCPT TO:<eva@live.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;eva+2B1@live.example",
        "RCPT TO:<åsa@live.example>",
        "DATA",
        "Subject: hello",
        "",
        "..dot",
        "bye",
        ".",
    ];
    assert_eq!(peer.heard().get(2..).unwrap(), wanted);
}

#[tokio::test]
async fn a_peer_without_extensions_is_spoken_to_line_by_line() {
    let script = script(&[
        vec![say("220 old"), Act::Hear("EHLO"), say("502 what?"), Act::Hear("HELO"), say("250 old")],
        takes_message(1),
        vec![Act::Stall],
    ]);
    let peer = Peer::plays(vec![script]).await;
    let outcomes = smtp(&peer).deliver(&mail(&["eva@live.example"])).await;
    let Some((_, Outcome::Delivered(delivery))) = outcomes.first() else { panic!("{outcomes:?}") };
    assert_eq!(delivery.handover, Handover::Relayed);
    assert!(peer.heard().contains(&"MAIL FROM:<anna.berg@sundby.example>".to_owned()));
}

#[tokio::test]
async fn each_refusal_meets_whom_it_is_about() {
    let envelope = |mail: &str, first: &str, second: &str, data: &str| {
        let acts =
            [("MAIL", mail), ("RCPT", first), ("RCPT", second), ("DATA", data)].map(|(v, s)| [Act::Hear(v), say(s)]);
        acts.concat()
    };
    let ok = "250 ok";
    let message = |verdict: &str| vec![Act::HearMessage, say(verdict), Act::Stall];
    let cases: Vec<(&str, Vec<Act>, [&str; 2])> = vec![
        ("5yz at the greeting", vec![say("554 5.7.1 no")], ["eva: 4.7.1 Peer", "ole: 4.7.1 Peer"]),
        ("4yz at the greeting", vec![say("421 later")], ["eva: 4.3.0 Peer", "ole: 4.3.0 Peer"]),
        ("5yz at EHLO", vec![say("220 x"), Act::Hear("EHLO"), say("550 no")], ["eva: 4.3.0 Peer", "ole: 4.3.0 Peer"]),
        (
            "5yz at MAIL",
            script(&[hello(ALL), envelope("550 5.7.1 no", "503 x", "503 x", "503 x")]),
            ["eva: 5.7.1 Message", "ole: 5.7.1 Message"],
        ),
        (
            "4yz at MAIL",
            script(&[hello(ALL), envelope("451 4.3.2 no", "503 x", "503 x", "503 x")]),
            ["eva: 4.3.2 Message", "ole: 4.3.2 Message"],
        ),
        (
            "sign-on wanted at MAIL",
            script(&[hello(ALL), envelope("530 5.7.0 auth", "503 x", "503 x", "503 x")]),
            ["eva: 4.7.0 Peer", "ole: 4.7.0 Peer"],
        ),
        (
            "MAIL refused, DATA welcome",
            script(&[hello(ALL), envelope("550 no", "550 x", "550 x", "354 go"), vec![Act::Stall]]),
            ["eva: 5.0.0 Message", "ole: 5.0.0 Message"],
        ),
        (
            "one of two at RCPT",
            script(&[hello(ALL), envelope(ok, "550 5.1.1 who?", ok, "354 go"), message(ok)]),
            ["eva: 5.1.1 Recipient", "ole: delivered"],
        ),
        (
            "both at RCPT, differently",
            script(&[hello(ALL), envelope(ok, "550 5.1.1 who?", "450 4.2.1 later", "554 nobody"), vec![Act::Stall]]),
            ["eva: 5.1.1 Recipient", "ole: 4.2.1 Recipient"],
        ),
        (
            "421 between the recipients",
            script(&[
                hello(ALL),
                vec![Act::Hear("MAIL"), say(ok), Act::Hear("RCPT"), say("550 5.1.1 who?"), Act::Hear("RCPT")],
                vec![say("421 4.3.2 bye")],
            ]),
            ["eva: 5.1.1 Recipient", "ole: 4.3.2 Peer"],
        ),
        (
            "5yz at DATA",
            script(&[hello(ALL), envelope(ok, ok, ok, "554 5.6.0 no")]),
            ["eva: 5.6.0 Message", "ole: 5.6.0 Message"],
        ),
        (
            "4yz at DATA",
            script(&[hello(ALL), envelope(ok, ok, ok, "451 no")]),
            ["eva: 4.0.0 Message", "ole: 4.0.0 Message"],
        ),
        (
            "5yz at the dot",
            script(&[hello(ALL), envelope(ok, ok, "550 5.1.1 x", "354 go"), message("554 5.7.1 no")]),
            ["eva: 5.7.1 Message", "ole: 5.1.1 Recipient"],
        ),
        (
            "4yz at the dot",
            script(&[hello(ALL), envelope(ok, ok, ok, "354 go"), message("452 4.3.1 full")]),
            ["eva: 4.3.1 Message", "ole: 4.3.1 Message"],
        ),
        (
            "gone behind the dot",
            script(&[hello(ALL), envelope(ok, ok, ok, "354 go"), vec![Act::HearMessage]]),
            ["eva: 4.4.2 Peer", "ole: 4.4.2 Peer"],
        ),
        ("gone at once", vec![], ["eva: 4.4.2 Peer", "ole: 4.4.2 Peer"]),
        ("no SMTP at all", vec![say("SSH-2.0-OpenSSH_9.2")], ["eva: 4.5.0 Peer", "ole: 4.5.0 Peer"]),
        ("an endless line", vec![Act::Say("220 x".repeat(5_000))], ["eva: 4.5.0 Peer", "ole: 4.5.0 Peer"]),
        ("endless lines", vec![Act::Say("220-x\r\n".repeat(5_000))], ["eva: 4.5.0 Peer", "ole: 4.5.0 Peer"]),
    ];
    for (name, script, wanted) in cases {
        let peer = Peer::plays(vec![script]).await;
        let mut told = told(&smtp(&peer), &mail(&["eva@live.example", "ole@live.example"])).await;
        told.sort();
        assert_eq!(told, wanted, "{name}");
    }
}

#[tokio::test]
async fn a_peer_nobody_listens_at_is_unreachable() {
    let peer = Peer::plays(vec![]).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    drop(peer);
    let relay = relay(settings(&format!("smtp://{closed}")));
    assert_eq!(told(&relay, &mail(&["eva@live.example"])).await, ["eva: 4.4.1 Peer"]);
}

#[tokio::test]
async fn a_silent_peer_is_left_when_its_time_is_up() {
    let short = Duration::from_millis(200);
    let patience = Patience { greeting: short, command: short, final_dot: short, ..Patience::STANDARD };
    let octet_by_octet: Vec<Act> = "220 ".chars().map(|c| Act::Say(c.to_string())).chain([Act::Stall]).collect();
    let envelope = takes_message(1).into_iter().take(7).collect::<Vec<_>>();
    for script in [
        vec![Act::Stall],
        octet_by_octet,
        script(&[hello(ALL), vec![Act::Stall]]),
        script(&[hello(ALL), envelope, vec![Act::Stall]]),
    ] {
        let peer = Peer::plays(vec![script]).await;
        let relay = relay_with(settings(&format!("smtp://{}", peer.address)), RootCertStore::empty(), patience);
        assert_eq!(told(&relay, &mail(&["eva@live.example"])).await, ["eva: 4.4.2 Peer"]);
        peer.hears("gone").await;
    }
}

/// All steps together have a bound, but for the answer to the final dot: whoever hangs up there sends the message again.
#[tokio::test]
async fn an_attempt_has_its_time_but_for_the_final_dot() {
    let short = Duration::from_millis(200);
    let told = async |acts: Vec<Act>, patience: Patience, contents: Vec<u8>| {
        let peer = Peer::plays(vec![script(&[hello(&[]), acts])]).await;
        let settings = settings(&format!("smtp://{}", peer.address));
        let contents = InMemory::contents(contents);
        let relay = relay_with(settings, RootCertStore::empty(), patience);
        let outcomes = relay.deliver(&Dispatch { contents, ..mail(&["eva@live.example"]) }).await;
        outcomes[0].1.diagnosis().unwrap().to_string()
    };
    let until_the_dot = |after: Act| {
        let mut acts = takes_message(1);
        acts.pop();
        acts.push(after);
        acts
    };
    let (attempt, message) =
        (Patience { attempt: short, ..Patience::STANDARD }, Patience { message: short, ..Patience::STANDARD });
    let silent_at_rcpt = vec![Act::Hear("MAIL"), say("250 ok"), Act::Stall];
    assert_eq!(
        told(silent_at_rcpt, attempt, MESSAGE.into()).await,
        "4.4.2 the attempt took too long, and was given up at RCPT"
    );
    let mut takes_nothing = takes_message(1);
    takes_nothing.truncate(6);
    takes_nothing.push(Act::Freeze);
    assert_eq!(
        told(takes_nothing, message, b"0123456789abcde\r\n".repeat(1 << 20)).await,
        "4.4.2 the attempt took too long, and was given up at the message"
    );
    let dot = Patience { attempt: short * 2, message: short, final_dot: short * 4, ..Patience::STANDARD };
    let begun = std::time::Instant::now();
    assert_eq!(
        told(until_the_dot(Act::Stall), dot, MESSAGE.into()).await,
        "4.4.2 the peer was silent for too long at the final dot"
    );
    assert!(begun.elapsed() >= dot.final_dot, "it had its time");
}

/// Addresses that a name has, whatever they are.
struct Addresses(Vec<SocketAddr>);

#[async_trait]
impl Resolver for Addresses {
    async fn addresses(&self, _: &NextHop) -> std::io::Result<Vec<SocketAddr>> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn an_attempt_calls_each_address_once_and_only_a_few() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let called = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&called);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    for (last_octets, calls) in [(vec![2, 2, 2], 1), (vec![2, 3, 2, 3], 2), ((2..20).collect(), 5)] {
        let addresses = last_octets.iter().map(|octet| SocketAddr::from(([127, 0, 0, *octet], port))).collect();
        let trust = Trust::from(ClientTls::with_roots(RootCertStore::empty()).unwrap());
        let (settings, resolver) = (settings("smtp://smart.example"), Arc::new(Addresses(addresses)));
        let relay = Relay::with(settings, trust, None, None, resolver, Patience::STANDARD);
        let outcomes = relay.deliver(&mail(&["eva@live.example"])).await;
        assert!(matches!(outcomes[0].1, Outcome::Deferred(_)));
        assert_eq!(called.swap(0, Ordering::SeqCst), calls, "{last_octets:?}");
    }
}

#[tokio::test]
async fn a_line_end_that_stands_alone_is_never_sent() {
    let peer = Peer::plays(vec![
        script(&[hello(ALL), takes_message(1).into_iter().take(6).collect(), vec![Act::Stall]]),
        script(&[hello(ALL), takes_message(1).into_iter().take(6).collect(), vec![Act::Stall]]),
    ])
    .await;
    let relay = smtp(&peer);
    let mut mail = mail(&["eva@live.example"]);
    let far = format!("{}\n.\r\nMAIL FROM:<x@x.example>\r\n", "a line\r\n".repeat(100_000));
    for smuggler in ["a\n.\nMAIL FROM:<x@x.example>\r\n".to_owned(), far] {
        mail.contents = InMemory::contents(smuggler);
        assert_eq!(told(&relay, &mail).await, ["eva: 5.6.0 Message"]);
        peer.hears("gone").await;
    }
    assert_eq!(peer.count("."), 0);
    assert_eq!(peer.count("MAIL FROM:<x@"), 0);
}

#[tokio::test]
async fn what_the_peer_cannot_carry_is_not_offered_to_it() {
    let peer = Peer::plays(vec![script(&[hello(&["PIPELINING", "SIZE 1000"]), vec![Act::Stall]])]).await;
    let relay = smtp(&peer);
    let large = Dispatch { size: 1_001, ..mail(&["eva@live.example"]) };
    assert_eq!(told(&relay, &large).await, ["eva: 5.3.4 Message"]);
    // Signed by somebody, and without a word on what it is.
    let part = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nå\r\n";
    for unchangeable in [format!("DKIM-Signature: v=1\r\n{part}"), "Subject: x\r\n\r\nå\r\n".to_owned()] {
        let contents = InMemory::contents(unchangeable);
        let eight = Dispatch { has_eight_bit: true, contents, ..mail(&["eva@live.example"]) };
        assert_eq!(told(&relay, &eight).await, ["eva: 5.6.3 Message"]);
    }
    // In seven bits it would be too long.
    let contents = InMemory::contents(format!("{part}{}\r\n", "å".repeat(200)));
    let eight = Dispatch { has_eight_bit: true, size: 490, contents, ..mail(&["eva@live.example"]) };
    assert_eq!(told(&relay, &eight).await, ["eva: 5.3.4 Message"]);
    let utf8 = Dispatch { has_utf8_header: true, ..mail(&["eva@live.example"]) };
    assert_eq!(told(&relay, &utf8).await, ["eva: 5.6.7 Message"]);
    assert_eq!(told(&relay, &mail(&["åsa@live.example"])).await, ["åsa: 5.6.7 Recipient"]);
    assert_eq!((peer.count("connection"), peer.count("MAIL")), (1, 0));
}

#[tokio::test]
async fn a_peer_of_seven_bits_gets_the_message_in_seven() {
    let peer = Peer::plays(vec![script(&[hello(&["PIPELINING", "SIZE"]), takes_message(1), vec![Act::Stall]])]).await;
    let eight = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.å =\r\n";
    let seven = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n.=C3=A5 =3D\r\n";
    let mail = Dispatch {
        has_eight_bit: true,
        size: eight.len() as u64,
        contents: InMemory::contents(eight),
        ..mail(&["eva@live.example"])
    };
    assert_eq!(told(&smtp(&peer), &mail).await, ["eva: delivered"]);
    let heard = peer.heard();
    assert!(heard.contains(&format!("MAIL FROM:<anna.berg@sundby.example> SIZE={}", seven.len())), "{heard:?}");
    let content: String = heard.iter().skip_while(|line| *line != "DATA").skip(1).map(|l| format!("{l}\r\n")).collect();
    assert_eq!(content, format!("{}.\r\n", seven.replace("\r\n.=", "\r\n..=")));
}

#[tokio::test]
async fn our_own_mail_server_gets_eight_bits_unasked() {
    let peer = Peer::plays(vec![script(&[hello(&["PIPELINING"]), takes_message(1), vec![Act::Stall]])]).await;
    let eight = Dispatch { has_eight_bit: true, destination: Destination::MailServer, ..mail(&["eva@live.example"]) };
    assert_eq!(told(&smtp(&peer), &eight).await, ["eva: delivered"]);
}

#[tokio::test]
async fn tls_or_nothing_waits_where_the_smarthost_does_not_enforce_it() {
    let peer = Peer::plays(vec![vec![]]).await;
    let strict = Dispatch { passage: Passage::VerifiedTls, ..mail(&["eva@live.example"]) };
    assert_eq!(told(&smtp(&peer), &strict).await, ["eva: 4.7.10 Ourselves"]);
    assert_eq!(peer.count("connection"), 0);
}

fn lmtp_hello() -> Vec<Act> {
    vec![say("220 x"), Act::Hear("LHLO gw.sundby.example"), say("250-x\r\n250 PIPELINING")]
}

#[tokio::test]
async fn lmtp_answers_for_each_recipient() {
    let ok = say("250 ok");
    let envelope = [
        vec![Act::Hear("MAIL"), ok.clone()],
        vec![Act::Hear("RCPT"), ok.clone(), Act::Hear("RCPT"), say("550 5.1.1 who?"), Act::Hear("RCPT"), ok.clone()],
        vec![Act::Hear("DATA"), say("354 go"), Act::HearMessage],
    ]
    .concat();
    let full = vec![say("452 4.2.2 full"), say("250 2.0.0 saved"), Act::Stall];
    let half = vec![say("250 2.0.0 saved")];
    let peer = Peer::plays(vec![script(&[lmtp_hello(), envelope.clone(), full])]).await;
    let mail = mail(&["a@x.example", "b@x.example", "c@x.example"]);
    let wanted = ["a: 4.2.2 Recipient", "b: 5.1.1 Recipient", "c: delivered"];
    let relay = lmtp(&peer);
    assert_eq!(told(&relay, &mail).await, wanted);

    let peer = Peer::plays(vec![script(&[lmtp_hello(), envelope, half])]).await;
    let wanted = ["a: delivered", "b: 5.1.1 Recipient", "c: 4.4.2 Peer"];
    let relay = lmtp(&peer);
    assert_eq!(told(&relay, &mail).await, wanted);
}

#[tokio::test]
async fn a_connection_is_used_again_and_reset_after_a_refusal() {
    let refused = [("MAIL", "250 ok"), ("RCPT", "550 5.1.1 who?"), ("DATA", "554 nobody")];
    let refused = refused.map(|(verb, reply)| [Act::Hear(verb), say(reply)]).concat();
    let reset = vec![Act::Hear("RSET"), say("250 ok")];
    let leave = vec![Act::Hear("QUIT"), say("221 bye")];
    let acts = [hello(ALL), takes_message(1), takes_message(1), refused, reset, takes_message(1), leave];
    let peer = Peer::plays(vec![script(&acts)]).await;
    let relay = smtp(&peer);
    let mail = mail(&["eva@live.example"]);
    for wanted in ["eva: delivered", "eva: delivered", "eva: 5.1.1 Recipient", "eva: delivered"] {
        assert_eq!(told(&relay, &mail).await, [wanted]);
    }
    assert_eq!(peer.count("connection"), 1);
    relay.close().await;
    peer.hears("QUIT").await;
}

#[tokio::test]
async fn a_connection_that_died_while_it_rested_is_replaced_at_once() {
    // The peer leaves in three ways: without a word, with a 421, and at the very moment of MAIL.
    let leaves = [vec![], vec![say("421 4.4.2 idle too long")], vec![Act::Hear("MAIL")]];
    for leave in leaves {
        let first = script(&[hello(ALL), takes_message(1), leave]);
        let second = script(&[hello(ALL), takes_message(1), vec![Act::Stall]]);
        let peer = Peer::plays(vec![first, second]).await;
        let relay = smtp(&peer);
        let mail = mail(&["eva@live.example"]);
        assert_eq!(told(&relay, &mail).await, ["eva: delivered"]);
        assert_eq!(told(&relay, &mail).await, ["eva: delivered"]);
        assert_eq!(peer.count("connection"), 2);
    }
}

#[tokio::test]
async fn a_connection_has_its_limits() {
    let one = script(&[hello(ALL), takes_message(1), vec![Act::Stall]]);
    let peer = Peer::plays(vec![one.clone(), one]).await;
    let hop = format!("smtp://{}", peer.address);
    let bounds = Bounds { connections: 1, messages: 1, idle: Duration::from_secs(15) };
    let relay = relay(Settings { bounds, ..settings(&hop) });
    let mail = mail(&["eva@live.example"]);
    // With one connection allowed, the two wait for each other.
    let (first, second) = tokio::join!(told(&relay, &mail), told(&relay, &mail));
    assert_eq!((first, second), (vec!["eva: delivered".to_owned()], vec!["eva: delivered".to_owned()]));
    peer.hears("QUIT").await;
    assert_eq!(peer.count("connection"), 2);
}

#[tokio::test]
async fn a_crowd_shares_the_connections_there_may_be() {
    // Nobody listens for a third.
    let one = script(&[hello(ALL), vec![takes_message(1); 20].concat(), vec![Act::Stall]]);
    let peer = Peer::plays(vec![one.clone(), one]).await;
    let hop = format!("smtp://{}", peer.address);
    let relay = relay(Settings { bounds: Bounds { connections: 2, ..Bounds::default() }, ..settings(&hop) });
    let mail = mail(&["eva@live.example"]);
    let crowd = futures_util::future::join_all((0..20).map(|_| told(&relay, &mail))).await;
    assert!(crowd.iter().all(|told| *told == ["eva: delivered"]), "{crowd:?}");
    assert_eq!((peer.count("connection"), peer.count("MAIL")), (2, 20));
}

#[tokio::test]
async fn a_connection_that_rests_too_long_is_closed_politely() {
    let peer = Peer::plays(vec![script(&[hello(ALL), takes_message(1), vec![Act::Stall]])]).await;
    let hop = format!("smtp://{}", peer.address);
    let bounds = Bounds { idle: Duration::from_millis(50), ..Bounds::default() };
    let relay = relay(Settings { bounds, ..settings(&hop) });
    assert_eq!(told(&relay, &mail(&["eva@live.example"])).await, ["eva: delivered"]);
    peer.hears("QUIT").await;
}

#[tokio::test]
async fn many_recipients_go_in_groups_and_who_is_crowded_out_goes_in_the_next() {
    let names: Vec<String> = (0..101).map(|number| format!("r{number}@x.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut first = vec![Act::Hear("MAIL"), say("250 ok")];
    for number in 0..100 {
        let reply = if number < 60 { "250 ok" } else { "452 4.5.3 too many recipients" };
        first.extend([Act::Hear("RCPT"), say(reply)]);
    }
    first.extend([Act::Hear("DATA"), say("354 go"), Act::HearMessage, say("250 ok")]);
    let acts = [hello(ALL), first, takes_message(41), vec![Act::Stall]];
    let peer = Peer::plays(vec![script(&acts)]).await;
    let told = told(&smtp(&peer), &mail(&names)).await;
    assert!(told.iter().all(|line| line.ends_with("delivered")), "{told:?}");
    assert_eq!(peer.count("MAIL"), 2);
}

/// As much as asked for, never in memory as a whole.
pub struct Endless {
    pub left: usize,
}

#[async_trait]
impl Contents for Endless {
    async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
        Ok(Box::new(Endless { left: self.left }))
    }
}

#[async_trait]
impl Octets for Endless {
    async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        Ok(Some(Bytes::from("0123456789012345678901234567890123456789012345678901234567890123456789\r\n".repeat(900))))
    }
}

#[tokio::test]
async fn a_peer_that_refuses_in_the_middle_of_the_message_is_heard() {
    let envelope: Vec<Act> = takes_message(1).into_iter().take(6).collect();
    let early = vec![say("552 5.3.4 that is enough"), Act::Freeze];
    let peer = Peer::plays(vec![script(&[hello(ALL), envelope, early])]).await;
    let mail = Dispatch { contents: Arc::new(Endless { left: 1_000 }), ..mail(&["eva@live.example"]) };
    assert_eq!(told(&smtp(&peer), &mail).await, ["eva: 5.3.4 Message"]);
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_leaves_no_half_message() {
    struct Broken;
    #[async_trait]
    impl Contents for Broken {
        async fn open(&self) -> Result<Box<dyn Octets>, Unreadable> {
            Ok(Box::new(Half(Some(Bytes::from_static(b"Subject: x\r\n")))))
        }
    }
    struct Half(Option<Bytes>);
    #[async_trait]
    impl Octets for Half {
        async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
            self.0.take().map(Some).ok_or(Unreadable("the disk is gone".to_owned()))
        }
    }
    let envelope: Vec<Act> = takes_message(1).into_iter().take(6).collect();
    let peer = Peer::plays(vec![script(&[hello(ALL), envelope, vec![Act::Stall]])]).await;
    let mail = Dispatch { contents: Arc::new(Broken), ..mail(&["eva@live.example"]) };
    assert_eq!(told(&smtp(&peer), &mail).await, ["eva: 4.3.0 Ourselves"]);
    peer.hears("gone").await;
    assert_eq!(peer.count("."), 0);
}

fn starttls(acceptor: tokio_rustls::TlsAcceptor) -> Vec<Act> {
    let clear = hello(&["PIPELINING", "STARTTLS"]);
    let inside = hello(&["PIPELINING", "8BITMIME"]).split_off(1);
    let shake = vec![Act::Hear("STARTTLS"), say("220 go"), Act::Tls(acceptor)];
    [clear, shake, inside, takes_message(1), vec![Act::Stall]].concat()
}

#[tokio::test]
async fn a_smarthost_that_offers_starttls_gets_it_whoever_it_is() {
    let (acceptor, _) = certificate(&["somebody.else.example"]);
    let peer = Peer::plays(vec![starttls(acceptor)]).await;
    assert_eq!(told(&smtp(&peer), &mail(&["eva@live.example"])).await, ["eva: delivered"]);
    assert_eq!((peer.count("tls"), peer.count("EHLO")), (1, 2));
}

#[tokio::test]
async fn a_smarthost_whose_tls_is_broken_gets_the_message_in_the_clear() {
    let clear = hello(&["PIPELINING", "STARTTLS"]);
    let broken = vec![Act::Hear("STARTTLS"), say("220 go"), Act::HearAny, say("this is no handshake"), Act::Stall];
    let peer =
        Peer::plays(vec![[clear.clone(), broken].concat(), [clear, takes_message(1), vec![Act::Stall]].concat()]).await;
    assert_eq!(told(&smtp(&peer), &mail(&["eva@live.example"])).await, ["eva: delivered"]);
    assert_eq!(peer.count("connection"), 2);
}

#[tokio::test]
async fn a_reply_injected_behind_starttls_ends_the_session() {
    let injected = vec![Act::Hear("STARTTLS"), Act::Say("220 go\r\n250 you are trusted\r\n".to_owned()), Act::Stall];
    let peer = Peer::plays(vec![[hello(&["STARTTLS"]), injected].concat()]).await;
    assert_eq!(told(&smtp(&peer), &mail(&["eva@live.example"])).await, ["eva: 4.7.5 Peer"]);
    peer.hears("gone").await;
    assert_eq!(peer.count("MAIL"), 0);
}

/// A relay to our own mail server at an address off loopback, called by that address.
async fn inner(ip: IpAddr, scheme: &str, roots: RootCertStore, script: Vec<Act>) -> (Peer, Vec<String>) {
    let peer = Peer::plays_at(ip, vec![script]).await;
    let hop: NextHop = format!("{scheme}://{}", peer.address).parse().unwrap();
    let relay = relay_with(settings(&hop.to_string()), roots, Patience::STANDARD);
    let mail = Dispatch { destination: Destination::MailServer, ..mail(&["eva@sundby.example"]) };
    let told = told(&relay, &mail).await;
    (peer, told)
}

#[tokio::test]
async fn off_loopback_the_mail_server_proves_itself_or_the_mail_waits() {
    let Some(ip) = outer_ip() else { return println!("SKIPPED: this machine has no address off loopback") };
    let name = ip.to_string();
    let (right, roots) = certificate(&[&name]);
    let (_, told) = inner(ip, "smtp", roots.clone(), starttls(right.clone())).await;
    assert_eq!(told, ["eva: delivered"], "the right certificate");

    let implicit = [vec![Act::Tls(right)], hello(&["PIPELINING"]), takes_message(1), vec![Act::Stall]].concat();
    let (_, told) = inner(ip, "smtps", roots.clone(), implicit).await;
    assert_eq!(told, ["eva: delivered"], "the right certificate from the first byte");

    let (other, other_roots) = certificate(&["mail.elsewhere.example"]);
    for (what, roots) in [("an unknown root", roots.clone()), ("another's name", other_roots)] {
        let (peer, told) = inner(ip, "smtp", roots, starttls(other.clone())).await;
        assert_eq!((told, peer.count("MAIL")), (vec!["eva: 4.7.5 Peer".to_owned()], 0), "{what}");
    }
    let (peer, told) = inner(ip, "smtp", roots, [hello(&["PIPELINING"]), vec![Act::Stall]].concat()).await;
    assert_eq!((told, peer.count("MAIL")), (vec!["eva: 4.7.5 Peer".to_owned()], 0), "STARTTLS stripped");
}

#[tokio::test]
async fn on_loopback_the_mail_server_is_not_asked_for_tls() {
    let peer = Peer::plays(vec![[hello(&["STARTTLS"]), takes_message(1), vec![Act::Stall]].concat()]).await;
    let inner = Dispatch { destination: Destination::MailServer, ..mail(&["eva@sundby.example"]) };
    assert_eq!(told(&smtp(&peer), &inner).await, ["eva: delivered"]);
    assert_eq!(peer.count("STARTTLS"), 0);
}

/// A relay with a route for `.partner.example` to a peer at loopback.
fn routed(peer: &Peer, tls: TlsLevel, login: Option<&str>, names: &[&str], roots: RootCertStore) -> Relay {
    relay_with(routed_settings(peer, tls, login, names), roots, Patience::STANDARD)
}

fn routed_settings(peer: &Peer, tls: TlsLevel, login: Option<&str>, names: &[&str]) -> Settings {
    let route = DomainRoute {
        next_hop: Some(format!("smtp://{}", peer.address).parse().unwrap()),
        login: login.map(|login| login.parse().unwrap()),
        tls,
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
        roots: None,
    };
    let routes = [(".partner.example".parse().unwrap(), Arc::new(route))].into_iter().collect();
    Settings { routes, ..settings("smtp://127.0.0.1:9") }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_hop_of_some_domains_that_hangs_has_its_share_of_attempts_and_no_more() {
    let peer = Peer::plays(vec![vec![Act::Stall]]).await;
    let bounds = Bounds { connections: 1, ..Bounds::default() };
    let relay = relay(Settings { bounds, ..routed_settings(&peer, TlsLevel::Opportunistic, None, &[]) });
    let (relay, mail) = (Arc::new(relay), mail(&["eva@a.partner.example"]));
    let hangs = tokio::spawn({
        let (relay, mail) = (Arc::clone(&relay), mail.clone());
        async move { relay.deliver(&mail).await }
    });
    wait_until("the first attempt", || peer.count("connection") == 1);
    let next = tokio::time::timeout(Duration::from_secs(20), told(&relay, &mail)).await;
    assert_eq!(next.expect("whoever comes later gives its place back"), ["eva: 4.4.5 Ourselves"]);
    hangs.abort();
}

fn starttls_with(acceptor: TlsAcceptor, offers: &[&str], acts: Vec<Act>) -> Vec<Act> {
    let shake = vec![Act::Hear("STARTTLS"), say("220 go"), Act::Tls(acceptor)];
    let inside = hello(offers).split_off(1);
    [hello(&["STARTTLS", "AUTH PLAIN LOGIN"]), shake, inside, acts].concat()
}

#[tokio::test]
async fn a_password_is_said_to_a_peer_that_has_proven_itself_and_to_nobody_else() {
    let (right, roots) = certificate(&["relay.partner.example"]);
    let (stranger, _) = certificate(&["relay.partner.example"]);
    let plain = vec![Act::Hear("AUTH PLAIN AGd3AHNlOmNyZXQ="), say("235 2.7.0 welcome")];
    let by_login = [("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("Z3c=", "334 UGFzc3dvcmQ6"), ("c2U6Y3JldA==", "235 welcome")];
    let by_login = by_login.map(|(said, reply)| [Act::Hear(said), say(reply)]).concat();
    let refused = vec![Act::Hear("AUTH PLAIN"), say("535 5.7.8 who?"), Act::Stall];
    let takes = [takes_message(1), vec![Act::Stall]].concat();
    let names = &["relay.partner.example"][..];
    for (what, script, names, wanted) in [
        (
            "PLAIN",
            starttls_with(right.clone(), &["AUTH LOGIN PLAIN"], [plain, takes.clone()].concat()),
            names,
            "eva: delivered",
        ),
        (
            "LOGIN",
            starttls_with(right.clone(), &["AUTH LOGIN"], [by_login, takes.clone()].concat()),
            names,
            "eva: delivered",
        ),
        ("refused", starttls_with(right.clone(), &["AUTH PLAIN"], refused), names, "eva: 4.7.8 Peer"),
        ("neither", starttls_with(right.clone(), &["AUTH CRAM-MD5"], takes.clone()), names, "eva: 4.7.4 Peer"),
        ("offered in the clear alone", starttls_with(right.clone(), &[], takes.clone()), names, "eva: 4.7.4 Peer"),
        (
            "another name",
            starttls_with(right.clone(), &["AUTH PLAIN"], takes.clone()),
            &["relay.example"],
            "eva: 4.7.5 Peer",
        ),
        ("another root", starttls_with(stranger, &["AUTH PLAIN"], takes.clone()), names, "eva: 4.7.5 Peer"),
        ("no TLS", [hello(&["AUTH PLAIN"]), takes].concat(), names, "eva: 4.7.5 Peer"),
    ] {
        let peer = Peer::plays(vec![script]).await;
        let relay = routed(&peer, TlsLevel::Opportunistic, Some("gw:se:cret"), names, roots.clone());
        assert_eq!(told(&relay, &mail(&["eva@a.partner.example"])).await, [wanted], "{what}");
        if wanted.contains("4.7.4") || wanted.contains("4.7.5") {
            assert_eq!((peer.count("AUTH"), peer.count("MAIL")), (0, 0), "{what}");
        }
    }
}

#[tokio::test]
async fn each_domain_goes_its_own_way_and_tls_or_nothing_by_a_verified_one_alone() {
    let (right, roots) = certificate(&["127.0.0.1"]);
    let take = || vec![starttls_with(right.clone(), &[], [takes_message(1), vec![Act::Stall]].concat())];
    for (level, strict) in [
        (TlsLevel::Opportunistic, "eva: 4.7.10 Ourselves"),
        (TlsLevel::Encrypt, "eva: 4.7.10 Ourselves"),
        (TlsLevel::Verified, "eva: delivered"),
    ] {
        let peer = Peer::plays(take()).await;
        let relay = routed(&peer, level, None, &[], roots.clone());
        let verified = Dispatch { passage: Passage::VerifiedTls, ..mail(&["eva@a.partner.example"]) };
        assert_eq!(told(&relay, &verified).await, [strict], "{level:?}");
        assert_eq!(peer.count("MAIL"), usize::from(strict.ends_with("delivered")), "{level:?}");
    }
    let peer = Peer::plays(take()).await;
    let relay = routed(&peer, TlsLevel::Verified, None, &[], roots);
    let mut told = told(&relay, &mail(&["eva@a.partner.example", "ove@live.example"])).await;
    told.sort();
    assert_eq!(told, ["eva: delivered", "ove: 4.4.1 Peer"], "nobody listens at the smarthost");
}

#[tokio::test]
async fn tls_all_the_way_goes_to_a_proven_peer_that_promises_it_on() {
    let (right, roots) = certificate(&["127.0.0.1"]);
    let (stranger, _) = certificate(&["127.0.0.1"]);
    let take = || [takes_message(1), vec![Act::Stall]].concat();
    let in_the_clear = [hello(&["REQUIRETLS"]), take()].concat();
    let mut mail = Dispatch { passage: Passage::RequireTls, ..mail(&["eva@a.partner.example"]) };
    mail.envelope.require_tls = true;
    for (what, script, wanted) in [
        ("promised", starttls_with(right.clone(), &["REQUIRETLS"], take()), "eva: delivered"),
        ("not promised", starttls_with(right.clone(), &["DSN"], take()), "eva: 5.7.30 Peer"),
        ("not proven", starttls_with(stranger, &["REQUIRETLS"], take()), "eva: 4.7.5 Peer"),
        ("promised in the clear", in_the_clear.clone(), "eva: 4.7.5 Peer"),
    ] {
        let peer = Peer::plays(vec![script]).await;
        // Even where the route would do with less.
        let relay = routed(&peer, TlsLevel::Opportunistic, None, &[], roots.clone());
        assert_eq!(told(&relay, &mail).await, [wanted], "{what}");
        let asked = peer.count("MAIL FROM:<anna.berg@sundby.example> REQUIRETLS");
        assert_eq!((peer.count("MAIL"), asked), if wanted.ends_with("delivered") { (1, 1) } else { (0, 0) }, "{what}");
    }
    // The smarthost, and our own mail server on loopback, where what is said in the clear stays on this machine.
    let peer = Peer::plays(vec![starttls_with(right, &["REQUIRETLS"], take())]).await;
    let smarthost = relay_with(settings(&format!("smtp://{}", peer.address)), roots, Patience::STANDARD);
    assert_eq!(told(&smarthost, &mail).await, ["eva: delivered"]);
    let peer = Peer::plays(vec![in_the_clear]).await;
    let inner = Dispatch { destination: Destination::MailServer, ..mail };
    assert_eq!(told(&smtp(&peer), &inner).await, ["eva: delivered"]);
    assert_eq!(peer.count("MAIL FROM:<anna.berg@sundby.example> REQUIRETLS"), 0);
}

/// TLS as it is agreed on: with a peer of this century's end, and with one of the last.
#[tokio::test]
async fn tls_is_hybrid_where_the_peer_has_it_and_never_below_1_2() {
    let (right, roots) = certificate(&["127.0.0.1"]);
    let take = || [takes_message(1), vec![Act::Stall]].concat();
    let peer = Peer::plays(vec![starttls_with(right.clone(), &[], take())]).await;
    let relay = routed(&peer, TlsLevel::Verified, None, &[], roots);
    assert_eq!(told(&relay, &mail(&["eva@a.partner.example"])).await, ["eva: delivered"]);
    assert_eq!(peer.count("tls TLSv1_3 X25519MLKEM768"), 1, "{:?}", peer.heard());

    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (version, is_taken) in [("-tls1_1", false), ("-tls1_2", true)] {
        let address = free();
        let mut server = std::process::Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &address.to_string(), version, "-cert"])
            .arg(&chain)
            .arg("-key")
            .arg(&key)
            .args(weak)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("PEER MISSING: openssl");
        wait_until("OpenSSL", || std::net::TcpStream::connect(address).is_ok());
        let control = std::process::Command::new("openssl")
            .args(["s_client", "-connect", &address.to_string(), version])
            .args(weak)
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&control.stdout).into_owned();
        assert!(
            said.contains(&format!("New, {}", version.replace("-tls1_1", "TLSv1.0").replace("-tls1_2", "TLSv1.2"))),
            "{said}"
        );
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let any = ClientTls::with_roots(RootCertStore::empty()).unwrap();
        let shaken = any.connect(socket, "127.0.0.1", Proof::Any).await;
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(shaken.is_ok(), is_taken, "{version}");
    }
}

#[tokio::test]
async fn a_diagnosis_says_who_said_what() {
    let refusal = [("MAIL", "250 ok"), ("RCPT", "550 5.1.1 no such user here"), ("DATA", "554 nobody")];
    let refusal = refusal.map(|(verb, reply)| [Act::Hear(verb), say(reply)]).concat();
    let peer = Peer::plays(vec![[hello(ALL), refusal, vec![Act::Stall]].concat()]).await;
    let outcomes = smtp(&peer).deliver(&mail(&["eva@live.example"])).await;
    let Some((_, Outcome::Failed(diagnosis))) = outcomes.first() else { panic!("{outcomes:?}") };
    assert_eq!(diagnosis.blame, Blame::Recipient);
    assert_eq!(diagnosis.reply.as_deref(), Some("550 5.1.1 no such user here"));
    assert_eq!(diagnosis.remote.as_deref(), Some("127.0.0.1"));
    assert_eq!(diagnosis.reason, "the peer refused the recipient at RCPT");
}
