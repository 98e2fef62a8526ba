//! The trace field a message gets at each door (RFC 5321 §4.4, RFC 3848).

use std::net::IpAddr;

use crate::mail::date::rfc5322;

/// What a `Received` field tells.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'h> {
    /// What the peer said in EHLO.
    pub helo: &'h str,
    /// Where it came from.
    pub ip: IpAddr,
    /// Who we are.
    pub by: &'h str,
    /// `ESMTP`, `ESMTPS`, …
    pub protocol: &'h str,
    /// TLS version and cipher suite.
    pub tls: Option<&'h str>,
    /// The message's id.
    pub id: &'h str,
    /// The recipient, where there is exactly one: more would tell the others about blind copies.
    pub only_recipient: Option<&'h str>,
    /// Milliseconds since 1970.
    pub unix_ms: i64,
}

/// The whole field with its CRLF.
#[must_use]
pub fn received(hop: &Hop<'_>) -> String {
    let helo: String =
        hop.helo.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | ';' | '\\' | '<' | '>')).collect();
    let literal = match hop.ip {
        IpAddr::V4(ip) => format!("[{ip}]"),
        IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
    };
    let tls = hop.tls.map(|tls| format!("\r\n\t(using {tls})")).unwrap_or_default();
    let recipient = hop.only_recipient.map(|to| format!("\r\n\tfor <{to}>")).unwrap_or_default();
    format!(
        "Received: from {helo} ({literal}){tls}\r\n\tby {} (sealgate) with {} id {}{recipient};\r\n\t{}\r\n",
        hop.by,
        hop.protocol,
        hop.id,
        rfc5322(hop.unix_ms)
    )
}

#[cfg(test)]
mod tests {
    use crate::mail::trace::*;

    #[test]
    fn a_peer_cannot_write_into_the_trace_field() {
        let hop = Hop {
            helo: "mx\r\nBcc: x (;",
            ip: "192.0.2.1".parse().unwrap(),
            by: "gw.sundby.example",
            protocol: "ESMTPS",
            tls: Some("TLSv1.3 with cipher X"),
            id: "01JD",
            only_recipient: Some("eva@live.example"),
            unix_ms: 0,
        };
        let field = received(&hop);
        assert!(field.starts_with("Received: from mxBcc:x ([192.0.2.1])\r\n\t(using TLSv1.3 with cipher X)\r\n\tby gw.sundby.example (sealgate) with ESMTPS id 01JD\r\n\tfor <eva@live.example>;\r\n\tThu, 01 Jan 1970"), "{field}");
        assert_eq!(crate::mail::field::Header::new(field).fields().count(), 1);
    }
}
