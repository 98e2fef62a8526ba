//! The door itself: a listener, and a task for each who comes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::net::{Admission, Arrival, Listener, ServerTls, SessionLimits, Shutdown};
use crate::portal::client::Peer;
use crate::portal::config::PortalSettings;
use crate::portal::door::{Deps, Portal};
use crate::portal::pace::Pace;
use crate::portal::router::router;
use crate::portal::turns::Turns;

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's header may take to come.
const HEADER: Duration = Duration::from_secs(30);
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(120);
/// How long one connection may last.
const CONNECTION: Duration = Duration::from_secs(3_600);
/// Requests at once on one connection (RFC 9113 §5.1.2).
const STREAMS: u32 = 32;
/// Octets of a request's header.
const HEADER_OCTETS: usize = 32 * 1024;
/// Connections at once from one client that is no trusted proxy.
const PER_CLIENT: usize = 64;

/// The web door, listening.
pub struct Server {
    listener: Listener,
    tls: Option<ServerTls>,
    router: Router,
}

impl Server {
    /// Opens the door.
    ///
    /// # Errors
    /// The address is taken or not ours; or it is off loopback and there is no certificate.
    pub async fn bind(settings: PortalSettings, deps: Deps) -> io::Result<Self> {
        if deps.tls.is_none() && !settings.listen.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "off loopback the portal needs a certificate"));
        }
        // Behind a proxy everybody comes from one address.
        let in_all = settings.max_connections;
        let per_client = if settings.trusted_proxies.is_empty() { PER_CLIENT.min(in_all) } else { in_all };
        let listener = Listener::bind(settings.listen, SessionLimits::new(in_all, per_client)).await?;
        let tls = deps.tls.clone();
        let router = router(Arc::new(Portal { settings, deps, pace: Pace::default(), turns: Turns::default() }));
        Ok(Self { listener, tls, router })
    }

    /// Where the door is.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// Lets people in until the end begins. Requests that run then are tasks of `shutdown`, which waits for them.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            let arrival = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                arrival = self.listener.accept() => arrival,
            };
            let Arrival { socket, ip, place } = arrival;
            let Admission::Admitted(place) = self.listener.limits().admit(place, ip) else {
                tracing::info!(door = "portal", "turned away: no place for one more connection");
                continue;
            };
            let (tls, router, end) = (self.tls.clone(), self.router.clone(), shutdown.clone());
            shutdown.spawn(async move {
                serve(socket, ip, tls, router, end).await;
                drop(place);
            });
        }
    }
}

async fn serve(socket: TcpStream, ip: IpAddr, tls: Option<ServerTls>, router: Router, end: Shutdown) {
    // Without it pages come late, but they come.
    _ = socket.set_nodelay(true);
    match tls {
        None => speak(socket, ip, router, end).await,
        Some(tls) => match timeout(HANDSHAKE, acceptor(&tls).accept(socket)).await {
            Ok(Ok(stream)) => speak(stream, ip, router, end).await,
            Ok(Err(fault)) => tracing::debug!(door = "portal", reason = %fault, "no TLS came about"),
            Err(_) => tracing::debug!(door = "portal", "no TLS came about in time"),
        },
    }
}

/// The certificate of now, offering HTTP/2 (RFC 7301).
fn acceptor(tls: &ServerTls) -> TlsAcceptor {
    let mut config = tls.config().as_ref().clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    ip: IpAddr,
    router: Router,
    end: Shutdown,
) {
    let asked = Arc::new(Mutex::new(Instant::now()));
    let last = Arc::clone(&asked);
    let service = hyper::service::service_fn(move |request| {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        answer(router.clone(), ip, request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER).max_buf_size(HEADER_OCTETS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEADER)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_OCTETS as u32);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = timeout(CONNECTION, connection.as_mut()) => ended.unwrap_or(Ok(())),
        // What is on its way is finished; nothing new is taken.
        () = over(&end, &asked) => {
            connection.as_mut().graceful_shutdown();
            timeout(CONNECTION, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(fault) = ended {
        tracing::debug!(door = "portal", reason = %fault, "a connection broke");
    }
}

/// Returns when the end has begun, or nothing was asked for a while.
async fn over(end: &Shutdown, asked: &Mutex<Instant>) {
    loop {
        let until = *asked.lock().unwrap_or_else(PoisonError::into_inner) + IDLE;
        if until <= Instant::now() {
            return;
        }
        tokio::select! {
            () = end.begun() => return,
            () = sleep_until(until) => {}
        }
    }
}

async fn answer(router: Router, ip: IpAddr, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(ip));
    router.oneshot(request).await
}
