//! A mail domain, kept as the A-label and shown as the U-label.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mail::limits;

/// A domain name as it stands in an address or an EHLO (RFC 5321 §4.1.2, RFC 5890), lower case, A-labels.
///
/// An address literal (`[192.0.2.1]`) is not a `Domain`: sealgate takes none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Domain(String);

/// Why a text is not a [`Domain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainFault {
    /// Nothing between the dots, or nothing at all.
    #[error("a label of the domain is empty")]
    LabelIsEmpty,
    /// A label over 63 octets or a name over 255.
    #[error("the domain is too long")]
    TooLong,
    /// Not letters, digits and hyphens after conversion to A-labels.
    #[error("the domain has a character that no host name may have")]
    CharacterForbidden,
}

/// A domain, or with a dot in front all domains below one: `partner.example`, `.partner.example`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainPattern {
    domain: Domain,
    is_below: bool,
}

/// What is said of domains by patterns. Of several that fit, the nearest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByDomain<T>(BTreeMap<DomainPattern, T>);

impl DomainPattern {
    /// The domain, or the one whose subdomains are meant.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether the domains below it are meant, and not itself.
    #[must_use]
    pub fn is_below(&self) -> bool {
        self.is_below
    }
}

impl<T> ByDomain<T> {
    /// What is said of a domain: by its own name, else by the longest name that it lies below.
    #[must_use]
    pub fn get(&self, domain: &Domain) -> Option<&T> {
        self.nearest(domain).map(|(_, said)| said)
    }

    /// The same, with the pattern that says it.
    #[must_use]
    pub fn nearest(&self, domain: &Domain) -> Option<(&DomainPattern, &T)> {
        if self.0.is_empty() {
            return None;
        }
        let own = DomainPattern { domain: domain.clone(), is_below: false };
        let above = domain.0.match_indices('.').filter_map(|(at, _)| domain.0.get(at + 1..));
        let above = above.map(|name| DomainPattern { domain: Domain(name.to_owned()), is_below: true });
        std::iter::once(own).chain(above).find_map(|pattern| self.0.get_key_value(&pattern))
    }

    /// Each pattern with what is said by it.
    pub fn iter(&self) -> impl Iterator<Item = (&DomainPattern, &T)> {
        self.0.iter()
    }
}

impl<T> Default for ByDomain<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// Of two that say something by the same pattern the last counts.
impl<T> FromIterator<(DomainPattern, T)> for ByDomain<T> {
    fn from_iter<I: IntoIterator<Item = (DomainPattern, T)>>(said: I) -> Self {
        Self(said.into_iter().collect())
    }
}

impl FromStr for DomainPattern {
    type Err = DomainFault;

    fn from_str(text: &str) -> Result<Self, DomainFault> {
        let (domain, is_below) = text.strip_prefix('.').map_or((text, false), |domain| (domain, true));
        Ok(Self { domain: domain.parse()?, is_below })
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.is_below { "." } else { "" }, self.domain)
    }
}

impl fmt::Debug for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Domain {
    /// The A-label form, lower case: what goes into DNS and onto the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for people: U-labels where the name has any (RFC 5890).
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }
}

impl FromStr for Domain {
    type Err = DomainFault;

    fn from_str(text: &str) -> Result<Self, DomainFault> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() || bare.split('.').any(str::is_empty) {
            return Err(DomainFault::LabelIsEmpty);
        }
        if bare.len() > 4 * limits::DOMAIN_OCTETS {
            return Err(DomainFault::TooLong);
        }
        let ascii = idna::domain_to_ascii(bare).map_err(|_| DomainFault::CharacterForbidden)?;
        if ascii.is_empty() {
            return Err(DomainFault::LabelIsEmpty);
        }
        if ascii.len() > limits::DOMAIN_OCTETS || ascii.split('.').any(|label| label.len() > 63) {
            return Err(DomainFault::TooLong);
        }
        let fits = |label: &str| {
            !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !ascii.split('.').all(fits) {
            return Err(DomainFault::CharacterForbidden);
        }
        Ok(Self(ascii.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for Domain {
    type Error = DomainFault;

    fn try_from(text: String) -> Result<Self, DomainFault> {
        text.parse()
    }
}

impl From<Domain> for String {
    fn from(domain: Domain) -> Self {
        domain.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::domain::*;

    #[test]
    fn a_domain_is_kept_as_a_label_and_shown_as_u_label() {
        let domain: Domain = "Sundby.Example".parse().unwrap();
        assert_eq!(domain.as_str(), "sundby.example");
        let domain: Domain = "växjö.example".parse().unwrap();
        assert_eq!(domain.as_str(), "xn--vxj-qla6g.example");
        assert_eq!(domain.to_unicode(), "växjö.example");
    }

    #[test]
    fn of_patterns_the_nearest_counts() {
        let patterns = ["partner.example", ".partner.example", ".deep.partner.example", ".nordic", "Växjö.example"];
        let said: ByDomain<&str> = patterns.iter().map(|text| (text.parse().unwrap(), *text)).collect();
        for (domain, wanted) in [
            ("partner.example", Some("partner.example")),
            ("a.partner.example", Some(".partner.example")),
            ("a.b.partner.example", Some(".partner.example")),
            ("deep.partner.example", Some(".partner.example")),
            ("a.deep.partner.example", Some(".deep.partner.example")),
            ("otherpartner.example", None),
            ("example", None),
            ("nordic", None),
            ("x.nordic", Some(".nordic")),
            ("xn--vxj-qla6g.example", Some("Växjö.example")),
        ] {
            assert_eq!(said.get(&domain.parse().unwrap()).copied(), wanted, "{domain}");
        }
        assert!(["", ".", "..a", ".a b", "*.a"].iter().all(|text| text.parse::<DomainPattern>().is_err()));
        assert_eq!(".Partner.Example".parse::<DomainPattern>().unwrap().to_string(), ".partner.example");
    }

    #[test]
    fn what_no_host_name_may_be_is_refused() {
        let long = "a".repeat(64);
        for text in ["", ".", "a..b", ".a", "a b", "-a.example", "a-.example", "[192.0.2.1]", "a\r\nb", &long] {
            assert!(text.parse::<Domain>().is_err(), "{text:?}");
        }
    }
}
