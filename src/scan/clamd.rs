//! clamd's `INSTREAM` (clamd(8)): a stream of chunks in, one line out.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::telemetry::{Labels, Metrics};

/// Messages looked at at the same time: as many as clamd has threads, unless it is told otherwise.
const AT_ONCE: usize = 10;
/// Octets of a chunk.
const CHUNK_OCTETS: usize = 65_536;
/// How long clamd may take to say that it is there.
const PING_PATIENCE: Duration = Duration::from_secs(3);
/// Octets of clamd's answer.
const ANSWER_OCTETS: u64 = 1_024;
/// Characters of a malware's name that are passed on.
const NAME_LENGTH: usize = 100;

/// Where clamd listens: `tcp://127.0.0.1:3310` or `unix:/run/clamav/clamd.ctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clamd {
    /// By TCP.
    Tcp(SocketAddr),
    /// By a socket in the file system.
    Unix(PathBuf),
}

/// The text is no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither tcp://ADDRESS:PORT nor unix:/PATH")]
pub struct ClamdFault;

/// What a scanner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannerSettings {
    /// Where clamd listens.
    pub clamd: Clamd,
    /// Octets of what is looked at. clamd's own `StreamMaxLength` should be no less.
    pub max_size: u64,
    /// How long all of it may take, the wait for a turn included.
    pub timeout: Duration,
}

/// What a scanner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It knows nothing bad of it.
    Clean,
    /// It is this malware.
    Found(String),
    /// It is larger than is looked at.
    TooLarge,
}

/// Why nothing is known. It names nothing of what was looked at.
#[derive(Debug, thiserror::Error)]
pub enum ScanFault {
    /// It cannot be reached, or the connection broke.
    #[error("the scanner cannot be spoken to: {0}")]
    Io(#[from] std::io::Error),
    /// It took too long.
    #[error("the scanner took too long")]
    TooSlow,
    /// It answered with a fault, or with what is no answer.
    #[error("the scanner did not say what it found")]
    NoAnswer,
}

/// A scanner. Clones share its turns.
#[derive(Debug, Clone)]
pub struct Scanner {
    settings: Arc<ScannerSettings>,
    turns: Arc<Semaphore>,
    metrics: Metrics,
}

/// Something being looked at.
pub struct Scan {
    /// None where it is too large to be shown.
    wire: Option<Box<dyn Wire>>,
    out: Vec<u8>,
    /// What clamd said before it was told all.
    early: Option<Finding>,
    by: Instant,
    metrics: Metrics,
    _turn: Option<OwnedSemaphorePermit>,
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Scanner {
    /// A scanner at clamd's place.
    #[must_use]
    pub fn new(settings: ScannerSettings, metrics: Metrics) -> Self {
        Self { settings: Arc::new(settings), turns: Arc::new(Semaphore::new(AT_ONCE)), metrics }
    }

    /// Begins to look at something of this many octets, when it is its turn.
    ///
    /// # Errors
    /// The scanner cannot be reached in time.
    pub async fn begin(&self, length: u64) -> Result<Scan, ScanFault> {
        let by = Instant::now() + self.settings.timeout;
        let (wire, turn) = if length > self.settings.max_size {
            (None, None)
        } else {
            let connected = timeout_at(by, self.connect()).await.unwrap_or(Err(ScanFault::TooSlow));
            let (wire, turn) = connected.inspect_err(|fault| count(&self.metrics, fault))?;
            (Some(wire), Some(turn))
        };
        // Never grown: what is freed on the way would not be zeroized.
        let mut out = Vec::with_capacity(2 * CHUNK_OCTETS + 64);
        out.extend_from_slice(b"zINSTREAM\0");
        Ok(Scan { wire, out, early: None, by, metrics: self.metrics.clone(), _turn: turn })
    }

    /// Whether the scanner is there and answers.
    ///
    /// # Errors
    /// It is not, or does not within three seconds.
    pub async fn ping(&self) -> Result<(), ScanFault> {
        let pinging = async {
            let mut wire = self.call().await?;
            wire.write_all(b"zPING\0").await?;
            let mut answer = Vec::new();
            wire.take(ANSWER_OCTETS).read_to_end(&mut answer).await?;
            if answer == b"PONG\0" { Ok(()) } else { Err(ScanFault::NoAnswer) }
        };
        timeout_at(Instant::now() + PING_PATIENCE, pinging).await.map_err(|_| ScanFault::TooSlow)?
    }

    async fn connect(&self) -> Result<(Box<dyn Wire>, OwnedSemaphorePermit), ScanFault> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| ScanFault::TooSlow)?;
        Ok((self.call().await?, turn))
    }

    async fn call(&self) -> Result<Box<dyn Wire>, ScanFault> {
        Ok(match &self.settings.clamd {
            Clamd::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Clamd::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl Scan {
    /// Shows the scanner the next octets.
    ///
    /// # Errors
    /// The scanner is gone, or takes too long.
    pub async fn write(&mut self, octets: &[u8]) -> Result<(), ScanFault> {
        if self.wire.is_none() {
            return Ok(());
        }
        for chunk in octets.chunks(CHUNK_OCTETS) {
            let length = u32::try_from(chunk.len()).unwrap_or_default();
            self.out.extend_from_slice(&length.to_be_bytes());
            self.out.extend_from_slice(chunk);
            if self.out.len() >= CHUNK_OCTETS {
                self.send().await.inspect_err(|fault| count(&self.metrics, fault))?;
            }
        }
        Ok(())
    }

    /// All was shown: what it is.
    ///
    /// # Errors
    /// The scanner cannot tell, or takes too long.
    pub async fn finish(mut self) -> Result<Finding, ScanFault> {
        let found = self.ask().await;
        match &found {
            Ok(finding) => {
                let kind = match finding {
                    Finding::Clean => "clean",
                    Finding::Found(_) => "found",
                    Finding::TooLarge => "too-large",
                };
                self.metrics.scanned.get_or_create(&Labels::of(kind)).inc();
            }
            Err(fault) => count(&self.metrics, fault),
        }
        found
    }

    async fn ask(&mut self) -> Result<Finding, ScanFault> {
        if self.wire.is_none() {
            return Ok(Finding::TooLarge);
        }
        self.out.extend_from_slice(&[0; 4]);
        self.send().await?;
        match self.early.take() {
            Some(finding) => Ok(finding),
            None => self.answer().await,
        }
    }

    async fn send(&mut self) -> Result<(), ScanFault> {
        if self.early.is_some() {
            return Ok(());
        }
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let sent = timeout_at(self.by, async {
            wire.write_all(&self.out).await?;
            wire.flush().await
        });
        let sent = sent.await.map_err(|_| ScanFault::TooSlow)?;
        zeroize::Zeroize::zeroize(&mut self.out);
        self.out.clear();
        if let Err(broken) = sent {
            // clamd ends the connection as soon as it has had too much, having said so.
            self.early = Some(self.answer().await.map_err(|_| broken)?);
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<Finding, ScanFault> {
        let mut answer = Vec::new();
        let Some(wire) = &mut self.wire else { return Ok(Finding::TooLarge) };
        let mut wire = wire.take(ANSWER_OCTETS);
        let reading = timeout_at(self.by, wire.read_to_end(&mut answer)).await;
        match reading.map_err(|_| ScanFault::TooSlow)? {
            // A reset behind a whole answer takes nothing back of it.
            Err(fault) if !answer.ends_with(b"\0") => Err(fault.into()),
            Ok(_) | Err(_) => finding_of(&answer).ok_or(ScanFault::NoAnswer),
        }
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.out);
    }
}

fn count(metrics: &Metrics, fault: &ScanFault) {
    metrics.scanned.get_or_create(&Labels::of("fault")).inc();
    tracing::warn!(reason = %fault, "the scanner does not serve: what enters waits");
}

/// Reads clamd's answer; nothing where it is none that says what was found.
fn finding_of(answer: &[u8]) -> Option<Finding> {
    let text = std::str::from_utf8(answer.strip_suffix(b"\0")?).ok()?;
    if text == "INSTREAM size limit exceeded. ERROR" {
        return Some(Finding::TooLarge);
    }
    match text.strip_prefix("stream: ")? {
        "OK" => Some(Finding::Clean),
        said => {
            let name = said.strip_suffix(" FOUND")?;
            let is_name = !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ');
            // A name as it should not be is malware all the same.
            let name = if is_name { name } else { "malware" };
            Some(Finding::Found(name.chars().take(NAME_LENGTH).collect()))
        }
    }
}

impl FromStr for Clamd {
    type Err = ClamdFault;

    fn from_str(text: &str) -> Result<Self, ClamdFault> {
        match (text.strip_prefix("tcp://"), text.strip_prefix("unix:")) {
            (Some(address), _) => address.parse().map(Self::Tcp).map_err(|_| ClamdFault),
            (None, Some(path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            (None, _) => Err(ClamdFault),
        }
    }
}

impl fmt::Display for Clamd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use crate::scan::clamd::*;

    #[test]
    fn an_answer_says_what_was_found_or_nothing() {
        let found = |name: &str| Some(Finding::Found(name.to_owned()));
        let long = format!("stream: {} FOUND\0", "x".repeat(500));
        for (answer, wanted) in [
            ("stream: OK\0", Some(Finding::Clean)),
            ("stream: Sealgate.Marker.UNOFFICIAL FOUND\0", found("Sealgate.Marker.UNOFFICIAL")),
            ("stream: a\r\nb FOUND\0", found("malware")),
            (&long, found(&"x".repeat(100))),
            ("INSTREAM size limit exceeded. ERROR\0", Some(Finding::TooLarge)),
            ("stream: Can't allocate memory ERROR\0", None),
            ("UNKNOWN COMMAND\0", None),
            ("stream: OK", None),
            ("stream: OK\0stream: OK\0", None),
            ("stream: OK FOUND or not\0", None),
            ("stream:  FOUND\0", found("malware")),
            ("OK\0", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(finding_of(answer.as_bytes()), wanted, "{answer:?}");
        }
        for text in ["tcp://127.0.0.1:3310", "tcp://[::1]:3310", "unix:/run/clamav/clamd.ctl"] {
            assert_eq!(text.parse::<Clamd>().unwrap().to_string(), text);
        }
        for text in ["127.0.0.1:3310", "tcp://clamd:3310", "tcp://127.0.0.1", "unix:clamd.ctl", ""] {
            assert_eq!(text.parse::<Clamd>(), Err(ClamdFault), "{text}");
        }
    }

    /// A scanner that reads `takes` octets, says this, and leaves if it has said anything.
    async fn stand_in(takes: usize, says: &'static [u8]) -> Scanner {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clamd = Clamd::Tcp(listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut taken = vec![0; takes];
            socket.read_exact(&mut taken).await.unwrap();
            socket.write_all(says).await.unwrap();
            if says.is_empty() {
                std::future::pending::<()>().await;
            }
        });
        let settings = ScannerSettings { clamd, max_size: 4 << 20, timeout: Duration::from_millis(500) };
        Scanner::new(settings, Metrics::default())
    }

    async fn scanned(scanner: &Scanner, octets: usize) -> Result<Finding, ScanFault> {
        let mut scan = scanner.begin(octets as u64).await?;
        for block in vec![b'x'; octets].chunks(10_000) {
            scan.write(block).await?;
        }
        scan.finish().await
    }

    #[tokio::test]
    async fn what_a_scanner_does_not_say_is_not_clean() {
        // The verb, one chunk with its length, and the end.
        let whole = 10 + 4 + 100 + 4;
        for (takes, says, octets, wanted) in [
            (whole, &b"stream: OK\0"[..], 100, "Ok(Clean)"),
            (whole, b"stream: Marker FOUND\0", 100, "Ok(Found(\"Marker\"))"),
            (whole, b"", 100, "Err(TooSlow)"),
            (whole, b"220 mail.example ESMTP\r\n", 100, "Err(NoAnswer)"),
            (whole, b"stream: O", 100, "Err(NoAnswer)"),
            (whole, &[b'x'; 5_000], 100, "Err(NoAnswer)"),
            (0, b"", 4 << 20, "Err(TooSlow)"),
            (10, b"INSTREAM size limit exceeded. ERROR\0", 4 << 20, "Ok(TooLarge)"),
            (0, b"", (4 << 20) + 1, "Ok(TooLarge)"),
        ] {
            let scanner = stand_in(takes, says).await;
            let found = scanned(&scanner, octets).await;
            let found = match found {
                Err(ScanFault::Io(_)) => "Err(Io)".to_owned(),
                found => format!("{found:?}"),
            };
            let says = says.escape_ascii();
            // More than an answer may have is cut off, or breaks the connection.
            assert!(
                found == wanted || (octets == 100 && found == "Err(Io)" && wanted == "Err(NoAnswer)"),
                "{says}: {found}"
            );
            assert_eq!(scanner.turns.available_permits(), AT_ONCE);
        }
        let nobody = stand_in(0, b"").await;
        let gone = ScannerSettings { clamd: Clamd::Unix("/nowhere/clamd.ctl".into()), ..(*nobody.settings).clone() };
        assert!(matches!(scanned(&Scanner::new(gone, Metrics::default()), 1).await, Err(ScanFault::Io(_))));
    }
}
