//! The systemd unit and the configuration `init --systemd` writes for it, and what root does with the files of the
//! service's user. The unit file is taken at its word; in systemd's place, this test hands the credentials over.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use crate::running::{free, wait_until};

const UNIT: &str = "systemd/sealgate.service";
/// nobody: the service's user here.
const USER: u32 = 65_534;

/// What a gateway founded for the unit looks like on a machine: program, configuration, state, credentials.
struct Machine {
    root: tempfile::TempDir,
    control: std::net::SocketAddr,
}

/// The values of a setting in the unit, comments aside.
fn unit(setting: &str) -> Vec<String> {
    let text = std::fs::read_to_string(UNIT).unwrap();
    let values = text.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    values.map(str::to_owned).collect()
}

/// Name and file below `/etc/sealgate` of every credential the unit loads.
fn loaded() -> BTreeMap<String, String> {
    let pair = |value: String| {
        let (name, path) = value.split_once(':').unwrap();
        (name.to_owned(), path.strip_prefix("/etc/sealgate/").unwrap().to_owned())
    };
    unit("LoadCredential").into_iter().map(pair).collect()
}

impl Machine {
    /// Founds it by the command line, in a folder of its own.
    fn found() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Self { root, control: free() };
        // The service's user may not reach where this was built.
        std::fs::copy(env!("CARGO_BIN_EXE_sealgate"), machine.program()).unwrap();
        let said = machine.root(&["init", machine.path("etc").to_str().unwrap(), "--systemd"]);
        assert!(said.status.success(), "{}", words(&said));
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.path("sealgate")
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.path("etc/sealgate.toml")).unwrap()
    }

    /// Moves state and ports to where this test may have them, and does what the unit asks of systemd.
    fn prepare(&self) {
        let state = self.path("state");
        std::fs::create_dir(&state).unwrap();
        let mut text = self.config().replace("/var/lib/sealgate", state.to_str().unwrap());
        for port in ["10024", "10025", "8443"] {
            text = text.replace(&format!("127.0.0.1:{port}"), &free().to_string());
        }
        text = text.replace("127.0.0.1:9625", &self.control.to_string());
        std::fs::write(self.path("etc/sealgate.toml"), text).unwrap();
        let credentials = self.path("credentials");
        std::fs::create_dir(&credentials).unwrap();
        for (name, file) in loaded() {
            std::fs::copy(self.path("etc").join(file), credentials.join(&name)).unwrap();
            std::fs::set_permissions(credentials.join(&name), std::fs::Permissions::from_mode(0o400)).unwrap();
            chown(credentials.join(name), Some(USER), Some(USER)).unwrap();
        }
        for folder in [&credentials, &state] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
            chown(folder, Some(USER), Some(USER)).unwrap();
        }
    }

    /// The command line as the service's user, with what systemd hands it.
    fn service(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"]);
        command.arg(self.program()).args(words).arg("--config").arg(self.path("etc/sealgate.toml"));
        command.env("CREDENTIALS_DIRECTORY", self.path("credentials")).current_dir("/");
        command
    }

    /// The command line as root, as it is written.
    fn root(&self, words: &[&str]) -> Output {
        Command::new(self.program()).args(words).env_remove("CREDENTIALS_DIRECTORY").output().unwrap()
    }

    /// The daemon as the service's user, when it is ready.
    fn run(&self) -> Running {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = self.service(&["run"]).stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let page = format!("http://{}/readyz", self.control);
        wait_until("a daemon that is ready", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(self.path("log")).unwrap());
            Command::new("curl").args(["-sf", &page]).output().is_ok_and(|said| said.status.success())
        });
        Running(child)
    }
}

/// Killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What acts for other users needs root: without it nothing would be shown, and that must not look like a success.
fn needs_root() {
    let us = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(us, 0, "PEER MISSING: root, to start the daemon as another user");
}

#[test]
fn init_for_systemd_and_the_unit_name_the_same_secrets() {
    let machine = Machine::found();
    let text = machine.config();
    let named: Vec<&str> = text.split("\"credential:").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let loaded = loaded();
    assert!(!named.is_empty());
    for name in &named {
        assert!(loaded.contains_key(*name), "the unit does not load {name}");
    }
    for (name, file) in &loaded {
        assert!(named.contains(&name.as_str()), "nothing names the credential {name}");
        let mode = std::fs::metadata(machine.path("etc").join(file)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(unit("StateDirectory"), ["sealgate"]);
    assert!(text.contains("data_dir = \"/var/lib/sealgate\""), "{text}");
    assert!(!machine.path("etc/data").exists());

    // The README's way ends where the unit begins.
    let readme = std::fs::read_to_string("README.md").unwrap();
    let start = unit("ExecStart").pop().unwrap();
    let (program, rest) = start.split_once(' ').unwrap();
    assert_eq!(rest, "run --config /etc/sealgate/sealgate.toml");
    for step in [
        format!("install -m 755 target/release/sealgate {program}\n"),
        "install -m 644 systemd/sealgate.service /etc/systemd/system/sealgate.service\n".to_owned(),
        "sealgate init /etc/sealgate --systemd ".to_owned(),
    ] {
        assert!(readme.contains(&step), "README.md does not say {step:?}");
    }
    let user = unit("User").pop().unwrap();
    assert!(readme.lines().any(|line| line.starts_with("useradd --system --user-group") && line.ends_with(&user)));

    // What systemd itself says of the unit, where there is one.
    let analyzed = machine.path("sealgate.service");
    let text = std::fs::read_to_string(UNIT).unwrap().replace(program, machine.program().to_str().unwrap());
    std::fs::write(&analyzed, text.replace("Documentation=man:sealgate(1)\n", "")).unwrap();
    if let Ok(said) = Command::new("systemd-analyze").arg("verify").arg(&analyzed).output() {
        assert!(said.status.success() && !words(&said).contains("sealgate.service"), "{}", words(&said));
    }
}

#[test]
fn what_init_writes_for_the_unit_starts_as_the_services_user() {
    needs_root();
    let machine = Machine::found();
    machine.prepare();
    let said = machine.service(&["check"]).output().unwrap();
    assert!(said.status.success() && !words(&said).contains("warning"), "{}", words(&said));
    let running = machine.run();
    assert!(machine.path("state/rows.redb").exists());
    drop(running);
}

#[test]
fn with_the_daemon_stopped_its_user_can_work_on_what_is_kept_and_root_is_told_so() {
    needs_root();
    let machine = Machine::found();
    machine.prepare();
    let config = machine.path("etc/sealgate.toml");
    let verb = |words: &[&str]| [words, &["--config", config.to_str().unwrap()]].concat().join(" ");
    let as_root = |words: &[&str], credentials: Option<PathBuf>| {
        let mut command = Command::new(machine.program());
        match credentials {
            None => command.env_remove("CREDENTIALS_DIRECTORY"),
            Some(folder) => command.env("CREDENTIALS_DIRECTORY", folder),
        };
        command.args(verb(words).split(' ')).output().unwrap()
    };
    let running = machine.run();
    let strange = machine.service(&["queue", "list"]).arg("--json").output().unwrap();
    assert!(strange.status.success(), "its own user may ask: {}", words(&strange));
    let stranger = Command::new("setpriv")
        .args(["--reuid=12345", "--regid=12345", "--clear-groups"])
        .arg(machine.program())
        .args(verb(&["queue", "list"]).split(' '))
        .current_dir("/")
        .output()
        .unwrap();
    let told = words(&stranger);
    assert_eq!(stranger.status.code(), Some(77), "{told}");
    assert!(told.contains("control.sock may not be opened: this is for root and for the user"), "{told}");
    drop(running);

    // Its user needs the key at hand.
    let told = words(&machine.service(&["queue", "list"]).env_remove("CREDENTIALS_DIRECTORY").output().unwrap());
    assert!(told.contains("put CREDENTIALS_DIRECTORY=DIR before the command") && told.contains("vault.key"), "{told}");
    for asked in [&["queue", "list"][..], &["key", "rotate", "vault"], &["audit", "verify"]] {
        let said = machine.service(asked).output().unwrap();
        assert!(said.status.success(), "{asked:?}: {}", words(&said));
    }

    // Root is not led elsewhere by a link of the user's, and told how to ask.
    let secret = machine.path("secret");
    std::fs::write(&secret, "root's").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::rename(machine.path("state/rows.redb"), machine.path("rows.redb")).unwrap();
    std::os::unix::fs::symlink(&secret, machine.path("state/rows.redb")).unwrap();
    for asked in [&["queue", "list"][..], &["key", "rotate", "vault"]] {
        let said = as_root(asked, Some(machine.path("etc/keys")));
        assert!(!said.status.success() && words(&said).contains("runuser -u "), "{asked:?}: {}", words(&said));
    }
    let facts = std::fs::metadata(&secret).unwrap();
    assert_eq!((facts.uid(), facts.mode() & 0o777), (0, 0o640));
}
