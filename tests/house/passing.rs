//! What passes through us between strangers and the mail server: sealed on its way in, given a return path of ours on its way
//! out again.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sealgate::net::{Clock, Dns, DnsSettings};
use sealgate::sender_auth::{Algorithm, ArcStatus, Checks, SigningKey};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::name_server::{NameServers, on_a_network_of_its_own};
use crate::running::{Gateway, free, wait_until};
use crate::sender_auth::{Key, prove, send_from, txt};
use crate::signing::verified;

const ANNA: &str = "anna.berg@sundby.example";

/// Addresses and ports below 1024 belong to whoever owns the network: so it is one of our own, without a way out.
#[test]
fn what_passes_through_is_sealed_and_comes_home() {
    for test in ["what_is_handed_on_is_sealed"] {
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
    let smarthost = config.lines().find(|line| line.starts_with("internet = ")).unwrap().to_owned();
    let mx = format!(
        "internet = \"mx\"\nprivate_networks = [\"192.0.2.0/24\"]\ndns = [\"{}\"]\ndns_trust_anchor = \"{}\"",
        servers.address(),
        servers.trust_anchor().display()
    );
    let mut config = config.replace(&smarthost, &mx).replace(&gateway.inbound.to_string(), "192.0.2.1:25");
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

fn message(subject: &str) -> String {
    format!(
        "From: Eva <eva@live.unsigned>\r\nTo: {ANNA}\r\nSubject: {subject}\r\nDate: Fri, 27 Nov 2026 10:00:00 +0100\r\nMessage-ID: <{subject}@live.unsigned>\r\n\r\nHej  du \r\n\r\nLOCKTEXT\r\n\r\n\r\n"
    )
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
        let settings = DnsSettings { servers: vec![servers.address()], trust_anchor: Some(servers.trust_anchor()) };
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

    let pem = gateway.folder.join("keys/dkim.pem");
    std::fs::write(&pem, ours.to_pem().unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    let entry = "[[dkim]]\ndomain = \"sundby.example\"\nselector = \"gw1\"\nkey = \"keys/dkim.pem\"\n";
    std::fs::write(gateway.config(), format!("{config}\n{entry}")).unwrap();
    let mut gateway = gateway;
    gateway.kill();
    start(&mut gateway);

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
