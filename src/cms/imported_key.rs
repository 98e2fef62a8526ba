//! A private key as it comes from a file, and as it is kept.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cms::certificate::Certificate;
use crate::cms::error::ImportFault;
use crate::cms::private_key::PrivateKey;
use crate::cms::software_key::SoftwareKey;

/// Octets of a key: RSA of 16,384 bits.
pub const KEY_OCTETS: usize = 16 * 1024;

/// A private key, and the octets it was read from. It does not print.
pub struct ImportedKey {
    der: Zeroizing<Vec<u8>>,
    key: Arc<SoftwareKey>,
}

impl ImportedKey {
    /// Reads PKCS #8 (RFC 5958), PKCS #1 (RFC 8017 Appendix A.1.2) or SEC 1 (RFC 5915), without encryption.
    ///
    /// # Errors
    /// It is none, longer than [`KEY_OCTETS`], damaged, or of a kind that is not served.
    pub fn read(der: &[u8]) -> Result<Self, ImportFault> {
        if der.len() > KEY_OCTETS {
            return Err(ImportFault::TooMany { what: "octets in a key", limit: KEY_OCTETS });
        }
        let key = SoftwareKey::read(der).map_err(|_| ImportFault::KeyKind)?;
        Ok(Self { der: Zeroizing::new(der.to_vec()), key: Arc::new(key) })
    }

    /// As it was read.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The key in use.
    #[must_use]
    pub fn key(&self) -> Arc<SoftwareKey> {
        Arc::clone(&self.key)
    }

    /// Whether the certificate was made for this key.
    #[must_use]
    pub fn belongs_to(&self, certificate: &Certificate) -> bool {
        self.key.belongs_to(certificate)
    }
}

impl fmt::Debug for ImportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportedKey(…)")
    }
}
