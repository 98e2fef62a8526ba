//! What is told of the checks: `Authentication-Results` (RFC 8601). What peers say of themselves is quoted, so that none of it
//! can be taken for our own word.

use unicode_normalization::UnicodeNormalization;

use crate::mail::{Domain, Field};

/// Octets of a value that are told.
const VALUE_OCTETS: usize = 255;

/// One property with its value: a token as it stands, anything else as a quoted string (RFC 8601 §2.2, RFC 2045 §5.1).
pub(crate) fn property(name: &str, value: &str) -> String {
    let value: String =
        value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(VALUE_OCTETS).collect();
    if is_token(&value) || is_plain_mailbox(&value) {
        return format!("{name}={value}");
    }
    let escape = |c: char| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] };
    format!("{name}=\"{}\"", value.chars().flat_map(escape).collect::<String>())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

/// A local part that needs no quotes, and a domain.
fn is_plain_mailbox(text: &str) -> bool {
    let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-./=?^_`{|}~".contains(&b);
    text.split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && local.bytes().all(is_atom) && is_token(domain))
}

/// The value of the field: who tells, and each result on a line of its own; no results are told as `none`.
#[must_use]
pub fn told(host: &Domain, results: &[String]) -> String {
    if results.is_empty() {
        return format!("{host}; none");
    }
    format!("{host};\r\n\t{}", results.join(";\r\n\t"))
}

/// The whole field with its CRLF.
#[must_use]
pub fn authentication_results(host: &Domain, results: &[String]) -> String {
    format!("Authentication-Results: {}\r\n", told(host, results))
}

/// The same value with these results before those that it tells.
#[must_use]
pub fn with_results(value: &[u8], host: &Domain, results: &[String]) -> String {
    let text = String::from_utf8_lossy(value);
    let before = text.split_once(';').map(|(_, rest)| rest.trim()).filter(|rest| !rest.is_empty() && *rest != "none");
    let all: Vec<String> = results.iter().cloned().chain(before.map(str::to_owned)).collect();
    told(host, &all)
}

/// Whether the value of such a field claims to be told by us, in whatever way that is written: comments, folding, quotes,
/// letter case, versions, encoded words. What cannot be read might be read so by others, and counts as claimed.
#[must_use]
pub fn claims(value: &[u8], host: &Domain) -> bool {
    let decoded = Field { name: b"", value, raw: b"" }.text();
    [String::from_utf8_lossy(value).as_ref(), &decoded].iter().any(|text| names(text, host))
}

fn names(text: &str, host: &Domain) -> bool {
    let text = without_comments(text);
    let first = text.split(';').next().unwrap_or_default();
    // As resolvers and people see it (UTS 46).
    let first: String = first.nfkc().flat_map(char::to_lowercase).filter(|c| !matches!(c, '"' | '\\')).collect();
    let first = first.replace('\u{3002}', ".");
    let begun = first.trim_start_matches(|c: char| !c.is_alphanumeric());
    let word = begun.split_whitespace().next().unwrap_or_default();
    let joined: String = begun.split_whitespace().collect();
    let is_host = |id: &str| {
        id.strip_prefix(host.as_str()).is_some_and(|rest| {
            let mut rest = rest.chars();
            let next = match rest.next() {
                Some('.') => rest.next(),
                next => next,
            };
            next.is_none_or(|c| !(c.is_alphabetic() || matches!(c, '-' | '_')))
        })
    };
    word.is_empty() || is_host(word) || is_host(&joined) || word.parse().is_ok_and(|id: Domain| id == *host)
}

/// Whether these results say so of a method.
pub(crate) fn says(value: &[u8], method: &str, result: &str) -> bool {
    let text = without_comments(&String::from_utf8_lossy(value));
    text.split(';').any(|told| {
        let told = told.trim();
        let word = told.split_whitespace().next().unwrap_or_default();
        word.split_once('=').is_some_and(|(name, said)| {
            let name = name.split('/').next().unwrap_or_default();
            name.eq_ignore_ascii_case(method) && said.eq_ignore_ascii_case(result)
        })
    })
}

/// The text on one line without its comments, which nest (RFC 5322 §3.2.2).
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in text.chars().filter(|c| !matches!(c, '\r' | '\n')) {
        let is_escaped = std::mem::take(&mut escaped);
        match c {
            '\\' if !is_escaped => escaped = true,
            '"' if !is_escaped && depth == 0 => quoted = !quoted,
            '(' if !is_escaped && !quoted => depth += 1,
            ')' if !is_escaped && !quoted && depth > 0 => {
                depth -= 1;
                kept.push(' ');
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::mail::Header;
    use crate::sender_auth::results::*;

    #[test]
    fn a_peer_cannot_write_a_result() {
        for (value, expected) in [
            ("mx.live.example", "x=mx.live.example"),
            ("eva@live.example", "x=eva@live.example"),
            ("[192.0.2.1]", "x=\"[192.0.2.1]\""),
            ("a; dkim=pass header.d=victim.example", "x=\"a; dkim=pass header.d=victim.example\""),
            ("a\"; spf=pass", "x=\"a\\\"; spf=pass\""),
            ("a\\", "x=\"a\\\\\""),
            ("a\r\nBcc: x", "x=\"a??Bcc: x\""),
            ("(comment", "x=\"(comment\""),
            ("\"a b\"@live.example", "x=\"\\\"a b\\\"@live.example\""),
            ("v\u{e4}xj\u{f6}", "x=\"v?xj?\""),
            ("", "x=\"\""),
        ] {
            assert_eq!(property("x", value), expected);
        }
        assert!(property("x", &"a ".repeat(9_000)).len() < 300);
        let host: Domain = "gw.sundby.example".parse().unwrap();
        let field = authentication_results(&host, &["spf=pass".into(), property("dkim=fail header.d", "a\r\n\r\nb")]);
        assert_eq!(Header::new(field).fields().count(), 1);
    }

    #[test]
    fn results_stand_before_those_that_were_told() {
        let host: Domain = "gw.sundby.example".parse().unwrap();
        let smime = ["smime=pass".to_owned()];
        assert_eq!(with_results(b" gw.sundby.example; none\r\n", &host, &smime), "gw.sundby.example;\r\n\tsmime=pass");
        let told = with_results(b" gw.sundby.example;\r\n\tspf=pass;\r\n\tdkim=none\r\n", &host, &smime);
        assert_eq!(told, "gw.sundby.example;\r\n\tsmime=pass;\r\n\tspf=pass;\r\n\tdkim=none");
    }

    #[test]
    fn a_claim_to_be_us_is_known_however_it_is_written() {
        let host: Domain = "gw.sundby.example".parse().unwrap();
        for value in [
            " gw.sundby.example; spf=pass",
            "GW.Sundby.EXAMPLE;spf=pass",
            "\r\n\tgw.sundby.example\r\n ; none",
            " (a (nested \\) one) ) gw.sundby.example (b) 1 (c); spf=pass",
            " \"gw.sundby.example\" 1; spf=pass",
            " \"gw.sun\\dby.example\"; spf=pass",
            " gw.sundby.example 1; spf=pass",
            " gw.sundby.example.; spf=pass",
            " ; spf=pass",
            " (never closed gw.sundby.example; spf=pass",
            " ) gw.sundby.example; spf=pass",
            " gw.sundby.example, mx.live.example; spf=pass",
            " gw.sundby.example/1; spf=pass",
            " gw.sundby.example\0; spf=pass",
            " =?utf-8?Q?gw=2Esundby=2Eexample?=; spf=pass",
            " gw.sundby\u{3002}example; spf=pass",
            " \u{feff}gw.sundby.example; spf=pass",
            " gw . sundby . example; spf=pass",
            "",
        ] {
            assert!(claims(value.as_bytes(), &host), "{value:?}");
        }
        for value in [
            " mx.sundby.example; spf=pass",
            " x.gw.sundby.example;",
            " gw.sundby.example.live.example; spf=pass",
            " gw.sundby.example-a.example; spf=pass",
            " example.com 1 (gw.sundby.example); a=b",
        ] {
            assert!(!claims(value.as_bytes(), &host), "{value:?}");
        }
        let field = Field { name: b"A", value: b" i=1; lists.example; dmarc=fail (p=reject);\r\n spf=pass", raw: b"" };
        assert!(says(field.value, "dmarc", "fail") && says(field.value, "spf", "pass"));
        assert!(!says(b" i=1; x; dmarc=pass (dmarc=fail); a=b c=dmarc=fail", "dmarc", "fail"));
    }
}
