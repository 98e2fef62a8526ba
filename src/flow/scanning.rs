//! What the malware scanner says about a message that is kept and not promised yet.

use std::net::{IpAddr, Ipv4Addr};

use zeroize::Zeroizing;

use crate::net::{Rate, RateLimit};
use crate::queue::{Origin, QueueError, ReceptionError, Spool};
use crate::scan::{Finding, Scanner};
use crate::store::PreparedBody;
use crate::vault::Vault;

/// How the names of rules begin that are the scanner's findings.
pub(crate) const FOUND: &str = "scan: ";

/// clamd knows mail by its first field, and decodes nothing of what it does not take for mail: so no sender has the
/// choice of that field.
const MAIL_BEGINS: &[u8] = b"Received: by sealgate\r\n";

/// Messages from outside that are held in an hour for what was found in them. What is held stays until a person has decided:
/// whoever sends malware by the thousand would fill the disk, and keep all other mail out.
const HELD_FROM_OUTSIDE: Rate = Rate::per_hour(60);
/// All who are outside count as one.
const ANYBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A scanner, and what is done with what it finds. Cheap to clone.
#[derive(Clone)]
pub struct Scanning {
    /// The scanner.
    pub scanner: Scanner,
    /// What it finds something in is refused rather than held.
    pub refuses: bool,
    /// How much from outside was held lately.
    pub held_from_outside: RateLimit,
}

impl Scanning {
    /// Shows the message to the scanner, as it was kept: the name of the rule that holds it, if anything was found.
    ///
    /// # Errors
    /// The refusal; or the scanner cannot tell, and the peer is to try again.
    pub(crate) async fn look_at(
        &self,
        origin: Origin,
        body: &PreparedBody,
        spool: &Spool,
        vault: &Vault,
    ) -> Result<Option<String>, ReceptionError> {
        let rule = match self.finding(b"", (body, 0), spool, vault).await? {
            Finding::Clean => return Ok(None),
            Finding::Found(name) => format!("{FOUND}{name}"),
            Finding::TooLarge => format!("{FOUND}larger than the scanner takes"),
        };
        let is_refused = self.refuses || !self.may_hold(origin);
        tracing::warn!(rule, refused = is_refused, "the scanner objects to a message");
        if is_refused {
            return Err(ReceptionError::Refused { status: "5.7.1", text: format!("not taken ({rule})") });
        }
        Ok(Some(rule))
    }

    /// Shows to the scanner what was opened, as it is handed on: the name of the rule that holds it, if anything was found.
    ///
    /// # Errors
    /// The scanner cannot tell: it is to be asked again.
    pub(crate) async fn look_inside(
        &self,
        head: &[u8],
        body: (&PreparedBody, u64),
        spool: &Spool,
        vault: &Vault,
    ) -> Result<Option<String>, ReceptionError> {
        let found = match self.finding(head, body, spool, vault).await? {
            Finding::Clean => return Ok(None),
            Finding::Found(name) => name,
            Finding::TooLarge => "larger than the scanner takes".to_owned(),
        };
        tracing::warn!(found, "the scanner objects to what was opened");
        Ok(Some(format!("{FOUND}{found}")))
    }

    /// Counts a message that is to be held, and tells whether it may be.
    fn may_hold(&self, origin: Origin) -> bool {
        origin == Origin::Outbound || self.held_from_outside.take(ANYBODY, HELD_FROM_OUTSIDE)
    }

    async fn finding(
        &self,
        head: &[u8],
        (body, skip): (&PreparedBody, u64),
        spool: &Spool,
        vault: &Vault,
    ) -> Result<Finding, ReceptionError> {
        let untold = |fault: crate::scan::ScanFault| ReceptionError::Unavailable(fault.to_string());
        let mut scan = self.scanner.begin(body.body_ref().plain_length).await.map_err(untold)?;
        scan.write(MAIL_BEGINS).await.map_err(untold)?;
        scan.write(head).await.map_err(untold)?;
        let mut skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut locked = spool.bodies().read_prepared(body).await.map_err(QueueError::from)?;
        let mut unlocking = vault.unlocking(body.body_ref().epoch).map_err(QueueError::from)?;
        let mut plain = Zeroizing::new(Vec::new());
        while let Some(chunk) = locked.next().await.map_err(QueueError::from)? {
            unlocking.write(&chunk, &mut plain).map_err(QueueError::from)?;
            scan.write(behind(&plain, &mut skip)).await.map_err(untold)?;
            plain.clear();
        }
        unlocking.finish(&mut plain).map_err(QueueError::from)?;
        scan.write(behind(&plain, &mut skip)).await.map_err(untold)?;
        scan.finish().await.map_err(untold)
    }
}

/// What stands behind the octets that are still to be passed over.
fn behind<'p>(plain: &'p [u8], skip: &mut usize) -> &'p [u8] {
    let passed = (*skip).min(plain.len());
    *skip -= passed;
    plain.get(passed..).unwrap_or_default()
}
