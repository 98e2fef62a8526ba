//! A range of IP addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::fault::setting::TextSetting;

/// A network in CIDR form (RFC 4632 §3.1), or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFault {
    /// No IP address before the slash.
    #[error("not an IP address or network")]
    AddressInvalid,
    /// No number of bits after it that fits the address.
    #[error("the number after the slash is no prefix length")]
    PrefixInvalid,
    /// The address has bits outside the prefix: the writer meant another network.
    #[error("the address has bits beyond its prefix")]
    HostBitsSet,
}

impl Network {
    /// Whether an address lies in the network. An IPv4 address that comes mapped into IPv6 (RFC 4291 §2.5.5.2) counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.address)
    }
}

impl FromStr for Network {
    type Err = NetworkFault;

    fn from_str(text: &str) -> Result<Self, NetworkFault> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| NetworkFault::AddressInvalid)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => whole,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= whole).ok_or(NetworkFault::PrefixInvalid)?,
        };
        if masked(address, prefix) != Some(address) {
            return Err(NetworkFault::HostBitsSet);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == whole { write!(f, "{}", self.address) } else { write!(f, "{}/{}", self.address, self.prefix) }
    }
}

impl TextSetting for Network {
    const FORM: &'static str = "an IP address or network such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\"";
}

/// The address with all bits after the prefix cleared; `None` if the prefix is too long for its family.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32_u32.checked_sub(u32::from(prefix))?).unwrap_or(0);
            Some(IpAddr::from((v4.to_bits() & kept).to_be_bytes()))
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX.checked_shl(128_u32.checked_sub(u32::from(prefix))?).unwrap_or(0);
            Some(IpAddr::from((v6.to_bits() & kept).to_be_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::network::*;

    #[test]
    fn a_network_contains_its_own_and_no_other() {
        let holds =
            |network: &str, address: &str| network.parse::<Network>().unwrap().contains(address.parse().unwrap());
        assert!(holds("127.0.0.0/8", "127.9.9.9"));
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!holds("127.0.0.0/8", "128.0.0.1"));
        assert!(!holds("10.0.0.0/8", "::a00:1"));
        assert!(holds("::1", "::1"));
        assert!(!holds("::1", "::2"));
        assert!(holds("0.0.0.0/0", "192.0.2.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        assert!(!holds("::/64", "10.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0.1/8", "::1/129", "10.0.0.0/", "10.0.0/8", "::/-1"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
