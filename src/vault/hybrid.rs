//! Hybrid post-quantum recipients: ML-KEM-768 with X25519 (X-Wing) under HPKE (C2SP age v1, "The MLKEM768-X25519 hybrid
//! post-quantum recipient type"; filippo.io/hpke-pq; RFC 9180 §5.1, §6.1).

use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA3_256};
use aws_lc_rs::hmac;
use aws_lc_rs::kem::{AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use zeroize::Zeroizing;

use crate::ml_kem::{self, ENCAPSULATION_KEY, SEED, Shake};
use crate::vault::error::VaultError;
use crate::vault::wrapped::{BODY, ENCAPSULATED, FileKey, KEY, Wrapped, lock_body, unlock_body};
use crate::vault::x25519::KeyPair;

/// Octets of a recipient: ML-KEM-768 encapsulation key and X25519 point.
pub(crate) const RECIPIENT: usize = ENCAPSULATION_KEY + KEY;
const CIPHERTEXT: usize = ENCAPSULATED - KEY;

const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// "HPKE", the KEM MLKEM768-X25519, the KDF HKDF-SHA256, the AEAD ChaCha20Poly1305.
const SUITE: &[u8] = b"HPKE\x64\x7a\x00\x01\x00\x03";
const VERSION: &[u8] = b"HPKE-v1";
/// X-Wing's label: `\.//^\`.
const LABEL: &[u8] = b"\\.//^\\";

/// Whom something is locked to. Clones share the parsed key.
#[derive(Clone)]
pub(crate) struct HybridRecipient {
    octets: Arc<[u8; RECIPIENT]>,
    encapsulation: Arc<EncapsulationKey<AlgorithmId>>,
}

/// The private half, grown from 32 octets.
pub(crate) struct HybridKeyPair {
    decapsulation: DecapsulationKey<AlgorithmId>,
    x25519: KeyPair,
    /// The public half.
    pub recipient: HybridRecipient,
}

/// What HPKE's key schedule gives.
struct Schedule {
    key: Zeroizing<[u8; KEY]>,
    nonce: [u8; 12],
}

impl HybridRecipient {
    /// The recipient of these octets, `None` if they are no valid encapsulation key.
    pub(crate) fn of(octets: [u8; RECIPIENT]) -> Option<Self> {
        let encapsulation = EncapsulationKey::new(&ML_KEM_768, octets.get(..ENCAPSULATION_KEY)?).ok()?;
        Some(Self { octets: Arc::new(octets), encapsulation: Arc::new(encapsulation) })
    }

    /// Its octets.
    pub(crate) fn as_bytes(&self) -> &[u8; RECIPIENT] {
        &self.octets
    }

    fn x25519(&self) -> Result<&[u8; KEY], VaultError> {
        self.octets.last_chunk().ok_or(VaultError::CryptographyFailed)
    }

    /// Locks a file key to this recipient.
    pub(crate) fn lock(&self, file_key: &FileKey) -> Result<Wrapped, VaultError> {
        let (ciphertext, post_quantum) = self.encapsulation.encapsulate()?;
        let ephemeral = KeyPair::generate()?;
        let classic = ephemeral.agree(self.x25519()?).ok_or(VaultError::CryptographyFailed)?;
        let shared = combine(post_quantum.as_ref(), &classic, &ephemeral.public, self.x25519()?);
        let schedule = Schedule::of(shared.as_ref())?;
        let mut encapsulated = Box::new([0; ENCAPSULATED]);
        let (front, back) = encapsulated.split_at_mut(CIPHERTEXT);
        if ciphertext.as_ref().len() != CIPHERTEXT {
            return Err(VaultError::CryptographyFailed);
        }
        front.copy_from_slice(ciphertext.as_ref());
        back.copy_from_slice(&ephemeral.public);
        Ok(Wrapped::Hybrid { encapsulated, body: lock_body(&schedule.key, schedule.nonce, file_key)? })
    }
}

impl PartialEq for HybridRecipient {
    fn eq(&self, other: &Self) -> bool {
        self.octets == other.octets
    }
}

impl Eq for HybridRecipient {}

impl HybridKeyPair {
    /// Grows both private keys from the identity's octets (X-Wing's expandDecapsulationKey).
    pub(crate) fn of(identity: &[u8; KEY]) -> Result<Self, VaultError> {
        let (mut seed, mut scalar) = (Zeroizing::new([0; SEED]), Zeroizing::new([0; KEY]));
        let mut shake = Shake::of_256(identity);
        shake.fill(seed.as_mut());
        shake.fill(scalar.as_mut());
        let decapsulation = ml_kem::decapsulation_key(&seed);
        let x25519 = KeyPair::of(&scalar)?;
        let mut octets = [0; RECIPIENT];
        let (front, back) = octets.split_at_mut(ENCAPSULATION_KEY);
        front.copy_from_slice(ml_kem::encapsulation_key(&decapsulation));
        back.copy_from_slice(&x25519.public);
        let recipient = HybridRecipient::of(octets).ok_or(VaultError::CryptographyFailed)?;
        let decapsulation =
            DecapsulationKey::new(&ML_KEM_768, &decapsulation).map_err(|_| VaultError::CryptographyFailed)?;
        Ok(Self { decapsulation, x25519, recipient })
    }

    /// The file key, if it was locked to this pair.
    pub(crate) fn unlock(
        &self,
        encapsulated: &[u8; ENCAPSULATED],
        body: &[u8; BODY],
    ) -> Result<Option<FileKey>, VaultError> {
        let (ciphertext, share) = encapsulated.split_last_chunk::<KEY>().ok_or(VaultError::CryptographyFailed)?;
        let classic = self.x25519.agree(share);
        let classic = classic.ok_or(VaultError::NotAnAgeFile("a hybrid share is of small order"))?;
        let post_quantum = self.decapsulation.decapsulate(Ciphertext::from(ciphertext))?;
        let shared = combine(post_quantum.as_ref(), &classic, share, &self.x25519.public);
        let schedule = Schedule::of(shared.as_ref())?;
        unlock_body(&schedule.key, schedule.nonce, body)
    }
}

/// X-Wing's combiner: both secrets, and what the classic one stands for.
fn combine(post_quantum: &[u8], classic: &[u8; KEY], share: &[u8; KEY], recipient: &[u8; KEY]) -> Zeroizing<Vec<u8>> {
    let mut sum = digest::Context::new(&SHA3_256);
    for part in [post_quantum, &classic[..], share, recipient, LABEL] {
        sum.update(part);
    }
    Zeroizing::new(sum.finish().as_ref().to_vec())
}

impl Schedule {
    /// HPKE's key schedule in base mode (RFC 9180 §5.1).
    fn of(shared: &[u8]) -> Result<Self, VaultError> {
        let base_mode = [0];
        let psk_id_hash = extract(b"", b"psk_id_hash", b"");
        let info_hash = extract(b"", b"info_hash", INFO);
        let told = [&base_mode[..], psk_id_hash.as_ref(), info_hash.as_ref()].concat();
        let secret = extract(shared, b"secret", b"");
        let mut key = Zeroizing::new([0; KEY]);
        key.copy_from_slice(expand(&secret, b"key", &told, 32).as_ref());
        let nonce = expand(&secret, b"base_nonce", &told, 12);
        let nonce = nonce.as_ref().first_chunk().ok_or(VaultError::CryptographyFailed)?;
        Ok(Self { key, nonce: *nonce })
    }
}

/// LabeledExtract (RFC 9180 §4): HKDF-Extract is an HMAC under the salt.
fn extract(salt: &[u8], label: &[u8], secret: &[u8]) -> hmac::Tag {
    hash(salt, &[VERSION, SUITE, label, secret])
}

/// LabeledExpand (RFC 9180 §4) to at most 32 octets: HKDF-Expand is then one HMAC, to be cut to its length.
fn expand(secret: &hmac::Tag, label: &[u8], told: &[u8], length: u8) -> hmac::Tag {
    hash(secret.as_ref(), &[&[0, length], VERSION, SUITE, label, told, &[1]])
}

fn hash(key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut sum = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| sum.update(part));
    sum.sign()
}

#[cfg(test)]
mod tests {
    use crate::vault::hybrid::*;
    use crate::vault::random::random_octets;

    /// The age specification's example pair.
    const IDENTITY: &str = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";

    #[test]
    fn a_file_key_locked_to_a_pair_is_unlocked_by_it_alone() {
        let pair = HybridKeyPair::of(&random_octets().unwrap()).unwrap();
        let other = HybridKeyPair::of(&random_octets().unwrap()).unwrap();
        let file_key = FileKey::new(random_octets().unwrap());
        let Wrapped::Hybrid { mut encapsulated, body } = pair.recipient.lock(&file_key).unwrap() else { panic!() };
        assert_eq!(pair.unlock(&encapsulated, &body).unwrap(), Some(file_key));
        assert_eq!(other.unlock(&encapsulated, &body).unwrap(), None);
        encapsulated[0] ^= 1;
        assert_eq!(pair.unlock(&encapsulated, &body).unwrap(), None);
    }

    #[test]
    fn the_specifications_identity_gives_a_recipient() {
        let (_, octets) = crate::vault::bech32::decode(IDENTITY).unwrap();
        let pair = HybridKeyPair::of(&octets.try_into().unwrap()).unwrap();
        let text = crate::vault::bech32::encode("age1pq", pair.recipient.as_bytes());
        // The specification's recipient has 1959 characters; their hash stands for them.
        assert!(text.starts_with("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg8"));
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let hex: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(hex, "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea");
    }
}
