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

/// What the queue met, as a post box says it.
pub(crate) fn to_mailbox(fault: QueueError) -> MailboxError {
    match fault {
        QueueError::Store(fault) => MailboxError::Store(fault),
        QueueError::Vault(fault) => MailboxError::Vault(fault),
        QueueError::RowIsUnreadable(_) | QueueError::NoSuchItem(_) | QueueError::TooLong(_) => {
            MailboxError::RowIsUnreadable
        }
    }
}
