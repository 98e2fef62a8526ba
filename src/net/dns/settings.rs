//! Whom to ask, and whom to believe.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hickory_resolver::proto::dnssec::TrustAnchors;

/// Whom to ask, and whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Recursive name servers; none means those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// A file with DNSKEY records to trust instead of the root's.
    pub trust_anchor: Option<PathBuf>,
}

/// What is wrong with a file of trust anchors, if anything.
#[must_use]
pub fn fault_of_anchors(file: &Path) -> Option<String> {
    anchors(file).err()
}

pub(crate) fn anchors(file: &Path) -> Result<TrustAnchors, String> {
    let anchors = TrustAnchors::from_file(file).map_err(|fault| fault.to_string())?;
    if anchors.is_empty() { Err("no DNSKEY record in it".to_owned()) } else { Ok(anchors) }
}
