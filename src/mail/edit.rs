//! Editing a header: what is not touched stays octet for octet.

use unicode_normalization::UnicodeNormalization;

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
        self.remove_if(|field| field.is(name))
    }

    /// Removes every field that is as told; false if there was none.
    pub fn remove_if(&mut self, is_it: impl Fn(&Field<'_>) -> bool) -> bool {
        let before = self.fields.len();
        self.fields.retain(|piece| !matches!(piece, Piece::Kept(field) if is_it(field)));
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

/// A text without these pieces, however they are written (see [`find_folded`]), and without the blanks they leave doubled.
#[must_use]
pub fn without(text: &str, pieces: &[String]) -> String {
    let mut left = text.to_owned();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let mut kept = String::with_capacity(left.len());
        let mut end = 0;
        for (start, next) in places(&left, piece) {
            kept.push_str(left.get(end..start).unwrap_or_default());
            kept.push(' ');
            end = next;
        }
        kept.push_str(left.get(end..).unwrap_or_default());
        left = kept;
    }
    if left == text { left } else { left.split_whitespace().collect::<Vec<_>>().join(" ") }
}

/// Where a piece stands in a text as people see it: letter case, blanks, invisible characters, and how letters with marks
/// are put together (Unicode's compatibility forms) do not count.
#[must_use]
pub fn find_folded(text: &str, piece: &str) -> Option<(usize, usize)> {
    places(text, piece).into_iter().next()
}

/// Every place where a piece stands, none overlapping: octets from and to.
fn places(text: &str, piece: &str) -> Vec<(usize, usize)> {
    let wanted: Vec<char> = piece.chars().flat_map(seen).collect();
    let Some(first) = wanted.first() else { return Vec::new() };
    let there: Vec<(char, usize, usize)> = text
        .char_indices()
        .flat_map(|(start, c)| seen(c).map(move |folded| (folded, start, start + c.len_utf8())))
        .collect();
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(next) = there.get(place..).and_then(|rest| rest.iter().position(|(c, _, _)| c == first)) {
        place += next;
        let window = there.get(place..place + wanted.len()).unwrap_or_default();
        if window.iter().map(|(c, _, _)| c).eq(wanted.iter())
            && let (Some((_, start, _)), Some((_, _, end))) = (window.first(), window.last())
        {
            found.push((*start, *end));
            place += wanted.len();
        } else {
            place += 1;
        }
    }
    found
}

/// Whether nothing is seen of a character by itself.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// What is seen of a character: nothing of blanks and of what is invisible.
fn seen(c: char) -> impl Iterator<Item = char> {
    let is_seen = !c.is_whitespace() && !is_invisible(c);
    std::iter::once(c).filter(move |_| is_seen).nfkd().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace())
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
        for text in [
            "[sa\u{308}kert]",
            "[ s\u{e4}kert ]",
            "[s\u{200b}\u{e4}\u{ad}kert]",
            "［säkert］",
            "[sä\u{a0}kert]",
            "x[SA\u{308}KERT]",
        ] {
            assert!(find_folded(text, "[säkert]").is_some(), "{text}");
            assert!(find_folded(&text.replace(['k', 'K'], "x"), "[säkert]").is_none(), "{text}");
        }
        let many = "[a]".repeat(300_000);
        assert_eq!(without(&many, &["[a]".into(), "[b]".into()]), "");
        assert_eq!(without("[a][A] b  [a]", &["[a]".into()]), "b");
        assert_eq!(without("två  blank", &["[a]".into()]), "två  blank");
    }
}
