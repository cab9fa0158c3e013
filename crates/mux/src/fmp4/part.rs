//! A media part: `moof` and `mdat`, at a segment's start behind `styp` and `prft`.

use bytes::{BufMut, Bytes, BytesMut};
use sluice_media::TrackId;

use super::{MAX_TRACKS, track_number};
use crate::MuxError;
use crate::boxes::{full_box, patch_u32, write_box};

/// One sample of a [`Run`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Until the next sample's decode time, in ticks of the track.
    pub duration: u32,
    /// Presentation time minus decode time, in ticks of the track.
    pub composition_offset: i32,
    /// A decoder may begin here.
    pub keyframe: bool,
    /// No other sample refers to it.
    pub discardable: bool,
    /// The coded bytes.
    pub data: Bytes,
}

/// Consecutive samples of one track.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Whose samples.
    pub track: TrackId,
    /// Decode time of the first one, in ticks of the track since the start of the file's timeline.
    pub decode_time: u64,
    /// The samples, in decoding order.
    pub samples: &'a [Sample],
}

/// What stands before the `moof`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartHead {
    /// A segment begins here: `styp` (ISO/IEC 14496-12 §8.16.2).
    pub starts_segment: bool,
    /// The wall-clock time of a sample, as `prft` (§8.16.5).
    pub reference: Option<ReferenceTime>,
}

/// When a moment of a track was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceTime {
    /// The track.
    pub track: TrackId,
    /// The moment, in ticks of that track on the file's timeline.
    pub media_time: u64,
    /// Microseconds since 1970 then.
    pub wall_micros: i64,
}

/// Writes one part. `sequence` must rise from part to part (§8.8.5). Runs without samples are left out; a part of
/// only such runs is a `moof` without tracks.
///
/// # Errors
///
/// [`MuxError::TrackCount`] and [`MuxError::TooLarge`].
pub fn media_part(sequence: u32, head: PartHead, runs: &[Run<'_>]) -> Result<Bytes, MuxError> {
    if runs.len() > MAX_TRACKS {
        return Err(MuxError::TrackCount { count: runs.len() });
    }
    let samples: usize = runs.iter().map(|run| run.samples.len()).sum();
    let payload = runs
        .iter()
        .flat_map(|run| run.samples)
        .try_fold(0_u32, |sum, sample| {
            sum.checked_add(u32::try_from(sample.data.len()).ok()?)
        })
        .filter(|sum| *sum < u32::MAX / 2)
        .ok_or(MuxError::TooLarge)?;
    let mut out = BytesMut::with_capacity(
        usize::try_from(payload)
            .map_err(|_| MuxError::TooLarge)?
            .saturating_add(samples.saturating_mul(16))
            .saturating_add(runs.len().saturating_mul(80))
            .saturating_add(128),
    );
    write_head(&mut out, head);
    let moof = out.len();
    let mut offsets = [0_usize; MAX_TRACKS];
    write_box(&mut out, *b"moof", |out| {
        full_box(out, *b"mfhd", 0, 0, |out| out.put_u32(sequence));
        for (run, offset) in with_samples(runs).zip(&mut offsets) {
            write_box(out, *b"traf", |out| *offset = write_run(out, run));
        }
    });
    let mut data = out.len().saturating_sub(moof).saturating_add(8);
    for (run, offset) in with_samples(runs).zip(offsets) {
        patch_u32(
            &mut out,
            offset,
            u32::try_from(data).map_err(|_| MuxError::TooLarge)?,
        );
        let size: usize = run.samples.iter().map(|sample| sample.data.len()).sum();
        data = data.saturating_add(size);
    }
    write_box(&mut out, *b"mdat", |out| {
        for sample in with_samples(runs).flat_map(|run| run.samples) {
            out.put_slice(&sample.data);
        }
    });
    Ok(out.freeze())
}

fn with_samples<'a>(runs: &'a [Run<'a>]) -> impl Iterator<Item = &'a Run<'a>> {
    runs.iter().filter(|run| !run.samples.is_empty())
}

fn write_head(out: &mut BytesMut, head: PartHead) {
    if head.starts_segment {
        write_box(out, *b"styp", |out| {
            out.put_slice(b"msdh");
            out.put_u32(0);
            out.put_slice(b"msdhmsix");
        });
    }
    if let Some(reference) = head.reference {
        // Flag 24: the time is that of capture, as far as the publisher knows it.
        full_box(out, *b"prft", 1, 24, |out| {
            out.put_u32(track_number(reference.track));
            out.put_u64(ntp(reference.wall_micros));
            out.put_u64(reference.media_time);
        });
    }
}

/// `tfhd`, `tfdt` and `trun` (§8.8.7, §8.8.12, §8.8.8); gives where the data offset stands.
///
/// What all samples share moves to `tfhd`: for sound that leaves four bytes a sample.
fn write_run(out: &mut BytesMut, run: &Run<'_>) -> usize {
    let shared_duration = shared(run.samples, |sample| sample.duration);
    let shared_flags = shared(run.samples, flags);
    let with_offsets = run
        .samples
        .iter()
        .any(|sample| sample.composition_offset != 0);
    let head_flags = DEFAULT_BASE_IS_MOOF
        | shared_duration.map_or(0, |_| DEFAULT_DURATION)
        | shared_flags.map_or(0, |_| DEFAULT_FLAGS);
    full_box(out, *b"tfhd", 0, head_flags, |out| {
        out.put_u32(track_number(run.track));
        for default in [shared_duration, shared_flags].into_iter().flatten() {
            out.put_u32(default);
        }
    });
    full_box(out, *b"tfdt", 1, 0, |out| out.put_u64(run.decode_time));
    let run_flags = DATA_OFFSET
        | SAMPLE_SIZE
        | shared_duration.map_or(SAMPLE_DURATION, |_| 0)
        | shared_flags.map_or(SAMPLE_FLAGS, |_| 0)
        | if with_offsets { SAMPLE_COMPOSITION } else { 0 };
    let mut data_offset = 0;
    full_box(out, *b"trun", 1, run_flags, |out| {
        out.put_u32(u32::try_from(run.samples.len()).unwrap_or(u32::MAX));
        data_offset = out.len();
        out.put_u32(0);
        for sample in run.samples {
            if shared_duration.is_none() {
                out.put_u32(sample.duration);
            }
            out.put_u32(u32::try_from(sample.data.len()).unwrap_or(u32::MAX));
            if shared_flags.is_none() {
                out.put_u32(flags(sample));
            }
            if with_offsets {
                out.put_i32(sample.composition_offset);
            }
        }
    });
    data_offset
}

fn shared(samples: &[Sample], value: impl Fn(&Sample) -> u32) -> Option<u32> {
    let first = value(samples.first()?);
    samples
        .iter()
        .all(|sample| value(sample) == first)
        .then_some(first)
}

/// Sample flags (§8.8.3.1): dependence, and whether it is a sync sample.
fn flags(sample: &Sample) -> u32 {
    let depends = if sample.keyframe {
        2 << 24
    } else {
        1 << 24 | 1 << 16
    };
    let depended_on = if sample.discardable { 2 << 22 } else { 0 };
    depends | depended_on
}

/// NTP's 64 bit time (RFC 5905 §6) of microseconds since 1970; before 1900 it stays at 0.
fn ntp(micros: i64) -> u64 {
    let micros = u64::try_from(micros.saturating_add(EPOCHS_APART_MICROS)).unwrap_or(0);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    // Rounded up, so that reading it back, which rounds down, gives the same microsecond.
    let fraction = (rest << 32).div_ceil(1_000_000);
    (seconds & 0xffff_ffff) << 32 | fraction
}

/// From 1900 to 1970.
pub(crate) const EPOCHS_APART_MICROS: i64 = 2_208_988_800_000_000;

pub(crate) const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
pub(crate) const DEFAULT_DURATION: u32 = 0x08;
pub(crate) const DEFAULT_FLAGS: u32 = 0x20;
pub(crate) const DATA_OFFSET: u32 = 0x01;
pub(crate) const SAMPLE_DURATION: u32 = 0x100;
pub(crate) const SAMPLE_SIZE: u32 = 0x200;
pub(crate) const SAMPLE_FLAGS: u32 = 0x400;
pub(crate) const SAMPLE_COMPOSITION: u32 = 0x800;
