//! A field made of tags (RFC 6376 §3.2), folded, with its signature as the last of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sender_auth::canonical::relaxed;
use crate::sender_auth::signing_key::{SignFault, SigningKey};

/// Columns of a line where a fold serves.
const COLUMNS: usize = 76;

/// The whole field, with its line end: these tags, and `b=` with a signature over `before` (fields in the relaxed form)
/// and the field itself.
///
/// # Errors
/// [`SignFault`].
pub fn signed(name: &str, tags: &[(&str, String)], before: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignFault> {
    let mut value = String::new();
    let mut column = name.len() + 1;
    for (tag, text) in tags {
        let text = format!("{tag}={text};");
        let fits = column + text.len() < COLUMNS;
        value.push_str(if fits { " " } else { "\r\n\t" });
        column = if fits { column + 1 } else { 1 };
        // Only a list of names is longer than a line, and may be folded behind its colons.
        for piece in text.split_inclusive(':') {
            if column > 1 && column + piece.len() > COLUMNS {
                value.push_str("\r\n\t");
                column = 1;
            }
            value.push_str(piece);
            column += piece.len();
        }
    }
    value.push_str("\r\n\tb=");
    let mut input = before.to_vec();
    relaxed(name.as_bytes(), value.as_bytes(), &mut input);
    // The field that is signed has no line end (RFC 6376 §3.7).
    input.truncate(input.len().saturating_sub(2));
    let signature = STANDARD.encode(key.sign(&input)?);
    let mut field = format!("{name}:{value}");
    for (place, line) in signature.as_bytes().chunks(COLUMNS - 4).enumerate() {
        if place > 0 {
            field.push_str("\r\n\t");
        }
        field.push_str(std::str::from_utf8(line).unwrap_or_default());
    }
    field.push_str("\r\n");
    Ok(field.into_bytes())
}
