//! Media values without I/O: codecs, time, frames, stream names, and the ring with cursors.
//!
//! Does: names codecs and streams, counts time in ticks, and keeps the items since the newest chain start for readers that come late.
//! Refuses to know: sockets, clocks, RTP, rooms, protocols.
//! Invariant: a reader of a [`Ring`] sees consecutive items from a chain start, or is told what it missed.

#![forbid(unsafe_code)]

mod bits;
mod codec;
mod codec_config;
mod frame;
mod h264;
mod h265;
mod ring;
mod stream_key;
mod timestamp;

pub use bits::Bits;
pub use codec::{Codec, MediaKind};
pub use codec_config::{AudioParameters, CodecConfig, Parameters, VideoParameters};
pub use frame::{Frame, TrackId};
pub use h264::H264Sps;
pub use h265::H265Sps;
pub use ring::{Cursor, Item, Read, Ring, RingLimits};
pub use stream_key::{Part, StreamKey, StreamKeyError};
pub use timestamp::Timestamp;
