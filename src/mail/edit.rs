//! Editing a header: what is not touched stays octet for octet.

use crate::mail::field::{Field, Header};
use crate::mail::write::unstructured;

/// A header being edited.
pub struct HeaderEdit<'h> {
    fields: Vec<Piece<'h>>,
}

enum Piece<'h> {
    Kept(Field<'h>),
    Written(Vec<u8>),
}

impl<'h> HeaderEdit<'h> {
    /// An edit of this header, nothing touched yet.
    #[must_use]
    pub fn of(header: &'h Header) -> Self {
        Self { fields: header.fields().map(Piece::Kept).collect() }
    }

    /// Removes every field of this name; false if there was none.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.fields.len();
        self.fields.retain(|piece| !matches!(piece, Piece::Kept(field) if field.is(name)));
        self.fields.len() < before
    }

    /// Removes these texts, in any letter case, from every `Subject`; false if none stood there.
    pub fn remove_from_subject(&mut self, texts: &[String]) -> bool {
        let mut changed = false;
        for piece in &mut self.fields {
            let Piece::Kept(field) = piece else { continue };
            if !field.is("Subject") {
                continue;
            }
            let subject = field.text();
            let left = without(&subject, texts);
            if left != subject {
                *piece = Piece::Written(unstructured("Subject", &left));
                changed = true;
            }
        }
        changed
    }

    /// Puts a whole field before all others.
    pub fn prepend(&mut self, field: Vec<u8>) {
        self.fields.insert(0, Piece::Written(field));
    }

    /// The header as it is now, without the empty line behind it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for piece in &self.fields {
            match piece {
                Piece::Kept(field) => octets.extend_from_slice(field.raw),
                Piece::Written(field) => octets.extend_from_slice(field),
            }
        }
        octets
    }
}

/// A text without these pieces, whatever their letter case, and without the blanks they leave doubled.
#[must_use]
pub fn without(text: &str, pieces: &[String]) -> String {
    let mut left = text.to_owned();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        while let Some((start, end)) = find_folded(&left, piece) {
            left.replace_range(start..end, " ");
        }
    }
    if left == text { left } else { left.split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// Where a piece stands in a text, letter case aside.
#[must_use]
pub fn find_folded(text: &str, piece: &str) -> Option<(usize, usize)> {
    let wanted: Vec<char> = piece.chars().flat_map(char::to_lowercase).collect();
    for (start, _) in text.char_indices() {
        let mut matched = 0;
        for (offset, c) in text.get(start..)?.char_indices() {
            for lower in c.to_lowercase() {
                if wanted.get(matched) != Some(&lower) {
                    matched = usize::MAX;
                    break;
                }
                matched += 1;
            }
            if matched == usize::MAX {
                break;
            }
            if matched == wanted.len() {
                return Some((start, start + offset + c.len_utf8()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::mail::edit::*;

    #[test]
    fn a_tag_is_taken_off_and_nothing_else_is_touched() {
        let raw = &b"Received: x\r\n\ty\r\nSUBJECT: =?utf-8?Q?Sv:_[S=C3=84KERT]_Bygglov_f=C3=B6r_Eva?=\r\nX-Sealgate-Protect: secure\r\nFrom:  a@b\r\n"[..];
        let header = Header::new(raw);
        let mut edit = HeaderEdit::of(&header);
        assert!(!edit.remove("X-None"));
        assert_eq!(edit.to_bytes(), raw);
        assert!(edit.remove("x-sealgate-protect"));
        assert!(edit.remove_from_subject(&["[säkert]".into()]));
        let header = Header::new(edit.to_bytes());
        assert_eq!(header.text("Subject").unwrap(), "Sv: Bygglov för Eva");
        assert_eq!(header.first("From").unwrap().raw, b"From:  a@b\r\n");
        assert_eq!(header.first("Received").unwrap().raw, b"Received: x\r\n\ty\r\n");
    }

    #[test]
    fn a_piece_is_found_in_any_letter_case() {
        assert_eq!(find_folded("Re: [SÄKERT] x", "[säkert]"), Some((4, 13)));
        assert_eq!(find_folded("abc", "d"), None);
        assert_eq!(without("[a][A] b  [a]", &["[a]".into()]), "b");
        assert_eq!(without("två  blank", &["[a]".into()]), "två  blank");
    }
}
