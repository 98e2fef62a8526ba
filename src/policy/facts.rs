//! All that the judge may look at.

use crate::mail::{Address, DecodedText, Header, ReversePath};

/// A message as rules see it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Envelope sender.
    pub sender: ReversePath,
    /// Envelope recipients.
    pub recipients: Vec<Address>,
    /// The message's own header.
    pub header: Header,
    /// The subject, decoded.
    pub subject: DecodedText,
    /// Octets of the message.
    pub size: u64,
    /// Names of attachments, decoded.
    pub attachments: Vec<String>,
    /// There are more attachments, or more names of them, than those.
    pub has_more_attachments: bool,
    /// Media types of all parts, lower case.
    pub media_types: Vec<String>,
    /// What was found, in the order of the rules' searches.
    pub found: Vec<bool>,
    /// The first thing that could not be read even as raw octets: a file's name, or a part's media type.
    pub unreadable: Option<String>,
    /// That counts as a match (`policy.unknown`).
    pub unknown_matches: bool,
    /// The message stands in a secure thread.
    pub in_thread: bool,
    /// Today's year, for two-digit years.
    pub year: u16,
}

impl Facts {
    /// The envelope sender as people write it: what its own domain marked it with (BATV) is gone.
    #[must_use]
    pub(crate) fn plain_sender(&self) -> Option<Address> {
        self.sender.mailbox().map(Address::untagged_at_home)
    }

    /// Whether a text has what a rule looks for. Where nobody here can read all of it, it might: then it is as said.
    #[must_use]
    pub(crate) fn says(&self, read: &DecodedText, when_unknown: bool, fits: impl Fn(&str) -> bool) -> bool {
        fits(&read.text) || (!read.is_whole && when_unknown && self.unknown_matches)
    }
}
