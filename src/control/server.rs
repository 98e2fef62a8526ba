//! The control socket: takes requests, one a connection.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::control::desk::Desk;
use crate::control::protocol::{Line, REQUEST_OCTETS, Refusal, Request};
use crate::net::Shutdown;

/// How long a peer may take for its line.
const PATIENCE: Duration = Duration::from_secs(10);

/// The control socket, listening.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Makes the socket; one that a crash left behind is replaced. It is made in a folder nobody else can enter, so that
    /// nobody can speak to it before it is private.
    ///
    /// # Errors
    /// Another daemon listens there, another file stands there, or the folder cannot be written.
    pub async fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
            Ok(there) if !there.file_type().is_socket() => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file stands there"));
            }
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon listens there"));
            }
            Ok(_) => {}
        }
        let mut folder = path.as_os_str().to_owned();
        folder.push(".new");
        let folder = PathBuf::from(folder);
        DirBuilder::new().mode(0o700).create(&folder).or_else(|fault| match fault.kind() {
            // A crash left it behind; whoever else made it is found out by its mode.
            io::ErrorKind::AlreadyExists => std::fs::set_permissions(&folder, Permissions::from_mode(0o700)),
            _ => Err(fault),
        })?;
        let private = folder.join("s");
        let _ = std::fs::remove_file(&private);
        let listener = UnixListener::bind(&private)?;
        std::fs::set_permissions(&private, Permissions::from_mode(0o600))?;
        std::fs::rename(&private, path)?;
        std::fs::remove_dir(&folder)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes requests until the end begins, then removes the socket.
    pub async fn run(self, desk: Arc<Desk>, shutdown: Shutdown) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.begun() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Too many open files, most likely: others end soon.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let desk = Arc::clone(&desk);
            shutdown.spawn(async move {
                if let Err(fault) = one_request(stream, &desk).await {
                    tracing::debug!(%fault, "a control connection broke");
                }
            });
        }
        if let Err(fault) = std::fs::remove_file(&self.path) {
            tracing::debug!(%fault, "the control socket could not be removed");
        }
    }
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
