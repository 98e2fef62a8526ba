//! Postfix as the organisation's mail server (clerks hand it their mail, it routes outside mail to the gateway and inside
//! mail to the mailboxes), and as whatever else a test needs.

use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::running::{free, wait_until};

/// The services of the package, without chroot.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// Postfix, running until dropped.
pub struct Postfix {
    pub address: SocketAddr,
    folder: TempDir,
}

impl Postfix {
    /// Starts it: mail for `sundby.example` goes to `mailboxes` by LMTP, all else to `gateway`.
    pub fn start(gateway: SocketAddr, mailboxes: SocketAddr) -> Self {
        Self::start_at(free(), gateway, mailboxes, "")
    }

    /// The same at an address of one's own, with more in its settings.
    pub fn start_at(address: SocketAddr, gateway: SocketAddr, mailboxes: SocketAddr, more: &str) -> Self {
        let main =
            format!("relay_transport = lmtp:inet:{mailboxes}\nrelayhost = [127.0.0.1]:{}\n{more}\n", gateway.port());
        Self::at(address, |_| (String::new(), main))
    }

    /// Starts one that hands everything on to `hop`, and says as little against what it is handed as it can: a line end
    /// that stands alone is one to it, and may end a message.
    pub fn lax(hop: SocketAddr) -> Self {
        let to = format!("smtp:[127.0.0.1]:{}", hop.port());
        let main = format!(
            "relay_transport = {to}\ndefault_transport = {to}\nsmtpd_forbid_bare_newline = no\n\
             smtpd_forbid_unauth_pipelining = no\nmaximal_backoff_time = 1s\nminimal_backoff_time = 1s\nqueue_run_delay = 1s\n"
        );
        Self::with(|_| (String::new(), main))
    }

    /// Starts it with these services besides a door at `address`, in place of the usual ones of the same name, and these
    /// settings, made for the folder of its configuration.
    pub fn with(make: impl FnOnce(&Path) -> (String, String)) -> Self {
        Self::at(free(), make)
    }

    /// The same at an address of one's own.
    pub fn at(address: SocketAddr, make: impl FnOnce(&Path) -> (String, String)) -> Self {
        assert!(std::fs::exists("/usr/sbin/postfix").unwrap(), "PEER MISSING: postfix; tests/run installs it");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        for name in ["etc", "spool", "data"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let owner = Command::new("id").args(["-u", "postfix"]).output().unwrap();
        let owner: u32 = String::from_utf8(owner.stdout).unwrap().trim().parse().unwrap();
        chown(path("data"), Some(owner), None).unwrap();
        let (services, settings) = make(&path("etc"));
        let is_replaced = |line: &&str| {
            let name = line.split_whitespace().next();
            services.lines().any(|own| own.split_whitespace().next() == name)
        };
        let usual: String =
            SERVICES.lines().filter(|line| !is_replaced(line)).map(|line| format!("{line}\n")).collect();
        let master = format!("127.0.0.1:{} inet n - n - - smtpd\n{usual}{services}", address.port());
        std::fs::write(path("etc/master.cf"), master).unwrap();
        let usual = format!(
            "compatibility_level = 3.6\nqueue_directory = {0}/spool\ndata_directory = {0}/data\nmaillog_file = {0}/mail.log\nmaillog_file_prefixes = {0}\n\
             myhostname = mail.sundby.example\nmydestination =\ninet_interfaces = loopback-only\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\n\
             relay_domains = sundby.example\nparent_domain_matches_subdomains =\n\
             smtp_dns_support_level = disabled\nsmtp_host_lookup = native\nalias_maps =\nalias_database =\nmessage_size_limit = 209715200\n",
            folder.path().display(),
        );
        let name_of = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
        let is_own = |line: &&str| settings.lines().any(|own| name_of(own) == name_of(line));
        let usual: String = usual.lines().filter(|line| !is_own(line)).map(|line| format!("{line}\n")).collect();
        let main = usual + &settings;
        std::fs::write(path("etc/main.cf"), main).unwrap();
        let postfix = Self { address, folder };
        postfix.shell("postfix check && postfix start");
        wait_until("Postfix", || std::net::TcpStream::connect(address).is_ok());
        postfix
    }

    /// Runs commands as its operator would; what they print.
    pub fn shell(&self, commands: &str) -> String {
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", commands]).env("MAIL_CONFIG", self.folder.path().join("etc"));
        let ran = shell.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
        let (said, faults) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{commands}: {said}{faults}\n{}", self.log());
        said.into_owned()
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mail.log")).unwrap_or_default()
    }

    /// The id of its first process.
    pub fn master(&self) -> u32 {
        std::fs::read_to_string(self.pid_file()).unwrap().trim().parse().unwrap()
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.path().join("spool/pid/master.pid")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if self.pid_file().exists() {
            let _ = Command::new("kill").arg(self.master().to_string()).status();
        }
    }
}
