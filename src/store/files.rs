//! Large bodies as files, through the `object_store` interface where it serves: so that another store of objects fits.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::local::LocalFileSystem;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};

use crate::net::Time;
use crate::store::error::{StoreError, io_fault};
use crate::vault::make_private;

/// Octets of one part of an upload.
const PART_OCTETS: usize = 1 << 20;

/// Octets of one read.
const READ_OCTETS: u64 = 512 * 1024;

/// A store of large locked bodies, by name.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Begins a blob. It is there when [`BlobWriter::finish`] returns, or not at all.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn write(&self, name: &str) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// Begins to read a blob.
    ///
    /// # Errors
    /// [`StoreError`] if there is none or the medium fails.
    async fn read(&self, name: &str) -> Result<Box<dyn BlobReader>, StoreError>;

    /// Removes a blob; nothing happens if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Removes a blob that nobody named, without waiting and without a word if it fails.
    fn discard(&self, name: &str);

    /// Names of blobs written before then.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn older_than(&self, then: Time) -> Result<Vec<String>, StoreError>;
}

/// A blob being written.
#[async_trait]
pub trait BlobWriter: Send {
    /// The next octets.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn write(&mut self, octets: Vec<u8>) -> Result<(), StoreError>;

    /// Ends the blob: synced, name and all, when this returns.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// A blob being read.
#[async_trait]
pub trait BlobReader: Send {
    /// Up to so many of the next octets; none at the end.
    ///
    /// # Errors
    /// [`StoreError`] if the medium fails.
    async fn next(&mut self, limit: usize) -> Result<Vec<u8>, StoreError>;
}

/// Blobs as files in one folder, each in a folder of its name's first two digits.
pub struct Files {
    folder: PathBuf,
    store: Arc<LocalFileSystem>,
}

struct FileWriter {
    upload: Box<dyn MultipartUpload>,
    pending: Vec<u8>,
    path: PathBuf,
    folder: PathBuf,
}

/// Reads by ranges: the library's own stream goes to another thread for every 8 KiB.
struct FileReader {
    store: Arc<LocalFileSystem>,
    place: object_store::path::Path,
    pending: Bytes,
    next: u64,
    length: u64,
}

impl Files {
    /// Files below this folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        make_private(folder).map_err(|fault| io_fault(&fault))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(object_fault)?;
        Ok(Self { folder: folder.to_owned(), store: Arc::new(store) })
    }

    fn place(name: &str) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}/{name}", name.get(..2).unwrap_or("00")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name.get(..2).unwrap_or("00")).join(name)
    }
}

#[async_trait]
impl Blobs for Files {
    async fn write(&self, name: &str) -> Result<Box<dyn BlobWriter>, StoreError> {
        if let Some(shard) = self.path(name).parent() {
            make_private(shard).map_err(|fault| io_fault(&fault))?;
        }
        let upload = self.store.put_multipart(&Self::place(name)).await.map_err(object_fault)?;
        Ok(Box::new(FileWriter { upload, pending: Vec::new(), path: self.path(name), folder: self.folder.clone() }))
    }

    async fn read(&self, name: &str) -> Result<Box<dyn BlobReader>, StoreError> {
        let place = Self::place(name);
        let length = self.store.head(&place).await.map_err(object_fault)?.size;
        Ok(Box::new(FileReader { store: Arc::clone(&self.store), place, pending: Bytes::new(), next: 0, length }))
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.store.delete(&Self::place(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(fault) => Err(object_fault(fault)),
        }
    }

    fn discard(&self, name: &str) {
        let _ = std::fs::remove_file(self.path(name));
    }

    async fn older_than(&self, then: Time) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut all = self.store.list(None);
        while let Some(file) = all.next().await {
            let file = file.map_err(object_fault)?;
            if file.last_modified.timestamp_millis() < then.unix_ms()
                && let Some(name) = file.location.filename()
            {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl BlobWriter for FileWriter {
    async fn write(&mut self, mut octets: Vec<u8>) -> Result<(), StoreError> {
        if self.pending.is_empty() && octets.len() >= PART_OCTETS {
            return self.upload.put_part(PutPayload::from(octets)).await.map_err(object_fault);
        }
        self.pending.append(&mut octets);
        if self.pending.len() >= PART_OCTETS {
            let part = std::mem::take(&mut self.pending);
            self.upload.put_part(PutPayload::from(part)).await.map_err(object_fault)?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.pending.is_empty() {
            let part = std::mem::take(&mut self.pending);
            self.upload.put_part(PutPayload::from(part)).await.map_err(object_fault)?;
        }
        self.upload.complete().await.map_err(object_fault)?;
        // The library renames the file into place and syncs nothing: file first, then both folders that name it.
        let (path, folder) = (self.path, self.folder);
        let sync = move || {
            let file = std::fs::File::open(&path)?;
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            file.sync_all()?;
            if let Some(parent) = path.parent() {
                std::fs::File::open(parent)?.sync_all()?;
            }
            std::fs::File::open(folder)?.sync_all()
        };
        let synced: Result<(), std::io::Error> =
            tokio::task::spawn_blocking(sync).await.unwrap_or_else(|fault| Err(std::io::Error::other(fault)));
        synced.map_err(|fault| io_fault(&fault))
    }
}

#[async_trait]
impl BlobReader for FileReader {
    async fn next(&mut self, limit: usize) -> Result<Vec<u8>, StoreError> {
        if self.pending.is_empty() && self.next < self.length {
            let end = self.length.min(self.next + READ_OCTETS);
            self.pending = self.store.get_range(&self.place, self.next..end).await.map_err(object_fault)?;
            self.next = end;
        }
        Ok(self.pending.split_to(limit.min(self.pending.len())).to_vec())
    }
}

fn object_fault(fault: object_store::Error) -> StoreError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&fault);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io_fault(io);
        }
        cause = error.source();
    }
    StoreError::Unavailable(fault.to_string())
}
