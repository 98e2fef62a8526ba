//! The command line's end of the control socket.

use std::io;
use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::control::protocol::{Answer, Line, Refusal, Request};

/// Whether a daemon listens at this socket.
pub async fn is_running(path: &Path) -> bool {
    UnixStream::connect(path).await.is_ok()
}

/// Whether a daemon listens at this socket, as far as we may know.
///
/// # Errors
/// We may not open it, whether or not one does.
pub async fn may_ask(path: &Path) -> Result<bool, Refusal> {
    match UnixStream::connect(path).await {
        Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => Err(Refusal::not_permitted(format!(
            "{} may not be opened: this is for root and for the user the daemon runs as, such as by `sudo -u sealgate`",
            path.display()
        ))),
        connected => Ok(connected.is_ok()),
    }
}

/// Asks the running daemon.
///
/// # Errors
/// The daemon's refusal, or that it cannot be reached.
pub async fn ask(path: &Path, request: &Request) -> Result<Answer, Refusal> {
    let unreachable = |fault: std::io::Error| {
        Refusal::unavailable(format!("the daemon does not answer at {}: {fault}", path.display()))
    };
    let stream = UnixStream::connect(path).await.map_err(unreachable)?;
    let (reading, mut writing) = stream.into_split();
    let mut text = serde_json::to_vec(request).unwrap_or_default();
    text.push(b'\n');
    writing.write_all(&text).await.map_err(unreachable)?;
    let mut reading = BufReader::new(reading);
    let mut line = String::new();
    reading.read_line(&mut line).await.map_err(unreachable)?;
    match serde_json::from_str(&line) {
        Ok(Line::Answer { value, octets }) => {
            let mut behind = Vec::new();
            reading.take(octets).read_to_end(&mut behind).await.map_err(unreachable)?;
            if behind.len() as u64 != octets {
                return Err(Refusal::unavailable("the daemon's answer broke off"));
            }
            Ok(Answer { value, octets: behind })
        }
        Ok(Line::Refusal(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::unavailable("the daemon's answer cannot be read")),
    }
}
