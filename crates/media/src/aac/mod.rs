//! AAC: the `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1).

mod adts;

pub use adts::{AdtsHeader, AdtsSplitter, AdtsUnit, adts_header};

use bytes::Bytes;

use crate::bit_writer::BitWriter;
use crate::{AudioParameters, Bits, ConfigError};

/// What an `AudioSpecificConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioSpecificConfig {
    /// Audio object type of the core (table 1.17): 2 for AAC-LC. Never 5 or 29: those say [`Self::sbr_sample_rate`].
    pub object_type: u8,
    /// Samples per second of the core.
    pub sample_rate: u32,
    /// `channelConfiguration` (table 1.19); 0 when a program config element tells.
    pub channel_configuration: u8,
    /// Loudspeaker channels of the core.
    pub channels: u8,
    /// Samples per second behind spectral band replication, where that is signalled (HE-AAC). An encoder may use it
    /// without a word; then only the decoder finds out.
    pub sbr_sample_rate: Option<u32>,
    /// Parametric stereo is signalled (HE-AAC v2): mono comes out as stereo.
    pub parametric_stereo: bool,
    /// Frames of 960 samples instead of 1024, before spectral band replication.
    pub short_frames: bool,
}

impl AudioSpecificConfig {
    /// AAC-LC in frames of 1024 samples.
    ///
    /// # Errors
    /// When no `channelConfiguration` stands for `channels` (1 to 6, 7, 8), or `sample_rate` is 0 or takes more than
    /// 24 bits.
    pub fn low_complexity(sample_rate: u32, channels: u8) -> Result<Self, ConfigError> {
        let channel_configuration = match channels {
            1..=6 => channels,
            // Seven have a layout of their own since amendment 4, and eight are 7.1 with front pairs.
            7 => 11,
            8 => 7,
            found => return Err(ConfigError::Channels { found }),
        };
        if sample_rate == 0 || sample_rate >= 1 << 24 {
            return Err(ConfigError::SampleRate { found: sample_rate });
        }
        Ok(Self {
            object_type: LOW_COMPLEXITY,
            sample_rate,
            channel_configuration,
            channels,
            sbr_sample_rate: None,
            parametric_stereo: false,
            short_frames: false,
        })
    }

    /// Reads the record; what follows it is passed over.
    ///
    /// # Errors
    /// When it ends early, or a reserved index, rate or channel configuration stands in it.
    pub fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        read(&mut Bits::new(record)).ok_or(ConfigError::Malformed)
    }

    /// Writes the record: hierarchical signalling for spectral band replication (§1.6.5.2). Of object types beyond 4
    /// and of program config elements not everything is kept, so configurations with them cannot be written.
    ///
    /// # Errors
    /// When `object_type` is not 1 to 4, `channel_configuration` is 0 or takes more than four bits, or a rate is 0 or
    /// takes more than 24 bits.
    pub fn to_bytes(&self) -> Result<Bytes, ConfigError> {
        if !(1..=4).contains(&self.object_type) {
            return Err(ConfigError::ObjectType {
                found: self.object_type,
            });
        }
        if !(1..16).contains(&self.channel_configuration) {
            return Err(ConfigError::Channels {
                found: self.channels,
            });
        }
        let mut out = BitWriter::default();
        if let Some(rate) = self.sbr_sample_rate {
            write_object_type(&mut out, if self.parametric_stereo { PS } else { SBR });
            write_sample_rate(&mut out, self.sample_rate)?;
            out.number(self.channel_configuration.into(), 4);
            write_sample_rate(&mut out, rate)?;
            write_object_type(&mut out, self.object_type);
        } else {
            write_object_type(&mut out, self.object_type);
            write_sample_rate(&mut out, self.sample_rate)?;
            out.number(self.channel_configuration.into(), 4);
        }
        out.number(self.short_frames.into(), 1);
        out.number(0, 2); // dependsOnCoreCoder, extensionFlag
        Ok(out.into_bytes().into())
    }

    /// Samples that one access unit decodes to, at the rate of [`AudioParameters::sample_rate`].
    pub const fn samples_per_unit(&self) -> u32 {
        match (self.short_frames, self.sbr_sample_rate.is_some()) {
            (false, false) => 1_024,
            (false, true) => 2_048,
            (true, false) => 960,
            (true, true) => 1_920,
        }
    }

    /// The object type that RFC 6381 §3.3 names: 2, or 5 and 29 for the extensions.
    pub(crate) const fn named_object_type(&self) -> u8 {
        match (self.sbr_sample_rate, self.parametric_stereo) {
            (Some(_), true) => PS,
            (Some(_), false) => SBR,
            (None, _) => self.object_type,
        }
    }

    pub(crate) fn parameters(&self) -> AudioParameters {
        AudioParameters {
            sample_rate: self.sbr_sample_rate.unwrap_or(self.sample_rate),
            channels: if self.parametric_stereo && self.channels == 1 {
                2
            } else {
                self.channels
            },
        }
    }
}

fn read(bits: &mut Bits<'_>) -> Option<AudioSpecificConfig> {
    let mut object_type = read_object_type(bits)?;
    let sample_rate = read_sample_rate(bits)?;
    let channel_configuration = u8::try_from(bits.number(4)?).ok()?;
    let mut sbr_sample_rate = None;
    let mut parametric_stereo = object_type == PS;
    if matches!(object_type, SBR | PS) {
        sbr_sample_rate = Some(read_sample_rate(bits)?);
        object_type = read_object_type(bits).filter(|core| !matches!(*core, SBR | PS))?;
    }
    let signalled = sbr_sample_rate.is_some();
    let mut channels = channels_of(channel_configuration);
    let mut short_frames = false;
    if is_general_audio(object_type) {
        short_frames = bits.flag()?;
        if bits.flag()? {
            bits.skip(14)?; // coreCoderDelay
        }
        let extension = bits.flag()?;
        if channel_configuration == 0 {
            channels = Some(program_channels(bits)?);
        }
        skip_extension(bits, object_type, extension)?;
        if !signalled && let Some((rate, ps)) = trailing_extension(bits) {
            sbr_sample_rate = Some(rate);
            parametric_stereo = ps;
        }
    }
    Some(AudioSpecificConfig {
        object_type,
        sample_rate,
        channel_configuration,
        channels: channels.filter(|channels| *channels > 0)?,
        sbr_sample_rate,
        parametric_stereo,
        short_frames,
    })
}

/// `GetAudioObjectType` (§1.6.2.1).
fn read_object_type(bits: &mut Bits<'_>) -> Option<u8> {
    let kind = match bits.number(5)? {
        ESCAPED_TYPE => bits.number(6)?.checked_add(32)?,
        kind => kind,
    };
    u8::try_from(kind).ok()
}

/// `None` is also a reserved index, or a rate of 0.
fn read_sample_rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.number(4)? {
        ESCAPED_RATE => bits.number(24),
        index => SAMPLE_RATES.get(usize::try_from(index).ok()?).copied(),
    }
    .filter(|rate| *rate > 0)
}

/// Whether a `GASpecificConfig` follows (§1.6.2.1).
const fn is_general_audio(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

/// What `GASpecificConfig` has behind the channels (§4.4.1).
fn skip_extension(bits: &mut Bits<'_>, object_type: u8, extension: bool) -> Option<()> {
    if matches!(object_type, 6 | 20) {
        bits.skip(3)?; // layerNr
    }
    if extension {
        match object_type {
            22 => bits.skip(16)?, // numOfSubFrame, layer_length
            17 | 19 | 20 | 23 => bits.skip(3)?,
            _ => {}
        }
        bits.skip(1)?; // extensionFlag3
    }
    Some(())
}

/// Backward compatible signalling at the end (§1.6.5.2): the rate of spectral band replication, and parametric stereo.
fn trailing_extension(bits: &mut Bits<'_>) -> Option<(u32, bool)> {
    if bits.number(11)? != SBR_SYNC || read_object_type(bits)? != SBR || !bits.flag()? {
        return None;
    }
    let rate = read_sample_rate(bits)?;
    let parametric_stereo = bits.number(11) == Some(PS_SYNC) && bits.flag() == Some(true);
    Some((rate, parametric_stereo))
}

/// Table 1.19; `None` for 0 and the reserved ones.
const fn channels_of(configuration: u8) -> Option<u8> {
    match configuration {
        1..=6 => Some(configuration),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        13 => Some(24),
        _ => None,
    }
}

/// The channels of a program config element (§4.4.1.1).
fn program_channels(bits: &mut Bits<'_>) -> Option<u8> {
    bits.skip(10)?; // element_instance_tag, object_type, sampling_frequency_index
    let elements = [bits.number(4)?, bits.number(4)?, bits.number(4)?];
    let low_frequency = bits.number(2)?;
    bits.skip(7)?; // num_assoc_data_elements, num_valid_cc_elements
    for width in [4, 4, 3] {
        if bits.flag()? {
            bits.skip(width)?; // a mixdown
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements.into_iter().fold(0, u32::saturating_add) {
        let pair = bits.flag()?;
        channels = channels.checked_add(if pair { 2 } else { 1 })?;
        bits.skip(4)?; // element_tag_select
    }
    u8::try_from(channels).ok()
}

fn write_object_type(out: &mut BitWriter, kind: u8) {
    match kind.checked_sub(32) {
        Some(escaped) => {
            out.number(ESCAPED_TYPE, 5);
            out.number(escaped.into(), 6);
        }
        None => out.number(kind.into(), 5),
    }
}

fn write_sample_rate(out: &mut BitWriter, rate: u32) -> Result<(), ConfigError> {
    if let Some(index) = sample_rate_index(rate) {
        out.number(index.into(), 4);
    } else if (1..1 << 24).contains(&rate) {
        out.number(ESCAPED_RATE, 4);
        out.number(rate, 24);
    } else {
        return Err(ConfigError::SampleRate { found: rate });
    }
    Ok(())
}

/// `samplingFrequencyIndex` of a rate that has one (table 1.18).
fn sample_rate_index(rate: u32) -> Option<u8> {
    let index = SAMPLE_RATES.iter().position(|known| *known == rate)?;
    u8::try_from(index).ok()
}

/// Table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

const LOW_COMPLEXITY: u8 = 2;
const SBR: u8 = 5;
const PS: u8 = 29;
const ESCAPED_TYPE: u32 = 31;
const ESCAPED_RATE: u32 = 15;
const SBR_SYNC: u32 = 0x2b7;
const PS_SYNC: u32 = 0x548;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_complexity_stereo_is_the_two_bytes_everyone_knows() {
        let config = AudioSpecificConfig::low_complexity(44_100, 2).unwrap();
        assert_eq!(config.to_bytes().unwrap(), [0x12, 0x10].as_slice());
        assert_eq!(AudioSpecificConfig::parse(&[0x12, 0x10]), Ok(config));
        assert_eq!(config.samples_per_unit(), 1_024);
    }

    #[test]
    fn every_rate_and_layout_reads_back() {
        for rate in SAMPLE_RATES.into_iter().chain([1, 44_101, (1 << 24) - 1]) {
            for channels in 1..=8 {
                let config = AudioSpecificConfig::low_complexity(rate, channels).unwrap();
                let bytes = config.to_bytes().unwrap();
                assert_eq!(AudioSpecificConfig::parse(&bytes), Ok(config));
            }
        }
        for rate in [0, 1 << 24] {
            let refused = AudioSpecificConfig::low_complexity(rate, 2);
            assert_eq!(refused, Err(ConfigError::SampleRate { found: rate }));
        }
    }

    #[test]
    fn both_signallings_of_he_aac_give_the_decoded_rate_and_channels() {
        // Hierarchical: PS, 24 kHz, mono, to 48 kHz, core LC. Backward compatible: the same behind an LC config.
        let mut hierarchical = BitWriter::default();
        for (value, width) in [(29, 5), (6, 4), (1, 4), (3, 4), (2, 5), (0, 3)] {
            hierarchical.number(value, width);
        }
        let mut compatible = BitWriter::default();
        for (value, width) in [
            (2, 5),
            (6, 4),
            (1, 4),
            (0, 3),
            (0x2b7, 11),
            (5, 5),
            (1, 1),
            (3, 4),
            (0x548, 11),
            (1, 1),
        ] {
            compatible.number(value, width);
        }
        let expected = AudioSpecificConfig {
            sbr_sample_rate: Some(48_000),
            parametric_stereo: true,
            ..AudioSpecificConfig::low_complexity(24_000, 1).unwrap()
        };
        for writer in [hierarchical, compatible] {
            let config = AudioSpecificConfig::parse(&writer.into_bytes()).unwrap();
            assert_eq!(config, expected);
            assert_eq!(
                config.parameters(),
                AudioParameters {
                    sample_rate: 48_000,
                    channels: 2
                }
            );
            assert_eq!(
                (config.named_object_type(), config.samples_per_unit()),
                (29, 2_048)
            );
        }
        let bytes = expected.to_bytes().unwrap();
        assert_eq!(AudioSpecificConfig::parse(&bytes), Ok(expected));
    }

    #[test]
    fn a_program_config_element_tells_the_channels() {
        let mut bits = BitWriter::default();
        // LC, 48 kHz, configuration 0; front: single and pair; back: pair; one low frequency channel.
        for (value, width) in [
            (2, 5),
            (3, 4),
            (0, 4),
            (0, 3),
            (0, 10),
            (2, 4),
            (0, 4),
            (1, 4),
            (1, 2),
            (0, 7),
            (0, 3),
            (0, 5),
            (0x11, 5),
            (0x10, 5),
        ] {
            bits.number(value, width);
        }
        let config = AudioSpecificConfig::parse(&bits.into_bytes()).unwrap();
        assert_eq!((config.channels, config.channel_configuration), (6, 0));
        assert_eq!(config.to_bytes(), Err(ConfigError::Channels { found: 6 }));
    }

    #[test]
    fn reserved_rates_and_layouts_are_refused() {
        assert_eq!(
            AudioSpecificConfig::parse(&[0x16, 0x90]),
            Err(ConfigError::Malformed)
        );
        assert_eq!(
            AudioSpecificConfig::parse(&[0x12, 0x40]),
            Err(ConfigError::Malformed)
        );
        assert_eq!(
            AudioSpecificConfig::parse(&[0x12]),
            Err(ConfigError::Malformed)
        );
    }
}
