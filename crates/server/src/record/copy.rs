//! Finishing a file by copying it, its index in front, a slice at a time: parts of what goes on are written between.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use super::archive::Archive;
use super::error::RecordError;
use super::index::{FINISHED, RecordedFile};
use super::storage::StoredFile;

/// A finished file in the making.
pub(super) struct Copying {
    /// The journal.
    from: Box<dyn StoredFile>,
    journal: String,
    into: Box<dyn StoredFile>,
    /// What it is called until it is whole.
    name: String,
    file: RecordedFile,
    written: u64,
    left: VecDeque<Range<u64>>,
}

/// What a copy is made of.
pub(super) struct Plan {
    pub(super) from: Box<dyn StoredFile>,
    pub(super) journal: String,
    pub(super) stem: String,
    pub(super) header: bytes::Bytes,
    pub(super) copy: Vec<Range<u64>>,
    pub(super) file: RecordedFile,
}

impl Copying {
    pub(super) fn begin(archive: &Archive, plan: Plan) -> Result<Self, RecordError> {
        let storage = archive.storage();
        // Where files can be renamed, one that has the right name is whole.
        let name = if storage.rewrites() {
            format!("{}{UNFINISHED}", plan.stem)
        } else {
            format!("{}{FINISHED}", plan.stem)
        };
        let begin = || -> io::Result<Box<dyn StoredFile>> {
            // What an attempt before a crash has left.
            storage.delete(&name)?;
            let mut into = storage.create(&name)?;
            into.write_at(0, &plan.header)?;
            Ok(into)
        };
        let into = begin().map_err(|error| archive.failed(error))?;
        Ok(Self {
            from: plan.from,
            journal: plan.journal,
            into,
            name,
            file: plan.file,
            written: u64::try_from(plan.header.len()).unwrap_or(u64::MAX),
            left: plan.copy.into(),
        })
    }

    /// Copies a slice. True: it is all there, and [`end`](Self::end) is next.
    pub(super) fn step(&mut self, archive: &Archive) -> Result<bool, RecordError> {
        self.copy_slice().map_err(|error| archive.failed(error))?;
        Ok(self.left.is_empty())
    }

    /// Gives the copy its name, and lets the journal go.
    pub(super) fn end(mut self, archive: &Archive) -> Result<RecordedFile, RecordError> {
        let storage = archive.storage();
        let mut end = || -> io::Result<()> {
            self.into.sync()?;
            storage.seal(&self.name)?;
            // Before the name, as a listing takes up what is in the index and there.
            archive.note(&self.file)?;
            if self.name != self.file.name {
                storage.rename(&self.name, &self.file.name)?;
            }
            Ok(())
        };
        end().map_err(|error| archive.failed(error))?;
        drop(self.from);
        let deleted = storage.delete(&self.journal);
        deleted.map_err(|error| archive.failed(error))?;
        Ok(self.file)
    }

    fn copy_slice(&mut self) -> io::Result<()> {
        let mut slice = Vec::new();
        while slice.len() < SLICE {
            let Some(range) = self.left.front_mut() else {
                break;
            };
            let length = range.end.saturating_sub(range.start);
            let fits = usize::try_from(length).unwrap_or(SLICE);
            let taken = fits.min(SLICE - slice.len());
            let at = slice.len();
            slice.resize(at + taken, 0);
            let into = slice.get_mut(at..).unwrap_or_default();
            if self.from.read_at(range.start, into)? != taken {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            range.start += taken as u64;
            if range.start >= range.end {
                self.left.pop_front();
            }
        }
        if slice.is_empty() {
            return Ok(());
        }
        self.into.write_at(self.written, &slice)?;
        self.written += slice.len() as u64;
        Ok(())
    }
}

/// Bytes of one step: a moment for a disk.
const SLICE: usize = 1 << 20;
/// How a copy's name ends until it is whole.
const UNFINISHED: &str = ".mp4.new";
