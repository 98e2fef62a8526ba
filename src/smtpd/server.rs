//! The door itself: a listener, and a task for each who comes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::{Admission, Arrival, Listener, ServerTls, SessionLimits, Shutdown, Spoken, Stream, read_proxy_header};
use crate::queue::Reception;
use crate::smtp::Reply;
use crate::smtpd::config::DoorSettings;
use crate::smtpd::door::{Client, Door, Rates};
use crate::smtpd::session;
use crate::smtpd::texts;
use crate::telemetry::{Labels, Metrics};

/// How long somebody who is turned away may take to hear it.
const TURN_AWAY_PATIENCE: Duration = Duration::from_secs(5);
/// How long a proxy may take to send its header: it sends it at once.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// An SMTP door, listening.
pub struct Server {
    listener: Listener,
    settings: SettingsHandle,
    reception: Arc<dyn Reception>,
    tls: Option<ServerTls>,
    metrics: Metrics,
    rates: Rates,
}

/// Changes a running door's settings: sessions that begin from now on go by the new ones. Name, address and numbers
/// of sessions stay what they were when the door opened.
#[derive(Clone)]
pub struct SettingsHandle(Arc<RwLock<Arc<DoorSettings>>>);

impl SettingsHandle {
    /// Puts new settings in place.
    pub fn replace(&self, settings: DoorSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn present(&self) -> Arc<DoorSettings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Server {
    /// Opens the door. Without `tls` no STARTTLS is offered.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn bind(
        settings: DoorSettings,
        reception: Arc<dyn Reception>,
        tls: Option<ServerTls>,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let limits = SessionLimits::new(settings.max_sessions, settings.max_sessions_per_client);
        let listener = Listener::bind(settings.listen, limits).await?;
        let settings = SettingsHandle(Arc::new(RwLock::new(Arc::new(settings))));
        Ok(Self { listener, settings, reception, tls, metrics, rates: Rates::default() })
    }

    /// Where the door is.
    ///
    /// # Errors
    /// The socket is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// The handle to change settings with, while [`Server::run`] runs.
    #[must_use]
    pub fn settings(&self) -> SettingsHandle {
        self.settings.clone()
    }

    /// Lets people in until the end begins. Sessions are tasks of `shutdown`, which waits for them; those that are idle
    /// end at once with 421, those within a transaction when it is done, within 30 s.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            let arrival = tokio::select! {
                biased;
                () = shutdown.begun() => return,
                arrival = self.listener.accept() => arrival,
            };
            self.let_in(arrival, &shutdown);
        }
    }

    fn let_in(&self, arrival: Arrival, shutdown: &Shutdown) {
        let door = Door {
            settings: self.settings.present(),
            reception: Arc::clone(&self.reception),
            tls: self.tls.clone(),
            metrics: self.metrics.clone(),
            shutdown: shutdown.clone(),
            rates: self.rates.clone(),
        };
        shutdown.spawn(come_in(door, self.listener.limits().clone(), arrival));
    }
}

/// Finds out who has come, and lets it in or turns it away.
async fn come_in(door: Door, limits: SessionLimits, arrival: Arrival) {
    let Arrival { mut socket, ip, place } = arrival;
    let settings = &door.settings;
    let ip = if settings.proxy_protocol && settings.trusts(ip) {
        match client_of_proxy(&door, &mut socket, ip).await {
            Ok(client) => client,
            Err(reason) => {
                tracing::warn!(door = door.name(), peer = %ip, reason, "turned away: no PROXY protocol header, version 2");
                return turn_away(socket, texts::PROXY_WANTED, place).await;
            }
        }
    } else {
        ip
    };
    let is_trusted = settings.trusts(ip);
    let admission = if is_trusted { limits.admit_trusted(place) } else { limits.admit(place, ip) };
    let place = match admission {
        Admission::Admitted(place) => place,
        Admission::Full(place) => {
            tracing::warn!(door = door.name(), "turned away: all places are taken");
            return turn_away(socket, texts::FULL, place).await;
        }
        Admission::ClientFull(place) => {
            tracing::info!(door = door.name(), peer = %ip, "turned away: the client has its share of sessions");
            return turn_away(socket, texts::CLIENT_FULL, place).await;
        }
    };
    if !(settings.allow.is_empty() || settings.allow.iter().any(|network| network.contains(ip))) {
        tracing::info!(door = door.name(), peer = %ip, "turned away: not in `allow`");
        return turn_away(socket, texts::NOT_ALLOWED, place).await;
    }
    if !is_trusted && let Err(limit) = door.count_connection(ip) {
        tracing::info!(door = door.name(), peer = %ip, "turned away: too often for {limit}");
        return turn_away(socket, texts::TOO_OFTEN, place).await;
    }
    serve(door, socket, Client::new(ip, is_trusted, place)).await;
}

/// Reads for whom a proxy speaks.
async fn client_of_proxy(door: &Door, socket: &mut TcpStream, proxy: IpAddr) -> Result<IpAddr, String> {
    let reading = timeout(PROXY_PATIENCE, read_proxy_header(socket));
    let read = tokio::select! {
        biased;
        read = reading => read,
        () = door.shutdown.begun() => return Err("the program stops".to_owned()),
    };
    match read {
        Ok(Ok(Spoken::For(client))) => Ok(client.ip()),
        Ok(Ok(Spoken::ForItself)) => Ok(proxy),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(_) => Err("nothing came in time".to_owned()),
    }
}

async fn serve(door: Door, socket: TcpStream, client: Client) {
    let Ok(stream) = Stream::plain(socket) else { return };
    let open = door.metrics.sessions.get_or_create_owned(&Labels::of(door.name()));
    open.inc();
    session::run(door, stream, client).await;
    open.dec();
}

/// Says one line and leaves; the place is held until that is done.
async fn turn_away<P: Send>(mut socket: TcpStream, words: Reply, place: P) {
    let mut line = Vec::new();
    words.write(&mut line);
    let saying = async {
        socket.write_all(&line).await?;
        socket.shutdown().await
    };
    // Whether it was heard makes no difference.
    _ = timeout(TURN_AWAY_PATIENCE, saying).await;
    drop(place);
}
