//! A range of IP addresses, as `127.0.0.0/8` or `::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP network in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3); an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

/// Why a text is not a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// What stands before the slash is no IP address.
    #[error("the network does not begin with an IP address")]
    AddressUnreadable,
    /// What stands behind the slash is no length of 0 to 32, or to 128 for IPv6.
    #[error("the length behind the slash is not 0 to 32 (IPv6: 0 to 128)")]
    PrefixOutOfRange,
    /// `10.0.0.1/8`: bits are set behind the prefix, so which network is meant is not sure.
    #[error("the address has bits set behind its prefix")]
    HostBitsSet,
}

impl Network {
    /// Whether the address lies in the network. An IPv4 address that comes as IPv6 (`::ffff:127.0.0.1`) counts as
    /// what it is.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && masked(ip, self.prefix) == bits(self.first)
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NetworkFault::AddressUnreadable)?;
        let prefix = match prefix {
            None => width(first),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= width(first)).ok_or(NetworkFault::PrefixOutOfRange)?
            }
            Some(_) => return Err(NetworkFault::PrefixOutOfRange),
        };
        if masked(first, prefix) != bits(first) {
            return Err(NetworkFault::HostBitsSet);
        }
        Ok(Self { first, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.first) {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}/{}", self.first, self.prefix)
        }
    }
}

fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address as a number, its first bit leftmost.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn masked(ip: IpAddr, prefix: u32) -> u128 {
    // A shift by all 128 bits is not defined; then no bit counts.
    bits(ip) & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::net::network::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        for (network, inside, outside) in [
            ("127.0.0.0/8", "127.255.0.1", "128.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.100"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("::1", "::1", "::2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "203.0.113.9"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(parsed.to_string(), network);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "localhost", "127.0.0.0/33", "::/129", "127.0.0.0/", "127.0.0.0/+8", "127.0.0.1/8", "::1/64"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
