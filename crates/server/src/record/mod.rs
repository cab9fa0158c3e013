//! Recordings on their way to storage, apart from the shards: threads that write, and what they make of files.
//!
//! A shard cuts a stream into parts and hands them to a [`Tape`]; it never waits. What a storage cannot take in time is
//! a gap, what it refuses ends the recording, and both are told.

mod append;
mod archive;
mod copy;
mod error;
mod fs;
mod index;
mod readers;
mod storage;
mod take;
mod tape;
mod writer;

pub use append::{AppendStorage, Appended, StoredEntry};
pub use archive::Keep;
pub use error::RecordError;
pub use fs::FsStorage;
pub use index::RecordedFile;
pub(crate) use index::plain;
pub(crate) use readers::Readers;
pub use storage::{Storage, StoredFile};
pub(crate) use tape::{Begin, Tape};
pub(crate) use writer::{Finishing, Told, Writer};

use std::sync::Arc;

use sluice_media::StreamKey;

/// The finished recordings of a storage, by folder and time; see [`Server::recordings`](crate::Server::recordings).
pub(crate) fn list(
    storage: &Arc<dyn Storage>,
    app: Option<&str>,
    stream: Option<&str>,
) -> Result<Vec<RecordedFile>, RecordError> {
    archive::list(storage, app, stream)
}

/// The finished recordings of one stream, the oldest first, as they are: nothing is recovered.
pub(crate) fn files(
    storage: &Arc<dyn Storage>,
    key: &StreamKey,
) -> Result<Vec<RecordedFile>, RecordError> {
    let archive = archive::Archive::new(Arc::clone(storage), key);
    archive.files().map_err(|error| archive.failed(error))
}

#[cfg(test)]
#[path = "../record_tests.rs"]
mod tests;
