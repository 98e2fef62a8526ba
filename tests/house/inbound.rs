//! Mail from outside: whom the inbound door takes it for, and how it gets to our mail server. Postfix and Dovecot stand
//! behind, slapd knows who is there, and a sink keeps whatever would leave.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sealgate::delivery::{Asked, Callout, Directory, DirectorySettings, RecipientList, Recipients, SystemResolver};
use sealgate::net::{ClientTls, Clock};
use sealgate::policy::{RecipientCheck, Standing};

use crate::delivery::settings;
use crate::dovecot::Dovecot;
use crate::mail_sink::Sink;
use crate::postfix::Postfix;
use crate::running::{Gateway, free, wait_until};
use crate::scripted_peer::{Act, Peer, hello, say};
use crate::slapd::{READER, Slapd};
use crate::smtp::Haproxy;

const ANNA: &str = "anna.berg@sundby.example";
const BYGG: &str = "bygg@sundby.example";
const FULL: &str = "full@sundby.example";
const POSTMASTER: &str = "postmaster@sundby.example";
const UNKNOWN: &str = "550 5.1.1 no such address here";

/// What a stranger's server says, and hears: each command's reply; a message's is the last.
pub fn say_to(address: SocketAddr, commands: &[String]) -> Vec<String> {
    let mut reader = BufReader::new(TcpStream::connect(address).unwrap());
    let mut told = Vec::new();
    let mut read = |reader: &mut BufReader<TcpStream>| loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.as_bytes().get(3) != Some(&b'-') {
            told.push(line.trim().to_owned());
            break;
        }
    };
    read(&mut reader);
    for command in std::iter::once("EHLO mx.live.example").chain(commands.iter().map(String::as_str)) {
        if reader.get_mut().write_all(format!("{command}\r\n").as_bytes()).is_err() {
            break;
        }
        read(&mut reader);
    }
    told
}

fn rcpt(address: SocketAddr, path: &str) -> String {
    let told = say_to(address, &["MAIL FROM:<eva@live.example>".into(), format!("RCPT TO:{path}")]);
    told.last().unwrap().clone()
}

/// Hands a message over; the reply to the final dot.
pub fn send(address: SocketAddr, from: &str, to: &[&str], message: &str) -> String {
    let mut commands = vec![format!("MAIL FROM:<{from}>")];
    commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    commands.extend(["DATA".to_owned(), format!("{message}\r\n.")]);
    say_to(address, &commands).pop().unwrap()
}

/// A gateway whose mail server is there, by the scheme, and knows recipients this way.
fn gateway(folder: &std::path::Path, outside: &Sink, mail_server: &str, recipients: &str) -> Gateway {
    let (scheme, address) = mail_server.split_once("://").unwrap();
    let gateway = Gateway::found(folder, outside.address, address.parse().unwrap(), "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let written = config
        .replace(&format!("mail_server = \"smtp://{address}\""), &format!("mail_server = \"{scheme}://{address}\""))
        .replace("[smtpd.inbound] ", &format!("[smtpd.inbound]\n{recipients} "));
    std::fs::write(gateway.config(), written).unwrap();
    gateway
}

/// Both doors are open.
fn start(gateway: &mut Gateway) {
    gateway.start();
    wait_until("the inbound door", || TcpStream::connect(gateway.inbound).is_ok());
}

pub fn all_has_left(gateway: &Gateway) {
    wait_until("an empty queue", || gateway.ask(&["queue", "list"]).as_array().unwrap().is_empty());
}

/// Whoever sets up a proxy and a door that do not fit each other finds the reason in the log; the peer hears what anybody
/// hears who sends lines that are no commands.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_the_door_does_not_expect_is_named_in_the_log() {
    let outside = Sink::start(true, &[]).await;
    for (settings, way, wanted) in [
        ("", "send-proxy", "set `proxy_protocol = true` and name the peer in `trusted_peers`"),
        ("", "send-proxy-v2", "set `proxy_protocol = true` and name the peer in `trusted_peers`"),
        (
            "proxy_protocol = true\ntrusted_peers = [\"192.0.2.1\"]\n",
            "send-proxy-v2",
            "hint=\"name the peer in `trusted_peers`",
        ),
        (
            "proxy_protocol = true\ntrusted_peers = [\"127.0.0.1\"]\n",
            "send-proxy",
            "version 1: let the proxy send version 2",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let nobody = format!("smtp://{}", free());
        let mut gateway = gateway(folder.path(), &outside, &nobody, settings);
        start(&mut gateway);
        let front = free();
        let _haproxy = Haproxy::start(folder.path(), front, gateway.inbound, way);
        let told = say_to(front, &["MAIL FROM:<eva@live.example>".into()]);
        assert!(!told.concat().contains("proxy_protocol"), "{told:?}");
        wait_until(wanted, || std::fs::read_to_string(folder.path().join("log")).unwrap().contains(wanted));
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(log.contains("PROXY protocol header"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_taken_for_whom_the_mail_server_knows_and_for_nobody_else() {
    let outside = Sink::start(true, &[]).await;
    let mailboxes = Dovecot::start(&[ANNA, BYGG, POSTMASTER]).await;
    let folder = tempfile::tempdir().unwrap();
    let mail_server_at = free();
    let mut gateway = gateway(folder.path(), &outside, &format!("smtp://{mail_server_at}"), "");
    start(&mut gateway);
    let inbound = gateway.inbound;
    // Nobody can be asked: nothing is taken, and nothing of it is remembered.
    assert!(rcpt(inbound, &format!("<{ANNA}>")).starts_with("451 4.3.0"));
    assert_eq!(rcpt(inbound, "<eva@live.example>"), "550 5.7.1 this host passes nothing on");
    let known = folder.path().join("known");
    std::fs::write(&known, format!("{ANNA} x\n{BYGG} x\n{POSTMASTER} x\n")).unwrap();
    let more = format!("relay_recipient_maps = texthash:{}\nlocal_header_rewrite_clients =", known.display());
    let outbound = gateway.outbound;
    let raise = || Postfix::start_at(mail_server_at, outbound, mailboxes.lmtp, &more);
    let mail_server = raise();

    for (path, wanted) in [
        ("<anna.berg@sundby.example>", "250 2.1.5"),
        ("<ANNA.BERG@SUNDBY.EXAMPLE>", "250 2.1.5"),
        ("<ole@sundby.example>", UNKNOWN),
        ("<anna.berg+x@sundby.example>", UNKNOWN),
        ("<nobody@gw.sundby.example>", UNKNOWN),
        ("<bounce+aaaaaaaaaaaaaaaaaaaaaaaaaa@gw.sundby.example>", UNKNOWN),
        // Who answers for the mail is always there.
        ("<postmaster>", "250 2.1.5"),
        ("<Postmaster@gw.sundby.example>", "250 2.1.5"),
        ("<abuse@gw.sundby.example>", "250 2.1.5"),
        ("<postmaster@sundby.example>", "250 2.1.5"),
        // A route is ignored (RFC 5321 §4.1.1.3): the mailbox counts.
        ("<@live.example:anna.berg@sundby.example>", "250 2.1.5"),
        ("<@sundby.example:eva@live.example>", "550 5.7.1"),
        ("<eva%live.example@sundby.example>", "550 5.7.1"),
        ("<live.example!eva@sundby.example>", "550 5.7.1"),
        ("<\"eva@live.example\"@sundby.example>", "550 5.7.1"),
        ("<\"@live.example:eva\"@sundby.example>", "550 5.7.1"),
        ("<eva%live.example@gw.sundby.example>", "550 5.1.1"),
        ("<anna.berg@sundby.example@live.example>", "553 5.1.3"),
        ("<eva@live.example@sundby.example>", "553 5.1.3"),
        ("<anna.berg@under.sundby.example>", "550 5.7.1"),
        ("<anna.berg@sundby.example.live.example>", "550 5.7.1"),
        ("<postmaster@live.example>", "550 5.7.1"),
    ] {
        let told = rcpt(inbound, path);
        assert!(told.starts_with(wanted), "{path}: {told}");
    }
    let guesses: Vec<String> = std::iter::once("MAIL FROM:<>".to_owned())
        .chain((0..110).map(|number| format!("RCPT TO:<guess{number}@sundby.example>")))
        .collect();
    let told = say_to(inbound, &guesses);
    assert!(told.iter().any(|line| line.starts_with("421 4.7.0")), "who guesses is shown out: {told:?}");
    let log = || std::fs::read_to_string(gateway.folder.join("log")).unwrap();
    let refused = "refused door=\"inbound\" peer=127.0.0.1 step=\"recipient\" status=\"5.1.1\"";
    assert!(log().contains(refused), "the log says who: {}", log());

    // Octet by octet as it came, with our trace before it; what only we write does not come from outside.
    let message = "From: Eva <eva@live.example>\r\nTo: anna.berg@sundby.example\r\nSubject:  folded\r\n \todd\r\nMessage-ID: <in1@live.example>\r\n\r\n..dot\r\nb\u{e5}de \r\n\r\n\r\nend";
    let said = send(inbound, "eva@live.example", &[ANNA, "noreply@gw.sundby.example"], message);
    assert!(said.starts_with("250 2.0.0 queued as "), "{said}");
    let forged = "X-Sealgate-Origin: portal; number=verified\r\nx-sealgate-protect: secure\r\nSubject: forged\r\n\r\nx";
    assert!(send(inbound, "", &["abuse@gw.sundby.example", "postmaster@gw.sundby.example"], forged).starts_with("250"));
    assert!(send(gateway.outbound, ANNA, &[BYGG], "Subject: inside\r\n\r\nx").starts_with("250"));
    wait_until("the mail", || [ANNA, BYGG, POSTMASTER].iter().all(|user| mailboxes.mailbox(user).len() == 1));
    let taken = mailboxes.mailbox(ANNA).remove(0).replace("\r\n", "\n");
    let unstuffed = message.replace("\r\n", "\n").replace("\n..dot", "\n.dot") + "\n";
    assert!(taken.ends_with(&unstuffed), "{taken}");
    assert!(taken.contains("Return-Path: <eva@live.example>"), "{taken}");
    assert!(taken.contains("from mx.live.example") && taken.contains("by gw.sundby.example"), "{taken}");
    let to_postmaster = mailboxes.mailbox(POSTMASTER).remove(0);
    assert!(to_postmaster.contains("Subject: forged") && !to_postmaster.to_lowercase().contains("x-sealgate-origin"));
    assert!(!to_postmaster.to_lowercase().contains("x-sealgate-protect"));
    let id = said.rsplit(' ').next().unwrap();
    wait_until("the trace", || {
        let trace = gateway.ask(&["message", "trace", id]).to_string();
        trace.contains("door=inbound") && trace.contains("delivered") && trace.contains("built in: inbound")
    });

    // Known a moment ago, the mail server away: taken, kept over kill -9, and handed on once.
    drop(mail_server);
    wait_until("Postfix gone", || TcpStream::connect(mail_server_at).is_err());
    let said = send(inbound, "eva@live.example", &[ANNA], "Subject: kept\r\n\r\nx");
    assert!(said.starts_with("250 2.0.0"), "{said}");
    gateway.kill();
    start(&mut gateway);
    let shown = gateway.ask(&["queue", "show", said.rsplit(' ').next().unwrap()]);
    assert_eq!((&shown["direction"], &shown["sender"]), (&"in".into(), &"eva@live.example".into()));
    let _mail_server = raise();
    assert!(gateway.command(&["queue", "retry", "--all"]).output().unwrap().status.success());
    all_has_left(&gateway);
    wait_until("the mail", || mailboxes.mailbox(ANNA).len() == 2);
    assert_eq!(mailboxes.mailbox(ANNA).iter().filter(|mail| mail.contains("Subject: kept")).count(), 1);
    assert!(outside.messages().is_empty());

    // Whoever is turned away, the log names the setting that did it.
    gateway.kill();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let limited = config.replacen("greeting_pause", "max_connections_per_minute = 4\ngreeting_pause", 1);
    std::fs::write(gateway.config(), limited).unwrap();
    start(&mut gateway);
    let greetings: Vec<String> = (0..6).map(|_| say_to(inbound, &["QUIT".to_owned()]).remove(0)).collect();
    assert!(greetings.iter().any(|line| line == "421 4.7.0 too often, come again later"), "{greetings:?}");
    let log = std::fs::read_to_string(gateway.folder.join("log")).unwrap();
    assert!(log.contains("turned away: too often for max_connections_per_minute"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_server_gives_back_is_told_inside_and_to_no_stranger() {
    let outside = Sink::start(true, &[]).await;
    let mailboxes = Dovecot::start_with_full(&[ANNA, BYGG, POSTMASTER], &[FULL]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut gateway = gateway(folder.path(), &outside, &format!("lmtp://{}", mailboxes.lmtp), "");
    start(&mut gateway);
    let inbound = gateway.inbound;
    assert_eq!(rcpt(inbound, "<ole@sundby.example>"), UNKNOWN);
    // A stranger, nobody, and one of ours, or who says so: one of three recipients has no room.
    let reports = |user: &str| -> Vec<String> {
        mailboxes.mailbox(user).into_iter().filter(|mail| mail.contains("report-type=delivery-status")).collect()
    };
    for (from, notify, told) in
        [("eva@live.example", " NOTIFY=SUCCESS,FAILURE,DELAY", POSTMASTER), ("", "", POSTMASTER), (BYGG, "", BYGG)]
    {
        let before = reports(told).len();
        let commands = [
            format!("MAIL FROM:<{from}> RET=FULL ENVID=e1"),
            format!("RCPT TO:<{ANNA}>{notify}"),
            format!("RCPT TO:<{FULL}>{notify}"),
            format!("RCPT TO:<{BYGG}>{notify}"),
            "DATA".to_owned(),
            format!("Subject: LOCKRUBRIK\r\nX-From: {from}\r\n\r\nLOCKTEXT of more than ten octets\r\n."),
        ];
        assert!(say_to(inbound, &commands).pop().unwrap().starts_with("250 2.0.0"));
        wait_until("the report", || reports(told).len() == before + 1);
    }
    all_has_left(&gateway);
    assert_eq!((reports(POSTMASTER).len(), reports(BYGG).len(), reports(ANNA).len()), (2, 1, 0));
    for report in reports(POSTMASTER) {
        let (letter, machine) = report.split_once("Content-Type: message/delivery-status").unwrap();
        assert!(machine.contains("full@sundby.example") && machine.contains("Action: failed"), "{machine}");
        assert!(machine.contains("Status: 5.2.2") && !machine.contains("anna.berg@"), "{machine}");
        assert!(machine.contains("Subject: LOCKRUBRIK") && !report.contains("LOCKTEXT"));
        // Strangers' words stand in their own part alone.
        assert!(!letter.contains("LOCKRUBRIK"), "{letter}");
    }
    let taken = |user: &str| mailboxes.mailbox(user).iter().filter(|mail| mail.contains("LOCKTEXT")).count();
    assert_eq!((taken(ANNA), taken(BYGG), taken(FULL)), (3, 3, 0));
    assert!(outside.messages().is_empty(), "something left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_who_is_there_and_is_read_again_on_reload() {
    let outside = Sink::start(false, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("recipients.txt");
    std::fs::write(&list, "# ours\nanna.berg@sundby.example\n").unwrap();
    let way = "recipients = \"list:recipients.txt\"";
    let mut gateway = gateway(folder.path(), &outside, &format!("smtp://{}", free()), way);
    start(&mut gateway);
    let told = |local: &str| rcpt(gateway.inbound, &format!("<{local}@sundby.example>"));
    assert!(told("anna.berg").starts_with("250"));
    assert_eq!(told("ole"), UNKNOWN);
    let reload = |text: &str| {
        std::fs::write(&list, text).unwrap();
        assert!(Command::new("kill").args(["-HUP", &gateway.pid().to_string()]).status().unwrap().success());
    };
    reload("anna.berg@sundby.example\nole\n");
    wait_until("the fault", || {
        std::fs::read_to_string(gateway.folder.join("log")).unwrap().contains("line 2: neither")
    });
    assert!(told("anna.berg").starts_with("250"), "a faulty list changes nothing");
    reload("ole@sundby.example\n");
    wait_until("the new list", || told("ole").starts_with("250"));
    assert_eq!(told("anna.berg"), UNKNOWN);
}

#[tokio::test]
async fn a_directory_says_who_is_there() {
    let mut slapd = Slapd::start();
    let directory = |url: String, start_tls, password: &str, base: &str| {
        let settings = DirectorySettings {
            url,
            start_tls,
            bind: Some((READER.0.to_owned(), password.to_owned().into())),
            base: base.to_owned(),
            filter: "(|(mail={address})(proxyAddresses=smtp:{address}))".parse().unwrap(),
            patience: Duration::from_secs(5),
        };
        Directory::new(settings, Some(&slapd.certificate)).unwrap()
    };
    let (plain, tls) = (format!("ldap://{}", slapd.plain), format!("ldaps://{}", slapd.tls));
    let base = "dc=sundby,dc=example";
    let asked = |directory: Arc<Directory>, address: &'static str| async move {
        match directory.standing(&address.parse().unwrap()).await {
            Standing::Undecided(why) => why,
            decided => format!("{decided:?}"),
        }
    };
    for (url, start_tls) in [(plain.clone(), false), (plain.clone(), true), (tls.clone(), false)] {
        let directory = Arc::new(directory(url, start_tls, READER.1, base));
        for (address, wanted) in [
            (ANNA, "Known"),
            ("ANNA@Sundby.Example", "Known"),
            ("ole@sundby.example", "Unknown"),
            ("\"*\"@sundby.example", "Unknown"),
            ("\"anna*\"@sundby.example", "Unknown"),
            ("\"x)(mail=*\"@sundby.example", "Unknown"),
        ] {
            assert_eq!(asked(Arc::clone(&directory), address).await, wanted, "{address}");
        }
    }
    // What has to be set right, or is away, decides nothing.
    for (url, password, base, why) in [
        (plain.clone(), "wrong", base, "the directory: result code 49: it does not take `bind_dn` and `password`"),
        (plain.clone(), READER.1, "dc=elsewhere,dc=example", "the directory: result code 32: there is no entry `base`"),
        (tls.replace("127.0.0.1", "localhost"), READER.1, base, "the directory: "),
    ] {
        let told = asked(Arc::new(directory(url, false, password, base)), ANNA).await;
        assert!(told.starts_with(why), "{told}");
    }
    let directory = Arc::new(directory(plain, false, READER.1, base));
    assert_eq!(asked(Arc::clone(&directory), ANNA).await, "Known");
    slapd.stop();
    assert!(asked(Arc::clone(&directory), ANNA).await.starts_with("the directory: "));
    slapd.run();
    assert_eq!(asked(directory, ANNA).await, "Known");
}

/// A reload keeps what the mail server has said: while it is away, mail for whom it knew is taken. Another source has its
/// own memory.
#[tokio::test]
async fn a_reload_keeps_what_was_said_of_recipients() {
    let anna = ANNA.parse().unwrap();
    let peer = Peer::plays(vec![
        [
            hello(&["PIPELINING", "ENHANCEDSTATUSCODES"]),
            vec![
                Act::Hear("MAIL FROM:<>"),
                say("250 ok"),
                Act::Hear("RCPT"),
                say("250 ok"),
                Act::Hear("RSET"),
                say("250 ok"),
            ],
        ]
        .concat(),
    ])
    .await;
    let callout = |address: SocketAddr| {
        let tls = ClientTls::with_roots(rustls::RootCertStore::empty()).unwrap();
        let told = settings(&format!("smtp://{address}"));
        Asked::MailServer(Arc::new(Callout::with(told, tls, Arc::new(SystemResolver), Callout::PATIENCE)))
    };
    let recipients = Recipients::new(callout(peer.address), Clock::System);
    assert_eq!(recipients.standing(&anna).await, Standing::Known);
    recipients.swap(callout(free()));
    assert_eq!(recipients.standing(&anna).await, Standing::Known, "nobody answers there");
    recipients.swap(Asked::List(RecipientList::default()));
    assert_eq!(recipients.standing(&anna).await, Standing::Unknown);
    recipients.swap(callout(free()));
    assert!(matches!(recipients.standing(&anna).await, Standing::Undecided(_)));
}

#[tokio::test]
async fn a_mail_server_is_asked_in_one_session_and_never_given_a_message() {
    let asked = |said: &str| {
        vec![
            Act::Hear("MAIL FROM:<>"),
            say("250 2.1.0 ok"),
            Act::Hear("RCPT TO:<anna@sundby.example>"),
            say(said),
            Act::Hear("RSET"),
            say("250 2.0.0 ok"),
        ]
    };
    let greeting = || hello(&["PIPELINING", "ENHANCEDSTATUSCODES"]);
    let refusals: Vec<Act> = (0..8).flat_map(|_| asked("550 5.1.1 no")).collect();
    let scripts: [(Vec<Act>, &[&str]); 6] = [
        ([greeting(), asked("250 ok"), asked("450 4.2.0 later"), asked("250 ok")].concat(), &["Known", "-", "Known"]),
        // Without pipelining, a line at a time.
        ([hello(&["SIZE"]), asked("552 5.2.2 full"), asked("250 ok")].concat(), &["TakesNone", "Known"]),
        (vec![say("554 5.7.1 go away")], &["-"]),
        ([greeting(), vec![Act::Hear("MAIL"), say("550 5.7.1 no reports here")]].concat(), &["-"]),
        ([greeting(), vec![Act::Hear("MAIL"), say("421 4.3.2 closing")]].concat(), &["-"]),
        // Who says no too often is left alone, before it hangs up.
        ([greeting(), refusals, vec![Act::Hear("QUIT")]].concat(), &["Unknown"; 8]),
    ];
    for (number, (script, wanted)) in scripts.into_iter().enumerate() {
        let peer = Peer::plays(vec![script]).await;
        let tls = ClientTls::with_roots(rustls::RootCertStore::empty()).unwrap();
        let told = settings(&format!("smtp://{}", peer.address));
        let callout = Callout::with(told, tls, Arc::new(SystemResolver), Callout::PATIENCE);
        for wanted in wanted {
            let standing = callout.standing(&"anna@sundby.example".parse().unwrap()).await;
            match standing {
                Standing::Undecided(why) => assert_eq!(*wanted, "-", "{number}: {why}"),
                decided => assert_eq!(*wanted, format!("{decided:?}"), "{number}"),
            }
        }
        assert_eq!(peer.count("connection"), 1, "{number}");
        assert_eq!(peer.count("DATA"), 0);
    }
}
