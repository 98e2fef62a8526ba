//! How often a message has been through this gateway. A mail server and a gateway that point at each other hand the same
//! message to and fro; every hop adds a `Received`, but a hundred of these are allowed, and somebody may take them off.
//!
//! So what we hand on carries a count under a keyed hash, tied to the message by its `Message-ID`. Nobody else can write one
//! that counts: neither to have somebody's mail refused, nor by copying it from one message to another. A mailing list, a
//! forwarding rule or an archive may bring a message back a few times.
//!
//! Behind the count stands a mark where a message came in from outside in the name of an author of ours who was not proven: when
//! the mail server forwards it, nobody signs it. The mark has no hash, for it only takes something away: who adds it to his
//! own mail has it unsigned. So it holds, too, where somebody gave the message another `Message-ID`. What comes from outside
//! keeps one only where it may be shown as from an author of ours.

use std::fmt::Write;

use subtle::ConstantTimeEq;

use crate::mail::{Domain, Header};
use crate::vault::IndexKey;

/// The field: `X-Sealgate-Loop: 2; 0123…`, perhaps with [`MARK`] behind it.
pub const PASSES_FIELD: &str = "X-Sealgate-Loop";
/// Its author is one of ours, and was not proven when it came in.
const MARK: &str = "; author=unproven";
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
    is_marked: bool,
}

impl Passes {
    /// What a header says.
    #[must_use]
    pub fn of(key: &IndexKey, hostname: &Domain, header: &Header) -> Self {
        let message_id = header.message_ids("Message-ID").into_iter().next().unwrap_or_default();
        let credible = |field: String| {
            let field = field.strip_suffix(MARK).unwrap_or(&field);
            let count: u32 = field.split_once(';')?.0.trim().parse().ok()?;
            let ours = value(key, hostname, count, &message_id);
            bool::from(ours.as_bytes().ct_eq(field.as_bytes())).then_some(count)
        };
        let said = header.all(PASSES_FIELD).take(FIELDS).map(|field| field.unfolded());
        let count = said.filter_map(credible).max().unwrap_or(0);
        Self { count, message_id, is_marked: is_marked(header) }
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

    /// Whether it came in once in the name of an author of ours who was not proven.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.is_marked
    }

    /// The field, with its line end, that the message carries when it goes on, marked or not.
    #[must_use]
    pub fn next_field(&self, key: &IndexKey, hostname: &Domain, is_marked: bool) -> String {
        let count = self.count.saturating_add(1);
        let mark = if is_marked { MARK } else { "" };
        format!("{PASSES_FIELD}: {}{mark}\r\n", value(key, hostname, count, &self.message_id))
    }
}

/// Whether a header has the mark.
#[must_use]
pub fn is_marked(header: &Header) -> bool {
    header.all(PASSES_FIELD).any(|field| field.unfolded().ends_with(MARK))
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
            field = passes.next_field(&key, &host, false);
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
        // The mark changes nothing of the count, and holds where the count does not.
        let marked =
            Passes::of(&key, &host, &Header::new(&b"Message-ID: <a@b.example>\r\n"[..])).next_field(&key, &host, true);
        for (id, count) in [("a@b.example", 1), ("other@b.example", 0)] {
            let passes = read(&format!("{marked}Message-ID: <{id}>\r\n\r\n"));
            assert_eq!((passes.count(), passes.is_marked()), (count, true), "{id}");
        }
        assert!(!read(&format!("{field}Subject: ; author=unproven\r\n\r\n")).is_marked());
        let other_host = "gw.elsewhere.example".parse().unwrap();
        let header = Header::new(format!("{field}Message-ID: <a@b.example>\r\n\r\n").into_bytes());
        assert_eq!(Passes::of(&key, &other_host, &header).count(), 0);
    }
}
