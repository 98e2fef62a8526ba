//! Locks what we keep: the age format (C2SP age v1), one identity an epoch.
//!
//! # Security
//!
//! Locking needs public recipients only. Unlocking needs the epoch's identity, which lies in a small age file of its
//! own, locked to `vault.identity` and the recovery recipients. What is read lay on our disk, where others may have
//! changed it: headers are bounded, and so is the work a passphrase may ask for. Nothing decrypted is given out before
//! its tag was checked. Keys are zeroized when dropped and print as `…`. Destroying an epoch's identity erases what was
//! locked to it.

mod error;
mod random;
mod bech32;
mod armor;
mod wrapped;
mod x25519;
mod hybrid;
mod scrypt;
mod key;
mod header;
mod payload;
mod locker;
mod open;
mod rows;
mod key_file;
mod identity_file;
mod index;
mod epochs;

pub use armor::unarmor;
pub use epochs::{EpochState, Vault};
pub use error::VaultError;
pub use identity_file::{IdentitySource, read_identities};
pub use index::IndexKey;
pub use key::{Identity, KeyFault, Recipient};
pub use locker::{Epoch, LockedBlob, LockedChunk, LockedDigest, Locker, LockingStream};
pub use open::{Plain, UnlockingStream, open_with, open_with_passphrase};
pub use random::{Token, TokenFault, random_octets};
pub use rows::RowLocker;
pub use scrypt::Passphrase;

pub(crate) use key_file::make_private;
