//! What the system says of a file, in words that tell what to do.

use std::io::{Error, ErrorKind};
use std::path::Path;

/// The file, what happened to it, and what to do about it.
#[must_use]
pub fn told(path: &Path, fault: &Error) -> String {
    format!("{}: {}", path.display(), why(fault))
}

/// What happened to a file, and what to do about it where that is known.
#[must_use]
pub fn why(fault: &Error) -> String {
    match fault.kind() {
        ErrorKind::NotFound => "no such file or folder".to_owned(),
        ErrorKind::AlreadyExists => {
            "is there already and is not written over: name another, or move it away".to_owned()
        }
        ErrorKind::PermissionDenied => "permission denied: its user, or root, may".to_owned(),
        ErrorKind::NotADirectory => "a file stands where a folder is meant".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => fault.to_string(),
    }
}
