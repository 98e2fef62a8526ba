//! The whole file: the sections put together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::config::sections::{
    Control, Delivery, Department, Dkim, Expect, Identity, Imapd, Log, Notify, Organisation, OwnCertificate, Policy,
    Portal, Queue, Rule, Scan, Sender, Smime, Smtpd, Store, Tls, Trust, Tunnel, Vault,
};
use crate::fault::{At, FilePath, FolderPath, Key, Keys, Place, Reader, Section, Setting, Value, settings};
use crate::mail::Domain;

settings! {
    /// What stands before the first section.
    pub struct Settings {
        /// Our name to other mail servers: EHLO, `Received`, `Message-ID`, and the domain of our service addresses.
        hostname: Domain,
        /// Where everything we keep is kept; ours alone.
        data_dir: FolderPath = "/var/lib/sealgate",
        /// Whose gateway this is.
        organisation: Organisation,
        /// Our certificate.
        tls: Option<Tls>,
        /// The SMTP doors.
        smtpd: Smtpd = {},
        /// The malware scanner.
        scan: Option<Scan>,
        /// Where mail goes from here.
        delivery: Delivery,
        /// How long we try.
        queue: Queue = {},
        /// Where what we keep is kept.
        store: Store = {},
        /// The keys that lock what we keep.
        vault: Vault,
        /// The web door.
        portal: Option<Portal>,
        /// The IMAP door.
        imapd: Option<Imapd>,
        /// The operator's door.
        control: Control = {},
        /// The log.
        log: Log = {},
        /// Telling people.
        notify: Notify = {},
        /// How what we send is signed.
        dkim: Vec<Dkim>,
        /// Who tells us who someone is.
        identity: Identity = {},
        /// The return mailboxes.
        department: Vec<Department>,
        /// How a secure recipient is served.
        policy: Policy = {},
        /// The rules.
        rule: Vec<Rule>,
        /// The rule tests.
        expect: Vec<Expect>,
        /// How mail is sealed with S/MIME.
        smime: Smime = {},
        /// Our S/MIME certificates.
        own_certificate: Vec<OwnCertificate>,
        /// Whom we believe about S/MIME certificates.
        trust: Option<Trust>,
        /// Other organisations, domain to domain.
        tunnel: Vec<Tunnel>,
    }
}

impl Settings {
    /// The control socket: as written, or `control.sock` in `data_dir`.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.control
            .socket
            .as_ref()
            .map_or_else(|| self.data_dir.path.join("control.sock"), |socket| socket.path.clone())
    }

    /// From whom notices and receipts come: as written, or the organisation and `noreply@` at `hostname`.
    #[must_use]
    pub fn notice_sender(&self) -> Option<Sender> {
        let ours = || {
            let address = format!("noreply@{}", self.hostname).parse().ok()?;
            Some(Sender { name: Some(self.organisation.name.clone()), address })
        };
        self.notify.from.clone().or_else(ours)
    }

    /// The domains whose authors we sign for, each once: the organisation's, our own name, and that of our notices.
    #[must_use]
    pub fn author_domains(&self) -> Vec<Domain> {
        let notices = self.notice_sender().map(|sender| sender.address.domain().clone());
        let mut ours: Vec<Domain> = self.organisation.domains.clone();
        for more in std::iter::once(self.hostname.clone()).chain(notices) {
            if !ours.contains(&more) {
                ours.push(more);
            }
        }
        ours
    }

    /// The default department, if there is one.
    #[must_use]
    pub fn default_department(&self) -> Option<&Department> {
        self.department.iter().find(|department| department.default)
    }

    /// The settings that are not the same in `other`, by their whole names in alphabetical order. What may stand several
    /// times counts as one: `identity.provider`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.flat(), other.flat());
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect()
    }

    fn flat(&self) -> BTreeMap<String, toml::Value> {
        let mut flat = BTreeMap::new();
        let mut tables = vec![(String::new(), self.effective())];
        while let Some((path, value)) = tables.pop() {
            match value {
                toml::Value::Table(table) => tables.extend(
                    table
                        .into_iter()
                        .map(|(name, value)| (if path.is_empty() { name } else { format!("{path}.{name}") }, value)),
                ),
                value => {
                    flat.insert(path, value);
                }
            }
        }
        flat
    }

    /// All settings as they are in effect, defaults and all, as TOML with secrets masked: `sealgate config show`.
    #[must_use]
    pub fn effective(&self) -> toml::Value {
        let mut filled = self.clone();
        let socket = self.control_socket();
        // Where nobody wrote it there is nothing to show as written: it is shown as it is found from anywhere.
        let socket = std::path::absolute(&socket).unwrap_or(socket);
        filled.control.socket = Some(FilePath { written: socket.display().to_string(), path: socket });
        filled.notify.from = self.notice_sender();
        filled.show().unwrap_or_else(|| toml::Value::Table(toml::Table::new()))
    }
}
