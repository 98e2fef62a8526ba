//! Asking the running daemon, or, where none runs, what it keeps: both ways give the same answer.

use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Failure};
use crate::cli::print;
use crate::config::{self, Files, Settings};
use crate::control::{Answer, Desk, Request, ask, is_running, may_ask};
use crate::daemon::Kept;
use crate::net::Clock;

/// Reads the configuration without opening what it names.
///
/// # Errors
/// Every fault of it.
pub fn settings(path: &Path) -> Result<Settings, Failure> {
    let loaded = config::load(path, Files::Skip).map_err(|faults| Failure::new(Exit::Config, faults.to_string()))?;
    Ok(loaded.settings)
}

/// Whoever answers: what is kept, opened here, or the running daemon.
pub enum House {
    /// Opened here, for no daemon runs.
    Kept(Box<Desk>),
    /// The daemon at this socket.
    Daemon(PathBuf),
}

impl House {
    /// Finds out who answers.
    ///
    /// # Errors
    /// Nobody does, or we may not ask.
    pub async fn find(path: &Path) -> Result<Self, Failure> {
        let settings = match settings(path) {
            Ok(settings) => settings,
            Err(faults) => return Self::running(path).await.ok_or(faults),
        };
        let socket = settings.control_socket();
        if !may_ask(&socket).await? && !settings.data_dir.path.exists() {
            let text = format!("nothing is kept at {} and no daemon runs", settings.data_dir.path.display());
            return Err(Failure::new(Exit::Unavailable, text));
        }
        // A daemon that starts holds the store before it can answer, one that stops holds it after.
        let kept = Kept::open_in_turn(&settings, Clock::System, async || is_running(&socket).await).await;
        Ok(match kept.map_err(|fault| Failure::new(Exit::Unavailable, format!("{fault:#}")))? {
            Some(kept) => Self::Kept(Box::new(kept.desk())),
            None => Self::Daemon(socket),
        })
    }

    /// The daemon that runs, where the file that it read has got faults since.
    async fn running(path: &Path) -> Option<Self> {
        let socket = config::control_socket_in(path)?;
        if !is_running(&socket).await {
            return None;
        }
        print::fault(&format!(
            "warning: {} has faults, which `sealgate check` tells: the daemon goes on by what it read before, and answers",
            path.display()
        ));
        Some(Self::Daemon(socket))
    }

    /// Asks.
    ///
    /// # Errors
    /// The refusal, as text and exit code.
    pub async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        Ok(match self {
            Self::Kept(desk) => desk.answer(request).await?,
            Self::Daemon(socket) => ask(socket, &request).await?,
        })
    }
}

/// Asks once.
///
/// # Errors
/// The refusal, as text and exit code.
pub async fn request(path: &Path, request: Request) -> Result<Answer, Failure> {
    House::find(path).await?.ask(request).await
}
