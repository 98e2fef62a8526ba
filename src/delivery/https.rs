//! Requests over HTTPS to hosts that strangers' records name: where policies of MTA-STS are, and where reports go.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::mail::Domain;
use crate::net::{ClientTls, Dns, Outside, Proof};

/// The port of such hosts.
const PORT: u16 = 443;
/// How long one of a host's addresses has to take a connection, and how many are tried.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(5);
const ADDRESSES: usize = 4;

/// Asks such hosts: in the open internet alone, under a certificate that we trust for their name, and wherever they
/// redirect to nobody is called. Cheap to clone.
#[derive(Clone)]
pub struct Https {
    /// Who knows where they are.
    pub dns: Dns,
    /// Whom we believe about them.
    pub tls: ClientTls,
    /// Where they may live.
    pub outside: Outside,
}

/// Why a host could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum HttpsFault {
    /// It has no address.
    #[error("the host cannot be found: {0}")]
    Name(String),
    /// Nobody answers there, or what answers speaks no HTTP.
    #[error("the host cannot be reached: {0}")]
    Connection(String),
    /// What answers does not prove to be the host.
    #[error("the host proves nothing: {0}")]
    Proof(rustls::Error),
    /// It took too long.
    #[error("the host took too long")]
    TooLate,
}

/// What a host said. The connection ends with it.
pub struct Said {
    /// Its head.
    pub head: Response<()>,
    body: Incoming,
    _connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl Https {
    /// Sends a request that names the path alone; the head of the answer.
    ///
    /// # Errors
    /// [`HttpsFault`].
    pub async fn ask(&self, host: &Domain, mut request: Request<Full<Bytes>>) -> Result<Said, HttpsFault> {
        let told = self.dns.addresses(host).await.map_err(|fault| HttpsFault::Name(fault.to_string()))?;
        let callable = told.records.into_iter().filter(|address| self.outside.has(*address));
        let stream = connect(callable).await?;
        let stream = self.tls.connect(stream, host.as_str(), Proof::Verified).await.map_err(unproven)?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(broken)?;
        let named = HeaderValue::from_str(host.as_str()).map_err(|fault| HttpsFault::Name(fault.to_string()))?;
        request.headers_mut().insert(header::HOST, named);
        // It carries the exchange, and ends with it.
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        Ok(Said { head: Response::from_parts(head, ()), body, _connection: connection })
    }
}

impl Said {
    /// The rest of the answer, of at most so many octets.
    ///
    /// # Errors
    /// [`HttpsFault::Connection`]; so also if it has more.
    pub async fn body(self, most: usize) -> Result<Bytes, HttpsFault> {
        let read = Limited::new(self.body, most).collect().await;
        Ok(read.map_err(|fault| HttpsFault::Connection(fault.to_string()))?.to_bytes())
    }
}

fn broken(fault: hyper::Error) -> HttpsFault {
    HttpsFault::Connection(fault.to_string())
}

fn unproven(fault: std::io::Error) -> HttpsFault {
    match fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls @ rustls::Error::InvalidCertificate(_)) => HttpsFault::Proof(rustls.clone()),
        Some(_) | None => HttpsFault::Connection(fault.to_string()),
    }
}

/// A connection to the first address that has one: where there is no way to IPv6, IPv4 serves.
async fn connect(addresses: impl Iterator<Item = IpAddr>) -> Result<TcpStream, HttpsFault> {
    let mut last = HttpsFault::Name("it has no address in the open internet".to_owned());
    for address in addresses.take(ADDRESSES) {
        last = match timeout(CONNECTION_PATIENCE, TcpStream::connect(SocketAddr::new(address, PORT))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(fault)) => HttpsFault::Connection(fault.to_string()),
            Err(_) => HttpsFault::TooLate,
        };
    }
    Err(last)
}
