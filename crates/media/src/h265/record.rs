//! The `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1), `hvcC`.

use bytes::Bytes;

use super::{H265Profile, H265Sps, Header, PPS, PREFIX_SEI, SPS, SUFFIX_SEI, VPS};
use crate::ConfigError;
use crate::codec_config::{VideoParameters, cap, four_byte_lengths};
use crate::reader::Reader;

/// Checks a record and makes it say that lengths take four bytes, as in our frames.
pub(crate) fn parse_record(record: Bytes) -> Result<(Bytes, VideoParameters), ConfigError> {
    cap(&record)?;
    let parsed = H265Record::parse(&record)?;
    if parsed.length_size == 2 {
        return Err(ConfigError::Malformed);
    }
    let (_, parameters) = check(&parsed.units)?;
    Ok((four_byte_lengths(record, LENGTH_SIZE_AT), parameters))
}

/// A record of the sets and SEI messages among `units`; other units are passed over.
pub(crate) fn build_record(units: &[&[u8]]) -> Result<(Bytes, VideoParameters), ConfigError> {
    let (sps, parameters) = check(units)?;
    let record = Bytes::from(write(&sps, units)?);
    cap(&record)?;
    Ok((record, parameters))
}

/// VPS, SPS and PPS of a record that was parsed, in this order.
pub(crate) fn parameter_sets(record: &[u8]) -> Vec<&[u8]> {
    let Ok(record) = H265Record::parse(record) else {
        return Vec::new();
    };
    let of = |kind| record.units.iter().copied().filter(is(kind));
    of(VPS).chain(of(SPS)).chain(of(PPS)).collect()
}

/// What stands in a record.
pub(crate) struct H265Record<'a> {
    pub(crate) profile: H265Profile,
    /// `lengthSizeMinusOne`.
    length_size: u8,
    /// The units of all arrays.
    units: Vec<&'a [u8]>,
}

impl<'a> H265Record<'a> {
    pub(crate) fn parse(record: &'a [u8]) -> Result<Self, ConfigError> {
        let (head, rest) = record
            .split_first_chunk::<22>()
            .ok_or(ConfigError::Truncated)?;
        let [
            version,
            profile,
            c0,
            c1,
            c2,
            c3,
            g0,
            g1,
            g2,
            g3,
            g4,
            g5,
            level,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            last,
        ] = *head;
        if version != 1 {
            return Err(ConfigError::Version { found: version });
        }
        Ok(Self {
            profile: H265Profile {
                space: profile >> 6,
                high_tier: profile & 0x20 != 0,
                profile: profile & 0x1f,
                compatibility: u32::from_be_bytes([c0, c1, c2, c3]),
                constraints: [g0, g1, g2, g3, g4, g5],
                level,
            },
            length_size: last & 0x03,
            units: read_arrays(rest).ok_or(ConfigError::Truncated)?,
        })
    }
}

fn read_arrays(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(bytes);
    let mut units = Vec::new();
    for _ in 0..reader.u8()? {
        reader.u8()?; // array_completeness, NAL_unit_type
        for _ in 0..reader.u16()? {
            units.push(reader.prefixed()?);
        }
    }
    Some(units)
}

fn write(sps: &H265Sps, units: &[&[u8]]) -> Result<Vec<u8>, ConfigError> {
    let profile = sps.profile;
    let mut out = vec![
        1,
        profile.space << 6 | u8::from(profile.high_tier) << 5 | profile.profile,
    ];
    out.extend_from_slice(&profile.compatibility.to_be_bytes());
    out.extend_from_slice(&profile.constraints);
    out.extend_from_slice(&[
        profile.level,
        // No minimum of spatial segments, and so no kind of parallelism.
        0xf0,
        0x00,
        0xfc,
        0xfc | sps.chroma_format,
        0xf8 | sps.bit_depth_luma.saturating_sub(8),
        0xf8 | sps.bit_depth_chroma.saturating_sub(8),
        // Unknown average frame rate; it may vary; lengths of four bytes.
        0,
        0,
        sps.sub_layers << 3 | u8::from(sps.temporal_id_nested) << 2 | 3,
    ]);
    let arrays: Vec<(u8, Vec<&[u8]>)> = [VPS, SPS, PPS, PREFIX_SEI, SUFFIX_SEI]
        .into_iter()
        .map(|kind| (kind, units.iter().copied().filter(is(kind)).collect()))
        .filter(|(_, units): &(u8, Vec<&[u8]>)| !units.is_empty())
        .collect();
    out.push(u8::try_from(arrays.len()).map_err(|_| ConfigError::TooLarge)?);
    for (kind, units) in arrays {
        // All sets are here (`hvc1`), but not all SEI messages.
        let complete = matches!(kind, VPS | SPS | PPS);
        out.push(u8::from(complete) << 7 | kind);
        let count = u16::try_from(units.len()).map_err(|_| ConfigError::TooLarge)?;
        out.extend_from_slice(&count.to_be_bytes());
        for unit in units {
            let length = u16::try_from(unit.len()).map_err(|_| ConfigError::TooLarge)?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(unit);
        }
    }
    Ok(out)
}

/// All three kinds of sets are there, and the base layer's SPS can be read.
fn check(units: &[&[u8]]) -> Result<(H265Sps, VideoParameters), ConfigError> {
    for unit_type in [VPS, SPS, PPS] {
        if !units.iter().any(is(unit_type)) {
            return Err(ConfigError::MissingParameterSet { unit_type });
        }
    }
    let base = |unit: &&&[u8]| Header::parse(unit).is_some_and(|header| header.layer == 0);
    let sps = units
        .iter()
        .filter(|unit| is(SPS)(unit))
        .find(base)
        .and_then(|unit| H265Sps::parse(unit.get(2..)?))
        .ok_or(ConfigError::ParameterSet { unit_type: SPS })?;
    let parameters = VideoParameters {
        width: sps.width.into(),
        height: sps.height.into(),
        reorder_frames: sps.reorder_frames,
    };
    Ok((sps, parameters))
}

fn is(kind: u8) -> impl Fn(&&[u8]) -> bool + Copy {
    move |unit| Header::parse(unit).is_some_and(|header| header.kind == kind)
}

/// Where `lengthSizeMinusOne` stands.
const LENGTH_SIZE_AT: usize = 21;

#[cfg(test)]
mod tests {
    use crate::{ChromaFormat, Codec, CodecConfig, ConfigError};

    const VPS: &[u8] = &[64, 1, 0x0c];
    const PPS: &[u8] = &[68, 1, 0xc1];
    const SEI: &[u8] = &[78, 1, 137, 0x80];

    #[test]
    fn a_record_holds_sei_messages_and_gives_the_sets_without_them() {
        let sps = super::super::sps::tests::layered();
        let units = [SEI, PPS, &sps, VPS, &[70, 1, 0x50]];
        let config = CodecConfig::from_parameter_sets(Codec::H265, &units).unwrap();
        let sets: Vec<&[u8]> = config.parameter_sets().collect();
        assert_eq!(sets, [VPS, &sps, PPS]);
        // Four arrays, of which only the messages are not complete.
        let kinds: Vec<usize> = [0xa0, 0xa1, 0xa2, 39]
            .map(|kind| config.record.windows(3).position(|at| at == [kind, 0, 1]))
            .into_iter()
            .flatten()
            .collect();
        assert!(kinds.len() == 4 && kinds.is_sorted());
        assert_eq!(config.record[21..23], [0x1f, 4]);
        assert!(config.record.ends_with(SEI));
        assert_eq!(config.codec_string().unwrap(), "hvc1.A4.10.H93.9D.8");
        let format = config.video_format().unwrap();
        assert_eq!(
            (format.bit_depth, format.chroma),
            (10, ChromaFormat::Yuv422)
        );
        let parsed = CodecConfig::parse(Codec::H265, config.record.clone());
        assert_eq!(parsed, Ok(config));
    }

    #[test]
    fn a_record_that_lacks_a_set_is_refused() {
        let sps = super::super::sps::tests::layered();
        for (units, unit_type) in [([&sps[..], PPS], 32), ([VPS, PPS], 33), ([VPS, &sps], 34)] {
            let refused = CodecConfig::from_parameter_sets(Codec::H265, &units);
            assert_eq!(refused, Err(ConfigError::MissingParameterSet { unit_type }));
        }
        let mut other_layer = sps.clone();
        other_layer[1] |= 1 << 3;
        let refused = CodecConfig::from_parameter_sets(Codec::H265, &[VPS, &other_layer, PPS]);
        assert_eq!(refused, Err(ConfigError::ParameterSet { unit_type: 33 }));
        let long = vec![64; 1 << 16];
        let refused = CodecConfig::from_parameter_sets(Codec::H265, &[&long[..], VPS, &sps, PPS]);
        assert_eq!(refused, Err(ConfigError::TooLarge));
    }
}
