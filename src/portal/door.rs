//! What every page of the portal has at hand.

use std::sync::Arc;

use crate::identity::{ElectronicId, Visitors};
use crate::mailboxes::PostBox;
use crate::net::{Clock, ServerTls};
use crate::portal::config::PortalSettings;
use crate::portal::pace::Pace;
use crate::portal::turns::Turns;
use crate::queue::AnswerIntake;
use crate::scan::Scanner;
use crate::telemetry::{Labels, Metrics};

/// What the portal works with.
pub struct Deps {
    /// The messages.
    pub post_box: PostBox,
    /// Takes answers.
    pub answers: Arc<dyn AnswerIntake>,
    /// The e-ID providers.
    pub electronic_id: Arc<dyn ElectronicId>,
    /// The logins of now.
    pub visitors: Arc<dyn Visitors>,
    /// Our certificate; without it only a loopback address is listened at.
    pub tls: Option<ServerTls>,
    /// Looks for malware in what is uploaded.
    pub scanner: Option<Scanner>,
    /// Counts logins, refusals, readings and answers.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
}

/// The portal: one for all requests.
pub(crate) struct Portal {
    pub(crate) settings: PortalSettings,
    pub(crate) deps: Deps,
    pub(crate) pace: Pace,
    pub(crate) turns: Turns,
}

/// The portal as handed to each request.
pub(crate) type Shared = Arc<Portal>;

impl Portal {
    /// Counts something that happened.
    pub(crate) fn count(&self, what: &'static str) {
        self.deps.metrics.portal.get_or_create_owned(&Labels::of(what)).inc();
    }
}
