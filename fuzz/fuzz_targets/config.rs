//! Whatever stands in `sealgate.toml`, reading it ends with settings or faults, and telling the faults ends too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::config::{self, Files};

fuzz_target!(|text: &str| {
    match config::parse("sealgate.toml", text, Files::Skip) {
        Ok(loaded) => {
            let shown = loaded.settings.effective().to_string();
            assert!(!shown.is_empty() && loaded.warnings.is_sound());
        }
        Err(faults) => {
            assert!(!faults.is_sound());
            assert!(!faults.to_string().is_empty());
        }
    }
});
