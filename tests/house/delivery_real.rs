//! Delivery against real servers: Postfix's sink and Dovecot.

use std::sync::Arc;

use sealgate::delivery::{Bounds, Destination, Dispatch, Handover, InMemory, Outcome, Settings, Transport};

use crate::delivery::{Endless, MESSAGE, mail, relay, settings, told};
use crate::dovecot::Dovecot;
use crate::mail_sink::{Sink, cpu_seconds};

#[tokio::test]
async fn postfix_s_sink_gets_every_octet_and_nothing_more() {
    let sink = Sink::start(true, &[]).await;
    let relay = relay(settings(&format!("smtp://{}", sink.address)));
    let large = format!("Subject: large\r\n\r\n{}", ".a line with a dot\r\n..\r\n.\r\n".repeat(40_000));
    let bodies = [MESSAGE.to_owned(), "Subject: åäö\r\n\r\n.\r\n\r\nno line end".to_owned(), large];
    for body in &bodies {
        let mail = Dispatch {
            size: body.len() as u64,
            has_eight_bit: !body.is_ascii(),
            contents: InMemory::contents(body.clone()),
            ..mail(&["eva@live.example", "ole@live.example"])
        };
        assert_eq!(told(&relay, &mail).await, ["eva: delivered", "ole: delivered"]);
    }
    let taken = sink.messages();
    for body in &bodies {
        let wanted = body.replace("\r\n", "\n");
        let wanted = wanted.trim_end_matches('\n').as_bytes();
        let is_it = |file: &Vec<u8>| file.windows(wanted.len()).any(|part| part == wanted);
        let count = taken.iter().filter(|file| file.len() < wanted.len() + 1_000 && is_it(file)).count();
        assert_eq!(count, 1, "{} octets", body.len());
    }
}

#[tokio::test]
async fn postfix_s_sink_refuses_and_hangs_up_as_told() {
    let cases: [(&[&str], &str); 9] = [
        (&["-f", "CONNECT"], "eva: 4.3.0 Peer"),
        (&["-f", "MAIL"], "eva: 5.3.0 Message"),
        (&["-r", "MAIL"], "eva: 4.3.0 Message"),
        (&["-f", "RCPT"], "eva: 5.3.0 Recipient"),
        (&["-r", "DATA"], "eva: 4.3.0 Message"),
        (&["-f", "."], "eva: 5.3.0 Message"),
        (&["-q", "DATA"], "eva: 4.4.2 Peer"),
        (&["-q", "."], "eva: 4.4.2 Peer"),
        (&["-8", "-e", "-p"], "eva: delivered"),
    ];
    for (options, wanted) in cases {
        let sink = Sink::start(false, options).await;
        let relay = relay(settings(&format!("smtp://{}", sink.address)));
        assert_eq!(told(&relay, &mail(&["eva@live.example"])).await, [wanted], "{options:?}");
    }
    let sink = Sink::start(false, &["-L"]).await;
    let relay = relay(settings(&format!("lmtp://{}", sink.address)));
    let told = told(&relay, &mail(&["eva@live.example", "ole@live.example"])).await;
    assert_eq!(told, ["eva: delivered", "ole: delivered"]);
}

#[tokio::test]
async fn dovecot_takes_for_each_what_it_has_a_mailbox_for() {
    let dovecot = Dovecot::start(&["anna@sundby.example", "ole@sundby.example"]).await;
    let relay = relay(settings(&format!("lmtp://{}", dovecot.lmtp)));
    let recipients = ["anna@sundby.example", "gone@sundby.example", "ole@sundby.example"];
    let mail = Dispatch { destination: Destination::MailServer, ..mail(&recipients) };
    for round in 1..=2 {
        let outcomes = relay.deliver(&mail).await;
        for (address, outcome) in &outcomes {
            match (address.local().as_str(), outcome) {
                ("gone", Outcome::Failed(why)) => assert_eq!(why.status.to_string(), "5.1.1"),
                ("anna" | "ole", Outcome::Delivered(delivery)) => assert_eq!(delivery.handover, Handover::Final),
                (name, outcome) => panic!("{name}: {outcome:?}"),
            }
        }
        for user in ["anna@sundby.example", "ole@sundby.example"] {
            let mailbox = dovecot.mailbox(user);
            assert_eq!(mailbox.len(), round);
            let is_whole = |text: &String| text.replace("\r\n", "\n").ends_with("Subject: hello\n\n.dot\nbye\n");
            assert!(mailbox.iter().all(is_whole), "{mailbox:?}");
        }
    }
    relay.close().await;
}

/// Not a test but a measurement: `cargo test --release --test house -- --ignored --nocapture rate_to_a_sink`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
#[allow(clippy::cast_precision_loss)]
async fn rate_to_a_sink() {
    for (connections, octets, count) in
        [(1, 4_096, 10_000), (10, 4_096, 40_000), (10, 65_536, 8_000), (10, 1 << 20, 1_000)]
    {
        let sink = Sink::start(false, &[]).await;
        let bounds = Bounds { connections, ..Bounds::default() };
        let relay = Arc::new(relay(Settings { bounds, ..settings(&format!("smtp://{}", sink.address)) }));
        let body = format!(
            "Subject: rate\r\n\r\n{}",
            "a line of seventy-eight octets, more or less, as most lines are\r\n".repeat(octets / 66)
        );
        let mail =
            Dispatch { size: body.len() as u64, contents: InMemory::contents(body), ..mail(&["eva@live.example"]) };
        let (begun, ours, theirs) = (std::time::Instant::now(), cpu_seconds("self"), sink.cpu_seconds());
        let senders = (0..connections).map(|_| {
            let (relay, mail) = (Arc::clone(&relay), mail.clone());
            tokio::spawn(async move {
                for _ in 0..count / connections {
                    let outcomes = relay.deliver(&mail).await;
                    assert!(matches!(outcomes[0].1, Outcome::Delivered(_)), "{outcomes:?}");
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.unwrap();
        }
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{octets} octets, {connections} connections: {:.0} messages/s, our CPU {:.0} µs a message, the sink's {:.0} µs",
            count as f64 / seconds,
            (cpu_seconds("self") - ours) / count as f64 * 1e6,
            (sink.cpu_seconds() - theirs) / count as f64 * 1e6,
        );
    }
}

/// A measurement as well: `… --ignored --nocapture memory_of_a_large_message`.
#[tokio::test]
#[ignore = "a measurement"]
async fn memory_of_a_large_message() {
    let sink = Sink::start(false, &[]).await;
    let relay = relay(settings(&format!("smtp://{}", sink.address)));
    let before = peak_memory_kib();
    let large = Dispatch { contents: Arc::new(Endless { left: 1_620 }), ..mail(&["eva@live.example"]) };
    assert_eq!(told(&relay, &large).await, ["eva: delivered"]);
    println!("100 MiB in one message: peak memory grew by {} KiB", peak_memory_kib() - before);
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
