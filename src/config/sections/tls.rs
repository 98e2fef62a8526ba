//! `[tls]`: our certificate.

use crate::fault::{At, FilePath, Key, Keys, Place, Reader, Secret, Section, Setting, Value, settings};

settings! {
    /// Our certificate, for both SMTP doors, IMAP and the portal.
    pub struct Tls {
        /// The certificate in PEM: leaf first, then its chain.
        certificate: FilePath,
        /// Its private key in PEM (PKCS #8, SEC 1 or PKCS #1): a file nobody else may read, or `credential:NAME`.
        key: Secret,
    }
}
