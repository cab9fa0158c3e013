//! Recordings: a journal of CMAF parts that survives a crash, and the plain MP4 it becomes.
//!
//! A recording file is an init segment and parts, appended one after the other: at any moment a fragmented MP4 that
//! plays. A crash costs the part that was being written. [`Recovery`] finds the last whole one again;
//! [`Journal::finish_in_place`] and [`Journal::finish_in_front`] say which bytes make it an ordinary MP4. A [`Movie`] is
//! the index of such a file, from which an [`ExcerptCutter`] makes files of their own.

mod excerpt;
mod finish;
mod fragment;
mod init;
mod movie;
mod recover;

pub use excerpt::{Excerpt, ExcerptCutter, Piece};
pub use finish::{InFront, InPlace};
pub use movie::{Movie, MovieSearch};
pub use recover::Recovery;

use std::ops::Range;
use std::time::Duration;

use crate::MuxError;
use crate::boxes::Boxes;
use fragment::Scan;
use init::TrackIndex;

/// What a recording holds, and where: the index of its parts and samples.
///
/// Grows by 24 bytes a sample, up to [`Journal::MAX_SAMPLES`]; start another file well before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Where the `moov` begins, behind `ftyp`.
    movie: u64,
    /// Where the first part begins.
    head: u64,
    /// Where the last whole part ends.
    end: u64,
    tracks: Vec<TrackIndex>,
    parts: Vec<JournalPart>,
    samples: usize,
}

/// One part of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPart {
    /// Its bytes in the file. Behind the bytes of [`Journal::init`] any consecutive parts are a playable file.
    pub bytes: Range<u64>,
    /// The bytes of its samples.
    pub payload: Range<u64>,
    /// Decode time of its earliest sample.
    pub start: Duration,
    /// Where its last sample ends.
    pub end: Duration,
    /// It holds a keyframe of the picture, or the recording has none.
    pub independent: bool,
    /// Wall-clock time of `start`, microseconds since 1970; `None` as long as no part has told one.
    pub wall_micros: Option<i64>,
}

impl Journal {
    /// Most samples of one file: more than a day of pictures and sound.
    pub const MAX_SAMPLES: usize = 16 << 20;

    /// Begins with an init segment, the first bytes of the file.
    ///
    /// # Errors
    ///
    /// [`MuxError::BrokenBox`] and [`MuxError::ForeignBox`] when it is none of ours.
    pub fn begin(init: &[u8]) -> Result<Self, MuxError> {
        let journal = Self::recover(init)?;
        if u64::try_from(init.len()) == Ok(journal.end) && journal.parts.is_empty() {
            Ok(journal)
        } else {
            Err(MuxError::ForeignBox {
                offset: journal.end,
            })
        }
    }

    /// Takes note of a part that is written at [`bytes`](Self::bytes), the end of the file.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin), and [`MuxError::OverBudget`]: then the part does not belong into this file.
    pub fn append(&mut self, part: &[u8]) -> Result<&JournalPart, MuxError> {
        let mut scan = Scan::default();
        let mut committed = None;
        for found in Boxes::new(part, self.end) {
            let found = found?;
            if committed.is_some() {
                return Err(MuxError::ForeignBox {
                    offset: found.offset,
                });
            }
            committed = scan.take(self, &found)?;
        }
        let offset = self.end;
        let fragment = committed.ok_or(MuxError::BrokenBox { offset })?;
        self.commit(fragment)?;
        self.parts.last().ok_or(MuxError::Empty)
    }

    /// Reads a whole file that is in memory; see [`Recovery`] for one that is not.
    ///
    /// # Errors
    ///
    /// Those of [`Recovery::finish`].
    pub fn recover(file: &[u8]) -> Result<Self, MuxError> {
        let mut recovery = Recovery::new(u64::try_from(file.len()).unwrap_or(u64::MAX));
        while let Some(wanted) = recovery.poll_read() {
            let from = usize::try_from(wanted.start).unwrap_or(usize::MAX);
            let to = usize::try_from(wanted.end).unwrap_or(usize::MAX);
            recovery.handle_read(file.get(from..to).unwrap_or_default());
        }
        recovery.finish()
    }

    /// Length of the file up to its last whole part: what lies behind is to be cut off.
    pub const fn bytes(&self) -> u64 {
        self.end
    }

    /// The bytes of the init segment.
    pub const fn init(&self) -> Range<u64> {
        0..self.head
    }

    /// The parts, in the order of the file.
    pub fn parts(&self) -> &[JournalPart] {
        &self.parts
    }

    /// Samples of all tracks.
    pub const fn samples(&self) -> usize {
        self.samples
    }

    /// How it is coded (RFC 6381), one word for each track that has samples, in the order of the file.
    pub fn codecs(&self) -> String {
        let tracks = self.tracks.iter();
        movie::joined(tracks.filter(|track| !track.samples.is_empty()))
    }

    /// From the earliest sample to the end of the latest.
    pub fn duration(&self) -> Duration {
        let start = self.parts.iter().map(|part| part.start).min();
        let end = self.parts.iter().map(|part| part.end).max();
        end.unwrap_or_default()
            .saturating_sub(start.unwrap_or_default())
    }

    /// The parts that a player of `from` to `to` (not included) on the recording's timeline needs: from the last
    /// independent one that starts no later, so that it can begin there.
    pub fn covering(&self, from: Duration, to: Duration) -> &[JournalPart] {
        self.stretch(
            |part| from < to && part.end > from && part.start < to,
            |part| part.start <= from,
        )
    }

    /// As [`covering`](Self::covering), by wall-clock time in microseconds since 1970. Where the publisher was away the
    /// two differ: the timeline has no hole there.
    pub fn covering_wall(&self, from: i64, to: i64) -> &[JournalPart] {
        self.stretch(
            |part| {
                let lasts = part.end.saturating_sub(part.start).as_micros();
                let lasts = i64::try_from(lasts).unwrap_or(i64::MAX);
                part.wall_micros
                    .is_some_and(|wall| from < to && wall < to && wall.saturating_add(lasts) > from)
            },
            |part| part.wall_micros.is_some_and(|wall| wall <= from),
        )
    }

    fn stretch(
        &self,
        within: impl Fn(&JournalPart) -> bool,
        in_time: impl Fn(&JournalPart) -> bool,
    ) -> &[JournalPart] {
        let (Some(first), Some(last)) = (
            self.parts.iter().position(&within),
            self.parts.iter().rposition(&within),
        ) else {
            return &[];
        };
        let entry = self
            .parts
            .iter()
            .take(first.saturating_add(1))
            .rposition(|part| part.independent && (in_time(part) || part.start.is_zero()));
        self.parts
            .get(entry.unwrap_or(first)..=last)
            .unwrap_or_default()
    }
}
