//! Where the vault's identity comes from: a private file, or a systemd credential.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::key::Identity;

/// Octets of an identity file.
const FILE_OCTETS: u64 = 64 * 1024;

/// `vault.identity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentitySource {
    /// A file of mode 0600 or stricter.
    File(PathBuf),
    /// A systemd credential: a file in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl IdentitySource {
    /// The file to read.
    ///
    /// # Errors
    /// [`VaultError::KeyFile`] if a credential is named and systemd gave none.
    pub fn path(&self) -> Result<PathBuf, VaultError> {
        match self {
            Self::File(path) => Ok(path.clone()),
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| VaultError::KeyFile {
                    path: PathBuf::from(name),
                    fault: "no $CREDENTIALS_DIRECTORY: this credential is given by systemd (LoadCredential=)"
                        .to_owned(),
                })?;
                Ok(PathBuf::from(folder).join(name))
            }
        }
    }
}

impl IdentitySource {
    /// Reads the identities there. A credential's mode is systemd's business: it may show a group that an access list
    /// gives to this unit alone.
    ///
    /// # Errors
    /// [`VaultError`] if others can read the file, if it cannot be read, or if it holds none.
    pub fn read(&self) -> Result<Vec<Identity>, VaultError> {
        let path = self.path()?;
        match self {
            Self::File(_) => read_identities(&path),
            Self::Credential(_) => read_lines(&path),
        }
    }
}

/// Reads the identities of a file: a line each, `#` begins a comment.
///
/// # Errors
/// [`VaultError`] if others can read it, if it cannot be read, or if it holds none.
pub fn read_identities(path: &Path) -> Result<Vec<Identity>, VaultError> {
    let fault = |fault: std::io::Error| VaultError::KeyFile { path: path.to_owned(), fault: fault.to_string() };
    let facts = fs::metadata(path).map_err(fault)?;
    if facts.mode() & 0o077 != 0 {
        return Err(VaultError::KeyFileIsReadableByOthers(path.to_owned()));
    }
    read_lines(path)
}

fn read_lines(path: &Path) -> Result<Vec<Identity>, VaultError> {
    let fault = |fault: std::io::Error| VaultError::KeyFile { path: path.to_owned(), fault: fault.to_string() };
    let facts = fs::metadata(path).map_err(fault)?;
    if facts.len() > FILE_OCTETS {
        return Err(VaultError::NoIdentityInFile(path.to_owned()));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(fault)?);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities: Result<Vec<Identity>, _> = lines.map(Identity::from_str).collect();
    match identities {
        Ok(identities) if !identities.is_empty() => Ok(identities),
        Ok(_) | Err(_) => Err(VaultError::NoIdentityInFile(path.to_owned())),
    }
}
