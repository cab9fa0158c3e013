//! The index of a finished recording, read back: what this crate writes, and nothing else.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::finish::MOVIE_RATE;
use super::fragment::{MAX_TIME, seconds};
use super::init::{self, SampleIndex, TrackIndex};
use crate::MuxError;
use crate::boxes::{Boxed, Boxes, Fields, Header};
use crate::fmp4::{MAX_TRACKS, codec_string};

/// Where everything lies in a finished recording. Keeps the `moov` as it is read and walks through its tables.
#[derive(Debug, Clone)]
pub struct Movie {
    pub(super) tracks: Vec<MovieTrack>,
}

/// One track with its tables (ISO/IEC 14496-12 §8.6, §8.7).
#[derive(Debug, Clone)]
pub(super) struct MovieTrack {
    /// Without samples.
    pub(super) index: TrackIndex,
    /// How much later than the earliest track it begins, in its own ticks.
    pub(super) delay: u64,
    durations: Bytes,
    offsets: Option<Bytes>,
    sync: Option<Bytes>,
    sizes: Bytes,
    chunks: Bytes,
    places: Places,
}

#[derive(Debug, Clone)]
enum Places {
    Narrow(Bytes),
    Wide(Bytes),
}

/// A sample and where it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) sample: SampleIndex,
    pub(super) duration: u32,
    pub(super) place: u64,
}

/// Finds the `moov` of a finished recording, asking for the bytes it needs.
///
/// Read what [`poll_read`](Self::poll_read) wants, hand it to [`handle_read`](Self::handle_read), until it wants no
/// more. Each read goes on in the file, so it ends.
#[derive(Debug)]
pub struct MovieSearch {
    file: u64,
    offset: u64,
    movie: Option<Header>,
    outcome: Option<Result<Movie, MuxError>>,
}

impl MovieSearch {
    /// Largest `moov` that is read: that of a day of pictures and sound.
    pub const MAX_READ: u64 = 128 << 20;

    /// Begins with a file of so many bytes.
    pub const fn new(file_bytes: u64) -> Self {
        Self {
            file: file_bytes,
            offset: 0,
            movie: None,
            outcome: None,
        }
    }

    /// The bytes wanted next, at most [`Self::MAX_READ`]; `None` when it has seen enough.
    pub fn poll_read(&self) -> Option<Range<u64>> {
        if self.outcome.is_some() {
            return None;
        }
        let size = self.movie.map_or(Header::MAX, |header| header.size);
        let end = self.offset.saturating_add(size).min(self.file);
        (end > self.offset).then_some(self.offset..end)
    }

    /// Takes the bytes that were wanted. Fewer are taken for the end of the file.
    pub fn handle_read(&mut self, bytes: &Bytes) {
        if self.outcome.is_some() {
            return;
        }
        let taken = match self.movie {
            None => self.take_head(bytes),
            Some(header) => self.take_movie(header, bytes).map(Some),
        };
        self.outcome = taken.transpose();
    }

    /// The index.
    ///
    /// # Errors
    ///
    /// [`MuxError::BrokenBox`] or [`MuxError::ForeignBox`] when it is no finished recording of ours,
    /// [`MuxError::OverBudget`] when its index is larger than [`Self::MAX_READ`].
    pub fn finish(self) -> Result<Movie, MuxError> {
        let broken = MuxError::BrokenBox {
            offset: self.offset,
        };
        self.outcome.unwrap_or(Err(broken))
    }

    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<Movie>, MuxError> {
        let offset = self.offset;
        let broken = MuxError::BrokenBox { offset };
        let header = Header::parse(bytes).ok_or(broken)?;
        let end = offset.checked_add(header.size).ok_or(broken)?;
        if end > self.file {
            return Err(broken);
        }
        match &header.kind {
            b"moov" if header.size > Self::MAX_READ => return Err(MuxError::OverBudget),
            b"moov" => self.movie = Some(header),
            b"ftyp" | b"mdat" => self.offset = end,
            _ => return Err(MuxError::ForeignBox { offset }),
        }
        Ok(None)
    }

    fn take_movie(&self, header: Header, bytes: &Bytes) -> Result<Movie, MuxError> {
        let broken = MuxError::BrokenBox {
            offset: self.offset,
        };
        if u64::try_from(bytes.len()) != Ok(header.size) {
            return Err(broken);
        }
        let head = usize::try_from(header.head).map_err(|_| broken)?;
        let body = bytes.get(head..).ok_or(broken)?;
        Movie::parse(bytes, &Boxed::new(header, self.offset, body))
    }
}

impl Movie {
    fn parse(bytes: &Bytes, moov: &Boxed<'_>) -> Result<Self, MuxError> {
        let mut tracks = Vec::new();
        for found in Boxes::new(moov.body, moov.body_offset) {
            let trak = found?;
            if trak.kind != *b"trak" {
                continue;
            }
            if tracks.len() >= MAX_TRACKS {
                return Err(MuxError::ForeignBox {
                    offset: trak.offset,
                });
            }
            tracks.push(MovieTrack::parse(bytes, &trak)?);
        }
        // One that announces fragments is a journal's.
        if tracks.is_empty() || moov.child(*b"mvex").is_ok() {
            return Err(MuxError::ForeignBox {
                offset: moov.offset,
            });
        }
        Ok(Self { tracks })
    }

    /// How it is coded (RFC 6381), one word a track in the order of the file.
    pub fn codecs(&self) -> String {
        joined(self.tracks.iter().map(|track| &track.index))
    }

    /// Whether the same decoders can go on with the other.
    pub(super) fn goes_on_with(&self, other: &Self) -> bool {
        let same = |(one, other): (&MovieTrack, &MovieTrack)| {
            let (one, other) = (&one.index, &other.index);
            (one.number, one.kind, one.rate) == (other.number, other.kind, other.rate)
                && one.entries == other.entries
        };
        self.tracks.len() == other.tracks.len() && self.tracks.iter().zip(&other.tracks).all(same)
    }
}

impl MovieTrack {
    fn parse(bytes: &Bytes, trak: &Boxed<'_>) -> Result<Self, MuxError> {
        let index = init::track(trak)?;
        let table = trak.child(*b"mdia")?.child(*b"minf")?.child(*b"stbl")?;
        let own = |kind| table.child(kind).map(|found| bytes.slice_ref(found.body));
        let foreign = MuxError::ForeignBox {
            offset: trak.offset,
        };
        let delay = match trak.child(*b"edts") {
            Ok(edits) => delay(edits.child(*b"elst")?.body).ok_or(foreign)?,
            Err(_) => 0,
        };
        let delay = u128::from(delay)
            .saturating_mul(u128::from(index.rate))
            .checked_div(u128::from(MOVIE_RATE))
            .and_then(|ticks| u64::try_from(ticks).ok())
            .filter(|ticks| *ticks < MAX_TIME)
            .ok_or(foreign)?;
        Ok(Self {
            delay,
            durations: own(*b"stts")?,
            offsets: own(*b"ctts").ok(),
            sync: own(*b"stss").ok(),
            sizes: own(*b"stsz")?,
            chunks: own(*b"stsc")?,
            places: match own(*b"stco") {
                Ok(narrow) => Places::Narrow(narrow),
                Err(_) => Places::Wide(own(*b"co64")?),
            },
            index,
        })
    }

    /// Its samples in decoding order; ends where its tables no longer agree with each other.
    pub(super) fn samples(&self) -> Option<Samples<'_>> {
        let mut sizes = Fields::new(&self.sizes);
        sizes.skip(4)?;
        let uniform = sizes.u32()?;
        let left = sizes.u32()?;
        if uniform != 0 {
            return None;
        }
        let mut sync = self.sync.as_deref().map(entries);
        let next_sync = match &mut sync {
            Some(numbers) => numbers.as_mut()?.u32(),
            None => None,
        };
        let mut chunks = entries(&self.chunks)?;
        let next_run = chunk_run(&mut chunks);
        Some(Samples {
            durations: Runs::new(&self.durations)?,
            offsets: match &self.offsets {
                Some(table) => Some(Runs::new(table)?),
                None => None,
            },
            all_sync: self.sync.is_none(),
            sync: sync.flatten(),
            next_sync,
            sizes,
            left,
            chunks,
            next_run,
            places: match &self.places {
                Places::Narrow(table) | Places::Wide(table) => entries(table)?,
            },
            wide: matches!(self.places, Places::Wide(_)),
            chunk: 0,
            in_each_chunk: 0,
            left_in_chunk: 0,
            place: 0,
            number: 0,
            dts: self.delay,
        })
    }

    /// Ticks of the track since the beginning of the movie.
    pub(super) fn time(&self, ticks: u64) -> Duration {
        seconds(ticks, self.index.rate)
    }
}

/// A walk through the tables of one track, side by side.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    durations: Runs<'a>,
    offsets: Option<Runs<'a>>,
    /// There is no table of sync samples: all are.
    all_sync: bool,
    sync: Option<Fields<'a>>,
    next_sync: Option<u32>,
    sizes: Fields<'a>,
    left: u32,
    chunks: Fields<'a>,
    /// The next entry of `stsc`: from which chunk on, how many samples each.
    next_run: Option<(u32, u32)>,
    places: Fields<'a>,
    wide: bool,
    chunk: u32,
    in_each_chunk: u32,
    left_in_chunk: u32,
    place: u64,
    number: u32,
    dts: u64,
}

impl Samples<'_> {
    fn enter_chunk(&mut self) -> Option<()> {
        self.chunk = self.chunk.checked_add(1)?;
        if let Some((first, samples)) = self.next_run
            && first <= self.chunk
        {
            self.in_each_chunk = samples;
            self.next_run = chunk_run(&mut self.chunks);
        }
        self.place = if self.wide {
            self.places.u64()?
        } else {
            u64::from(self.places.u32()?)
        };
        self.left_in_chunk = self.in_each_chunk;
        (self.left_in_chunk > 0).then_some(())
    }
}

impl Iterator for Samples<'_> {
    type Item = Placed;

    fn next(&mut self) -> Option<Placed> {
        self.left = self.left.checked_sub(1)?;
        if self.left_in_chunk == 0 {
            self.enter_chunk()?;
        }
        self.left_in_chunk = self.left_in_chunk.saturating_sub(1);
        self.number = self.number.checked_add(1)?;
        let size = self.sizes.u32()?;
        let duration = self.durations.next()?;
        let composition_offset = match &mut self.offsets {
            Some(offsets) => i32::from_be_bytes(offsets.next()?.to_be_bytes()),
            None => 0,
        };
        let sync = self.all_sync || self.next_sync == Some(self.number);
        if sync && let Some(numbers) = &mut self.sync {
            self.next_sync = numbers.u32();
        }
        let placed = Placed {
            sample: SampleIndex {
                dts: self.dts,
                composition_offset,
                size,
                sync,
            },
            duration,
            place: self.place,
        };
        self.place = self.place.checked_add(u64::from(size))?;
        self.dts = self
            .dts
            .checked_add(u64::from(duration))
            .filter(|dts| *dts < MAX_TIME)?;
        Some(placed)
    }
}

/// A table that says how often each value follows itself.
#[derive(Debug)]
struct Runs<'a> {
    entries: Fields<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn new(table: &'a [u8]) -> Option<Self> {
        Some(Self {
            entries: entries(table)?,
            left: 0,
            value: 0,
        })
    }

    fn next(&mut self) -> Option<u32> {
        if self.left == 0 {
            (self.left, self.value) = (self.entries.u32()?, self.entries.u32()?);
        }
        self.left = self.left.checked_sub(1)?;
        Some(self.value)
    }
}

/// The words of tracks that have one.
pub(super) fn joined<'a>(tracks: impl Iterator<Item = &'a TrackIndex>) -> String {
    let words: Vec<String> = tracks
        .filter_map(|track| codec_string(&track.entries))
        .collect();
    words.join(",")
}

/// What stands behind version, flags and count of a table.
fn entries(table: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields::new(table);
    fields.skip(8)?;
    Some(fields)
}

fn chunk_run(chunks: &mut Fields<'_>) -> Option<(u32, u32)> {
    let run = (chunks.u32()?, chunks.u32()?);
    chunks.skip(4)?;
    Some(run)
}

/// The length of the empty edit that our `elst` begins with (§8.6.6).
fn delay(body: &[u8]) -> Option<u64> {
    let mut fields = Fields::new(body);
    let (1, _) = fields.version_and_flags()? else {
        return None;
    };
    fields.skip(4)?;
    let delay = fields.u64()?;
    (fields.u64()? == u64::MAX).then_some(delay)
}
