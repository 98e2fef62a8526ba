//! A connection that somebody made to us, in the clear or behind TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::net::server_tls::ServerTls;

/// A connection; what is written goes out at once (`TCP_NODELAY`).
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Behind TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// A connection in the clear.
    ///
    /// # Errors
    /// The socket is gone already.
    pub fn plain(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self::Plain(socket))
    }

    /// Shakes hands as the server.
    ///
    /// # Errors
    /// The handshake failed, or the connection is behind TLS already.
    pub async fn start_tls(self, tls: &ServerTls) -> io::Result<Self> {
        match self {
            Self::Plain(socket) => Ok(Self::Tls(Box::new(tls.acceptor().accept(socket).await?))),
            Self::Tls(_) => Err(io::Error::other("the connection is behind TLS already")),
        }
    }

    /// Whether the connection is behind TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether the client showed the certificate it was asked for.
    #[must_use]
    pub fn has_client_certificate(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty()),
        }
    }

    /// Version and cipher suite, as a `Received` field tells them: `TLSv1.3 with cipher TLS_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn tls_words(&self) -> Option<String> {
        let Self::Tls(tls) = self else { return None };
        let session = tls.get_ref().1;
        let version = if session.protocol_version()? == ProtocolVersion::TLSv1_3 { "TLSv1.3" } else { "TLSv1.2" };
        // The registry's name (RFC 8446 §B.4) where the stack has one of its own.
        let cipher = session.negotiated_cipher_suite()?.suite().as_str()?.replacen("TLS13_", "TLS_", 1);
        Some(format!("{version} with cipher {cipher}"))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, octets),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
