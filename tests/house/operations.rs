//! `docs/operations.md`, followed word for word: its blocks make a Postfix, its commands are run.

use std::net::SocketAddr;

use crate::mail_sink::Sink;
use crate::operator::send_from;
use crate::postfix::Postfix;
use crate::running::{Gateway, free, wait_until};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");

/// The block of the page that begins with this line.
fn block(first: &str) -> String {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut blocks = page.split("```").skip(1).step_by(2).filter_map(|block| Some(block.split_once('\n')?.1));
    let found = blocks.find(|block| block.lines().next() == Some(first));
    found.unwrap_or_else(|| panic!("docs/operations.md has no block {first}")).to_owned()
}

struct Scene {
    outside: Sink,
    inside: Sink,
    gateway: Gateway,
    mail_server: Postfix,
    clerks: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// The mail server as the page wants it, its addresses in place of the page's.
    async fn raise() -> Self {
        let (outside, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
        let folder = tempfile::tempdir().unwrap();
        // The gateway hands inside mail to a door of the mail server of its own.
        let (clerks, for_gateway) = (free(), free());
        let gateway = Gateway::found(folder.path(), outside.address, for_gateway, "http://127.0.0.1:9");
        let mail_server = Postfix::with(|etc| {
            let own = |text: String| {
                text.replace("/etc/postfix", etc.to_str().unwrap())
                    .replace("[127.0.0.1]:10025", &format!("[127.0.0.1]:{}", gateway.outbound.port()))
                    .replace("submission  inet", &format!("{clerks} inet"))
            };
            for file in ["sealgate_transport", "sealgate_tags"] {
                std::fs::write(etc.join(file), own(block(&format!("# {file}")))).unwrap();
            }
            let services = format!("{}{for_gateway} inet n - n - - smtpd\n", own(block("# master.cf")));
            let settings = own(block("# main.cf"));
            (services, format!("relay_transport = smtp:[127.0.0.1]:{}\n{settings}", inside.address.port()))
        });
        Self { outside, inside, gateway, mail_server, clerks, _folder: folder }
    }

    fn run(&self, commands: &str) {
        let smarthost = format!("[127.0.0.1]:{}", self.outside.address.port());
        let gateway = format!("[127.0.0.1]:{}", self.gateway.outbound.port());
        let commands = commands.replace("[smarthost.example]:25", &smarthost).replace("[127.0.0.1]:10025", &gateway);
        self.mail_server.shell(&commands);
    }

    /// A clerk sends.
    fn send(&self, to: &[&str], header: &str) {
        let reply = send_from(self.clerks, "anna@sundby.example", to, header);
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// How many messages the mail server keeps.
    fn waiting(&self) -> usize {
        self.mail_server.shell("postqueue -j").lines().count()
    }
}

fn holds(sink: &Sink, words: &str) -> bool {
    sink.messages().iter().any(|message| String::from_utf8_lossy(message).contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_gateway_is_down_what_is_tagged_waits_and_the_rest_goes_if_somebody_says_so() {
    let mut scene = Scene::raise().await;
    // A way around that somebody set up long ago: marked mail must not find it.
    let fallback = format!("postconf -e 'smtp_fallback_relay = [127.0.0.1]:{}'", scene.outside.address.port());
    scene.mail_server.shell(&format!("{fallback}; postfix reload"));

    // Every mark of the page, and some that only look like one.
    let marked = [
        "Subject: [sikker] HEMLIGT 1\r\n",
        "Subject: =?utf-8?B?W3PDpGtlcnRdIEhFTUxJR1QgMg==?=\r\n",
        "Subject: HEMLIGT 3\r\nSensitivity: Company-Confidential\r\n",
        "Subject: a long one\r\n that goes on\r\n [secure] HEMLIGT 4\r\n",
        "Subject: S\u{e4}kert HEMLIGT 5\r\n",
        "SUBJECT: HEMLIGT 6\r\nX-Sealgate-Protect: secure\r\n",
        "Subject: HEMLIGT 7\r\nIn-Reply-To: <1.2@gw.sundby.example>\r\n",
    ];
    for header in marked {
        scene.send(&["eva@live.example", "ove@sundby.example"], header);
    }
    scene.send(&["thread+abc@gw.sundby.example"], "Subject: HEMLIGT 8\r\n");
    scene.send(&["eva@live.example"], "Subject: dinner\r\n");
    scene.send(&["ove@sundby.example"], "Subject: inside\r\n");
    let kept = marked.len() + 2;
    wait_until("mail for the inside, and all else waiting", || {
        holds(&scene.inside, "inside") && scene.waiting() == kept
    });

    scene.run(&block("# around the gateway"));
    wait_until("what is not marked", || holds(&scene.outside, "dinner"));
    scene.send(&["eva@live.example"], "Subject: supper\r\n");
    scene.send(&["eva@live.example"], "Subject: [sikker] HEMLIGT 9\r\n");
    wait_until("what came with the switch on", || holds(&scene.outside, "supper") && scene.waiting() == kept);
    assert_eq!(scene.outside.messages().len(), 2, "nothing marked went around");
    assert!(!holds(&scene.inside, "HEMLIGT"));

    scene.gateway.start();
    scene.run(&block("# through the gateway"));
    wait_until("an empty queue", || scene.waiting() == 0);
    wait_until("an empty queue at the gateway", || scene.gateway.ask(&["queue", "list"]) == serde_json::json!([]));
    assert_eq!(scene.gateway.ask(&["message", "list"]).as_array().unwrap().len(), 6);
    for secret in ["HEMLIGT 1", "HEMLIGT 2", "RU1MSUdUIDI", "HEMLIGT 3", "HEMLIGT 4", "HEMLIGT 6", "HEMLIGT 9"] {
        assert!(!holds(&scene.outside, secret), "{secret}");
    }
    assert!(holds(&scene.outside, "HEMLIGT 7"), "what only looked marked to Postfix left by the gateway");
    // Who was named inside had it by the gateway; its mark did not send it round again.
    wait_until("those inside", || holds(&scene.inside, "HEMLIGT 3") && scene.waiting() == 0);
}

/// A configuration in which the sections of a block have been put in the place of its own.
fn with_sections(config: &str, block: &str) -> String {
    let head = |line: &str| line.starts_with('[').then(|| line.split(['#', ' ']).next().unwrap().to_owned());
    let written: Vec<String> = block.lines().filter_map(head).collect();
    let (mut kept, mut is_ours) = (String::new(), true);
    for line in config.lines() {
        if let Some(section) = head(line) {
            is_ours = !written.contains(&section);
        }
        if is_ours {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept + block
}

#[test]
fn every_block_of_the_configuration_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::found(folder.path(), free(), free(), "http://127.0.0.1:9");
    let founded = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(
        folder.path().join("recipients.txt"),
        block("# recipients.txt: an address or a whole domain a line"),
    )
    .unwrap();
    let page = std::fs::read_to_string(PAGE).unwrap();
    let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    for block in blocks {
        std::fs::write(gateway.config(), with_sections(&founded, block)).unwrap();
        let checked = gateway.command(&["check", "--no-files"]).output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
        let faults = told["faults"].as_array().unwrap();
        assert!(faults.is_empty(), "{block}{faults:#?}");
    }
}

#[tokio::test]
async fn the_numbers_the_page_alarms_on_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (outside, inside) = (free(), free());
    let mut gateway = Gateway::found(folder.path(), outside, inside, "http://127.0.0.1:9");
    gateway.start();
    // A message that cannot leave brings every family into being.
    send_from(gateway.outbound, "anna@sundby.example", &["eva@live.example"], "Subject: dinner\r\n");
    send_from(gateway.outbound, "eva@live.example", &["eva@live.example"], "Subject: dinner\r\n");
    let page = std::fs::read_to_string(PAGE).unwrap();
    let named: Vec<&str> =
        page.split('`').filter(|word| word.starts_with("sealgate_") && !word.contains(' ')).collect();
    let named: Vec<&str> = named.into_iter().map(|word| word.split('{').next().unwrap()).collect();
    let names: Vec<&str> =
        named.into_iter().filter(|name| !["sealgate_transport", "sealgate_tags"].contains(name)).collect();
    assert!(names.len() >= 5, "{names:?}");
    let metrics = reqwest::get(format!("http://{}/metrics", gateway.control)).await.unwrap().text().await.unwrap();
    for name in names {
        let family = name.trim_end_matches("_total");
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} is not served: {metrics}");
    }
}
