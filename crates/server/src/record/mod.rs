//! Recordings on their way to storage, apart from the shards: a thread that writes, and what it makes of files.
//!
//! A shard cuts a stream into parts and hands them to a [`Tape`]; it never waits. What a storage cannot take in time is
//! a gap, what it refuses ends the recording, and both are told.

mod archive;
mod error;
mod fs;
mod index;
mod storage;
mod take;
mod tape;
mod writer;

pub use archive::Keep;
pub use error::RecordError;
pub use fs::FsStorage;
pub use index::RecordedFile;
pub use storage::{Storage, StoredFile};
pub(crate) use tape::{Begin, Tape};
pub(crate) use writer::{Told, Writer};

use std::sync::Arc;

/// The finished recordings of a storage, by folder and time; see [`Server::recordings`](crate::Server::recordings).
pub(crate) fn list(
    storage: &Arc<dyn Storage>,
    app: Option<&str>,
    stream: Option<&str>,
) -> Result<Vec<RecordedFile>, RecordError> {
    archive::list(storage, app, stream)
}

#[cfg(test)]
#[path = "../record_tests.rs"]
mod tests;
