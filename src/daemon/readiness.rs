//! Whether the house can take and promise mail.

use async_trait::async_trait;

use crate::control::Readiness;
use crate::daemon::kept::Kept;
use crate::daemon::name_servers::NameServers;
use crate::scan::Scanner;
use crate::store::{StoreError, Table};

/// A row that is written to see whether rows can be written.
const PROBE: Table = Table("daemon.probe");

/// All without which no mail is taken, or none of it goes anywhere.
pub(crate) struct Whole {
    pub(crate) kept: Kept,
    pub(crate) scanner: Option<Scanner>,
    pub(crate) name_servers: Option<NameServers>,
}

#[async_trait]
impl Readiness for Whole {
    async fn ready(&self) -> Result<(), Vec<String>> {
        let mut reasons = self.kept.reasons_against().await;
        if let Some(scanner) = &self.scanner
            && let Err(fault) = scanner.ping().await
        {
            reasons.push(format!(
                "{fault}: nothing is taken unseen; see that clamd runs and listens where `scan.clamd` says"
            ));
        }
        reasons.extend(self.name_servers.as_ref().and_then(NameServers::reason_against));
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

impl Kept {
    /// Why nothing can be kept or promised now; none if all is well.
    async fn reasons_against(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Err(mark) = self.marks.look() {
            reasons.push(mark.to_string());
        }
        let now = self.clock.now().unix_ms().to_be_bytes();
        match self.rows.commit(Box::new(move |tx| tx.put(PROBE, b"probe", &now))).await {
            Ok(()) => {}
            Err(fault @ StoreError::DiskIsFull) => {
                reasons
                    .push(format!("rows cannot be written: {fault}; make room for data_dir, nothing else is needed"));
            }
            Err(fault) => reasons.push(format!("rows cannot be written: {fault}")),
        }
        let locked = self.vault.locker().lock(b"probe");
        match locked.map(|locked| self.vault.unlock(self.vault.locker().epoch(), locked.as_bytes())) {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) | Err(fault) => reasons.push(format!("the vault does not lock and unlock: {fault}")),
        }
        if let Err(fault) = self.vault.files_are_there() {
            reasons.push(format!("a key is gone: {fault}"));
        }
        reasons
    }
}
