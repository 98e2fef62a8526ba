//! Our certificates and their keys: several generations side by side. The newest that is valid signs; all of them open, for
//! years, whatever was sealed to them.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::cms::{Certificate, KeyKind, PrivateKey, RecipientId, Seconds};
use crate::directory::scope::Scope;
use crate::mail::{Address, Domain};

/// One certificate of ours with its key.
#[derive(Clone)]
pub struct OwnKey {
    /// For whom.
    pub scope: Scope,
    /// The certificate, then its chain.
    pub chain: Vec<Certificate>,
    /// The key.
    pub key: Arc<dyn PrivateKey>,
    /// Where it came from: a file's name, or that it was made or brought here.
    pub told_by: String,
}

/// All of them. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct OwnKeys(Arc<[Arc<OwnKey>]>);

impl OwnKey {
    /// The certificate; one without is left out of [`OwnKeys`].
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.chain.first()
    }

    /// Whether it serves this address: its own, or one of its domain.
    #[must_use]
    pub fn is_for(&self, address: &Address) -> bool {
        match &self.scope {
            Scope::Domain(domain) => domain == address.domain(),
            Scope::Mailbox(mailbox) => mailbox.folded() == address.folded(),
        }
    }

    fn is_valid_at(&self, at: Seconds) -> bool {
        let validity = self.certificate().and_then(|certificate| certificate.validity().ok());
        validity.is_some_and(|(from, until)| (from..=until).contains(&at))
    }

    fn begins(&self) -> Seconds {
        let validity = self.certificate().and_then(|certificate| certificate.validity().ok());
        validity.map_or(Seconds::MIN, |(from, _)| from)
    }

    fn may_sign(&self) -> bool {
        self.certificate().is_some_and(|certificate| {
            let usage = certificate.key_usage().ok().flatten();
            let kind = certificate.public_key().map_or(KeyKind::Other, |key| key.kind());
            usage.is_none_or(|usage| usage.digital_signature() || usage.non_repudiation())
                && !matches!(kind, KeyKind::X25519 | KeyKind::MlKem(_) | KeyKind::Other)
        })
    }
}

impl OwnKeys {
    /// Every one of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<OwnKey>> {
        self.0.iter()
    }

    /// What signs for this address: its own before its domain's, and of these the newest that is valid.
    #[must_use]
    pub fn signs_for(&self, address: &Address, at: Seconds) -> Option<&Arc<OwnKey>> {
        let able = self.0.iter().filter(|own| own.is_for(address) && own.is_valid_at(at) && own.may_sign());
        able.max_by_key(|own| (!own.scope.is_domain(), own.begins()))
    }

    /// What signs for a whole domain (RFC 3183 §3.1): of its keys the newest that is valid.
    #[must_use]
    pub fn signs_for_domain(&self, domain: &Domain, at: Seconds) -> Option<&Arc<OwnKey>> {
        let able = self.0.iter().filter(|own| own.scope.is_domain() && own.scope.domain() == domain);
        able.filter(|own| own.is_valid_at(at) && own.may_sign()).max_by_key(|own| own.begins())
    }

    /// What opens a content key that was sealed for this id: every key whose certificate it may name, expired ones too. One
    /// certificate may stand for several domains, and two generations may have one key, and so one identifier.
    pub fn opens<'k>(&'k self, id: &'k RecipientId) -> impl Iterator<Item = &'k Arc<OwnKey>> {
        self.0.iter().filter(|own| own.certificate().is_some_and(|certificate| is_named(id, certificate)))
    }
}

fn is_named(id: &RecipientId, certificate: &Certificate) -> bool {
    match (id, certificate.subject_key_id()) {
        // RFC 5280 §4.2.1.2, way (1): what others compute where nothing is named.
        (RecipientId::KeyId(id), Ok(None) | Err(_)) => certificate
            .public_key()
            .is_ok_and(|key| digest(&SHA1_FOR_LEGACY_USE_ONLY, key.octets()).as_ref() == id.as_slice()),
        _ => id.names(certificate),
    }
}

impl FromIterator<OwnKey> for OwnKeys {
    fn from_iter<I: IntoIterator<Item = OwnKey>>(keys: I) -> Self {
        Self(keys.into_iter().filter(|own| own.certificate().is_some()).map(Arc::new).collect())
    }
}
