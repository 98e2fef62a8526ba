//! Writing header fields: folded, encoded where they are not ASCII (RFC 5322 §2.2.3, RFC 2047, RFC 2231).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::mail::address::Address;

/// Columns of a line where a fold serves.
const COLUMNS: usize = 76;
/// Octets of text in one encoded word: as base 64 with its frame they stay below 75 characters (RFC 2047 §2).
const WORD_OCTETS: usize = 42;

/// A whole field of running text, with its CRLF.
#[must_use]
pub fn unstructured(name: &str, text: &str) -> Vec<u8> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<String> = if text.is_ascii() && text.split(' ').all(|word| word.len() < 900) && !text.contains("=?")
    {
        text.split(' ').map(str::to_owned).collect()
    } else {
        encoded_words(&text)
    };
    folded(name, &words)
}

/// A field with an address and the name beside it, with its CRLF.
#[must_use]
pub fn mailbox(name: &str, display: &str, address: &Address) -> Vec<u8> {
    let mut words = phrase(display);
    words.push(format!("<{address}>"));
    folded(name, &words)
}

/// A field whose value is already made of what may stand there, with its CRLF: folded at blanks.
#[must_use]
pub fn structured(name: &str, value: &str) -> Vec<u8> {
    let clean: String = value.chars().filter(|c| !c.is_control()).collect();
    folded(name, &clean.split(' ').map(str::to_owned).collect::<Vec<_>>())
}

/// A parameter as `name=value` or `name="value"`, or, where it is not ASCII, `name*=utf-8''…` (RFC 2231 §4).
#[must_use]
pub fn parameter(name: &str, value: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !value.is_empty() && value.chars().all(is_token) {
        return format!("{name}={value}");
    }
    if value.chars().all(|c| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\')) {
        return format!("{name}=\"{value}\"");
    }
    let octet = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }
    };
    format!("{name}*=utf-8''{}", value.bytes().map(octet).collect::<String>())
}

/// A name before an address: atoms, a quoted string, or encoded words (RFC 5322 §3.2.5).
fn phrase(display: &str) -> Vec<String> {
    let display: String = display.chars().filter(|c| !c.is_control()).collect();
    if display.is_empty() {
        return Vec::new();
    }
    if !display.is_ascii() {
        return encoded_words(&display);
    }
    let escaped: String =
        display.chars().flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] }).collect();
    vec![format!("\"{escaped}\"")]
}

/// A text as encoded words: each holds whole characters, and the blank between two of them is not part of the text.
fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, later) = rest.split_at(rest.floor_char_boundary(WORD_OCTETS.min(rest.len())));
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = later;
    }
    words
}

fn folded(name: &str, words: &[String]) -> Vec<u8> {
    let mut field = format!("{name}:");
    let mut column = field.len();
    for word in words {
        if column + 1 + word.len() > COLUMNS && column > name.len() + 1 && !word.is_empty() {
            field.push_str("\r\n");
            column = 0;
        }
        field.push(' ');
        field.push_str(word);
        column += 1 + word.len();
    }
    field.push_str("\r\n");
    field.into_bytes()
}

#[cfg(test)]
mod tests {
    use crate::mail::field::Header;
    use crate::mail::write::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let long = "Bygglov för en mycket lång subjektrad som behöver flera kodade ord åäö ".repeat(4);
        for text in ["", "Hej", "Bygglov för Eva Rätt", long.trim(), "a =?x b", "ascii word ".repeat(30).trim_end()] {
            let field = unstructured("Subject", text);
            assert_eq!(Header::new(field.clone()).text("Subject").unwrap(), text);
            assert!(String::from_utf8(field).unwrap().split("\r\n").all(|line| line.len() <= 78 && line.is_ascii()));
        }
    }

    #[test]
    fn no_text_can_end_its_field() {
        let field = unstructured("Subject", "a\r\nBcc: x@y\0");
        assert_eq!(Header::new(field).fields().count(), 1);
        let address = "a@b.example".parse().unwrap();
        let field = mailbox("From", "Eva \"R\" \\\r\nX: y", &address);
        assert_eq!(Header::new(field.clone()).fields().count(), 1);
        assert_eq!(Header::new(field).addresses("From")[0].1, address);
    }

    #[test]
    fn a_parameter_takes_the_form_it_needs() {
        assert_eq!(parameter("provider", "bankid"), "provider=bankid");
        assert_eq!(parameter("level", "http://x/loa3"), "level=\"http://x/loa3\"");
        assert_eq!(parameter("name", "Eva Rätt"), "name*=utf-8''Eva%20R%C3%A4tt");
    }
}
