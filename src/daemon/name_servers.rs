//! Whether the name servers serve, watched for those who wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::net::{Dns, Shutdown};

/// How long nobody looks after a look.
const PAUSE: Duration = Duration::from_secs(10);
/// What is wrong, and what helps.
const UNSOUND: &str = "do not answer or pass no DNSSEC records on (or do not validate, with `dnssec = \"resolver\"`)";
const HELP: &str = "name others with `dns` in [delivery]";

/// The name servers, and what waits without them. Cheap to clone; clones tell the same.
#[derive(Clone)]
pub(crate) struct NameServers {
    dns: Dns,
    waits: &'static str,
    serve: Arc<AtomicBool>,
}

impl NameServers {
    /// Those that mail to the open internet needs, or who mail from there is from, or both.
    pub(crate) fn of(dns: Dns, sends: bool, receives: bool) -> Self {
        let waits = match (sends, receives) {
            (true, true) => {
                "mail to the open internet waits, and who mail from the internet is from cannot be found out"
            }
            (false, true) => "who mail from the internet is from cannot be found out",
            (true | false, false) => "mail to the open internet waits",
        };
        Self { dns, waits, serve: Arc::new(AtomicBool::new(true)) }
    }

    /// Why they do not serve, if they did not when they were looked at last.
    pub(crate) fn reason_against(&self) -> Option<String> {
        let lost = !self.serve.load(Ordering::Relaxed);
        lost.then(|| format!("the name servers {UNSOUND}: {}; {HELP}", self.waits))
    }

    /// Looks until the end begins. Each loss and each return is said once.
    pub(crate) async fn watch(self, shutdown: Shutdown) {
        let watched = async {
            if self.look().await && !self.dns.validates().await {
                tracing::error!("some of the name servers {UNSOUND}: mail that asks them waits; {HELP}");
            }
            loop {
                sleep(PAUSE).await;
                self.look().await;
            }
        };
        tokio::select! {
            () = watched => {}
            () = shutdown.begun() => {}
        }
    }

    async fn look(&self) -> bool {
        let serve = self.dns.serves().await;
        match (self.serve.swap(serve, Ordering::Relaxed), serve) {
            (true, false) => tracing::error!("the name servers {UNSOUND}: {}; {HELP}", self.waits),
            (false, true) => tracing::info!("the name servers serve again"),
            (true, true) | (false, false) => {}
        }
        serve
    }
}
