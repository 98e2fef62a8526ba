//! Where the vault's identity comes from: a private file, or a systemd credential.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::vault::error::VaultError;
use crate::vault::key::Identity;
use crate::vault::key_file::file_fault;

/// Octets of an identity file.
const FILE_OCTETS: usize = 64 * 1024;
/// Whose rights on a key file make it no secret: group and all.
const STRANGERS: u32 = 0o077;

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
                    fault: format!(
                        "systemd hands this credential to the service alone (no $CREDENTIALS_DIRECTORY here); to use it \
                         elsewhere, put CREDENTIALS_DIRECTORY=DIR before the command, DIR being the folder that holds \
                         the file {name}, such as /etc/sealgate/keys"
                    ),
                })?;
                Ok(PathBuf::from(folder).join(name))
            }
        }
    }

    /// Reads the identities there. A credential's mode is systemd's business: it may show a group that an access list
    /// gives to this unit alone.
    ///
    /// # Errors
    /// [`VaultError`] if others can read the file, if it cannot be read, or if it holds none.
    pub fn read(&self) -> Result<Vec<Identity>, VaultError> {
        match self {
            Self::File(path) => read_identities(path),
            Self::Credential(_) => {
                let path = self.path()?;
                let file = File::open(&path).map_err(|fault| file_fault(&path, &fault))?;
                read_lines(file, &path)
            }
        }
    }
}

/// Reads the identities of a file of mode 0600 or stricter that is ours or root's: a line each, `#` begins a comment.
///
/// # Errors
/// [`VaultError`] if others can read or exchange it, if it cannot be read, or if it holds none.
pub fn read_identities(path: &Path) -> Result<Vec<Identity>, VaultError> {
    let fault = |fault: std::io::Error| file_fault(path, &fault);
    // The file that is looked at is the file that is read, whatever happens to its name in between.
    let file = File::open(path).map_err(fault)?;
    let facts = file.metadata().map_err(fault)?;
    // Who runs us, as the system tells it.
    let us = fs::metadata("/proc/self").map_err(fault)?.uid();
    if facts.mode() & STRANGERS != 0 {
        return Err(VaultError::KeyFileIsReadableByOthers(path.to_owned()));
    }
    if ![0, us].contains(&facts.uid()) {
        return Err(VaultError::KeyFileIsAnothers(path.to_owned()));
    }
    read_lines(file, path)
}

fn read_lines(file: File, path: &Path) -> Result<Vec<Identity>, VaultError> {
    // Room for all of it: a text that grew would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_OCTETS + 1));
    file.take(FILE_OCTETS as u64 + 1).read_to_string(&mut text).map_err(|fault| file_fault(path, &fault))?;
    if text.len() > FILE_OCTETS {
        return Err(VaultError::NoIdentityInFile(path.to_owned()));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let identities: Result<Vec<Identity>, _> = lines.map(Identity::from_str).collect();
    match identities {
        Ok(identities) if !identities.is_empty() => Ok(identities),
        Ok(_) | Err(_) => Err(VaultError::NoIdentityInFile(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crate::vault::identity_file::*;

    fn written(mode: u32, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let text = format!("# made today\n\n{}\n", Identity::generate().unwrap().to_text().as_str());
        for (mode, private) in [(0o600, true), (0o400, true), (0o440, false), (0o640, false), (0o604, false)] {
            let (_folder, path) = written(mode, &text);
            assert_eq!(IdentitySource::File(path.clone()).read().is_ok(), private, "{mode:o}");
            // systemd shows a credential as 0440 that it gave to us by an access list.
            assert!(read_lines(File::open(&path).unwrap(), &path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn comments_are_passed_over_and_anything_else_is_not() {
        let identities = [Identity::generate().unwrap(), Identity::generate_hybrid().unwrap()];
        let lines = identities.each_ref().map(|identity| identity.to_text());
        let (_folder, path) = written(0o600, &format!("# a\r\n{}\r\n\n  {}", lines[0].as_str(), lines[1].as_str()));
        let read = read_identities(&path).unwrap();
        assert_eq!(read.iter().map(Identity::recipient).collect::<Vec<_>>(), identities.map(|one| one.recipient()));
        let long = format!("{}\n{}", lines[0].as_str(), "#\n".repeat(FILE_OCTETS / 2));
        for text in ["", "# nothing\n", &format!("{}\nmore", lines[0].as_str()), &long] {
            let (_folder, path) = written(0o600, text);
            assert!(matches!(read_identities(&path), Err(VaultError::NoIdentityInFile(_))));
        }
    }

    #[test]
    fn a_credential_that_systemd_did_not_give_is_told_by_its_name() {
        let fault = IdentitySource::Credential("sealgate-no-such-credential".to_owned()).read().unwrap_err();
        assert!(fault.to_string().contains("sealgate-no-such-credential"), "{fault}");
    }
}
