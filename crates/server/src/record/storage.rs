//! The seam to wherever recordings are kept.

use std::fmt;
use std::io;

/// A place for recordings: a folder of the file system ([`FsStorage`](super::FsStorage)), or what behaves like one.
///
/// Names are relative, with `/` between parts, and are made here: of a checked stream key, a time and an ending. Calls may
/// block: they come from the writer's thread and from listings, never from a shard.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// What messages call it; two storages with the same answer are the same place.
    fn place(&self) -> String;

    /// Whether what is written can be changed: a recording then is finished where it lies, otherwise by a copy, and
    /// [`put`](Self::put) and [`rename`](Self::rename) are not called.
    fn rewrites(&self) -> bool;

    /// Makes a file with the folders above it, and holds it against other writers.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when it is there or somebody else has it, or the storage's own.
    fn create(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Opens a file that is there, and holds it against other writers.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another writer has it, or the storage's own.
    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>>;

    /// Reads a small file as a whole.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none, or the storage's own.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Reads a file that nobody writes any more from `offset` on until `into` is full or the file ends; says how much.
    /// Others may read it at the same time.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] when there is none, or the storage's own.
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Nothing more is written to this file, which is closed next.
    ///
    /// # Errors
    /// The storage's own.
    fn seal(&self, name: &str) -> io::Result<()>;

    /// Replaces a small file as a whole: a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// The storage's own.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Gives a file another name.
    ///
    /// # Errors
    /// The storage's own.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file; one that is gone already is no error.
    ///
    /// # Errors
    /// The storage's own.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// The plain names in a folder, `""` for the topmost; none when there is no such folder.
    ///
    /// # Errors
    /// The storage's own.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
}

/// A file that is being written. Dropping it lets others have it.
pub trait StoredFile: Send {
    /// How long it is.
    ///
    /// # Errors
    /// The storage's own.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads from `offset` on until `into` is full or the file ends; says how much.
    ///
    /// # Errors
    /// The storage's own.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, which is within the file or its end.
    ///
    /// # Errors
    /// The storage's own; part of the bytes may be there then.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off.
    ///
    /// # Errors
    /// The storage's own.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Makes what has been written outlive a power cut.
    ///
    /// # Errors
    /// The storage's own.
    fn sync(&mut self) -> io::Result<()>;
}
