//! Real frames from `tests/data`, made-up ones from a seed, and small helpers.

use std::num::NonZeroU32;
use std::path::Path;

use bytes::{Buf, Bytes};
use sluice_media::{
    AudioParameters, Codec, CodecConfig, Frame, MediaKind, Parameters, Timestamp, TrackId,
    VideoParameters,
};
use sluice_mux::fmp4::Track;
use sluice_mux::{Output, Segmenter};

/// xorshift64*.
pub(crate) struct Seeded(u64);

impl Seeded {
    /// `seed` must not be 0.
    pub(crate) fn new(seed: u64) -> Self {
        assert_ne!(seed, 0);
        Self(seed)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }
}

/// A track and its frames.
pub(crate) struct Elementary {
    pub(crate) track: Track,
    pub(crate) frames: Vec<Frame>,
}

/// The frames of `tests/data/<name>.frames`, written by `make.py` beside them.
pub(crate) fn real(name: &str, codec: Codec) -> Elementary {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(format!("{name}.frames"));
    let mut data = Bytes::from(std::fs::read(path).unwrap());
    let rate = NonZeroU32::new(data.get_u32()).unwrap();
    let size = data.get_u32() as usize;
    let track = track(codec, rate.get(), data.split_to(size));
    let mut frames = Vec::new();
    while data.has_remaining() {
        let dts = Timestamp::new(data.get_i64(), rate);
        let pts = Timestamp::new(data.get_i64(), rate);
        let duration = data.get_u32();
        let keyframe = data.get_u8() != 0;
        let size = data.get_u32() as usize;
        frames.push(Frame {
            track: track.id,
            codec,
            pts,
            dts,
            duration: (duration > 0).then_some(duration),
            keyframe,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: data.split_to(size),
        });
    }
    assert!(frames.len() > 20, "{name}");
    Elementary { track, frames }
}

/// The track of a stream's only picture or sound.
pub(crate) fn track(codec: Codec, rate: u32, record: Bytes) -> Track {
    let (id, parameters) = match codec.kind() {
        MediaKind::Video => (
            TrackId::VIDEO,
            Parameters::Video(VideoParameters {
                width: 160,
                height: 90,
                reorder_frames: 2,
            }),
        ),
        MediaKind::Audio => (
            TrackId::AUDIO,
            Parameters::Audio(AudioParameters {
                sample_rate: rate,
                channels: 2,
            }),
        ),
    };
    Track {
        id,
        config: CodecConfig {
            codec,
            record,
            parameters,
        },
        rate: NonZeroU32::new(rate).unwrap(),
    }
}

/// All frames in the order they would arrive in.
pub(crate) fn interleaved(streams: &[&Elementary]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = streams
        .iter()
        .flat_map(|stream| stream.frames.iter().cloned())
        .collect();
    frames.sort_by_key(|frame| frame.dts.micros());
    frames
}

pub(crate) fn drain(segmenter: &mut Segmenter) -> Vec<Output> {
    std::iter::from_fn(|| segmenter.poll_output()).collect()
}

/// The init segments and parts, one after the other: a file.
pub(crate) fn file(outputs: &[Output]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for output in outputs {
        match output {
            Output::Init(init) => bytes.extend_from_slice(&init.bytes),
            Output::Part(part) => bytes.extend_from_slice(&part.bytes),
            _ => {}
        }
    }
    bytes
}
