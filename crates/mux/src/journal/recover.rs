//! Finding the last whole part of a file that may end anywhere.

use std::ops::Range;

use super::fragment::Scan;
use super::{Journal, init};
use crate::MuxError;
use crate::boxes::{Boxed, Header};

/// Reads a recording back, asking for the bytes it needs: heads and `moof`s, never the samples.
///
/// Read what [`poll_read`](Self::poll_read) wants, hand it to [`handle_read`](Self::handle_read), until it wants no
/// more. Each read goes on in the file, so it ends.
#[derive(Debug)]
pub struct Recovery {
    file: u64,
    offset: u64,
    want: Want,
    journal: Option<Journal>,
    scan: Scan,
    failed: Option<MuxError>,
}

#[derive(Debug, Clone, Copy)]
enum Want {
    Head,
    Whole(Header),
    Nothing,
}

impl Recovery {
    /// Largest box that is read into memory; a larger one counts as broken.
    pub const MAX_READ: u64 = 8 << 20;

    /// Begins with a file of so many bytes.
    pub fn new(file_bytes: u64) -> Self {
        Self {
            file: file_bytes,
            offset: 0,
            want: Want::Head,
            journal: None,
            scan: Scan::default(),
            failed: None,
        }
    }

    /// The bytes wanted next, at most [`Self::MAX_READ`]; `None` when it has seen enough.
    pub fn poll_read(&self) -> Option<Range<u64>> {
        let size = match self.want {
            Want::Head => Header::MAX,
            Want::Whole(header) => header.size,
            Want::Nothing => return None,
        };
        let end = self.offset.saturating_add(size).min(self.file);
        (end > self.offset).then_some(self.offset..end)
    }

    /// Takes the bytes that were wanted. Fewer are taken for the end of the file.
    pub fn handle_read(&mut self, bytes: &[u8]) {
        let taken = match self.want {
            Want::Head => self.take_head(bytes),
            Want::Whole(header) => self.take_whole(header, bytes),
            Want::Nothing => return,
        };
        match taken {
            Ok(want) => self.want = want,
            Err(error) => {
                self.want = Want::Nothing;
                self.failed = Some(error);
            }
        }
    }

    /// The journal up to the last whole part.
    ///
    /// # Errors
    ///
    /// [`MuxError::Finished`] for a file that [`Journal::finish_in_place`] has made an MP4; [`MuxError::BrokenBox`] or
    /// [`MuxError::ForeignBox`] when not even the init segment is whole and ours.
    pub fn finish(self) -> Result<Journal, MuxError> {
        let broken = MuxError::BrokenBox {
            offset: self.offset,
        };
        self.journal.ok_or(self.failed.unwrap_or(broken))
    }

    fn take_head(&mut self, bytes: &[u8]) -> Result<Want, MuxError> {
        let offset = self.offset;
        let broken = MuxError::BrokenBox { offset };
        let header = Header::parse(bytes).ok_or(broken)?;
        let end = offset.checked_add(header.size).ok_or(broken)?;
        if end > self.file {
            return Err(broken);
        }
        if header.kind == *b"mdat" && self.journal.is_none() && offset > 0 {
            return Err(MuxError::Finished);
        }
        let reads = match self.journal {
            None => header.kind == *b"moov",
            Some(_) => Scan::reads(header.kind),
        };
        if reads {
            return if header.size <= Self::MAX_READ {
                Ok(Want::Whole(header))
            } else {
                Err(MuxError::OverBudget)
            };
        }
        self.take_box(header, &[])?;
        self.offset = end;
        Ok(Want::Head)
    }

    fn take_whole(&mut self, header: Header, bytes: &[u8]) -> Result<Want, MuxError> {
        let broken = MuxError::BrokenBox {
            offset: self.offset,
        };
        if u64::try_from(bytes.len()) != Ok(header.size) {
            return Err(broken);
        }
        let head = usize::try_from(header.head).map_err(|_| broken)?;
        self.take_box(header, bytes.get(head..).ok_or(broken)?)?;
        self.offset = self.offset.saturating_add(header.size);
        Ok(Want::Head)
    }

    fn take_box(&mut self, header: Header, body: &[u8]) -> Result<(), MuxError> {
        let found = Boxed::new(header, self.offset, body);
        let Some(journal) = &mut self.journal else {
            return match (&header.kind, found.offset) {
                (b"ftyp", 0) => Ok(()),
                (b"moov", movie) if movie > 0 => {
                    self.journal = Some(Journal {
                        movie,
                        head: found.end,
                        end: found.end,
                        tracks: init::tracks(&found)?,
                        parts: Vec::new(),
                        samples: 0,
                    });
                    Ok(())
                }
                (_, offset) => Err(MuxError::ForeignBox { offset }),
            };
        };
        if let Some(fragment) = self.scan.take(journal, &found)? {
            journal.commit(fragment)?;
        }
        Ok(())
    }
}
