//! What a decoder must be told before the first frame of a track.

use bytes::Bytes;

use crate::opus::OpusHead;
use crate::vpcc::VpRecord;
use crate::{
    AudioSpecificConfig, Codec, ConfigError, VideoFormat, av1, codec_string, h264, h265, vpcc,
};

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

impl CodecConfig {
    /// Reads a record and says what it says; records above 64 KiB are refused.
    ///
    /// A record of H.264 or H.265 that announces lengths of one or two bytes is kept as one that announces four, the
    /// form of our frames: ask [`nal_length_size`] for what it said and [`with_four_byte_lengths`] for the frames.
    /// Records of VP8 and VP9 do not tell the size of the pictures; keyframes do ([`inspect_access_unit`]).
    ///
    /// # Errors
    /// When the record is malformed, lacks a parameter set that no decoder can do without, or the codec has none.
    ///
    /// [`nal_length_size`]: crate::nal_length_size
    /// [`with_four_byte_lengths`]: crate::with_four_byte_lengths
    /// [`inspect_access_unit`]: crate::inspect_access_unit
    pub fn parse(codec: Codec, record: Bytes) -> Result<Self, ConfigError> {
        let (record, parameters) = match codec {
            Codec::H264 => {
                let (record, video) = h264::parse_record(record)?;
                (record, Parameters::Video(video))
            }
            Codec::H265 => {
                let (record, video) = h265::parse_record(record)?;
                (record, Parameters::Video(video))
            }
            Codec::Vp8 | Codec::Vp9 => {
                VpRecord::parse(&record)?;
                (record, Parameters::Video(VideoParameters::default()))
            }
            Codec::Av1 => {
                let (record, video) = av1::parse_record(record)?;
                (record, Parameters::Video(video))
            }
            Codec::H266 => {
                cap(&record)?;
                (record, Parameters::Video(VideoParameters::default()))
            }
            Codec::Aac => {
                cap(&record)?;
                let audio = AudioSpecificConfig::parse(&record)?.parameters();
                (record, Parameters::Audio(audio))
            }
            Codec::Opus => {
                cap(&record)?;
                let audio = OpusHead::parse_dops(&record)?.parameters();
                (record, Parameters::Audio(audio))
            }
            Codec::Pcmu | Codec::Pcma => (Bytes::new(), mono(8_000)),
            Codec::G722 => (Bytes::new(), mono(16_000)),
            _ => return Err(ConfigError::UnsupportedCodec { codec }),
        };
        Ok(Self {
            codec,
            record,
            parameters,
        })
    }

    /// Makes the record of parameter sets, each without start code or length, in any order; other units are passed
    /// over. For H.264 SPS and PPS; for H.265 VPS, SPS and PPS, and SEI messages that hold for the whole stream; for
    /// AV1 the OBU of the sequence header.
    ///
    /// # Errors
    /// When a set is missing or malformed, there are more than a record holds, or the codec has none.
    pub fn from_parameter_sets<T: AsRef<[u8]>>(
        codec: Codec,
        units: &[T],
    ) -> Result<Self, ConfigError> {
        let units: Vec<&[u8]> = units.iter().map(AsRef::as_ref).collect();
        let (record, video) = match codec {
            Codec::H264 => h264::build_record(&units)?,
            Codec::H265 => h265::build_record(&units)?,
            Codec::Av1 => av1::build_record(&units)?,
            _ => return Err(ConfigError::UnsupportedCodec { codec }),
        };
        Ok(Self {
            codec,
            record,
            parameters: Parameters::Video(video),
        })
    }

    /// Opus as libopus and browsers code it; see [`OpusHead::new`]. The decoded rate is 48 kHz whatever
    /// `input_sample_rate` is.
    ///
    /// # Errors
    /// When `channels` is 0 or above 8.
    pub fn opus(input_sample_rate: u32, channels: u8) -> Result<Self, ConfigError> {
        OpusHead::new(input_sample_rate, channels).map(Self::from)
    }

    /// AAC-LC; see [`AudioSpecificConfig::low_complexity`].
    ///
    /// # Errors
    /// When the rate or the number of channels cannot be expressed.
    pub fn aac(sample_rate: u32, channels: u8) -> Result<Self, ConfigError> {
        AudioSpecificConfig::low_complexity(sample_rate, channels)?.try_into()
    }

    /// The parameter sets of the record, without start code or length: what RTP and MPEG-TS send in front of a
    /// keyframe. For H.264 SPS, SPS extensions, PPS; for H.265 VPS, SPS, PPS; for AV1 the OBUs of sequence headers with their size fields; nothing for codecs without.
    pub fn parameter_sets(&self) -> impl Iterator<Item = &[u8]> {
        let sets = match self.codec {
            Codec::H264 => h264::parameter_sets(&self.record),
            Codec::H265 => h265::parameter_sets(&self.record),
            Codec::Av1 => av1::sequence_headers(&self.record),
            _ => Vec::new(),
        };
        sets.into_iter()
    }

    /// Profile, level and samples of pictures; `None` for sound and for codecs that are not looked into.
    pub fn video_format(&self) -> Option<VideoFormat> {
        VideoFormat::of(self)
    }

    /// What HTML's `codecs`, HLS's `CODECS` and DASH's `@codecs` call it (RFC 6381 §3.3 and the codec's own binding),
    /// e.g. `avc1.64001f`, `mp4a.40.2`, `opus`; `None` for codecs that have no such name here.
    pub fn codec_string(&self) -> Option<String> {
        codec_string::of(self)
    }

    pub(crate) fn vp(codec: Codec, record: VpRecord, (width, height): (u32, u32)) -> Self {
        let level = vpcc::level(width, height);
        Self {
            codec,
            record: VpRecord { level, ..record }.to_bytes(),
            parameters: Parameters::Video(VideoParameters {
                width,
                height,
                reorder_frames: 0,
            }),
        }
    }
}

impl From<OpusHead> for CodecConfig {
    fn from(head: OpusHead) -> Self {
        Self {
            codec: Codec::Opus,
            record: head.to_dops(),
            parameters: Parameters::Audio(head.parameters()),
        }
    }
}

impl TryFrom<AudioSpecificConfig> for CodecConfig {
    type Error = ConfigError;

    fn try_from(config: AudioSpecificConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            codec: Codec::Aac,
            record: config.to_bytes()?,
            parameters: Parameters::Audio(config.parameters()),
        })
    }
}

/// What a configuration says of the pictures or the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameters {
    /// Of pictures.
    Video(VideoParameters),
    /// Of sound.
    Audio(AudioParameters),
}

impl Parameters {
    /// Those of pictures, where it is of pictures.
    pub const fn video(&self) -> Option<VideoParameters> {
        match self {
            Self::Video(video) => Some(*video),
            Self::Audio(_) => None,
        }
    }

    /// Those of sound, where it is of sound.
    pub const fn audio(&self) -> Option<AudioParameters> {
        match self {
            Self::Audio(audio) => Some(*audio),
            Self::Video(_) => None,
        }
    }
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

const fn mono(sample_rate: u32) -> Parameters {
    Parameters::Audio(AudioParameters {
        sample_rate,
        channels: 1,
    })
}

/// Holds records to [`MAX_RECORD`].
pub(crate) fn cap(record: &[u8]) -> Result<(), ConfigError> {
    if record.len() > MAX_RECORD {
        return Err(ConfigError::TooLarge);
    }
    Ok(())
}

/// Sets `lengthSizeMinusOne`, the lowest two bits of the byte at `at`, to 3; copies only when it is not.
pub(crate) fn four_byte_lengths(record: Bytes, at: usize) -> Bytes {
    if record.get(at).is_none_or(|byte| byte & 0x03 == 3) {
        return record;
    }
    let mut copy = record.to_vec();
    if let Some(byte) = copy.get_mut(at) {
        *byte |= 0x03;
    }
    copy.into()
}

/// Above any real record; a bound on what one track can make every reader keep.
const MAX_RECORD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MediaKind;

    #[test]
    fn codecs_that_are_not_looked_into_are_carried() {
        let record = Bytes::from_static(&[1, 2, 3]);
        let config = CodecConfig::parse(Codec::H266, record.clone()).unwrap();
        assert_eq!((&config.record, config.codec_string()), (&record, None));
        assert_eq!(config.parameters.video(), Some(VideoParameters::default()));
        assert_eq!(
            (config.video_format(), config.parameter_sets().count()),
            (None, 0)
        );
    }

    #[test]
    fn telephone_codecs_need_no_record() {
        for (codec, rate) in [
            (Codec::Pcmu, 8_000),
            (Codec::Pcma, 8_000),
            (Codec::G722, 16_000),
        ] {
            let config = CodecConfig::parse(codec, Bytes::new()).unwrap();
            assert_eq!(config.parameters, mono(rate));
            assert_eq!(config.codec_string(), None);
        }
    }

    #[test]
    fn codecs_without_a_record_are_refused() {
        let other = Codec::Other {
            kind: MediaKind::Video,
            clock_rate: 90_000,
        };
        for codec in [Codec::Mp3, other] {
            let refused = CodecConfig::parse(codec, Bytes::new());
            assert_eq!(refused, Err(ConfigError::UnsupportedCodec { codec }));
        }
        for codec in [Codec::Vp8, Codec::Opus] {
            let refused = CodecConfig::from_parameter_sets(codec, &[[0x67]]);
            assert_eq!(refused, Err(ConfigError::UnsupportedCodec { codec }));
        }
    }

    #[test]
    fn records_above_the_cap_are_refused() {
        for codec in [
            Codec::H264,
            Codec::H265,
            Codec::Av1,
            Codec::H266,
            Codec::Aac,
        ] {
            let mut record = vec![1; MAX_RECORD + 1];
            record[0] = if codec == Codec::Av1 { 0x81 } else { 1 };
            let refused = CodecConfig::parse(codec, record.into());
            assert_eq!(refused, Err(ConfigError::TooLarge), "{codec:?}");
        }
    }
}
