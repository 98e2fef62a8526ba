//! Files and secrets a configuration names.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::fault::reader::{At, Value};
use crate::fault::setting::Setting;

/// A file the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    /// As it was written.
    pub written: String,
    /// From where the program stands.
    pub path: PathBuf,
}

/// A folder the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderPath {
    /// As it was written.
    pub written: String,
    /// From where the program stands.
    pub path: PathBuf,
}

/// Where a secret is. Secrets never stand in the configuration itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// In a file that nobody else may read.
    File(FilePath),
    /// `credential:NAME`: what systemd hands us under that name (`LoadCredential=`).
    Credential(String),
}

impl Secret {
    /// The file the secret is in, given systemd's credentials folder (`$CREDENTIALS_DIRECTORY`); `None` if it is a
    /// credential and there is no such folder.
    #[must_use]
    pub fn path(&self, credentials: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::File(file) => Some(file.path.clone()),
            Self::Credential(name) => credentials.map(|folder| folder.join(name)),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => f.write_str(&file.written),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

impl Setting for FilePath {
    fn form() -> String {
        "a file's path, relative to this file".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let written = String::read(value, at)?;
        let path = at.folder().join(&written);
        Some(Self { written, path })
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.written.clone()))
    }

    fn stand_in() -> Option<Self> {
        Some(Self { written: String::new(), path: PathBuf::new() })
    }
}

impl Setting for FolderPath {
    fn form() -> String {
        "a folder's path, relative to this file".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        FilePath::read(value, at).map(|FilePath { written, path }| Self { written, path })
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.written.clone()))
    }

    fn stand_in() -> Option<Self> {
        FilePath::stand_in().map(|FilePath { written, path }| Self { written, path })
    }
}

impl Setting for Secret {
    fn form() -> String {
        "a file's path, relative to this file, or \"credential:NAME\"".to_owned()
    }

    fn read(value: &Value<'_>, at: &mut At<'_>) -> Option<Self> {
        let file = FilePath::read(value, at)?;
        let Some(name) = file.written.strip_prefix("credential:") else {
            return Some(Self::File(file));
        };
        // systemd.exec(5): a credential's name is a file name of ASCII characters.
        let fits = !name.is_empty()
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if !fits {
            at.fault("not the name of a credential", "write credential:NAME, as LoadCredential=NAME:… has it");
            return None;
        }
        Some(Self::Credential(name.to_owned()))
    }

    fn show(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }

    fn stand_in() -> Option<Self> {
        FilePath::stand_in().map(Self::File)
    }
}
