//! A stand-in for a mail server: takes what it is given, keeps it in memory, shows it to whoever asks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use tokio::sync::Notify;

use crate::mail::{Address, Domain, Envelope, Header, QueueId, ReversePath};
use crate::net::{Clock, Shutdown};
use crate::queue::{Origin, Peer, Receiving, Reception, ReceptionError};
use crate::smtpd::{DoorSettings, Server};
use crate::telemetry::Metrics;
use crate::vault::random_octets;

/// Messages kept.
const KEPT: usize = 1_000;
/// How long somebody waits for a message.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub envelope: Envelope,
    pub octets: Vec<u8>,
}

/// The stand-in. Clones share the messages.
#[derive(Clone)]
pub(crate) struct MailStandIn {
    inside: Arc<Inside>,
}

struct Inside {
    name: &'static str,
    arrived: Mutex<Vec<Arrived>>,
    bell: Notify,
    clock: Clock,
}

struct Arriving {
    stand_in: MailStandIn,
    envelope: Envelope,
    octets: Vec<u8>,
}

impl Arrived {
    /// The header.
    pub(crate) fn header(&self) -> Header {
        let end = self.octets.windows(4).position(|four| four == b"\r\n\r\n").map_or(self.octets.len(), |at| at + 2);
        Header::new(self.octets.get(..end).unwrap_or_default())
    }

    /// The text that people read.
    pub(crate) fn text(&self) -> String {
        let parsed = mail_parser::MessageParser::default().parse(&self.octets);
        parsed.and_then(|message| message.body_text(0).map(|text| text.into_owned())).unwrap_or_default()
    }
}

impl MailStandIn {
    /// Starts it on a free port.
    pub(crate) async fn start(
        name: &'static str,
        listen: SocketAddr,
        clock: Clock,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let inside = Inside { name, arrived: Mutex::default(), bell: Notify::new(), clock };
        let stand_in = Self { inside: Arc::new(inside) };
        let hostname: Domain = "stand-in.example".parse()?;
        let door = DoorSettings::outbound(hostname, listen, vec!["127.0.0.0/8".parse()?]);
        let server = Server::bind(door, Arc::new(stand_in.clone()), None, Metrics::default()).await.context(name)?;
        shutdown.spawn(server.run(shutdown.clone()));
        Ok(stand_in)
    }

    /// Everything that arrived, oldest first.
    pub(crate) fn all(&self) -> Vec<Arrived> {
        self.inside.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a message that fits.
    pub(crate) async fn wait_for(&self, what: &str, fits: impl Fn(&Arrived) -> bool) -> anyhow::Result<Arrived> {
        let wait = async {
            loop {
                let rung = self.inside.bell.notified();
                if let Some(found) = self.all().into_iter().find(&fits) {
                    return found;
                }
                rung.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .with_context(|| format!("{}: {what} did not arrive", self.inside.name))
    }
}

#[async_trait]
impl Reception for MailStandIn {
    async fn admit_sender(&self, _: Origin, _: &ReversePath) -> Result<(), ReceptionError> {
        Ok(())
    }

    async fn admit_recipient(&self, _: Origin, _: &ReversePath, _: &Address) -> Result<(), ReceptionError> {
        Ok(())
    }

    async fn receive(
        &self,
        _: Origin,
        _: &Peer,
        envelope: Envelope,
        _: Option<u64>,
    ) -> Result<Box<dyn Receiving>, ReceptionError> {
        Ok(Box::new(Arriving { stand_in: self.clone(), envelope, octets: Vec::new() }))
    }
}

#[async_trait]
impl Receiving for Arriving {
    async fn write(&mut self, octets: &[u8]) -> Result<(), ReceptionError> {
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    async fn promise(self: Box<Self>) -> Result<QueueId, ReceptionError> {
        let inside = &self.stand_in.inside;
        let mut arrived = inside.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        if arrived.len() >= KEPT {
            arrived.remove(0);
        }
        arrived.push(Arrived { envelope: self.envelope, octets: self.octets });
        drop(arrived);
        inside.bell.notify_waiters();
        let now = u64::try_from(inside.clock.now().unix_ms()).unwrap_or(0);
        let random = random_octets().map_err(|fault| ReceptionError::Unavailable(fault.to_string()))?;
        Ok(QueueId::from_parts(now, random))
    }
}
