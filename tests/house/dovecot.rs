//! Dovecot as the mail server behind us: LMTP in, Maildirs out.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

/// Dovecot, running until dropped.
pub struct Dovecot {
    pub lmtp: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Dovecot {
    /// Starts it with mailboxes for these.
    pub async fn start(users: &[&str]) -> Self {
        Self::start_with_full(users, &[]).await
    }

    /// The same, with mailboxes in which nothing more finds room.
    pub async fn start_with_full(users: &[&str], full: &[&str]) -> Self {
        let is_installed = Path::new("/usr/sbin/dovecot").exists() && Path::new("/usr/lib/dovecot/lmtp").exists();
        let Some(account) = is_installed.then(|| account("dovenull")).flatten() else {
            panic!("PEER MISSING: dovecot with LMTP; tests/run installs it, and must run as root");
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let lmtp = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let settings = folder.path().join("dovecot.conf");
        std::fs::write(&settings, configuration(folder.path(), account, port)).unwrap();
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).unwrap();
        let line = |user: &&str, room: &str| format!("{user}:::::{}/{user}::{room}\n", mail.display());
        let full = full.iter().map(|user| line(user, "userdb_quota_rule=*:bytes=10"));
        let users: String = users.iter().map(|user| line(user, "")).chain(full).collect();
        std::fs::write(folder.path().join("users"), users).unwrap();
        for path in [folder.path(), &mail] {
            std::os::unix::fs::chown(path, Some(account.0), Some(account.1)).unwrap();
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        let child = Command::new("/usr/sbin/dovecot")
            .args(["-F", "-c"])
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let dovecot = Self { lmtp, child, folder };
        for _ in 0..500 {
            if TcpStream::connect(lmtp).await.is_ok() {
                return dovecot;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("dovecot does not listen: {}", std::fs::read_to_string(dovecot.log()).unwrap_or_default());
    }

    /// What lies in somebody's mailbox.
    pub fn mailbox(&self, user: &str) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.folder.path().join("mail").join(user).join("new")) else {
            return Vec::new();
        };
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master takes its children along on TERM, not on KILL.
        _ = Command::new("kill").arg(self.child.id().to_string()).status();
        _ = self.child.wait();
    }
}

fn configuration(folder: &Path, (user, group): (u32, u32), port: u16) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
mail_plugins = quota
plugin {{
  quota = maildir:User quota
}}
listen = 127.0.0.1
ssl = no
mail_location = maildir:{folder}/mail/%u
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password=pass
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {folder}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"
    )
}

fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = accounts.lines().find(|line| line.starts_with(&format!("{name}:")))?;
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
