//! Postfix's `smtp-sink` as a peer: it takes everything, and shows what it took.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::running::free;

/// The sink, running until dropped.
pub struct Sink {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Sink {
    /// Starts the sink. With `keeps` every message becomes a file.
    pub async fn start(keeps: bool, options: &[&str]) -> Self {
        Self::start_at(free(), keeps, options).await
    }

    /// … there, where one that was killed may have listened before.
    pub async fn start_at(address: SocketAddr, keeps: bool, options: &[&str]) -> Self {
        let Some(program) = ["/usr/sbin/smtp-sink", "/usr/local/sbin/smtp-sink"]
            .iter()
            .find(|path| std::fs::exists(path).unwrap_or_default())
        else {
            panic!("PEER MISSING: smtp-sink (Postfix); tests/run installs it");
        };
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        // As root it insists on becoming somebody else, who must own the folder then.
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            let (user, group) = account("postfix");
            chown(folder.path(), Some(user), Some(group)).unwrap();
            command.args(["-u", "postfix"]);
        }
        if keeps {
            command.arg("-d").arg(folder.path().join("message."));
        }
        command.args(options).arg(address.to_string()).arg("200");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        let sink = Self { address, child, folder };
        sink.wait_until_it_listens().await;
        sink
    }

    async fn wait_until_it_listens(&self) {
        for _ in 0..500 {
            if TcpStream::connect(self.address).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("smtp-sink does not listen at {}", self.address);
    }

    /// What it has taken, oldest first: envelope as header fields, then the message, lines ended by LF.
    ///
    /// The sink makes a file when a message begins and removes it if the peer goes before the end: what it still holds
    /// open it has not taken. What one that was killed had begun stands there, cut off.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.taken().into_iter().map(|(_, message)| message).collect()
    }

    /// … with the moment each was whole.
    pub fn taken(&self) -> Vec<(SystemTime, Vec<u8>)> {
        let listed = std::fs::read_dir(self.folder.path()).unwrap();
        let listed: Vec<PathBuf> = listed.map(|file| file.unwrap().path()).collect();
        let held = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten();
        let held: Vec<PathBuf> = held.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok()).collect();
        let taken = listed.into_iter().filter(|file| !held.contains(file));
        let mut taken: Vec<_> = taken.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file))).collect();
        taken.sort();
        taken.into_iter().filter_map(|(when, file)| Some((when, std::fs::read(file).ok()?))).collect()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Seconds of processor time the sink has used.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(&self.child.id().to_string())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Seconds of processor time of a process, `self` for our own; the kernel counts in hundredths.
#[allow(clippy::cast_precision_loss)]
pub fn cpu_seconds(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let behind_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = behind_name[11].parse::<u64>().unwrap() + behind_name[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn account(name: &str) -> (u32, u32) {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = accounts.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
    let fields: Vec<&str> = line.split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}
