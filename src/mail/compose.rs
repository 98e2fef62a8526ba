//! The mail we write ourselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::raw::Raw;

use crate::mail::address::Address;
use crate::mail::date::rfc5322;
use crate::mail::write::{mailbox, parameter, structured, unstructured};

/// Octets in one line of base 64: 57 make 76 characters (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;

/// A letter to one person: plain text, and HTML that says the same.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who writes, by name and address.
    pub from: (String, Address),
    /// To whom.
    pub to: Address,
    /// Where an answer goes, if not to `from`.
    pub reply_to: Option<Address>,
    /// One line.
    pub subject: String,
    /// Lines ended by LF.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// `Content-Language`.
    pub language: String,
    /// With its angle brackets.
    pub message_id: String,
    /// Milliseconds since 1970.
    pub date_unix_ms: i64,
    /// With its angle brackets.
    pub in_reply_to: Option<String>,
    /// `Auto-Submitted: auto-replied` rather than `auto-generated` (RFC 3834 §5).
    pub auto_replied: bool,
}

impl Letter {
    /// The whole message, lines ended by CRLF.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut octets = self.header();
        let body = self.body();
        // The builder writes its own header: only what describes the content is wanted of it.
        octets.extend_from_slice(&content_of(&body));
        octets
    }

    /// The fields of the header, without those that describe the content.
    #[must_use]
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut fields = mailbox("From", &self.from.0, &self.from.1);
        fields.extend(mailbox("To", "", &self.to));
        if let Some(reply_to) = &self.reply_to {
            fields.extend(mailbox("Reply-To", "", reply_to));
        }
        fields.extend(unstructured("Subject", &self.subject));
        fields.extend(structured("Date", &rfc5322(self.date_unix_ms)));
        fields.extend(structured("Message-ID", &self.message_id));
        if let Some(id) = &self.in_reply_to {
            fields.extend(structured("In-Reply-To", id));
            fields.extend(structured("References", id));
        }
        fields.extend(structured("Auto-Submitted", if self.auto_replied { "auto-replied" } else { "auto-generated" }));
        fields.extend(structured("Content-Language", &self.language));
        fields.extend_from_slice(b"MIME-Version: 1.0\r\n");
        fields
    }

    fn body(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new().text_body(self.text.replace('\n', "\r\n"));
        if let Some(html) = &self.html {
            builder = builder.html_body(html.replace('\n', "\r\n"));
        }
        // Given so that the builder asks neither clock nor host name; they are left out with its header.
        builder = builder
            .header("Date", HeaderType::from(Raw::new("-")))
            .header("Message-ID", HeaderType::from(Raw::new("<->")));
        builder.write_to_vec().unwrap_or_default()
    }

    /// The parts that people read, as one MIME entity: fields that describe it, an empty line, its content.
    #[must_use]
    pub(crate) fn entity(&self) -> Vec<u8> {
        content_of(&self.body())
    }
}

/// What a built message consists of but for the fields that do not describe its content.
fn content_of(built: &[u8]) -> Vec<u8> {
    let end = built.windows(4).position(|four| four == b"\r\n\r\n").map_or(built.len(), |at| at + 2);
    let (header, rest) = built.split_at(end);
    let header = crate::mail::field::Header::new(header);
    let mut octets = Vec::with_capacity(built.len());
    for field in header.fields().filter(|field| field.name.to_ascii_lowercase().starts_with(b"content-")) {
        octets.extend_from_slice(field.raw);
    }
    octets.extend_from_slice(rest);
    octets
}

/// Writes a `multipart/mixed` message piece by piece: a text, then files whose octets come bit by bit.
pub struct MultipartWriter {
    boundary: String,
    /// Octets of a file that fill no line yet.
    pending: Vec<u8>,
}

impl MultipartWriter {
    /// A writer whose parts are told apart by this boundary: random, so that no content holds it.
    #[must_use]
    pub fn new(boundary: impl Into<String>) -> Self {
        Self { boundary: boundary.into(), pending: Vec::new() }
    }

    /// The end of the header, and the text as first part.
    #[must_use]
    pub fn begin(&self, text: &str) -> Vec<u8> {
        let mut octets = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{0}\"\r\n\r\n--{0}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            self.boundary
        )
        .into_bytes();
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        for line in text.as_bytes().chunks(LINE_OCTETS) {
            push_line(&mut octets, line);
        }
        octets
    }

    /// Begins a file.
    #[must_use]
    pub fn file(&mut self, name: &str, media_type: &str) -> Vec<u8> {
        let mut octets = format!("--{}\r\n", self.boundary).into_bytes();
        octets.extend(structured("Content-Type", media_type));
        octets.extend(structured("Content-Disposition", &format!("attachment; {}", parameter("filename", name))));
        octets.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
        octets
    }

    /// The next octets of the file.
    #[must_use]
    pub fn octets(&mut self, octets: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(octets);
        let whole = self.pending.len() - self.pending.len() % LINE_OCTETS;
        let mut lines = Vec::with_capacity(whole * 7 / 5);
        for line in self.pending.get(..whole).unwrap_or_default().chunks(LINE_OCTETS) {
            push_line(&mut lines, line);
        }
        self.pending.drain(..whole);
        lines
    }

    /// The end of the file.
    #[must_use]
    pub fn end_file(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        if !self.pending.is_empty() {
            push_line(&mut lines, &std::mem::take(&mut self.pending));
        }
        lines
    }

    /// The end of the message.
    #[must_use]
    pub fn end(self) -> Vec<u8> {
        format!("--{}--\r\n", self.boundary).into_bytes()
    }
}

fn push_line(octets: &mut Vec<u8>, line: &[u8]) {
    octets.extend_from_slice(STANDARD.encode(line).as_bytes());
    octets.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders};

    use crate::mail::compose::*;

    pub(crate) fn letter() -> Letter {
        Letter {
            from: ("Sundby kommun".into(), "noreply@sundby.example".parse().unwrap()),
            to: "eva@live.example".parse().unwrap(),
            reply_to: None,
            subject: "Du har fått ett säkert meddelande".into(),
            text: "Hej å ä ö\nRad två\n".into(),
            html: Some("<p>Hej å ä ö</p>\n".into()),
            language: "sv".into(),
            message_id: "<a@gw.sundby.example>".into(),
            date_unix_ms: 0,
            in_reply_to: None,
            auto_replied: false,
        }
    }

    #[test]
    fn a_letter_reads_as_it_was_written() {
        let octets = letter().to_bytes();
        let text = String::from_utf8(octets.clone()).unwrap();
        assert!(text.replace("\r\n", "").chars().all(|c| c != '\n' && c != '\r'));
        assert!(text.split("\r\n").all(|line| line.len() <= 998));
        let message = MessageParser::default().parse(&octets).unwrap();
        assert_eq!(message.subject(), Some("Du har fått ett säkert meddelande"));
        assert_eq!(message.message_id(), Some("a@gw.sundby.example"));
        assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n"), "Hej å ä ö\nRad två\n");
        assert!(message.body_html(0).unwrap().contains("<p>Hej å ä ö</p>"));
        assert_eq!(message.header("Auto-Submitted").unwrap().as_text(), Some("auto-generated"));
        assert_eq!(text.matches("\r\nDate:").count(), 1);
        assert_eq!(text.matches("Message-ID").count(), 1);
    }

    #[test]
    fn files_come_out_of_a_multipart_as_they_went_in() {
        let file: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
        let mut writer = MultipartWriter::new("grense");
        let mut octets = b"Subject: x\r\n".to_vec();
        octets.extend(writer.begin("Hej\nå"));
        octets.extend(writer.file("Ritning å.pdf", "application/pdf"));
        for piece in file.chunks(777) {
            octets.extend(writer.octets(piece));
        }
        octets.extend(writer.end_file());
        octets.extend(writer.end());
        let message = MessageParser::default().parse(&octets).unwrap();
        assert_eq!(message.body_text(0).unwrap(), "Hej\r\nå");
        let attachment = message.attachment(0).unwrap();
        assert_eq!(attachment.contents(), &file[..]);
        assert_eq!(attachment.attachment_name(), Some("Ritning å.pdf"));
    }
}
