//! `sealgate init`: a configuration that runs unedited on loopback, with its keys and certificates.

use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::cli::print;
use crate::daemon::{Foundation, RunBy, found};
use crate::mail::Domain;

/// Where the unit looks for the configuration and its keys.
const SYSTEMD_DIR: &str = "/etc/sealgate";

pub fn init(dir: &Path, name: &str, domain: &str, for_systemd: bool) -> Result<(), Failure> {
    let domain: Domain =
        domain.parse().map_err(|fault| Failure::new(Exit::Usage, format!("--domain {domain}: {fault}")))?;
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::new(Exit::Usage, "--name: a name has at least one letter and no control characters"));
    }
    let file = dir.join("sealgate.toml");
    if file.exists() {
        return Err(Failure::new(
            Exit::CannotCreate,
            format!("{} is there already; nothing was changed", file.display()),
        ));
    }
    let run_by = if for_systemd { RunBy::Systemd } else { RunBy::Founder };
    found(dir, &Foundation { run_by, ..Foundation::usual(name, domain) })
        .map_err(|fault| Failure::new(Exit::CannotCreate, format!("{fault:#}")))?;
    print::line(&format!("wrote {}", file.display()));
    print::line("next:");
    if !for_systemd {
        print::line(&format!("  sealgate check --config {}", file.display()));
        print::line(&format!("  sealgate run --config {}", file.display()));
        return Ok(());
    }
    if dir != Path::new(SYSTEMD_DIR) {
        print::line(&format!("  write {} in place of {SYSTEMD_DIR} in sealgate.service", dir.display()));
    }
    print::line(&format!("  sealgate check --no-files --config {}", file.display()));
    print::line("  systemctl enable --now sealgate");
    Ok(())
}
