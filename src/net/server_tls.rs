//! TLS towards those who call us: our certificate, and perhaps a demand for theirs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{CertificateError, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::net::verifier::{Judge, Verifier};

/// TLS 1.2 and 1.3 as a server, with post-quantum key exchange where the peer has it. Clones share the certificate,
/// and [`ServerTls::replace`] changes it for all of them.
#[derive(Clone)]
pub struct ServerTls {
    present: Arc<RwLock<Arc<ServerConfig>>>,
}

/// Why no TLS server could be made.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// No certificate in what should be a PEM chain.
    #[error("the certificate is no PEM: {0}")]
    CertificateUnreadable(String),
    /// No private key in what should be a PEM key.
    #[error("the private key is no PEM key")]
    KeyUnreadable,
    /// The key is of a kind we do not know, or belongs to another certificate.
    #[error("the private key does not fit the certificate: {0}")]
    KeyDoesNotFit(rustls::Error),
    /// No certificate in what should be the client's certificate in PEM.
    #[error("the client's certificate is no PEM: {0}")]
    ClientCertificateUnreadable(String),
}

impl ServerTls {
    /// From a PEM chain, leaf first, and a PEM key.
    ///
    /// # Errors
    /// One of them is unreadable, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServerTlsError> {
        Self::build(chain, key, None)
    }

    /// Likewise, and clients are asked for this one certificate, given in PEM. Who shows none is let in all the same, and
    /// the stream tells; who shows another is not.
    ///
    /// # Errors
    /// One of the three is unreadable, or chain and key do not belong together.
    pub fn from_pem_asking_for(chain: &[u8], key: &[u8], client: &[u8]) -> Result<Self, ServerTlsError> {
        Self::build(chain, key, Some(client))
    }

    fn build(chain: &[u8], key: &[u8], client: Option<&[u8]>) -> Result<Self, ServerTlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = certificates(chain).map_err(ServerTlsError::CertificateUnreadable)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ServerTlsError::KeyUnreadable)?;
        // Versions below TLS 1.2 do not exist in this stack.
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(ServerTlsError::KeyDoesNotFit)?;
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let wanted = certificates(pem).map_err(ServerTlsError::ClientCertificateUnreadable)?.swap_remove(0);
                builder.with_client_cert_verifier(Verifier::new(OneCertificate(wanted), provider))
            }
        };
        let config = builder.with_single_cert(chain, key).map_err(ServerTlsError::KeyDoesNotFit)?;
        Ok(Self { present: Arc::new(RwLock::new(Arc::new(config))) })
    }

    /// Takes over the certificate of `newer`, for every handshake from now on.
    pub fn replace(&self, newer: &Self) {
        let newer = newer.config();
        *self.present.write().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// What the next handshake goes by.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// An acceptor for the next handshake.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config())
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

/// Believes one certificate of a client, whoever issued it. A certificate that the operator named needs no authority;
/// whoever renews it names the new one.
#[derive(Debug)]
struct OneCertificate(CertificateDer<'static>);

impl Judge for OneCertificate {
    fn judge(&self, own: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<(), rustls::Error> {
        let is_it = own.as_ref() == self.0.as_ref();
        if is_it { Ok(()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|fault| fault.to_string())?;
    if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use crate::net::server_tls::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_key_must_fit_its_certificate() {
        let (chain, key) = pair("gw.sundby.example");
        let (_, other) = pair("gw.sundby.example");
        ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let fault = |chain: &str, key: &str| ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(fault(&chain, &other), ServerTlsError::KeyDoesNotFit(_)));
        assert!(matches!(fault("", &key), ServerTlsError::CertificateUnreadable(_)));
        assert!(matches!(fault(&chain, &chain), ServerTlsError::KeyUnreadable));
        assert!(ServerTls::from_pem_asking_for(chain.as_bytes(), key.as_bytes(), b"").is_err());
    }

    #[test]
    fn a_new_certificate_serves_all_clones() {
        let (chain, key) = pair("old.example");
        let old = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let clone = old.clone();
        let (chain, key) = pair("new.example");
        let new = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        old.replace(&new);
        assert!(Arc::ptr_eq(&clone.config(), &new.config()));
    }
}
