//! How much room there is.

use std::path::Path;

/// Octets that we may still write where this folder lies; `None` where the system does not tell.
#[must_use]
pub fn free_octets(folder: &Path) -> Option<u64> {
    let told = rustix::fs::statvfs(folder).ok()?;
    Some(told.f_bavail.saturating_mul(told.f_frsize))
}
