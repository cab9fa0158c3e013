//! Low-latency HLS (RFC 8216 and draft-pantos-hls-rfc8216bis-16) as a state machine over parts and segments.
//!
//! A [`MediaPlaylist`] takes what a [`Segmenter`](crate::Segmenter) gives out, keeps a bounded window of it, and
//! answers: this playlist or these bytes now, wait, or no. Who waits asks again after each part. Players that know
//! nothing of low latency read the same playlist: to them parts and hints are comments.

mod answer;
mod date;
mod multivariant;
mod playlist;
mod query;
mod render;
mod resource;

pub use answer::{PlaylistAnswer, ResourceAnswer};
pub use multivariant::{AudioRendition, Variant, multivariant};
pub use playlist::{Bandwidth, MediaPlaylist, PlaylistOptions, Position};
pub use query::{BadRequest, Query};
pub use resource::Resource;
