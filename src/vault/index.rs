//! Keyed hashes for indexes: who has the disk alone cannot guess a number or address from them.

use aws_lc_rs::hmac;

/// The key of all keyed hashes. It outlives epochs.
#[derive(Clone)]
pub struct IndexKey(hmac::Key);

impl IndexKey {
    /// The key made of these octets.
    #[must_use]
    pub fn new(octets: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// HMAC-SHA-256 of a value, apart from every other purpose.
    #[must_use]
    pub fn hash(&self, purpose: &'static str, value: &[u8]) -> [u8; 32] {
        let mut sum = hmac::Context::with_key(&self.0);
        sum.update(purpose.as_bytes());
        sum.update(&[0]);
        sum.update(value);
        let mut hash = [0; 32];
        hash.copy_from_slice(sum.sign().as_ref());
        hash
    }
}
