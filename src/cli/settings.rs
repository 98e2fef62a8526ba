//! `sealgate config`.

use std::path::Path;

use crate::cli::args::Config;
use crate::cli::exit::{Exit, Failure};
use crate::cli::house::settings;
use crate::cli::print;
use crate::config;

pub fn show(path: &Path, verb: &Config, json: bool) -> Result<(), Failure> {
    match verb {
        Config::Reference if json => {
            print::json(&config::reference_value());
            Ok(())
        }
        Config::Reference => {
            print::line(config::reference().trim_end());
            Ok(())
        }
        Config::Show => {
            let effective = settings(path)?.effective();
            if json {
                print::json(&serde_json::to_value(&effective).unwrap_or_default());
                return Ok(());
            }
            let text = toml::to_string(&effective).map_err(|fault| Failure::new(Exit::Software, fault.to_string()))?;
            print::line(text.trim_end());
            Ok(())
        }
    }
}
