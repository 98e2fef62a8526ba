//! Who is asked about our recipients now.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;

use crate::delivery::admission::directory::Directory;
use crate::delivery::admission::list::RecipientList;
use crate::delivery::admission::remembered::Remembered;
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

/// Who is asked now. Clones share it; a reload swaps it for all, and what was remembered is forgotten with it.
#[derive(Clone)]
pub struct Recipients {
    check: Arc<RwLock<Arc<dyn RecipientCheck>>>,
    clock: Clock,
}

impl Recipients {
    /// Asks these.
    #[must_use]
    pub fn new(asked: Asked, clock: Clock) -> Self {
        Self { check: Arc::new(RwLock::new(asked.check(&clock))), clock }
    }

    /// Asks these from now on.
    pub fn swap(&self, asked: Asked) {
        *self.check.write().unwrap_or_else(PoisonError::into_inner) = asked.check(&self.clock);
    }
}

impl Asked {
    fn check(self, clock: &Clock) -> Arc<dyn RecipientCheck> {
        match self {
            Self::Nobody => Arc::new(RecipientList::default()),
            Self::List(list) => Arc::new(list),
            Self::MailServer(callout) => Arc::new(Remembered::new(callout, clock.clone())),
            Self::Directory(directory) => Arc::new(Remembered::new(directory, clock.clone())),
        }
    }
}

#[async_trait]
impl RecipientCheck for Recipients {
    async fn standing(&self, recipient: &Address) -> Standing {
        let asked = Arc::clone(&self.check.read().unwrap_or_else(PoisonError::into_inner));
        asked.standing(recipient).await
    }
}
