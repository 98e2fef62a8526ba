//! Whom to ask, and whom to believe.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::system_conf::read_system_conf;

/// Whom to ask, and whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Recursive name servers; none means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// Who validates.
    pub dnssec: Dnssec,
    /// A file with DNSKEY records to trust instead of the root's, for [`Dnssec::Own`].
    pub trust_anchor: Option<PathBuf>,
}

/// Who validates answers (RFC 4035 §5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// We do, from the trust anchor down.
    #[default]
    Own,
    /// The name servers do, all of them on this machine: their AD bit is believed (RFC 4035 §4.9.3).
    Resolver,
}

/// Known to be on loopback and to validate nothing.
const PASSING_ON: [(IpAddr, &str); 2] = [
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), "the forwarder of containers"),
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54)), "the forwarder of systemd-resolved"),
];

/// What is wrong with a file of trust anchors, if anything.
#[must_use]
pub fn fault_of_anchors(file: &Path) -> Option<String> {
    anchors(file).err()
}

pub(crate) fn anchors(file: &Path) -> Result<TrustAnchors, String> {
    let anchors = TrustAnchors::from_file(file).map_err(|fault| fault.to_string())?;
    if anchors.is_empty() { Err("no DNSKEY record in it".to_owned()) } else { Ok(anchors) }
}

/// What keeps the AD bit of the system's name servers from being believed, if anything.
#[must_use]
pub fn fault_of_system_resolvers() -> Option<String> {
    resolvers(&[]).err()
}

/// What keeps the AD bit of a name server from being believed, if anything: what comes over a network can be changed on its
/// way (RFC 4035 §4.9.3, RFC 7672 §2.2).
#[must_use]
pub fn fault_of_resolver(server: SocketAddr) -> Option<String> {
    let ip = server.ip().to_canonical();
    if !ip.is_loopback() {
        return Some(format!("{server} is not on this machine: its AD bit could be forged"));
    }
    let (_, who) = PASSING_ON.iter().find(|(forwarder, _)| *forwarder == ip)?;
    Some(format!("{server} is {who}: it passes on what others over the network say"))
}

/// The name servers whose AD bit is believed: those given, or the system's.
pub(crate) fn resolvers(given: &[SocketAddr]) -> Result<Vec<SocketAddr>, String> {
    let servers = if given.is_empty() { of_the_system()? } else { given.to_vec() };
    let origin = if given.is_empty() { " (the name server is named in /etc/resolv.conf)" } else { "" };
    match servers.iter().find_map(|server| fault_of_resolver(*server)) {
        Some(fault) => Err(format!("{fault}{origin}")),
        None => Ok(servers),
    }
}

fn of_the_system() -> Result<Vec<SocketAddr>, String> {
    let (config, _) = read_system_conf().map_err(|fault| format!("/etc/resolv.conf: {fault}"))?;
    let of = |server: &hickory_resolver::config::NameServerConfig| {
        server.connections.first().map(|connection| SocketAddr::new(server.ip, connection.port))
    };
    Ok(config.name_servers().iter().filter_map(of).collect())
}
