//! The tag lists of signatures (RFC 6376 §3.2), as far as a signature over its own field needs them.

/// Whether a tag list is one, with each tag at most once (RFC 6376 §3.2: with duplicates it is invalid).
pub(crate) fn has_each_tag_once(value: &[u8]) -> bool {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for tag in value.split(|octet| *octet == b';') {
        let Some(end) = tag.iter().position(|octet| *octet == b'=') else {
            if tag.trim_ascii().is_empty() {
                continue;
            }
            return false;
        };
        names.push(tag.get(..end).unwrap_or_default().trim_ascii().to_ascii_lowercase());
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    names.len() == count
}

/// The value of a signature field as it was when the signature was made: `b=` empty, the field's last line end gone
/// (RFC 6376 §3.7).
pub(crate) fn unsigned(value: &[u8]) -> Vec<u8> {
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    let mut unsigned = Vec::with_capacity(value.len());
    for (number, tag) in value.split(|octet| *octet == b';').enumerate() {
        if number > 0 {
            unsigned.push(b';');
        }
        let end = tag.iter().position(|octet| *octet == b'=');
        let kept = match end {
            Some(end) if tag.get(..end).unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"b") => {
                tag.get(..=end).unwrap_or_default()
            }
            _ => tag,
        };
        unsigned.extend_from_slice(kept);
    }
    unsigned
}

#[cfg(test)]
mod tests {
    use crate::sender_auth::tags::*;

    #[test]
    fn the_signature_itself_is_taken_out() {
        for (value, expected) in [
            (&b" v=1; b=abc=;\r\n\tbh=x=\r\n"[..], &b" v=1; b=;\r\n\tbh=x="[..]),
            (b" bh=b; b =\r\n a\r\n b ; h=b:a", b" bh=b; b =; h=b:a"),
            (b" v=1; b=abc\r\n", b" v=1; b="),
            (b" v=1; d=x;\r\n", b" v=1; d=x;"),
        ] {
            assert_eq!(unsigned(value), expected);
        }
        assert!(has_each_tag_once(b" v=1; b=x; bh=b=; \r\n"));
        for value in [&b"v=1; b=x; b=y"[..], b"v=1; d=a; D =b", b"v=1; nothing; b=x"] {
            assert!(!has_each_tag_once(value));
        }
    }
}
