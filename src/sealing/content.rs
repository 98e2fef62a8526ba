//! What a message consists of when it leaves: a head of our own and the kept body from some octet on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::BodyRef;

/// A message as octets to send, without a second copy of its body: first `head`, then the body from octet `skip` on.
///
/// A message that passes untouched has its trace field as head and skips nothing. One whose header was edited has the
/// whole edited header as head and skips the old one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Octets that go before the body.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub head: Vec<u8>,
    /// Octets of the kept message that the head replaces.
    pub skip: u64,
    /// The kept message.
    pub body: BodyRef,
    /// An octet over 127 stands in it.
    pub has_eight_bit: bool,
    /// … in its header (RFC 6532).
    pub has_utf8_header: bool,
}

impl Content {
    /// Octets that will leave.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.head.len() as u64 + self.body.plain_length.saturating_sub(self.skip)
    }
}

fn to_base64<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(octets))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
