//! What the header gets before a message goes on: our trace field, and directives and forged marks off.

use crate::flow::passes::PASSES_FIELD;
use crate::mail::{Domain, Header, HeaderEdit};
use crate::policy::Removals;
use crate::sealing::OUTER_FIELD;
use crate::sender_auth::claims;

/// Header fields that only sealgate writes: copies from outside are forged.
pub const OURS: [&str; 4] = ["X-Sealgate-Origin", "X-Sealgate-Message", OUTER_FIELD, PASSES_FIELD];

/// The new head of a message that goes on, and how many octets of the old one it replaces.
pub struct Stamped {
    /// `Received`, and the edited header with its empty line where anything was edited.
    pub head: Vec<u8>,
    /// Octets of the message that the head replaces.
    pub skip: u64,
}

impl Stamped {
    /// The whole header as it goes on.
    #[must_use]
    pub fn header(&self, old: &Header) -> Header {
        match self.skip {
            0 => Header::new([&self.head, old.as_bytes()].concat()),
            _ => Header::new(self.head.strip_suffix(b"\r\n").unwrap_or(&self.head)),
        }
    }
}

/// Puts the trace field before a header and takes off what must not go on. A header nobody edits stays as it is on the
/// disk: the trace field stands before it.
///
/// Where `results_of` is our own name, results of checks that claim to be ours go off too (RFC 8601 §5); those of others stay.
#[must_use]
pub fn stamp(
    received: &str,
    header: &Header,
    header_length: u64,
    removals: &Removals,
    more: &[&str],
    results_of: Option<&Domain>,
) -> Stamped {
    let mut edit = HeaderEdit::of(header);
    let mut changed = edit.remove_from_subject(&removals.subject_tags);
    if let Some(host) = results_of {
        changed |= edit.remove_if(|field| field.is("Authentication-Results") && claims(field.value, host));
    }
    for name in removals.fields.iter().map(String::as_str).chain(more.iter().copied()) {
        changed |= edit.remove(name);
    }
    if !changed {
        return Stamped { head: received.as_bytes().to_vec(), skip: 0 };
    }
    let head = [received.as_bytes(), &edit.to_bytes(), b"\r\n"].concat();
    Stamped { head, skip: header_length }
}

#[cfg(test)]
mod tests {
    use crate::flow::stamp::*;

    #[test]
    fn results_that_claim_to_be_ours_go_off_and_others_stay() {
        let host: Domain = "gw.sundby.example".parse().unwrap();
        let header = "authentication-results : GW.sundby.example; dmarc=pass\r\nAuthentication-Results: mx.sundby.example; spf=pass\r\nAuthentication-Results: (x)\r\n\t\"gw.sundby.example\" 1 ; dkim=pass\r\nSubject: Hej\r\n";
        let stamped = |text: &str, host| {
            let header = Header::new(text);
            stamp("Received: x\r\n", &header, text.len() as u64 + 2, &Removals::default(), &OURS, host)
        };
        let on = stamped(header, Some(&host));
        assert_eq!(
            String::from_utf8(on.head).unwrap(),
            "Received: x\r\nAuthentication-Results: mx.sundby.example; spf=pass\r\nSubject: Hej\r\n\r\n"
        );
        assert_eq!(on.skip, header.len() as u64 + 2);
        let untouched = stamped("Authentication-Results: mx.sundby.example; spf=pass\r\n", Some(&host));
        assert_eq!((untouched.skip, untouched.head.as_slice()), (0, &b"Received: x\r\n"[..]));
        assert_eq!(stamped(header, None).skip, 0, "what our own mail server sends is its own");
    }
}
