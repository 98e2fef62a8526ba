//! The control socket: takes requests, one a connection.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::control::desk::Desk;
use crate::control::protocol::{Line, REQUEST_OCTETS, Refusal, Request};
use crate::net::Shutdown;

/// How long a peer may take for its line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the socket until the end begins, then removes it.
///
/// # Errors
/// The socket cannot be made: another file stands there, or the folder cannot be written.
pub async fn serve(path: &Path, desk: Arc<Desk>, shutdown: Shutdown) -> io::Result<()> {
    if path.exists() && UnixStream::connect(path).await.is_err() {
        std::fs::remove_file(path)?; // left behind by a crash: nobody listens there
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            () = shutdown.begun() => break,
        };
        let desk = Arc::clone(&desk);
        shutdown.spawn(async move {
            if let Err(fault) = one_request(stream, &desk).await {
                tracing::debug!(%fault, "a control connection broke");
            }
        });
    }
    std::fs::remove_file(path)
}

async fn one_request(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut bounded = BufReader::new(reading.take(REQUEST_OCTETS as u64));
    tokio::time::timeout(PATIENCE, bounded.read_line(&mut line)).await??;
    let answer = match serde_json::from_str::<Request>(&line) {
        Ok(request) => desk.answer(request).await,
        Err(fault) => Err(Refusal::bad_input(format!("not a request: {fault}"))),
    };
    let (line, octets) = match answer {
        Ok(answer) => (Line::Answer { value: answer.value, octets: answer.octets.len() as u64 }, answer.octets),
        Err(refusal) => (Line::Refusal(refusal), Vec::new()),
    };
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    writing.write_all(&text).await?;
    writing.write_all(&octets).await?;
    writing.shutdown().await
}
