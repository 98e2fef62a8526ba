//! What the header gets before a message goes on: our trace field, and directives and forged marks off.

use crate::flow::passes::PASSES_FIELD;
use crate::mail::{Header, HeaderEdit};
use crate::policy::Removals;

/// Header fields that only sealgate writes: copies from outside are forged.
pub const OURS: [&str; 3] = ["X-Sealgate-Origin", "X-Sealgate-Message", PASSES_FIELD];

/// The new head of a message that goes on, and how many octets of the old one it replaces.
pub struct Stamped {
    /// `Received`, and the edited header with its empty line where anything was edited.
    pub head: Vec<u8>,
    /// Octets of the message that the head replaces.
    pub skip: u64,
}

/// Puts the trace field before a header and takes off what must not go on. A header nobody edits stays as it is on the
/// disk: the trace field stands before it.
#[must_use]
pub fn stamp(received: &str, header: &Header, header_length: u64, removals: &Removals, more: &[&str]) -> Stamped {
    let mut edit = HeaderEdit::of(header);
    let mut changed = edit.remove_from_subject(&removals.subject_tags);
    for name in removals.fields.iter().map(String::as_str).chain(more.iter().copied()) {
        changed |= edit.remove(name);
    }
    if !changed {
        return Stamped { head: received.as_bytes().to_vec(), skip: 0 };
    }
    let head = [received.as_bytes(), &edit.to_bytes(), b"\r\n"].concat();
    Stamped { head, skip: header_length }
}
