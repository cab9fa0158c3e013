//! One file of a recording, from its first part to the finished MP4.

use std::io;
use std::time::{Duration, Instant};

use sluice_mux::MuxError;
use sluice_mux::journal::{Journal, Recovery};

use super::archive::Archive;
use super::copy::{Copying, Plan};
use super::error::RecordError;
use super::index::{FINISHED, JOURNAL, RecordedFile};
use super::storage::StoredFile;

/// A journal that is being written.
pub(super) struct Take {
    file: Box<dyn StoredFile>,
    journal: Journal,
    /// Its name without an ending.
    stem: String,
    /// Where it begins when no part tells, milliseconds since 1970.
    start_ms: i64,
    synced: Instant,
}

impl Take {
    /// Begins a file with its init segment.
    pub(super) fn begin(
        archive: &Archive,
        init: &[u8],
        start_ms: i64,
    ) -> Result<Self, RecordError> {
        let journal = Journal::begin(init)?;
        let (stem, mut file) = archive.create(start_ms)?;
        let written = file.write_at(0, init);
        written.map_err(|error| archive.failed(error))?;
        Ok(Self {
            file,
            journal,
            stem,
            start_ms,
            synced: Instant::now(),
        })
    }

    /// Takes up a file that was left behind. `None`: it was all but finished.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it is no journal of ours.
    pub(super) fn recover(
        mut file: Box<dyn StoredFile>,
        stem: String,
        start_ms: i64,
    ) -> io::Result<Option<Self>> {
        let mut recovery = Recovery::new(file.bytes()?);
        let mut buffer = Vec::new();
        while let Some(wanted) = recovery.poll_read() {
            let length = wanted.end.saturating_sub(wanted.start);
            buffer.resize(usize::try_from(length).unwrap_or_default(), 0);
            let read = file.read_at(wanted.start, &mut buffer)?;
            recovery.handle_read(buffer.get(..read).unwrap_or_default());
        }
        match recovery.finish() {
            Ok(journal) => Ok(Some(Self {
                file,
                journal,
                stem,
                start_ms,
                synced: Instant::now(),
            })),
            Err(MuxError::Finished) => Ok(None),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }

    /// Writes a part behind the others.
    ///
    /// # Errors
    /// [`MuxError::OverBudget`]: the part belongs into another file.
    pub(super) fn append(&mut self, archive: &Archive, part: &[u8]) -> Result<(), RecordError> {
        let end = self.journal.bytes();
        self.journal.append(part)?;
        let mut written = self.file.write_at(end, part);
        if written.is_ok() && self.synced.elapsed() >= SYNC_EVERY {
            written = self.file.sync();
            self.synced = Instant::now();
        }
        written.map_err(|error| archive.failed(error))
    }

    /// Makes it a plain MP4: where it lies, or by a copy when its index is to stand in `front` or the storage only
    /// appends.
    ///
    /// # Errors
    /// The file stays a journal, which plays, and is finished when the folder is used next.
    pub(super) fn finish(mut self, archive: &Archive, front: bool) -> Result<Finish, RecordError> {
        let part = format!("{}{JOURNAL}", self.stem);
        if self.journal.parts().is_empty() {
            drop(self.file);
            let deleted = archive.storage().delete(&part);
            deleted.map_err(|error| archive.failed(error))?;
            return Ok(Finish::Empty);
        }
        if front || !archive.storage().rewrites() {
            let plan = self.journal.finish_in_front()?;
            let plan = Plan {
                file: self.told(plan.bytes),
                from: self.file,
                journal: part,
                stem: self.stem,
                header: plan.header,
                copy: plan.copy,
            };
            let copying = Copying::begin(archive, plan)?;
            return Ok(Finish::Copying(Box::new(copying)));
        }
        let plan = self.journal.finish_in_place()?;
        let end = self.journal.bytes();
        let length = end.saturating_add(u64::try_from(plan.append.len()).unwrap_or(u64::MAX));
        let file = self.told(length);
        let mut finish = || -> io::Result<()> {
            self.file.truncate(end)?;
            self.file.write_at(end, &plan.append)?;
            self.file.sync()?;
            // Before the patch, for what is patched tells no more what is in it.
            archive.note(&file)?;
            self.file.write_at(plan.patch_at, &plan.patch)?;
            self.file.sync()
        };
        finish().map_err(|error| archive.failed(error))?;
        drop(self.file);
        let renamed = archive.storage().rename(&part, &file.name);
        renamed.map_err(|error| archive.failed(error))?;
        Ok(Finish::Done(file))
    }

    /// Cuts off what a failed write may have left, so that the journal ends with a whole part. Where even that fails,
    /// recovery does it.
    pub(super) fn trim(&mut self, archive: &Archive) -> Option<RecordError> {
        let cut = self.file.truncate(self.journal.bytes());
        cut.err().map(|error| archive.failed(error))
    }

    /// Takes the parts' own word for time where they have one.
    fn told(&self, bytes: u64) -> RecordedFile {
        let parts = self.journal.parts();
        let wall = |micros: i64| micros.div_euclid(1000);
        let first = parts.iter().find_map(|part| part.wall_micros).map(wall);
        let start_ms = first.unwrap_or(self.start_ms);
        let duration_ms = millis(self.journal.duration());
        let last = parts.last().and_then(|part| {
            let lasts = i64::try_from(millis(part.end.saturating_sub(part.start))).ok()?;
            Some(wall(part.wall_micros?).saturating_add(lasts))
        });
        let played = i64::try_from(duration_ms).unwrap_or(i64::MAX);
        RecordedFile {
            name: format!("{}{FINISHED}", self.stem),
            start_ms,
            end_ms: last.unwrap_or(start_ms.saturating_add(played)),
            duration_ms,
            bytes,
            codecs: self.journal.codecs(),
        }
    }
}

/// What became of a journal.
pub(super) enum Finish {
    /// It held nothing and is gone.
    Empty,
    /// It is a finished file.
    Done(RecordedFile),
    /// It is being copied.
    Copying(Box<Copying>),
}

impl Finish {
    /// Copies all at once, where there is something to copy.
    pub(super) fn whole(self, archive: &Archive) -> Result<Option<RecordedFile>, RecordError> {
        match self {
            Self::Empty => Ok(None),
            Self::Done(file) => Ok(Some(file)),
            Self::Copying(mut copying) => {
                while !copying.step(archive)? {}
                copying.end(archive).map(Some)
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A power cut costs at most so much; a crash of the process alone costs no more than the part in writing.
const SYNC_EVERY: Duration = Duration::from_secs(5);
