//! The configuration as operators meet it: the sample, the reference, and what is said about faulty files.
//!
//! Each folder of `config/` holds a faulty `sealgate.toml` and `faults.txt`, what is said about it, word for word. In
//! folders whose name ends in `-files` the named files are looked at too. `SEALGATE_REWRITE=1` writes the expected
//! texts anew; read the difference before committing it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use sealgate::config::{self, Files};

const SAMPLE: &str = "conf/sealgate.toml";

#[test]
fn every_fault_is_told_word_for_word() {
    let mut folders: Vec<PathBuf> =
        fs::read_dir("tests/house/config").unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 13);
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let files = if name.ends_with("-files") { Files::Check } else { Files::Skip };
        let said = match config::load(&folder.join("sealgate.toml"), files) {
            Ok(loaded) => loaded.warnings,
            Err(faults) => faults,
        };
        let said = format!("{said}\n").replace(&format!("{}/", folder.display()), "");
        same_as(&folder.join("faults.txt"), &said);
    }
}

#[test]
fn the_sample_is_sound() {
    let loaded = config::load(Path::new(SAMPLE), Files::Skip).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings.to_string(), "");
}

#[test]
fn the_sample_shows_every_setting_and_no_other() {
    let sample = fs::read_to_string(SAMPLE).unwrap();
    let is_off = |line: &str| {
        let rest = line.strip_prefix('#').unwrap_or_default();
        rest.starts_with('[')
            || rest
                .split_once('=')
                .is_some_and(|(name, _)| name.trim().chars().all(|c| c == '_' || c.is_ascii_lowercase()))
    };
    let all_on: String = sample
        .lines()
        .map(|line| line.strip_prefix('#').filter(|_| is_off(line)).unwrap_or(line).to_owned() + "\n")
        .collect();
    let Err(faults) = config::parse(SAMPLE, &all_on, Files::Skip) else {
        panic!("with everything on, something is not served yet");
    };
    for fault in faults.iter() {
        assert!(!fault.cause.contains("unknown setting"), "{fault}");
        assert!(!fault.cause.contains("not TOML"), "{fault}");
    }
    for line in config::reference().lines() {
        let Some((name, _)) =
            line.strip_prefix('#').and_then(|line| line.split_once(" =")).filter(|(name, _)| !name.contains(' '))
        else {
            continue;
        };
        let shown = sample.split(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).any(|word| word == name);
        let told_in_reference =
            ["copy_to", "login", "template", "text", "reply_to", "client_certificate", "auth", "user", "password"];
        let condition = ["all", "subject", "matches", "sensitivity", "from_domain", "size_over", "attachment"];
        assert!(
            shown || told_in_reference.contains(&name) || condition.contains(&name),
            "the sample does not show {name}"
        );
    }
}

#[test]
fn the_reference_page_is_fresh() {
    same_as(Path::new("docs/config.md"), &config::reference_page());
}

#[test]
fn the_reference_is_told_section_by_section() {
    let reference = config::reference();
    for piece in [
        "#hostname =\n",
        "[smtpd.outbound]\n",
        "#max_message_size = \"100 MiB\"\n",
        "[[identity.provider]]\n",
        "[identity.provider.claims]\n",
        "#level = \"acr\"\n",
        "[[tunnel]]\n",
    ] {
        assert!(reference.contains(piece), "{piece:?} is not in\n{reference}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let sample = fs::read_to_string(SAMPLE).unwrap();
    for end in (0..sample.len()).step_by(37).filter(|end| sample.is_char_boundary(*end)) {
        let _ = config::parse(SAMPLE, &sample[..end], Files::Skip);
    }
    for (number, line) in sample.lines().enumerate().filter(|(_, line)| line.contains('=')) {
        for other in ["", "x", "1", "\"\"", "[]", "{}", "[[[]]]", "-1", "1979-05-27", "\"\\u0000\"", "true", "inf"] {
            let (name, _) = line.split_once('=').unwrap();
            let changed: Vec<String> = sample
                .lines()
                .enumerate()
                .map(|(at, line)| if at == number { format!("{name}= {other}") } else { line.to_owned() })
                .collect();
            let _ = config::parse(SAMPLE, &changed.join("\n"), Files::Skip);
        }
    }
    for nested in ["[", "{a=", "a.", "[[a]]\n[a.b]\n", "\u{feff}", "\0"] {
        let _ = config::parse(SAMPLE, &nested.repeat(10_000), Files::Skip);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_change_to_a_sound_text_makes_it_panic(place in 0.0..1.0f64, cut in 0usize..40, put in "[\\x00-\\x7fåλ\"'\\[\\]{}=.,#\n]{0,12}") {
        let mut text: Vec<char> = fs::read_to_string(SAMPLE).unwrap().chars().collect();
        let start = (place * text.len() as f64) as usize;
        let end = (start + cut).min(text.len());
        text.splice(start..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(faults) = config::parse(SAMPLE, &text, Files::Skip) {
            proptest::prop_assert!(!faults.is_sound());
        }
    }
}

#[test]
fn what_is_shown_is_in_effect_and_no_secret() {
    let sample = fs::read_to_string(SAMPLE).unwrap().replace("#require", "require");
    let loaded = config::parse(SAMPLE, &sample, Files::Skip).unwrap_or_else(|faults| panic!("{faults}"));
    let shown = toml::to_string(&loaded.settings.effective()).unwrap();
    assert!(shown.contains("max_sessions_per_client = 100\n"), "{shown}");
    assert!(shown.contains("header = \"X-Our-Tenant: …\"") && !shown.contains("long secret"), "{shown}");
    assert!(!format!("{:?}", loaded.settings).contains("long secret"));
}

#[test]
fn sound_files_are_found_sound() {
    let place = Place::new();
    let loaded = config::load(&place.config(), Files::Start).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.warnings.to_string(), "");
}

#[test]
fn a_key_others_can_read_is_refused() {
    let place = Place::new();
    fs::set_permissions(place.path("gw.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(place.path("vault.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let said = place.faults(Files::Check);
    assert!(said.contains(":9: tls.key: others can read it (mode 0644): gw.key\n  hint: chmod 600 "), "{said}");
    assert!(said.contains(": vault.identity: others can read it (mode 0640): vault.key\n  hint: chmod 600 "), "{said}");
    assert!(said.ends_with("2 faults"), "{said}");
}

#[test]
fn an_expired_certificate_is_refused_and_an_ending_one_warned_of() {
    let place = Place::new();
    place.certify(|params| params.not_after = date_time_ymd(2020, 1, 2));
    let said = place.faults(Files::Check);
    assert!(said.contains("tls.certificate: the certificate expired at 2020-01-02T00:00:00Z: gw.pem"), "{said}");
    place.certify(|params| params.not_before = date_time_ymd(2090, 1, 2));
    assert!(place.faults(Files::Check).contains("not valid before 2090-01-02"));
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(10 * 86_400);
    place.certify(|params| params.not_after = soon.into());
    let loaded = config::load(&place.config(), Files::Check).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(loaded.warnings.to_string().contains("warning: tls.certificate: the certificate expires at "));
}

#[test]
fn a_certificate_without_the_portals_name_is_warned_of() {
    let place = Place::new();
    let portal = "[portal]\nlisten = \"127.0.0.1:0\"\nurl = \"https://GW.sundby.example:8443/\"\n";
    place.write("sealgate.toml", &format!("{CONFIG}{portal}"));
    let warnings = || config::load(&place.config(), Files::Check).unwrap_or_else(|faults| panic!("{faults}")).warnings;
    assert_eq!(warnings().to_string(), "");
    place.write("sealgate.toml", &format!("{CONFIG}{portal}").replace("https://GW", "https://sakra"));
    let told = warnings().to_string();
    assert!(told.contains("the certificate is not for sakra.sundby.example, the portal's name"), "{told}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let place = Place::new();
    place.write_secret("gw.key", &KeyPair::generate().unwrap().serialize_pem());
    assert!(place.faults(Files::Check).contains("tls.key: the key does not belong to gw.pem"));
    place.write_secret("gw.key", "no key at all");
    assert!(place.faults(Files::Check).contains("tls.key: no private key in PEM: gw.key"));
    place.write_secret("vault.key", "no key at all");
    assert!(place.faults(Files::Check).contains("vault.identity: no age identity in it: vault.key"));
}

#[test]
fn a_port_in_use_is_refused_at_start_alone() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    place.write("sealgate.toml", &CONFIG.replace("127.0.0.1:0", &address.to_string()));
    let said = place.faults(Files::Start);
    assert!(said.contains(&format!("smtpd.outbound.listen: {address} is in use\n  hint: `ss -ltnp")), "{said}");
    assert!(config::load(&place.config(), Files::Check).is_ok());
}

#[tokio::test]
async fn a_control_socket_replaces_no_file() {
    let place = Place::new();
    place.write("sealgate.toml", &format!("{CONFIG}[control]\nsocket = \"gw.pem\"\n"));
    let said = place.faults(Files::Check);
    assert!(said.contains("control.socket: ") && said.contains("gw.pem is a file, and no socket"), "{said}");
    let file = place.path("gw.pem");
    let before = fs::read(&file).unwrap();
    assert!(sealgate::control::Server::bind(&file).await.is_err());
    assert_eq!(fs::read(&file).unwrap(), before);
    // One that a crash left behind is replaced, and is nobody else's.
    let socket = place.path("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let _server = sealgate::control::Server::bind(&socket).await.unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(sealgate::control::Server::bind(&socket).await.is_err(), "another daemon listens there");
}

/// A folder with a configuration and all it names.
struct Place(tempfile::TempDir);

const CONFIG: &str = r#"hostname = "gw.sundby.example"
data_dir = "kept"

[organisation]
name = "Sundby kommun"
domains = ["sundby.example"]
[tls]
certificate = "gw.pem"
key = "gw.key"
[smtpd.outbound]
listen = "127.0.0.1:0"
[delivery]
internet = "smtp://127.0.0.1:2525"
mail_server = "smtp://127.0.0.1:10026"
[vault]
identity = "vault.key"
"#;

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("sealgate.toml", CONFIG);
        place.certify(|_| {});
        let identity = sealgate::vault::Identity::generate().unwrap();
        let identity = format!("# created: 2026-11-24T10:00:00Z\n{}\n", identity.to_text().as_str());
        place.write_secret("vault.key", &identity);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("sealgate.toml")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Makes certificate and key anew, the certificate changed by hand.
    fn certify(&self, change: impl FnOnce(&mut CertificateParams)) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["gw.sundby.example".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2095, 1, 1);
        change(&mut params);
        self.write("gw.pem", &params.self_signed(&key).unwrap().pem());
        self.write_secret("gw.key", &key.serialize_pem());
    }

    fn faults(&self, files: Files) -> String {
        match config::load(&self.config(), files) {
            Ok(_) => panic!("this should be faulty"),
            Err(faults) => faults.to_string(),
        }
    }
}

/// Compares a text with the file it should be, or writes the file.
fn same_as(file: &Path, text: &str) {
    if std::env::var_os("SEALGATE_REWRITE").is_some() {
        fs::write(file, text).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(expected, text, "{} is stale; SEALGATE_REWRITE=1 writes it anew", file.display());
}
