//! The plain MP4 a journal becomes: `moov` with full sample tables (ISO/IEC 14496-12 §8.6, §8.7).

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use sluice_media::MediaKind;

use super::Journal;
use super::init::{SampleIndex, TrackIndex};
use crate::MuxError;
use crate::boxes::{full_box, write_box};
use crate::fmp4::{handler, movie_header, track_header};

/// How to finish a recording where it lies, without moving its samples.
///
/// First cut the file to [`Journal::bytes`], append `append` there and make it durable; then write `patch`. A crash
/// between the two leaves a journal, one after them a finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlace {
    /// The `moov`.
    pub append: Bytes,
    /// Where the 16 bytes of `patch` go.
    pub patch_at: u64,
    /// The head of an `mdat` that hides the old `moov` and the parts' boxes.
    pub patch: [u8; 16],
}

/// How to write a finished copy with its index in front (faststart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFront {
    /// The first bytes of the copy.
    pub header: Bytes,
    /// The bytes of the journal that follow, in this order.
    pub copy: Vec<Range<u64>>,
    /// Length of the copy.
    pub bytes: u64,
}

impl Journal {
    /// Plans to turn the journal into a plain MP4 in place, with `moov` at the end.
    ///
    /// # Errors
    ///
    /// [`MuxError::Empty`] without a part, [`MuxError::TooLarge`] when a table does not fit.
    pub fn finish_in_place(&self) -> Result<InPlace, MuxError> {
        let places: Vec<u64> = self.parts.iter().map(|part| part.payload.start).collect();
        let append = movie(&self.tracks, &places, self.is_wide())?;
        let mut patch = [0; 16];
        let size = self.end.saturating_sub(self.movie);
        let head = b"\0\0\0\x01mdat".iter().copied();
        for (to, from) in patch.iter_mut().zip(head.chain(size.to_be_bytes())) {
            *to = from;
        }
        Ok(InPlace {
            append,
            patch_at: self.movie,
            patch,
        })
    }

    /// Plans a copy with `moov` in front, which players start without reading to the end.
    ///
    /// # Errors
    ///
    /// As [`finish_in_place`](Self::finish_in_place).
    pub fn finish_in_front(&self) -> Result<InFront, MuxError> {
        let payloads = self.parts.iter().map(|part| part.payload.clone());
        let copy: Vec<Range<u64>> = payloads.collect();
        let (header, bytes) = in_front(&self.tracks, &copy, self.is_wide())?;
        Ok(InFront {
            header,
            copy,
            bytes,
        })
    }

    /// Index and journal together bound where anything can lie, in the file or in its copy.
    fn is_wide(&self) -> bool {
        is_wide(self.end, self.samples)
    }
}

/// Whether offsets into so many bytes, behind an index of so many samples, need 64 bits.
pub(super) fn is_wide(bytes: u64, samples: usize) -> bool {
    bytes.saturating_add(index_bound(samples)) > u64::from(u32::MAX)
}

/// What stands in front of the bytes of `copy` when they follow each other, and the length of it all. A chunk's part
/// is an index of `copy`.
pub(super) fn in_front(
    tracks: &[TrackIndex],
    copy: &[Range<u64>],
    wide: bool,
) -> Result<(Bytes, u64), MuxError> {
    let lengths = || {
        copy.iter()
            .map(|range| range.end.saturating_sub(range.start))
    };
    let places = |base: u64| -> Vec<u64> {
        lengths()
            .scan(base, |next, length| {
                let place = *next;
                *next = next.saturating_add(length);
                Some(place)
            })
            .collect()
    };
    let mut header = BytesMut::new();
    write_box(&mut header, *b"ftyp", |out| {
        out.put_slice(b"iso6\0\0\0\0iso6mp41");
    });
    let brands = u64::try_from(header.len()).unwrap_or(u64::MAX);
    // The size of `moov` depends on its offsets only by their width, which is settled.
    let trial = movie(tracks, &places(0), wide)?;
    let index = u64::try_from(trial.len()).unwrap_or(u64::MAX);
    let base = brands.saturating_add(index).saturating_add(16);
    header.put_slice(&movie(tracks, &places(base), wide)?);
    let payload = lengths().fold(0, u64::saturating_add);
    header.put_u32(1);
    header.put_slice(b"mdat");
    header.put_u64(payload.saturating_add(16));
    Ok((header.freeze(), base.saturating_add(payload)))
}

/// No `moov` of so many samples is longer.
fn index_bound(samples: usize) -> u64 {
    u64::try_from(samples)
        .unwrap_or(u64::MAX)
        .saturating_mul(64)
        .saturating_add(1 << 20)
}

/// A `moov` for payloads that begin at `places`.
fn movie(tracks: &[TrackIndex], places: &[u64], wide: bool) -> Result<Bytes, MuxError> {
    let tracks = || tracks.iter().filter(|track| !track.samples.is_empty());
    // All times count from the earliest decode time of any track.
    let origin = tracks()
        .map(TrackIndex::start)
        .min()
        .ok_or(MuxError::Empty)?;
    let samples = tracks().fold(0_usize, |sum, track| {
        sum.saturating_add(track.samples.len())
    });
    let mut out = BytesMut::with_capacity(samples.saturating_mul(8).saturating_add(4096));
    let lasts = |track: &TrackIndex| {
        let ticks = track.end().saturating_sub(track.first());
        (rescaled(ticks, track.rate), ticks)
    };
    let mut written = Ok(());
    write_box(&mut out, *b"moov", |out| {
        let whole = tracks().map(|track| {
            let delay = track.start().saturating_sub(origin);
            delay.saturating_add(lasts(track).0)
        });
        movie_header(out, MOVIE_RATE, whole.max().unwrap_or(0));
        for track in tracks() {
            let delay = track.start().saturating_sub(origin);
            let (shown, ticks) = lasts(track);
            write_box(out, *b"trak", |out| {
                let duration = delay.saturating_add(shown);
                track_header(out, track.number, duration, track.kind, track.size);
                if delay > 0 {
                    edits(out, delay, rescaled(track.presented(), track.rate));
                }
                write_box(out, *b"mdia", |out| {
                    handler(out, track.rate, ticks, track.kind, |out| {
                        let tables = tables(out, track, places, wide);
                        written = written.and(tables);
                    });
                });
            });
        }
    });
    written.map(|()| out.freeze())
}

impl TrackIndex {
    fn first(&self) -> u64 {
        self.samples.first().map_or(0, |sample| sample.dts)
    }

    fn end(&self) -> u64 {
        self.samples.last().map_or(0, |sample| {
            sample.dts.saturating_add(u64::from(self.last_duration))
        })
    }

    /// From the first decode time to where the last picture shown ends. Where pictures are reordered that is later than
    /// where the last one decoded does: an edit that ended there would hide them.
    fn presented(&self) -> u64 {
        let shown = |sample: &SampleIndex| {
            let offset = i64::from(sample.composition_offset);
            sample.dts.saturating_add_signed(offset)
        };
        let last = self.samples.iter().map(shown).max().unwrap_or_default();
        last.saturating_add(u64::from(self.last_duration))
            .saturating_sub(self.first())
    }

    /// Its first decode time in the movie's ticks.
    fn start(&self) -> u64 {
        rescaled(self.first(), self.rate)
    }
}

/// An empty edit in front of the track (§8.6.6): it begins later than the others.
fn edits(out: &mut BytesMut, delay: u64, shown: u64) {
    write_box(out, *b"edts", |out| {
        full_box(out, *b"elst", 1, 0, |out| {
            out.put_u32(2);
            out.put_u64(delay);
            out.put_i64(-1);
            out.put_u32(0x0001_0000);
            out.put_u64(shown);
            out.put_i64(0);
            out.put_u32(0x0001_0000);
        });
    });
}

fn tables(
    out: &mut BytesMut,
    track: &TrackIndex,
    places: &[u64],
    wide: bool,
) -> Result<(), MuxError> {
    write_box(out, *b"stsd", |out| out.put_slice(&track.entries));
    let next = track.samples.iter().skip(1).map(|sample| sample.dts);
    let mut long = false;
    let durations = track
        .samples
        .iter()
        .zip(next.chain([track.end()]))
        .map(|(sample, next)| {
            u32::try_from(next.saturating_sub(sample.dts)).unwrap_or_else(|_| {
                long = true;
                u32::MAX
            })
        });
    full_box(out, *b"stts", 0, 0, |out| {
        runs(out, durations, BufMut::put_u32);
    });
    if long {
        return Err(MuxError::TooLarge);
    }
    if track
        .samples
        .iter()
        .any(|sample| sample.composition_offset != 0)
    {
        let offsets = track.samples.iter().map(|sample| sample.composition_offset);
        full_box(out, *b"ctts", 1, 0, |out| {
            runs(out, offsets, BufMut::put_i32);
        });
    }
    if track.kind == MediaKind::Video && !track.samples.iter().all(|sample| sample.sync) {
        full_box(out, *b"stss", 0, 0, |out| {
            let numbers = (1_u32..)
                .zip(&track.samples)
                .filter(|(_, sample)| sample.sync)
                .map(|(number, _)| number);
            counted(out, numbers, BufMut::put_u32);
        });
    }
    full_box(out, *b"stsz", 0, 0, |out| {
        out.put_u32(0);
        let sizes = track.samples.iter().map(|sample| sample.size);
        counted(out, sizes, BufMut::put_u32);
    });
    full_box(out, *b"stsc", 0, 0, |out| {
        let mut before = None;
        let changes = (1_u32..)
            .zip(&track.chunks)
            .filter(move |(_, chunk)| before.replace(chunk.samples) != Some(chunk.samples));
        counted(out, changes, |out, (number, chunk)| {
            out.put_u32(number);
            out.put_u32(chunk.samples);
            out.put_u32(1);
        });
    });
    let offsets = track.chunks.iter().map(|chunk| {
        let place = places.get(chunk.part).copied().unwrap_or(0);
        place.saturating_add(chunk.offset)
    });
    if wide {
        full_box(out, *b"co64", 0, 0, |out| {
            counted(out, offsets, BufMut::put_u64);
        });
    } else {
        full_box(out, *b"stco", 0, 0, |out| {
            counted(out, offsets, |out, offset| {
                out.put_u32(u32::try_from(offset).unwrap_or(u32::MAX));
            });
        });
    }
    Ok(())
}

/// A table of how often each value follows itself.
fn runs<T: PartialEq + Copy>(
    out: &mut BytesMut,
    values: impl Iterator<Item = T>,
    put: impl Fn(&mut BytesMut, T),
) {
    let mut values = values.peekable();
    let table = std::iter::from_fn(|| {
        let value = values.next()?;
        let mut count = 1_u32;
        while values.next_if_eq(&value).is_some() {
            count = count.saturating_add(1);
        }
        Some((count, value))
    });
    counted(out, table, |out, (count, value)| {
        out.put_u32(count);
        put(out, value);
    });
}

/// A table with the number of its entries in front.
fn counted<T>(out: &mut BytesMut, values: impl Iterator<Item = T>, put: impl Fn(&mut BytesMut, T)) {
    let at = out.len();
    out.put_u32(0);
    let mut count = 0_u32;
    for value in values {
        put(out, value);
        count = count.saturating_add(1);
    }
    crate::boxes::patch_u32(out, at, count);
}

/// In ticks of the movie, rounded to the nearest.
fn rescaled(ticks: u64, rate: u32) -> u64 {
    let scaled = u128::from(ticks)
        .saturating_mul(u128::from(MOVIE_RATE))
        .saturating_add(u128::from(rate / 2))
        .checked_div(u128::from(rate));
    u64::try_from(scaled.unwrap_or(0)).unwrap_or(u64::MAX)
}

/// Ticks per second of a finished file's movie header and edits: pictures' own.
pub(super) const MOVIE_RATE: u32 = 90_000;
