//! `sealgate demo`.

use std::path::PathBuf;

use crate::cli::exit::{Exit, Failure};
use crate::demo::{self, Place};

pub async fn demo(once: bool, dir: Option<PathBuf>) -> Result<(), Failure> {
    let place = match dir {
        Some(dir) => Place::at(&dir),
        None => Place::fresh(),
    };
    let place = place.map_err(|fault| Failure::new(Exit::CannotCreate, format!("{fault:#}")))?;
    demo::run(once, place).await.map_err(|fault| Failure::new(Exit::Software, format!("the demo stopped: {fault:#}")))
}
