//! What the flow has to know of the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::directory::NumberType;
use crate::fault::Network;
use crate::mail::{Address, Domain, ReversePath};
use crate::net::Time;
use crate::policy::{Rules, VerifiedTls};
use crate::sealing::SealWishes;
use crate::texts::{Language, Zone};

/// The settings of the path, swapped as a whole on reload.
#[derive(Debug)]
pub struct Settings {
    /// `hostname`.
    pub hostname: Domain,
    /// `organisation.domains`.
    pub domains: Vec<Domain>,
    /// `organisation.language`.
    pub language: Language,
    /// `organisation.name`.
    pub organisation: String,
    /// The rules, compiled.
    pub rules: Arc<Rules>,
    /// `policy.unknown = "match"`.
    pub unknown_matches: bool,
    /// `policy.unreachable = "refuse"`.
    pub refuse_unreachable: bool,
    /// The portal runs.
    pub has_portal: bool,
    /// Kinds of national numbers that a login can show.
    pub numbers: Vec<NumberType>,
    /// `smtpd.outbound.max_message_size`, in octets.
    pub max_message_size: u64,
    /// The name of a header that our mail server adds and nobody else knows: the door checked it, it goes off.
    pub secret_header: Option<String>,
    /// Return mailboxes by id.
    pub departments: BTreeMap<String, Department>,
    /// The id of the default department.
    pub default_department: Option<String>,
    /// `portal.url`, without a slash at its end.
    pub portal_url: String,
    /// `portal.retention`.
    pub retention: Duration,
    /// Name of each e-ID that serves, and where to get one.
    pub providers: Vec<(String, Option<String>)>,
    /// `notify.reveal = "department"`.
    pub reveal_department: bool,
    /// After how long the sender of an unread message is told.
    pub remind_after: Duration,
    /// The organisation's time zone.
    pub zone: Zone,
    /// `vault.rotate_every`.
    pub rotate_every: Duration,
    /// How long to try to deliver.
    pub lifetime: Duration,
    /// Where delivery knows who takes the mail, or does not give it.
    pub verifies_tls: VerifiedTls,
    /// Each domain outside has hosts of its own, and so a consignment.
    pub each_domain: bool,
    /// `smtpd.outbound.forwarded = "srs"`.
    pub forwards: bool,
    /// `smtpd.inbound.dmarc = "reject"`.
    pub dmarc_refuses: bool,
    /// `smtpd.inbound.subject_marks`.
    pub subject_marks: Vec<String>,
    /// `smtpd.inbound.trusted_arc_sealers`.
    pub trusted_sealers: Vec<Domain>,
    /// `smtpd.inbound.trusted_peers`.
    pub trusted_peers: Vec<Network>,
    /// How partners want their mail sealed.
    pub seal: SealWishes,
}

/// A return mailbox.
#[derive(Debug, Clone)]
pub struct Department {
    /// Its name by language.
    pub names: BTreeMap<Language, String>,
    /// Its address.
    pub address: Address,
}

impl Settings {
    /// Whether a domain is ours.
    #[must_use]
    pub fn is_inside(&self, domain: &Domain) -> bool {
        self.domains.contains(domain)
    }

    /// The sender, if it is one of ours: not one of strangers whom our mail server forwards for, by SRS or without.
    #[must_use]
    pub fn of_ours<'p>(&self, sender: &'p ReversePath) -> Option<&'p Address> {
        sender.mailbox().filter(|it| self.is_inside(it.domain()) && self.is_inside(it.untagged().domain()))
    }

    /// Whether mail from an address is from this machine or from one of ours: what has passed there is not from there.
    #[must_use]
    pub fn is_own_peer(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.trusted_peers.iter().any(|network| network.contains(address))
    }

    /// A department's name in a language, or in any.
    #[must_use]
    pub fn department_name(&self, id: &str, language: Language) -> Option<&str> {
        let department = self.departments.get(id)?;
        department.names.get(&language).or_else(|| department.names.values().next()).map(String::as_str)
    }
}

impl Settings {
    /// The year it is there, for numbers whose century is not written.
    #[must_use]
    pub fn year(&self, now: Time) -> u16 {
        let year = jiff::Timestamp::from_millisecond(now.unix_ms()).map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).year());
        year.ok().and_then(|year| u16::try_from(year).ok()).unwrap_or(2000)
    }
}

/// The settings that hold now. Clones share them; a reload swaps them for all.
#[derive(Debug, Clone)]
pub struct Current(Arc<RwLock<Arc<Settings>>>);

impl Current {
    /// These settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(settings))))
    }

    /// The settings as they are; whoever holds them goes on with them.
    #[must_use]
    pub fn get(&self) -> Arc<Settings> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Swaps them for new ones.
    pub fn swap(&self, settings: Settings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}
