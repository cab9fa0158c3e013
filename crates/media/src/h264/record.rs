//! The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), `avcC`.

use bytes::Bytes;

use super::{H264Sps, PPS, SPS, SPS_EXTENSION, kind};
use crate::ConfigError;
use crate::codec_config::{VideoParameters, cap, four_byte_lengths};
use crate::reader::Reader;

/// Checks a record and makes it say that lengths take four bytes, as in our frames.
pub(crate) fn parse_record(record: Bytes) -> Result<(Bytes, VideoParameters), ConfigError> {
    cap(&record)?;
    let parameters = parameters(&Sets::parse(&record)?)?;
    Ok((four_byte_lengths(record, LENGTH_SIZE_AT), parameters))
}

/// A record of the sets among `units`; other units are passed over.
pub(crate) fn build_record(units: &[&[u8]]) -> Result<(Bytes, VideoParameters), ConfigError> {
    let sets = Sets::among(units);
    let parameters = parameters(&sets)?;
    let record = Bytes::from(sets.write()?);
    cap(&record)?;
    Ok((record, parameters))
}

/// The sets of a record that was parsed, in its order.
pub(crate) fn parameter_sets(record: &[u8]) -> Vec<&[u8]> {
    let Ok(sets) = Sets::parse(record) else {
        return Vec::new();
    };
    [sets.sps, sets.extensions, sets.pps].concat()
}

#[derive(Default)]
struct Sets<'a> {
    sps: Vec<&'a [u8]>,
    pps: Vec<&'a [u8]>,
    extensions: Vec<&'a [u8]>,
}

impl<'a> Sets<'a> {
    fn parse(record: &'a [u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(record);
        let [version, profile, _, _, lengths] = reader.array().ok_or(ConfigError::Truncated)?;
        if version != 1 {
            return Err(ConfigError::Version { found: version });
        }
        if lengths & 0x03 == 2 {
            return Err(ConfigError::Malformed);
        }
        let sps = read_sets(&mut reader, 0x1f).ok_or(ConfigError::Truncated)?;
        let pps = read_sets(&mut reader, 0xff).ok_or(ConfigError::Truncated)?;
        // Records in the wild lack the extension, so its absence is no fault.
        let mut extensions = Vec::new();
        if tells_chroma(profile) && reader.array::<3>().is_some() {
            extensions = read_sets(&mut reader, 0xff).unwrap_or_default();
        }
        Ok(Self {
            sps,
            pps,
            extensions,
        })
    }

    fn among(units: &[&'a [u8]]) -> Self {
        let mut sets = Self::default();
        for unit in units {
            match unit.first().map(|header| kind(*header)) {
                Some(SPS) => sets.sps.push(unit),
                Some(PPS) => sets.pps.push(unit),
                Some(SPS_EXTENSION) => sets.extensions.push(unit),
                _ => {}
            }
        }
        sets
    }

    fn write(&self) -> Result<Vec<u8>, ConfigError> {
        let first = self.sps.first().copied();
        let Some(&[_, profile, constraints, level, ..]) = first else {
            return Err(SPS_MALFORMED);
        };
        let mut out = vec![1, profile, constraints, level, 0xff];
        push_sets(&mut out, 0xe0, 0x1f, &self.sps)?;
        push_sets(&mut out, 0, 0xff, &self.pps)?;
        if tells_chroma(profile) {
            let sps = first.and_then(parse_unit).ok_or(SPS_MALFORMED)?;
            out.extend_from_slice(&[
                0xfc | sps.chroma_format,
                0xf8 | sps.bit_depth_luma.saturating_sub(8),
                0xf8 | sps.bit_depth_chroma.saturating_sub(8),
            ]);
            push_sets(&mut out, 0, 0xff, &self.extensions)?;
        }
        Ok(out)
    }
}

fn read_sets<'a>(reader: &mut Reader<'a>, mask: u8) -> Option<Vec<&'a [u8]>> {
    let count = reader.u8()? & mask;
    (0..count).map(|_| reader.prefixed()).collect()
}

fn push_sets(out: &mut Vec<u8>, reserved: u8, most: u8, sets: &[&[u8]]) -> Result<(), ConfigError> {
    let count = u8::try_from(sets.len())
        .ok()
        .filter(|count| *count <= most)
        .ok_or(ConfigError::TooLarge)?;
    out.push(reserved | count);
    for set in sets {
        let length = u16::try_from(set.len()).map_err(|_| ConfigError::TooLarge)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(set);
    }
    Ok(())
}

fn parameters(sets: &Sets<'_>) -> Result<VideoParameters, ConfigError> {
    let unit = sets
        .sps
        .first()
        .ok_or(ConfigError::MissingParameterSet { unit_type: SPS })?;
    let sps = parse_unit(unit).ok_or(SPS_MALFORMED)?;
    if sets.pps.is_empty() {
        return Err(ConfigError::MissingParameterSet { unit_type: PPS });
    }
    Ok(VideoParameters {
        width: sps.width.into(),
        height: sps.height.into(),
        reorder_frames: sps.reorder_frames,
    })
}

fn parse_unit(unit: &[u8]) -> Option<H264Sps> {
    let (header, body) = unit.split_first()?;
    (kind(*header) == SPS).then(|| H264Sps::parse(body))?
}

/// Whether the record goes on behind the sets: for all profiles but Baseline, Main and Extended.
const fn tells_chroma(profile: u8) -> bool {
    !matches!(profile, 66 | 77 | 88)
}

const SPS_MALFORMED: ConfigError = ConfigError::ParameterSet { unit_type: SPS };

/// Where `lengthSizeMinusOne` stands.
const LENGTH_SIZE_AT: usize = 4;

#[cfg(test)]
mod tests {
    use crate::{Codec, CodecConfig, ConfigError, Parameters, VideoParameters, nal_length_size};

    /// x264: High at level 3.1, 854x480, two B-frames.
    const HIGH_SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0xd8, 0x3d, 0xe6, 0xf0, 0x11, 0x00, 0x00, 0x03,
        0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x18, 0x31, 0x96,
    ];
    const HIGH_PPS: &[u8] = &[0x68, 0xef, 0x81, 0x37, 0x2c];

    #[test]
    fn a_record_of_parameter_sets_reads_back() {
        // The order of the units does not matter, and what is no set is passed over.
        let units = [&[0x09, 0xf0][..], HIGH_PPS, HIGH_SPS];
        let config = CodecConfig::from_parameter_sets(Codec::H264, &units).unwrap();
        let video = VideoParameters {
            width: 854,
            height: 480,
            reorder_frames: 2,
        };
        assert_eq!(config.parameters, Parameters::Video(video));
        assert_eq!(config.codec_string().unwrap(), "avc1.64001f");
        let sets: Vec<&[u8]> = config.parameter_sets().collect();
        assert_eq!(sets, [HIGH_SPS, HIGH_PPS]);
        assert_eq!(config.record[..8], [1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 26]);
        assert_eq!(
            config.record[config.record.len() - 4..],
            [0xfd, 0xf8, 0xf8, 0]
        );
        let parsed = CodecConfig::parse(Codec::H264, config.record.clone());
        assert_eq!(parsed, Ok(config));
    }

    #[test]
    fn a_record_without_the_high_extension_is_taken() {
        let config = CodecConfig::from_parameter_sets(Codec::H264, &[HIGH_SPS, HIGH_PPS]).unwrap();
        let short = config.record.slice(..config.record.len() - 4);
        let parsed = CodecConfig::parse(Codec::H264, short).unwrap();
        assert_eq!(parsed.parameters, config.parameters);
        let cut = config.record.slice(..config.record.len() - 5);
        assert_eq!(
            CodecConfig::parse(Codec::H264, cut),
            Err(ConfigError::Truncated)
        );
    }

    #[test]
    fn a_record_of_two_byte_lengths_comes_out_with_four() {
        let config = CodecConfig::from_parameter_sets(Codec::H264, &[HIGH_SPS, HIGH_PPS]).unwrap();
        let mut record = config.record.to_vec();
        record[4] = 0xfd;
        assert_eq!(nal_length_size(Codec::H264, &record), Some(2));
        assert_eq!(CodecConfig::parse(Codec::H264, record.into()), Ok(config));
    }

    #[test]
    fn a_record_that_lacks_a_set_is_refused() {
        for (units, unit_type) in [([HIGH_PPS, HIGH_PPS], 7), ([HIGH_SPS, HIGH_SPS], 8)] {
            let refused = CodecConfig::from_parameter_sets(Codec::H264, &units);
            assert_eq!(refused, Err(ConfigError::MissingParameterSet { unit_type }));
        }
        let many = vec![HIGH_SPS; 32];
        let units = [&many[..], &[HIGH_PPS]].concat();
        let refused = CodecConfig::from_parameter_sets(Codec::H264, &units);
        assert_eq!(refused, Err(ConfigError::TooLarge));
    }
}
