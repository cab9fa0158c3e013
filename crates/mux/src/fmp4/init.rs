//! The init segment: `ftyp` and a `moov` without samples.

use std::num::NonZeroU32;

use bytes::{BufMut, Bytes, BytesMut};
use sluice_media::{CodecConfig, MediaKind, Parameters, TrackId};

use super::sample_entry::sample_entry;
use super::{MAX_TRACKS, track_number};
use crate::MuxError;
use crate::boxes::{full_box, write_box};

/// One track as an init segment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Which track of the stream.
    pub id: TrackId,
    /// What its decoder must know. The record goes into the sample entry as it is.
    pub config: CodecConfig,
    /// Ticks per second of its timestamps: the track's timescale.
    pub rate: NonZeroU32,
}

/// Writes the init segment of these tracks (ISO/IEC 14496-12 §8.2, 23000-19 §7.3.1).
///
/// # Errors
///
/// [`MuxError::TrackCount`], [`MuxError::DuplicateTrack`], [`MuxError::UnsupportedCodec`] (G.711, G.722, unknown ones)
/// and [`MuxError::BadConfig`].
pub fn init_segment(tracks: &[Track]) -> Result<Bytes, MuxError> {
    if tracks.is_empty() || tracks.len() > MAX_TRACKS {
        return Err(MuxError::TrackCount {
            count: tracks.len(),
        });
    }
    for (index, track) in tracks.iter().enumerate() {
        if tracks.iter().take(index).any(|other| other.id == track.id) {
            return Err(MuxError::DuplicateTrack { track: track.id });
        }
    }
    let records: usize = tracks.iter().map(|track| track.config.record.len()).sum();
    let mut out = BytesMut::with_capacity(
        tracks
            .len()
            .saturating_mul(640)
            .saturating_add(records)
            .saturating_add(256),
    );
    write_box(&mut out, *b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6mp41");
        if let [only] = tracks {
            // A CMAF track has one track in its file (23000-19 §7.3.1), so only then may it be claimed.
            out.put_slice(b"cmfc");
            if only.config.codec == sluice_media::Codec::Av1 {
                out.put_slice(b"av01");
            }
        }
    });
    let mut written = Ok(());
    write_box(&mut out, *b"moov", |out| {
        movie_header(out, 1_000, 0);
        for track in tracks {
            if written.is_ok() {
                written = write_track(out, track);
            }
        }
        write_box(out, *b"mvex", |out| {
            for track in tracks {
                full_box(out, *b"trex", 0, 0, |out| {
                    out.put_u32(track_number(track.id));
                    out.put_u32(1);
                    out.put_bytes(0, 12);
                });
            }
        });
    });
    written.map(|()| out.freeze())
}

/// `mvhd`: times in `timescale`, nothing rotated (ISO/IEC 14496-12 §8.2.2).
pub(crate) fn movie_header(out: &mut BytesMut, timescale: u32, duration: u64) {
    full_box(out, *b"mvhd", 1, 0, |out| {
        out.put_bytes(0, 16);
        out.put_u32(timescale);
        out.put_u64(duration);
        out.put_u32(0x0001_0000);
        out.put_u16(0x0100);
        out.put_bytes(0, 10);
        matrix(out);
        out.put_bytes(0, 24);
        // next_track_ID: "search for a free one", for it need not follow the highest.
        out.put_u32(u32::MAX);
    });
}

/// `tkhd` of an enabled track (§8.3.2); `duration` in the movie's timescale.
pub(crate) fn track_header(
    out: &mut BytesMut,
    number: u32,
    duration: u64,
    kind: MediaKind,
    (width, height): (u32, u32),
) {
    full_box(out, *b"tkhd", 1, 0x03, |out| {
        out.put_bytes(0, 16);
        out.put_u32(number);
        out.put_u32(0);
        out.put_u64(duration);
        out.put_bytes(0, 8);
        out.put_u16(0);
        out.put_u16(u16::from(kind == MediaKind::Audio));
        out.put_u16(if kind == MediaKind::Audio { 0x0100 } else { 0 });
        out.put_u16(0);
        matrix(out);
        out.put_u32(width.min(0xffff) << 16);
        out.put_u32(height.min(0xffff) << 16);
    });
}

/// `mdhd`, `hdlr` and, in `minf`, the media header and the data reference (§8.4, §8.7), then what `tables` writes.
pub(crate) fn handler(
    out: &mut BytesMut,
    rate: u32,
    duration: u64,
    kind: MediaKind,
    tables: impl FnOnce(&mut BytesMut),
) {
    full_box(out, *b"mdhd", 1, 0, |out| {
        out.put_bytes(0, 16);
        out.put_u32(rate);
        out.put_u64(duration);
        // "und", five bits a letter.
        out.put_u16(0x55c4);
        out.put_u16(0);
    });
    full_box(out, *b"hdlr", 0, 0, |out| {
        out.put_u32(0);
        out.put_slice(match kind {
            MediaKind::Video => b"vide",
            MediaKind::Audio => b"soun",
        });
        out.put_bytes(0, 12);
        out.put_u8(0);
    });
    write_box(out, *b"minf", |out| {
        match kind {
            MediaKind::Video => full_box(out, *b"vmhd", 0, 1, |out| out.put_bytes(0, 8)),
            MediaKind::Audio => full_box(out, *b"smhd", 0, 0, |out| out.put_bytes(0, 4)),
        }
        write_box(out, *b"dinf", |out| {
            full_box(out, *b"dref", 0, 0, |out| {
                out.put_u32(1);
                // Flag 1: the media is in this file.
                full_box(out, *b"url ", 0, 1, |_| {});
            });
        });
        write_box(out, *b"stbl", tables);
    });
}

fn write_track(out: &mut BytesMut, track: &Track) -> Result<(), MuxError> {
    let kind = track.config.codec.kind();
    let size = match track.config.parameters {
        Parameters::Video(video) => (video.width, video.height),
        Parameters::Audio(_) => (0, 0),
    };
    let mut written = Ok(());
    write_box(out, *b"trak", |out| {
        track_header(out, track_number(track.id), 0, kind, size);
        write_box(out, *b"mdia", |out| {
            handler(out, track.rate.get(), 0, kind, |out| {
                full_box(out, *b"stsd", 0, 0, |out| {
                    out.put_u32(1);
                    written = sample_entry(out, track);
                });
                for kind in [*b"stts", *b"stsc", *b"stco"] {
                    full_box(out, kind, 0, 0, |out| out.put_u32(0));
                }
                full_box(out, *b"stsz", 0, 0, |out| out.put_u64(0));
            });
        });
    });
    written
}

fn matrix(out: &mut BytesMut) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000_u32] {
        out.put_u32(value);
    }
}
