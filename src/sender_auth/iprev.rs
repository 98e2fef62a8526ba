//! Whether an address and a name point to each other (RFC 8601 §2.7.3).

use std::net::IpAddr;

use crate::sender_auth::lookup::{Lookup, Unfound};

/// Names of one address that are followed.
const NAMES: usize = 10;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IprevResult {
    /// They do: this is the name.
    Pass(String),
    /// A name is there, and none of them points back.
    Fail,
    /// It cannot be found out now.
    TempError,
    /// The address has no name, or too much was asked about the message.
    PermError,
}

impl From<Unfound> for IprevResult {
    fn from(why: Unfound) -> Self {
        match why {
            Unfound::Unanswered => Self::TempError,
            Unfound::TooMany => Self::PermError,
        }
    }
}

/// Follows an address to its names and back.
pub(crate) async fn verify_iprev(lookup: Lookup<'_>, address: IpAddr) -> IprevResult {
    let names = match lookup.pointers(address).await {
        Ok(names) => names,
        Err(why) => return why.into(),
    };
    if names.is_empty() {
        return IprevResult::PermError;
    }
    let mut result = IprevResult::Fail;
    for name in names.into_iter().take(NAMES) {
        match lookup.addresses(&name, address.is_ipv6()).await {
            Ok(addresses) if addresses.contains(&address) => return IprevResult::Pass(name),
            Ok(_) => {}
            Err(why) => result = why.into(),
        }
    }
    result
}
