//! One stream's folder in a storage: its names, its index, what is kept, what a crash left.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sluice_media::StreamKey;

use super::error::RecordError;
use super::index::{FINISHED, INDEX, JOURNAL, RecordedFile, plain, stamp};
use super::storage::{Storage, StoredFile};
use super::take::Take;

/// How much of a stream's recordings is kept. What goes are finished files, the oldest first; never the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Keep {
    /// Files that ended longer before the newest one's end go. Default: all stay.
    pub age: Option<Duration>,
    /// Files beyond so many bytes go. Default: all stay.
    pub bytes: Option<u64>,
}

/// A stream's folder.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    storage: Arc<dyn Storage>,
    folder: String,
}

impl Archive {
    pub(super) fn new(storage: Arc<dyn Storage>, key: &StreamKey) -> Self {
        // The key's letters were checked where it was made: no part is empty, begins with a dot or holds a slash.
        Self::at(storage, key.to_string())
    }

    fn at(storage: Arc<dyn Storage>, folder: String) -> Self {
        Self { storage, folder }
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(super) fn failed(&self, source: io::Error) -> RecordError {
        RecordError::Storage {
            place: self.storage.place(),
            source,
        }
    }

    /// A new file whose name tells when it began, or the next name that is free. Gives the name without its ending.
    pub(super) fn create(
        &self,
        start_ms: i64,
    ) -> Result<(String, Box<dyn StoredFile>), RecordError> {
        let make = || {
            let taken: BTreeSet<String> = self.storage.list(&self.folder)?.into_iter().collect();
            for later in 0..MAX_NAMES {
                let stem = stamp(start_ms.saturating_add(later));
                if taken.contains(&format!("{stem}{FINISHED}")) {
                    continue;
                }
                let stem = format!("{}/{stem}", self.folder);
                match self.storage.create(&format!("{stem}{JOURNAL}")) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    file => return Ok((stem, file?)),
                }
            }
            Err(io::ErrorKind::AlreadyExists.into())
        };
        make().map_err(|error| self.failed(error))
    }

    /// Puts a file into the index.
    pub(super) fn note(&self, file: &RecordedFile) -> io::Result<()> {
        let name = self.name(INDEX);
        let mut index = self.open_index(&name)?;
        let end = index.bytes()?;
        let mut line = file.line();
        let mut last = [b'\n'];
        if end > 0 {
            index.read_at(end - 1, &mut last)?;
        }
        if last != [b'\n'] {
            // A line that a crash cut off stays alone.
            line.insert(0, '\n');
        }
        index.write_at(end, line.as_bytes())
    }

    fn open_index(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        let mut tries = 0;
        loop {
            let opened = match self.storage.open(name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.storage.create(name),
                opened => opened,
            };
            match opened {
                // A listing that finishes another file holds it for a moment.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && tries < INDEX_TRIES => {
                    tries += 1;
                    std::thread::sleep(INDEX_NAP);
                }
                opened => return opened,
            }
        }
    }

    /// The finished files, the oldest first.
    pub(super) fn files(&self) -> io::Result<Vec<RecordedFile>> {
        let there: BTreeSet<String> = self.storage.list(&self.folder)?.into_iter().collect();
        let index = match self.storage.read(&self.name(INDEX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            index => index?,
        };
        let index = String::from_utf8_lossy(&index);
        let known: BTreeMap<String, RecordedFile> = index
            .lines()
            .filter_map(|line| RecordedFile::parse(&self.folder, line))
            .filter(|file| there.contains(plain(&file.name)))
            // A file that was finished in two attempts is there twice; the later line is right.
            .map(|file| (file.name.clone(), file))
            .collect();
        Ok(known.into_values().collect())
    }

    /// Removes what is not to be kept. Only files of the index are touched.
    pub(super) fn retain(&self, keep: Keep) -> io::Result<()> {
        if keep == Keep::default() {
            return Ok(());
        }
        let mut files = self.files()?;
        let Some(newest) = files.pop() else {
            return Ok(());
        };
        let oldest_end = keep.age.map_or(i64::MIN, |age| {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            newest.end_ms.saturating_sub(age)
        });
        let mut room = keep.bytes.unwrap_or(u64::MAX).saturating_sub(newest.bytes);
        let mut full = false;
        let mut kept = vec![newest];
        let mut gone = Vec::new();
        for file in files.into_iter().rev() {
            full |= file.bytes > room;
            if full || file.end_ms < oldest_end {
                gone.push(file);
            } else {
                room -= file.bytes;
                kept.push(file);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        for file in &gone {
            self.storage.delete(&file.name)?;
        }
        if !self.storage.rewrites() {
            // Lines of files that are gone are passed over.
            return Ok(());
        }
        let index: String = kept.iter().rev().map(RecordedFile::line).collect();
        self.storage.put(&self.name(INDEX), index.as_bytes())
    }

    /// Finishes what a crash left behind. What is no journal of ours, or cannot be finished now, stays as it is.
    pub(super) fn recover(&self) -> io::Result<()> {
        for name in self.storage.list(&self.folder)? {
            let Some(stem) = name.strip_suffix(JOURNAL) else {
                continue;
            };
            let stem = self.name(stem);
            if let Err(error) = self.recover_one(&stem) {
                // Somebody else is still writing it.
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::warn!(%error, name, "a recording cannot be finished");
                }
            }
        }
        Ok(())
    }

    fn recover_one(&self, stem: &str) -> io::Result<()> {
        let part = format!("{stem}{JOURNAL}");
        let file = self.storage.open(&part)?;
        if file.bytes()? == 0 {
            drop(file);
            return self.storage.delete(&part);
        }
        match Take::recover(file, stem.to_owned(), 0)? {
            Some(take) => take
                .finish(self, false)
                .and_then(|finish| finish.whole(self))
                .map(drop)
                .map_err(io::Error::other),
            None => self.storage.rename(&part, &format!("{stem}{FINISHED}")),
        }
    }

    fn name(&self, plain: &str) -> String {
        format!("{}/{plain}", self.folder)
    }
}

/// The finished recordings of a storage, by folder and time; of one application or one stream where they are named.
/// What a crash left behind is finished first.
pub(super) fn list(
    storage: &Arc<dyn Storage>,
    app: Option<&str>,
    stream: Option<&str>,
) -> Result<Vec<RecordedFile>, RecordError> {
    let all = || {
        let mut files = Vec::new();
        for folder in storage.list("")? {
            if app.is_some_and(|app| app != folder) {
                continue;
            }
            for name in storage.list(&folder)? {
                let key = format!("{folder}/{name}");
                // Folders that are no stream's are none of ours.
                let Ok(key) = key.parse::<StreamKey>() else {
                    continue;
                };
                if stream.is_some_and(|stream| stream != name) {
                    continue;
                }
                let archive = Archive::new(Arc::clone(storage), &key);
                archive.recover()?;
                files.extend(archive.files()?);
            }
        }
        Ok(files)
    };
    all().map_err(|source| RecordError::Storage {
        place: storage.place(),
        source,
    })
}

const INDEX_TRIES: u32 = 1000;
const INDEX_NAP: Duration = Duration::from_millis(1);
/// Names that are tried when one is taken, a millisecond apart.
const MAX_NAMES: i64 = 1000;
