//! One part read back: what its `moof` says of its `mdat`.

use std::ops::Range;
use std::time::Duration;

use sluice_media::MediaKind;

use super::init::{Chunk, SampleIndex, TrackIndex};
use super::{Journal, JournalPart};
use crate::MuxError;
use crate::boxes::{Boxed, Boxes, Fields, Kind};
use crate::fmp4::{
    DATA_OFFSET, DEFAULT_BASE_IS_MOOF, DEFAULT_DURATION, DEFAULT_FLAGS, EPOCHS_APART_MICROS,
    SAMPLE_COMPOSITION, SAMPLE_DURATION, SAMPLE_FLAGS, SAMPLE_SIZE,
};

/// A part whose boxes come one after the other.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where its first box begins.
    start: Option<u64>,
    /// Track, media time and wall-clock microseconds of its `prft`.
    reference: Option<(u32, u64, i64)>,
    runs: Option<Vec<Run>>,
}

/// A part that is whole.
#[derive(Debug)]
pub(super) struct Fragment {
    bytes: Range<u64>,
    payload: Range<u64>,
    reference: Option<(u32, u64, i64)>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    /// Index of the track.
    track: usize,
    /// Where its samples lie in the file.
    bytes: Range<u64>,
    samples: Vec<SampleIndex>,
    last_duration: u32,
}

impl Scan {
    /// Takes the next box; an `mdat` completes the part. Only its place is looked at, not its body.
    pub(super) fn take(
        &mut self,
        journal: &Journal,
        found: &Boxed<'_>,
    ) -> Result<Option<Fragment>, MuxError> {
        let start = *self.start.get_or_insert(found.offset);
        let foreign = MuxError::ForeignBox {
            offset: found.offset,
        };
        match &found.kind {
            b"styp" if self.runs.is_none() => {}
            b"prft" if self.runs.is_none() => {
                self.reference = Some(reference(found.body).ok_or(foreign)?);
            }
            b"moof" if self.runs.is_none() => self.runs = Some(runs(journal, found)?),
            b"mdat" => {
                let runs = self.runs.take().ok_or(foreign)?;
                let payload = found.body_offset..found.end;
                let inside =
                    |run: &Run| run.bytes.start >= payload.start && run.bytes.end <= payload.end;
                if !runs.iter().all(inside) {
                    return Err(foreign);
                }
                let fragment = Fragment {
                    bytes: start..found.end,
                    payload,
                    reference: self.reference,
                    runs,
                };
                *self = Self::default();
                return Ok(Some(fragment));
            }
            _ => return Err(foreign),
        }
        Ok(None)
    }

    /// Boxes whose body [`take`](Self::take) reads.
    pub(super) fn reads(kind: Kind) -> bool {
        matches!(&kind, b"moof" | b"prft")
    }
}

impl Journal {
    pub(super) fn commit(&mut self, fragment: Fragment) -> Result<(), MuxError> {
        let added: usize = fragment.runs.iter().map(|run| run.samples.len()).sum();
        let samples = self.samples.saturating_add(added);
        if samples > Self::MAX_SAMPLES {
            return Err(MuxError::OverBudget);
        }
        let mut times: Option<(Duration, Duration)> = None;
        let has_video = self
            .tracks
            .iter()
            .any(|track| track.kind == MediaKind::Video);
        let mut independent = !has_video;
        for run in fragment.runs {
            let Some(track) = self.tracks.get_mut(run.track) else {
                continue;
            };
            let (Some(first), Some(last)) = (run.samples.first(), run.samples.last()) else {
                continue;
            };
            let start = seconds(first.dts, track.rate);
            let end = seconds(
                last.dts.saturating_add(run.last_duration.into()),
                track.rate,
            );
            let (earliest, latest) = times.unwrap_or((start, end));
            times = Some((earliest.min(start), latest.max(end)));
            independent |=
                track.kind == MediaKind::Video && run.samples.iter().any(|sample| sample.sync);
            track.chunks.push(Chunk {
                part: self.parts.len(),
                offset: run.bytes.start.saturating_sub(fragment.payload.start),
                samples: u32::try_from(run.samples.len()).map_err(|_| MuxError::OverBudget)?,
            });
            track.samples.extend(run.samples);
            track.last_duration = run.last_duration;
        }
        let (start, end) = times.ok_or(MuxError::ForeignBox {
            offset: fragment.bytes.start,
        })?;
        let told = fragment.reference.and_then(|(number, media_time, wall)| {
            let track = self.tracks.iter().find(|track| track.number == number)?;
            Some(apart(wall, seconds(media_time, track.rate), start))
        });
        let before = self.parts.last();
        let wall_micros = told
            .or_else(|| before.and_then(|part| Some(apart(part.wall_micros?, part.start, start))));
        self.samples = samples;
        self.end = fragment.bytes.end;
        self.parts.push(JournalPart {
            bytes: fragment.bytes,
            payload: fragment.payload,
            start,
            end,
            independent,
            wall_micros,
        });
        Ok(())
    }
}

/// The runs of a `moof`, at most one a track.
fn runs(journal: &Journal, moof: &Boxed<'_>) -> Result<Vec<Run>, MuxError> {
    let mut runs: Vec<Run> = Vec::new();
    let mut budget = Journal::MAX_SAMPLES.saturating_sub(journal.samples);
    for found in Boxes::new(moof.body, moof.body_offset) {
        let traf = found?;
        if traf.kind != *b"traf" {
            continue;
        }
        let foreign = MuxError::ForeignBox {
            offset: traf.offset,
        };
        let (head, time, table) = (
            traf.child(*b"tfhd")?,
            traf.child(*b"tfdt")?,
            traf.child(*b"trun")?,
        );
        let defaults = Defaults::read(head.body).ok_or(foreign)?;
        let index = journal
            .tracks
            .iter()
            .position(|track| track.number == defaults.track)
            .ok_or(foreign)?;
        let track = journal.tracks.get(index).ok_or(foreign)?;
        if runs.iter().any(|run| run.track == index) {
            return Err(foreign);
        }
        let dts = decode_time(time.body).ok_or(foreign)?;
        let run = run(table.body, (index, track), &defaults, (moof.offset, dts)).ok_or(foreign)?;
        budget = budget
            .checked_sub(run.samples.len())
            .ok_or(MuxError::OverBudget)?;
        runs.push(run);
    }
    Ok(runs)
}

/// What a `tfhd` says of all samples of its run.
struct Defaults {
    track: u32,
    duration: Option<u32>,
    flags: Option<u32>,
}

impl Defaults {
    /// `None` for forms we do not write: bases other than the `moof`, descriptions other than the first.
    fn read(body: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(body);
        let (_, flags) = fields.version_and_flags()?;
        let ours = DEFAULT_BASE_IS_MOOF | DEFAULT_DURATION | DEFAULT_FLAGS;
        if flags & DEFAULT_BASE_IS_MOOF == 0 || flags & !ours != 0 {
            return None;
        }
        let track = fields.u32()?;
        let mut optional = |flag| match flags & flag {
            0 => Some(None),
            _ => fields.u32().map(Some),
        };
        Some(Self {
            track,
            duration: optional(DEFAULT_DURATION)?,
            flags: optional(DEFAULT_FLAGS)?,
        })
    }
}

fn decode_time(body: &[u8]) -> Option<u64> {
    let mut fields = Fields::new(body);
    let (1, _) = fields.version_and_flags()? else {
        return None;
    };
    fields.u64()
}

/// A `trun` of ours. Each sample takes at least its size of four bytes, so no count can claim more than is there.
fn run(
    body: &[u8],
    (index, track): (usize, &TrackIndex),
    defaults: &Defaults,
    (moof, mut dts): (u64, u64),
) -> Option<Run> {
    let mut fields = Fields::new(body);
    let (version, flags) = fields.version_and_flags()?;
    let ours = DATA_OFFSET | SAMPLE_DURATION | SAMPLE_SIZE | SAMPLE_FLAGS | SAMPLE_COMPOSITION;
    if version != 1
        || flags & (DATA_OFFSET | SAMPLE_SIZE) != DATA_OFFSET | SAMPLE_SIZE
        || flags & !ours != 0
    {
        return None;
    }
    let count = usize::try_from(fields.u32()?).ok()?;
    let start = moof.checked_add(u64::from(fields.u32()?))?;
    let mut end = start;
    let mut samples = Vec::with_capacity(count.min(body.len() / 4));
    let mut duration = 0;
    let before = track.samples.last().map(|sample| sample.dts);
    if before.is_some_and(|before| before >= dts) {
        return None;
    }
    for _ in 0..count {
        duration = match flags & SAMPLE_DURATION {
            0 => defaults.duration?,
            _ => fields.u32()?,
        };
        let size = fields.u32()?;
        let sample_flags = match flags & SAMPLE_FLAGS {
            0 => defaults.flags?,
            _ => fields.u32()?,
        };
        let composition_offset = match flags & SAMPLE_COMPOSITION {
            0 => 0,
            _ => i32::from_be_bytes(fields.array()?),
        };
        samples.push(SampleIndex {
            dts,
            composition_offset,
            size,
            sync: sample_flags & NOT_SYNC == 0,
        });
        dts = dts
            .checked_add(u64::from(duration))
            .filter(|dts| *dts < MAX_TIME)?;
        end = end.checked_add(u64::from(size))?;
    }
    (fields.is_empty() && !samples.is_empty()).then_some(Run {
        track: index,
        bytes: start..end,
        samples,
        last_duration: duration,
    })
}

/// Track, media time and wall-clock time of a `prft`.
fn reference(body: &[u8]) -> Option<(u32, u64, i64)> {
    let mut fields = Fields::new(body);
    let (1, _) = fields.version_and_flags()? else {
        return None;
    };
    let (track, ntp, media_time) = (fields.u32()?, fields.u64()?, fields.u64()?);
    let micros = (ntp >> 32)
        .saturating_mul(1_000_000)
        .saturating_add((ntp & 0xffff_ffff).saturating_mul(1_000_000) >> 32);
    let wall = i64::try_from(micros)
        .ok()?
        .saturating_sub(EPOCHS_APART_MICROS);
    (media_time < MAX_TIME).then_some((track, media_time, wall))
}

/// `wall` moved as far as `to` lies from `from`.
fn apart(wall: i64, from: Duration, to: Duration) -> i64 {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    wall.saturating_add(micros(to).saturating_sub(micros(from)))
}

pub(super) fn seconds(ticks: u64, rate: u32) -> Duration {
    let nanos = u128::from(ticks)
        .saturating_mul(1_000_000_000)
        .checked_div(u128::from(rate))
        .unwrap_or(0);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// `sample_is_non_sync_sample` (ISO/IEC 14496-12 §8.8.3.1).
const NOT_SYNC: u32 = 1 << 16;
/// Later times are nonsense: three thousand years at 90 kHz.
pub(super) const MAX_TIME: u64 = 1 << 53;
