//! Reads header fields that were protected with the content, and puts them in place of the outer ones (RFC 9788).

use crate::mail::{Address, Header, PartHead, content_parameter};

/// Fields that people and programs go by: of these the protected ones count alone, and one that is not protected counts as
/// not there (RFC 9788 §4.1).
const GONE_BY: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Followup-To",
    "Comments",
    "Keywords",
    "Importance",
    "Priority",
    "X-Priority",
    "Sensitivity",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Disposition-Notification-To",
    "Auto-Submitted",
    "List-Id",
    "List-Unsubscribe",
    "List-Post",
    "List-Help",
    "List-Archive",
    "List-Owner",
    "List-Subscribe",
    "List-Unsubscribe-Post",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Resent-Date",
    "Resent-Sender",
    "Resent-Message-ID",
];
/// Fields that tell of a way, and that no author writes: those within are of another way, or forged.
const OF_THE_WAY: &[&str] = &[
    "Received",
    "Return-Path",
    "Authentication-Results",
    "DKIM-Signature",
    "Delivered-To",
    "X-Original-To",
    "Received-SPF",
    "HP-Outer",
];
/// Signatures of what has been opened since: they are over octets that are not there any more.
const OVER_THE_OUTSIDE: &[&str] =
    &["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"];
/// Fields that say who wrote.
const AUTHORS: &[&str] = &["From", "Sender"];
/// Fields that no reader is to see.
const HIDDEN: &[&str] = &["Bcc", "Resent-Bcc"];
/// Outer values that are recorded, and octets of each.
const RECORDED: usize = 16;
const RECORDED_OCTETS: usize = 900;
/// How the fields begin that record outer values.
pub(crate) const OUTER_FIELD: &str = "X-Sealgate-Outer";

/// Header fields that were protected with the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    fields: Header,
}

/// Which author a reader sees where another is named within than outside (RFC 9788 §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// He who is named within: a signature of his, or of his domain, vouches for him, or both are one.
    Within,
    /// He who is named outside: nobody vouches for the other, and of this one at least the way is known.
    Outside,
}

impl Protected {
    /// What a payload's own header protects: all its fields, if it says so (`hp`, RFC 9788 §2.1.1), or if it names its author,
    /// as it does where a gateway seals whole messages.
    #[must_use]
    pub fn of(payload: &Header) -> Option<Self> {
        let says_so = content_parameter(payload, "hp").is_some_and(|hp| matches!(hp.trim(), "clear" | "cipher"));
        let names_author = payload.first("From").is_some();
        (says_so || names_author).then(|| Self { fields: payload.clone() })
    }

    /// Whether a payload may be a whole message wrapped to protect its header (RFC 8551 §3.1, RFC 9788 §4.10).
    #[must_use]
    pub fn may_be_wrapped(payload: &Header) -> bool {
        let head = PartHead::of(payload, 0, false);
        let is_forwarded = content_parameter(payload, "forwarded").is_some_and(|it| it.eq_ignore_ascii_case("yes"));
        matches!(head.media_type.as_str(), "message/rfc822" | "message/global")
            && !is_forwarded
            && Self::of(payload).is_none()
    }

    /// The header of a message that was wrapped, if it was wrapped for that: it says so, or has the author that is named
    /// outside. Anything else is a message that somebody forwards.
    #[must_use]
    pub fn of_wrapped(payload: &Header, outer: &Header, wrapped: &Header) -> Option<Self> {
        let says_so = content_parameter(payload, "forwarded").is_some_and(|it| it.eq_ignore_ascii_case("no"));
        let is_his = author(wrapped).is_some_and(|within| author(outer).is_some_and(|outside| same(&within, &outside)));
        (says_so || is_his).then(|| Self { fields: wrapped.clone() })
    }

    /// The protected fields.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.fields
    }
}

/// The only address in `From`; none where there are several, or none that is one.
#[must_use]
pub(crate) fn author(header: &Header) -> Option<Address> {
    let written = header.written_addresses("From");
    match (written.as_slice(), header.all("From").count()) {
        ([(_, Some(address))], 1) => address.parse().ok(),
        _ => None,
    }
}

pub(crate) fn same(one: &Address, other: &Address) -> bool {
    one.folded() == other.folded()
}

/// The header that goes with a content that was taken out of its layers: what describes the content from `describing`, what
/// is protected in place of what stands outside, and of the outside what tells of the way. Where the content stays as it
/// was, `describing` is the outer header itself.
#[must_use]
pub(crate) fn restore(
    outer: &Header,
    describing: &Header,
    protected: Option<&Protected>,
    shown: Author,
    is_opened: bool,
) -> Header {
    let is = |field: &crate::mail::Field<'_>, names: &[&str]| names.iter().any(|name| field.is(name));
    let mut whole = Vec::new();
    let mut recorded = Vec::new();
    for field in outer.fields() {
        if describes(&field) || (is_opened && is(&field, OVER_THE_OUTSIDE)) {
            continue;
        }
        let Some(protected) = protected else {
            push(&mut whole, field.raw);
            continue;
        };
        if !is(&field, GONE_BY) && protected.fields.first(&name_of(&field)).is_none() {
            push(&mut whole, field.raw);
            continue;
        }
        // Of the way within nothing is taken over: what is of the way outside stays.
        if is(&field, OF_THE_WAY) || (shown == Author::Outside && is(&field, AUTHORS)) {
            push(&mut whole, field.raw);
            continue;
        }
        let name = name_of(&field);
        let is_changed = protected.fields.first(&name).is_none_or(|within| within.unfolded() != field.unfolded());
        if is_changed && recorded.len() < RECORDED {
            recorded.push((name, field.unfolded()));
        }
    }
    for (name, value) in recorded {
        let value: String = value.chars().filter(|c| !c.is_control()).take(RECORDED_OCTETS).collect();
        whole.extend(crate::mail::unstructured(OUTER_FIELD, &format!("{name}: {value}")));
    }
    if let Some(protected) = protected {
        let is_ours = |field: &crate::mail::Field<'_>| {
            field.name.get(..11).is_some_and(|begin| begin.eq_ignore_ascii_case(b"X-Sealgate-"))
        };
        let fields = protected.fields.fields().filter(|field| field.is_well_formed());
        for field in fields.filter(|field| !describes(field) && !is(field, OF_THE_WAY) && !is_ours(field)) {
            let is_shown = shown == Author::Within || !is(&field, AUTHORS);
            if is_shown && !is(&field, HIDDEN) && !is(&field, OVER_THE_OUTSIDE) {
                push(&mut whole, field.raw);
            }
        }
    }
    let mut has_version = false;
    for field in describing.fields().filter(describes) {
        has_version |= field.is("MIME-Version");
        push(&mut whole, field.raw);
    }
    if !has_version && describing.first("Content-Type").is_some() {
        push(&mut whole, b"MIME-Version: 1.0\r\n");
    }
    Header::new(whole)
}

/// Whether the same author is named within as outside.
#[must_use]
pub(crate) fn agree(outer: &Header, protected: &Header) -> bool {
    match (author(outer), author(protected)) {
        (Some(outside), Some(within)) => same(&outside, &within),
        _ => match (outer.first("From"), protected.first("From")) {
            (Some(outside), Some(within)) => outside.unfolded() == within.unfolded(),
            (_, None) => true,
            (None, Some(_)) => false,
        },
    }
}

/// Whether a field describes the content (RFC 9788 §1.1: structural).
fn describes(field: &crate::mail::Field<'_>) -> bool {
    field.is("MIME-Version") || field.name.get(..8).is_some_and(|begin| begin.eq_ignore_ascii_case(b"Content-"))
}

fn name_of(field: &crate::mail::Field<'_>) -> String {
    String::from_utf8_lossy(field.name.trim_ascii_end()).into_owned()
}

/// A field with its lines ended by CRLF.
fn push(whole: &mut Vec<u8>, field: &[u8]) {
    for line in field.split_inclusive(|octet| *octet == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        whole.extend(text.strip_suffix(b"\r").unwrap_or(text).iter().filter(|octet| **octet != b'\r'));
        whole.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use crate::sealing::open::protected::*;

    fn header(text: &str) -> Header {
        Header::new(text.replace('|', "\r\n").into_bytes())
    }

    fn restored(outer: &str, payload: &str, shown: Author) -> (String, bool) {
        let (outer, payload) = (header(outer), header(payload));
        let found = restore(&outer, &payload, Protected::of(&payload).as_ref(), shown, true);
        (String::from_utf8(found.as_bytes().to_vec()).unwrap().replace("\r\n", "|"), agree(&outer, &payload))
    }

    #[test]
    fn protected_fields_take_the_place_of_outer_ones() {
        // RFC 9788 Appendix C, in short: the subject is hidden outside, and Message-ID protected too.
        let (whole, agree) = restored(
            "Received: x|From: eva@live.example|Subject: [...]|Date: outside|X-Spam: no|MIME-Version: 1.0|Content-Type: application/pkcs7-mime|Content-Transfer-Encoding: base64|DKIM-Signature: v=1|",
            "Content-Type: text/plain; hp=\"cipher\"|HP-Outer: Subject: [...]|From: Eva <eva@live.example>|Subject: Byggesag|To: b@sundby.example|Received: forged|X-Sealgate-Origin: tunnel; signature=valid|Bcc: c@sundby.example|",
            Author::Within,
        );
        assert!(agree, "another name beside one address is one author");
        assert_eq!(
            whole,
            "Received: x|X-Spam: no|X-Sealgate-Outer: From: eva@live.example|X-Sealgate-Outer: Subject: [...]|X-Sealgate-Outer: Date: outside|From: Eva <eva@live.example>|Subject: Byggesag|To: b@sundby.example|Content-Type: text/plain; hp=\"cipher\"|MIME-Version: 1.0|"
        );
    }

    #[test]
    fn another_author_within_is_shown_only_where_somebody_vouches_for_him() {
        let outer = "From: Eva <eva@live.example>|Content-Type: application/pkcs7-mime|";
        let within = "Content-Type: text/plain; hp=clear|From: mayor@sundby.example|Subject: x|";
        let (whole, agree) = restored(outer, within, Author::Within);
        assert!(!agree && whole.contains("|From: mayor@sundby.example|"), "{whole}");
        assert!(whole.contains("X-Sealgate-Outer: From: Eva <eva@live.example>|"), "{whole}");
        let (whole, _) = restored(outer, within, Author::Outside);
        assert!(whole.starts_with("From: Eva <eva@live.example>|Subject: x|") && !whole.contains("mayor"), "{whole}");
        let (_, agree) = restored(
            "From: a@b.example, c@d.example|",
            "Content-Type: text/plain; hp=clear|From: a@b.example|",
            Author::Within,
        );
        assert!(!agree);
    }

    #[test]
    fn without_protection_the_outer_fields_stay() {
        let (whole, _) = restored(
            "From: a@b.example|Subject: Hej|MIME-Version: 1.0|Content-Type: application/pkcs7-mime|",
            "Content-Type: text/html|Subject: not protected|",
            Author::Within,
        );
        assert_eq!(whole, "From: a@b.example|Subject: Hej|Content-Type: text/html|MIME-Version: 1.0|");
        let (whole, _) =
            restored("Subject: Hej|Content-Type: application/pkcs7-mime|MIME-Version: 1.0|", "", Author::Within);
        assert_eq!(whole, "Subject: Hej|");
    }

    #[test]
    fn a_message_is_unwrapped_if_it_was_wrapped_to_protect_its_header() {
        let outer = header("From: a@b.example|");
        let wrapped = |payload: &str, within: &str| {
            let payload = header(payload);
            Protected::may_be_wrapped(&payload) && Protected::of_wrapped(&payload, &outer, &header(within)).is_some()
        };
        assert!(wrapped("Content-Type: message/rfc822|", "From: A <A@B.example>|"));
        assert!(wrapped("Content-Type: message/rfc822; forwarded=no|", "From: c@d.example|"));
        assert!(!wrapped("Content-Type: message/rfc822|", "From: c@d.example|"));
        assert!(!wrapped("Content-Type: message/rfc822; forwarded=yes|", "From: a@b.example|"));
        assert!(!wrapped("Content-Type: text/plain|", "From: a@b.example|"));
    }
}
