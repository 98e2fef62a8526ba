//! The id a message carries through queue, store, trace and log.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 128 bits: 48 of milliseconds since 1970, 80 of randomness; sorts by age. Written as 26 characters of
/// Crockford's base 32, upper case (the ULID form). It names a message and is no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId([u8; 16]);

/// The text is not 26 characters of Crockford's base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 26 characters of 0-9 and A-Z without I, L, O, U")]
pub struct QueueIdFault;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl QueueId {
    /// Puts an id together from the time in milliseconds since 1970 and ten random octets.
    #[must_use]
    pub fn from_parts(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut octets = [0; 16];
        let [_, _, time @ ..] = unix_ms.to_be_bytes();
        let (front, back) = octets.split_at_mut(6);
        front.copy_from_slice(&time);
        back.copy_from_slice(&random);
        Self(octets)
    }

    /// When it was made, in milliseconds since 1970.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        self.0.iter().take(6).fold(0, |ms, octet| ms << 8 | u64::from(*octet))
    }

    /// The 16 octets, in the order that sorts by age: the key of its rows.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id whose octets these are.
    #[must_use]
    pub fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }
}

impl TryFrom<String> for QueueId {
    type Error = QueueIdFault;

    fn try_from(text: String) -> Result<Self, QueueIdFault> {
        text.parse()
    }
}

impl From<QueueId> for String {
    fn from(id: QueueId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = u128::from_be_bytes(self.0);
        for place in (0..26).rev() {
            let digit = usize::try_from((number >> (place * 5)) & 31).unwrap_or(0);
            let letter = ALPHABET.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for QueueId {
    type Err = QueueIdFault;

    fn from_str(text: &str) -> Result<Self, QueueIdFault> {
        if text.len() != 26 {
            return Err(QueueIdFault);
        }
        let mut number: u128 = 0;
        for letter in text.bytes() {
            let digit = ALPHABET
                .iter()
                .position(|known| *known == letter.to_ascii_uppercase())
                .and_then(|digit| u128::try_from(digit).ok())
                .ok_or(QueueIdFault)?;
            number = number.checked_mul(32).and_then(|n| n.checked_add(digit)).ok_or(QueueIdFault)?;
        }
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::queue_id::*;

    #[test]
    fn an_id_survives_the_way_there_and_back_and_sorts_by_age() {
        let young = QueueId::from_parts(2, [0; 10]);
        let old = QueueId::from_parts(1, [255; 10]);
        assert!(old < young && old.to_string() < young.to_string());
        assert_eq!(young.to_string().parse(), Ok(young));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "01JD", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "IIIIIIIIIIIIIIIIIIIIIIIIII", "ååååååååååååå"]
        {
            assert!(text.parse::<QueueId>().is_err(), "{text}");
        }
    }
}
