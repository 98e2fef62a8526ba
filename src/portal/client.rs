//! Where a request comes from, behind proxies that we believe.

use std::net::IpAddr;

use axum::http::HeaderMap;

use crate::fault::Network;

/// Who holds the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The client: the peer, or, behind trusted proxies, the last address in `X-Forwarded-For` that is none of them.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let fields = headers.get_all("x-forwarded-for").iter().filter_map(|field| field.to_str().ok());
    let named: Vec<&str> = fields.flat_map(|field| field.split(',')).map(str::trim).collect();
    let mut client = peer;
    for hop in named.iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Ok(ip) = hop.parse::<IpAddr>() else { break };
        client = ip;
    }
    client
}

#[cfg(test)]
mod tests {
    use crate::portal::client::*;

    #[test]
    fn only_a_trusted_proxy_tells_who_the_client_is() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2".parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let ask = |peer: &str| client(peer.parse().unwrap(), &headers, &trusted).to_string();
        assert_eq!(ask("10.0.0.1"), "198.51.100.7");
        assert_eq!(ask("192.0.2.1"), "192.0.2.1");
    }
}
