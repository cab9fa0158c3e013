//! Containers without I/O: fragmented MP4 (CMAF) and MP4, LL-HLS playlists, recordings that survive a crash.
//!
//! Does: turns [`Frame`](sluice_media::Frame)s into parts and segments, lists them, answers what a player may have and
//! when, and reads its own boxes back.
//! Refuses to know: files, HTTP, clocks, other people's MP4.
//! Invariant: what has been given out once stays true: numbers and times of a stream never go back.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod boxes;
mod error;
pub mod fmp4;
pub mod hls;
pub mod journal;
mod segmenter;

pub use error::MuxError;
pub use segmenter::{
    Counters, Init, Output, Part, Segment, SegmentStart, Segmenter, SegmenterOptions,
};
