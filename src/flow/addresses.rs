//! The service addresses at `hostname`: `bounce+TOKEN@`, `thread+TOKEN@`, `noreply@`.

use serde::{Deserialize, Serialize};

use crate::mail::{Address, Domain, LocalPart, QueueId};
use crate::store::{Change, RowsHandle, StoreError, Table, Transaction, pages};
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
    /// The envelope sender of a notice.
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
    /// The envelope sender of a sealed message.
    SealedBounce {
        /// The message.
        about: QueueId,
        /// Its recipients in this envelope.
        recipients: Vec<Address>,
        /// The sender to be told.
        sender: Option<Address>,
        /// The message's subject.
        subject: String,
    },
    /// The envelope sender of what was opened, on its way inside.
    OpenedBounce {
        /// The message.
        about: QueueId,
    },
    /// The envelope sender of an answer from the portal.
    AnswerBounce {
        /// The message that was answered.
        about: QueueId,
        /// Where the author is notified.
        author: Address,
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

/// Whether this is who answers for our own host name (RFC 5321 §4.5.1, RFC 2142 §4): the organisation's postmaster does.
#[must_use]
pub fn is_postmaster(address: &Address, hostname: &Domain) -> bool {
    let local = address.local().as_str();
    address.domain() == hostname && ["postmaster", "abuse"].iter().any(|name| local.eq_ignore_ascii_case(name))
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
        Ok((token.clone(), TokenRow { key: self.key(&token), row: self.lock(bearing)? }))
    }

    /// What a token stands for; `None` if nobody minted it or its epoch's key is destroyed.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn bearing(&self, token: &Token) -> Result<Option<Bearing>, StoreError> {
        let Some(row) = self.rows.get(TOKENS, &self.key(token))? else { return Ok(None) };
        let (epoch, locked) = parts(&row)?;
        Ok(self.unlock(epoch, locked))
    }

    /// The change that makes a token stand for nothing any more. Of two at a time the second meets
    /// [`StoreError::Conflict`].
    #[must_use]
    pub fn spend(&self, token: &Token) -> Change {
        let key = self.key(token);
        Box::new(move |tx| {
            tx.get(TOKENS, &key)?.ok_or(StoreError::Conflict("the address is spent"))?;
            tx.delete(TOKENS, &key)
        })
    }

    /// Before an epoch ends: locks its threads to the newest one, so that a clerk's answer to an old answer still finds
    /// its way, and forgets what could bounce.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails or the lock cannot be made.
    pub async fn move_on(&self, from: Epoch) -> Result<(), StoreError> {
        let (mut threads, mut over) = (Vec::new(), Vec::new());
        for page in pages(&*self.rows, TOKENS) {
            for (key, row) in page? {
                let (epoch, locked) = parts(&row)?;
                match self.unlock(epoch, locked) {
                    _ if epoch != from => {}
                    Some(thread @ Bearing::Thread { .. }) => {
                        let row = self.lock(&thread).map_err(|fault| StoreError::Unavailable(fault.to_string()))?;
                        threads.push((key, row));
                    }
                    Some(
                        Bearing::Bounce { .. }
                        | Bearing::SealedBounce { .. }
                        | Bearing::OpenedBounce { .. }
                        | Bearing::AnswerBounce { .. },
                    )
                    | None => over.push(key),
                }
            }
        }
        let change = move |tx: &mut dyn Transaction| {
            threads.iter().try_for_each(|(key, row)| tx.put(TOKENS, key, row))?;
            over.iter().try_for_each(|key| tx.delete(TOKENS, key))
        };
        self.rows.commit(Box::new(change)).await
    }

    fn lock(&self, bearing: &Bearing) -> Result<Vec<u8>, VaultError> {
        let locker = self.vault.row_locker();
        let locked = locker.lock(&serde_json::to_vec(bearing).unwrap_or_default())?;
        Ok([&locker.epoch().number().to_be_bytes()[..], locked.as_bytes()].concat())
    }

    fn unlock(&self, epoch: Epoch, locked: &[u8]) -> Option<Bearing> {
        let plain = self.vault.unlock_row(epoch, locked).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    fn key(&self, token: &Token) -> [u8; 32] {
        self.vault.index().hash("service-address", token.to_string().as_bytes())
    }
}

fn parts(row: &[u8]) -> Result<(Epoch, &[u8]), StoreError> {
    let (epoch, locked) = row.split_first_chunk::<4>().ok_or_else(|| StoreError::Damaged("a token's row".into()))?;
    Ok((Epoch::from_number(u32::from_be_bytes(*epoch)), locked))
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
