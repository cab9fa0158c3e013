//! The `AV1CodecConfigurationRecord` (AV1-ISOBMFF §2.3), `av1C`.

use bytes::Bytes;

use super::{Av1Obu, Av1Obus, SEQUENCE_HEADER, SequenceHeader};
use crate::ConfigError;
use crate::codec_config::{VideoParameters, cap};

/// Checks a record; without a sequence header in it the size stays unknown.
pub(crate) fn parse_record(record: Bytes) -> Result<(Bytes, VideoParameters), ConfigError> {
    cap(&record)?;
    let parsed = Av1Record::parse(&record)?;
    let parameters = parsed
        .sequence
        .map(|sequence| sequence.parameters())
        .unwrap_or_default();
    Ok((record, parameters))
}

/// A record of the sequence header among `units`.
pub(crate) fn build_record(units: &[&[u8]]) -> Result<(Bytes, VideoParameters), ConfigError> {
    let obu = units
        .iter()
        .filter_map(|unit| Av1Obu::parse(unit))
        .find(|obu| obu.kind() == SEQUENCE_HEADER)
        .ok_or(ConfigError::MissingParameterSet {
            unit_type: SEQUENCE_HEADER,
        })?;
    let header = SequenceHeader::parse(obu.body()).ok_or(SEQUENCE_MALFORMED)?;
    Ok((write(&header, &obu)?, header.parameters()))
}

pub(crate) fn write(header: &SequenceHeader, obu: &Av1Obu<'_>) -> Result<Bytes, ConfigError> {
    let color = header.color;
    let (horizontal, vertical) = color.subsampling;
    let mut out = vec![
        MARKER_AND_VERSION,
        header.profile << 5 | header.level,
        u8::from(header.high_tier) << 7
            | u8::from(color.bit_depth > 8) << 6
            | u8::from(color.bit_depth == 12) << 5
            | u8::from(color.monochrome) << 4
            | u8::from(horizontal) << 3
            | u8::from(vertical) << 2
            | color.sample_position,
        0, // no initial_presentation_delay
    ];
    obu.write(&mut out);
    let record = Bytes::from(out);
    cap(&record)?;
    Ok(record)
}

/// The sequence headers of a record that was parsed, each a whole OBU.
pub(crate) fn sequence_headers(record: &[u8]) -> Vec<&[u8]> {
    let mut headers = Vec::new();
    let mut rest = record.get(HEAD..).unwrap_or_default();
    let mut obus = Av1Obus::new(rest);
    while let Some(obu) = obus.next() {
        let (whole, after) = rest.split_at(rest.len().saturating_sub(obus.rest().len()));
        rest = after;
        if obu.kind() == SEQUENCE_HEADER {
            headers.push(whole);
        }
    }
    headers
}

/// What a record says.
pub(crate) struct Av1Record {
    pub(crate) profile: u8,
    pub(crate) level: u8,
    pub(crate) high_tier: bool,
    pub(crate) bit_depth: u8,
    pub(crate) monochrome: bool,
    /// Horizontal and vertical.
    pub(crate) subsampling: (bool, bool),
    /// The first of its sequence headers.
    pub(crate) sequence: Option<SequenceHeader>,
}

impl Av1Record {
    pub(crate) fn parse(record: &[u8]) -> Result<Self, ConfigError> {
        let (&[version, level, flags, _], obus) = record
            .split_first_chunk::<HEAD>()
            .ok_or(ConfigError::Truncated)?;
        if version != MARKER_AND_VERSION {
            return Err(ConfigError::Version { found: version });
        }
        let mut obus = Av1Obus::new(obus);
        let header = obus.by_ref().find(|obu| obu.kind() == SEQUENCE_HEADER);
        if header.is_none() && !obus.is_intact() {
            return Err(ConfigError::Malformed);
        }
        let sequence = header
            .map(|obu| SequenceHeader::parse(obu.body()).ok_or(SEQUENCE_MALFORMED))
            .transpose()?;
        Ok(Self {
            profile: level >> 5,
            level: level & 0x1f,
            high_tier: flags & 0x80 != 0,
            bit_depth: match flags >> 5 & 0x03 {
                0b10 => 10,
                0b11 => 12,
                _ => 8,
            },
            monochrome: flags & 0x10 != 0,
            subsampling: (flags & 0x08 != 0, flags & 0x04 != 0),
            sequence,
        })
    }
}

const SEQUENCE_MALFORMED: ConfigError = ConfigError::ParameterSet {
    unit_type: SEQUENCE_HEADER,
};

/// Marker 1, version 1.
const MARKER_AND_VERSION: u8 = 0x81;

/// Bytes in front of `configOBUs`.
const HEAD: usize = 4;
