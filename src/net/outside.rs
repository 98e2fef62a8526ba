//! Which addresses lie in the open internet. Its records are written by strangers, and must not lead to hosts inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::fault::Network;

/// Special IPv4 networks that are reached by nobody, or by those inside alone (RFC 6890, RFC 5737, RFC 6598).
const SPECIAL_4: [(Ipv4Addr, u32); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// Special networks within what is given to hosts of the open internet, `2000::/3` (RFC 6890, RFC 9637): protocols'
/// own with Teredo and ORCHID, documentation, 6to4.
const SPECIAL_6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
const OPEN_6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// IPv4 as a translator shows it (RFC 6052 §2.1): it counts as what it is.
const TRANSLATED: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// The open internet, and what of the networks inside may be called as if it were part of it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    besides: Arc<[Network]>,
}

impl Outside {
    /// The open internet and these networks.
    #[must_use]
    pub fn and(besides: &[Network]) -> Self {
        Self { besides: besides.into() }
    }

    /// Whether a host that a stranger's records name may be called there. This machine never is.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let address = seen(address);
        let is_named = || self.besides.iter().any(|network| network.contains(address));
        !is_here(address) && !address.is_multicast() && (is_open(address) || is_named())
    }
}

/// Whether an address is this machine's, whoever says it.
#[must_use]
pub fn is_here(address: IpAddr) -> bool {
    let address = seen(address);
    address.is_loopback() || address.is_unspecified()
}

fn seen(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if within_6(six, TRANSLATED) => {
            let [.., a, b, c, d] = six.octets();
            IpAddr::from([a, b, c, d])
        }
        address => address,
    }
}

fn is_open(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => !SPECIAL_4.iter().any(|network| within_4(four, *network)),
        IpAddr::V6(six) => within_6(six, OPEN_6) && !SPECIAL_6.iter().any(|network| within_6(six, *network)),
    }
}

fn within_4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

fn within_6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use crate::net::outside::*;

    #[test]
    fn the_open_internet_ends_where_inside_begins() {
        let open = Outside::default();
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "0.0.0.0",
            "::",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "240.0.0.1",
            "10.0.0.1",
            "::ffff:10.1.2.3",
            "64:ff9b::10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "fe80::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::1",
            "3fff::1",
            "::7f00:1",
            "fec0::1",
            "100::1",
            "64:ff9b:1::1",
            "5f00::1",
        ] {
            assert!(!open.has(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2a00:1450::1",
            "2620:0:ccc::2",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(open.has(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_called_but_never_this_machine() {
        let named = ["10.1.0.0/16", "fd12::/16", "127.0.0.0/8", "::/0"].map(|text| text.parse().unwrap());
        let outside = Outside::and(&named);
        for (address, may_be) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("ff02::1", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(outside.has(address.parse().unwrap()), may_be, "{address}");
        }
    }
}
