//! Conditions: what a rule looks at.

use regex::Regex;

use crate::mail::{Address, Domain, find_folded};
use crate::policy::facts::Facts;

/// One condition of a rule, or a group of them. Lists mean *any of*.
#[derive(Debug, Clone)]
pub enum Condition {
    /// One of these tags stands in the subject, in any letter case.
    SubjectTag(Vec<String>),
    /// The decoded subject matches.
    Subject(Regex),
    /// A field of this name has one of these values, in any letter case.
    HeaderIs(String, Vec<String>),
    /// A field of this name matches.
    HeaderMatches(String, Regex),
    /// `Sensitivity` has one of these values (RFC 2156), in any letter case.
    Sensitivity(Vec<String>),
    /// `msip_labels` names one of these labels (GUIDs) as enabled.
    Label(Vec<String>),
    /// The envelope sender fits one of these.
    From(Vec<Pattern>),
    /// The envelope sender is of one of these domains.
    FromDomain(Vec<Domain>),
    /// The recipient fits one of these.
    To(Vec<Pattern>),
    /// The recipient is of one of these domains, or of one below it.
    ToDomain(Vec<Domain>),
    /// The message has more octets.
    SizeOver(u64),
    /// An attachment's name fits one of these.
    Attachment(Vec<Pattern>),
    /// A part is of one of these media types (`text/calendar`, `image/*`).
    MediaType(Vec<Pattern>),
    /// One of these was found (places in the rules' list of searches), or something could not be read.
    Contains(Vec<usize>),
    /// One of these holds.
    Any(Vec<Condition>),
    /// All of these hold.
    All(Vec<Condition>),
    /// None of these holds.
    Not(Vec<Condition>),
}

/// A pattern with `*` for any text and `?` for any character, in any letter case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<char>);

impl Pattern {
    /// The pattern this text is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().chars().collect())
    }

    /// Whether a text fits. Takes time in the product of both lengths at most.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let (mut p, mut t) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match self.0.get(p) {
                Some('*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(c) if *c == '?' || Some(c) == text.get(t) => {
                    p += 1;
                    t += 1;
                }
                Some(_) | None => match star {
                    None => return false,
                    Some((at, taken)) => {
                        star = Some((at, taken + 1));
                        p = at + 1;
                        t = taken + 1;
                    }
                },
            }
        }
        self.0.iter().skip(p).all(|c| *c == '*')
    }
}

impl Condition {
    /// Whether it holds for this recipient. `when_unknown` is the answer where nobody here can read what it asks for, and
    /// unless that is to be ignored (`policy.unknown`): yes where it protects, no where it would not.
    #[must_use]
    pub fn holds(&self, facts: &Facts, recipient: &Address, when_unknown: bool) -> bool {
        let unknown = when_unknown && facts.unknown_matches;
        match self {
            Self::SubjectTag(tags) => {
                facts.says(&facts.subject, when_unknown, |text| tags.iter().any(|tag| find_folded(text, tag).is_some()))
            }
            Self::Subject(regex) => facts.says(&facts.subject, when_unknown, |text| regex.is_match(text)),
            Self::HeaderIs(name, values) => {
                has_field(facts, name, when_unknown, |text| values.iter().any(|value| same(text, value)))
            }
            Self::HeaderMatches(name, regex) => has_field(facts, name, when_unknown, |text| regex.is_match(text)),
            Self::Sensitivity(values) => {
                has_field(facts, "Sensitivity", when_unknown, |text| values.iter().any(|value| same(text, value)))
            }
            Self::Label(labels) => has_field(facts, "msip_labels", when_unknown, |text| has_label(text, labels)),
            Self::From(patterns) => {
                facts.plain_sender().is_some_and(|sender| patterns.iter().any(|pattern| pattern.fits(&sender.folded())))
            }
            Self::FromDomain(domains) => facts.sender.mailbox().is_some_and(|sender| domains.contains(sender.domain())),
            Self::To(patterns) => patterns.iter().any(|pattern| pattern.fits(&recipient.folded())),
            Self::ToDomain(domains) => domains.iter().any(|domain| is_below(recipient.domain(), domain)),
            Self::SizeOver(octets) => facts.size > *octets,
            Self::Attachment(patterns) => {
                (facts.has_more_attachments && unknown)
                    || facts.attachments.iter().any(|name| patterns.iter().any(|pattern| pattern.fits(name)))
            }
            Self::MediaType(patterns) => {
                facts.media_types.iter().any(|media| patterns.iter().any(|pattern| pattern.fits(media)))
            }
            Self::Contains(searches) => {
                (facts.unreadable.is_some() && unknown)
                    || searches.iter().any(|search| facts.found.get(*search) == Some(&true))
            }
            Self::Any(conditions) => conditions.iter().any(|c| c.holds(facts, recipient, when_unknown)),
            Self::All(conditions) => conditions.iter().all(|c| c.holds(facts, recipient, when_unknown)),
            // What cannot be read must not switch a rule off.
            Self::Not(conditions) => !conditions.iter().any(|c| c.holds(facts, recipient, !when_unknown)),
        }
    }
}

fn has_field(facts: &Facts, name: &str, when_unknown: bool, fits: impl Fn(&str) -> bool) -> bool {
    facts.header.all(name).any(|field| facts.says(&field.decoded(), when_unknown, &fits))
}

fn same(found: &str, wanted: &str) -> bool {
    found.trim().to_lowercase() == wanted.to_lowercase()
}

fn is_below(domain: &Domain, above: &Domain) -> bool {
    domain == above || domain.as_str().strip_suffix(above.as_str()).is_some_and(|rest| rest.ends_with('.'))
}

/// `MSIP_Label_<GUID>_Enabled=true; …`: matched by GUID, never by the name people see (Microsoft, label metadata).
fn has_label(value: &str, labels: &[String]) -> bool {
    value.split(';').any(|entry| {
        let Some((key, state)) = entry.split_once('=') else { return false };
        let key = key.trim().to_ascii_lowercase();
        let guid = key.strip_prefix("msip_label_").and_then(|rest| rest.strip_suffix("_enabled"));
        guid.is_some_and(|guid| {
            state.trim().eq_ignore_ascii_case("true") && labels.iter().any(|label| same(guid, label))
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::condition::*;

    #[test]
    fn patterns_fit_in_any_letter_case_and_in_bounded_time() {
        for (pattern, text, fits) in [
            ("*.pdf", "Beslut.PDF", true),
            ("*.pdf", "beslut.pdf.exe", false),
            ("a?c", "aåc", true),
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("text/*", "text/calendar", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(text), fits, "{pattern} {text}");
        }
        assert!(!Pattern::new(&"*a".repeat(50)).fits(&"a".repeat(49)));
    }

    #[test]
    fn labels_match_by_guid_and_only_when_enabled() {
        let labels = ["8f1f2b2e-0000-4000-8000-000000000001".to_owned()];
        let value = "MSIP_Label_8F1F2B2E-0000-4000-8000-000000000001_Enabled=true; MSIP_Label_8f1f2b2e-0000-4000-8000-000000000001_Name=X";
        assert!(has_label(value, &labels));
        assert!(!has_label(&value.replace("=true", "=false"), &labels));
        assert!(!has_label("MSIP_Label_other_Name=8f1f2b2e-0000-4000-8000-000000000001", &labels));
    }

    #[test]
    fn a_domain_below_counts_and_one_that_ends_alike_does_not() {
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        assert!(is_below(&domain("mail.live.example"), &domain("live.example")));
        assert!(!is_below(&domain("alive.example"), &domain("live.example")));
    }
}
