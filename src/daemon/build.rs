//! Building the whole: what everything needs exists before anything listens.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::config::{OnFound, Settings};
use crate::control::{Desk as OperatorsDesk, Server as ControlSocket};
use crate::daemon::bind::{
    delivery, directory_settings, electronic_id, flow_settings, house, inbound, outbound, portal, read_secret,
    recipients, sound_key_settings,
};
use crate::daemon::kept::Kept;
use crate::daemon::name_servers::NameServers;
use crate::daemon::readiness::Whole;
use crate::delivery::{Internet, Recipients, Relay, TlsReporter, Worker as DeliveryWorker};
use crate::directory::Refresher;
use crate::flow::{Carrier, Desk as ServiceDesk, House, LargeHeaders, Scanning, Worker as FlowWorker};
use crate::identity::Sessions;
use crate::net::{Clock, Dns, Outside, RateLimit, ServerTls, Shutdown};
use crate::portal::{Deps, Server as Portal};
use crate::queue::{Backoff, Reception};
use crate::records::{Event, EventKind};
use crate::scan::Scanner;
use crate::sealing::NextHop;
use crate::sender_auth::Checks;
use crate::smtpd::{Server as Door, SettingsHandle};
use crate::telemetry::Metrics;

/// The whole, built and bound; nothing runs yet.
pub struct Daemon {
    settings: Settings,
    /// What is kept.
    pub kept: Kept,
    doors: Vec<(&'static str, Door)>,
    outbound: Option<SettingsHandle>,
    inbound: Option<SettingsHandle>,
    recipients: Recipients,
    health: Option<TcpListener>,
    portal: Option<Portal>,
    /// Who looks for malware.
    scanner: Option<Scanner>,
    /// Who says where mail to the internet goes and who mail from there is from.
    name_servers: Option<NameServers>,
    relay: Arc<Relay>,
    delivery: DeliveryWorker,
    carrier: Carrier,
    tls: Option<ServerTls>,
    control: ControlSocket,
    metrics: Metrics,
}

/// What only a restart changes: settings, and sections with all below them. `organisation` stands on the portal's pages,
/// `hostname` is what we call ourselves to other mail servers.
const FIXED: [&str; 26] = [
    "control",
    "data_dir",
    "delivery",
    "hostname",
    "identity",
    "log",
    "organisation.contact",
    "organisation.language",
    "organisation.name",
    "organisation.timezone",
    "organisation.website",
    "portal",
    "queue.delay_warning",
    "queue.max_entries",
    "queue.maximal_backoff",
    "queue.minimal_backoff",
    "scan",
    "smtpd.inbound.listen",
    "smtpd.inbound.max_sessions",
    "smtpd.inbound.max_sessions_per_client",
    "smtpd.outbound.listen",
    "smtpd.outbound.max_sessions",
    "smtpd.outbound.max_sessions_per_client",
    "store",
    "vault.identity",
    "vault.recovery",
];

/// What a reload swaps.
pub struct Reload {
    /// As it was when everything was built.
    started: Settings,
    kept: Kept,
    outbound: Option<SettingsHandle>,
    inbound: Option<SettingsHandle>,
    recipients: Recipients,
    tls: Option<ServerTls>,
}

impl Daemon {
    /// Builds everything in the order in which it needs each other, and binds the doors last.
    ///
    /// # Errors
    /// What could not be opened or bound, and why.
    pub async fn build(settings: &Settings, clock: Clock) -> anyhow::Result<Self> {
        let Some(kept) = Kept::open_in_turn(settings, clock.clone(), async || false).await? else {
            anyhow::bail!("another process serves what is kept")
        };
        kept.keyring.configure(sound_key_settings(settings)?);
        let metrics = kept.metrics.clone();
        let keeping = kept.policies();
        let delivered = delivery(settings)?;
        let at_once = [(NextHop::Internet, delivered.in_hand()), (NextHop::MailServer, delivered.under_way_inside())];
        let relay = Relay::new(delivered, Some(keeping));
        let relay = Arc::new(relay.context("delivery")?);
        let backoff = Backoff { minimal: settings.queue.minimal_backoff, maximal: settings.queue.maximal_backoff };
        let delivery = DeliveryWorker {
            transport: Arc::clone(&relay) as _,
            schedule: kept.schedule.clone(),
            settlement: kept.settlement.clone(),
            inspector: kept.inspector.clone(),
            bodies: Arc::clone(&kept.bodies),
            warm: kept.spool.warm().clone(),
            vault: kept.vault.clone(),
            reporter: kept.reporter.clone(),
            journal: kept.journal.clone(),
            signers: kept.keyring.signers(),
            certificates: kept.directory.certificates().clone(),
            backoff,
            delay_warning: settings.queue.delay_warning,
            at_once,
            clock: clock.clone(),
            steadiness: kept.steadiness.clone(),
            metrics: metrics.clone(),
        };
        let tls = settings.tls.as_ref().map(read_tls).transpose()?;
        let scanning = settings.scan.as_ref().map(|scan| Scanning {
            scanner: Scanner::new(scan.for_scanner(), metrics.clone()),
            refuses: scan.on_found == OnFound::Refuse,
            held_from_outside: RateLimit::default(),
        });
        let scanner = scanning.as_ref().map(|scanning| scanning.scanner.clone());
        let carrier = carrier(&kept, scanning.clone(), backoff, &metrics);
        let receives = settings.smtpd.inbound.is_some();
        let asked = (relay.asks_the_dns() || receives).then(|| names(settings)).transpose()?;
        // A door on loopback is the mail server's: what comes there seldom is from the internet, and nobody waits for it.
        let is_open = settings.smtpd.inbound.as_ref().is_some_and(|door| !door.listen.ip().is_loopback());
        let watched = asked.clone().filter(|_| relay.asks_the_dns() || is_open);
        let name_servers = watched.map(|dns| NameServers::of(dns, relay.asks_the_dns(), receives));
        let checks = asked.filter(|_| receives).map(|names| Checks::new(Arc::new(names), clock.clone()));
        let recipients = Recipients::new(recipients(settings, settings)?, clock.clone());
        let reception: Arc<dyn Reception> = Arc::new(reception(&kept, &metrics, scanning, checks, recipients.clone()));
        let mut doors = Vec::new();
        let (mut outbound_handle, mut inbound_handle) = (None, None);
        if let Some(door) = &settings.smtpd.outbound {
            let server = Door::bind(outbound(settings, door), Arc::clone(&reception), tls.clone(), metrics.clone());
            let server = server.await.with_context(|| format!("smtpd.outbound.listen: {}", door.listen))?;
            outbound_handle = Some(server.settings());
            doors.push(("outbound", server));
        }
        if let Some(door) = &settings.smtpd.inbound {
            let server = Door::bind(inbound(settings, door), reception, tls.clone(), metrics.clone());
            let server = server.await.with_context(|| format!("smtpd.inbound.listen: {}", door.listen))?;
            inbound_handle = Some(server.settings());
            doors.push(("inbound", server));
        }
        let portal = match &settings.portal {
            Some(door) => Some(open_portal(settings, door, &kept, tls.clone(), scanner.clone()).await?),
            None => None,
        };
        let socket = settings.control_socket();
        let control =
            ControlSocket::bind(&socket).await.with_context(|| format!("control.socket: {}", socket.display()))?;
        let health = match settings.control.listen {
            Some(listen) => Some(TcpListener::bind(listen).await.with_context(|| format!("control.listen: {listen}"))?),
            None => None,
        };
        Ok(Self {
            settings: settings.clone(),
            kept,
            doors,
            outbound: outbound_handle,
            inbound: inbound_handle,
            recipients,
            health,
            portal,
            scanner,
            name_servers,
            relay,
            delivery,
            carrier,
            tls,
            control,
            metrics,
        })
    }

    /// Where the outbound door listens.
    #[must_use]
    pub fn outbound_address(&self) -> Option<SocketAddr> {
        self.door("outbound")
    }

    /// Where the inbound door listens.
    #[must_use]
    pub fn inbound_address(&self) -> Option<SocketAddr> {
        self.door("inbound")
    }

    /// Where the portal listens.
    #[must_use]
    pub fn portal_address(&self) -> Option<SocketAddr> {
        self.portal.as_ref().and_then(|portal| portal.local_address().ok())
    }

    fn door(&self, wanted: &str) -> Option<SocketAddr> {
        self.doors.iter().find(|(name, _)| *name == wanted).and_then(|(_, door)| door.local_address().ok())
    }

    /// What a reload swaps.
    #[must_use]
    pub fn reload_handle(&self) -> Reload {
        Reload {
            started: self.settings.clone(),
            kept: self.kept.clone(),
            outbound: self.outbound.clone(),
            inbound: self.inbound.clone(),
            recipients: self.recipients.clone(),
            tls: self.tls.clone(),
        }
    }

    /// Starts every part; each ends by itself when the end begins. Returns when all are started.
    ///
    /// # Errors
    /// An event that says so cannot be written.
    pub async fn start(self, shutdown: &Shutdown) -> anyhow::Result<Arc<Relay>> {
        self.kept.journal.write_with_epochs(Event::new(EventKind::Started).detail(env!("CARGO_PKG_VERSION"))).await?;
        shutdown
            .spawn(FlowWorker { carrier: self.carrier, schedule: self.kept.schedule.clone() }.run(shutdown.clone()));
        shutdown.spawn(self.delivery.run(shutdown.clone()));
        if let Some(name_servers) = &self.name_servers {
            shutdown.spawn(name_servers.clone().watch(shutdown.clone()));
        }
        for domain in self.kept.keyring.signers().now().unsigned() {
            match self.settings.delivery.internet {
                Internet::Mx => tracing::warn!(
                    %domain,
                    "mail of this domain leaves unsigned: `sealgate key rotate dkim --domain` makes a key"
                ),
                // It may be that one that signs: that cannot be seen from here.
                Internet::Smarthost(_) => tracing::info!(
                    %domain,
                    "mail of this domain leaves unsigned: the smarthost has to sign it, or `sealgate key rotate dkim --domain` \
                     makes a key"
                ),
            }
        }
        if let Some(sts) = self.relay.sts() {
            shutdown.spawn(sts.run(shutdown.clone()));
        }
        if let Some((tally, https)) = self.relay.tally().zip(self.relay.https()) {
            let reporter = TlsReporter {
                tally,
                https,
                mailer: self.kept.reporter.mailer().clone(),
                schedule: self.kept.schedule.clone(),
                rows: Arc::clone(&self.kept.rows),
                steadiness: self.kept.steadiness.clone(),
                metrics: self.metrics.clone(),
            };
            shutdown.spawn(reporter.run(shutdown.clone()));
        }
        shutdown.spawn(self.kept.sweeper().run(shutdown.clone()));
        shutdown.spawn(self.kept.keyring.clone().run(shutdown.clone()));
        match names(&self.settings) {
            Ok(dns) => {
                let refresher = Refresher {
                    directory: self.kept.directory.clone(),
                    dns,
                    outside: Outside::and(&self.settings.delivery.private_networks),
                    clock: self.kept.clock.clone(),
                    metrics: self.metrics.clone(),
                };
                shutdown.spawn(refresher.run(shutdown.clone()));
            }
            Err(fault) => tracing::warn!(%fault, "nothing is fetched about revocation"),
        }
        let desk = OperatorsDesk { pauses: Arc::clone(&self.relay) as _, ..self.kept.desk() };
        tracing::info!(door = "control", socket = %self.control.path().display(), "listening");
        shutdown.spawn(self.control.run(Arc::new(desk), shutdown.clone()));
        if let Some(listener) = self.health {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(door = "health", %address, "listening");
            }
            let whole =
                Arc::new(Whole { kept: self.kept.clone(), scanner: self.scanner, name_servers: self.name_servers });
            let (metrics, end) = (self.metrics.clone(), shutdown.clone());
            let (inspector, clock, marks) =
                (self.kept.inspector.clone(), self.kept.clock.clone(), self.kept.marks.clone());
            shutdown.spawn(async move {
                if let Err(fault) =
                    crate::control::serve_health(listener, whole, metrics, inspector, marks, clock, end).await
                {
                    tracing::error!(%fault, "the health page cannot be served");
                }
            });
        }
        if let Some(portal) = self.portal {
            if let Ok(address) = portal.local_address() {
                tracing::info!(door = "portal", %address, "listening");
            }
            shutdown.spawn(portal.run(shutdown.clone()));
        }
        for (name, door) in self.doors {
            if let Ok(address) = door.local_address() {
                tracing::info!(door = name, %address, "listening");
            }
            shutdown.spawn(door.run(shutdown.clone()));
        }
        Ok(self.relay)
    }
}

impl Reload {
    /// Takes new settings into use: all of them that can change without a restart, or none.
    ///
    /// # Errors
    /// What is wrong with them; nothing has changed then.
    pub fn apply(&self, settings: &Settings) -> anyhow::Result<()> {
        let flow = flow_settings(settings)?;
        let house = house(settings)?;
        let tls = settings.tls.as_ref().map(read_tls).transpose()?;
        // A door that was shut at the start stays shut, and what it would have been told with it.
        let asked = if self.inbound.is_some() { Some(recipients(settings, &self.started)?) } else { None };
        let keys = sound_key_settings(settings)?;
        self.kept.keyring.configure(keys);
        self.kept.directory.configure(directory_settings(settings));
        self.kept.settings.swap(flow);
        if let Some(asked) = asked {
            self.recipients.swap(asked);
        }
        self.kept.reporter.mailer().swap(house);
        if let (Some(handle), Some(door)) = (&self.outbound, &settings.smtpd.outbound) {
            handle.replace(outbound(settings, door));
        }
        if let (Some(handle), Some(door)) = (&self.inbound, &settings.smtpd.inbound) {
            handle.replace(inbound(settings, door));
        }
        if let (Some(current), Some(newer)) = (&self.tls, &tls) {
            current.replace(newer);
        }
        Ok(())
    }

    /// The settings that are not what they were at the start, and that [`Reload::apply`] leaves as they were.
    #[must_use]
    pub fn left_for_a_restart(&self, settings: &Settings) -> Vec<String> {
        let tls_comes_or_goes = self.started.tls.is_some() != settings.tls.is_some();
        let is_fixed = |name: &String| {
            let within =
                |outer: &str| name.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            FIXED.into_iter().any(within) || (tls_comes_or_goes && within("tls"))
        };
        let mut left = self.started.differences(settings);
        left.retain(is_fixed);
        left
    }
}

/// The name servers that say who mail from the internet is from: those that delivery asks too.
fn names(settings: &Settings) -> anyhow::Result<Dns> {
    Dns::new(&settings.delivery.for_delivery(&settings.hostname).dns).context("delivery.dns")
}

fn reception(
    kept: &Kept,
    metrics: &Metrics,
    scanning: Option<Scanning>,
    checks: Option<Checks>,
    recipients: Recipients,
) -> House {
    House {
        settings: kept.settings.clone(),
        rows: Arc::clone(&kept.rows),
        vault: kept.vault.clone(),
        spool: kept.spool.clone(),
        post_box: kept.post_box.clone(),
        tokens: kept.tokens.clone(),
        journal: kept.journal.clone(),
        schedule: kept.schedule.clone(),
        clock: kept.clock.clone(),
        metrics: metrics.clone(),
        large_headers: LargeHeaders::default(),
        scanning,
        marks: kept.marks.clone(),
        checks,
        signers: kept.keyring.signers(),
        recipients: Arc::new(recipients),
        told: kept.told(),
    }
}

fn carrier(kept: &Kept, scanning: Option<Scanning>, backoff: Backoff, metrics: &Metrics) -> Carrier {
    let desk = ServiceDesk {
        settings: kept.settings.clone(),
        vault: kept.vault.clone(),
        spool: kept.spool.clone(),
        tokens: kept.tokens.clone(),
        post_box: kept.post_box.clone(),
        told: kept.told(),
        reporter: kept.reporter.clone(),
        journal: kept.journal.clone(),
    };
    Carrier {
        steadiness: kept.steadiness.clone(),
        settings: kept.settings.clone(),
        settlement: kept.settlement.clone(),
        post_box: kept.post_box.clone(),
        tokens: kept.tokens.clone(),
        returns: kept.returns.clone(),
        reporter: kept.reporter.clone(),
        desk,
        consigner: kept.consigner(),
        inward: kept.inward(scanning, backoff),
        journal: kept.journal.clone(),
        backoff,
        clock: kept.clock.clone(),
        metrics: metrics.clone(),
    }
}

async fn open_portal(
    settings: &Settings,
    door: &crate::config::Portal,
    kept: &Kept,
    tls: Option<ServerTls>,
    scanner: Option<Scanner>,
) -> anyhow::Result<Portal> {
    let (metrics, clock) = (&kept.metrics, &kept.clock);
    let told = portal(settings, door);
    let deps = Deps {
        post_box: kept.post_box.clone(),
        answers: Arc::new(kept.answers()),
        electronic_id: Arc::new(electronic_id(settings, &told.url, clock)?),
        visitors: Arc::new(Sessions::new(door.session_idle, door.session_lifetime, clock.clone())),
        tls,
        scanner,
        metrics: metrics.clone(),
        clock: clock.clone(),
    };
    Portal::bind(told, deps).await.with_context(|| format!("portal.listen: {}", door.listen))
}

fn read_tls(tls: &crate::config::Tls) -> anyhow::Result<ServerTls> {
    let chain = std::fs::read(&tls.certificate.path)
        .with_context(|| format!("tls.certificate: {}", tls.certificate.path.display()))?;
    let key = zeroize::Zeroizing::new(read_secret(&tls.key).context("tls.key")?);
    Ok(ServerTls::from_pem(&chain, &key)?)
}
