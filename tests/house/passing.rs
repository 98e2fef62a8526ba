//! What passes through us between strangers and the mail server: sealed on its way in, given a return path of ours on its way
//! out again.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sealgate::net::{Clock, Dns};
use sealgate::sender_auth::{Algorithm, ArcStatus, Checks, SigningKey};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::inbound::{all_has_left, say_to, send};
use crate::mail_sink::Sink;
use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::postfix::Postfix;
use crate::running::{Gateway, free, wait_until};
use crate::sender_auth::{Key, prove, send_from, txt};
use crate::signing::verified;

const ANNA: &str = "anna.berg@sundby.example";

/// Addresses and ports below 1024 belong to whoever owns the network: so it is one of our own, without a way out.
#[test]
fn what_passes_through_is_sealed_and_comes_home() {
    for test in [
        "what_is_handed_on_is_sealed",
        "what_is_refused_later_is_told_to_proven_senders_alone",
        "what_came_in_forged_in_our_name_is_not_signed_on_its_way_out",
    ] {
        on_a_network_of_its_own(&format!("passing::{test}"));
    }
}

/// A message as a host took it.
#[derive(Clone, Debug)]
struct Taken {
    from: String,
    to: Vec<String>,
    octets: String,
}

/// A mail host that keeps what it takes, and refuses messages in which this stands.
struct Keeper {
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Keeper {
    async fn start(address: SocketAddr, refuses: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let taken: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let kept = Arc::clone(&taken);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let _ = converse(BufReader::new(stream), refuses, &kept).await;
                });
            }
        });
        Self { taken }
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    /// Waits until it has taken so many; the last.
    fn nth(&self, number: usize) -> Taken {
        wait_until("the message", || self.taken().len() >= number);
        assert_eq!(self.taken().len(), number, "{:?}", self.taken());
        self.taken().pop().unwrap()
    }
}

async fn converse(
    mut stream: BufReader<tokio::net::TcpStream>,
    refuses: &str,
    kept: &Mutex<Vec<Taken>>,
) -> std::io::Result<()> {
    stream.write_all(b"220 host\r\n").await?;
    let mut taken = Taken { from: String::new(), to: Vec::new(), octets: String::new() };
    let mut line = String::new();
    let path = |line: &str| line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let reply = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => "250-host\r\n250 8BITMIME\r\n",
            "MAIL" => {
                taken = Taken { from: path(&line), to: Vec::new(), octets: String::new() };
                "250 2.1.0 ok\r\n"
            }
            "RCPT" => {
                taken.to.push(path(&line));
                "250 2.1.5 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go\r\n").await?;
                loop {
                    line.clear();
                    if stream.read_line(&mut line).await? == 0 {
                        return Ok(());
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    taken.octets.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                if !refuses.is_empty() && taken.octets.contains(refuses) {
                    "550 5.7.1 not here\r\n"
                } else {
                    kept.lock().unwrap().push(taken.clone());
                    "250 2.0.0 taken\r\n"
                }
            }
            "QUIT" => return stream.write_all(b"221 2.0.0 bye\r\n").await,
            _ => "250 2.0.0 ok\r\n",
        };
        stream.write_all(reply.as_bytes()).await?;
    }
}

/// A gateway on the open internet whose inbound door is at port 25 of 192.0.2.1, with a mail server behind it, more in its
/// configuration, and texts of it replaced.
fn gateway(folder: &Path, servers: &NameServers, mail_server: SocketAddr, replaced: &[(&str, &str)]) -> Gateway {
    let mut gateway = Gateway::found(folder, free(), mail_server, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let config = servers.instead_of_smarthost(&config);
    let config = config.replacen("dns = ", "private_networks = [\"192.0.2.0/24\"]\ndns = ", 1);
    let mut config = config.replace(&gateway.inbound.to_string(), "192.0.2.1:25");
    for (old, new) in replaced {
        assert!(config.contains(old), "{old}");
        config = config.replacen(old, new, 1);
    }
    gateway.inbound = "192.0.2.1:25".parse().unwrap();
    std::fs::write(gateway.config(), config).unwrap();
    start(&mut gateway);
    gateway
}

fn start(gateway: &mut Gateway) {
    gateway.start();
    wait_until("the inbound door", || TcpStream::connect(gateway.inbound).is_ok());
}

/// Starts it again with a key of its own.
fn sign_with(gateway: &mut Gateway, key: &SigningKey) {
    let pem = gateway.folder.join("keys/dkim.pem");
    std::fs::write(&pem, key.to_pem().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let entry = "[[dkim]]\ndomain = \"sundby.example\"\nselector = \"gw1\"\nkey = \"keys/dkim.pem\"\n";
    std::fs::write(gateway.config(), format!("{config}\n{entry}")).unwrap();
    gateway.kill();
    start(gateway);
}

fn message(subject: &str) -> String {
    format!(
        "From: Eva <eva@live.unsigned>\r\nTo: {ANNA}\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{subject}@live.unsigned>\r\n\r\nHej  du \r\n\r\nLOCKTEXT\r\n\r\n\r\n"
    )
}

/// The field as it was put on when such mail came in for the first time.
const MARKED: &str = "X-Sealgate-Loop: 1; 00112233445566778899aabbccddeeff; author=unproven\r\n";

/// Our domain asks for nothing, so that what is forged in its name comes in; a rule of the mail server sends it out again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "what_passes_through_… runs it on a network of its own"]
async fn what_came_in_forged_in_our_name_is_not_signed_on_its_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let ours = SigningKey::generate(Algorithm::Rsa).unwrap();
    let root =
        ["sundby.example. TXT \"v=spf1 ip4:192.0.2.20 -all\"\n", "_dmarc.sundby.example. TXT \"v=DMARC1; p=none\"\n"];
    let servers = NameServers::start(&root.concat(), "live MX 10 mx.live\nmx.live A 192.0.2.11\n", ("", ""), &[]);
    let mail_server_at = free();
    let mail_server = Keeper::start(mail_server_at, "").await;
    let outside = Keeper::start("192.0.2.11:25".parse().unwrap(), "").await;
    let mut gateway = gateway(&folder.path().join("gateway"), &servers, mail_server_at, &[]);
    sign_with(&mut gateway, &ours);
    let written = |subject: &str| message(subject).replace("Eva <eva@live.unsigned>", &format!("Anna <{ANNA}>"));
    let (stranger, service) = ("192.0.2.10", "192.0.2.20");
    let named_anew = |octets: &str| octets.replace("Message-ID: <", "Message-ID: <new.");
    let without_id = |subject: &str| written(subject).replace("Message-ID: ", "X-No-ID: ");
    let with_id = |octets: &str| octets.replace("X-No-ID: ", "Message-ID: ");
    let as_it_is = |octets: &str| octets.to_owned();
    let by_list = |octets: &str| octets.replace("Eva <eva@live.unsigned>", "Eva by the list <lista@sundby.example>");
    let none = |octets: &str| {
        octets.split_once("\r\nX-Sealgate-Loop: ").map(|_| octets.replacen("X-Sealgate-Loop", "X-Gone", 1)).unwrap()
    };
    type Change<'c> = &'c dyn Fn(&str) -> String;
    let cases: [(&str, &str, String, &str, Change<'_>, bool); 9] = [
        ("forged", stranger, written("1"), ANNA, &as_it_is, false),
        ("forged, from the null path", stranger, written("2"), "", &as_it_is, false),
        ("forged, named anew", stranger, written("3"), ANNA, &named_anew, false),
        ("forged, named by the mail server", stranger, without_id("4"), ANNA, &with_id, false),
        ("forged, with a blank before all", stranger, format!(" X: y\r\n{}", written("5")), ANNA, &as_it_is, false),
        ("proven", service, written("6"), ANNA, &as_it_is, true),
        (
            "forged, and sent in again by a service of ours",
            service,
            format!("{MARKED}{}", written("8")),
            ANNA,
            &as_it_is,
            false,
        ),
        ("forged, and the mail server takes our field off", stranger, written("7"), ANNA, &none, true),
        (
            "marked by its own author, whose list it then is from",
            stranger,
            MARKED.to_owned() + &message("9"),
            ANNA,
            &by_list,
            true,
        ),
    ];
    for (number, (what, from, sent, sender, change, is_signed)) in cases.into_iter().enumerate() {
        let said = send_from(from, gateway.inbound, sender, ANNA, &sent).await;
        assert!(said.starts_with("250 2.0.0"), "{what}: {said}");
        let taken = mail_server.nth(number + 1).octets;
        assert_eq!(taken.contains("dmarc=pass"), from == service, "{what}: {taken}");
        let forwarded = format!("Received: from gw by mail.sundby.example; now\r\n{}", change(&taken));
        let said = send(gateway.outbound, sender, &["eva@live.unsigned"], forwarded.trim_end_matches("\r\n"));
        assert!(said.starts_with("250 2.0.0"), "{what}: {said}");
        let left = outside.nth(number + 1).octets;
        assert_eq!(left.contains("DKIM-Signature: "), is_signed, "{what}: {left}");
    }
    // What our own people write is signed.
    let said = send(gateway.outbound, ANNA, &["eva@live.unsigned"], &written("10"));
    assert!(said.starts_with("250 2.0.0"), "{said}");
    assert!(outside.nth(10).octets.contains("DKIM-Signature: "));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "what_passes_through_… runs it on a network of its own"]
async fn what_is_handed_on_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::rsa(folder.path(), 2048);
    let ours = SigningKey::generate(Algorithm::Rsa).unwrap();
    let mut unsigned = String::from("live TXT \"v=spf1 ip4:192.0.2.10 -all\"\n");
    for name in ["_dmarc.live", "_dmarc.lists"] {
        unsigned += &txt(name, "v=DMARC1; p=none");
    }
    unsigned += &txt("key._domainkey.live", &key.record);
    unsigned += &txt("key._domainkey.lists", &key.record);
    let root = txt("gw1._domainkey.sundby.example.", &ours.record().unwrap());
    let servers = NameServers::start(&root, &unsigned, ("", ""), &[]);
    let mail_server_at = free();
    let mail_server = Keeper::start(mail_server_at, "").await;
    let gateway = gateway(&folder.path().join("gateway"), &servers, mail_server_at, &[]);
    let (live, door) = ("192.0.2.10", gateway.inbound);
    let checks = {
        let settings = servers.validated_here();
        Checks::new(Arc::new(Dns::new(&settings).unwrap()), Clock::System)
    };
    let take = async |number: usize, message: &str| {
        let said = send_from(live, door, "eva@live.unsigned", ANNA, message).await;
        assert!(said.starts_with("250 2.0.0"), "{said}");
        let taken = mail_server.nth(number);
        assert_eq!((taken.from.as_str(), taken.to.as_slice()), ("eva@live.unsigned", &[ANNA.to_owned()][..]));
        taken.octets
    };
    let signed = key.sign(&[], "live.unsigned", &message("first"));
    // Without a key nobody can seal.
    assert!(!take(1, &signed).await.contains("ARC-"));

    let mut gateway = gateway;
    sign_with(&mut gateway, &ours);

    let forged = format!("Authentication-Results: gw.sundby.example; dmarc=pass\r\n{signed}");
    let seen = |message: &str| format!("Authentication-Results: lists.unsigned; dkim=pass\r\n{message}");
    let listed = key.seal("lists.unsigned", &seen(&signed.replace("Hej  du", "Hej  [lista]")));
    assert!(listed.starts_with("ARC-Seal"), "{listed}");
    let (mut sealed, whole) = (Vec::new(), [("1", &signed), ("1", &forged), ("2", &listed)]);
    for (number, (instance, sent)) in whole.into_iter().enumerate() {
        let taken = take(number + 2, sent).await;
        // Our set stands on top, and says what our other field says.
        let seal = format!("ARC-Seal: i={instance};");
        assert!(taken.starts_with(&seal), "{taken}");
        let told = |name: &str| {
            let (_, field) = taken.split_once(name).unwrap();
            field.split_once(" smtp.remote-ip").unwrap().0.replace("\r\n", "").replace('\t', " ")
        };
        let ours = told("\r\nAuthentication-Results: gw.sundby.example;");
        assert_eq!(told(&format!("ARC-Authentication-Results: i={instance};\r\n\tgw.sundby.example;")), ours);
        assert!(ours.contains("spf=pass smtp.mailfrom=eva@live.unsigned"), "{ours}");
        // As the mail server got it, and as it forwards it.
        sealed.push(taken.clone());
        sealed.push(format!("Received: by mail.sundby.example; x\r\nDelivered-To: {ANNA}\r\n{taken}"));
    }
    for (sealed, sets) in sealed.iter().zip([1, 1, 1, 1, 2, 2]) {
        let proof = prove(&checks, "192.0.2.11", "mail.sundby.example", ANNA, sealed).await;
        assert_eq!((proof.arc.status, proof.arc.sets), (ArcStatus::Pass, sets), "{:?} {sealed}", proof.arc);
        assert_eq!(proof.arc.sealers.last().unwrap().as_str(), "sundby.example");
    }
    let records = HashMap::from([
        ("key._domainkey.live.unsigned".to_owned(), key.record.clone()),
        ("key._domainkey.lists.unsigned".to_owned(), key.record.clone()),
        ("gw1._domainkey.sundby.example".to_owned(), ours.record().unwrap()),
    ]);
    let octets: Vec<Vec<u8>> = sealed.iter().map(|message| message.clone().into_bytes()).collect();
    for told in verified(&records, &octets) {
        assert_eq!(told["arc"], "pass", "{told}");
    }
    let changed = sealed[4].replace("LOCKTEXT", "another").into_bytes();
    assert_ne!(verified(&records, &[changed])[0]["arc"], "pass");

    // A chain that is broken is not mended.
    for (number, broken) in
        [listed.replace("LOCKTEXT", "another"), listed.replacen("cv=none", "cv=fail", 1)].iter().enumerate()
    {
        let taken = take(number + 5, broken).await;
        assert_eq!(taken.matches("ARC-Seal:").count(), 1, "{taken}");
        assert!(taken.contains("arc=fail"), "{taken}");
    }
}

/// What our mail server refuses after we took it is told outside to whoever is proven, and to nobody else; so is what we
/// could not forward.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "what_passes_through_… runs it on a network of its own"]
async fn what_is_refused_later_is_told_to_proven_senders_alone() {
    const REFUSED: &str = "REFUSE THIS";
    let folder = tempfile::tempdir().unwrap();
    let ours = SigningKey::generate(Algorithm::Rsa).unwrap();
    let mut unsigned =
        String::from("live TXT \"v=spf1 ip4:192.0.2.10 -all\"\nlive MX 10 mx.live\nmx.live A 192.0.2.10\n");
    unsigned += &txt("_dmarc.live", "v=DMARC1; p=none");
    let root = txt("gw1._domainkey.sundby.example.", &ours.record().unwrap());
    let servers = NameServers::start(&root, &unsigned, ("", ""), &[]);
    let mail_server_at = free();
    let mail_server = Keeper::start(mail_server_at, REFUSED).await;
    let outside = Keeper::start("192.0.2.10:25".parse().unwrap(), REFUSED).await;
    let at = folder.path().join("gateway");
    let forwarded = ("[smtpd.outbound] ", "[smtpd.outbound]\nforwarded = \"srs\" ");
    let mut gateway = gateway(&at, &servers, mail_server_at, &[forwarded]);
    sign_with(&mut gateway, &ours);

    let refused = message("later").replace("LOCKTEXT", &format!("LOCKTEXT {REFUSED}"));
    let said = send_from("192.0.2.10", gateway.inbound, "eva@live.unsigned", ANNA, &refused).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let report = outside.nth(1);
    assert_eq!((report.from.as_str(), report.to), ("", vec!["eva@live.unsigned".to_owned()]));
    assert!(report.octets.contains("report-type=delivery-status"), "{}", report.octets);
    assert!(report.octets.contains("Subject: later") && report.octets.contains("Status: 5.7.1"), "{}", report.octets);
    assert!(!report.octets.contains("LOCKTEXT") && mail_server.taken().is_empty());

    // Not proven: the postmaster hears it.
    let said = send_from("192.0.2.11", gateway.inbound, "eva@live.unsigned", ANNA, &refused).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let report = mail_server.nth(1);
    assert_eq!((report.from.as_str(), report.to), ("", vec!["postmaster@sundby.example".to_owned()]));
    assert!(report.octets.contains("Subject: later") && !report.octets.contains("LOCKTEXT"), "{}", report.octets);

    // Nor is who sent what we could not forward.
    assert!(send(gateway.outbound, "eva@live.unsigned", &["ole@live.unsigned"], &refused).starts_with("250"));
    let report = mail_server.nth(2);
    assert_eq!(report.to, ["postmaster@sundby.example"]);
    assert!(report.octets.contains("Subject: later") && !report.octets.contains("LOCKTEXT"), "{}", report.octets);
    assert_eq!(outside.taken().len(), 1);

    // What came sealed is forwarded with its seal whole; whoever it says wrote it, it is not signed as ours.
    let claimed = message("claimed").replace("eva@live.unsigned>\r\nTo", "anna.berg@sundby.example>\r\nTo");
    let said = send_from("192.0.2.10", gateway.inbound, "eva@live.unsigned", ANNA, &claimed).await;
    assert!(said.starts_with("250 2.0.0"), "{said}");
    let handed_on = mail_server.nth(3).octets;
    let body = handed_on.trim_end_matches("\r\n").to_owned() + "\r\n";
    assert!(send(gateway.outbound, "eva@live.unsigned", &["ole@live.unsigned"], &body).starts_with("250"));
    let forwarded = outside.nth(2);
    assert!(forwarded.from.starts_with("SRS0=") && forwarded.from.ends_with("=live.unsigned=eva@gw.sundby.example"));
    assert!(!forwarded.octets.contains("DKIM-Signature"), "{}", forwarded.octets);
    let settings = servers.validated_here();
    let checks = Checks::new(Arc::new(Dns::new(&settings).unwrap()), Clock::System);
    let proof = prove(&checks, "192.0.2.1", "gw.sundby.example", &forwarded.from, &forwarded.octets).await;
    assert_eq!((proof.arc.status, proof.arc.sets), (ArcStatus::Pass, 1), "{}", forwarded.octets);
    let own = message("own").replace("eva@live.unsigned>\r\nTo", "anna.berg@sundby.example>\r\nTo");
    assert!(send(gateway.outbound, ANNA, &["ole@live.unsigned"], &own).starts_with("250"));
    assert!(outside.nth(3).octets.contains("DKIM-Signature"), "what is ours is signed");
}

/// An alias at our mail server leads outside: what comes for it leaves again through us, judged, by a return path of ours,
/// and the report of it finds its sender.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_leaves_by_our_path_and_its_bounce_comes_home() {
    const NUMBER: &str = "19850101-2382";
    let (home, inside) = (Sink::start(true, &[]).await, Sink::start(true, &[]).await);
    let private_at = free();
    let private = Keeper::start(private_at, "REFUSE THIS").await;
    let folder = tempfile::tempdir().unwrap();
    let (mail_server_at, internet_at) = (free(), free());
    let mut gateway = Gateway::found(folder.path(), internet_at, mail_server_at, "http://127.0.0.1:9");
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let config = config.replace("[smtpd.outbound] ", "[smtpd.outbound]\nforwarded = \"srs\" ");
    let grant = "\n[[rule]]\nname = \"open\"\ngrants = { tag = \"[open]\", lifts = [\"a personal number must not leave in the clear\"] }\n";
    std::fs::write(gateway.config(), config + grant).unwrap();
    let aliases = folder.path().join("aliases");
    std::fs::write(&aliases, format!("{ANNA} privat@full.example\n")).unwrap();
    let more = format!("virtual_alias_maps = texthash:{}\nlocal_header_rewrite_clients =", aliases.display());
    let _mail_server = Postfix::start_at(mail_server_at, gateway.outbound, inside.address, &more);
    let (inbound, home_port) = (gateway.inbound.port(), home.address.port());
    let _internet = Postfix::at(internet_at, |etc| {
        let routes = format!(
            "live.example smtp:[127.0.0.1]:{home_port}\nfull.example smtp:[127.0.0.1]:{}\ngw.sundby.example smtp:[127.0.0.1]:{inbound}\n",
            private_at.port()
        );
        std::fs::write(etc.join("transport"), routes).unwrap();
        let transport =
            format!("transport_maps = texthash:{}/transport\nmyhostname = mx.full.example\n", etc.display());
        (String::new(), transport + "relay_domains =\nlocal_header_rewrite_clients =\n")
    });
    start(&mut gateway);
    let from_eva = |subject: &str, text: &str| {
        let message = message(subject).replace("live.unsigned", "live.example").replace("LOCKTEXT", text);
        let said = send(gateway.inbound, "eva@live.example", &[ANNA], &message);
        assert!(said.starts_with("250 2.0.0"), "{said}");
    };

    from_eva("open", "hej");
    let forwarded = private.nth(1);
    let path = forwarded.from.clone();
    assert!(path.starts_with("SRS0=") && path.ends_with("=live.example=eva@gw.sundby.example"), "{path}");
    assert!(forwarded.to == ["privat@full.example"] && forwarded.octets.contains("\r\nhej\r\n"));

    from_eva("bounced", "REFUSE THIS");
    wait_until("the report at home", || home.messages().len() == 1);
    let report = String::from_utf8(home.messages().remove(0)).unwrap();
    assert!(report.contains("X-Mail-Args: <>") && report.contains("X-Rcpt-Args: <eva@live.example>"), "{report}");
    assert!(report.contains("report-type=delivery-status") && report.contains("privat@full.example"), "{report}");

    // What must not leave in the clear does not, whoever forwards it, and no stranger lifts that, or is refused for his
    // words: a notice arrives, and nobody outside hears of it.
    for (number, (subject, text)) in
        [("[sikker] hej", "LOCKTEXT"), ("[open] hej", NUMBER), ("[svar: nowhere] hej", "LOCKTEXT")]
            .into_iter()
            .enumerate()
    {
        from_eva(subject, text);
        let notice = private.nth(number + 2);
        assert!(notice.from.starts_with("bounce+"), "{}", notice.octets);
    }
    let lifted =
        send(gateway.outbound, ANNA, &["privat@full.example"], &format!("Subject: [open] own\r\n\r\n{NUMBER}"));
    assert!(lifted.starts_with("250"));
    assert!(private.nth(5).octets.contains(NUMBER), "who is ours may lift it");
    let left = private.taken()[..4].iter().map(|taken| taken.octets.as_str()).collect::<String>();
    assert!(!left.contains("LOCKTEXT") && !left.contains(NUMBER), "{left}");

    // An answer to a notice is answered once, whatever its return path is marked with from day to day.
    let notice = private.taken().remove(1).octets;
    let id = notice.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
    for mark in ["0123A1B2C3", "0124D4E5F6"] {
        let answer = format!("From: privat@full.example\r\nSubject: Re: hej\r\nIn-Reply-To: {id}\r\n\r\nJa");
        let from = format!("prvs={mark}=privat@full.example");
        let said = send(gateway.inbound, &from, &["noreply@gw.sundby.example"], &answer);
        assert!(said.starts_with("250 2.0.0"), "{said}");
        assert_eq!(private.nth(6).to, ["prvs=0123A1B2C3=privat@full.example"]);
        all_has_left(&gateway);
    }
    all_has_left(&gateway);
    assert_eq!((private.taken().len(), home.messages().len()), (6, 1));

    // Whom a path of ours takes what for.
    let too_far = path.replacen("live", "evil", 1);
    let local = path.split('@').next().unwrap();
    for (door, from, to, wanted) in [
        (gateway.inbound, "", path.as_str(), "250 2.1.5"),
        (gateway.inbound, "", &path.to_lowercase(), "250 2.1.5"),
        (gateway.inbound, "", &path.to_uppercase(), "250 2.1.5"),
        (gateway.inbound, "ole@live.example", &path, "550 5.7.1"),
        (gateway.inbound, "", &too_far, "550 5.1.1"),
        (gateway.inbound, "", &format!("{local}@sundby.example"), "250 2.1.5"),
        (gateway.inbound, "", &format!("{local}@live.example"), "550 5.7.1"),
        (gateway.inbound, "", "SRS0=AAAAAA=AA=live.example=eva@gw.sundby.example", "550 5.1.1"),
        (gateway.inbound, "", "SRS1=AAAAAA=live.example==a=b=c.example=eva@gw.sundby.example", "550 5.1.1"),
        (gateway.outbound, "", &path, "250 2.1.5"),
        (gateway.outbound, "", &too_far, "550 5.1.1"),
        (gateway.outbound, &path, "eva@live.example", "503"),
        (gateway.outbound, "bounce+x@gw.sundby.example", "eva@live.example", "503"),
    ] {
        let told = say_to(door, &[format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>")]).pop().unwrap();
        assert!(told.starts_with(wanted), "{from} {to}: {told}");
    }
    // Too long for a path of ours: none.
    let long = format!("{}@live.example", "x".repeat(50));
    assert!(send(gateway.outbound, &long, &["privat@full.example"], "Subject: long\r\n\r\nx").starts_with("250"));
    assert_eq!(private.nth(7).from, "");
    // Who knows a path can write such reports; there is an end to it.
    let sent =
        (0..25).take_while(|_| send(gateway.inbound, "", &[&path], "Subject: x\r\n\r\nx").starts_with("250")).count();
    assert_eq!(sent, 19, "one has come home before");
    let told = say_to(gateway.inbound, &["MAIL FROM:<>".into(), format!("RCPT TO:<{path}>")]).pop().unwrap();
    assert!(told.starts_with("450 4.7.1"), "{told}");
}
