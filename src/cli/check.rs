//! `sealgate check`.

use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::cli::print;
use crate::config::{self, Files};
use crate::daemon::run_expectations;
use crate::fault::Faults;

pub fn check(path: &Path, no_files: bool, json: bool) -> Result<(), Failure> {
    let files = if no_files { Files::Skip } else { Files::Check };
    let faults = match config::load(path, files) {
        Err(faults) => faults,
        Ok(loaded) => {
            let mut faults: Faults = loaded.warnings;
            run_expectations(&path.display().to_string(), &loaded.settings, files)
                .into_iter()
                .for_each(|fault| faults.push(fault));
            faults
        }
    };
    if json {
        print::json(&serde_json::to_value(&faults).unwrap_or_default());
    } else if !faults.is_empty() {
        print::fault(faults.to_string().trim_end());
    }
    if !faults.is_sound() {
        return Err(Failure::new(Exit::Config, ""));
    }
    if !json {
        print::line(&format!("{} is sound", path.display()));
    }
    Ok(())
}
