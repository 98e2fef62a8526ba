//! Who is asked about our recipients now.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::delivery::admission::directory::Directory;
use crate::delivery::admission::list::RecipientList;
use crate::delivery::admission::remembered::{Memory, Remembered};
use crate::delivery::smtp::Callout;
use crate::mail::Address;
use crate::net::Clock;
use crate::policy::{RecipientCheck, Standing};

/// Who is asked.
pub enum Asked {
    /// Nobody: no recipient is there. Where the inbound door is shut.
    Nobody,
    /// `"callout"`: the mail server.
    MailServer(Arc<Callout>),
    /// `"list:FILE"`.
    List(RecipientList),
    /// `"ldap"`.
    Directory(Arc<Directory>),
}

/// Who is asked now. Clones share it; a reload swaps it for all. What was remembered stays, unless somebody else is asked.
#[derive(Clone)]
pub struct Recipients {
    now: Arc<RwLock<Now>>,
    clock: Clock,
}

struct Now {
    check: Arc<dyn RecipientCheck>,
    /// Who is asked, and what was said.
    source: String,
    memory: Arc<Memory>,
}

impl Recipients {
    /// Asks these.
    #[must_use]
    pub fn new(asked: Asked, clock: Clock) -> Self {
        let (source, memory) = (asked.source(), Arc::default());
        let check = asked.check(Arc::clone(&memory), &clock);
        Self { now: Arc::new(RwLock::new(Now { check, source, memory })), clock }
    }

    /// Asks these from now on.
    pub fn swap(&self, asked: Asked) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let source = asked.source();
        let memory = if source == now.source { Arc::clone(&now.memory) } else { Arc::default() };
        *now = Now { check: asked.check(Arc::clone(&memory), &self.clock), source, memory };
    }
}

impl Asked {
    /// What makes the answers what they are.
    fn source(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::MailServer(_) => "callout".to_owned(),
            Self::List(_) => "list".to_owned(),
            Self::Directory(directory) => format!("ldap {directory}"),
        }
    }

    fn check(self, memory: Arc<Memory>, clock: &Clock) -> Arc<dyn RecipientCheck> {
        match self {
            Self::Nobody => Arc::new(RecipientList::default()),
            Self::List(list) => Arc::new(list),
            Self::MailServer(callout) => Arc::new(Remembered::new(callout, memory, clock.clone())),
            Self::Directory(directory) => Arc::new(Remembered::new(directory, memory, clock.clone())),
        }
    }
}

#[async_trait]
impl RecipientCheck for Recipients {
    async fn standing(&self, recipient: &Address) -> Standing {
        let asked = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).check);
        asked.standing(recipient).await
    }
}
