//! XCLIENT, by which a peer that is trusted tells for whom it speaks (Postfix, XCLIENT_README).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::smtp::path::decode_xtext;

/// Octets of a value, decoded.
const VALUE_OCTETS: usize = 255;

/// The attributes we read, as EHLO offers them.
pub const XCLIENT_ATTRIBUTES: [&str; 8] = ["NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"];

/// What a command tells of a client. Of the attributes that are not here, the form alone is looked at: nothing depends
/// on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xclient {
    /// `ADDR`.
    pub address: Attribute<IpAddr>,
    /// `HELO`.
    pub helo: Attribute<String>,
}

/// What is told of one attribute.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Attribute<T> {
    /// Nothing: what was told before stands.
    #[default]
    Untold,
    /// That it is not known: what was told before does not stand.
    Unavailable,
    /// This.
    Told(T),
}

impl<T> Attribute<T> {
    /// What is known now, when this was known before.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Untold => before,
            Self::Unavailable => None,
            Self::Told(value) => Some(value),
        }
    }
}

/// Reads `attribute=value …`; nothing where it is in a wrong form, names an attribute twice or one that is not known.
pub(crate) fn parse_xclient(rest: &str) -> Option<Xclient> {
    let mut xclient = Xclient::default();
    let mut seen = [false; XCLIENT_ATTRIBUTES.len()];
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=')?;
        let (known, seen) =
            XCLIENT_ATTRIBUTES.iter().zip(&mut seen).find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        if std::mem::replace(seen, true) {
            return None;
        }
        let value = decode_xtext(value, VALUE_OCTETS)?;
        let is_known = !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
        match *known {
            "ADDR" if is_known => xclient.address = Attribute::Told(address(&value)?),
            "ADDR" => xclient.address = Attribute::Unavailable,
            "HELO" if is_known => xclient.helo = Attribute::Told(helo(value)?),
            "HELO" => xclient.helo = Attribute::Unavailable,
            _ if !is_known => {}
            "DESTADDR" => drop(address(&value)?),
            "PORT" | "DESTPORT" => drop(value.parse::<u16>().ok()?),
            "PROTO" => {
                ["SMTP", "ESMTP"].iter().find(|word| value.eq_ignore_ascii_case(word))?;
            }
            // NAME and LOGIN are words of any kind.
            _ => {}
        }
    }
    seen.contains(&true).then_some(xclient)
}

/// `192.0.2.1`, or `IPV6:2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    match text.split_at_checked(5) {
        Some((tag, six)) if tag.eq_ignore_ascii_case("IPV6:") => {
            six.parse::<Ipv6Addr>().ok().map(|six| IpAddr::V6(six).to_canonical())
        }
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// As in EHLO.
fn helo(text: String) -> Option<String> {
    is_hello_name(&text).then_some(text)
}

/// Whether a client may call itself so in EHLO or HELO.
pub(crate) fn is_hello_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && !b"()<>\\\"".contains(&b))
}

#[cfg(test)]
mod tests {
    use crate::smtp::xclient::*;

    #[test]
    fn a_client_is_told_of_in_xtext() {
        let told = |ip: &str, helo: &str| {
            let address = if ip.is_empty() { Attribute::Untold } else { Attribute::Told(ip.parse().unwrap()) };
            let helo = if helo.is_empty() { Attribute::Untold } else { Attribute::Told(helo.to_owned()) };
            Some(Xclient { address, helo })
        };
        let unavailable = Some(Xclient { address: Attribute::Unavailable, helo: Attribute::Unavailable });
        for (rest, wanted) in [
            ("ADDR=192.0.2.7", told("192.0.2.7", "")),
            ("addr=192.0.2.7 helo=mx.live.example", told("192.0.2.7", "mx.live.example")),
            ("ADDR=IPV6:2001:db8::7 HELO=[192.0.2.7]", told("2001:db8::7", "[192.0.2.7]")),
            ("ADDR=ipv6:::ffff:192.0.2.7", told("192.0.2.7", "")),
            ("HELO=mx+2Elive.example", told("", "mx.live.example")),
            ("NAME=mx.live.example PORT=4711 PROTO=esmtp LOGIN=a+40b DESTADDR=192.0.2.1 DESTPORT=25", told("", "")),
            ("ADDR=[UNAVAILABLE] HELO=[tempunavail] NAME=[TEMPUNAVAIL] PORT=[UNAVAILABLE]", unavailable),
            ("", None),
            ("ADDR", None),
            ("ADDR=", None),
            ("ADDR=mx.live.example", None),
            ("ADDR=2001:db8::7", None),
            ("ADDR=IPV6:192.0.2.7", None),
            ("ADDR=192.0.2.7 ADDR=192.0.2.8", None),
            ("ADDR=192.0.2.7 SOURCE=1", None),
            ("HELO=<script>", None),
            ("HELO=a+0D+0AMAIL", None),
            ("PORT=65536", None),
            ("PROTO=LMTP", None),
        ] {
            assert_eq!(parse_xclient(rest), wanted, "{rest}");
        }
    }
}
