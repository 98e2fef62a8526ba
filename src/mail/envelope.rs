//! The SMTP envelope: who sent it, who shall get it, and what was asked about reports.

use serde::{Deserialize, Serialize};

use crate::mail::address::{Address, ReversePath};

/// The envelope of one message (RFC 5321 §2.3.1) with its DSN parameters (RFC 3461).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub sender: ReversePath,
    /// `RCPT TO`, in the order given.
    pub recipients: Vec<Recipient>,
    /// `BODY=` (RFC 6152, RFC 3030).
    pub body: BodyType,
    /// `SMTPUTF8` was given (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `RET=` (RFC 3461 §4.3).
    pub dsn_return: Option<DsnReturn>,
    /// `ENVID=`, decoded from xtext (RFC 3461 §4.4).
    pub envelope_id: Option<String>,
    /// `REQUIRETLS` (RFC 8689 §2). What was kept before there was such a thing has none.
    #[serde(default)]
    pub require_tls: bool,
}

/// One recipient of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where the message shall go.
    pub address: Address,
    /// `NOTIFY=` (RFC 3461 §4.1); `None` means the default: on failure, perhaps on delay.
    pub notify: Option<DsnNotify>,
    /// `ORCPT=` as `type;address`, decoded from xtext (RFC 3461 §4.2).
    pub original: Option<String>,
}

/// `BODY=` of `MAIL FROM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyType {
    /// Seven bits, the default.
    SevenBit,
    /// Eight bits in lines (RFC 6152).
    EightBitMime,
}

/// `RET=`: how much of the message a failure report shall carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DsnReturn {
    /// The whole message.
    Full,
    /// Its header alone.
    Headers,
}

/// `NOTIFY=`: when a report is wanted. All false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DsnNotify {
    /// On delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

impl Envelope {
    /// An envelope without any parameter.
    #[must_use]
    pub fn plain(sender: ReversePath, recipients: Vec<Address>) -> Self {
        Self {
            sender,
            recipients: recipients.into_iter().map(Recipient::plain).collect(),
            body: BodyType::EightBitMime,
            smtputf8: false,
            dsn_return: None,
            envelope_id: None,
            require_tls: false,
        }
    }
}

impl Recipient {
    /// A recipient without any parameter.
    #[must_use]
    pub fn plain(address: Address) -> Self {
        Self { address, notify: None, original: None }
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::envelope::*;

    #[test]
    fn what_was_kept_before_requiretls_is_read() {
        let old = r#"{"sender":"Null","recipients":[],"body":"SevenBit","smtputf8":false,"dsn_return":null,"envelope_id":null}"#;
        let read: Envelope = serde_json::from_str(old).unwrap();
        assert!(!read.require_tls);
        let asking = Envelope { require_tls: true, ..read };
        let written = serde_json::to_string(&asking).unwrap();
        assert_eq!(serde_json::from_str::<Envelope>(&written).unwrap(), asking);
    }
}
