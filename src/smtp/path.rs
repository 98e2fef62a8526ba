//! Paths in angle brackets and xtext, read to the letter (RFC 5321 §4.1.2, RFC 3461 §4).

/// Splits `FROM:<path> parameters` behind the keyword and behind the bracket. The path comes without brackets and
/// without a source route, which is to be ignored (RFC 5321 §4.1.1.3); the parameters are empty or begin with a space.
///
/// Spaces between colon and bracket are against the grammar and so common that they are let pass.
pub(crate) fn split_path<'a>(text: &'a str, keyword: &str) -> Option<(&'a str, &'a str)> {
    let (start, behind) = text.split_at_checked(keyword.len())?;
    if !start.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let inside = behind.trim_start_matches(' ').strip_prefix('<')?;
    let (path, parameters) = inside.split_at_checked(closing_bracket(inside)?)?;
    let parameters = parameters.strip_prefix('>')?;
    if !(parameters.is_empty() || parameters.starts_with(' ')) {
        return None;
    }
    Some((without_source_route(path), parameters))
}

/// Where the bracket closes: the first `>` outside quotes.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().position(|octet| {
        let is_end = octet == b'>' && !quoted;
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        is_end
    })
}

fn without_source_route(path: &str) -> &str {
    match path.split_once(':') {
        Some((route, mailbox)) if route.starts_with('@') && !route.contains('"') => mailbox,
        Some(_) | None => path,
    }
}

/// Decodes xtext of at most `limit` octets; `None` where it is none, or hides control characters or what is no UTF-8.
/// Letters beyond ASCII may stand unencoded, as RFC 6533 §3 allows for addresses.
pub(crate) fn decode_xtext(text: &str, limit: usize) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => hex(octets.next()?)? * 16 + hex(octets.next()?)?,
            b'=' | b' ' => return None,
            plain => plain,
        });
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let fits = (1..=limit).contains(&decoded.len()) && !decoded.chars().any(char::is_control);
    fits.then_some(decoded)
}

/// Upper case alone, RFC 3461 §4.
fn hex(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::smtp::path::*;

    #[test]
    fn a_bracket_in_quotes_closes_nothing() {
        assert_eq!(split_path("FROM:<\"a>\\\">b\"@c> X", "FROM:"), Some(("\"a>\\\">b\"@c", " X")));
        assert_eq!(split_path("from: <a@b>", "FROM:"), Some(("a@b", "")));
        assert_eq!(split_path("FROM:<a@b>X", "FROM:"), None);
        assert_eq!(split_path("FRåM:<a@b>", "FROM:"), None);
    }

    #[test]
    fn xtext_is_decoded_or_refused() {
        assert_eq!(decode_xtext("a+2Bb+C3+A5", 10).as_deref(), Some("a+bå"));
        for text in ["", "+", "+2", "+2b", "+0D", "a=b", "+FF", "12345678901"] {
            assert_eq!(decode_xtext(text, 10), None, "{text}");
        }
        assert_eq!(crate::smtp::offers::encode_xtext("a+bå"), "a+2Bb+C3+A5");
    }
}
