//! Exim as the second mail server: in front of the gateway, and behind it.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::mail_sink::Sink;
use crate::running::{Gateway, figures, free, stands_in_threats, wait_until};

/// Where `tests/run` unpacks it: only one mail server can be installed.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/exim");

/// Exim, running until dropped.
pub struct Exim {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Exim {
    /// Starts it: mail for `sundby.example` goes to `inside`, all else to `outside`, in chunks and without waiting for the
    /// greeting where the peer lets it.
    pub fn start(outside: SocketAddr, inside: SocketAddr) -> Self {
        let program = format!("{PLACE}/usr/sbin/exim4");
        assert!(std::fs::exists(&program).unwrap(), "PEER MISSING: Exim; tests/run unpacks it");
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        std::fs::set_permissions(at, PermissionsExt::from_mode(0o755)).unwrap();
        let number = |flag: &str| {
            let told = Command::new("id").args([flag, "Debian-exim"]).output().unwrap();
            let told = String::from_utf8(told.stdout).unwrap();
            told.trim().parse::<u32>().expect("PEER MISSING: the user Debian-exim; tests/run makes it")
        };
        let (user, group) = (number("-u"), number("-g"));
        for name in ["spool", "log"] {
            std::fs::create_dir(at.join(name)).unwrap();
            chown(at.join(name), Some(user), Some(group)).unwrap();
        }
        let address = free();
        std::fs::write(at.join("exim.conf"), configuration(at, address, outside, inside)).unwrap();
        let child = Command::new(program)
            .env("LD_LIBRARY_PATH", format!("{PLACE}/lib"))
            .arg("-C")
            .arg(at.join("exim.conf"))
            .args(["-bdf", "-q1m"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("Exim", || std::net::TcpStream::connect(address).is_ok());
        Self { address, child, folder }
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log/main")).unwrap_or_default()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn configuration(at: &Path, address: SocketAddr, outside: SocketAddr, inside: SocketAddr) -> String {
    format!(
        "primary_hostname = exim.example\nspool_directory = {0}/spool\nlog_file_path = {0}/log/%s\npid_file_path = {0}/exim.pid\n\
         local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {1}\nkeep_environment =\ndeliver_drop_privilege = true\ntls_advertise_hosts =\n\
         acl_smtp_rcpt = accept\nacl_smtp_data = accept\nsmtp_accept_max = 100\nsmtp_accept_queue_per_connection = 0\nmessage_size_limit = 200M\n\
         chunking_advertise_hosts = *\npipelining_connect_advertise_hosts = *\ndsn_advertise_hosts = *\nsmtputf8_advertise_hosts = *\n\
         log_selector = +smtp_protocol_error +smtp_syntax_error +received_recipients +pipelining\n\
         begin routers\n\
         inside:\n driver = manualroute\n domains = sundby.example\n transport = hop\n route_list = * 127.0.0.1::{3}\n self = send\n\
         outside:\n driver = manualroute\n domains = ! sundby.example\n transport = hop\n route_list = * 127.0.0.1::{2}\n self = send\n\
         begin transports\n\
         hop:\n driver = smtp\n allow_localhost\n hosts_try_chunking = *\n hosts_pipe_connect = *\n hosts_avoid_tls = *\n\
         begin retry\n* * F,1h,1s\n",
        at.display(),
        address.port(),
        outside.port(),
        inside.port()
    )
}

/// Hands over one message; the answer to the final dot.
fn hand_over(door: SocketAddr, sender: &str, recipient: &str, message: &str) -> String {
    let mut reader = BufReader::new(TcpStream::connect(door).unwrap());
    let mut said = String::new();
    let lines =
        ["", "EHLO client.example", &format!("MAIL FROM:{sender}"), &format!("RCPT TO:{recipient}"), "DATA", message];
    for line in lines {
        if !line.is_empty() {
            reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        }
        said.clear();
        while said.as_bytes().get(3) != Some(&b' ') {
            said.clear();
            assert!(reader.read_line(&mut said).unwrap() > 0, "{line}: closed");
        }
        assert!(said.starts_with(['2', '3']), "{line}: {said}");
    }
    said
}

/// Parameters, and a body as its sender means it.
fn letters() -> [(&'static str, &'static str, &'static str, String); 9] {
    [
        ("plain", "<anna@sundby.example>", "<eva@live.example>", "hello\r\n".into()),
        ("empty", "<anna@sundby.example>", "<eva@live.example>", String::new()),
        ("dots", "<anna@sundby.example>", "<eva@live.example>", ".\r\n..\r\n.a\r\n\r\n.\r\n".into()),
        ("a line of 998", "<anna@sundby.example>", "<eva@live.example>", format!("{}\r\n", "a".repeat(998))),
        (
            "eight bits",
            "<anna@sundby.example> BODY=8BITMIME",
            "<eva@live.example>",
            "r\u{e4}ksm\u{f6}rg\u{e5}s\r\n".into(),
        ),
        ("many chunks", "<anna@sundby.example>", "<eva@live.example>", ".0123456789 abcdefghij\r\n".repeat(40_000)),
        (
            "reports asked for",
            "<anna@sundby.example> RET=HDRS ENVID=e+2B1",
            "<eva@live.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;eva@old.example",
            "hello\r\n".into(),
        ),
        ("no reports", "<anna@sundby.example> ENVID=e2", "<eva@live.example> NOTIFY=NEVER", "hello\r\n".into()),
        ("to our own", "<anna@sundby.example>", "<ove@sundby.example>", "hello\r\n".into()),
    ]
}

/// What the sink has with this subject.
fn arrived(sink: &Sink, subject: &str) -> Option<String> {
    let messages = sink.messages();
    let mut texts = messages.iter().map(|message| String::from_utf8_lossy(message).into_owned());
    texts.find(|text| text.contains(&format!("\nSubject: {subject}\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exim_hands_us_and_what_we_hand_exim_arrives_as_it_was_meant() {
    let mut faults = Vec::new();
    for side in ["in front of us", "behind us"] {
        let sink = Sink::start(true, &[]).await;
        let folder = tempfile::tempdir().unwrap();
        let hop = free();
        let mut gateway = Gateway::found(folder.path(), hop, hop, "http://127.0.0.1:9");
        let exim = match side {
            "behind us" => Exim::start(sink.address, sink.address),
            _ => Exim::start(gateway.outbound, gateway.outbound),
        };
        let config = std::fs::read_to_string(gateway.config()).unwrap();
        let next = if side == "behind us" { exim.address } else { sink.address };
        std::fs::write(gateway.config(), config.replace(&hop.to_string(), &next.to_string())).unwrap();
        gateway.start();
        let door = if side == "behind us" { gateway.outbound } else { exim.address };
        let before = faults.len();
        for (what, sender, recipient, body) in letters() {
            let stuffed = body.replace("\r\n.", "\r\n..");
            let stuffed = if body.starts_with('.') { format!(".{stuffed}") } else { stuffed };
            hand_over(
                door,
                sender,
                recipient,
                &format!("From: anna@sundby.example\r\nSubject: {what}\r\n\r\n{stuffed}."),
            );
        }
        for (what, _, recipient, body) in letters() {
            wait_until(what, || arrived(&sink, what).is_some());
            let text = arrived(&sink, what).unwrap();
            let (head, came) = text.split_once("\n\n").unwrap();
            if came.trim_end_matches('\n') != body.replace("\r\n", "\n").trim_end_matches('\n') {
                faults.push(format!("{side}, {what}: the body is another: {} octets for {}", came.len(), body.len()));
            }
            // Postfix's sink shows what was asked of it.
            let wishes = recipient.split_once(' ').map_or("", |(_, wishes)| wishes);
            let asked = head.lines().find_map(|line| line.strip_prefix("X-Rcpt-Args: ")).unwrap();
            if !wishes.split(' ').all(|wish| asked.contains(wish)) {
                faults.push(format!("{side}, {what}: asked {asked}"));
            }
        }
        stands_in_threats(&figures(&format!("messages of nine kinds, Exim {side}"), letters().len(), before, &faults));
        if side == "in front of us" {
            // It says K for a delivery in chunks.
            let log = exim.log();
            let in_chunks = log.lines().filter(|line| line.contains(" => ") && line.contains(" K ")).count();
            assert_eq!(in_chunks, letters().len(), "{log}");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
