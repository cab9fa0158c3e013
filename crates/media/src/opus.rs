//! Opus: `OpusHead` (RFC 7845 §5.1) and the body of `dOps` (Encapsulation of Opus in ISOBMFF §4.3.2), and the length
//! of a packet.

use bytes::Bytes;

use crate::reader::Reader;
use crate::{AudioParameters, ConfigError};

/// What both forms of the Opus header say; they differ in byte order, version and a magic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpusHead {
    /// Channels of the output, 1 to 255.
    pub channels: u8,
    /// Samples at 48 kHz that a player drops at the start.
    pub pre_skip: u16,
    /// Samples per second of what was encoded, for information; decoders always give 48 000. 0 where unknown.
    pub input_sample_rate: u32,
    /// Gain in dB as Q7.8.
    pub output_gain: i16,
    /// Mapping family and table as on the wire, from the family's byte on: one byte for family 0, else family, stream
    /// count, coupled count and a byte for each channel.
    mapping: Bytes,
}

impl OpusHead {
    /// The head of a stream as libopus codes it: 312 samples of look-ahead, mono, stereo, or surround in the order of
    /// Vorbis (RFC 7845 §5.1.1.2).
    ///
    /// # Errors
    /// When `channels` is 0 or above 8.
    pub fn new(input_sample_rate: u32, channels: u8) -> Result<Self, ConfigError> {
        let mapping: &[u8] = match channels {
            1 | 2 => &[0],
            3 => &[1, 2, 1, 0, 2, 1],
            4 => &[1, 2, 2, 0, 1, 2, 3],
            5 => &[1, 3, 2, 0, 4, 1, 2, 3],
            6 => &[1, 4, 2, 0, 4, 1, 2, 3, 5],
            7 => &[1, 4, 3, 0, 4, 1, 2, 3, 5, 6],
            8 => &[1, 5, 3, 0, 6, 1, 2, 3, 4, 5, 7],
            found => return Err(ConfigError::Channels { found }),
        };
        Ok(Self {
            channels,
            pre_skip: LOOK_AHEAD,
            input_sample_rate,
            output_gain: 0,
            mapping: Bytes::from_static(mapping),
        })
    }

    /// Reads `OpusHead`, magic included (RFC 7845 §5.1): of Ogg, Matroska's `CodecPrivate`, Enhanced RTMP.
    ///
    /// # Errors
    /// When it ends early, is of another major version, or its mapping table does not fit its channels.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let body = bytes.strip_prefix(MAGIC).ok_or(ConfigError::Malformed)?;
        let mut reader = Reader::new(body);
        let [version, channels] = reader.array().ok_or(ConfigError::Truncated)?;
        // The upper half is the major version; a minor one may be higher.
        if version & 0xf0 != 0 {
            return Err(ConfigError::Version { found: version });
        }
        let fixed = (reader.array(), reader.array(), reader.array());
        let (Some(pre_skip), Some(rate), Some(gain)) = fixed else {
            return Err(ConfigError::Truncated);
        };
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes(pre_skip),
            input_sample_rate: u32::from_le_bytes(rate),
            output_gain: i16::from_le_bytes(gain),
            mapping: mapping(channels, reader.rest())?,
        })
    }

    /// Reads the body of a `dOps` box.
    ///
    /// # Errors
    /// As [`OpusHead::parse`].
    pub fn parse_dops(bytes: &[u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(bytes);
        let [version, channels] = reader.array().ok_or(ConfigError::Truncated)?;
        if version != 0 {
            return Err(ConfigError::Version { found: version });
        }
        let fixed = (reader.u16(), reader.u32(), reader.array());
        let (Some(pre_skip), Some(input_sample_rate), Some(gain)) = fixed else {
            return Err(ConfigError::Truncated);
        };
        Ok(Self {
            channels,
            pre_skip,
            input_sample_rate,
            output_gain: i16::from_be_bytes(gain),
            mapping: mapping(channels, reader.rest())?,
        })
    }

    /// Writes `OpusHead`, magic included.
    pub fn to_bytes(&self) -> Bytes {
        let fields: [&[u8]; 6] = [
            MAGIC,
            &[1, self.channels],
            &self.pre_skip.to_le_bytes(),
            &self.input_sample_rate.to_le_bytes(),
            &self.output_gain.to_le_bytes(),
            &self.mapping,
        ];
        fields.concat().into()
    }

    /// Writes the body of a `dOps` box.
    pub fn to_dops(&self) -> Bytes {
        let fields: [&[u8]; 5] = [
            &[0, self.channels],
            &self.pre_skip.to_be_bytes(),
            &self.input_sample_rate.to_be_bytes(),
            &self.output_gain.to_be_bytes(),
            &self.mapping,
        ];
        fields.concat().into()
    }

    /// Channel mapping family (RFC 7845 §5.1.1).
    pub fn mapping_family(&self) -> u8 {
        self.mapping.first().copied().unwrap_or_default()
    }

    pub(crate) const fn parameters(&self) -> AudioParameters {
        AudioParameters {
            sample_rate: DECODED_RATE,
            channels: self.channels,
        }
    }
}

/// How long an Opus packet lasts, in samples at 48 kHz (RFC 6716 §3.1); `None` when it is empty, ends early or lasts
/// longer than the 120 ms that are allowed.
pub fn opus_packet_samples(packet: &[u8]) -> Option<u32> {
    let (&toc, rest) = packet.split_first()?;
    let samples = match toc >> 3 {
        silk @ 0..=11 => match silk & 0x03 {
            0 => 480,
            1 => 960,
            2 => 1_920,
            _ => 2_880,
        },
        hybrid @ 12..=15 => 480_u32.checked_shl(u32::from(hybrid & 0x01))?,
        celt => 120_u32.checked_shl(u32::from(celt & 0x03))?,
    };
    let frames = match toc & 0x03 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(rest.first()? & 0x3f),
    };
    let total = samples.checked_mul(frames)?;
    (1..=MAX_PACKET).contains(&total).then_some(total)
}

/// Family, and for families other than 0 the table of RFC 7845 §5.1.1, checked against the channels.
fn mapping(channels: u8, bytes: &[u8]) -> Result<Bytes, ConfigError> {
    let (&family, table) = bytes.split_first().ok_or(ConfigError::Truncated)?;
    if channels == 0 || family == 0 && channels > 2 {
        return Err(ConfigError::Channels { found: channels });
    }
    if family == 0 {
        return Ok(Bytes::from_static(&[0]));
    }
    let mut reader = Reader::new(table);
    let [streams, coupled] = reader.array().ok_or(ConfigError::Truncated)?;
    let entries = reader.take(channels.into()).ok_or(ConfigError::Truncated)?;
    let decoded = u16::from(streams).saturating_add(u16::from(coupled));
    // 255 is a silent channel.
    let fits = |entry: &u8| *entry == 255 || u16::from(*entry) < decoded;
    if streams == 0 || coupled > streams || decoded > 255 || !entries.iter().all(fits) {
        return Err(ConfigError::Malformed);
    }
    Ok([&[family, streams, coupled], entries].concat().into())
}

const MAGIC: &[u8; 8] = b"OpusHead";

/// The delay of libopus at 48 kHz, 6.5 ms.
const LOOK_AHEAD: u16 = 312;

const DECODED_RATE: u32 = 48_000;

/// 120 ms.
const MAX_PACKET: u32 = 5_760;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        for channels in 1..=8 {
            let head = OpusHead::new(44_100, channels).unwrap();
            assert_eq!(OpusHead::parse(&head.to_bytes()), Ok(head.clone()));
            assert_eq!(OpusHead::parse_dops(&head.to_dops()), Ok(head.clone()));
            assert_eq!(head.mapping_family(), u8::from(channels > 2));
        }
    }

    #[test]
    fn channels_without_a_layout_are_refused() {
        for found in [0, 9] {
            assert_eq!(
                OpusHead::new(0, found),
                Err(ConfigError::Channels { found })
            );
        }
    }

    #[test]
    fn a_table_that_names_a_stream_it_lacks_is_refused() {
        let mut bytes = OpusHead::new(0, 6).unwrap().to_dops().to_vec();
        *bytes.last_mut().unwrap() = 6;
        assert_eq!(OpusHead::parse_dops(&bytes), Err(ConfigError::Malformed));
        bytes.pop();
        assert_eq!(OpusHead::parse_dops(&bytes), Err(ConfigError::Truncated));
    }

    #[test]
    fn packets_last_as_their_toc_says() {
        // SILK 10 ms, SILK 60 ms, hybrid 20 ms, CELT 2.5 ms, CELT 20 ms twice, CELT 20 ms six times.
        for (packet, samples) in [
            (&[0x00, 1][..], 480),
            (&[0x18, 1], 2_880),
            (&[0x68, 1], 960),
            (&[0x80, 1], 120),
            (&[0xfc | 1, 1], 1_920),
            (&[0xfc | 3, 6], 5_760),
        ] {
            assert_eq!(opus_packet_samples(packet), Some(samples), "{packet:?}");
        }
        assert_eq!(opus_packet_samples(&[]), None);
        assert_eq!(opus_packet_samples(&[0xff]), None);
        assert_eq!(opus_packet_samples(&[0xff, 0]), None, "no frame at all");
        assert_eq!(opus_packet_samples(&[0xff, 7]), None, "140 ms");
    }
}
