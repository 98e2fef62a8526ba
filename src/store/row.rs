//! Rows of two parts: what may be read in the clear, and what is locked.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::store::error::StoreError;
use crate::vault::{Epoch, Vault, VaultError};

/// A value locked to the newest epoch.
#[derive(Debug, Clone)]
pub struct LockedValue {
    /// The epoch's number, for the clear part of the row.
    pub epoch: u32,
    /// The locked row.
    pub octets: Vec<u8>,
}

/// Why a locked value was not read.
#[derive(Debug, thiserror::Error)]
pub enum LockedValueFault {
    /// The lock could not be made or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was unlocked is not what was written, or a newer sealgate wrote it.
    #[error("a locked row has another form")]
    AnotherForm,
}

/// A row as octets: length of the clear part (four octets), the clear part as JSON, the locked part.
///
/// # Errors
/// [`StoreError::Damaged`] if the clear part cannot be written.
pub fn encode_row<C: Serialize>(clear: &C, locked: &[u8]) -> Result<Vec<u8>, StoreError> {
    let clear = serde_json::to_vec(clear).map_err(|fault| StoreError::Damaged(fault.to_string()))?;
    let length = u32::try_from(clear.len()).map_err(|_| StoreError::Damaged("a row is too long".into()))?;
    Ok([&length.to_be_bytes()[..], &clear, locked].concat())
}

/// The two parts of a row.
///
/// # Errors
/// [`StoreError::Damaged`] if it has another form.
pub fn decode_row<C: DeserializeOwned>(row: &[u8]) -> Result<(C, &[u8]), StoreError> {
    let damaged = || StoreError::Damaged("a row has another form".into());
    let (length, rest) = row.split_first_chunk::<4>().ok_or_else(damaged)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
    let (clear, locked) = rest.split_at_checked(length).ok_or_else(damaged)?;
    Ok((serde_json::from_slice(clear).map_err(|_| damaged())?, locked))
}

/// Locks what describes a message or a person.
///
/// # Errors
/// [`LockedValueFault`] if the lock cannot be made.
pub fn lock_value<T: Serialize>(vault: &Vault, value: &T) -> Result<LockedValue, LockedValueFault> {
    let plain = Zeroizing::new(serde_json::to_vec(value).map_err(|_| LockedValueFault::AnotherForm)?);
    let locker = vault.row_locker();
    Ok(LockedValue { epoch: locker.epoch().number(), octets: locker.lock(&plain)?.into_bytes() })
}

/// Unlocks what [`lock_value`] locked.
///
/// # Errors
/// [`LockedValueFault`]: the epoch is destroyed, or the row was changed.
pub fn unlock_value<T: DeserializeOwned>(vault: &Vault, epoch: u32, locked: &[u8]) -> Result<T, LockedValueFault> {
    let plain = vault.unlock_row(Epoch::from_number(epoch), locked)?;
    serde_json::from_slice(&plain).map_err(|_| LockedValueFault::AnotherForm)
}
