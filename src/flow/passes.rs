//! How often a message has been through this gateway. A mail server and a gateway that point at each other hand the same
//! message to and fro; every hop adds a `Received`, but a hundred of these are allowed, and somebody may take them off.
//!
//! So what we hand on carries a count under a keyed hash, tied to the message by its `Message-ID`. Nobody else can write one
//! that counts: neither to have somebody's mail refused, nor by copying it from one message to another. A mailing list, a
//! forwarding rule or an archive may bring a message back a few times.

use std::fmt::Write;

use subtle::ConstantTimeEq;

use crate::mail::{Domain, Header};
use crate::vault::IndexKey;

/// The field: `X-Sealgate-Loop: 2; 0123…`.
pub const PASSES_FIELD: &str = "X-Sealgate-Loop";
/// How often a message may pass.
const MOST: u32 = 5;
/// Fields that are looked at: more than one is forged or copied.
const FIELDS: usize = 8;
/// Octets of the hash that are written.
const HASH: usize = 16;

/// How often a message has passed, as far as it says so credibly.
pub struct Passes {
    count: u32,
    message_id: String,
}

impl Passes {
    /// What a header says.
    #[must_use]
    pub fn of(key: &IndexKey, hostname: &Domain, header: &Header) -> Self {
        let message_id = header.message_ids("Message-ID").into_iter().next().unwrap_or_default();
        let credible = |field: String| {
            let count: u32 = field.split_once(';')?.0.trim().parse().ok()?;
            let ours = value(key, hostname, count, &message_id);
            bool::from(ours.as_bytes().ct_eq(field.as_bytes())).then_some(count)
        };
        let said = header.all(PASSES_FIELD).take(FIELDS).map(|field| field.unfolded());
        let count = said.filter_map(credible).max().unwrap_or(0);
        Self { count, message_id }
    }

    /// How often.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether it goes in a circle.
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.count >= MOST
    }

    /// The field, with its line end, that the message carries when it goes on.
    #[must_use]
    pub fn next_field(&self, key: &IndexKey, hostname: &Domain) -> String {
        let count = self.count.saturating_add(1);
        format!("{PASSES_FIELD}: {}\r\n", value(key, hostname, count, &self.message_id))
    }
}

fn value(key: &IndexKey, hostname: &Domain, count: u32, message_id: &str) -> String {
    let hash = key.hash("passes", format!("{count}\0{hostname}\0{message_id}").as_bytes());
    let mut text = format!("{count}; ");
    for octet in hash.iter().take(HASH) {
        // Writing into a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::flow::passes::*;

    #[test]
    fn a_count_holds_for_its_message_alone_and_cannot_be_made_up() {
        let (key, host) = (IndexKey::new(&[7; 32]), "gw.sundby.example".parse().unwrap());
        let read = |text: &str| Passes::of(&key, &host, &Header::new(text.as_bytes().to_vec()));
        let mut field = String::new();
        for count in 0..=MOST {
            let passes = read(&format!("{field}Message-ID: <a@b.example>\r\n\r\n"));
            assert_eq!((passes.count(), passes.are_too_many()), (count, count == MOST));
            field = passes.next_field(&key, &host);
        }
        assert!(field.starts_with("X-Sealgate-Loop: 6; "));
        let of = |field: &str, id: &str| read(&format!("{field}Message-ID: <{id}>\r\n\r\n")).count();
        assert_eq!(of(&field, "a@b.example"), 6);
        for forged in [
            field.replace("6;", "7;"),
            "X-Sealgate-Loop: 9; \r\n".into(),
            "X-Sealgate-Loop: 9\r\n".into(),
            "X-Sealgate-Loop: 99999999999; 00\r\n".into(),
        ] {
            assert_eq!(of(&forged, "a@b.example"), 0, "{forged}");
        }
        assert_eq!(of(&field, "other@b.example"), 0);
        let other_host = "gw.elsewhere.example".parse().unwrap();
        let header = Header::new(format!("{field}Message-ID: <a@b.example>\r\n\r\n").into_bytes());
        assert_eq!(Passes::of(&key, &other_host, &header).count(), 0);
    }
}
