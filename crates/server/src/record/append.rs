//! Storages that only append: what an object store can do.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::storage::{Storage, StoredFile};

/// A place for recordings whose files only grow: nothing is changed, cut off or renamed.
///
/// What is recorded is appended part by part to a journal. A finished file is a copy with its index in front; then the
/// journal is removed. Calls may block; one server at a time uses a place.
pub trait AppendStorage: fmt::Debug + Send + Sync + 'static {
    /// What messages call it; two storages with the same answer are the same place.
    fn place(&self) -> String;

    /// Adds bytes to a file that is `offset` long; makes it when that is 0. When it returns, they are kept.
    ///
    /// # Errors
    /// The storage's own; nothing is known of the bytes then.
    fn append(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Nothing more comes: the file is whole.
    ///
    /// # Errors
    /// The storage's own.
    fn finish(&self, name: &str) -> io::Result<()>;

    /// Bytes of a file; fewer at its end.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none, or the storage's own.
    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// What is in a folder, `""` for the topmost; nothing when there is no such folder.
    ///
    /// # Errors
    /// The storage's own.
    fn list(&self, folder: &str) -> io::Result<Vec<StoredEntry>>;

    /// Removes a file; one that is gone already is no error.
    ///
    /// # Errors
    /// The storage's own.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A file or a folder in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its plain name.
    pub name: String,
    /// Its length; of a folder 0.
    pub bytes: u64,
}

/// An [`AppendStorage`] as recordings use it.
#[derive(Debug)]
pub struct Appended<S> {
    inner: Arc<S>,
    held: Held,
}

/// The files that are being written in this process.
type Held = Arc<Mutex<HashSet<String>>>;

impl<S: AppendStorage> Appended<S> {
    /// Takes a storage, which is to be given once: what holds a file against other writers is in here.
    pub fn new(storage: Arc<S>) -> Self {
        Self {
            inner: storage,
            held: Held::default(),
        }
    }

    /// How long a file is; `None` when there is none.
    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        let (folder, plain) = name.rsplit_once('/').unwrap_or(("", name));
        let entries = self.inner.list(folder)?;
        let found = entries.into_iter().find(|entry| entry.name == plain);
        Ok(found.map(|entry| entry.bytes))
    }

    fn hold(&self, name: &str) -> io::Result<Hold> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(name.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Hold {
            held: Arc::clone(&self.held),
            name: name.to_owned(),
        })
    }
}

impl<S: AppendStorage> Storage for Appended<S> {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn rewrites(&self) -> bool {
        false
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let hold = self.hold(name).map_err(|_| io::ErrorKind::AlreadyExists)?;
        if self.length(name)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Box::new(Growing {
            storage: Arc::clone(&self.inner),
            hold,
            bytes: 0,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let hold = self.hold(name)?;
        let bytes = self.length(name)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Growing {
            storage: Arc::clone(&self.inner),
            hold,
            bytes,
        }))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let bytes = self.length(name)?.ok_or(io::ErrorKind::NotFound)?;
        if bytes > MAX_SMALL {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.inner.read(name, 0..bytes)
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&*self.inner, name, offset, into)
    }

    fn seal(&self, name: &str) -> io::Result<()> {
        self.inner.finish(name)
    }

    fn put(&self, _name: &str, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = self.inner.list(folder)?;
        let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        Ok(names)
    }
}

fn read_at(
    storage: &impl AppendStorage,
    name: &str,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let wanted = u64::try_from(into.len()).unwrap_or(u64::MAX);
    let read = storage.read(name, offset..offset.saturating_add(wanted))?;
    let place = into.get_mut(..read.len());
    place
        .ok_or(io::ErrorKind::InvalidData)?
        .copy_from_slice(&read);
    Ok(read.len())
}

struct Growing<S> {
    storage: Arc<S>,
    hold: Hold,
    bytes: u64,
}

impl<S: AppendStorage> StoredFile for Growing<S> {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        read_at(&*self.storage, &self.hold.name, offset, into)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset != self.bytes {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.storage.append(&self.hold.name, offset, bytes)?;
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(added);
        Ok(())
    }

    /// What lies behind the last whole part is not copied.
    fn truncate(&mut self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// What was appended is kept.
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hold {
    held: Held,
    name: String,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.name);
    }
}

/// An index of a hundred thousand files.
const MAX_SMALL: u64 = 16 << 20;
