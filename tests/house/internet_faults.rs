//! What the open internet does to a sender: peers that hardly answer, and names that somebody else answers for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::RootCertStore;
use sealgate::delivery::{
    Dispatch, Internet, Outcome, Passage, Patience, Relay, Settings, SystemResolver, Transport, Trust,
};
use sealgate::net::{ClientTls, Dns};

use crate::delivery::{mail, settings, told};
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::open_internet::{keeping, policy, serve_policies};
use crate::scripted_peer::{Act, Certificate, Peer, Stage, hello, say};

/// At each step; the clock runs faster here: its minute is a fifth of our patience.
#[tokio::test]
async fn a_peer_that_answers_one_octet_a_minute_is_left_when_its_time_is_up() {
    let limit = Duration::from_millis(400);
    let drip = |text: &str| Act::Drip(format!("{text}\r\n"), limit / 5);
    let envelope =
        [Act::Hear("MAIL"), say("250 ok"), Act::Hear("RCPT"), say("250 ok"), Act::Hear("DATA"), say("354 go")];
    let steps: [(&str, Vec<Act>, &str); 6] = [
        ("greeting", vec![], "220 peer.example at your service"),
        ("EHLO", hello(&[])[..2].to_vec(), "250 peer.example at your service"),
        ("MAIL", [hello(&[]), envelope[..1].to_vec()].concat(), "250 2.1.0 I will think of it"),
        ("RCPT", [hello(&[]), envelope[..3].to_vec()].concat(), "250 2.1.5 I will think of it"),
        ("DATA", [hello(&[]), envelope[..5].to_vec()].concat(), "354 whenever it suits you"),
        (
            "final dot",
            [hello(&[]), envelope.to_vec(), vec![Act::HearMessage]].concat(),
            "250 2.0.0 I may have taken it",
        ),
    ];
    for (step, before, text) in steps {
        let peer = Peer::plays(vec![[before, vec![drip(text), Act::Stall]].concat()]).await;
        let patience =
            Patience { greeting: limit, command: limit, data: limit, final_dot: limit, ..Patience::STANDARD };
        let tls = ClientTls::with_roots(RootCertStore::empty()).unwrap();
        let hop = settings(&format!("smtp://{}", peer.address));
        let relay = Relay::with(hop, Trust::from(tls), None, None, Arc::new(SystemResolver), patience);
        let begun = Instant::now();
        assert_eq!(told(&relay, &mail(&["eva@live.example"])).await, ["eva: 4.4.2 Peer"], "{step}");
        assert!(begun.elapsed() < limit * 4, "{step}: {:?}", begun.elapsed());
        peer.hears("gone").await;
    }
}

#[test]
fn dns_spoofing_without_dnssec_moves_nothing_that_must_be_proven() {
    on_a_network_of_its_own("internet_faults::spoofed_names_lead_to_a_host_that_gets_nothing");
}

/// An attacker answers for a zone that nobody signs. His host is real, and has an honest certificate for its own name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "dns_spoofing_without_dnssec_… runs it on a network of its own"]
async fn spoofed_names_lead_to_a_host_that_gets_nothing() {
    let (issuer, issued) = Certificate::issued_for_names(&["mx.sts.unsigned", "mta-sts.sts.unsigned"]);
    let (other_issuer, evil) = Certificate::issued_for_names(&["mx.evil.unsigned"]);
    let mut roots = issuer.roots();
    roots.add(other_issuer.der().to_vec().into()).unwrap();
    let takes = |certificate: &Certificate| {
        let shake = [Act::Hear("STARTTLS"), say("220 go"), Act::Tls(certificate.acceptor()), Act::TakeAll];
        [hello(&["STARTTLS"]), shake.to_vec()].concat()
    };
    let (true_host, evil_host) =
        (Stage::at("192.0.2.10:25".parse().unwrap()).await, Stage::at("192.0.2.66:25".parse().unwrap()).await);
    true_host.play(takes(&issued));
    let policies = HashMap::from([("sts.unsigned".to_owned(), policy("enforce", "mx.sts.unsigned"))]);
    let _policy_host = serve_policies("192.0.2.30", issued.acceptor(), policies).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = keeping(folder.path());
    let relay = |servers: &NameServers| {
        let dns = servers.validated_here();
        let mx = Settings { internet: Internet::Mx, ..settings("smtp://127.0.0.1:9") };
        let tls = ClientTls::with_roots(roots.clone()).unwrap();
        let dns = Some(Dns::new(&dns).unwrap());
        Relay::with(mx, Trust::from(tls), dns, Some(kept.clone()), Arc::new(SystemResolver), Patience::STANDARD)
    };
    let send =
        async |relay: &Relay, to: &str, passage| relay.deliver(&Dispatch { passage, ..mail(&[to]) }).await[0].1.clone();
    let true_names =
        "sts MX 10 mx.sts\nmx.sts A 192.0.2.10\n_mta-sts.sts TXT \"v=STSv1; id=1;\"\nmta-sts.sts A 192.0.2.30\n";
    {
        let servers = NameServers::start("", true_names, ("", ""), &[]);
        let relay = relay(&servers);
        let outcome = send(&relay, "eva@sts.unsigned", Passage::Any).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{outcome:?}");
        relay.close().await;
    }

    let evil_names = "mx.evil A 192.0.2.66\nevil MX 10 mx.evil\n";
    for (what, spoofed) in [
        ("another host", "sts MX 10 mx.evil\nplain MX 10 mx.evil\n"),
        (
            "another address of the true host",
            "sts MX 10 mx.sts\nmx.sts A 192.0.2.66\nplain MX 10 mx.plain\nmx.plain A 192.0.2.66\n",
        ),
        (
            "another host and another policy",
            "sts MX 10 mx.evil\n_mta-sts.sts TXT \"v=STSv1; id=2;\"\nmta-sts.sts A 192.0.2.66\nplain MX 10 mx.evil\n",
        ),
    ] {
        let servers = NameServers::start("", &format!("{spoofed}{evil_names}"), ("", ""), &[]);
        let relay = relay(&servers);
        for (to, passage) in [
            ("eva@sts.unsigned", Passage::Any),
            ("eva@sts.unsigned", Passage::VerifiedTls),
            ("eva@plain.unsigned", Passage::VerifiedTls),
        ] {
            evil_host.play(takes(&evil));
            let outcome = send(&relay, to, passage).await;
            assert!(matches!(outcome, Outcome::Deferred(_)), "{what}, {to}: {outcome:?}");
            let heard = evil_host.heard().await;
            assert!(!heard.iter().any(|line| line.starts_with("MAIL")), "{what}, {to}: {heard:?}");
        }
        // Plain mail to a domain that proves nothing goes where its names lead: that is what the others are for.
        let outcome = send(&relay, "eva@plain.unsigned", Passage::Any).await;
        assert!(matches!(outcome, Outcome::Delivered(_)), "{what}: {outcome:?}");
        relay.close().await;
    }
}
