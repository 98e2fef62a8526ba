//! A list of our recipients: an address or `@domain` a line.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use async_trait::async_trait;

use crate::mail::{Address, Domain};
use crate::policy::{RecipientCheck, Standing};

/// Octets of a list: a million addresses.
const OCTETS: u64 = 32 << 20;
/// Faults that are told of one list; the rest would be echoes.
const FAULTS: usize = 20;

/// The recipients of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientList {
    addresses: HashSet<String>,
    domains: HashSet<Domain>,
}

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is too long.
    #[error("larger than 32 MiB")]
    TooLong,
    /// It is no text.
    #[error("not UTF-8")]
    NotText,
    /// Nobody stands in it: all mail would be refused for good.
    #[error("nobody stands in it, and all mail would be refused")]
    Empty,
    /// A line is neither an address nor `@domain`. The line itself is not repeated.
    #[error("line {0}: neither an address nor @domain: {1}")]
    Line(usize, String),
}

impl RecipientList {
    /// Reads a list. Empty lines, and what stands behind `#` at the beginning of a line, say nothing.
    ///
    /// # Errors
    /// All that is wrong with it, the first twenty lines of that kind.
    pub fn read(path: &Path) -> Result<Self, Vec<ListFault>> {
        let unreadable = |fault: std::io::Error| vec![ListFault::Unreadable(fault.kind().to_string())];
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut octets = Vec::new();
        file.take(OCTETS + 1).read_to_end(&mut octets).map_err(unreadable)?;
        if octets.len() as u64 > OCTETS {
            return Err(vec![ListFault::TooLong]);
        }
        Self::parse(std::str::from_utf8(&octets).map_err(|_| vec![ListFault::NotText])?)
    }

    fn parse(text: &str) -> Result<Self, Vec<ListFault>> {
        let (mut list, mut faults) = (Self::default(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let read = match line.strip_prefix('@') {
                Some(domain) => domain.parse().map(|domain| _ = list.domains.insert(domain)).map_err(|f| f.to_string()),
                None => line
                    .parse::<Address>()
                    .map(|address| _ = list.addresses.insert(address.folded()))
                    .map_err(|f| f.to_string()),
            };
            if let Err(fault) = read {
                faults.push(ListFault::Line(number, fault));
                if faults.len() >= FAULTS {
                    break;
                }
            }
        }
        if faults.is_empty() && list.addresses.is_empty() && list.domains.is_empty() {
            faults.push(ListFault::Empty);
        }
        if faults.is_empty() { Ok(list) } else { Err(faults) }
    }
}

#[async_trait]
impl RecipientCheck for RecipientList {
    async fn standing(&self, recipient: &Address) -> Standing {
        let is_listed =
            self.domains.contains(recipient.domain()) || self.addresses.contains(recipient.folded().as_str());
        if is_listed { Standing::Known } else { Standing::Unknown }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::admission::list::*;

    #[tokio::test]
    async fn a_list_has_addresses_and_whole_domains() {
        let list = RecipientList::parse(
            "# people\r\nAnna.Berg@Sundby.example\n\n  \"bygg lov\"@sundby.example \n@skola.sundby.example\n",
        )
        .unwrap();
        for (address, wanted) in [
            ("anna.berg@sundby.example", Standing::Known),
            ("ANNA.BERG@SUNDBY.EXAMPLE", Standing::Known),
            ("\"bygg lov\"@sundby.example", Standing::Known),
            ("anyone@skola.sundby.example", Standing::Known),
            ("anna.berg+x@sundby.example", Standing::Unknown),
            ("ole@sundby.example", Standing::Unknown),
        ] {
            assert_eq!(list.standing(&address.parse().unwrap()).await, wanted, "{address}");
        }
    }

    #[test]
    fn each_line_that_is_no_recipient_is_told() {
        let faults = RecipientList::parse("anna@sundby.example\nanna\n@\nole@sundby.example OK\n").unwrap_err();
        let lines: Vec<String> = faults.iter().map(|fault| fault.to_string().chars().take(7).collect()).collect();
        assert_eq!(lines, ["line 2:", "line 3:", "line 4:"]);
        assert_eq!(RecipientList::parse(&"no\n".repeat(1_000)).unwrap_err().len(), FAULTS);
        let none = RecipientList::read(Path::new("/nonexistent/list")).unwrap_err();
        assert!(matches!(none.as_slice(), [ListFault::Unreadable(_)]));
    }
}
