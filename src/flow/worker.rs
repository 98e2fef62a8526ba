//! The carrier's loop: takes what is incoming, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::flow::carry::Carrier;
use crate::net::Shutdown;
use crate::queue::{Grip, QueueError, Schedule};
use crate::telemetry::Labels;

/// Messages carried at the same time.
const AT_ONCE: usize = 16;
/// How long to wait before a message that could not be carried is taken up again.
const AFTER_FAULT: Duration = Duration::from_secs(1);

/// Carries until the end begins.
pub struct Worker {
    /// Who serves.
    pub carrier: Carrier,
    /// Who is due.
    pub schedule: Schedule,
}

impl Worker {
    /// Runs until the end begins; what is under way is finished.
    pub async fn run(self, shutdown: Shutdown) {
        self.carrier.show_alarms();
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(lease) = self.schedule.next_incoming(&shutdown).await else { return };
            let (carrier, schedule) = (self.carrier.clone(), self.schedule.clone());
            shutdown.spawn(async move {
                let grip = lease.grip.clone();
                let work = async {
                    let grip = lease.grip.clone();
                    match carrier.carry(lease).await {
                        Ok(()) => schedule.ring(),
                        Err(fault) => carrier.meet(&grip, &fault).await,
                    }
                };
                schedule.watch(grip, work).await;
                drop(place);
            });
        }
    }
}

impl Carrier {
    /// What nobody has met yet is shown as nought, so that an alarm on it is one from the beginning.
    fn show_alarms(&self) {
        for kind in ["theirs", "ours", "failed"] {
            self.metrics.unsealed.get_or_create(&Labels::of(kind)).inc_by(0);
        }
    }

    /// What passes is tried again; what does not, as a damaged row, waits for an operator: `sealgate queue retry`.
    async fn meet(&self, grip: &Grip, fault: &QueueError) {
        let id = grip.id();
        if fault.is_conflict() {
            tracing::warn!(item.id = %id, %fault, "a message was changed by hand while it was carried, and stands as it does now");
        } else if fault.is_temporary() {
            tracing::error!(item.id = %id, %fault, "a message could not be carried; it is tried again");
        } else {
            tracing::error!(item.id = %id, %fault, "a message cannot be carried and is set aside");
            match self.settlement.set_aside(grip, &fault.to_string()).await {
                Ok(()) => return,
                Err(fault) => tracing::error!(item.id = %id, %fault, "a message could not be set aside"),
            }
        }
        tokio::time::sleep(AFTER_FAULT).await;
    }
}
