//! Reading the configuration: the file, the text, the whole with all its faults.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::certificates::check_certificates;
use crate::config::check::check;
use crate::config::files::{Files, World, check_files};
use crate::config::meant::check_meaning;
use crate::config::rules::check_rules;
use crate::config::served::check_served;
use crate::config::settings::Settings;
use crate::fault::{Fault, Faults, Reader, Severity, why};
use crate::net::Clock;

/// Where the configuration is looked for when nobody says.
pub const USUAL_PLACES: [&str; 2] = ["/etc/sealgate/sealgate.toml", "conf/sealgate.toml"];

/// Octets of a configuration file we are willing to read.
const FILE_OCTETS: u64 = 4 << 20;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What to tell the operator though it can be used.
    pub warnings: Faults,
}

/// The configuration file: the one named, or the first of [`USUAL_PLACES`] that exists.
#[must_use]
pub fn find(named: Option<PathBuf>) -> PathBuf {
    let [first, ..] = USUAL_PLACES;
    named
        .or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|place| place.exists()))
        .unwrap_or_else(|| PathBuf::from(first))
}

/// Reads and checks a configuration file, and as far as asked the files it names. Calls are blocking and quick.
///
/// # Errors
/// All faults, and the warnings among them.
pub fn load(path: &Path, files: Files) -> Result<Loaded, Faults> {
    let file = path.display().to_string();
    match read(path) {
        Ok(text) => parse(&file, &text, files),
        Err(Unread { line, cause, hint }) => {
            let fault =
                Fault { file, line, key: String::new(), cause, hint: hint.to_owned(), severity: Severity::Fault };
            Err([fault].into_iter().collect())
        }
    }
}

/// Reads and checks a configuration's text. `file` is what faults call it; paths in it are relative to that file's
/// folder. Never panics, whatever the text.
///
/// # Errors
/// All faults, and the warnings among them.
pub fn parse(file: &str, text: &str, files: Files) -> Result<Loaded, Faults> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let world = World { files, now: Clock::System.now(), credentials };
    let mut reader = Reader::new(file, text);
    let read: Option<Settings> = reader.read(text);
    if let Some(settings) = &read {
        check_rules(settings, &mut reader);
        check_meaning(settings, &mut reader);
        check(settings, &mut reader);
        check_served(settings, &mut reader);
        check_files(settings, &world, &mut reader);
        if files != Files::Skip {
            check_certificates(settings, &world, &mut reader);
        }
    }
    let sound = reader.is_sound();
    let faults = reader.into_faults();
    match read {
        Some(settings) if sound => Ok(Loaded { settings, warnings: faults }),
        Some(_) | None => Err(faults),
    }
}

/// The control socket that a file names, however faulty the rest of it: for who asks a daemon that read it when it was sound.
#[must_use]
pub fn control_socket_in(path: &Path) -> Option<PathBuf> {
    let text = read(path).ok()?;
    let whole = toml::from_str(&text).unwrap_or_else(|_| legible(&text));
    let folder = path.parent().unwrap_or(Path::new(""));
    match whole.get("control").and_then(|control| control.get("socket")) {
        Some(socket) => Some(folder.join(socket.as_str()?)),
        None => {
            let usual = toml::Value::String("/var/lib/sealgate".to_owned());
            Some(folder.join(whole.get("data_dir").unwrap_or(&usual).as_str()?).join("control.sock"))
        }
    }
}

/// What can be read, line by line, of what stands before the first section and in `[control]`, where the whole is no TOML.
fn legible(text: &str) -> toml::Table {
    let (mut first, mut control, mut section) = (toml::Table::new(), toml::Table::new(), String::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            line.split('#').next().unwrap_or_default().trim().clone_into(&mut section);
        } else if let Ok(settings) = toml::from_str::<toml::Table>(line) {
            match section.as_str() {
                "" => first.extend(settings),
                "[control]" => control.extend(settings),
                _ => {}
            }
        }
    }
    first.entry("control").or_insert(toml::Value::Table(control));
    first
}

/// Why a file is no text.
struct Unread {
    line: Option<usize>,
    cause: String,
    hint: &'static str,
}

fn read(path: &Path) -> Result<String, Unread> {
    let unread = |line, cause: &str, hint| Unread { line, cause: cause.to_owned(), hint };
    let unreadable = |fault: std::io::Error| match fault.kind() {
        ErrorKind::PermissionDenied => unread(None, "cannot be read: permission denied", "its user, or root, may"),
        _ => unread(
            None,
            &format!("cannot be read: {}", why(&fault)),
            "name one with --config FILE; `sealgate init DIR` writes one to begin with",
        ),
    };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_OCTETS {
        return Err(unread(None, "larger than 4 MiB", "this is no configuration"));
    }
    let octets = fs::read(path).map_err(unreadable)?;
    String::from_utf8(octets).map_err(|fault| {
        let sound = fault.as_bytes().iter().take(fault.utf8_error().valid_up_to());
        let line = sound.filter(|octet| **octet == b'\n').count() + 1;
        unread(Some(line), "not UTF-8", "TOML is written in UTF-8")
    })
}
