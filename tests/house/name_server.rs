//! A small internet's DNS: Knot serves a signed root and an unsigned zone, one Unbound answers from them without judging,
//! another validates.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sealgate::net::{DnsSettings, Dnssec};
use tempfile::TempDir;

use crate::running::wait_until;

/// Where Knot lives, an Unbound that does not judge (on a network and on loopback), and one that validates.
const KNOT: &str = "192.0.2.53";
const UNBOUND: &str = "192.0.2.54";
const UNBOUND_HERE: &str = "127.0.0.53";
const VALIDATING: &str = "127.0.0.55";
const HEAD: &str = "$TTL 300\n@ SOA ns.nic. hostmaster.nic. 1 3600 600 86400 300\n@ NS ns.nic.\n";

/// Runs an ignored test on a network of its own, without a way out, where 192.0.2.0/24 is this machine.
pub fn on_a_network_of_its_own(test: &str) {
    let inside =
        "ip link set lo up && ip addr add 192.0.2.1/24 dev lo && ip addr add 10.0.0.1/24 dev lo && exec \"$@\"";
    let run = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", inside, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .output()
        .expect("PEER MISSING: unshare (util-linux)");
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
    println!("{said}");
}

/// The name servers, running until dropped.
pub struct NameServers {
    children: Vec<Child>,
    folder: TempDir,
}

impl NameServers {
    /// A root zone with these records, signed, and the zone `unsigned.` with those. `forged` replaces a text in the root
    /// zone after it was signed. What is asked below a name in `refused` is refused.
    pub fn start(root: &str, unsigned: &str, forged: (&str, &str), refused: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let glue = format!("ns.nic. A {KNOT}\nunsigned. NS ns.nic.\n");
        std::fs::write(at.join("root.zone"), format!("$ORIGIN .\n{HEAD}{glue}{root}")).unwrap();
        std::fs::write(at.join("unsigned.zone"), format!("$ORIGIN unsigned.\n{HEAD}{unsigned}")).unwrap();
        let key = ran(at, "ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", "."]).trim().to_owned();
        ran(at, "ldns-signzone", &["-o", ".", "-f", "signed.zone", "root.zone", &key]);
        std::fs::rename(at.join(format!("{key}.key")), at.join("anchor.key")).unwrap();
        let signed = std::fs::read_to_string(at.join("signed.zone")).unwrap();
        assert!(forged.0.is_empty() || signed.contains(forged.0), "{} is not in {signed}", forged.0);
        let signed = if forged.0.is_empty() { signed } else { signed.replace(forged.0, forged.1) };
        std::fs::write(at.join("signed.zone"), signed).unwrap();

        let place = at.display();
        let knot = format!(
            "server:\n  rundir: {place}\n  listen: {KNOT}@53\ndatabase:\n  storage: {place}/db\nlog:\n  - target: stderr\n    any: warning\ntemplate:\n  - id: default\n    storage: {place}\n    journal-content: none\n    zonefile-load: whole\nzone:\n  - domain: .\n    file: signed.zone\n    semantic-checks: off\n  - domain: unsigned.\n    file: unsigned.zone\n"
        );
        std::fs::write(at.join("knot.conf"), knot).unwrap();
        std::fs::write(at.join("hints"), format!(". 3600 NS ns.nic.\nns.nic. 3600 A {KNOT}\n")).unwrap();
        let unbound = |name: &str, addresses: &[&str], judges: &str| {
            let mut conf = format!(
                "server:\n  access-control: 0.0.0.0/0 allow\n  chroot: \"\"\n  username: \"\"\n  directory: \"{place}\"\n  pidfile: \"{place}/{name}.pid\"\n  use-syslog: no\n  logfile: \"\"\n  do-ip6: no\n  num-threads: 1\n  root-hints: \"{place}/hints\"\n  unblock-lan-zones: yes\n{judges}"
            );
            for address in addresses {
                writeln!(conf, "  interface: {address}").unwrap();
            }
            for name in refused {
                writeln!(conf, "  local-zone: \"{name}\" always_refuse").unwrap();
            }
            conf.push_str("remote-control:\n  control-enable: no\n");
            std::fs::write(at.join(format!("{name}.conf")), conf).unwrap();
        };
        unbound("unbound", &[UNBOUND, UNBOUND_HERE], "  module-config: \"iterator\"\n");
        let judges = format!(
            "  module-config: \"validator iterator\"\n  trust-anchor-file: \"{place}/anchor.key\"\n  ede: yes\n"
        );
        unbound("validating", &[VALIDATING], &judges);
        unbound("ceased", &[VALIDATING], "  module-config: \"iterator\"\n");
        let children = vec![
            run(at, "knotd", &["-c", "knot.conf"]),
            run(at, "unbound", &["-d", "-c", "unbound.conf"]),
            run(at, "unbound", &["-d", "-c", "validating.conf"]),
        ];
        let servers = Self { children, folder };
        wait_until("the name servers", || {
            [KNOT, UNBOUND, UNBOUND_HERE, VALIDATING].iter().all(|host| listens(&format!("{host}:53")))
        });
        servers
    }

    /// Ends the resolver that validates.
    pub fn stop_resolver(&mut self) {
        let mut resolver = self.children.pop().unwrap();
        resolver.kill().unwrap();
        resolver.wait().unwrap();
    }

    /// Starts it again, at the same address, with its validator or without.
    pub fn start_resolver(&mut self, validates: bool) {
        let config = if validates { "validating.conf" } else { "ceased.conf" };
        self.children.push(run(self.folder.path(), "unbound", &["-d", "-c", config]));
        wait_until("the resolver", || listens(&format!("{VALIDATING}:53")));
    }

    /// Whom to ask.
    pub fn address(&self) -> SocketAddr {
        format!("{UNBOUND}:53").parse().unwrap()
    }

    /// Whom to ask, and whom to believe: what is told is validated by whoever asks.
    pub fn validated_here(&self) -> DnsSettings {
        DnsSettings { servers: vec![self.address()], dnssec: Dnssec::Own, trust_anchor: Some(self.trust_anchor()) }
    }

    /// The same, but that the word of the resolver on this machine is believed.
    pub fn validated_by_resolver(&self) -> DnsSettings {
        let resolver = format!("{VALIDATING}:53").parse().unwrap();
        DnsSettings { servers: vec![resolver], dnssec: Dnssec::Resolver, trust_anchor: None }
    }

    /// The same, where that resolver does not validate.
    pub fn validated_by_nobody(&self) -> DnsSettings {
        let resolver = format!("{UNBOUND_HERE}:53").parse().unwrap();
        DnsSettings { servers: vec![resolver], ..self.validated_by_resolver() }
    }

    /// Whom to believe.
    pub fn trust_anchor(&self) -> PathBuf {
        self.folder.path().join("anchor.key")
    }

    /// A configuration that delivered to a smarthost, delivering to the hosts that these name servers tell of.
    pub fn instead_of_smarthost(&self, config: &str) -> String {
        let smarthost = config.lines().find(|line| line.starts_with("internet = ")).unwrap();
        let (servers, anchor) = (self.address(), self.trust_anchor());
        let mx = format!("internet = \"mx\"\ndns = [\"{servers}\"]\ndns_trust_anchor = \"{}\"", anchor.display());
        config.replace(smarthost, &mx)
    }
}

impl Drop for NameServers {
    fn drop(&mut self) {
        for child in &mut self.children {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

fn listens(address: &str) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

fn run(at: &Path, program: &str, options: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(options).current_dir(at).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().unwrap_or_else(|fault| panic!("PEER MISSING: {program}: {fault}"))
}

fn ran(at: &Path, program: &str, options: &[&str]) -> String {
    let ran = Command::new(program).args(options).current_dir(at).output();
    let ran = ran.unwrap_or_else(|fault| panic!("PEER MISSING: {program}: {fault}"));
    assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}
