//! The post boxes: messages put in, found and read.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use crate::mail::{Address, QueueId};
use crate::mailboxes::damage::{Damage, DamagedRow};
use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::{Binding, Identified, PersonId};
use crate::mailboxes::stored::{Deposit, Milestones, Sent, Stored, StoredId};
use crate::mailboxes::table::{
    BINDINGS, BY_PERSON, BY_TOKEN, BindingRow, EXPIRY, NEWS, PERSONS, PersonRow, SENT, STORED, StoredRow, THREADS,
    UNCLAIMED, UNREAD, expiry_key, open, person_key, unclaimed_key, unread_key,
};
use crate::net::{Clock, Time};
use crate::records::{Event, EventKind, Journal};
use crate::store::{
    Bodies, Row, RowsHandle, StoreError, Table, Transaction, decode_row, encode_row, lock_value, unlock_value,
};
use crate::telemetry::Metrics;
use crate::vault::{Token, Vault, random_octets};

/// Messages listed at most.
const LISTED: usize = 1_000;
/// News: it was opened.
pub(crate) const OPENED: u8 = b'o';

/// All post boxes. Cheap to clone.
#[derive(Clone)]
pub struct PostBox {
    pub(crate) rows: RowsHandle,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) vault: Vault,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) damage: Damage,
    bell: Arc<Notify>,
}

/// A message about to be put into a post box: locked, with the token its notice will carry.
pub struct Deposited {
    token: Token,
    id: StoredId,
    row: StoredRow,
    locked: Vec<u8>,
    thread: Option<[u8; 32]>,
    bodies: Arc<Bodies>,
}

/// A stored message as a listing shows it.
#[derive(Debug, Clone)]
pub struct Found {
    /// Which.
    pub id: StoredId,
    /// How far it has come.
    pub milestones: Milestones,
    /// When it cannot be read any more.
    pub expires: Time,
    /// Whose it is, once that is known.
    pub person: Option<PersonId>,
    /// What is known of it; `None` once it ended, and where nobody can read it.
    pub stored: Option<Stored>,
    /// Its row is damaged: nobody can read it.
    pub is_damaged: bool,
}

impl PostBox {
    /// Post boxes over these rows and bodies.
    #[must_use]
    pub fn new(
        rows: RowsHandle,
        bodies: Arc<Bodies>,
        vault: Vault,
        journal: Journal,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self { rows, bodies, vault, journal, clock, damage: Damage::new(metrics), bell: Arc::new(Notify::new()) }
    }

    /// Locks a message for a post box and makes the token of its notice. Nothing is written yet.
    ///
    /// # Errors
    /// [`MailboxError`] if the lock or the medium fails.
    pub fn prepare(&self, deposit: Deposit) -> Result<Deposited, MailboxError> {
        let token = Token::random()?;
        let Deposit { id, now, expires, person, stored } = deposit;
        let person = match person {
            Some(person) => Some(person),
            None => self.owner_of(&stored)?,
        };
        let locked = lock_value(&self.vault, &stored)?;
        let row = StoredRow {
            milestones: Milestones { noticed: now.unix_ms(), ..Milestones::default() },
            expires: expires.unix_ms(),
            person,
            token: self.token_hash(&token),
            address: self.address_hash(&stored.address),
            body: Some(stored.body.clone()),
            epoch: locked.epoch,
        };
        let thread = stored.message_id.as_ref().map(|id| self.thread_hash(id));
        Ok(Deposited { token, id, row, locked: locked.octets, thread, bodies: Arc::clone(&self.bodies) })
    }

    /// Who reads this without any further claim: the holder of its number, or the person its address is tied to, if a
    /// link has brought them here before.
    fn owner_of(&self, stored: &Stored) -> Result<Option<PersonId>, MailboxError> {
        match &stored.number {
            Some(number) => {
                let row = self.person_row(&format!("number\0{number}"))?;
                Ok(row.filter(|row| row.came_by_link).map(|row| row.person))
            }
            None => Ok(self.binding(&stored.address)?.map(|binding| binding.person)),
        }
    }

    /// The message a notice's token stands for.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn by_token(&self, token: &Token) -> Result<Option<Found>, MailboxError> {
        let id = self.rows.get(BY_TOKEN, &self.token_hash(token))?;
        match id.as_deref().and_then(StoredId::of_key) {
            None => Ok(None),
            Some(id) => self.find(id),
        }
    }

    /// A message by its id.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or the row cannot be read.
    pub fn find(&self, id: StoredId) -> Result<Option<Found>, MailboxError> {
        let row = self.rows.get(STORED, &id.key())?;
        row.map(|row| self.found(id, &row)).transpose()
    }

    /// A message by its id, if it is this person's and can be read now.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails or the row cannot be read.
    pub fn find_for(&self, id: StoredId, person: PersonId) -> Result<Option<(Found, Stored)>, MailboxError> {
        let Some(mut found) = self.find(id)? else { return Ok(None) };
        let readable =
            found.person == Some(person) && self.clock.now() < found.expires && found.milestones.ended.is_none();
        Ok(found.stored.take().filter(|_| readable).map(|stored| (found, stored)))
    }

    /// Every message for the recipients of one message.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn of_message(&self, message: QueueId) -> Result<Vec<Found>, MailboxError> {
        let from = StoredId { message, place: 0 }.key();
        let to = StoredId { message, place: u16::MAX }.key();
        let rows = self.rows.range(STORED, Bound::Included(&from), Bound::Included(&to), LISTED)?;
        self.all_found(&rows)
    }

    /// All stored messages, oldest first, for operators.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn all(&self, limit: usize) -> Result<Vec<Found>, MailboxError> {
        let rows = self.rows.range(STORED, Bound::Unbounded, Bound::Unbounded, limit)?;
        self.all_found(&rows)
    }

    fn all_found(&self, rows: &[Row]) -> Result<Vec<Found>, MailboxError> {
        let mut all = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let Some(id) = StoredId::of_key(key) else { continue };
            all.extend(self.unless_damaged(STORED, key, Some(id.message), self.found(id, row))?);
        }
        Ok(all)
    }

    /// What a table keeps of a person, the newest thousand rows.
    pub(crate) fn newest_of(&self, table: Table, person: PersonId) -> Result<Vec<Row>, MailboxError> {
        let mut newest: VecDeque<Row> = VecDeque::new();
        let mut from = person.as_bytes().to_vec();
        loop {
            let rows = self.rows.range(table, Bound::Excluded(&from), Bound::Unbounded, LISTED)?;
            let Some((last, _)) = rows.last() else { break };
            from.clone_from(last);
            let theirs: Vec<Row> = rows.into_iter().take_while(|(key, _)| key.starts_with(person.as_bytes())).collect();
            let is_over = !from.starts_with(person.as_bytes());
            newest.extend(theirs);
            newest.drain(..newest.len().saturating_sub(LISTED));
            if is_over {
                break;
            }
        }
        Ok(newest.into())
    }

    /// What a person can read now, newest first.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn inbox(&self, person: PersonId) -> Result<Vec<(Found, Stored)>, MailboxError> {
        let mut inbox = Vec::new();
        for (key, _) in self.newest_of(BY_PERSON, person)? {
            let Some(id) = key.get(16..).and_then(StoredId::of_key) else { continue };
            let found = self.unless_damaged(STORED, &id.key(), Some(id.message), self.find_for(id, person))?;
            inbox.extend(found.flatten());
        }
        inbox.sort_by_key(|(found, _)| std::cmp::Reverse(found.milestones.noticed));
        Ok(inbox)
    }

    /// What a person has answered, newest first.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn outbox(&self, person: PersonId) -> Result<Vec<Sent>, MailboxError> {
        let mut outbox: Vec<Sent> = Vec::new();
        for (key, row) in self.newest_of(SENT, person)? {
            let sent: Option<Sent> = self.unless_damaged(SENT, &key, None, self.unlocked(&row))?;
            outbox.extend(sent.filter(|sent| self.clock.now().unix_ms() < sent.expires));
        }
        outbox.sort_by_key(|sent| std::cmp::Reverse(sent.sent));
        Ok(outbox)
    }

    /// Records that its person read a message: the first time only, with the event, in one transaction.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn opened(&self, found: &Found, who: &Identified) -> Result<(), MailboxError> {
        if found.milestones.opened.is_some() {
            return Ok(());
        }
        let id = found.id;
        let now = self.clock.now().unix_ms();
        let detail = format!("provider={} level={}", who.provider, who.level);
        let address = found.stored.as_ref().map(|stored| stored.address.to_string());
        let event = address.into_iter().fold(Event::new(EventKind::Opened), Event::recipient);
        let entry = self.journal.entry(event.about(id.message).detail(detail).note(who.name.clone()))?;
        let change = move |tx: &mut dyn Transaction| {
            let row = tx.get(STORED, &id.key())?.ok_or(StoreError::Conflict("the message is gone"))?;
            let (mut clear, locked): (StoredRow, _) = decode_row(&row)?;
            if clear.milestones.opened.is_some() || clear.milestones.ended.is_some() {
                return Ok(());
            }
            clear.milestones.opened = Some(now);
            tx.delete(UNREAD, &unread_key(clear.milestones.noticed, id))?;
            tx.put(STORED, &id.key(), &encode_row(&clear, locked)?)?;
            tx.put(NEWS, &[&id.key()[..], &[OPENED]].concat(), &[])?;
            entry.write(tx)
        };
        self.rows.commit(Box::new(change)).await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Returns when there is news for a sender.
    pub async fn has_news(&self) {
        self.bell.notified().await;
    }

    /// Writes an event of the portal on its own.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn record(&self, event: Event) -> Result<(), MailboxError> {
        Ok(self.journal.write(event).await?)
    }

    /// Messages that were opened and whose senders have not been told.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn news(&self, limit: usize) -> Result<Vec<StoredId>, MailboxError> {
        let rows = self.rows.range(NEWS, Bound::Unbounded, Bound::Unbounded, limit)?;
        Ok(rows.iter().filter_map(|(key, _)| StoredId::of_key(key.get(..18)?)).collect())
    }

    /// Takes a piece of news out, in the transaction that tells the sender.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn told(tx: &mut dyn Transaction, id: StoredId) -> Result<(), StoreError> {
        tx.delete(NEWS, &[&id.key()[..], &[OPENED]].concat())
    }

    /// The secured message in whose thread a `Message-ID` stands.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn thread(&self, message_id: &str) -> Result<Option<StoredId>, MailboxError> {
        let found = self.rows.get(THREADS, &self.thread_hash(message_id))?;
        Ok(found.as_deref().and_then(StoredId::of_key))
    }

    /// Puts a `Message-ID` into a message's thread, in the transaction of what has it.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn join_thread(tx: &mut dyn Transaction, hash: &[u8; 32], id: StoredId) -> Result<(), StoreError> {
        tx.put(THREADS, hash, &id.key())
    }

    /// The keyed hash of a `Message-ID` for [`PostBox::join_thread`].
    #[must_use]
    pub fn thread_hash(&self, message_id: &str) -> [u8; 32] {
        self.vault.index().hash("thread", message_id.as_bytes())
    }

    /// The person an address is tied to.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn binding(&self, address: &Address) -> Result<Option<Binding>, MailboxError> {
        let Some(row) = self.rows.get(BINDINGS, &self.address_hash(address))? else { return Ok(None) };
        self.binding_of(&row).map(Some)
    }

    /// Every tie between an address and a person.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub fn bindings(&self, limit: usize) -> Result<Vec<Binding>, MailboxError> {
        let rows = self.rows.range(BINDINGS, Bound::Unbounded, Bound::Unbounded, limit)?;
        rows.iter().map(|(_, row)| self.binding_of(row)).collect()
    }

    /// Undoes the tie between an address and a person: the next message needs an invitation again. False if there was
    /// none.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn unbind(&self, address: &Address) -> Result<bool, MailboxError> {
        let key = self.address_hash(address);
        if self.rows.get(BINDINGS, &key)?.is_none() {
            return Ok(false);
        }
        let entry = self.journal.entry(Event::new(EventKind::Unbound).recipient(address.to_string()))?;
        let change = move |tx: &mut dyn Transaction| {
            tx.delete(BINDINGS, &key)?;
            entry.write(tx)
        };
        self.rows.commit(Box::new(change)).await?;
        Ok(true)
    }

    /// The person an e-ID shows, known from now on.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails.
    pub async fn person(&self, who: &Identified) -> Result<PersonId, MailboxError> {
        if let Some(row) = self.person_row(&who.key())? {
            return Ok(row.person);
        }
        let key = self.person_hash(&who.key());
        let fresh = PersonRow { person: PersonId::from_bytes(random_octets()?), came_by_link: false };
        let change = move |tx: &mut dyn Transaction| match tx.get(PERSONS, &key)? {
            Some(_) => Ok(()),
            None => tx.put(PERSONS, &key, &encode_row(&fresh, &[])?),
        };
        self.rows.commit(Box::new(change)).await?;
        Ok(self.person_row(&who.key())?.map_or(fresh.person, |row| row.person))
    }

    pub(crate) fn person_row(&self, key: &str) -> Result<Option<PersonRow>, MailboxError> {
        let row = self.rows.get(PERSONS, &self.person_hash(key))?;
        Ok(row.map(|row| decode_row::<PersonRow>(&row).map(|(row, _)| row)).transpose()?)
    }

    pub(crate) fn person_hash(&self, key: &str) -> [u8; 32] {
        self.vault.index().hash("person", key.as_bytes())
    }

    pub(crate) fn address_hash(&self, address: &Address) -> [u8; 32] {
        self.vault.index().hash("address", address.folded().as_bytes())
    }

    pub(crate) fn token_hash(&self, token: &Token) -> [u8; 32] {
        self.vault.index().hash("notice", token.as_bytes())
    }

    /// What was read of a row, or `None` where it is damaged.
    ///
    /// # Errors
    /// What passes, as a medium that is away.
    pub(crate) fn unless_damaged<T>(
        &self,
        table: Table,
        key: &[u8],
        about: Option<QueueId>,
        read: Result<T, MailboxError>,
    ) -> Result<Option<T>, MailboxError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(fault) if fault.is_temporary() => Err(fault),
            Err(fault) => {
                self.damage.note(table, key, about, &fault);
                Ok(None)
            }
        }
    }

    /// What was found damaged and is not told yet.
    #[must_use]
    pub fn take_damage(&self) -> Vec<DamagedRow> {
        self.damage.take()
    }

    fn binding_of(&self, row: &[u8]) -> Result<Binding, MailboxError> {
        let (clear, locked): (BindingRow, _) = decode_row(row)?;
        let address = unlock_value(&self.vault, clear.epoch, locked).unwrap_or_default();
        Ok(Binding { address, person: clear.person, since: clear.since })
    }

    fn found(&self, id: StoredId, row: &[u8]) -> Result<Found, MailboxError> {
        let (clear, _): (StoredRow, _) = decode_row(row)?;
        let stored = if clear.milestones.ended.is_some() {
            None
        } else {
            let read = open(&self.vault, row).map(|(_, stored)| stored);
            self.unless_damaged(STORED, &id.key(), Some(id.message), read)?
        };
        let is_damaged = stored.is_none() && clear.milestones.ended.is_none();
        let expires = Time::from_unix_ms(clear.expires);
        Ok(Found { id, milestones: clear.milestones, expires, person: clear.person, stored, is_damaged })
    }

    /// What is locked in a row whose clear part is its epoch.
    pub(crate) fn unlocked<T: DeserializeOwned>(&self, row: &[u8]) -> Result<T, MailboxError> {
        let (epoch, locked): (u32, _) = decode_row(row)?;
        Ok(unlock_value(&self.vault, epoch, locked)?)
    }
}

impl Deposited {
    /// The token for the notice's link.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Puts the message into the post box: one more owner of its body.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    pub fn write(self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        if let Some(body) = &self.row.body {
            self.bodies.retain(tx, body)?;
        }
        tx.put(STORED, &self.id.key(), &encode_row(&self.row, &self.locked)?)?;
        tx.put(BY_TOKEN, &self.row.token, &self.id.key())?;
        match self.row.person {
            Some(person) => tx.put(BY_PERSON, &person_key(person, self.id), &[])?,
            None => tx.put(UNCLAIMED, &unclaimed_key(&self.row.address, self.id), &[])?,
        }
        if let Some(thread) = self.thread {
            tx.put(THREADS, &thread, &self.id.key())?;
        }
        tx.put(UNREAD, &unread_key(self.row.milestones.noticed, self.id), &[])?;
        tx.put(EXPIRY, &expiry_key(self.row.expires, self.id), &[])
    }
}
