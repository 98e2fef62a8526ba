//! What a domain says of its hosts by MTA-STS: the record and the policy file (RFC 8461 §3.1, §3.2).

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mail::Domain;

/// The longest a policy may count, in seconds (RFC 8461 §3.2).
const MAX_AGE: u64 = 31_557_600;
/// Host patterns of one policy that are read.
const PATTERNS: usize = 100;
/// Characters of a policy's id (RFC 8461 §3.1).
const ID_LENGTH: usize = 32;

/// A domain's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsPolicy {
    /// What it asks.
    pub mode: Mode,
    /// Its hosts, in lower case; `*.` stands for one label.
    pub hosts: Vec<String>,
    /// How long it counts, in seconds.
    pub max_age: u64,
}

/// What a policy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Its hosts under verified TLS, or no delivery.
    Enforce,
    /// A report where that fails, and delivery all the same.
    Testing,
    /// Nothing.
    None,
}

/// Why a text is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StsFault {
    /// It does not say `version: STSv1`.
    #[error("the policy is of another version")]
    VersionIsAnother,
    /// Its mode is missing or unknown.
    #[error("the policy's mode is missing or unknown")]
    ModeIsUnknown,
    /// `max_age` is missing or no number.
    #[error("the policy's max_age is missing or no number")]
    AgeIsInvalid,
    /// It names no host.
    #[error("the policy names no host")]
    NamesNoHost,
}

impl FromStr for StsPolicy {
    type Err = StsFault;

    /// Of each key that may stand once, the first counts; unknown ones say nothing.
    fn from_str(text: &str) -> Result<Self, StsFault> {
        let fields =
            || text.lines().filter_map(|line| line.split_once(':')).map(|(key, value)| (key.trim(), value.trim()));
        let first = |key: &str| fields().find(|(name, _)| *name == key).map(|(_, value)| value);
        if first("version") != Some("STSv1") {
            return Err(StsFault::VersionIsAnother);
        }
        let mode = match first("mode") {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            Some(_) | None => return Err(StsFault::ModeIsUnknown),
        };
        let age: Option<u64> = first("max_age").and_then(|age| age.parse().ok());
        let max_age = age.ok_or(StsFault::AgeIsInvalid)?.min(MAX_AGE);
        let hosts = fields().filter(|(key, value)| *key == "mx" && !value.is_empty());
        let hosts: Vec<String> = hosts.take(PATTERNS).map(|(_, value)| value.to_ascii_lowercase()).collect();
        if hosts.is_empty() && mode != Mode::None {
            return Err(StsFault::NamesNoHost);
        }
        Ok(Self { mode, hosts, max_age })
    }
}

impl StsPolicy {
    /// The policy as a domain would write it, line by line.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        let head = ["version: STSv1".to_owned(), format!("mode: {mode}")];
        let hosts = self.hosts.iter().map(|host| format!("mx: {host}"));
        head.into_iter().chain(hosts).chain([format!("max_age: {}", self.max_age)]).collect()
    }

    /// Whether a host is one of its hosts (RFC 8461 §4.1).
    #[must_use]
    pub fn covers(&self, host: &Domain) -> bool {
        let host = host.as_str();
        self.hosts.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(above)),
            None => host.eq_ignore_ascii_case(pattern),
        })
    }
}

/// The id in the texts of `_mta-sts.DOMAIN`; `None` unless exactly one of them is a record of this kind.
#[must_use]
pub fn record_id(texts: &[String]) -> Option<String> {
    let mut records = texts.iter().filter(|text| {
        let version = text.split(';').next().unwrap_or_default();
        version.trim_end() == "v=STSv1"
    });
    let (Some(record), None) = (records.next(), records.next()) else { return None };
    let ids = record.split(';').filter_map(|field| field.split_once('='));
    let id =
        ids.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == "id").map(|(_, value)| value)?;
    let is_id = (1..=ID_LENGTH).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::delivery::smtp::sts_policy::*;

    const POLICY: &str =
        "version: STSv1\r\nmode: enforce\r\nmx: mx1.Sundby.example\r\nmx: *.mail.example\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_is_read() {
        let policy: StsPolicy = POLICY.parse().unwrap();
        assert_eq!((policy.mode, policy.max_age, policy.hosts.len()), (Mode::Enforce, 604_800, 2));
        assert_eq!("version:STSv1\nmode:none\nmax_age:99999999999".parse::<StsPolicy>().unwrap().max_age, 31_557_600);
        let twice = POLICY.replace("mode: enforce", "mode: enforce\r\nmode: none\r\nnew: thing");
        assert_eq!(twice.parse::<StsPolicy>().unwrap().mode, Mode::Enforce);
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for (from, to, fault) in [
            ("STSv1", "STSv2", StsFault::VersionIsAnother),
            ("enforce", "enforced", StsFault::ModeIsUnknown),
            ("604800", "a week", StsFault::AgeIsInvalid),
            ("mx:", "nx:", StsFault::NamesNoHost),
        ] {
            assert_eq!(POLICY.replace(from, to).parse::<StsPolicy>(), Err(fault), "{to}");
        }
        assert_eq!("<html>".parse::<StsPolicy>(), Err(StsFault::VersionIsAnother));
    }

    #[test]
    fn a_star_is_one_label() {
        let policy: StsPolicy = POLICY.parse().unwrap();
        for (host, covers) in [
            ("mx1.sundby.example", true),
            ("MX1.SUNDBY.EXAMPLE", true),
            ("mx2.sundby.example", false),
            ("a.mail.example", true),
            ("a.b.mail.example", false),
            ("mail.example", false),
            ("xmail.example", false),
        ] {
            assert_eq!(policy.covers(&host.parse().unwrap()), covers, "{host}");
        }
    }

    #[test]
    fn one_record_and_only_one_counts() {
        let id = |texts: &[&str]| record_id(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(id(&["v=STSv1; id=20260101T000000;"]).as_deref(), Some("20260101T000000"));
        assert_eq!(id(&["v=spf1 -all", "v=STSv1;id=1"]).as_deref(), Some("1"));
        assert_eq!(id(&["v=STSv1; id=1", "v=STSv1; id=2"]), None);
        for text in ["v=STSv1", "v=STSv12; id=1", "v=STSv1; id=a-b", "v=STSv1; id=", "id=1; v=STSv1"] {
            assert_eq!(id(&[text]), None, "{text}");
        }
    }
}
