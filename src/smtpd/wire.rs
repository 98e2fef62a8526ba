//! A session's connection: octets in with every wait bounded, replies out in one write for all that were pipelined.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::net::{ServerTls, Shutdown, Stream, begins_as_proxy_header};
use crate::smtp::{COMMAND_OCTETS, Command, CommandFault, LineBuffer, Reply};
use crate::smtpd::parting::Parting;

/// Room for commands: what an idle session holds.
const COMMAND_ROOM: usize = 2_048;
/// Room for a message's octets: what is read, and handed on, at once.
const MESSAGE_ROOM: usize = 65_536;
/// How long a peer may take to read our replies.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a TLS handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(60);
/// How long a transaction may go on when the program stops (interface: 30 s for all).
const STOP_PATIENCE: Duration = Duration::from_secs(28);
/// What is read and thrown away after the last words, so that a reset does not overtake them.
const LINGER_OCTETS: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// The connection of one session.
pub(crate) struct Wire {
    stream: Stream,
    lines: LineBuffer,
    out: Vec<u8>,
    shutdown: Shutdown,
    /// When the session ends, whatever happens.
    deadline: Instant,
    /// When it ends because the program stops.
    stop_by: Option<Instant>,
    /// How long we waited for the octets of the message that comes, and how many came.
    waited: Duration,
    came: u64,
    /// Whether what came first was a PROXY protocol header; nothing while nothing has come.
    had_proxy_header: Option<bool>,
}

/// What the session would lose if it ended while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Nothing.
    Idle,
    /// A transaction.
    InTransaction,
}

impl Wire {
    pub(crate) fn new(stream: Stream, shutdown: Shutdown, session_timeout: Duration) -> Self {
        let deadline = Instant::now() + session_timeout;
        Self {
            stream,
            lines: LineBuffer::new(),
            out: Vec::new(),
            shutdown,
            deadline,
            stop_by: None,
            waited: Duration::ZERO,
            came: 0,
            had_proxy_header: None,
        }
    }

    /// Waits before the first word is said. A mail server waits for it too (RFC 5321 §3.1); a program that only sends,
    /// whatever is answered, does not.
    pub(crate) async fn expect_silence(&mut self, pause: Duration) -> Result<(), Parting> {
        match self.fill(COMMAND_ROOM, Instant::now() + pause, Wait::Idle).await {
            Ok(()) => Err(Parting::SpokeTooSoon),
            Err(Parting::Idle) => Ok(()),
            Err(parting) => Err(parting),
        }
    }

    /// Tells once that what came first was a PROXY protocol header. Nobody reads one here: its octets are lines that are no
    /// commands, and only the log can say what they were.
    pub(crate) fn take_proxy_header(&mut self) -> bool {
        self.had_proxy_header.replace(false).unwrap_or(false)
    }

    /// The connection itself.
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Adds a reply to what goes out with the next wait.
    pub(crate) fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }

    /// The next line, read as a command.
    pub(crate) async fn command(
        &mut self,
        patience: Duration,
        wait: Wait,
    ) -> Result<Result<Command, CommandFault>, Parting> {
        // One span for the whole line: whoever sends it octet by octet gains nothing.
        let by = Instant::now() + patience;
        loop {
            if let Some(line) = self.lines.take_line(COMMAND_OCTETS)? {
                return Ok(Command::parse(line));
            }
            self.fill(COMMAND_ROOM, by, wait).await?;
        }
    }

    /// What has come of a message and not been used; waits until there is something. All waits for one message, or one
    /// chunk, are `patience` and a second more for each `rate` octets that came.
    pub(crate) async fn block(&mut self, patience: Duration, rate: u64) -> Result<&mut [u8], Parting> {
        while self.lines.waiting().is_empty() {
            let earned = Duration::from_secs(self.came.checked_div(rate).unwrap_or(u64::MAX));
            let left = patience.saturating_add(earned).saturating_sub(self.waited).min(patience);
            let begun = Instant::now();
            self.fill(MESSAGE_ROOM, begun + left, Wait::InTransaction).await?;
            self.waited += begun.elapsed();
            self.came = self.came.saturating_add(u64::try_from(self.lines.waiting().len()).unwrap_or(u64::MAX));
        }
        Ok(self.lines.waiting_mut())
    }

    /// What has come and not been used.
    pub(crate) fn waiting(&self) -> &[u8] {
        self.lines.waiting()
    }

    /// Marks octets as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.lines.consume(count);
    }

    /// The message, or the chunk, is over: gives back the room it needed.
    pub(crate) fn shrink(&mut self) {
        (self.waited, self.came) = (Duration::ZERO, 0);
        self.lines.shrink(2 * COMMAND_ROOM);
    }

    /// Sends all that was said.
    pub(crate) async fn flush(&mut self) -> Result<(), Parting> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sending = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        let sent = timeout(WRITE_PATIENCE, sending).await;
        self.out.clear();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Parting::PeerGone),
            Err(_) => Err(Parting::Idle),
        }
    }

    /// Shakes hands. The same wire goes on behind TLS, its time running on.
    pub(crate) async fn start_tls(self, tls: &ServerTls) -> Result<Self, Parting> {
        let shake = self.stream.start_tls(tls);
        match timeout(HANDSHAKE_PATIENCE, shake).await {
            Ok(Ok(stream)) => Ok(Self { stream, lines: LineBuffer::new(), ..self }),
            Ok(Err(fault)) => {
                tracing::info!(reason = %fault, "TLS handshake failed");
                Err(Parting::HandshakeFailed)
            }
            Err(_) => Err(Parting::HandshakeFailed),
        }
    }

    /// Says the last words, ends the connection, and reads what still comes for a moment: a connection closed over
    /// unread octets is reset, and the reset overtakes the words.
    pub(crate) async fn part(mut self, parting: Parting) {
        let Some(words) = parting.last_words() else { return };
        self.say(&words);
        let ending = async {
            self.flush().await?;
            self.stream.shutdown().await.map_err(|_| Parting::PeerGone)?;
            let mut left = LINGER_OCTETS;
            while left > 0 && parting != Parting::Quit {
                self.lines.consume(usize::MAX);
                match self.stream.read_buf(self.lines.space(COMMAND_ROOM)).await {
                    Ok(count) if count > 0 => left = left.saturating_sub(count),
                    Ok(_) | Err(_) => break,
                }
            }
            Ok::<(), Parting>(())
        };
        _ = timeout(LINGER, ending).await;
    }

    /// Sends what was said, then waits for octets.
    async fn fill(&mut self, room: usize, by: Instant, wait: Wait) -> Result<(), Parting> {
        self.flush().await?;
        let last = self.stop_by.map_or(self.deadline, |stop| stop.min(self.deadline));
        let reading = self.stream.read_buf(self.lines.space(room));
        let patient = timeout_at(by.min(last), reading);
        tokio::select! {
            // What has come is used, even when the program stops at the same moment.
            biased;
            read = patient => match read {
                Ok(Ok(0) | Err(_)) => Err(Parting::PeerGone),
                Ok(Ok(_)) => {
                    let front = self.lines.waiting();
                    self.had_proxy_header.get_or_insert_with(|| begins_as_proxy_header(front));
                    Ok(())
                }
                Err(_) if by <= last => Err(Parting::Idle),
                Err(_) if self.stop_by == Some(last) => Err(Parting::Stopping),
                Err(_) => Err(Parting::SessionTooLong),
            },
            () = self.shutdown.begun(), if self.stop_by.is_none() => {
                self.stop_by = Some(Instant::now() + STOP_PATIENCE);
                match wait {
                    Wait::Idle => Err(Parting::Stopping),
                    // Nothing has come, so the caller waits again, now with the shorter time.
                    Wait::InTransaction => Ok(()),
                }
            }
        }
    }
}
