//! What the SMTP doors have behind them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::flow::addresses::Tokens;
use crate::flow::scanning::Scanning;
use crate::flow::settings::Current;
use crate::flow::told::Told;
use crate::mailboxes::PostBox;
use crate::net::Clock;
use crate::policy::RecipientCheck;
use crate::queue::{Marks, Origin, ReceptionError, Schedule, Spool};
use crate::records::Journal;
use crate::sender_auth::{Checks, Signers};
use crate::store::RowsHandle;
use crate::telemetry::Metrics;
use crate::vault::Vault;

/// Messages with a large header that arrive at a door at the same time. A header is held in memory until its message has
/// arrived, and a door has hundreds of sessions.
const LARGE_HEADERS: usize = 32;

/// The house as the SMTP doors see it. Cheap to clone.
#[derive(Clone)]
pub struct House {
    /// What is configured now.
    pub settings: Current,
    /// Rows.
    pub rows: RowsHandle,
    /// The lock.
    pub vault: Vault,
    /// Where drafts are begun.
    pub spool: Spool,
    /// What stands in which thread.
    pub post_box: PostBox,
    /// What service addresses stand for.
    pub tokens: Tokens,
    /// What happened.
    pub journal: Journal,
    /// Who is rung when something is promised.
    pub schedule: Schedule,
    /// What time it is.
    pub clock: Clock,
    /// What operations watch.
    pub metrics: Metrics,
    /// Places for messages with large headers.
    pub large_headers: LargeHeaders,
    /// Who looks for malware, if anybody does.
    pub scanning: Option<Scanning>,
    /// What stops mail before there is trouble.
    pub marks: Marks,
    /// Who mail from the internet is from; none where there is no inbound door.
    pub checks: Option<Checks>,
    /// Who seals what is handed on of it.
    pub signers: Signers,
    /// Who knows our recipients.
    pub recipients: Arc<dyn RecipientCheck>,
    /// What was sent home today.
    pub told: Told,
}

/// Places for messages with large headers, at each door. Cheap to clone.
#[derive(Clone)]
pub struct LargeHeaders {
    outbound: Arc<Semaphore>,
    inbound: Arc<Semaphore>,
}

impl Default for LargeHeaders {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(LARGE_HEADERS));
        Self { outbound: places(), inbound: places() }
    }
}

impl LargeHeaders {
    pub(crate) fn place(&self, origin: Origin) -> Result<OwnedSemaphorePermit, ReceptionError> {
        let places = match origin {
            Origin::Outbound => &self.outbound,
            Origin::Inbound => &self.inbound,
        };
        let full = |_| ReceptionError::Unavailable("too many messages with a large header arrive at once".into());
        Arc::clone(places).try_acquire_owned().map_err(full)
    }
}

/// The name of a door.
pub(crate) fn door(origin: Origin) -> &'static str {
    match origin {
        Origin::Outbound => "outbound",
        Origin::Inbound => "inbound",
    }
}
