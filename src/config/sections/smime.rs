//! `[[own_certificate]]`, `[trust]` and `[[tunnel]]`: S/MIME, ours and theirs.

use crate::fault::{At, FilePath, Key, Keys, Place, Reader, Section, Setting, Value, settings};
use crate::mail::Domain;

settings! {
    /// A certificate of ours for S/MIME; several generations may stand side by side. Not served yet.
    pub struct OwnCertificate named "for" {
        /// A domain (the tunnel) or a mailbox (a department, a person).
        r#for: String,
        /// The certificate in PEM: leaf first, then its chain.
        certificate: FilePath,
        /// Its private key: a file nobody else may read, `credential:NAME` or `pkcs11:…`.
        key: String,
    }

    /// Whom we believe about S/MIME certificates. Not served yet.
    pub struct Trust {
        /// Files of root certificates in PEM.
        roots: Vec<FilePath>,
        /// Revocation lists, files or http addresses, beside those named in certificates.
        crls: Vec<String>,
    }

    /// Another organisation whose mail is sealed domain to domain. Not served yet.
    pub struct Tunnel named "domain" {
        /// Their domain.
        domain: Domain,
        /// Their domain certificate in PEM.
        certificate: FilePath,
    }
}
