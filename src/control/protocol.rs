//! What the command line may ask: one JSON line there, one back, and for an export the octets behind it.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::directory::{KeyAlgorithm, Scope};
use crate::mail::{Address, Domain, QueueId};
use crate::queue::Stage;
use crate::sender_auth::Algorithm;

/// Octets of a request line.
pub const REQUEST_OCTETS: usize = 1 << 20;

/// A text that nobody else may see. It does not print, and is erased when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct SecretText(pub String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// `queue list`, a page of it.
    QueueList {
        /// With a recipient of this domain.
        to: Option<Domain>,
        /// Standing here.
        stage: Option<Stage>,
        /// Behind this one.
        after: Option<QueueId>,
        /// Items at most.
        limit: Option<usize>,
    },
    /// `queue show ID`.
    QueueShow {
        /// Which.
        id: QueueId,
    },
    /// `queue retry ID|--all|--to DOMAIN`.
    QueueRetry {
        /// Which; all if none.
        id: Option<QueueId>,
        /// Of all: what goes to this domain.
        to: Option<Domain>,
    },
    /// `queue hold ID`.
    QueueHold {
        /// Which.
        id: QueueId,
    },
    /// `queue release ID`.
    QueueRelease {
        /// Which.
        id: QueueId,
    },
    /// `queue drop ID --notify`.
    QueueDrop {
        /// Which.
        id: QueueId,
    },
    /// `message list`.
    MessageList,
    /// `message show ID`.
    MessageShow {
        /// Which.
        id: QueueId,
    },
    /// `message recall ID`.
    MessageRecall {
        /// Which.
        id: QueueId,
    },
    /// `message expire ID`.
    MessageExpire {
        /// Which.
        id: QueueId,
    },
    /// `message trace ID-OR-MESSAGE-ID`.
    MessageTrace {
        /// An id, or a `Message-ID` with or without angle brackets.
        which: String,
    },
    /// `message export ID --locked`: the answer's octets are the age file.
    MessageExport {
        /// Which.
        id: QueueId,
    },
    /// `recipient list`.
    RecipientList,
    /// `recipient show ADDRESS`.
    RecipientShow {
        /// Which.
        address: String,
    },
    /// `recipient unbind ADDRESS`.
    RecipientUnbind {
        /// Which.
        address: String,
    },
    /// `key list`.
    KeyList {
        /// Look the records of DKIM keys up first.
        #[serde(default)]
        dns: bool,
    },
    /// `key rotate dkim`.
    KeyRotateDkim {
        /// Keys of this domain alone.
        domain: Option<Domain>,
        /// Keys of this algorithm alone.
        algorithm: Option<Algorithm>,
        /// The records stand in the public DNS.
        published: bool,
    },
    /// `key rotate vault`.
    KeyRotateVault,
    /// `key export`: the answer's value lists the files as base64.
    KeyExport,
    /// `tunnel list`, a page of it.
    TunnelList {
        /// Behind this key, in base64.
        after: Option<String>,
    },
    /// `tunnel show DOMAIN`.
    TunnelShow {
        /// Which.
        domain: Domain,
    },
    /// `tunnel remove DOMAIN`.
    TunnelRemove {
        /// Which.
        domain: Domain,
    },
    /// `tunnel import`, `tunnel add`, `certificate import`: a part of the file.
    CertificateTake {
        /// Somebody brings them for just these; else it is a table.
        by_operator: bool,
        /// In place of what is in use.
        replaces: bool,
        /// The file's name.
        told_by: String,
        /// Whom each is for, and the certificate in base64.
        rows: Vec<(Scope, String)>,
        /// Certificates of authorities, in base64.
        issuers: Vec<String>,
    },
    /// `certificate import` of our own: a key that is brought, or the certificate for one that waits here.
    CertificateOwn {
        /// Whom it is for; needed with a key.
        scope: Option<Scope>,
        /// The key in base64.
        key: Option<SecretText>,
        /// The certificate and its chain in base64.
        chain: Vec<String>,
    },
    /// `certificate list`, a page of it.
    CertificateList {
        /// Behind this key, in base64.
        after: Option<String>,
    },
    /// `certificate show ID`.
    CertificateShow {
        /// How its fingerprint begins.
        id: String,
    },
    /// `certificate accept ID`, `certificate refuse ID`.
    CertificateDecide {
        /// How its fingerprint begins.
        id: String,
        /// For this alone of all that it is kept for.
        scope: Option<Scope>,
        /// Whether it may be used.
        accepted: bool,
    },
    /// `certificate remove ID`.
    CertificateRemove {
        /// How its fingerprint begins; or the name of a key that waits.
        id: String,
        /// For this alone of all that it is kept for.
        scope: Option<Scope>,
    },
    /// `certificate request --for`.
    CertificateRequest {
        /// Whom it is for.
        scope: Scope,
        /// What key.
        algorithm: KeyAlgorithm,
    },
    /// `certificate authority`.
    CertificateAuthority {
        /// Its name; without one, the certificate of the one that is there.
        name: Option<String>,
    },
    /// `certificate issue --for`.
    CertificateIssue {
        /// Whom it is for.
        scope: Scope,
        /// What key.
        algorithm: KeyAlgorithm,
    },
    /// For `explain`: what can be sealed to for these recipients.
    CertificateKeys {
        /// Who they are.
        recipients: Vec<Address>,
        /// In whose name it would be signed.
        author: Option<Address>,
    },
    /// `audit verify`.
    AuditVerify {
        /// A head that was published earlier, in hexadecimal.
        head: Option<String>,
    },
    /// `audit head`.
    AuditHead,
    /// `audit export`.
    AuditExport {
        /// Milliseconds since 1970.
        since: Option<i64>,
    },
}

/// What comes back.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The value that `--json` prints.
    pub value: serde_json::Value,
    /// Octets behind it, for an export.
    pub octets: Vec<u8>,
}

/// Why nothing comes back: a line for a person and an exit code of `sysexits.h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What happened and what to do.
    pub text: String,
    /// 65 bad input, 69 unavailable, 75 try again, 77 not permitted.
    pub exit: u8,
}

/// The line that comes back on the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The value, and how many octets follow.
    Answer {
        /// The value.
        value: serde_json::Value,
        /// Octets behind the line.
        octets: u64,
    },
    /// The refusal.
    Refusal(Refusal),
}

impl Refusal {
    /// The input names nothing that is there.
    #[must_use]
    pub fn bad_input(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: 65 }
    }

    /// Who asks may not.
    #[must_use]
    pub fn not_permitted(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: 77 }
    }

    /// The store or the lock does not work now.
    #[must_use]
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { text: text.into(), exit: 69 }
    }
}
