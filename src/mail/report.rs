//! Delivery reports, written (RFC 3464, in the frame of RFC 6522; with addresses that are not ASCII, RFC 6533).

use crate::mail::address::Address;
use crate::mail::compose::Letter;
use crate::mail::date::rfc5322;
use crate::mail::write::structured;

/// What became of a recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Still trying.
    Delayed,
    /// In the mailbox, or where the recipient picks it up.
    Delivered,
    /// Handed to somebody who reports no further.
    Relayed,
}

/// The machine-readable half of a delivery report.
#[derive(Debug, Clone)]
pub struct Report {
    /// `Reporting-MTA`.
    pub reporting_host: String,
    /// `Original-Envelope-Id`: `ENVID=` of the message.
    pub envelope_id: Option<String>,
    /// `Arrival-Date`, milliseconds since 1970.
    pub arrived_unix_ms: i64,
    /// Each recipient it is about.
    pub recipients: Vec<ReportedRecipient>,
    /// Its reader takes part in SMTPUTF8: addresses may stand as they are (RFC 6533 §4).
    pub international: bool,
    /// What comes back of the message.
    pub returned: Returned,
}

/// What comes back of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returned {
    /// Its header, or all of it, lines ended by CRLF.
    pub octets: Vec<u8>,
    /// All of it.
    pub is_whole: bool,
}

/// One recipient of a delivery report.
#[derive(Debug, Clone)]
pub struct ReportedRecipient {
    /// `Final-Recipient`.
    pub address: Address,
    /// `Original-Recipient`: `ORCPT=` of the recipient.
    pub original: Option<String>,
    /// `Action`.
    pub action: Action,
    /// `Status`, such as `5.1.1`.
    pub status: String,
    /// `Diagnostic-Code`: what the next hop said.
    pub diagnostic: Option<String>,
    /// `Remote-MTA`: who said it.
    pub remote: Option<String>,
    /// `Last-Attempt-Date`, milliseconds since 1970.
    pub attempted_unix_ms: Option<i64>,
    /// `Will-Retry-Until`, milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
}

impl Report {
    /// The whole report: the letter's words, the machine's half, and what comes back of the message it is about.
    #[must_use]
    pub fn to_bytes(&self, letter: &Letter) -> Vec<u8> {
        let boundary = format!("report-{}", letter.message_id.trim_matches(['<', '>']).replace(['@', '.'], "-"));
        let mut octets = letter.header();
        octets.extend_from_slice(
            format!("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").as_bytes(),
        );
        octets.extend(letter.entity());
        let status = self.status();
        let kind = if status.is_ascii() { "message/delivery-status" } else { "message/global-delivery-status" };
        for (kind, part) in [(kind, &status), (self.returned.media_type(self.international), &self.returned.octets)] {
            octets.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n").as_bytes());
            if !part.is_ascii() {
                octets.extend_from_slice(b"Content-Transfer-Encoding: 8bit\r\n");
            }
            octets.extend_from_slice(b"\r\n");
            octets.extend_from_slice(part);
        }
        octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        octets
    }

    fn status(&self) -> Vec<u8> {
        let mut fields = structured("Reporting-MTA", &format!("dns; {}", self.reporting_host));
        if let Some(id) = &self.envelope_id {
            fields.extend(structured("Original-Envelope-Id", id));
        }
        fields.extend(structured("Arrival-Date", &rfc5322(self.arrived_unix_ms)));
        for recipient in &self.recipients {
            fields.extend_from_slice(b"\r\n");
            fields.extend(recipient.fields(self.international));
        }
        fields
    }
}

impl ReportedRecipient {
    fn fields(&self, international: bool) -> Vec<u8> {
        let mut fields = Vec::new();
        let (kind, address) = ("utf-8", self.address.to_string());
        let kind = if self.address.needs_smtputf8() { kind } else { "rfc822" };
        if let Some((kind, address)) = self.original.as_deref().and_then(|original| original.split_once(';')) {
            fields.extend(structured("Original-Recipient", &typed(kind, address.trim(), international)));
        }
        fields.extend(structured("Final-Recipient", &typed(kind, &address, international)));
        fields.extend(structured("Action", self.action.as_str()));
        fields.extend(structured("Status", &self.status));
        if let Some(remote) = &self.remote {
            fields.extend(structured("Remote-MTA", &format!("dns; {remote}")));
        }
        if let Some(diagnostic) = &self.diagnostic {
            let ascii: String = diagnostic.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
            fields.extend(structured("Diagnostic-Code", &format!("smtp; {ascii}")));
        }
        if let Some(attempted) = self.attempted_unix_ms {
            fields.extend(structured("Last-Attempt-Date", &rfc5322(attempted)));
        }
        if let Some(until) = self.until_unix_ms {
            fields.extend(structured("Will-Retry-Until", &rfc5322(until)));
        }
        fields
    }
}

impl Returned {
    /// The header, whatever else there is.
    #[must_use]
    pub fn header_alone(mut self) -> Self {
        if let Some(end) = memchr::memmem::find(&self.octets, b"\r\n\r\n") {
            self.octets.truncate(end + 2);
        }
        Self { is_whole: false, ..self }
    }

    fn media_type(&self, international: bool) -> &'static str {
        let header = memchr::memmem::find(&self.octets, b"\r\n\r\n").map_or(self.octets.len(), |end| end);
        let is_global = international && !self.octets.get(..header).unwrap_or_default().is_ascii();
        match (self.is_whole, is_global) {
            (true, false) => "message/rfc822",
            (true, true) => "message/global",
            (false, false) => "text/rfc822-headers",
            (false, true) => "message/global-headers",
        }
    }
}

/// An address with its type. What is not ASCII stands as it is only for who can read it, else by its code points
/// (`utf-8-addr-xtext`, RFC 6533 §3).
fn typed(kind: &str, address: &str, international: bool) -> String {
    if international || address.is_ascii() {
        return format!("{kind}; {address}");
    }
    let written = |c: char| match c {
        '\\' | '+' | '=' => format!("\\x{{{:X}}}", u32::from(c)),
        c if c.is_ascii_graphic() => c.to_string(),
        c => format!("\\x{{{:X}}}", u32::from(c)),
    };
    format!("utf-8; {}", address.chars().map(written).collect::<String>())
}

impl Action {
    /// Reads the value of `Action`, in any letter case; `expanded` counts as relayed (RFC 3464 §2.3.3).
    pub(crate) fn read(text: &str) -> Option<Self> {
        let word = text.split([' ', ';', '(']).next().unwrap_or_default().to_ascii_lowercase();
        Some(match word.as_str() {
            "failed" | "failure" => Self::Failed,
            "delayed" => Self::Delayed,
            "delivered" => Self::Delivered,
            "relayed" | "expanded" => Self::Relayed,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders, PartType};

    use crate::mail::bounce::Bounce;
    use crate::mail::compose::Letter;
    use crate::mail::report::*;

    fn letter() -> Letter {
        Letter {
            from: ("Sundby".into(), "noreply@sundby.example".parse().unwrap()),
            to: "anna@sundby.example".parse().unwrap(),
            reply_to: None,
            subject: "Kunde inte levereras".into(),
            text: "Tyvärr.\n".into(),
            html: None,
            language: "sv".into(),
            message_id: "<r@gw>".into(),
            date_unix_ms: 0,
            in_reply_to: None,
            auto_replied: true,
        }
    }

    fn recipient(address: &str, action: Action) -> ReportedRecipient {
        ReportedRecipient {
            address: address.parse().unwrap(),
            original: None,
            action,
            status: "2.0.0".into(),
            diagnostic: None,
            remote: None,
            attempted_unix_ms: None,
            until_unix_ms: None,
        }
    }

    fn report(recipients: Vec<ReportedRecipient>) -> Report {
        Report {
            reporting_host: "gw.sundby.example".into(),
            envelope_id: None,
            arrived_unix_ms: 0,
            recipients,
            international: false,
            returned: Returned { octets: b"Subject: Hej\r\n".to_vec(), is_whole: false },
        }
    }

    /// The parts' media types and contents, read by a library that did not write them.
    fn parts(octets: &[u8]) -> Vec<(String, String)> {
        let message = MessageParser::default().parse(octets).unwrap();
        let told = message.content_type().unwrap();
        assert_eq!((told.ctype(), told.subtype()), ("multipart", Some("report")));
        assert_eq!(told.attribute("report-type"), Some("delivery-status"));
        let PartType::Multipart(parts) = &message.parts[0].body else { panic!("not multipart") };
        let part = |place: &u32| {
            let part = &message.parts[usize::try_from(*place).unwrap()];
            let kind = part.content_type().unwrap();
            let raw = &octets[part.raw_body_offset() as usize..part.raw_end_offset() as usize];
            (format!("{}/{}", kind.ctype(), kind.subtype().unwrap()), String::from_utf8_lossy(raw).into_owned())
        };
        parts.iter().map(part).collect()
    }

    #[test]
    fn every_field_of_the_standard_is_there_when_it_is_known() {
        let full = ReportedRecipient {
            original: Some("rfc822;eva@old.example".into()),
            status: "5.1.1".into(),
            diagnostic: Some("550 5.1.1 no such user å\r\nBcc: x".into()),
            remote: Some("mx.live.example".into()),
            attempted_unix_ms: Some(1_000),
            until_unix_ms: Some(86_400_000),
            ..recipient("eva@live.example", Action::Delayed)
        };
        let some = [
            full,
            recipient("a@live.example", Action::Failed),
            recipient("b@live.example", Action::Delivered),
            recipient("c@live.example", Action::Relayed),
        ];
        let octets = Report { envelope_id: Some("QQ123".into()), ..report(some.to_vec()) }.to_bytes(&letter());
        let parts = parts(&octets);
        let kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
        assert_eq!(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"]);
        let blocks: Vec<&str> = parts[1].1.trim_end().split("\r\n\r\n").collect();
        let lines = |block: usize| blocks[block].lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            lines(0),
            [
                "Reporting-MTA: dns; gw.sundby.example",
                "Original-Envelope-Id: QQ123",
                "Arrival-Date: Thu, 01 Jan 1970 00:00:00 +0000"
            ]
        );
        assert_eq!(
            lines(1),
            [
                "Original-Recipient: rfc822; eva@old.example",
                "Final-Recipient: rfc822; eva@live.example",
                "Action: delayed",
                "Status: 5.1.1",
                "Remote-MTA: dns; mx.live.example",
                "Diagnostic-Code: smtp; 550 5.1.1 no such user ?Bcc: x",
                "Last-Attempt-Date: Thu, 01 Jan 1970 00:00:01 +0000",
                "Will-Retry-Until: Fri, 02 Jan 1970 00:00:00 +0000"
            ]
        );
        for (block, address, action) in
            [(2, "a@live.example", "failed"), (3, "b@live.example", "delivered"), (4, "c@live.example", "relayed")]
        {
            let must =
                [format!("Final-Recipient: rfc822; {address}"), format!("Action: {action}"), "Status: 2.0.0".into()];
            assert_eq!(lines(block), must);
        }
        assert_eq!(parts[2].1.trim_end(), "Subject: Hej");
        let read = Bounce::read(&octets).unwrap();
        assert_eq!((read.recipients.len(), read.envelope_id.as_deref()), (4, Some("QQ123")));
    }

    /// RFC 6533: media type of the machine's half and of what comes back, and how the address stands.
    #[test]
    fn addresses_that_are_not_ascii_stand_as_their_reader_can_read_them() {
        let (utf8, eva) = ("åsa+x@live.example", "eva@live.example");
        let (global_head, head) = ("Subject: Blåbär\r\n", "Subject: Hej\r\n");
        let (whole, global_whole) = ("Subject: Hej\r\n\r\nBlåbär\r\n", "Subject: Blåbär\r\n\r\nHej\r\n");
        let xtext = "utf-8; \\x{E5}sa\\x{2B}x@live.example";
        for (address, international, returned, is_whole, status, wanted, of_message) in [
            (eva, false, head, false, "message/delivery-status", "rfc822; eva@live.example", "text/rfc822-headers"),
            (eva, true, head, false, "message/delivery-status", "rfc822; eva@live.example", "text/rfc822-headers"),
            (utf8, false, head, false, "message/delivery-status", xtext, "text/rfc822-headers"),
            (
                utf8,
                true,
                head,
                false,
                "message/global-delivery-status",
                "utf-8; åsa+x@live.example",
                "text/rfc822-headers",
            ),
            (
                eva,
                true,
                global_head,
                false,
                "message/delivery-status",
                "rfc822; eva@live.example",
                "message/global-headers",
            ),
            (
                eva,
                false,
                global_head,
                false,
                "message/delivery-status",
                "rfc822; eva@live.example",
                "text/rfc822-headers",
            ),
            (eva, false, whole, true, "message/delivery-status", "rfc822; eva@live.example", "message/rfc822"),
            (eva, true, whole, true, "message/delivery-status", "rfc822; eva@live.example", "message/rfc822"),
            (eva, true, global_whole, true, "message/delivery-status", "rfc822; eva@live.example", "message/global"),
        ] {
            let one =
                ReportedRecipient { original: Some(format!("utf-8;{address}")), ..recipient(address, Action::Failed) };
            let returned = Returned { octets: returned.into(), is_whole };
            let octets = Report { international, returned: returned.clone(), ..report(vec![one]) }.to_bytes(&letter());
            let case = format!("{address} {international} {is_whole}");
            // The library takes a message apart that lies in a message: its own parts are told by their media type alone.
            let text = String::from_utf8(octets.clone()).unwrap();
            assert!(text.contains(&format!("Content-Type: {status}\r\n")), "{case}: {text}");
            assert!(text.contains(&format!("Content-Type: {of_message}\r\n")), "{case}: {text}");
            assert!(text.contains(&format!("\r\nFinal-Recipient: {wanted}\r\n")), "{case}: {text}");
            let original = wanted.split_once("; ").unwrap().1;
            assert!(text.contains(&format!("\r\nOriginal-Recipient: utf-8; {original}\r\n")), "{case}: {text}");
            assert!(text.contains(&format!("\r\n\r\n{}", String::from_utf8(returned.octets).unwrap())), "{case}");
            assert!(MessageParser::default().parse(&octets).unwrap().body_text(0).unwrap().contains("Tyvärr."));
        }
    }
}
