//! The operator's day: held, released, dropped, refused, explained, reloaded, erased.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use crate::mail_sink::Sink;
use crate::route::decoded;
use crate::running::{Gateway, free, wait_until};

const RULES: &str = r#"

[policy]
number_domains = { "cpr.sundby.example" = "dk-cpr" }

[[rule]]
name = "a person decides about budgets"
if.any = [{ subject = "(?i)budget" }]
protect = "hold"

[[rule]]
name = "nothing goes to rivals"
if.any = [{ to_domain = ["rival.example"] }]
protect = "refuse"
text = "mail to rivals is not allowed"

[[rule]]
name = "banks by verified TLS"
if.any = [{ to_domain = ["bank.example"] }]
protect = "tls"
"#;

struct Scene {
    outside: Sink,
    inside: Sink,
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn raise() -> Self {
        let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        std::fs::write(gateway.config(), config + RULES).unwrap();
        gateway.start();
        Self { outside, inside, gateway, _folder: folder }
    }

    /// Hands the gateway a message; the answer to the final dot.
    fn send(&self, to: &[&str], subject: &str) -> String {
        send(self.gateway.outbound, to, subject)
    }

    fn queue(&self) -> Vec<serde_json::Value> {
        self.gateway.ask(&["queue", "list"]).as_array().unwrap().clone()
    }

    fn inside_has(&self, words: &[&str]) -> bool {
        self.inside.messages().iter().any(|message| {
            let text = String::from_utf8_lossy(message).into_owned();
            words.iter().all(|word| text.contains(word))
        })
    }
}

/// Hands a gateway a message; the answer to the final dot.
pub fn send(address: SocketAddr, to: &[&str], subject: &str) -> String {
    send_from(address, "anna@sundby.example", to, &format!("Subject: {subject}\r\n"))
}

/// … from anybody, with any header.
pub fn send_from(address: SocketAddr, from: &str, to: &[&str], header: &str) -> String {
    let mut reader = BufReader::new(TcpStream::connect(address).unwrap());
    let mut told = String::new();
    reader.read_line(&mut told).unwrap();
    let mut lines = vec!["HELO client.example".to_owned(), format!("MAIL FROM:<{from}>")];
    lines.extend(to.iter().map(|to| match to.split_once('>') {
        None => format!("RCPT TO:<{to}>"),
        Some((to, parameters)) => format!("RCPT TO:<{to}>{parameters}"),
    }));
    lines.extend([
        "DATA".to_owned(),
        format!("From: {from}\r\n{header}X-Sealgate-Origin: forged\r\nX-Sealgate-Message: forged\r\n\r\ntext\r\n."),
    ]);
    for line in lines {
        reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        told.clear();
        reader.read_line(&mut told).unwrap();
        if line == "DATA" && !told.starts_with("354") {
            break;
        }
    }
    told.trim().to_owned()
}

/// The id in the answer to a final dot.
pub fn id_in(reply: &str) -> String {
    assert!(reply.starts_with("250 2.0.0 queued as "), "{reply}");
    reply.rsplit(' ').next().unwrap().to_owned()
}

/// RFC 3461 §5.2.2: who asked for a word of success has it from us where the next hop will not give it.
#[tokio::test(flavor = "multi_thread")]
async fn success_is_reported_as_relayed_where_the_next_hop_knows_no_reports() {
    let (outside, inside) = (Sink::start(true, &["-N"]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    id_in(&send(gateway.outbound, &["eva@live.example> NOTIFY=SUCCESS", "ove@live.example"], "Hej"));
    let report = || {
        let messages = inside.messages();
        let texts = messages.iter().map(|message| String::from_utf8_lossy(message).into_owned());
        texts.into_iter().find(|text| text.contains("Action: relayed"))
    };
    wait_until("the report", || report().is_some());
    let report = report().unwrap();
    assert!(report.contains("Final-Recipient: rfc822; eva@live.example") && !report.contains("ove@"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_holds_releases_drops_and_finds_the_story() {
    let scene = Scene::raise().await;

    let held = id_in(&scene.send(&["eva@live.example"], "Budget 2027"));
    wait_until("the hold", || scene.queue().iter().any(|item| item["stage"] == "held"));
    assert_eq!(scene.queue()[0]["recipients"][0]["state"], "held");
    assert!(scene.outside.messages().is_empty());
    wait_until("the receipt that says so", || scene.inside_has(&["Kvitto", "Budget 2027"]));
    // To retry everything decides about nothing.
    assert_eq!(scene.gateway.ask(&["queue", "retry", "--all"])["retried"], serde_json::json!([]));
    let refused = scene.gateway.command(&["queue", "retry", &held]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("queue release"));
    assert_eq!(scene.queue()[0]["recipients"][0]["state"], "held");
    scene.gateway.ask(&["queue", "release", &held]);
    wait_until("the released message", || scene.outside.messages().len() == 1);
    let released = String::from_utf8_lossy(&scene.outside.messages()[0]).into_owned();
    assert!(!released.contains("forged"), "forged marks are taken off: {released}");
    wait_until("an empty queue", || scene.queue().is_empty());

    // The sender wished to hear nothing; that it was given up he hears all the same.
    let dropped = id_in(&scene.send(&["eva@live.example> NOTIFY=NEVER"], "Budget 2028"));
    wait_until("the second hold", || scene.queue().iter().any(|item| item["stage"] == "held"));
    let unsaid = scene.gateway.command(&["queue", "drop", &dropped]).output().unwrap();
    assert_eq!(unsaid.status.code(), Some(64), "drop needs --notify");
    assert!(String::from_utf8_lossy(&unsaid.stderr).contains("sends its sender a report"), "{unsaid:?}");
    scene.gateway.ask(&["queue", "drop", &dropped, "--notify"]);
    wait_until("the report to the sender", || scene.inside_has(&["multipart/report", "Action: failed", "5.7.1"]));
    wait_until("an empty queue again", || scene.queue().is_empty());
    assert_eq!(scene.outside.messages().len(), 1);

    let events: Vec<String> = scene.gateway.ask(&["message", "trace", &held])["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["event"].as_str().unwrap().to_owned())
        .collect();
    let arrived = &scene.gateway.ask(&["message", "trace", &held])["events"];
    let arrived = arrived.as_array().unwrap().iter().find(|event| event["event"] == "delivered").unwrap();
    assert_eq!(arrived["recipient"], "eva@live.example");
    assert!(arrived["detail"].as_str().unwrap().contains(": 250 2"), "who took it, and what it said: {arrived}");
    for event in ["promised", "held", "released", "delivered"] {
        assert!(events.contains(&event.to_owned()), "{event} in {events:?}");
    }

    let number = id_in(&scene.send(&["2110625629@cpr.sundby.example"], "Afgørelse"));
    wait_until("the unreachable number", || scene.queue().iter().any(|item| item["stage"] == "held"));
    assert!(scene.queue()[0]["recipients"][0]["last_reply"].as_str().unwrap().contains("no channel"));
    scene.gateway.ask(&["queue", "drop", &number, "--notify"]);
}

/// At night, with the internet gone: what waits says why, in the words of the one on duty.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_leave_is_shown_with_its_reason() {
    let inside = Sink::start(true, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), free(), inside.address, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), config + RULES).unwrap();
    gateway.start();
    let send = |to: &str, subject: &str| id_in(&send(gateway.outbound, &[to], subject));
    let events = |id: &str, event: &str| -> Vec<serde_json::Value> {
        let trace = gateway.ask(&["message", "trace", id]);
        trace["events"].as_array().unwrap().iter().filter(|found| found["event"] == event).cloned().collect()
    };
    let recipient = |id: &str| gateway.ask(&["queue", "show", id])["recipients"][0].clone();

    let secured = send("eva@live.example", "[sikker] [sms: +46700000000] Hej");
    wait_until("the story of the notice in that of its message", || {
        let deferred = events(&secured, "deferred");
        deferred.iter().any(|event| {
            event["recipient"] == "eva@live.example" && event["detail"].as_str().unwrap().starts_with("notice ")
        })
    });
    let told = |words: &[&str]| {
        let letters = inside.messages();
        let mut letters = letters.iter().map(|letter| decoded(&String::from_utf8_lossy(letter)));
        letters.any(|letter| words.iter().all(|word| letter.contains(word)))
    };
    wait_until("a receipt that promises no more than is so", || told(&["avisering är på väg", "inget sms skickas"]));

    let verified = send("kund@bank.example", "Hej");
    wait_until("a first attempt", || recipient(&verified)["attempts"] != 0);
    let waits = recipient(&verified);
    assert_eq!(gateway.ask(&["queue", "show", &verified])["stage"], "deferred");
    assert_eq!(waits["state"], "deferred");
    assert!(waits["last_reply"].as_str().unwrap().starts_with("4.7.10 no verified TLS"), "{waits}");
    assert_eq!(events(&verified, "deferred")[0]["recipient"], "kund@bank.example");
    let released = gateway.command(&["queue", "release", &verified]).output().unwrap();
    assert!(!released.status.success() && String::from_utf8_lossy(&released.stderr).contains("nothing of"));
    gateway.ask(&["queue", "hold", &verified]);
    assert_eq!(recipient(&verified)["state"], "held");

    // The e-ID that is configured shows Swedish numbers: nobody could ever open this.
    let danish = send("eva@live.example", "[id: dk-cpr 010190-1234] Hej");
    wait_until("the hold", || gateway.ask(&["queue", "show", &danish])["stage"] == "held");
    assert!(recipient(&danish)["last_reply"].as_str().unwrap().contains("dk-cpr"));
    assert!(told(&["dk-cpr"]), "and its sender has heard it");

    let page = reqwest::get(format!("http://{}/metrics", gateway.control)).await.unwrap().text().await.unwrap();
    for number in ["sealgate_queue_messages{kind=\"held\"} 2\n", "sealgate_queue_messages{kind=\"corrupt\"} 0\n"] {
        assert!(page.contains(number), "{number} in {page}");
    }
    assert!(page.contains("sealgate_queue_oldest_seconds "), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_nobody_took_is_shown_with_its_message() {
    let (outside, inside) = (Sink::start(false, &["-f", "rcpt"]).await, Sink::start(true, &[]).await);
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = Gateway::found(folder.path(), outside.address, inside.address, "http://127.0.0.1:9");
    gateway.start();
    let id = id_in(&send(gateway.outbound, &["eva@live.example"], "[sikker] Hej"));
    let recipient = || gateway.ask(&["message", "list"])[0]["recipients"][0].clone();
    wait_until("the refused notice", || recipient()["notice_failed"].is_string());
    assert_eq!((recipient()["state"].as_str(), recipient()["damaged"].as_bool()), (Some("noticed"), Some(false)));
    let mut shown = Command::new(env!("CARGO_BIN_EXE_sealgate"));
    let listed = shown.args(["message", "show", &id, "--config"]).arg(gateway.config()).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("notice-failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_said_at_the_final_dot_or_reported() {
    let scene = Scene::raise().await;
    let refused = scene.send(&["boss@rival.example"], "Hej");
    assert!(refused.starts_with("550 5.7.1") && refused.contains("mail to rivals is not allowed"), "{refused}");
    id_in(&scene.send(&["boss@rival.example", "eva@live.example"], "Hej"));
    wait_until("the one that passes", || scene.outside.messages().len() == 1);
    wait_until("the report about the other", || scene.inside_has(&["multipart/report", "boss@rival.example", "5.7.1"]));
    let two = scene.send(&["a@live.example", "b@live.example"], "[id: 19850101-2382] Hej");
    assert!(two.starts_with("550") && two.contains("one person"), "{two}");
    wait_until("an empty queue", || scene.queue().is_empty());

    let from = "anna@other.example";
    let mut reader = BufReader::new(TcpStream::connect(scene.gateway.outbound).unwrap());
    reader.get_mut().write_all(format!("HELO client.example\r\nMAIL FROM:<{from}>\r\n").as_bytes()).unwrap();
    let door = reader.lines().nth(2).unwrap().unwrap();
    assert!(door.starts_with("550 5.7.1 "), "{door}");
    let file = scene.gateway.folder.join("message.eml");
    std::fs::write(&file, "Subject: Hej\r\n\r\nHej\r\n").unwrap();
    let explained = ["explain", "--from", from, "--to", "eva@live.example", file.to_str().unwrap()];
    let explained = &scene.gateway.ask(&explained)["recipients"][0];
    assert_eq!(explained["treatment"], "refuse");
    let reason = explained["reasons"][0].as_str().unwrap();
    assert_eq!(reason, format!("the sender is told: {door}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_the_rules_and_a_faulty_file_changes_nothing() {
    let scene = Scene::raise().await;
    let pid = scene.gateway.pid().to_string();
    let reload = || assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    let log = || std::fs::read_to_string(scene.gateway.folder.join("log")).unwrap();
    let config = std::fs::read_to_string(scene.gateway.config()).unwrap();

    std::fs::write(scene.gateway.config(), config.replace("protect = \"refuse\"", "protect = \"refus\"")).unwrap();
    reload();
    wait_until("the word that nothing was changed", || log().contains("nothing was changed"));
    let line = |words: &str| log().lines().find(|line| line.contains(words)).map(str::to_owned).unwrap_or_default();
    let fault = line("not a word known here");
    assert!(fault.contains("ERROR") && fault.contains("protect: ") && fault.contains("hint=\"write one of"), "{fault}");
    assert!(!log().contains("nothing started") && !log().contains("warning:"), "{}", log());
    assert!(line("nobody vouches for TLS").contains("WARN"), "{}", log());
    assert!(scene.send(&["boss@rival.example"], "Hej").starts_with("550"));

    std::fs::write(scene.gateway.config(), config.replace("rival.example", "enemy.example")).unwrap();
    reload();
    wait_until("the new rules", || log().contains("was read again"));
    assert!(line("was read again").contains("INFO") && !log().contains("needs a restart"), "{}", log());
    id_in(&scene.send(&["boss@rival.example"], "Hej"));
    assert!(scene.send(&["boss@enemy.example"], "Hej").starts_with("550"));

    let moved = config.replace(&scene.gateway.outbound.to_string(), &free().to_string());
    let moved = moved + "\n[log]\nformat = \"json\"\n";
    std::fs::write(scene.gateway.config(), moved).unwrap();
    reload();
    wait_until("what stays as it was", || log().contains("needs a restart"));
    let said = line("needs a restart");
    assert!(said.contains("settings=\"log.format, smtpd.outbound.listen\"") && said.contains("WARN"), "{said}");

    // Said once each at the start.
    assert_eq!(log().matches("audit.head=").count(), 1);
    for door in ["outbound", "inbound", "portal", "control", "health"] {
        let of_door = |line: &&str| line.contains("listening") && line.contains(&format!("door=\"{door}\""));
        assert_eq!(log().lines().filter(of_door).count(), 1, "{door}: {}", log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recalled_and_expired_messages_are_gone_and_an_export_opens_with_age() {
    let scene = Scene::raise().await;
    let id = id_in(&scene.send(&["eva@live.example"], "[sikker] Hej"));
    wait_until("the deposit", || !scene.gateway.ask(&["message", "list"]).as_array().unwrap().is_empty());
    let file = scene.gateway.folder.join("message.age");
    let exported = scene.gateway.ask(&["message", "export", &id, "--locked", file.to_str().unwrap()]);
    assert!(std::fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n"));
    assert_eq!(exported["sha256"].as_str().unwrap().len(), 64);
    let age = |identity: &std::path::Path, locked: &std::path::Path| {
        let output =
            Command::new("age").args(["-d", "-i"]).arg(identity).arg(locked).output().expect("PEER MISSING: age");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let keys = scene.gateway.folder.join("exported");
    let written = scene.gateway.command(&["key", "export", keys.to_str().unwrap()]).status().unwrap();
    assert!(written.success());
    let epoch = scene.gateway.folder.join("epoch.key");
    std::fs::write(&epoch, age(&scene.gateway.folder.join("keys/vault.key"), &keys.join("0001.age"))).unwrap();
    assert!(String::from_utf8_lossy(&age(&epoch, &file)).contains("Subject: [sikker] Hej"));

    scene.gateway.ask(&["message", "recall", &id]);
    assert_eq!(scene.gateway.ask(&["message", "show", &id])["recipients"][0]["state"], "recalled");
    wait_until("the word that it was recalled", || scene.inside_has(&["=?utf-8?B?", "multipart/alternative"]));
    assert!(!scene.gateway.command(&["message", "recall", &id]).output().unwrap().status.success(), "once is enough");
    assert!(
        !scene.gateway.command(&["message", "export", &id, "--locked", "/dev/null"]).output().unwrap().status.success(),
        "nothing is left to export"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_mailbox_chosen_for_good_is_remembered_for_that_kind_of_recipient() {
    let mut scene = Scene::raise().await;
    scene.gateway.kill();
    let config = std::fs::read_to_string(scene.gateway.config()).unwrap();
    let provider = config.split("[[identity.provider]]").nth(1).unwrap().split("\n\n").next().unwrap();
    let companies =
        provider.replace("id = \"eid\"", "id = \"companies\"").replace("se-personnummer", "se-organisationsnummer");
    let config = format!("{config}\n[[identity.provider]]{companies}\n");
    let clerks = "\n[[department]]\nid = \"kansli\"\nname = { sv = \"Kansli\", da = \"Kontor\", en = \"Office\" }\naddress = \"kansli@sundby.example\"\n";
    std::fs::write(scene.gateway.config(), config + clerks).unwrap();
    scene.gateway.start();
    let said = std::cell::Cell::new(0);
    let receipt = |subject: &str| {
        said.set(said.get() + 1);
        let word = format!("Ärende {}.", said.get());
        id_in(&scene.send(&["eva@live.example"], &format!("{subject} {word}")));
        let mut found = None;
        wait_until("the receipt", || {
            let all = scene.inside.messages();
            let mut texts = all.iter().map(|message| decoded(&String::from_utf8_lossy(message)));
            found = texts.find(|text| text.contains(&word));
            found.is_some()
        });
        found.unwrap()
    };
    let names_it = |receipt: &str| receipt.contains("kansli@sundby.example");
    let (citizen, business) = ("[sikker] Hej", "[id: se-organisationsnummer 212000-0142] Hej");

    assert!(!names_it(&receipt(citizen)));
    assert!(names_it(&receipt("[sikker] [svar: kansli] Hej")));
    assert!(!names_it(&receipt(citizen)), "without the mark it was for that message alone");
    assert!(names_it(&receipt("[sikker] [svar: kansli!] Hej")));
    assert!(names_it(&receipt(citizen)), "with it, from now on");
    assert!(!names_it(&receipt(business)), "for citizens, not for businesses");
    assert!(names_it(&receipt("[svar: kansli!] [id: se-organisationsnummer 212000-0142] Hej")));
    assert!(names_it(&receipt(business)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_is_secure_however_long_it_is_and_a_circle_ends() {
    let scene = Scene::raise().await;
    let (from, eva) = ("anna@sundby.example", ["eva@live.example"]);
    let said = |header: &str| send_from(scene.gateway.outbound, from, &eva, header);
    id_in(&said("Subject: [sikker] Hej\r\nMessage-ID: <root@sundby.example>\r\n"));
    wait_until("the notice", || scene.outside.messages().len() == 1);
    let newer = |count: usize| (0..count).map(|n| format!(" <n{n}@sundby.example>\r\n")).collect::<String>();
    for (place, count) in [1, 25, 250, 2_500].into_iter().enumerate() {
        id_in(&said(&format!(
            "Subject: Re: Hej\r\nMessage-ID: <later{count}@sundby.example>\r\nReferences: <root@sundby.example>\r\n{}",
            newer(count)
        )));
        wait_until("another notice", || scene.outside.messages().len() == 2 + place);
        let left = String::from_utf8_lossy(scene.outside.messages().last().unwrap()).into_owned();
        assert!(!left.contains("Re: Hej"), "{left}");
    }
    let hops = |count: usize| said(&format!("{}Subject: Hej\r\n", "Received: from a by b; now\r\n".repeat(count)));
    id_in(&hops(100));
    assert!(hops(101).starts_with("550 5.4.6"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_to_noreply_of_himself_is_told_by_his_own_server() {
    let scene = Scene::raise().await;
    let to = ["noreply@gw.sundby.example"];
    let told = send_from(scene.gateway.inbound, "forged@live.example", &to, "Subject: Hej\r\n");
    assert!(told.starts_with("550 5.7.1") && told.contains("our notices"), "{told}");
    assert!(scene.queue().is_empty() && scene.outside.messages().is_empty());
}
