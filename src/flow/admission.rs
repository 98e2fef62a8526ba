//! Who may write from here, and to whom: what is asked before a message comes. Whose place somebody else takes.

use crate::flow::addresses::{ServiceAddress, is_postmaster};
use crate::flow::forwarding::ReturnPaths;
use crate::flow::house::House;
use crate::flow::settings::Settings;
use crate::mail::{Address, Envelope, Recipient, ReversePath, postmaster_of};
use crate::policy::{Standing, Wish, wish};
use crate::queue::ReceptionError;
use crate::store::Change;

/// Reports a day to one sender whose mail was forwarded: who got it can write such ones.
const REPORTS_HOME: u32 = 20;

impl House {
    /// Whose mail was forwarded with this return path, if it is one of ours.
    pub(crate) fn home_of(&self, settings: &Settings, path: &Address) -> Option<Address> {
        let paths = ReturnPaths { key: self.vault.index(), hostname: &settings.hostname };
        let is_outside = |home: &Address| home.domain() != &settings.hostname && !settings.is_inside(home.domain());
        paths.home(path, self.clock.now()).filter(is_outside)
    }

    /// Whether something may go back to a sender outside: reports alone, and only so many.
    pub(crate) fn admit_report(&self, sender: &ReversePath, home: &Address) -> Result<(), ReceptionError> {
        if *sender != ReversePath::Null {
            let text = "this address takes reports alone, from the null path".to_owned();
            return Err(ReceptionError::Refused { status: "5.7.1", text });
        }
        self.count_reports(std::slice::from_ref(home)).map(drop)
    }

    /// What counts one more report to each.
    pub(crate) fn count_reports(&self, homeward: &[Address]) -> Result<Vec<Change>, ReceptionError> {
        let count = |home: &Address| match self.told.once_more("report-home", home.folded().as_bytes(), REPORTS_HOME) {
            Ok(Some(counted)) => Ok(counted),
            Ok(None) => {
                let text = "too many reports have been sent back there today".to_owned();
                Err(ReceptionError::Refused { status: "4.7.1", text })
            }
            Err(fault) => Err(ReceptionError::Unavailable(fault.to_string())),
        };
        homeward.iter().map(count).collect()
    }

    /// The envelope with those whose mail was forwarded in the place of our return paths, and who these are.
    pub(crate) fn sent_home(&self, mut envelope: Envelope, settings: &Settings) -> (Envelope, Vec<Address>) {
        let mut homeward: Vec<Address> = Vec::new();
        if envelope.sender == ReversePath::Null {
            for recipient in &mut envelope.recipients {
                let Some(home) = self.home_of(settings, &recipient.address) else { continue };
                recipient.address = home.clone();
                if !homeward.contains(&home) {
                    homeward.push(home);
                }
            }
        }
        (envelope, homeward)
    }

    /// Whether one of our own addresses is there.
    pub(crate) fn admit_service_address(&self, settings: &Settings, recipient: &Address) -> Result<(), ReceptionError> {
        if is_postmaster(recipient, &settings.hostname) {
            return Ok(());
        }
        match ServiceAddress::of(recipient, &settings.hostname) {
            None => Err(no_such_address()),
            Some(ServiceAddress::NoReply) => Ok(()),
            Some(ServiceAddress::Bounce(token) | ServiceAddress::Thread(token)) => match self.tokens.bearing(&token) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(no_such_address()),
                Err(fault) => Err(ReceptionError::Unavailable(fault.to_string())),
            },
        }
    }

    /// Whether somebody outside may write to this recipient. Whoever is not there is refused now: there is nobody to tell
    /// later, for its sender may be forged.
    pub(crate) async fn admit_inside(&self, settings: &Settings, recipient: &Address) -> Result<(), ReceptionError> {
        let refused = |status, text: &str| Err(ReceptionError::Refused { status, text: text.to_owned() });
        match wish(recipient, &settings.domains) {
            Wish::Relay => return refused("5.7.1", "this host passes nothing on"),
            Wish::Postmaster => return Ok(()),
            Wish::Mailbox => {}
        }
        match self.recipients.standing(recipient).await {
            Standing::Known => Ok(()),
            Standing::Unknown => Err(no_such_address()),
            Standing::TakesNone => refused("5.2.1", "this address takes no mail"),
            Standing::Undecided(why) => Err(ReceptionError::Unavailable(why)),
        }
    }
}

/// What is said of an address that is not there, whoever said so.
fn no_such_address() -> ReceptionError {
    ReceptionError::Refused { status: "5.1.1", text: "no such address here".to_owned() }
}

/// The envelope with the organisation's postmaster in the place of ours: the gateway has no mailboxes.
pub(crate) fn with_postmaster(mut envelope: Envelope, settings: &Settings) -> Envelope {
    let Some(postmaster) = settings.domains.first().and_then(postmaster_of) else { return envelope };
    let is_ours = |recipient: &Recipient| is_postmaster(&recipient.address, &settings.hostname);
    let mut is_there = envelope.recipients.iter().any(|recipient| recipient.address.folded() == postmaster.folded());
    let recipients = std::mem::take(&mut envelope.recipients).into_iter().filter_map(|mut recipient| {
        if is_ours(&recipient) {
            if std::mem::replace(&mut is_there, true) {
                return None;
            }
            recipient.original.get_or_insert(format!("rfc822;{}", recipient.address));
            recipient.address = postmaster.clone();
        }
        Some(recipient)
    });
    envelope.recipients = recipients.collect();
    envelope
}
