//! What the next hop offers in its answer to EHLO or LHLO (RFC 5321 §4.1.1.1), and xtext for its parameters.

use std::fmt::Write;

use crate::smtp::answer::Answer;

/// The extensions a client makes use of. What a HELO leaves is the default: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// PIPELINING, RFC 2920.
    pub pipelining: bool,
    /// SIZE, RFC 1870: `Some(0)` where the peer names no limit.
    pub size: Option<u64>,
    /// 8BITMIME, RFC 6152.
    pub eight_bit: bool,
    /// SMTPUTF8, RFC 6531.
    pub smtputf8: bool,
    /// STARTTLS, RFC 3207.
    pub starttls: bool,
    /// DSN, RFC 3461.
    pub dsn: bool,
    /// REQUIRETLS, RFC 8689.
    pub require_tls: bool,
    /// AUTH PLAIN, RFC 4616.
    pub auth_plain: bool,
    /// AUTH LOGIN, which no RFC has and many servers offer.
    pub auth_login: bool,
}

impl Offers {
    /// Reads the lines behind the greeting; words we have no use for are passed over.
    #[must_use]
    pub fn of(hello: &Answer) -> Self {
        let mut offers = Self::default();
        for line in hello.lines().iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => offers.pipelining = true,
                "SIZE" => offers.size = Some(words.next().and_then(|limit| limit.parse().ok()).unwrap_or(0)),
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.smtputf8 = true,
                "STARTTLS" => offers.starttls = true,
                "DSN" => offers.dsn = true,
                "REQUIRETLS" => offers.require_tls = true,
                "AUTH" => {
                    for mechanism in words {
                        offers.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        offers.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        offers
    }
}

/// RFC 3461 §4: `xtext = *( xchar / hexchar )`. What is not ASCII goes as the hex of its UTF-8.
#[must_use]
pub fn encode_xtext(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'+' | b'=' => _ = write!(encoded, "+{octet:02X}"),
            b'!'..=b'~' => encoded.push(char::from(octet)),
            _ => _ = write!(encoded, "+{octet:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::smtp::offers::*;

    #[test]
    fn offers_are_read_in_any_case_and_the_greeting_is_none() {
        let text = "250-PIPELINING\r\n250-size 1000\r\n250-8bitmime\r\n250-AUTH CRAM-MD5 plain\r\n250 DSN\r\n";
        let hello = Answer::take(&mut BytesMut::from(text)).unwrap().unwrap();
        let offers = Offers::of(&hello);
        let wanted = Offers { size: Some(1000), eight_bit: true, dsn: true, auth_plain: true, ..Offers::default() };
        assert_eq!(offers, wanted);
    }

    #[test]
    fn xtext_hides_what_would_end_a_parameter() {
        assert_eq!(encode_xtext("rfc822;a+b=c d@x"), "rfc822;a+2Bb+3Dc+20d@x");
        assert_eq!(encode_xtext("å\r\n"), "+C3+A5+0D+0A");
    }
}
