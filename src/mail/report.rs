//! Delivery reports, written (RFC 3464, in the frame of RFC 6522).

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
    /// `Will-Retry-Until`, milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
}

impl Report {
    /// The whole report: the letter's words, the machine's half, and the header of the message it is about. That header
    /// is all that comes back of the message.
    #[must_use]
    pub fn to_bytes(&self, letter: &Letter, header: &[u8]) -> Vec<u8> {
        let boundary = format!("report-{}", letter.message_id.trim_matches(['<', '>']).replace(['@', '.'], "-"));
        let mut octets = letter.header();
        octets.extend_from_slice(
            format!("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n").as_bytes(),
        );
        octets.extend(letter.entity());
        octets
            .extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n").as_bytes());
        octets.extend(self.status());
        octets.extend_from_slice(format!("\r\n--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n").as_bytes());
        octets.extend_from_slice(header);
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
            fields.extend(recipient.fields());
        }
        fields
    }
}

impl ReportedRecipient {
    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        if let Some(original) = &self.original {
            fields.extend(structured("Original-Recipient", original));
        }
        let kind = if self.address.needs_smtputf8() { "utf-8" } else { "rfc822" };
        fields.extend(structured("Final-Recipient", &format!("{kind}; {}", self.address)));
        fields.extend(structured("Action", self.action.as_str()));
        fields.extend(structured("Status", &self.status));
        if let Some(remote) = &self.remote {
            fields.extend(structured("Remote-MTA", &format!("dns; {remote}")));
        }
        if let Some(diagnostic) = &self.diagnostic {
            let ascii: String = diagnostic.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
            fields.extend(structured("Diagnostic-Code", &format!("smtp; {ascii}")));
        }
        if let Some(until) = self.until_unix_ms {
            fields.extend(structured("Will-Retry-Until", &rfc5322(until)));
        }
        fields
    }
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
    use crate::mail::compose::Letter;
    use crate::mail::report::*;

    #[test]
    fn a_report_has_the_three_parts_of_its_standard() {
        let letter = Letter {
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
        };
        let report = Report {
            reporting_host: "gw.sundby.example".into(),
            envelope_id: Some("QQ123".into()),
            arrived_unix_ms: 0,
            recipients: vec![ReportedRecipient {
                address: "eva@live.example".parse().unwrap(),
                original: Some("rfc822;eva@live.example".into()),
                action: Action::Failed,
                status: "5.1.1".into(),
                diagnostic: Some("550 5.1.1 no such user å\r\nBcc: x".into()),
                remote: Some("mx.live.example".into()),
                until_unix_ms: None,
            }],
        };
        let octets = report.to_bytes(&letter, b"Subject: Hej\r\n");
        let text = String::from_utf8_lossy(&octets);
        for must in [
            "Content-Type: multipart/report; report-type=delivery-status;",
            "Final-Recipient: rfc822; eva@live.example\r\n",
            "Action: failed\r\n",
            "Status: 5.1.1\r\n",
            "Original-Envelope-Id: QQ123\r\n",
            "text/rfc822-headers\r\n\r\nSubject: Hej\r\n",
        ] {
            assert!(text.contains(must), "{must} in {text}");
        }
        assert!(!text.contains("\r\nBcc"));
        let message = mail_parser::MessageParser::default().parse(&octets).unwrap();
        assert_eq!(message.body_text(0).unwrap().trim(), "Tyvärr.");
    }
}
