//! Mail from the internet, signed and with everything published that a receiver looks at, by Postfix with the usual helpers
//! (policyd-spf, opendkim, opendmarc) and by sealgate in one run: messages a second from first connection to last hand-on, and
//! CPU a message, that of the helpers included. Both ask the same name servers, started anew for each. `benches/run inbound`
//! runs it, as root, on a network of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    missing_docs
)]

#[path = "../tests/house/name_server.rs"]
mod name_server;
#[path = "../tests/house/postfix.rs"]
mod postfix;
mod rig;

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::DkimSigner;
use sealgate::daemon::{Foundation, found};

use crate::name_server::NameServers;
use crate::postfix::Postfix;
// What the peers of the tests ask for stands there too.
use crate::rig as running;
use crate::rig::{
    Mail, SESSIONS, Sink, Stop, against_postfix, ask_by_the_system, family, foundation, free, letters, listens, serve,
};

const REPEATS: usize = 3;
const SIZE: usize = 4 << 10;
/// Domains that send; each publishes SPF, a DKIM key and DMARC.
const DOMAINS: u64 = 100;
/// Where the senders are, and the doors: loopback is believed by too many.
const OUTER: &str = "11.7.0.1";
/// Set inside the network of its own.
const INSIDE: &str = "SEALGATE_BENCH_INSIDE";

/// The load: all messages, signed before the clock starts, and what their domains publish.
struct Load {
    messages: u64,
    signed: Vec<String>,
    zone: String,
}

impl Load {
    fn make(messages: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ran = |words: &[&str]| {
            let ran =
                Command::new("openssl").args(words).current_dir(folder.path()).output().expect("PEER MISSING: openssl");
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            ran.stdout
        };
        ran(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key.pem"]);
        let key = STANDARD.encode(ran(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"]));
        let pem = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
        let (front, back) = key.split_at(200);
        let mut zone = String::new();
        for number in 0..DOMAINS {
            writeln!(zone, "d{number} MX 10 mx.d{number}\nmx.d{number} A {OUTER}\nd{number} TXT \"v=spf1 mx -all\"")
                .unwrap();
            writeln!(zone, "s1._domainkey.d{number} TXT \"v=DKIM1; k=rsa; p={front}\" \"{back}\"").unwrap();
            writeln!(zone, "_dmarc.d{number} TXT \"v=DMARC1; p=reject\"").unwrap();
        }
        let compose = letters("bench", SIZE, |_, _| String::new());
        let sign = |index: u64| {
            let domain = domain(index);
            let text = compose(index, index).text.replace("anna@sundby.example", &format!("eva@{domain}"));
            let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes()).unwrap();
            let signer = DkimSigner::from_key(RsaKey::<Sha256>::from_key_der(der).unwrap());
            let signer = signer.domain(domain).selector("s1").headers(["From", "To", "Subject", "Message-ID"]);
            signer.sign(text.as_bytes()).unwrap().to_header() + &text
        };
        Self { messages, signed: (0..messages).map(sign).collect(), zone }
    }

    fn mail(&self, session: u64, number: u64) -> Mail {
        let index = number * SESSIONS + session;
        Mail {
            sender: format!("eva@{}", domain(index)),
            recipient: "ove@sundby.example".to_owned(),
            text: self.signed[usize::try_from(index).unwrap()].clone(),
        }
    }
}

fn domain(index: u64) -> String {
    format!("d{}.unsigned", index % DOMAINS)
}

fn measure(load: &Load, sink: &Sink, door: SocketAddr, pids: impl Fn() -> Vec<u32>) -> (f64, f64) {
    rig::measure(sink, door, load.messages, |session, number| load.mail(session, number), pids)
}

fn name_servers(load: &Load) -> NameServers {
    let servers = NameServers::start("", &load.zone, ("", ""), &[]);
    // For Postfix and its helpers, which ask those of the system.
    ask_by_the_system(servers.address());
    servers
}

/// A helper of Postfix's, until dropped.
fn helper(program: &str, configuration: &Path, text: &str, address: SocketAddr) -> (Stop, u32) {
    std::fs::write(configuration, text).unwrap();
    let mut command = Command::new(program);
    command.arg("-f").arg(if program.ends_with("opendkim") { "-x" } else { "-c" }).arg(configuration);
    let child = command.stdin(Stdio::null()).spawn();
    let child = child.unwrap_or_else(|fault| panic!("PEER MISSING: {program}: {fault}"));
    let pid = child.id();
    let stop = Stop(Some(child), None);
    listens(address);
    (stop, pid)
}

fn by_postfix(load: &Load, sink: &Sink, shows: bool) -> (f64, f64) {
    let servers = name_servers(load);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let at = |name: &str| folder.path().join(name);
    let (dkim, dmarc) = (free(), free());
    let name_server = servers.address().ip();
    let dkim_conf = format!(
        "Mode v\nSocket inet:{}@127.0.0.1\nAuthservID mail.sundby.example\nNameservers {name_server}\nSyslog no\nAlwaysAddARHeader yes\n",
        dkim.port()
    );
    let (_dkim, dkim_pid) = helper("/usr/sbin/opendkim", &at("opendkim.conf"), &dkim_conf, dkim);
    let dmarc_conf = format!(
        "Socket inet:{}@127.0.0.1\nAuthservID mail.sundby.example\nTrustedAuthservIDs mail.sundby.example\nSyslog false\nRejectFailures true\n",
        dmarc.port()
    );
    let (_dmarc, dmarc_pid) = helper("/usr/sbin/opendmarc", &at("opendmarc.conf"), &dmarc_conf, dmarc);
    let spf_conf = at("policyd-spf.conf");
    std::fs::write(&spf_conf, "debugLevel = 0\nTestOnly = 1\nHELO_reject = Fail\nMail_From_reject = Fail\nHeader_Type = AR\nAuthserv_Id = mail.sundby.example\n").unwrap();
    let door = SocketAddr::from((OUTER.parse::<std::net::Ipv4Addr>().unwrap(), free().port()));
    let postfix = Postfix::with(|_| {
        let services = format!(
            "{door} inet n - n - - smtpd\npolicyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {}\n",
            spf_conf.display()
        );
        let settings = format!(
            "relay_transport = smtp:[127.0.0.1]:{}\nsmtp_dns_support_level = enabled\npolicyd-spf_time_limit = 3600\n\
             smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service unix:private/policyd-spf\n\
             smtpd_milters = inet:{dkim}, inet:{dmarc}\nmilter_default_action = tempfail\n",
            sink.address.port()
        );
        (services, settings)
    });
    listens(door);
    let master = postfix.master();
    let pids = || {
        // The policy service is a child of Postfix's spawn.
        let mut all = family(master);
        let below: Vec<u32> = all.iter().filter(|pid| **pid != master).flat_map(|pid| family(*pid)).collect();
        all.extend(below);
        all.extend([dkim_pid, dmarc_pid]);
        all.sort_unstable();
        all.dedup();
        all
    };
    let figures = measure(load, sink, door, pids);
    if shows {
        println!("Postfix's helpers: {}", passed(sink));
    }
    figures
}

/// What the newest message says was proven: a comparison is none unless all three were looked at.
fn passed(sink: &Sink) -> String {
    let newest = sink.newest();
    let found = newest.lines().filter(|line| line.contains("=pass")).map(str::trim).collect::<Vec<_>>().join(" ");
    for wanted in ["spf=pass", "dkim=pass", "dmarc=pass"] {
        assert!(found.contains(wanted), "{wanted} is missing: {newest}");
    }
    found
}

/// What the door says to the first recipient, where it does not take it.
fn refusal(door: SocketAddr) -> Option<String> {
    let mut reader = BufReader::new(TcpStream::connect(door).unwrap());
    let mut said = String::new();
    for line in ["", "HELO client.example\r\n", "MAIL FROM:<eva@d0.unsigned>\r\n", "RCPT TO:<ove@sundby.example>\r\n"] {
        std::io::Write::write_all(reader.get_mut(), line.as_bytes()).unwrap();
        said.clear();
        reader.read_line(&mut said).unwrap();
    }
    (!said.starts_with("250")).then(|| said.trim().to_owned())
}

fn by_sealgate(load: &Load, sink: &Sink) -> Result<(f64, f64), String> {
    let servers = name_servers(load);
    let folder = tempfile::tempdir().unwrap();
    let inbound = SocketAddr::from((OUTER.parse::<std::net::Ipv4Addr>().unwrap(), free().port()));
    let foundation = Foundation { inbound, mail_server: sink.address, ..foundation() };
    found(folder.path(), &foundation).unwrap();
    let file = folder.path().join("sealgate.toml");
    let text = servers.instead_of_smarthost(&std::fs::read_to_string(&file).unwrap());
    // Postfix greets at once.
    let listen = format!("listen = \"{inbound}\"");
    std::fs::write(&file, text.replace(&listen, &format!("{listen}\ngreeting_pause = \"1ms\""))).unwrap();
    let (_stop, pid) = serve(&file, inbound);
    if let Some(refusal) = refusal(inbound) {
        return Err(refusal);
    }
    let figures = measure(load, sink, inbound, || vec![pid]);
    passed(sink);
    Ok(figures)
}

fn main() {
    if std::env::var_os(INSIDE).is_none() {
        return rig::go_inside(INSIDE);
    }
    let asked = std::env::args().skip(1).find_map(|word| word.parse::<u64>().ok());
    let load = Load::make(asked.unwrap_or(3_200).div_ceil(SESSIONS) * SESSIONS);
    let sink = Sink::start();
    let (mut postfix, mut sealgate) = (Vec::new(), Vec::new());
    for repeat in 0..REPEATS {
        postfix.push(by_postfix(&load, &sink, repeat == 0));
        match by_sealgate(&load, &sink) {
            Ok(figures) => sealgate.push(figures),
            Err(refusal) => println!("sealgate does not take it: {refusal}"),
        }
    }
    println!("{} messages of 4 KiB from {DOMAINS} domains, median of {REPEATS}", load.messages);
    against_postfix("Postfix, helpers", &mut postfix, &mut sealgate);
}
