//! What a decoder must be told before the first frame of a track.

use bytes::Bytes;

use crate::Codec;

/// A track's decoder configuration in the form MP4 carries, and what it says.
///
/// The record is, by codec: H.264 an `AVCDecoderConfigurationRecord` and H.265 an `HEVCDecoderConfigurationRecord`
/// (ISO/IEC 14496-15 §5.3.3, §8.3.3), AV1 an `AV1CodecConfigurationRecord` (AV1-ISOBMFF §2.3), VP8 and VP9 a
/// `VPCodecConfigurationRecord` (with its four bytes of version and flags), AAC an `AudioSpecificConfig` (ISO/IEC
/// 14496-3 §1.6.2.1), Opus the body of a `dOps` box; empty for codecs that need none. A clone copies no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecConfig {
    /// Whose configuration it is.
    pub codec: Codec,
    /// The record.
    pub record: Bytes,
    /// What it says.
    pub parameters: Parameters,
}

/// What a configuration says of the pictures or the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// Of pictures.
    Video(VideoParameters),
    /// Of sound.
    Audio(AudioParameters),
}

/// What is known of a video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoParameters {
    /// Width in pixels as shown (cropped); 0 where unknown.
    pub width: u32,
    /// Height in pixels as shown (cropped); 0 where unknown.
    pub height: u32,
    /// How many pictures may be decoded before one that is shown earlier (`max_num_reorder_frames`): above zero the
    /// stream may have B-frames.
    pub reorder_frames: u8,
}

/// What is known of an audio track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioParameters {
    /// Samples per second of the decoded sound.
    pub sample_rate: u32,
    /// Loudspeaker channels.
    pub channels: u8,
}
