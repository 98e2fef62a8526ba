//! A certificate for one of several names (RFC 9525), perhaps from fewer roots than are trusted otherwise.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

use crate::net::verifier::{Judge, Verifier};

/// What a peer's certificate is to be for, and who is to have issued it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// Host names or IP addresses, one of which the certificate must have. What the peer is called by counts only if it
    /// is among them.
    pub names: Arc<[String]>,
    /// The roots that count; those trusted otherwise if not given.
    pub roots: Option<Roots>,
}

/// Certificates that serve as roots, one at least. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Roots(Arc<[CertificateDer<'static>]>);

/// Why a file gives no roots.
#[derive(Debug, thiserror::Error)]
pub enum RootsFault {
    /// The file cannot be read, or is no PEM.
    #[error("the certificate file {0} cannot be read: {1}")]
    FileUnreadable(PathBuf, String),
    /// The file has no certificate, or one that no root can be made of.
    #[error("the certificate file {0} has no certificate that can serve as a root")]
    FileHasNoRoot(PathBuf),
}

impl Roots {
    /// All certificates of a PEM file.
    ///
    /// # Errors
    /// The file is unreadable, or a certificate in it cannot be a root.
    pub fn read(file: &Path) -> Result<Self, RootsFault> {
        let unreadable =
            |fault: rustls::pki_types::pem::Error| RootsFault::FileUnreadable(file.into(), fault.to_string());
        let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect();
        let roots = Self(read.map_err(unreadable)?.into());
        let mut trial = RootCertStore::empty();
        match roots.0.iter().try_for_each(|root| trial.add(root.clone())) {
            Ok(()) if !trial.is_empty() => Ok(roots),
            Ok(()) | Err(_) => Err(RootsFault::FileHasNoRoot(file.into())),
        }
    }

    /// Adds them to others.
    pub(crate) fn join(&self, others: &mut RootCertStore) {
        others.add_parsable_certificates(self.0.iter().cloned());
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

impl Named {
    /// # Errors
    /// There is no root to begin with.
    pub(crate) fn verifier(
        &self,
        trusted: &Arc<RootCertStore>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        let roots = match &self.roots {
            None => Arc::clone(trusted),
            Some(pinned) => {
                let mut roots = RootCertStore::empty();
                pinned.join(&mut roots);
                Arc::new(roots)
            }
        };
        let roots = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|fault| rustls::Error::General(fault.to_string()))?;
        let names = self.names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect();
        Ok(Verifier::new(ByNames { names, roots }, provider))
    }
}

#[derive(Debug)]
struct ByNames {
    names: Vec<ServerName<'static>>,
    roots: Arc<WebPkiServerVerifier>,
}

impl Judge for ByNames {
    fn judge(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut last = CertificateError::NotValidForName.into();
        for name in &self.names {
            match self.roots.verify_server_cert(own, others, name, &[], now) {
                Ok(_) => return Ok(()),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }
}
