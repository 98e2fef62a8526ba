//! TLS towards peers we call: their certificate verified, or a channel that is merely encrypted.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::net::clock::Time;
use crate::net::dane::Dane;
use crate::net::named::{Named, Roots, RootsFault};
use crate::net::verifier::{Judge, Verifier};

/// What the peer has to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A certificate for the name we called, from a root we trust (RFC 9525).
    Verified,
    /// A certificate for one of these names, whatever name we called.
    Named(Named),
    /// A certificate that its TLSA records name (RFC 7672).
    Dane(Dane),
    /// Nothing: any certificate serves. Keeps out who only listens (RFC 7435).
    Any,
}

/// TLS 1.2 and 1.3 as a client, with post-quantum key exchange where the peer has it. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    verified: TlsConnector,
    any: TlsConnector,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// Why no TLS client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// The file with further roots gives none.
    #[error(transparent)]
    Roots(#[from] RootsFault),
    /// The cryptography refuses our protocol versions.
    #[error("TLS is not available: {0}")]
    Unavailable(#[from] rustls::Error),
}

impl ClientTls {
    /// Trusts the system's roots and, where given, those of a PEM file.
    ///
    /// A system without any root is no error: then nothing off the file verifies.
    ///
    /// # Errors
    /// The file is unreadable or has no root.
    pub fn new(further_roots: Option<&Path>) -> Result<Self, ClientTlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = further_roots {
            Roots::read(file)?.join(&mut roots);
        }
        Self::with_roots(roots)
    }

    /// Trusts these roots and no others.
    ///
    /// # Errors
    /// The cryptography refuses our protocol versions.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, ClientTlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        let verified = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(Arc::clone(&roots))
            .with_no_client_auth();
        let any = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Verifier::new(AnyCertificate, Arc::clone(&provider)))
            .with_no_client_auth();
        let connector = |config| TlsConnector::from(Arc::new(config));
        Ok(Self { verified: connector(verified), any: connector(any), roots, provider })
    }

    /// Shakes hands with the peer we called `name`, a host name or an IP address.
    ///
    /// # Errors
    /// The name is neither, the connection ended, or the peer did not prove what it had to.
    pub async fn connect<S>(&self, stream: S, name: &str, proof: Proof) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        // With DANE that is where the records stand (RFC 7672 §8.1).
        let name = match &proof {
            Proof::Dane(dane) => dane.base().unwrap_or(name),
            Proof::Verified | Proof::Named(_) | Proof::Any => name,
        };
        let server = ServerName::try_from(name.to_owned()).map_err(|fault| std::io::Error::other(fault.to_string()))?;
        match proof {
            Proof::Verified => self.verified.connect(server, stream).await,
            Proof::Any => self.any.connect(server, stream).await,
            Proof::Dane(dane) => {
                let verifier = dane.verifier(Arc::clone(&self.provider));
                self.connector(verifier).map_err(std::io::Error::other)?.connect(server, stream).await
            }
            Proof::Named(named) => {
                let verifier = named.verifier(&self.roots, Arc::clone(&self.provider));
                let connector = verifier.and_then(|verifier| self.connector(verifier));
                connector.map_err(std::io::Error::other)?.connect(server, stream).await
            }
        }
    }

    /// Whether these certificates, a peer's own first, are what [`Proof::Verified`] asks for.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, name: &str, certificates: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let (own, others) = certificates.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let server = ServerName::try_from(name).map_err(|fault| rustls::Error::General(fault.to_string()))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(&self.provider))
            .build()
            .map_err(|fault| rustls::Error::General(fault.to_string()))?;
        verifier.verify_server_cert(own, others, &server, &[], UnixTime::now()).map(|_| ())
    }

    fn connector(&self, verifier: Arc<dyn ServerCertVerifier>) -> Result<TlsConnector, rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl ClientTls {
    /// How a library of its own verifies what [`Proof::Verified`] asks for.
    #[must_use]
    pub fn verifying(&self) -> Arc<ClientConfig> {
        Arc::clone(self.verified.config())
    }
}

/// Why a handshake failed, in words for people: what the library says of certificates is for its own programmers.
#[must_use]
pub fn handshake_fault(fault: &std::io::Error) -> String {
    use rustls::CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, Revoked,
        UnknownIssuer,
    };
    let inner = fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(certificate)) = inner else { return fault.to_string() };
    let day = |at: &UnixTime| {
        let ms = at.as_secs().saturating_mul(1_000);
        Time::from_unix_ms(i64::try_from(ms).unwrap_or(i64::MAX)).rfc3339()
    };
    match certificate {
        UnknownIssuer => "nobody we trust has issued its certificate".to_owned(),
        ExpiredContext { not_after, .. } => format!("its certificate ended at {}", day(not_after)),
        Expired => "its certificate has ended".to_owned(),
        NotValidYetContext { not_before, .. } => format!("its certificate begins at {}", day(not_before)),
        NotValidYet => "its certificate has not begun".to_owned(),
        NotValidForNameContext { expected, .. } => {
            format!("its certificate is not for {}", expected.to_str())
        }
        NotValidForName => "its certificate is not for its name".to_owned(),
        Revoked => "its certificate was revoked".to_owned(),
        _ => fault.to_string(),
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct AnyCertificate;

impl Judge for AnyCertificate {
    fn judge(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<(), rustls::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::net::client_tls::*;

    #[test]
    fn a_handshake_that_fails_over_the_certificate_says_so_in_plain_words() {
        use rustls::{CertificateError, Error};
        let at = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        let (time, not_after) = (at(1_795_828_555), at(1_709_251_200));
        let expected = ServerName::try_from("mx.live.example").unwrap();
        let presented = vec!["DnsName(\"other.example\")".to_owned()];
        for (fault, wanted) in [
            (CertificateError::UnknownIssuer, "nobody we trust has issued its certificate"),
            (CertificateError::ExpiredContext { time, not_after }, "its certificate ended at 2024-03-01T00:00:00Z"),
            (
                CertificateError::NotValidYetContext { time: not_after, not_before: time },
                "its certificate begins at 2026-11-28T01:15:55Z",
            ),
            (
                CertificateError::NotValidForNameContext { expected, presented },
                "its certificate is not for mx.live.example",
            ),
            (CertificateError::BadSignature, "invalid peer certificate: BadSignature"),
        ] {
            let fault = std::io::Error::new(std::io::ErrorKind::InvalidData, Error::InvalidCertificate(fault));
            assert_eq!(handshake_fault(&fault), wanted);
        }
        assert_eq!(handshake_fault(&std::io::Error::other("gone")), "gone");
    }

    #[test]
    fn a_file_without_a_root_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let fault = ClientTls::new(Some(&file)).unwrap_err();
        assert!(matches!(fault, ClientTlsError::Roots(RootsFault::FileUnreadable(..))), "{fault}");
        std::fs::write(&file, "no certificate in here\n").unwrap();
        let fault = ClientTls::new(Some(&file)).unwrap_err();
        assert!(matches!(fault, ClientTlsError::Roots(RootsFault::FileHasNoRoot(_))), "{fault}");
    }

    #[test]
    fn a_root_of_ones_own_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let made = rcgen::generate_simple_self_signed(vec!["mail.sundby.example".to_owned()]).unwrap();
        std::fs::write(&file, made.cert.pem()).unwrap();
        ClientTls::new(Some(&file)).unwrap();
    }
}
