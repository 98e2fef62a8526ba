//! The daemon as its own process: founded in a folder, started, killed, asked through its command line.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sealgate::daemon::{Foundation, found};

use crate::leaks::found_in;

/// How long anything may take before the test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A port that is free, and that nobody else gets: below those that the system gives to clients, each once in a run.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // A run and the tests it starts as processes of their own each begin at another thousand: what one has set aside
        // for a restart, another does not take meanwhile.
        let number = (std::process::id() % 20) * 1_000 + NEXT.fetch_add(1, Ordering::SeqCst);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(12_000 + number % 20_000).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Whether the long tier was asked for.
pub fn is_long() -> bool {
    std::env::var_os("SEALGATE_LONG").is_some_and(|long| !long.is_empty())
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come about in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A row of figures: what was tried, and how much of it held, as `faults` had so many entries before.
pub fn figures(what: &str, tried: usize, before: usize, faults: &[String]) -> String {
    format!("| {what} | {tried} | {} |", tried - (faults.len() - before))
}

/// Prints a row of figures, which docs/threats.md must hold.
pub fn stands_in_threats(row: &str) {
    println!("{row}");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/threats.md")).unwrap();
    assert!(page.contains(row), "docs/threats.md does not hold: {row}");
}

/// A gateway founded in a folder; its process may run or not.
pub struct Gateway {
    pub folder: PathBuf,
    pub outbound: SocketAddr,
    pub inbound: SocketAddr,
    pub portal: SocketAddr,
    pub control: SocketAddr,
    /// Put into the environment of the process.
    pub environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Gateway {
    /// Founds a gateway that hands outside mail to `internet` and inside mail to `mail_server`.
    pub fn found(folder: &Path, internet: SocketAddr, mail_server: SocketAddr, issuer: &str) -> Self {
        let [outbound, inbound, portal, control] = [(); 4].map(|()| free());
        let foundation = Foundation {
            outbound,
            inbound,
            portal,
            control,
            internet,
            mail_server,
            issuer: issuer.to_owned(),
            department: Some(("bygg".into(), "Bygglov".into(), "bygg@sundby.example".into())),
            ..Foundation::usual("Sundby kommun", "sundby.example".parse().unwrap())
        };
        found(folder, &foundation).unwrap();
        let config = folder.join("sealgate.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let door = format!("listen = \"{inbound}\"\n");
        std::fs::write(&config, text.replacen(&door, &format!("{door}greeting_pause = \"1ms\"\n"), 1)).unwrap();
        Self {
            folder: folder.to_owned(),
            outbound: foundation.outbound,
            inbound,
            portal: foundation.portal,
            control: foundation.control,
            environment: Vec::new(),
            child: None,
        }
    }

    /// The same gateway at another place, with nothing kept yet, handing all mail to `hop`.
    pub fn at(&self, place: &Path, hop: SocketAddr) -> Self {
        for folder in ["keys", "certs"] {
            std::fs::create_dir(place.join(folder)).unwrap();
            for file in std::fs::read_dir(self.folder.join(folder)).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), place.join(folder).join(file.file_name())).unwrap();
            }
        }
        let text = std::fs::read_to_string(self.config()).unwrap();
        let told = |line: &str| match line.split_once(" = \"smtp://") {
            Some((key, _)) => format!("{key} = \"smtp://{hop}\""),
            None => line.to_owned(),
        };
        std::fs::write(place.join("sealgate.toml"), text.lines().map(told).collect::<Vec<_>>().join("\n")).unwrap();
        Self { folder: place.to_owned(), environment: Vec::new(), child: None, ..*self }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.join("sealgate.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the process and waits until it takes mail.
    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
        command.arg("run").arg("--config").arg(self.config()).envs(self.environment.iter().cloned());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        wait_until("the outbound door and that of operations", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the daemon ended: {status}\n{}", std::fs::read_to_string(self.folder.join("log")).unwrap());
            }
            [self.outbound, self.control].iter().all(|door| TcpStream::connect(door).is_ok())
        });
        self.child = Some(child);
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the command line; its standard output as JSON.
    pub fn ask(&self, words: &[&str]) -> serde_json::Value {
        let output = self.command(words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "sealgate {words:?}: {}\n{told}", output.status);
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The command line, about to be run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgate"));
        command.args(words).arg("--json").arg("--config").arg(self.config());
        command
    }

    /// Files below the data folder, and the log, in which one of these can be read.
    pub fn readable(&self, words: &[&str]) -> Vec<String> {
        let log = std::fs::read(self.folder.join("log")).unwrap();
        let mut found: Vec<String> = found_in(&log, words).iter().map(|word| format!("{word} in the log")).collect();
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    let octets = std::fs::read(&path).unwrap();
                    let words = found_in(&octets, words);
                    found.extend(words.iter().map(|word| format!("{word} in {}", path.display())));
                }
            }
        }
        found
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}
