//! A stretch of time of finished recordings as a plain MP4 of its own.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use sluice_media::MediaKind;

use super::finish::{in_front, is_wide};
use super::fragment::seconds;
use super::init::{Chunk, TrackIndex};
use super::movie::{Movie, MovieTrack, Placed};
use crate::MuxError;

/// How to write an excerpt: a head that is new, and bytes of the recordings behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The first bytes of it.
    pub header: Bytes,
    /// What follows, in this order.
    pub pieces: Vec<Piece>,
    /// Length of it all.
    pub bytes: u64,
    /// How long it plays.
    pub duration: Duration,
}

/// Bytes of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which recording: the first that was added is 0.
    pub source: usize,
    /// Where they lie in it.
    pub bytes: Range<u64>,
}

/// Cuts an excerpt out of one recording, or out of several that follow each other.
///
/// It begins with the newest keyframe that is shown no later than it should begin, and with the sound from there on; it
/// ends to the sample. Where the publisher was away between two recordings the excerpt has no hole: the next begins
/// where the one before it ends.
#[derive(Debug, Clone, Default)]
pub struct ExcerptCutter {
    first: Option<Movie>,
    tracks: Vec<TrackIndex>,
    copy: Vec<Range<u64>>,
    sources: Vec<usize>,
    added: usize,
    samples: usize,
}

impl ExcerptCutter {
    /// Most samples of an excerpt: several hours of pictures and sound.
    pub const MAX_SAMPLES: usize = 1 << 20;

    /// Whether the same decoders can go on with this recording behind those that were added; true for the first.
    pub fn takes(&self, movie: &Movie) -> bool {
        self.first
            .as_ref()
            .is_none_or(|first| first.goes_on_with(movie))
    }

    /// Adds `from` to `to` (not included) of the next recording, counted from its own beginning. Only the first may
    /// begin elsewhere.
    ///
    /// # Errors
    ///
    /// [`MuxError::OverBudget`] beyond [`Self::MAX_SAMPLES`], [`MuxError::Finished`] when it is coded otherwise than the
    /// first; the cutter is to be thrown away then.
    pub fn add(&mut self, movie: &Movie, from: Duration, to: Duration) -> Result<(), MuxError> {
        if !self.takes(movie) {
            return Err(MuxError::Finished);
        }
        let entry = entry(movie, from);
        let shift = self.shift(movie, entry);
        if self.first.is_none() {
            self.tracks = movie
                .tracks
                .iter()
                .map(|track| track.index.clone())
                .collect();
            self.first = Some(movie.clone());
        }
        let mut chosen: Vec<(usize, Placed)> = Vec::new();
        for (number, track) in movie.tracks.iter().enumerate() {
            for placed in within(track, entry, to) {
                if chosen.len().saturating_add(self.samples) >= Self::MAX_SAMPLES {
                    return Err(MuxError::OverBudget);
                }
                chosen.push((number, placed));
            }
        }
        self.samples = self.samples.saturating_add(chosen.len());
        // As they lie in the file: pictures and sound of a second side by side.
        chosen.sort_by_key(|(_, placed)| placed.place);
        self.take(movie, &chosen, shift);
        self.added = self.added.saturating_add(1);
        Ok(())
    }

    /// Plans the file.
    ///
    /// # Errors
    ///
    /// [`MuxError::Empty`] when nothing lies in that time, [`MuxError::TooLarge`] when a table does not fit.
    pub fn finish(self) -> Result<Excerpt, MuxError> {
        let payload = self
            .copy
            .iter()
            .map(|range| range.end.saturating_sub(range.start))
            .fold(0, u64::saturating_add);
        let wide = is_wide(payload, self.samples);
        let (header, bytes) = in_front(&self.tracks, &self.copy, wide)?;
        let with_samples = || self.tracks.iter().filter(|track| !track.samples.is_empty());
        let start = with_samples().map(TrackIndex::began).min();
        let end = with_samples().map(TrackIndex::ended).max();
        let pieces = self
            .sources
            .into_iter()
            .zip(self.copy)
            .map(|(source, bytes)| Piece { source, bytes });
        Ok(Excerpt {
            header,
            pieces: pieces.collect(),
            bytes,
            duration: end
                .unwrap_or_default()
                .saturating_sub(start.unwrap_or_default()),
        })
    }

    /// How much later than on its own timeline the next recording begins in the excerpt: so that no track overlaps
    /// and pictures and sound stay together.
    fn shift(&self, movie: &Movie, entry: Duration) -> Duration {
        let pairs = self.tracks.iter().zip(&movie.tracks);
        let shifts = pairs.filter_map(|(before, track)| {
            let first = within(track, entry, Duration::MAX).next()?;
            if before.samples.is_empty() {
                return None;
            }
            Some(before.ended().saturating_sub(track.time(first.sample.dts)))
        });
        shifts.max().unwrap_or_default()
    }

    fn take(&mut self, movie: &Movie, chosen: &[(usize, Placed)], shift: Duration) {
        let mut before: Option<usize> = None;
        for (number, placed) in chosen {
            let Some(track) = self.tracks.get_mut(*number) else {
                continue;
            };
            let end = placed.place.saturating_add(u64::from(placed.sample.size));
            let goes_on = self
                .copy
                .last()
                .is_some_and(|range| range.end == placed.place)
                && self.sources.last() == Some(&self.added);
            if !goes_on {
                self.copy.push(placed.place..placed.place);
                self.sources.push(self.added);
                before = None;
            }
            let part = self.copy.len().saturating_sub(1);
            let Some(piece) = self.copy.last_mut() else {
                continue;
            };
            match track.chunks.last_mut() {
                Some(chunk) if before == Some(*number) => {
                    chunk.samples = chunk.samples.saturating_add(1);
                }
                _ => track.chunks.push(Chunk {
                    part,
                    offset: placed.place.saturating_sub(piece.start),
                    samples: 1,
                }),
            }
            before = Some(*number);
            piece.end = end;
            let mut sample = placed.sample;
            let later = movie
                .tracks
                .get(*number)
                .map_or(0, |track| ticks(shift, track.index.rate));
            sample.dts = sample.dts.saturating_add(later);
            if let Some(last) = track.samples.last() {
                sample.dts = sample.dts.max(last.dts.saturating_add(1));
            }
            track.samples.push(sample);
            track.last_duration = placed.duration;
        }
    }
}

impl TrackIndex {
    fn began(&self) -> Duration {
        seconds(
            self.samples.first().map_or(0, |sample| sample.dts),
            self.rate,
        )
    }

    fn ended(&self) -> Duration {
        let end = self.samples.last().map_or(0, |sample| {
            sample.dts.saturating_add(u64::from(self.last_duration))
        });
        seconds(end, self.rate)
    }
}

/// Decode time of the newest keyframe that is shown no later than `from`, or of the first one; `from` itself where there
/// is only sound.
fn entry(movie: &Movie, from: Duration) -> Duration {
    let video = |track: &&MovieTrack| track.index.kind == MediaKind::Video;
    let Some(track) = movie.tracks.iter().find(video) else {
        return from;
    };
    let keyframes = || {
        let samples = track.samples().into_iter().flatten();
        samples.filter(|placed| placed.sample.sync)
    };
    let shown = |placed: &Placed| {
        let offset = i64::from(placed.sample.composition_offset);
        track.time(placed.sample.dts.saturating_add_signed(offset))
    };
    let newest = keyframes()
        .take_while(|placed| shown(placed) <= from)
        .last();
    newest
        .or_else(|| keyframes().next())
        .map_or(from, |placed| track.time(placed.sample.dts))
}

/// The samples of a track from `entry` to `to`; of sound also the one that still sounds there.
fn within(track: &MovieTrack, entry: Duration, to: Duration) -> impl Iterator<Item = Placed> + '_ {
    let is_sound = track.index.kind == MediaKind::Audio;
    track
        .samples()
        .into_iter()
        .flatten()
        .skip_while(move |placed| {
            let begins = placed.sample.dts;
            let ends = begins.saturating_add(u64::from(placed.duration));
            let passed = if is_sound {
                track.time(ends) <= entry
            } else {
                track.time(begins) < entry
            };
            passed || (!is_sound && !placed.sample.sync)
        })
        .take_while(move |placed| track.time(placed.sample.dts) < to)
}

/// Rounded to the nearest.
fn ticks(span: Duration, rate: u32) -> u64 {
    let ticks = span
        .as_nanos()
        .saturating_mul(u128::from(rate))
        .saturating_add(500_000_000)
        .checked_div(1_000_000_000);
    ticks
        .and_then(|ticks| u64::try_from(ticks).ok())
        .unwrap_or(u64::MAX)
}
