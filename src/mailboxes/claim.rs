//! First contact: link and e-ID together say whose a message is.

use std::ops::Bound;

use crate::mailboxes::error::MailboxError;
use crate::mailboxes::person::{Identified, PersonId};
use crate::mailboxes::post_box::PostBox;
use crate::mailboxes::stored::StoredId;
use crate::mailboxes::table::{
    BINDINGS, BY_PERSON, BindingRow, PERSONS, PersonRow, STORED, StoredRow, UNCLAIMED, person_key, unclaimed_key,
};
use crate::records::{Event, EventKind};
use crate::store::{StoreError, Transaction, decode_row, encode_row, lock_value};
use crate::vault::Token;

/// Messages claimed with one login.
const CLAIMED: usize = 1_000;

/// A claim that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose it is.
    pub person: PersonId,
    /// The message the link leads to.
    pub id: StoredId,
}

/// Why a claim does not hold. Strangers see one and the same page; the exact reason goes into the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefused {
    /// Nobody minted this token, or its message is erased.
    #[error("the link leads to no message")]
    LinkLeadsNowhere,
    /// The message's time is over, or it was taken back.
    #[error("the message has expired or was recalled")]
    MessageHasEnded,
    /// The sender named a national number, and the e-ID has another or none.
    #[error("the e-ID does not have the number the sender gave")]
    NumberIsAnother,
    /// The address or the message belongs to another person.
    #[error("the address is tied to another person")]
    PersonIsAnother,
}

impl PostBox {
    /// Whether the person whom an e-ID shows may have the message a link leads to; if so, it is theirs from now on, and
    /// so is whatever else waits for them at that address.
    ///
    /// # Errors
    /// [`MailboxError`] if the medium fails. A refusal is no error but the inner answer.
    pub async fn claim(&self, token: &Token, who: &Identified) -> Result<Result<Claim, ClaimRefused>, MailboxError> {
        let Some(found) = self.by_token(token)? else { return Ok(Err(ClaimRefused::LinkLeadsNowhere)) };
        let Some(stored) = found.stored.as_ref().filter(|_| self.clock.now() < found.expires) else {
            return Ok(Err(ClaimRefused::MessageHasEnded));
        };
        let person = self.person(who).await?;
        if stored.number.is_some() && stored.number != who.number {
            return Ok(Err(ClaimRefused::NumberIsAnother));
        }
        if found.person.is_some_and(|owner| owner != person) {
            return Ok(Err(ClaimRefused::PersonIsAnother));
        }
        let bound = self.binding(&stored.address)?;
        if stored.number.is_none()
            && found.person.is_none()
            && bound.as_ref().is_some_and(|bound| bound.person != person)
        {
            return Ok(Err(ClaimRefused::PersonIsAnother));
        }
        let claim = Claim { person, id: found.id };
        if found.person.is_some() {
            return Ok(Ok(claim));
        }
        let bind = (stored.number.is_none() && bound.is_none()).then(|| stored.address.folded());
        match self.take(claim, who, stored.address.to_string(), bind).await {
            Ok(()) => Ok(Ok(claim)),
            // Somebody else was quicker with the same link.
            Err(MailboxError::Store(StoreError::Conflict(_))) => Ok(Err(ClaimRefused::PersonIsAnother)),
            Err(fault) => Err(fault),
        }
    }

    /// Writes the claim: person, tie, and every message at that address that is theirs by the same rule.
    async fn take(
        &self,
        claim: Claim,
        who: &Identified,
        address: String,
        bind: Option<String>,
    ) -> Result<(), MailboxError> {
        let Claim { person, id } = claim;
        let person_key_hash = self.person_hash(&who.key());
        let address_hash = match self.rows.get(STORED, &id.key())? {
            Some(row) => decode_row::<StoredRow>(&row)?.0.address,
            None => return Err(StoreError::Conflict("the message is gone").into()),
        };
        let theirs = self.waiting_for(&address_hash, who, bind.is_some())?;
        let binding = match &bind {
            Some(folded) => {
                let locked = lock_value(&self.vault, folded)?;
                let clear = BindingRow { person, since: self.clock.now().unix_ms(), epoch: locked.epoch };
                Some(encode_row(&clear, &locked.octets)?)
            }
            None => None,
        };
        let event = Event::new(EventKind::Bound).about(id.message).recipient(address).note(who.name.clone());
        let entry = self.journal.entry(event.detail(format!("provider={} level={}", who.provider, who.level)))?;
        let change = move |tx: &mut dyn Transaction| {
            if binding.is_some() && tx.get(BINDINGS, &address_hash)?.is_some() {
                return Err(StoreError::Conflict("the address is tied meanwhile"));
            }
            let row = tx.get(STORED, &id.key())?.ok_or(StoreError::Conflict("the message is gone"))?;
            if decode_row::<StoredRow>(&row)?.0.person.is_some_and(|owner| owner != person) {
                return Err(StoreError::Conflict("the message is another's meanwhile"));
            }
            tx.put(PERSONS, &person_key_hash, &encode_row(&PersonRow { person, came_by_link: true }, &[])?)?;
            if let Some(binding) = binding {
                tx.put(BINDINGS, &address_hash, &binding)?;
            }
            for id in theirs.iter().copied().chain([id]) {
                give(tx, &address_hash, id, person)?;
            }
            entry.write(tx)
        };
        Ok(self.rows.commit(Box::new(change)).await?)
    }

    /// Unclaimed messages at an address: those with this person's number, and, when the address is being tied, those
    /// without any.
    fn waiting_for(&self, address: &[u8; 32], who: &Identified, bind: bool) -> Result<Vec<StoredId>, MailboxError> {
        let rows = self.rows.range(UNCLAIMED, Bound::Included(address), Bound::Unbounded, CLAIMED)?;
        let mut theirs = Vec::new();
        for (key, _) in rows.iter().take_while(|(key, _)| key.starts_with(address)) {
            let Some(id) = key.get(32..).and_then(StoredId::of_key) else { continue };
            let found = self.unless_damaged(STORED, &id.key(), Some(id.message), self.find(id))?.flatten();
            let Some(stored) = found.and_then(|found| found.stored) else { continue };
            let fits = match &stored.number {
                Some(number) => who.number.as_ref() == Some(number),
                None => bind,
            };
            theirs.extend(fits.then_some(id));
        }
        Ok(theirs)
    }
}

/// Gives one unclaimed message to a person.
fn give(tx: &mut dyn Transaction, address: &[u8; 32], id: StoredId, person: PersonId) -> Result<(), StoreError> {
    let Some(row) = tx.get(STORED, &id.key())? else { return Ok(()) };
    let (mut clear, locked): (StoredRow, _) = decode_row(&row)?;
    clear.person = Some(person);
    tx.put(STORED, &id.key(), &encode_row(&clear, locked)?)?;
    tx.delete(UNCLAIMED, &unclaimed_key(address, id))?;
    tx.put(BY_PERSON, &person_key(person, id), &[])
}
