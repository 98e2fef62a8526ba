//! The service addresses at `hostname`: `bounce+TOKEN@`, `thread+TOKEN@`, `noreply@`.

use serde::{Deserialize, Serialize};

use crate::mail::{Address, Domain, LocalPart, QueueId};
use crate::store::{RowsHandle, StoreError, Table, Transaction};
use crate::vault::{Epoch, Token, Vault, VaultError};

/// Keyed hash of a token → what it stands for, locked.
const TOKENS: Table = Table("flow.tokens");

/// A recipient at our own `hostname`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceAddress {
    /// `bounce+TOKEN@`: what we sent comes back.
    Bounce(Token),
    /// `thread+TOKEN@`: an answer's author; mail to it stays in the secure thread.
    Thread(Token),
    /// `noreply@`: somebody answered a notice.
    NoReply,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearing {
    /// The envelope sender of what we wrote or opened.
    Bounce {
        /// The message it was about.
        about: QueueId,
        /// The recipient of that message it concerns, if it was a notice.
        recipient: Option<Address>,
        /// The sender to be told.
        sender: Option<Address>,
        /// The message's subject.
        subject: String,
    },
    /// An author who answered in the portal.
    Thread {
        /// The message that was answered.
        about: QueueId,
        /// Which of its recipients answered.
        place: u16,
        /// Where that person is notified.
        recipient: Address,
        /// The person whose message it stays.
        person: [u8; 16],
    },
}

impl ServiceAddress {
    /// The service address this is, if it is one.
    #[must_use]
    pub fn of(address: &Address, hostname: &Domain) -> Option<Self> {
        if address.domain() != hostname {
            return None;
        }
        let local = address.local().as_str().to_ascii_lowercase();
        match local.split_once('+') {
            Some(("bounce", token)) => token.parse().ok().map(Self::Bounce),
            Some(("thread", token)) => token.parse().ok().map(Self::Thread),
            Some(_) => None,
            None => (local == "noreply").then_some(Self::NoReply),
        }
    }

    /// `bounce+TOKEN@hostname` and the like.
    #[must_use]
    pub fn to_address(&self, hostname: &Domain) -> Option<Address> {
        let local = match self {
            Self::Bounce(token) => format!("bounce+{token}"),
            Self::Thread(token) => format!("thread+{token}"),
            Self::NoReply => "noreply".to_owned(),
        };
        local.parse::<LocalPart>().ok().map(|local| Address::new(local, hostname.clone()))
    }
}

/// What tokens stand for. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    rows: RowsHandle,
    vault: Vault,
}

/// A token's row, locked and ready to be written.
pub struct TokenRow {
    key: [u8; 32],
    row: Vec<u8>,
}

impl Tokens {
    /// Tokens in these rows.
    #[must_use]
    pub fn new(rows: RowsHandle, vault: Vault) -> Self {
        Self { rows, vault }
    }

    /// A fresh token for this bearing, and the row that makes it known.
    ///
    /// # Errors
    /// [`VaultError`] if the lock cannot be made.
    pub fn mint(&self, bearing: &Bearing) -> Result<(Token, TokenRow), VaultError> {
        let token = Token::random()?;
        let locker = self.vault.row_locker();
        let locked = locker.lock(&serde_json::to_vec(bearing).unwrap_or_default())?;
        let row = [&locker.epoch().number().to_be_bytes()[..], locked.as_bytes()].concat();
        Ok((token.clone(), TokenRow { key: self.key(&token), row }))
    }

    /// What a token stands for; `None` if nobody minted it or its epoch's key is destroyed.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn bearing(&self, token: &Token) -> Result<Option<Bearing>, StoreError> {
        let Some(row) = self.rows.get(TOKENS, &self.key(token))? else { return Ok(None) };
        let Some((epoch, locked)) = row.split_first_chunk::<4>() else {
            return Err(StoreError::Damaged("a token's row".into()));
        };
        let plain = self.vault.unlock_row(Epoch::from_number(u32::from_be_bytes(*epoch)), locked);
        Ok(plain.ok().and_then(|plain| serde_json::from_slice(&plain).ok()))
    }

    fn key(&self, token: &Token) -> [u8; 32] {
        self.vault.index().hash("service-address", token.to_string().as_bytes())
    }
}

impl TokenRow {
    /// Makes the token known, in the transaction that first uses it.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn write(&self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        tx.put(TOKENS, &self.key, &self.row)
    }
}
