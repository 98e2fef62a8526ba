//! `sealgate demo`.

use std::path::PathBuf;

use crate::cli::exit::{Exit, Failure};

pub async fn demo(once: bool, dir: Option<PathBuf>) -> Result<(), Failure> {
    crate::demo::run(once, dir)
        .await
        .map_err(|fault| Failure::new(Exit::Software, format!("the demo stopped: {fault:#}")))
}
