//! Header protection (RFC 9788): the header moves inside, and what stands outside is what transport needs.

use crate::cms::entity::{SmimeType, entity_header};
use crate::mail::{Field, Header, content_parameter, structured};

/// What the subject is outside (`hcp_baseline`, RFC 9788 §3.2.1).
const HIDDEN: &[u8] = b"Subject: [...]\r\n";
/// Fields that stand outside too. `hcp_baseline` leaves out the subject, comments and keywords; programs put the subject into
/// fields of their own besides (`Thread-Topic`), so what is not known to be needed stays inside.
const OUTSIDE: [&str; 17] = [
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "Precedence",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
];
/// Of a body that says nothing of itself (RFC 2045 §5.2).
const PLAIN: &[u8] = b"Content-Type: text/plain; charset=us-ascii;\r\n hp=\"cipher\"\r\n";

/// What the outside is to say.
#[derive(Debug, Clone, Default)]
pub struct Face {
    /// Fields of trace that go on top, with their line ends.
    pub trace: Vec<u8>,
    /// A whole `Subject` field; else it is hidden.
    pub subject: Option<Vec<u8>>,
    /// A whole `Reply-To` field that takes the place of the author's.
    pub reply_to: Option<Vec<u8>>,
    /// That one stands outside too, for who looks nowhere else.
    pub reply_to_outside: bool,
}

/// A message's header in two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// What is sealed before the body, with the empty line.
    pub inside: Vec<u8>,
    /// What stands in the clear, without what describes the sealed part.
    outside: Vec<u8>,
}

impl Protected {
    /// Divides a header.
    #[must_use]
    pub fn of(header: &Header, face: &Face) -> Self {
        let mut clear: Vec<Vec<u8>> = Vec::new();
        for field in header.fields() {
            let is_replaced = field.is("Reply-To") && face.reply_to.is_some();
            if OUTSIDE.iter().any(|name| field.is(name)) && !is_replaced {
                clear.push(ended(field.raw));
            }
        }
        if face.reply_to_outside {
            clear.extend(face.reply_to.clone());
        }
        if let Some(subject) = &face.subject {
            clear.push(subject.clone());
        } else if header.first("Subject").is_some() {
            clear.push(HIDDEN.to_vec());
        }
        let trace = header.all("Received").map(|field| ended(field.raw));
        let outside = std::iter::once(face.trace.clone()).chain(trace).chain(clear.iter().cloned()).collect::<Vec<_>>();
        Self { inside: inside(header, face, &clear), outside: outside.concat() }
    }

    /// The whole header outside, with the empty line, of a body of this kind.
    #[must_use]
    pub fn outside(&self, kind: SmimeType) -> Vec<u8> {
        [self.outside.clone(), structured("MIME-Version", "1.0"), entity_header(kind), b"\r\n".to_vec()].concat()
    }
}

/// The header as it came, marked as protected, and before it what stands outside of it (RFC 9788 §2.2).
fn inside(header: &Header, face: &Face, clear: &[Vec<u8>]) -> Vec<u8> {
    let mut inside: Vec<u8> = clear.iter().flat_map(|field| [b"HP-Outer: ", field.as_slice()].concat()).collect();
    let is_marked = content_parameter(header, "hp").is_some();
    let mut has_type = false;
    for field in header.fields() {
        if field.is("HP-Outer") || (field.is("Reply-To") && face.reply_to.is_some()) {
            continue;
        }
        if field.is("Content-Type") && !has_type && !is_marked {
            inside.extend(marked(&field));
            has_type = true;
        } else {
            inside.extend(ended(field.raw));
        }
    }
    inside.extend(face.reply_to.iter().flatten());
    if !has_type && !is_marked {
        inside.extend_from_slice(PLAIN);
    }
    inside.extend_from_slice(b"\r\n");
    inside
}

fn marked(field: &Field<'_>) -> Vec<u8> {
    let raw = field.raw.trim_ascii_end();
    let separator: &[u8] = if raw.ends_with(b";") { b"" } else { b";" };
    [raw, separator, b"\r\n hp=\"cipher\"\r\n"].concat()
}

fn ended(raw: &[u8]) -> Vec<u8> {
    if raw.ends_with(b"\n") { raw.to_vec() } else { [raw, b"\r\n"].concat() }
}

#[cfg(test)]
mod tests {
    use crate::mail::unstructured;
    use crate::sealing::protect::*;

    const HEADER: &str = "Received: from a by b; x\r\nFrom: Anna <anna@sundby.example>\r\nTo: b@partner.example,\r\n\tc@partner.example\r\nSubject: HEMLIGT\r\nThread-Topic: HEMLIGT\r\nKeywords: HEMLIGT\r\nMessage-ID: <a@b>\r\nContent-Type: multipart/mixed;\r\n boundary=x;\r\nHP-Outer: Subject: forged\r\nReply-To: anna@home.example\r\n";

    fn protected(face: &Face) -> (String, String) {
        let both = Protected::of(&Header::new(HEADER), face);
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (text(both.inside.clone()), text(both.outside(SmimeType::Enveloped)))
    }

    #[test]
    fn what_is_confidential_stands_inside_alone() {
        let face = Face { trace: b"Received: ours\r\n".to_vec(), ..Face::default() };
        let (inside, outside) = protected(&face);
        assert!(!outside.contains("HEMLIGT") && outside.starts_with("Received: ours\r\nReceived: from a"), "{outside}");
        assert!(outside.contains("Subject: [...]\r\n") && outside.contains("Reply-To: anna@home.example\r\n"));
        assert!(outside.ends_with("\r\n\r\n") && outside.contains("smime-type=enveloped-data"));
        for field in ["HP-Outer: Subject: [...]\r\n", "HP-Outer: To: b@partner.example,\r\n\tc@partner.example\r\n"] {
            assert!(inside.contains(field), "{inside}");
        }
        assert!(!inside.contains("HP-Outer: Received") && !inside.contains("forged"), "{inside}");
        assert!(inside.contains("boundary=x;\r\n hp=\"cipher\"\r\n") && inside.contains("Subject: HEMLIGT\r\n"));
        assert_eq!(content_parameter(&Header::new(inside), "hp").as_deref(), Some("cipher"));
    }

    #[test]
    fn where_answers_go_stands_outside_only_for_who_looks_nowhere_else() {
        let reply_to = Some(b"Reply-To: bygg@sundby.example\r\n".to_vec());
        for reply_to_outside in [false, true] {
            let subject = Some(unstructured("Subject", "neutral"));
            let face = Face { subject, reply_to: reply_to.clone(), reply_to_outside, ..Face::default() };
            let (inside, outside) = protected(&face);
            assert_eq!(outside.contains("bygg@"), reply_to_outside, "{outside}");
            assert!(inside.contains("\r\nReply-To: bygg@") && !format!("{inside}{outside}").contains("home.example"));
            assert!(outside.contains("Subject: neutral\r\n"), "{outside}");
        }
    }

    #[test]
    fn a_message_without_a_type_is_marked_as_text() {
        let both = Protected::of(&Header::new("From: a@b.example"), &Face::default());
        let inside = String::from_utf8(both.inside).unwrap();
        assert_eq!(content_parameter(&Header::new(inside.clone()), "hp").as_deref(), Some("cipher"), "{inside}");
        assert!(inside.starts_with("HP-Outer: From: a@b.example\r\nFrom: a@b.example\r\nContent-Type: text/plain"));
    }
}
