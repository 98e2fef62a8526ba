//! `[policy]`, `[[rule]]` and `[[expect]]`, as they are written. What they mean is said in `policy`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::directory::NumberType;
use crate::fault::{
    At, FilePath, Key, Keys, Place, Reader, Section, Setting, Size, TextSetting, UnknownWord, Value, settings, words,
};
use crate::mail::{Address, Domain};

/// Octets a compiled pattern may take: what one rule may cost in memory.
const PATTERN_OCTETS: usize = 1 << 20;

settings! {
    /// How a secure recipient is served, and what is done where that is not possible.
    pub struct Policy {
        /// The order in which a secure recipient is served; the first that fits.
        channels: Vec<ChannelName> = ["tunnel", "personal", "pickup"],
        /// What becomes of mail for whom no channel fits: `hold` it, or `refuse` it with a delivery report. Never plain.
        unreachable: Unreachable = "hold",
        /// Content that cannot be read even as raw octets counts as a `match` of every rule that looks at content, or is `ignore`d.
        unknown: Unknown = "match",
        /// Domains whose addresses are numbers: `{ "cpr.sundby.example" = "dk-cpr" }`. They are never relayed.
        number_domains: BTreeMap<Domain, NumberType>,
    }

    /// A rule. Of all that match, the strongest protection wins; what is no protection comes from the first that sets it.
    pub struct Rule named "name" {
        /// Its name, for traces, receipts and `[[expect]]`.
        name: String,
        /// When it matches; always, if nothing is written.
        r#if: Option<Condition>,
        /// What it asks for.
        protect: Option<ProtectionName>,
        /// What the sender is told when it refuses.
        text: Option<String>,
        /// How long recipients can read; at most `portal.retention`.
        retention: Option<Duration>,
        /// The department answers go to, by id.
        reply_to: Option<String>,
        /// Who else gets it.
        copy_to: Vec<Address>,
        /// The e-ID providers a recipient may use, by id.
        login: Vec<String>,
        /// The order in which channels are tried, in place of `policy.channels`.
        channels: Vec<ChannelName>,
        /// The notice's template.
        template: Option<String>,
        /// What whoever matches may lift.
        grants: Option<Grants>,
    }

    /// The right to lift other rules by a tag; every use is audited.
    pub struct Grants {
        /// The tag in the subject, such as `[plain]`.
        tag: String,
        /// The rules it lifts, by name, and no others.
        lifts: Vec<String>,
    }

    /// A condition: one of these, or `any`, `all` and `not`, of which those given must all hold. A list means any of its values.
    pub struct Condition {
        /// One of these conditions holds.
        any: Vec<Condition>,
        /// All of these conditions hold.
        all: Vec<Condition>,
        /// None of these conditions holds.
        not: Vec<Condition>,
        /// The subject has one of these tags, such as `[sikker]`.
        subject_tag: Vec<String>,
        /// The subject matches this regular expression.
        subject: Vec<Pattern>,
        /// There is a header field of this name, and `is` or `matches`, if written, holds of it.
        header: Option<String>,
        /// With `header`: its value is one of these, letter case aside.
        is: Vec<String>,
        /// With `header`: its value matches this regular expression.
        matches: Vec<Pattern>,
        /// The `Sensitivity` header has one of these values.
        sensitivity: Vec<String>,
        /// The message bears this sensitivity label (a GUID in `msip_labels`).
        label: Vec<Label>,
        /// The sender is one of these.
        from: Vec<Address>,
        /// The sender's domain is one of these.
        from_domain: Vec<Domain>,
        /// The recipient is one of these.
        to: Vec<Address>,
        /// The recipient's domain is one of these.
        to_domain: Vec<Domain>,
        /// The message is larger.
        size_over: Option<Size>,
        /// An attachment's file name has this pattern, such as `*.pdf`.
        attachment: Vec<String>,
        /// A part of the message has this media type, such as `text/calendar`.
        media_type: Vec<String>,
        /// Subject, text or a readable attachment contains a number of this type, or matches `regex:…`.
        contains: Vec<Content>,
    }

    /// A rule test; `sealgate check` runs them all.
    pub struct Expect {
        /// The message, a file.
        message: FilePath,
        /// Its envelope sender.
        from: Address,
        /// Its envelope recipient.
        to: Address,
        /// The protection that must come of it.
        protection: ProtectionName,
        /// The rule that must have decided.
        rule: Option<String>,
    }
}

words! {
    /// What a rule asks for, from weak to strong.
    pub enum ProtectionName {
        /// As it is.
        Plain = "plain",
        /// Verified TLS or nothing.
        Tls = "tls",
        /// By one of the channels.
        Secure = "secure",
        /// A person decides.
        Hold = "hold",
        /// Not at all.
        Refuse = "refuse",
    }

    /// A way to serve a secure recipient.
    pub enum ChannelName {
        /// Sealed to the other organisation's domain.
        Tunnel = "tunnel",
        /// Sealed to the recipient's own certificate.
        Personal = "personal",
        /// Read in the portal.
        Pickup = "pickup",
    }

    /// `policy.unreachable`.
    pub enum Unreachable {
        /// It waits for a person.
        Hold = "hold",
        /// The sender gets a delivery report.
        Refuse = "refuse",
    }

    /// `policy.unknown`.
    pub enum Unknown {
        /// Counts as a match.
        Match = "match",
        /// Counts as nothing.
        Ignore = "ignore",
    }
}

/// A regular expression, known to compile within bounds.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

/// One thing content may contain.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A number of this type.
    Number(NumberType),
    /// Something of this form.
    Pattern(Pattern),
}

/// A sensitivity label's GUID, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

/// Why a text is no condition's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionFault {
    /// The regular expression does not compile.
    #[error("not a regular expression: {0}")]
    Pattern(String),
    /// Neither a number type nor `regex:…`.
    #[error("neither a type of number nor regex:…")]
    Content,
    /// Not a GUID.
    #[error("not a GUID")]
    Label,
}

impl Pattern {
    /// The expression itself.
    #[must_use]
    pub fn regex(&self) -> &regex::Regex {
        &self.0
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Label {
    /// In lower case, with hyphens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = ConditionFault;

    fn from_str(text: &str) -> Result<Self, ConditionFault> {
        let built = regex::RegexBuilder::new(text).size_limit(PATTERN_OCTETS).build();
        built.map(Self).map_err(|fault| {
            // The crate draws the fault over several lines; the last of them says it.
            let said = fault.to_string();
            ConditionFault::Pattern(said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })
    }
}

impl FromStr for Content {
    type Err = ConditionFault;

    fn from_str(text: &str) -> Result<Self, ConditionFault> {
        match text.strip_prefix("regex:") {
            Some(pattern) => pattern.parse().map(Self::Pattern),
            None => text.parse().map(Self::Number).map_err(|_| ConditionFault::Content),
        }
    }
}

impl FromStr for Label {
    type Err = ConditionFault;

    fn from_str(text: &str) -> Result<Self, ConditionFault> {
        let groups: Vec<&str> = text.split('-').collect();
        let fits = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(ConditionFault::Label) }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Pattern(pattern) => write!(f, "regex:{pattern}"),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TextSetting for Pattern {
    const FORM: &'static str = "a regular expression";
}

impl TextSetting for Content {
    const FORM: &'static str = "a type of number such as \"se-personnummer\" or \"dk-cpr\", or \"regex:…\"";
}

impl TextSetting for Label {
    const FORM: &'static str = "a GUID such as \"8f1f2b2e-0000-4000-8000-000000000001\"";
}
