//! Media values without I/O: codecs, time, frames, stream names, and the ring with cursors.
//!
//! Does: names codecs and streams, counts time in ticks, reads and writes codec headers, and keeps the items since the newest chain start for readers that come late.
//! Refuses to know: sockets, clocks, RTP, rooms, protocols.
//! Invariant: a reader of a [`Ring`] sees consecutive items from a chain start, or is told what it missed.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod aac;
mod access_unit;
mod access_unit_splitter;
mod annex_b;
mod av1;
mod bit_writer;
mod bits;
mod calendar;
mod codec;
mod codec_config;
mod codec_string;
mod config_error;
mod frame;
mod h264;
mod h265;
mod mp3;
mod nal;
mod opus;
mod parameter_sets;
mod reader;
#[cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        reason = "it counts what it holds; no wire value reaches it"
    )
)]
mod ring;
mod sei;
mod stream_key;
#[cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        reason = "products and sums of 64 bits in 128"
    )
)]
mod timestamp;
mod video_format;
mod vp8;
mod vp9;
mod vpcc;

pub use aac::{AdtsHeader, AdtsSplitter, AdtsUnit, AudioSpecificConfig, adts_header};
pub use access_unit::{AccessUnit, inspect_access_unit};
pub use access_unit_splitter::AccessUnitSplitter;
pub use annex_b::{AnnexBUnits, NalAccessUnit, from_annex_b, to_annex_b};
pub use av1::{Av1Obu, Av1Obus, av1_from_low_overhead, av1_to_low_overhead};
pub use bits::Bits;
pub use calendar::civil;
pub use codec::{Codec, MediaKind};
pub use codec_config::{AudioParameters, CodecConfig, Parameters, VideoParameters};
pub use config_error::ConfigError;
pub use frame::{Frame, TrackId};
pub use h264::H264Sps;
pub use h265::{H265Profile, H265Sps};
pub use nal::{NalUnits, nal_length_size, with_four_byte_lengths};
pub use opus::{OpusHead, opus_packet_samples};
pub use parameter_sets::ParameterSets;
pub use ring::{Cursor, Item, Read, Ring, RingLimits};
pub use stream_key::{Part, StreamKey, StreamKeyError};
pub use timestamp::Timestamp;
pub use video_format::{ChromaFormat, VideoFormat};
