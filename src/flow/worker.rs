//! The carrier's loop: takes what is incoming, a few at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::flow::carry::Carrier;
use crate::net::Shutdown;
use crate::queue::Schedule;

/// Messages carried at the same time.
const AT_ONCE: usize = 16;

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
        let places = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let Some(lease) = self.schedule.next_incoming(&shutdown).await else { return };
            let (carrier, schedule) = (self.carrier.clone(), self.schedule.clone());
            shutdown.spawn(async move {
                let id = lease.id;
                match carrier.carry(lease).await {
                    Ok(()) => schedule.ring(),
                    Err(fault) => {
                        tracing::error!(item.id = %id, %fault, "a message could not be carried; it is tried again");
                        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    }
                }
                drop(place);
            });
        }
    }
}
