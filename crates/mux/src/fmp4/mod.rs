//! Fragmented MP4 as CMAF uses it (ISO/IEC 14496-12, 23000-19): init segments and media parts.
//!
//! One `moof` holds all tracks of a part, one `traf` each: a part then is one request, one append to a player's buffer
//! and one whole entry of a recording. Whoever wants a track alone (audio renditions, video only) writes an init
//! segment and parts of that track alone: each function takes just the tracks it is given.

mod init;
mod part;
mod read_entry;
mod sample_entry;

pub use init::{Track, init_segment};
pub(crate) use init::{handler, movie_header, track_header};
pub use part::{PartHead, ReferenceTime, Run, Sample, media_part};

pub(crate) use part::{
    DATA_OFFSET, DEFAULT_BASE_IS_MOOF, DEFAULT_DURATION, DEFAULT_FLAGS, EPOCHS_APART_MICROS,
    SAMPLE_COMPOSITION, SAMPLE_DURATION, SAMPLE_FLAGS, SAMPLE_SIZE,
};
pub(crate) use read_entry::codec_string;

use sluice_media::TrackId;

/// Most tracks of one file; more is refused.
pub const MAX_TRACKS: usize = 16;

/// The `track_ID` under which a track is written: its number + 1, because 0 is not one (ISO/IEC 14496-12 §8.3.2.3).
pub const fn track_number(track: TrackId) -> u32 {
    (track.number() as u32).saturating_add(1)
}
