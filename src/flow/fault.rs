//! One word for faults of the modules below.

use crate::mailboxes::MailboxError;
use crate::queue::QueueError;
use crate::store::StoreError;

/// What a post box met, as the queue says it.
pub(crate) fn of_mailbox(fault: MailboxError) -> QueueError {
    match fault {
        MailboxError::Store(fault) => QueueError::Store(fault),
        MailboxError::Vault(fault) => QueueError::Vault(fault),
        MailboxError::RowIsUnreadable => QueueError::Store(StoreError::Damaged("a post box row".into())),
    }
}
