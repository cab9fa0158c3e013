//! The currency of the live kernel: one access unit of one track.

use bytes::Bytes;

use crate::{Codec, Timestamp};

/// Which track of a stream: 0 is its video and 1 its audio by custom; any number of further ones may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(u16);

impl TrackId {
    /// The video of a stream that has one picture.
    pub const VIDEO: Self = Self(0);
    /// The audio of a stream that has one sound.
    pub const AUDIO: Self = Self(1);

    /// A track by its number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// One access unit: a coded picture, or a packet of coded sound.
///
/// `data` is shared, so a clone copies no payload. Its form, by codec:
/// - H.264, H.265, H.266: NAL units, each behind its length in four bytes (ISO/IEC 14496-15), without parameter sets
///   and access unit delimiters; the sets are the track's [`CodecConfig`](crate::CodecConfig).
/// - AV1: the OBUs of one temporal unit with their size fields, without temporal delimiter (AV1-ISOBMFF §2.4). The
///   sequence header stays in keyframes.
/// - VP8, VP9: the frame as the codec writes it; VP9 superframes whole.
/// - AAC: one raw access unit, without ADTS. Opus: one packet (RFC 6716). MP3: one frame with its header.
/// - G.711, G.722: samples as they come.
///
/// [`from_annex_b`](crate::from_annex_b), [`av1_from_low_overhead`](crate::av1_from_low_overhead) and
/// [`AdtsSplitter`](crate::AdtsSplitter) make it of the other forms; [`inspect_access_unit`](crate::inspect_access_unit)
/// says whether bytes have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The track it belongs to.
    pub track: TrackId,
    /// How `data` is coded.
    pub codec: Codec,
    /// When it is shown.
    pub pts: Timestamp,
    /// When it is decoded, in the ticks of `pts`; never decreases within a track. Later than `pts` only by error.
    pub dts: Timestamp,
    /// How long it lasts in ticks of `pts`, where known; else until the next frame's `dts`.
    pub duration: Option<u32>,
    /// A decoder may begin here: an IDR, a VP8, VP9 or AV1 keyframe, any frame of audio.
    pub keyframe: bool,
    /// No other frame refers to it.
    pub discardable: bool,
    /// The timeline jumps in front of it: another publisher, another encoder, a gap.
    pub discontinuity: bool,
    /// When it was captured, in microseconds since 1970 by the publisher's clock (RTCP sender reports), where known.
    pub captured_micros: Option<i64>,
    /// The coded bytes.
    pub data: Bytes,
}
