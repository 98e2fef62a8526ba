//! The connection itself: what we have still to say, what the peer has said, and how long we wait.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use crate::delivery::error::{SessionError, Step};
use crate::net::{ClientTls, Proof};
use crate::smtp::Answer;

/// Octets the peer may have said that we have not read yet. 100 recipients' replies fit many times over; a peer that
/// says more while we still write is not read until we have written.
const UNREAD_OCTETS: usize = 256 * 1024;
/// What the buffers start with: a small message leaves in one write, and all replies to its envelope come in one read.
const UNSENT_OCTETS: usize = 16 * 1024;
const READ_OCTETS: usize = 2 * 1024;

/// How long each step may take, RFC 5321 §4.5.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// One TCP connection attempt.
    pub connect: Duration,
    /// The 220 (§4.5.3.2.1).
    pub greeting: Duration,
    /// EHLO, STARTTLS with its handshake, RSET, MAIL, RCPT (§4.5.3.2.2, .3).
    pub command: Duration,
    /// DATA (§4.5.3.2.4).
    pub data: Duration,
    /// Each block of the message (§4.5.3.2.5).
    pub block: Duration,
    /// The answer to the final dot (§4.5.3.2.6).
    pub final_dot: Duration,
    /// The answer to QUIT, which nobody needs.
    pub quit: Duration,
    /// All of an attempt until the peer is given the message. Not of the standard, which sums up to hours.
    pub attempt: Duration,
    /// All blocks of the message. A peer that has not seen the end of it will not deliver it.
    pub message: Duration,
}

/// A connection, in the clear or inside TLS. Its buffers hold mail: it has no `Debug`.
pub struct Wire {
    stream: Stream,
    unsent: BytesMut,
    unread: BytesMut,
    patience: Patience,
    /// When the peer is left, unless it has the whole message.
    until: Instant,
}

enum Stream {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Patience {
    /// What the standard asks for.
    pub const STANDARD: Self = Self {
        connect: Duration::from_secs(30),
        greeting: Duration::from_secs(5 * 60),
        command: Duration::from_secs(5 * 60),
        data: Duration::from_secs(2 * 60),
        block: Duration::from_secs(3 * 60),
        final_dot: Duration::from_secs(10 * 60),
        quit: Duration::from_secs(5),
        attempt: Duration::from_secs(30 * 60),
        message: Duration::from_secs(60 * 60),
    };

    fn at(&self, step: Step) -> Duration {
        match step {
            Step::Connect => self.connect,
            Step::Greeting => self.greeting,
            Step::Hello | Step::StartTls | Step::SignOn | Step::Reset | Step::Mail | Step::Rcpt => self.command,
            Step::Data => self.data,
            Step::Content => self.block,
            Step::FinalDot => self.final_dot,
        }
    }
}

impl Wire {
    /// A connection just made.
    pub fn new(stream: TcpStream, patience: Patience, until: Instant) -> Self {
        let unsent = BytesMut::with_capacity(UNSENT_OCTETS);
        Self { stream: Stream::Clear(stream), unsent, unread: BytesMut::new(), patience, until }
    }

    /// The attempt that this connection serves now may last so long. Once the peer has the whole message it has the
    /// standard's time for its answer: whoever hangs up then sends the message again.
    pub fn serve_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// The time of the message begins.
    pub fn begin_message(&mut self) {
        self.until = Instant::now() + self.patience.message;
    }

    /// When this step is given up, and what that is called.
    fn limit(&self, step: Step) -> (Instant, SessionError) {
        let until = Instant::now() + self.patience.at(step);
        if self.until < until && step < Step::FinalDot {
            (self.until, SessionError::AttemptTooLong(step))
        } else {
            (until, SessionError::PeerSilent(step))
        }
    }

    /// How long this connection waits.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// What is to be sent next; [`Wire::flush`] or the next [`Wire::answer`] sends it.
    pub fn unsent(&mut self) -> &mut BytesMut {
        &mut self.unsent
    }

    /// Sends a line that must not stay in memory behind the caller's back: past the buffer of what is unsent.
    ///
    /// # Errors
    /// The connection is in the clear: nothing was sent. Or it ended.
    pub async fn send_secret(&mut self, step: Step, line: &[u8]) -> Result<(), SessionError> {
        self.flush(step).await?;
        let (until, too_late) = self.limit(step);
        let Stream::Tls(stream) = &mut self.stream else { return Err(SessionError::PeerOffersNoTls) };
        let sending = async {
            stream.write_all(line).await?;
            stream.flush().await
        };
        timeout_at(until, sending).await.map_err(|_| too_late)?.map_err(|fault| ended(step, &fault))
    }

    /// Whether the connection is inside TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The certificates the peer has shown, its own first; none in the clear.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        match &self.stream {
            Stream::Clear(_) => &[],
            Stream::Tls(stream) => stream.get_ref().1.peer_certificates().unwrap_or_default(),
        }
    }

    /// Our own address on this connection.
    pub fn own_address(&self) -> Option<IpAddr> {
        let stream = match &self.stream {
            Stream::Clear(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        stream.local_addr().ok().map(|address| address.ip())
    }

    /// Whether the peer has said something nobody has read.
    pub fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Shakes hands, and goes on inside TLS.
    pub async fn into_tls(self, tls: &ClientTls, name: &str, proof: Proof) -> Result<Self, SessionError> {
        let (until, too_late) = self.limit(Step::StartTls);
        let Stream::Clear(stream) = self.stream else { return Ok(self) };
        let stream = timeout_at(until, tls.connect(stream, name, proof))
            .await
            .map_err(|_| too_late)?
            .map_err(|fault| SessionError::TlsFailed(fault.into()))?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), ..self })
    }

    /// Sends what is unsent, and reads the next whole reply.
    pub async fn answer(&mut self, step: Step) -> Result<Answer, SessionError> {
        let sent = if self.unsent.is_empty() { Ok(()) } else { self.flush(step).await };
        if sent.is_err() {
            self.hear_last_words();
        }
        if let Some(answer) = self.take_answer(step)? {
            return Ok(answer);
        }
        sent?;
        // One limit for the whole reply: a peer that sends an octet a minute gains nothing.
        let (until, too_late) = self.limit(step);
        timeout_at(until, self.read_answer(step)).await.map_err(|_| too_late)?
    }

    /// Sends what is unsent. Reads meanwhile, so that a peer which has to be rid of its replies first does not
    /// wait for us while we wait for it (RFC 2920 §3.1). While the message itself is sent, it returns early, with some
    /// unsent, where a stuck peer has said something.
    pub async fn flush(&mut self, step: Step) -> Result<(), SessionError> {
        let (until, too_late) = self.limit(step);
        timeout_at(until, poll_fn(|cx| self.poll_flush(cx, step)))
            .await
            .map_err(|_| too_late)?
            .map_err(|fault| ended(step, &fault))
    }

    /// A whole reply that has come already.
    pub fn take_answer(&mut self, step: Step) -> Result<Option<Answer>, SessionError> {
        if self.unread.is_empty() {
            return Ok(None);
        }
        Answer::take(&mut self.unread).map_err(|fault| SessionError::PeerSpeaksNoSmtp(step, fault))
    }

    /// Reads what has come before the connection ended: often it says why.
    pub fn hear_last_words(&mut self) {
        while self.unread.len() < UNREAD_OCTETS {
            match poll_fn(|cx| self.poll_read(cx)).now_or_never() {
                Some(Ok(count)) if count > 0 => {}
                Some(_) | None => break,
            }
        }
    }

    /// Whether the peer is still there and has nothing to say, as far as can be seen without waiting.
    pub fn is_quiet(&mut self) -> bool {
        self.unread.is_empty() && poll_fn(|cx| self.poll_read(cx)).now_or_never().is_none()
    }

    async fn read_answer(&mut self, step: Step) -> Result<Answer, SessionError> {
        loop {
            match poll_fn(|cx| self.poll_read(cx)).await {
                Ok(0) => return Err(SessionError::PeerClosed(step)),
                Ok(_) => {}
                Err(fault) => return Err(ended(step, &fault)),
            }
            if let Some(answer) = self.take_answer(step)? {
                return Ok(answer);
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.unread.reserve(READ_OCTETS);
        match &mut self.stream {
            Stream::Clear(stream) => poll_read_buf(Pin::new(stream), cx, &mut self.unread),
            Stream::Tls(stream) => poll_read_buf(Pin::new(stream.as_mut()), cx, &mut self.unread),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>, step: Step) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = match &mut self.stream {
                Stream::Clear(stream) => Pin::new(stream).poll_write(cx, &self.unsent),
                Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, &self.unsent),
            };
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => self.unsent.advance(count),
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => return self.read_while_stuck(cx, step),
            }
        }
        match &mut self.stream {
            Stream::Clear(_) => Poll::Ready(Ok(())),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    /// The peer takes nothing at the moment: hears it out instead.
    fn read_while_stuck(&mut self, cx: &mut Context<'_>, step: Step) -> Poll<io::Result<()>> {
        let heard = self.unread.len();
        while self.unread.len() < UNREAD_OCTETS {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => break,
            }
        }
        let has_spoken = step == Step::Content && self.unread.len() > heard;
        if has_spoken { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

fn ended(step: Step, fault: &io::Error) -> SessionError {
    match fault.kind() {
        io::ErrorKind::UnexpectedEof => SessionError::PeerClosed(step),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            SessionError::PeerClosed(step)
        }
        _ => SessionError::ConnectionBroke(step, fault.to_string()),
    }
}
