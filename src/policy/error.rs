//! What can be wrong with a rule, and with a message.

/// Why a rule cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// A regular expression is none, or too large.
    #[error("the regular expression cannot be used: {0}")]
    RegexIsInvalid(String),
    /// `contains` names neither a number type nor `regex:…`.
    #[error("`{0}` is neither a number type nor regex:…")]
    SearchIsUnknown(String),
    /// The name of no protection.
    #[error("`{0}` is no protection; they are plain, tls, secure, hold, refuse")]
    ProtectionIsUnknown(String),
    /// The name of no channel.
    #[error("`{0}` is no channel; they are tunnel, personal, pickup")]
    ChannelIsUnknown(String),
    /// Two rules of one name could not be told apart in a trace.
    #[error("two rules are called `{0}`")]
    NameStandsTwice(String),
    /// A grant lifts a rule that is not there.
    #[error("no rule is called `{0}`")]
    RuleIsUnknown(String),
}

/// A message or recipient is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {text}")]
pub struct Refusal {
    /// The enhanced status code.
    pub status: &'static str,
    /// One line, to be said to the sender.
    pub text: String,
    /// The name of the rule that decided.
    pub rule: String,
}

/// Nobody can say what stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;
