//! One message we have promised to carry, and the ways it goes out: the parts that are locked.

use serde::{Deserialize, Serialize};

use crate::mail::{Address, Envelope, QueueId, ReversePath};
use crate::policy::{FixedKind, Verdict};
use crate::queue::reception::Origin;
use crate::sealing::{Content, Outgoing};

/// A promise: what was taken, how it was judged, how far each recipient has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    /// What kind of message it is.
    pub kind: Kind,
    /// The door it came through.
    pub origin: Origin,
    /// Its envelope as it came.
    pub envelope: Envelope,
    /// How it was judged, per recipient in the envelope's order.
    pub verdict: Verdict,
    /// How far each recipient has come, in the envelope's order.
    pub states: Vec<RecipientState>,
    /// What reports and receipts say about it.
    pub summary: Summary,
    /// It came from outside, and its sender is who it says: a report can be sent there.
    #[serde(default)]
    pub sender_is_proven: bool,
    /// How far its S/MIME is opened.
    #[serde(default)]
    pub smime: Smime,
}

/// How far the S/MIME of a message that came in is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smime {
    /// Its root is no S/MIME.
    #[default]
    None,
    /// It is to be opened before it is served.
    Unopened,
    /// It could not be opened and was held: let go as it is, it goes on closed.
    Closed,
    /// Something was found in it and it was held: let go, it goes on all the same.
    Found,
}

/// What kind of message an item is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody's message.
    Mail {
        /// As it goes on: our trace field first, directives off.
        content: Content,
        /// As its recipient reads it in the portal: blind copies and directives off.
        portal: Content,
    },
    /// What sealgate wrote itself about a message.
    Written {
        /// What it is.
        kind: FixedKind,
        /// The message it is about.
        about: QueueId,
        /// The recipient of that message it is about.
        recipient: Option<Address>,
        /// That message's sender, who is told if this one comes back; null for nobody.
        teller: ReversePath,
    },
}

/// What reports and receipts say about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The subject, decoded, tags and directives gone.
    pub subject: String,
    /// Where it is a letter of ours: the subject of the message it is about.
    pub about_subject: String,
    /// `Message-ID` with its angle brackets, if it has one.
    pub message_id: Option<String>,
    /// `References` and `In-Reply-To`, oldest first.
    pub references: Vec<String>,
    /// The author's name in `From`.
    pub author: Option<String>,
    /// The author's address: the first in `From`.
    #[serde(default)]
    pub author_address: Option<Address>,
    /// It says where answers go (`Reply-To`).
    #[serde(default)]
    pub has_reply_to: bool,
    /// A program wrote it (RFC 3834).
    pub automatic: bool,
}

/// How far one recipient has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientState {
    /// Not served yet.
    Waiting,
    /// Could not be served yet and waits for its time.
    Delayed {
        /// Why, in a sentence without personal data.
        reason: String,
    },
    /// Goes out with this consignment.
    Consigned(u16),
    /// Lies in the recipient's post box, or was for sealgate itself and read.
    Deposited,
    /// Waits for a person or a channel.
    Held {
        /// Why, in a sentence without personal data.
        reason: String,
    },
    /// Will not be delivered; the sender was told.
    Refused,
}

impl RecipientState {
    /// Whether it is still to be served, at its time.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting | Self::Delayed { .. })
    }
}

/// One way a message goes out: an [`Outgoing`] and how far each of its recipients has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Consignment {
    /// What leaves.
    pub outgoing: Outgoing,
    /// In the order of the envelope's recipients.
    pub progress: Vec<Progress>,
}

/// How far one recipient of a consignment has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Delivered or failed: not attempted again.
    pub ended: Option<Ended>,
    /// What the next hop said last, one line.
    pub last_reply: Option<String>,
    /// Why it waits, as its sender is told if it waits long.
    #[serde(default)]
    pub delayed: Option<Failure>,
}

/// What became of one recipient, for its sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The recipient.
    pub address: Address,
    /// Such as `5.1.1`.
    pub status: String,
    /// What the next hop said.
    pub diagnostic: Option<String>,
    /// Who said it.
    pub remote: Option<String>,
    /// Why, for people.
    pub reason: String,
    /// Why, for operators: in English, the peer's own words with it.
    pub note: String,
}

/// How a recipient's delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The next hop took it.
    Delivered,
    /// It will not be delivered.
    Failed,
}

impl Consignment {
    /// A consignment nobody has attempted yet.
    #[must_use]
    pub fn new(outgoing: Outgoing) -> Self {
        let progress = vec![Progress::default(); outgoing.envelope().recipients.len()];
        Self { outgoing, progress }
    }

    /// Whether every recipient is delivered or failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.progress.iter().all(|p| p.ended.is_some())
    }
}
