//! `sealgate run`: from the file to the end of the program.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Files};
use crate::daemon::build::{Daemon, Reload};
use crate::fault::{Faults, Severity};
use crate::net::{Clock, Shutdown};
use crate::records::{Event, EventKind};
use crate::telemetry::start_log;

/// How long running sessions and attempts may take to finish when the end begins.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the daemon did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunFault {
    /// The configuration has faults, all of them listed.
    #[error("{0}, nothing started")]
    Configuration(Faults),
    /// Something could not be opened or bound.
    #[error("{0:#}")]
    Start(#[from] anyhow::Error),
}

/// Runs the daemon in the foreground until it is told to stop.
///
/// # Errors
/// [`RunFault`]: nothing was started, or it ended badly.
pub async fn run(path: &Path) -> Result<(), RunFault> {
    let loaded = config::load(path, Files::Start).map_err(RunFault::Configuration)?;
    start_log(loaded.settings.log.format);
    log_faults(&loaded.warnings);
    let mut signals = Signals::listen().context("signals")?;
    let daemon = Daemon::build(&loaded.settings, Clock::System).await?;
    let shutdown = Shutdown::new();
    let reload = daemon.reload_handle();
    let journal = daemon.kept.journal.clone();
    let relay = daemon.start(&shutdown).await?;
    notify(&[NotifyState::Ready, NotifyState::Status("taking mail")]);
    shutdown.spawn(watchdog(shutdown.clone()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "sealgate runs");
    signals.until_told_to_stop(path, &reload).await;
    notify(&[NotifyState::Stopping]);
    tracing::info!("stopping: running sessions finish within {} s", PATIENCE.as_secs());
    shutdown.begin();
    if !shutdown.finished(PATIENCE).await {
        tracing::warn!(
            "some sessions did not finish in time; what they had not been promised, their peers will send again"
        );
    }
    relay.close().await;
    journal.write(Event::new(EventKind::Stopped)).await.context("the last event")?;
    Ok(())
}

/// What the daemon hears from outside. Listened for before anything is opened: unheard, each of them would kill it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn until_told_to_stop(&mut self, path: &Path, reload: &Reload) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => reload_from(path, reload),
            }
        }
    }
}

/// Builds the new whole and swaps it; a faulty file changes nothing and is reported.
fn reload_from(path: &Path, reload: &Reload) {
    notify(&[NotifyState::Reloading]);
    match config::load(path, Files::Check) {
        Ok(loaded) => {
            log_faults(&loaded.warnings);
            match reload.apply(&loaded.settings) {
                Ok(()) => log_reloaded(&reload.left_for_a_restart(&loaded.settings)),
                Err(fault) => tracing::error!("nothing was changed: {fault:#}"),
            }
        }
        Err(faults) => {
            log_faults(&faults);
            tracing::error!("nothing was changed: the file has faults; the daemon runs on as before");
        }
    }
    notify(&[NotifyState::Ready]);
}

fn log_reloaded(left: &[String]) {
    if left.is_empty() {
        return tracing::info!("the configuration was read again");
    }
    tracing::warn!(settings = left.join(", "), "the configuration was read again; what changed here needs a restart");
}

/// A line each.
fn log_faults(faults: &Faults) {
    for fault in faults.iter() {
        match fault.severity {
            Severity::Fault => tracing::error!(hint = fault.hint, "{}", fault.in_one_line()),
            Severity::Warning => tracing::warn!(hint = fault.hint, "{}", fault.in_one_line()),
        }
    }
}

/// Tells systemd that we live, twice as often as it wants to hear it.
async fn watchdog(shutdown: Shutdown) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval(period / 2);
    loop {
        tokio::select! {
            _ = tick.tick() => notify(&[NotifyState::Watchdog]),
            () = shutdown.begun() => return,
        }
    }
}

/// Where no systemd listens, nothing is told.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
