//! The `moov` of an init segment of ours, read back.

use sluice_media::MediaKind;

use crate::MuxError;
use crate::boxes::{Boxed, Boxes, Fields};
use crate::fmp4::MAX_TRACKS;

/// A track and all its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TrackIndex {
    pub(super) number: u32,
    pub(super) kind: MediaKind,
    pub(super) rate: u32,
    pub(super) size: (u32, u32),
    /// The body of `stsd`, for the finished file to repeat.
    pub(super) entries: Vec<u8>,
    pub(super) samples: Vec<SampleIndex>,
    pub(super) chunks: Vec<Chunk>,
    /// Of the newest sample.
    pub(super) last_duration: u32,
}

/// One sample. Its place follows from its chunk and the samples before it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampleIndex {
    pub(super) dts: u64,
    pub(super) composition_offset: i32,
    pub(super) size: u32,
    pub(super) sync: bool,
}

/// The samples of one track in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Index of the part.
    pub(super) part: usize,
    /// Where it begins in the part's payload.
    pub(super) offset: u64,
    pub(super) samples: u32,
}

/// The tracks of a `moov`, in its order.
pub(super) fn tracks(movie: &Boxed<'_>) -> Result<Vec<TrackIndex>, MuxError> {
    let foreign = MuxError::ForeignBox {
        offset: movie.offset,
    };
    let mut tracks: Vec<TrackIndex> = Vec::new();
    for found in Boxes::new(movie.body, movie.body_offset) {
        let found = found?;
        if found.kind != *b"trak" {
            continue;
        }
        let track = track(&found)?;
        let twice = tracks.iter().any(|other| other.number == track.number);
        if twice || tracks.len() >= MAX_TRACKS {
            return Err(foreign);
        }
        tracks.push(track);
    }
    if tracks.is_empty() {
        return Err(foreign);
    }
    Ok(tracks)
}

pub(super) fn track(trak: &Boxed<'_>) -> Result<TrackIndex, MuxError> {
    let header = trak.child(*b"tkhd")?;
    let (number, size) = numbers(header.body).ok_or(MuxError::BrokenBox {
        offset: header.offset,
    })?;
    let media = trak.child(*b"mdia")?;
    let times = media.child(*b"mdhd")?;
    let rate = timescale(times.body)
        .filter(|rate| *rate > 0)
        .ok_or(MuxError::BrokenBox {
            offset: times.offset,
        })?;
    let handler = media.child(*b"hdlr")?;
    let kind = match handler.body.get(8..12) {
        Some(b"vide") => MediaKind::Video,
        Some(b"soun") => MediaKind::Audio,
        _ => {
            return Err(MuxError::ForeignBox {
                offset: handler.offset,
            });
        }
    };
    let entries = media.child(*b"minf")?.child(*b"stbl")?.child(*b"stsd")?;
    Ok(TrackIndex {
        number,
        kind,
        rate,
        size,
        entries: entries.body.to_vec(),
        samples: Vec::new(),
        chunks: Vec::new(),
        last_duration: 0,
    })
}

/// `track_ID`, width and height of a version 1 `tkhd`.
fn numbers(body: &[u8]) -> Option<(u32, (u32, u32))> {
    let mut fields = Fields::new(body);
    let (1, _) = fields.version_and_flags()? else {
        return None;
    };
    fields.skip(16)?;
    let number = fields.u32()?;
    fields.skip(64)?;
    Some((number, (fields.u32()? >> 16, fields.u32()? >> 16)))
}

/// The timescale of a version 1 `mdhd`.
fn timescale(body: &[u8]) -> Option<u32> {
    let mut fields = Fields::new(body);
    let (1, _) = fields.version_and_flags()? else {
        return None;
    };
    fields.skip(16)?;
    fields.u32()
}
