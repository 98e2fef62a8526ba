//! What is done for one recipient.

use std::fmt;

use crate::directory::NumberType;
use crate::policy::protection::Channel;
use crate::policy::sealable::Obstacle;

/// What is done for one recipient. Made by `serve` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treatment {
    /// The recipient's place in the envelope.
    pub recipient: usize,
    /// By what means.
    pub means: Means,
}

/// By what means a recipient is served.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Means {
    /// The message passes as it came: inside, or judged `plain` or `tls`.
    Pass {
        /// Over a channel whose other end was verified, or not at all.
        verified_tls: bool,
    },
    /// By a channel.
    Seal(Channel),
    /// To a service address: sealgate itself reads it.
    Service,
    /// It waits for a person or a channel.
    Hold(Reason),
    /// It is not delivered, and the sender is told.
    Refuse(Reason),
    /// It is tried again later; when its time is over, the sender is told.
    Wait(Reason),
}

/// Why a recipient is not served now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule asks for a person's approval.
    RuleHolds(String),
    /// A rule refuses; its own words.
    RuleRefuses(String),
    /// No channel serves this recipient.
    NoChannel,
    /// Its reader must have a number of this kind, and no login shows one.
    NoLoginShows(NumberType),
    /// No verified TLS to be had.
    NoVerifiedTls,
    /// It is to be sealed, and cannot be now.
    CannotBeSealed(Obstacle),
    /// It came in sealed, and none of our keys opens it: for which keys it was sealed.
    NoKey(String),
    /// It came in sealed, and cannot be opened. There is one such answer.
    CannotBeOpened,
    /// It came in sealed to others of ours than this recipient.
    SealedToOthers,
}

impl fmt::Display for Reason {
    /// In English, for operators; letters say it in the organisation's language.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RuleHolds(rule) => write!(f, "a person decides: the rule \"{rule}\""),
            Self::RuleRefuses(text) => write!(f, "the sender is told: {text}"),
            Self::NoChannel => f.write_str("no channel serves this recipient"),
            Self::NoLoginShows(kind) => write!(f, "no login of [[identity.provider]] shows a {kind}"),
            // The status is the one that delivery gives where a way proves nothing.
            Self::NoKey(keys) => write!(f, "it is sealed, and no key here opens it; it is sealed for {keys}"),
            Self::CannotBeOpened => f.write_str("it is sealed to us and cannot be opened"),
            Self::SealedToOthers => f.write_str("it is sealed to another recipient's key, and is not opened for this one"),
            Self::NoVerifiedTls => f.write_str(
                "4.7.10 no verified TLS to the recipient's mail server is known of: it waits for nobody's decision, is looked at \
                 again as long as queue.maximal_lifetime lasts, and comes back then",
            ),
            Self::CannotBeSealed(Obstacle::Theirs(why)) => write!(f, "no certificate of theirs can be used: {why}"),
            Self::CannotBeSealed(Obstacle::Ours(why)) => f.write_str(why),
            Self::CannotBeSealed(Obstacle::Failed(why)) => write!(f, "it could not be sealed: {why}"),
        }
    }
}
