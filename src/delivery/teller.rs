//! Tells senders what came of their messages: one report for all that came about at the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::delivery::kept::Kept;
use crate::delivery::octets::Contents;
use crate::mail::{DsnReturn, Returned};
use crate::net::{Clock, Shutdown};
use crate::notify::{ReportKind, Reporter};
use crate::queue::{Kind, QueueError, Schedule, Settlement, TellingLease, Warm};
use crate::sealing::Content;
use crate::store::Bodies;
use crate::vault::Vault;

/// Senders told at the same time.
const AT_ONCE: usize = 16;
/// Octets of a header that goes back with a report, and of a whole message where `RET=FULL` asks for it. Of a larger one
/// the header goes back (RFC 3461 §4.3 leaves that to us).
const HEADER_OCTETS: usize = 32 * 1024;
const WHOLE_OCTETS: u64 = 64 << 10;
/// How long to wait before what could not be told is told again.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Writes the reports. Cheap to clone.
#[derive(Clone)]
pub struct Teller {
    /// Who is to be told.
    pub schedule: Schedule,
    /// What was told.
    pub settlement: Settlement,
    /// Who writes.
    pub reporter: Reporter,
    /// Kept octets.
    pub bodies: Arc<Bodies>,
    /// What is still in memory.
    pub warm: Warm,
    /// The lock.
    pub vault: Vault,
    /// How long what came about at the same time is gathered.
    pub gather: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl Teller {
    /// Tells until the end begins.
    pub async fn run(self, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(lease) = self.schedule.next_telling(&shutdown).await else { return };
            let teller = self.clone();
            shutdown.spawn(async move {
                teller.schedule.watch(lease.grip.clone(), teller.meet(&lease)).await;
                drop(place);
            });
        }
    }

    /// What passes is told a moment later; what does not waits for an operator.
    async fn meet(&self, lease: &TellingLease) {
        let id = lease.id;
        let Err(fault) = self.tell(lease).await else { return self.schedule.ring() };
        if fault.is_conflict() {
            return tracing::warn!(item.id = %id, %fault, "what came of a message is told already");
        }
        if fault.is_temporary() {
            tracing::error!(item.id = %id, %fault, "what came of a message cannot be told yet");
        } else {
            tracing::error!(item.id = %id, %fault, "what came of a message cannot be told; it is set aside");
            match self.settlement.set_aside(&lease.grip, &fault.to_string()).await {
                Ok(()) => return,
                Err(fault) => tracing::error!(item.id = %id, %fault, "a message could not be set aside"),
            }
        }
        tokio::time::sleep(AFTER_FAULT).await;
    }

    async fn tell(&self, lease: &TellingLease) -> Result<(), QueueError> {
        let TellingLease { id, item, untold, .. } = lease;
        let content = match &item.kind {
            Kind::Mail { content, .. } => Some(content),
            Kind::Written { .. } => None,
        };
        let header = match content {
            Some(content) => self.header(content).await,
            None => Returned::default(),
        };
        let late = (ReportKind::Delayed(lease.term.expires), lease.delayed.as_slice());
        let (mut reports, mut entries) = (Vec::new(), Vec::new());
        for (kind, about) in ReportKind::of(untold).chain([late]).filter(|(_, about)| !about.is_empty()) {
            let wants_all = kind == ReportKind::Failed && item.envelope.dsn_return == Some(DsnReturn::Full);
            let whole = match content.filter(|_| wants_all) {
                Some(content) => self.whole(content).await,
                None => None,
            };
            let returned = whole.unwrap_or_else(|| header.clone());
            let (written, more) = self.reporter.report(*id, item, lease.term.created, kind, about, returned).await?;
            reports.extend(written);
            entries.extend(more);
        }
        self.settlement.tell(lease, reports, entries, self.clock.now().after(self.gather)).await
    }

    fn kept(&self, content: &Content) -> Kept {
        Kept::new(content.clone(), Arc::clone(&self.bodies), self.vault.clone(), self.warm.clone())
    }

    /// The message's own header, as far as it goes back with a report; nothing if it cannot be read.
    async fn header(&self, content: &Content) -> Returned {
        let mut header = Vec::new();
        if let Ok(mut octets) = self.kept(content).open().await {
            while header.len() < HEADER_OCTETS
                && let Ok(Some(chunk)) = octets.next().await
            {
                header.extend_from_slice(&chunk);
                if let Some(end) = header.windows(4).position(|four| four == b"\r\n\r\n") {
                    header.truncate(end + 2);
                    break;
                }
            }
        }
        header.truncate(HEADER_OCTETS);
        Returned { octets: header, is_whole: false }
    }

    /// The whole message, unless it is too large to go back or cannot be read.
    async fn whole(&self, content: &Content) -> Option<Returned> {
        if content.length() > WHOLE_OCTETS {
            return None;
        }
        let mut octets = self.kept(content).open().await.ok()?;
        let mut whole = Vec::new();
        while let Some(chunk) = octets.next().await.ok()? {
            whole.extend_from_slice(&chunk);
        }
        Some(Returned { octets: whole, is_whole: true })
    }
}
