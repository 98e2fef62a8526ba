//! The header by which a proxy tells for whom it speaks: PROXY protocol version 2 (haproxy, `proxy-protocol.txt` §2.2).
//!
//! # Security
//! Whoever sends it can name any client, so it is read from peers that are trusted alone. What it says of itself is
//! bounded, and not an octet behind it is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What a header of version 1 begins with, which is a line of text (§2.1).
const VERSION_1: &[u8] = b"PROXY ";
/// Octets of signature, command, family and length.
const FIXED_OCTETS: usize = 16;
/// Octets of addresses and TLVs that are read: a header of haproxy with all its TLVs has some hundreds.
const REST_OCTETS: usize = 2_048;

/// For whom a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spoken {
    /// For itself: it looks whether we are there (`LOCAL`).
    ForItself,
    /// For the client at this address.
    For(SocketAddr),
}

/// Why what came is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// It begins otherwise: the peer speaks no PROXY protocol.
    #[error("no PROXY protocol header")]
    Signature,
    /// It begins as version 1 does.
    #[error("a PROXY protocol header of version 1: let the proxy send version 2 (`send-proxy-v2` of haproxy)")]
    Version1,
    /// Neither `LOCAL` nor `PROXY` of version 2.
    #[error("a version or command that is not known")]
    Command,
    /// A client that did not come by TCP over IPv4 or IPv6.
    #[error("the client came by another way than TCP")]
    Family,
    /// Shorter than its addresses, or longer than a header is.
    #[error("a length that does not fit")]
    Length,
    /// The connection ended before the header did.
    #[error("the connection ended within the header")]
    Ended,
}

/// Reads the header, and nothing behind it.
///
/// # Errors
/// What came is no header.
pub async fn read_proxy_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<Spoken, ProxyFault> {
    let mut header = vec![0; FIXED_OCTETS];
    stream.read_exact(&mut header).await.map_err(|_| ProxyFault::Ended)?;
    let rest = rest_of(&header)?;
    header.resize(FIXED_OCTETS + rest, 0);
    let behind = header.get_mut(FIXED_OCTETS..).unwrap_or_default();
    stream.read_exact(behind).await.map_err(|_| ProxyFault::Ended)?;
    parse_proxy_header(&header).map(|(spoken, _)| spoken)
}

/// Reads a header from the front of `octets`; gives how many of them it has.
///
/// # Errors
/// They do not begin with a whole header.
pub fn parse_proxy_header(octets: &[u8]) -> Result<(Spoken, usize), ProxyFault> {
    let rest = rest_of(octets)?;
    let (&[command, family], behind) = octets
        .get(SIGNATURE.len()..FIXED_OCTETS + rest)
        .and_then(|header| header.split_first_chunk::<2>())
        .ok_or(ProxyFault::Ended)?;
    let addresses = behind.get(2..).unwrap_or_default();
    let spoken = match (command, family) {
        // Whatever a LOCAL says of addresses is to be passed over.
        (0x20, _) => Spoken::ForItself,
        (0x21, 0x11) => Spoken::For(source_of::<4, 12>(addresses)?),
        (0x21, 0x21) => Spoken::For(source_of::<16, 36>(addresses)?),
        (0x21, _) => return Err(ProxyFault::Family),
        _ => return Err(ProxyFault::Command),
    };
    Ok((spoken, FIXED_OCTETS + rest))
}

/// Whether what a peer says first is a header of either version, or the beginning of one: for the log, where nobody asked
/// for it.
#[must_use]
pub fn begins_as_proxy_header(octets: &[u8]) -> bool {
    octets.starts_with(&SIGNATURE) || octets.starts_with(VERSION_1)
}

/// How many octets follow the fixed ones.
fn rest_of(octets: &[u8]) -> Result<usize, ProxyFault> {
    let fixed = octets.first_chunk::<FIXED_OCTETS>();
    if octets.starts_with(VERSION_1) {
        return Err(ProxyFault::Version1);
    }
    if !octets.starts_with(&SIGNATURE) {
        return Err(if fixed.is_none() && SIGNATURE.starts_with(octets) {
            ProxyFault::Ended
        } else {
            ProxyFault::Signature
        });
    }
    let [.., high, low] = fixed.ok_or(ProxyFault::Ended)?;
    let rest = usize::from(u16::from_be_bytes([*high, *low]));
    if rest > REST_OCTETS { Err(ProxyFault::Length) } else { Ok(rest) }
}

/// Source address, destination address, source port, destination port; TLVs may follow and say nothing that we need.
fn source_of<const N: usize, const ALL: usize>(block: &[u8]) -> Result<SocketAddr, ProxyFault>
where
    [u8; N]: Into<IpOctets>,
{
    let block = block.first_chunk::<ALL>().ok_or(ProxyFault::Length)?;
    let source = block.first_chunk::<N>().ok_or(ProxyFault::Length)?;
    let port = block.get(2 * N..).and_then(|ports| ports.first_chunk::<2>()).ok_or(ProxyFault::Length)?;
    let IpOctets(ip) = (*source).into();
    Ok(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)))
}

struct IpOctets(IpAddr);

impl From<[u8; 4]> for IpOctets {
    fn from(octets: [u8; 4]) -> Self {
        Self(Ipv4Addr::from(octets).into())
    }
}

impl From<[u8; 16]> for IpOctets {
    fn from(octets: [u8; 16]) -> Self {
        Self(Ipv6Addr::from(octets).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::net::proxy_protocol::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend_from_slice(rest);
        header
    }

    #[test]
    fn a_header_names_the_client_or_is_none() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        (six[15], six[32], six[33]) = (7, 0x9c, 0x40);
        let mut mapped = [0; 36];
        mapped[10..16].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 7]);
        let with_tlvs = [&four[..], &[0x04, 0, 3, 1, 2, 3], &[0xee, 0xff, 0xff]].concat();
        let to = |text: &str| Ok(Spoken::For(text.parse().unwrap()));
        for (name, octets, wanted) in [
            ("TCP4", header(0x21, 0x11, &four), to("192.0.2.7:40000")),
            ("TCP4 with TLVs, one of them torn", header(0x21, 0x11, &with_tlvs), to("192.0.2.7:40000")),
            ("TCP6", header(0x21, 0x21, &six), to("[2001:db8::7]:40000")),
            ("TCP6, IPv4 within", header(0x21, 0x21, &mapped), to("192.0.2.7:0")),
            ("LOCAL", header(0x20, 0x00, &[]), Ok(Spoken::ForItself)),
            ("LOCAL with addresses", header(0x20, 0x11, &four), Ok(Spoken::ForItself)),
            ("as long as may be", header(0x20, 0x00, &[0; REST_OCTETS]), Ok(Spoken::ForItself)),
            ("one longer", header(0x20, 0x00, &[0; REST_OCTETS + 1]), Err(ProxyFault::Length)),
            ("addresses cut off", header(0x21, 0x11, &four[..11]), Err(ProxyFault::Length)),
            ("IPv6 in the room of IPv4", header(0x21, 0x21, &four), Err(ProxyFault::Length)),
            ("UDP", header(0x21, 0x12, &four), Err(ProxyFault::Family)),
            ("UNIX", header(0x21, 0x31, &[0; 216]), Err(ProxyFault::Family)),
            ("nobody knows", header(0x21, 0x00, &[]), Err(ProxyFault::Family)),
            ("a third command", header(0x22, 0x11, &four), Err(ProxyFault::Command)),
            ("version 1 in binary", header(0x11, 0x11, &four), Err(ProxyFault::Command)),
            ("version 1", b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n".to_vec(), Err(ProxyFault::Version1)),
            ("plain SMTP", b"EHLO mx.live.example\r\n".to_vec(), Err(ProxyFault::Signature)),
            ("a line end", b"\r\n".to_vec(), Err(ProxyFault::Ended)),
            ("nothing", Vec::new(), Err(ProxyFault::Ended)),
        ] {
            assert_eq!(parse_proxy_header(&octets).map(|(spoken, _)| spoken), wanted, "{name}");
        }
    }

    #[test]
    fn a_header_that_nobody_asked_for_is_known_by_its_beginning() {
        let four = header(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25]);
        for begins in [&four[..], &SIGNATURE, b"PROXY UNKNOWN\r\n", b"PROXY TCP4 192.0.2.7"] {
            assert!(begins_as_proxy_header(begins), "{begins:?}");
        }
        for other in [&b""[..], b"\r\n", b"\r\n\r\n", b"PROXY\r\n", b"proxy tcp4", b"EHLO PROXY ", &four[1..]] {
            assert!(!begins_as_proxy_header(other), "{other:?}");
        }
    }

    #[tokio::test]
    async fn what_stands_behind_the_header_stays_there() {
        let four = [192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0, 25];
        let whole = header(0x21, 0x11, &four);
        let mut stream: &[u8] = &[&whole[..], b"EHLO mx\r\n"].concat();
        assert_eq!(read_proxy_header(&mut stream).await, Ok(Spoken::For("192.0.2.7:40000".parse().unwrap())));
        assert_eq!(stream, b"EHLO mx\r\n");
        for end in 0..whole.len() {
            assert_eq!(parse_proxy_header(&whole[..end]), Err(ProxyFault::Ended), "{end}");
            assert_eq!(read_proxy_header(&mut &whole[..end]).await, Err(ProxyFault::Ended), "{end}");
        }
    }
}
