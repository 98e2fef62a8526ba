//! Small private files that must never be lost, and some that must never come back.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::fault::why;
use crate::vault::error::VaultError;

/// Makes a private folder and those above it, so that a power cut does not take it away with what is written into it.
pub(crate) fn make_folder(folder: &Path) -> std::result::Result<(), VaultError> {
    make_private(folder).map_err(|fault| file_fault(folder, &fault))
}

/// Makes a private folder as [`make_folder`] does.
///
/// # Errors
/// What the system says.
pub(crate) fn make_private(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = parent(folder);
    make_private(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(fault) if fault.kind() != ErrorKind::AlreadyExists => Err(fault),
        Ok(()) | Err(_) => sync(parent),
    }
}

/// Writes a private file so that after a power cut it is whole or not there. One that is there already stays as it is, and
/// that is a fault: a key that is written over is lost, and all it locked with it.
pub(crate) fn write_new(path: &Path, octets: &[u8]) -> std::result::Result<(), VaultError> {
    let write = || {
        let draft = draft(path, octets)?;
        // Unlike a rename, a link never takes another file's place.
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        linked?;
        sync(parent(path))
    };
    write().map_err(|fault| file_fault(path, &fault))
}

/// Writes a private file in the place of the one that may be there, whole or not at all.
pub(crate) fn write_over(path: &Path, octets: &[u8]) -> std::result::Result<(), VaultError> {
    let write = || {
        fs::rename(draft(path, octets)?, path)?;
        sync(parent(path))
    };
    write().map_err(|fault| file_fault(path, &fault))
}

fn draft(path: &Path, octets: &[u8]) -> Result<std::path::PathBuf> {
    let draft = path.with_extension("draft");
    // What a crash left behind may have another mode.
    gone(fs::remove_file(&draft))?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(octets)?;
    file.sync_all()?;
    Ok(draft)
}

/// Overwrites a file and removes it; one that is gone already is as good. On a medium that writes elsewhere this may not
/// reach the old octets; they are locked to the vault's identity all the same.
pub(crate) fn erase(path: &Path) -> std::result::Result<(), VaultError> {
    let erase = || {
        match OpenOptions::new().write(true).open(path) {
            Ok(mut file) => {
                let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
                file.write_all(&vec![0; length])?;
                file.sync_all()?;
            }
            Err(fault) => gone(Err(fault))?,
        }
        gone(fs::remove_file(path))?;
        sync(parent(path))
    };
    erase().map_err(|fault| file_fault(path, &fault))
}

fn gone(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(fault) if fault.kind() == ErrorKind::NotFound => Ok(()),
        Ok(()) | Err(_) => outcome,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}

/// The fault with the file it is about.
pub(crate) fn file_fault(path: &Path, fault: &std::io::Error) -> VaultError {
    VaultError::KeyFile { path: path.to_owned(), fault: why(fault) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use crate::vault::key_file::*;

    #[test]
    fn a_key_is_private_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        make_folder(&deep).unwrap();
        make_folder(&deep).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().mode() & 0o777, 0o700);
        let path = deep.join("0001.age");
        fs::write(deep.join("0001.draft"), "left behind by a crash").unwrap();
        write_new(&path, b"first").unwrap();
        assert!(write_new(&path, b"second").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        write_over(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        erase(&path).unwrap();
        erase(&path).unwrap();
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 0);
    }
}
