//! Who takes part: organisations with their gateways and mail servers, the recipient's mail provider, the e-ID.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};

use crate::config::{self, Files};
use crate::daemon::{Daemon, Foundation, Kept, configuration, found};
use crate::delivery::{
    Contents, Destination, Dispatch, InMemory, Outcome, Passage, Relay, Settings as DeliverySettings, Transport,
};
use crate::demo::mail_stand_in::MailStandIn;
use crate::demo::op::{LEVEL, Op, Person};
use crate::mail::{Address, Envelope, QueueId, ReversePath};
use crate::net::{Clock, Shutdown};
use crate::vault::random_octets;

/// Who can log in. The numbers are official test numbers; nobody has them.
const PERSONS: [Person; 2] = [
    Person { id: "eva", name: "Eva Rätt", number: "198501012382", level: LEVEL },
    Person { id: "adam", name: "Adam Fel", number: "198501012390", level: LEVEL },
];

/// One organisation: its gateway and its mail server.
pub(crate) struct Organisation {
    pub name: &'static str,
    pub dir: PathBuf,
    pub mail_server: MailStandIn,
    pub kept: Kept,
    pub outbound: SocketAddr,
    pub portal: String,
    pub certificate: Vec<u8>,
    submit: Relay,
}

/// Everybody.
pub(crate) struct Scene {
    pub sundby: Organisation,
    pub nordby: Organisation,
    pub provider: MailStandIn,
    pub e_id: Op,
}

impl Scene {
    /// Raises everything below a directory.
    pub(crate) async fn raise(dir: &Path, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let clock = Clock::System;
        let [provider_at, e_id_at] = free()?;
        let provider =
            MailStandIn::start("the recipient's mail provider (stand-in)", provider_at, clock.clone(), shutdown)
                .await?;
        let secret: String = random_octets::<16>()?.iter().map(|octet| format!("{octet:02x}")).collect();
        let e_id = Op::start(e_id_at, ("sealgate", &secret), PERSONS.to_vec(), clock.clone(), shutdown).await?;
        let with = |name, domain| Raising { dir, name, domain, provider_at, issuer: e_id.issuer(), secret: &secret };
        let sundby = with("Sundby kommun", "sundby.example").raise(&clock, shutdown).await?;
        let nordby = with("Nordby Kommune", "nordby.example").raise(&clock, shutdown).await?;
        Ok(Self { sundby, nordby, provider, e_id })
    }
}

struct Raising<'r> {
    dir: &'r Path,
    name: &'static str,
    domain: &'static str,
    provider_at: SocketAddr,
    issuer: &'r str,
    secret: &'r str,
}

impl Raising<'_> {
    async fn raise(self, clock: &Clock, shutdown: &Shutdown) -> anyhow::Result<Organisation> {
        let dir = self.dir.join(self.domain);
        let [mail_server_at, outbound, inbound, portal, control] = free()?;
        let foundation = Foundation {
            outbound,
            inbound,
            internet: self.provider_at,
            mail_server: mail_server_at,
            portal,
            control,
            issuer: self.issuer.to_owned(),
            department: Some(("bygg".to_owned(), "Bygglov".to_owned(), format!("bygg@{}", self.domain))),
            ..Foundation::usual(self.name, self.domain.parse()?)
        };
        let file = dir.join("sealgate.toml");
        if file.exists() {
            // What an earlier demo kept; its ports are nobody's any more.
            std::fs::write(file, configuration(&foundation))?;
        } else {
            found(&dir, &foundation)?;
        }
        std::fs::write(dir.join("keys/op-secret"), self.secret)?;
        let mail_server =
            MailStandIn::start("the organisation's mail server (stand-in)", mail_server_at, clock.clone(), shutdown)
                .await?;
        let loaded = config::load(&dir.join("sealgate.toml"), Files::Start).map_err(|faults| anyhow!("{faults}"))?;
        let daemon = Daemon::build(&loaded.settings, clock.clone()).await?;
        let outbound = daemon.outbound_address().context("no outbound door")?;
        let portal = daemon.portal_address().context("no portal")?;
        let kept = daemon.kept.clone();
        daemon.start(shutdown).await?;
        let door = DeliverySettings {
            internet: format!("smtp://{outbound}").parse()?,
            mail_server: format!("smtp://{outbound}").parse()?,
            ..loaded.settings.delivery.for_delivery(&"mail.stand-in.example".parse()?)
        };
        Ok(Organisation {
            name: self.name,
            mail_server,
            kept,
            outbound,
            portal: format!("https://localhost:{}", portal.port()),
            certificate: std::fs::read(dir.join("certs/gw.pem"))?,
            submit: Relay::new(door, None)?,
            dir,
        })
    }
}

impl Organisation {
    /// Hands the gateway a message as the mail server would; the id it is queued under.
    pub(crate) async fn send(&self, from: &str, to: &str, message: &str) -> anyhow::Result<QueueId> {
        let octets = message.replace('\n', "\r\n").into_bytes();
        let to: Address = to.parse()?;
        let dispatch = Dispatch {
            id: QueueId::from_parts(0, random_octets()?),
            envelope: Envelope::plain(ReversePath::Mailbox(from.parse()?), vec![to]),
            destination: Destination::Internet,
            passage: Passage::Any,
            size: octets.len() as u64,
            has_eight_bit: !octets.is_ascii(),
            has_utf8_header: false,
            is_tls_report: false,
            contents: InMemory::contents(octets) as Arc<dyn Contents>,
            signing: None,
        };
        match self.submit.deliver(&dispatch).await.pop() {
            Some((_, Outcome::Delivered(delivery))) => {
                let id = delivery.reply.rsplit(' ').next().unwrap_or_default();
                id.parse().with_context(|| format!("the gateway said: {}", delivery.reply))
            }
            Some((_, Outcome::Deferred(why) | Outcome::Failed(why))) => {
                Err(anyhow!("the gateway did not take it: {why}"))
            }
            None => Err(anyhow!("the gateway said nothing")),
        }
    }
}

/// Ports of this machine that are free now, no two the same.
fn free<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let held = std::array::from_fn::<_, N, _>(|_| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for (port, holder) in ports.iter_mut().zip(&held) {
        *port = holder.as_ref().map_err(|fault| anyhow::anyhow!("no free port: {fault}"))?.local_addr()?;
    }
    Ok(ports)
}
