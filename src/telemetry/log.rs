//! The log on standard error.

use std::fmt;
use std::io;
use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// What is logged if nobody says otherwise. The DNS library warns of each answer that proves nothing, in whole records: what
/// follows from it we say ourselves.
const USUALLY: &str = "info,hickory_net=error,hickory_proto=error,hickory_resolver=error";

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Neither `text` nor `json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log formats are text and json")]
pub struct LogFormatFault;

impl FromStr for LogFormat {
    type Err = LogFormatFault;

    fn from_str(text: &str) -> Result<Self, LogFormatFault> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogFormatFault),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Starts the log. `SEALGATE_LOG` sets what is logged, in `tracing`'s words; [`USUALLY`] by default, which names no person.
pub fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SEALGATE_LOG").unwrap_or_else(|_| EnvFilter::new(USUALLY));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // A second start, as in tests, leaves the first log in place.
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use crate::telemetry::log::*;

    #[test]
    fn the_dns_library_warns_nobody() {
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(USUALLY)).with_writer(io::sink).finish();
        tracing::subscriber::with_default(log, || {
            assert!(tracing::enabled!(target: "sealgate::daemon", tracing::Level::INFO));
            assert!(tracing::enabled!(target: "hickory_net::dnssec", tracing::Level::ERROR));
            assert!(!tracing::enabled!(target: "hickory_net::dnssec", tracing::Level::WARN));
            assert!(!tracing::enabled!(target: "hickory_proto::rr", tracing::Level::WARN));
            assert!(!tracing::enabled!(target: "hickory_resolver::lookup", tracing::Level::WARN));
        });
    }
}
