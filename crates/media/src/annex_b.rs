//! Start codes: the byte stream format of H.264 and H.265 (annex B of each), one access unit at a time.

use bytes::Bytes;

use crate::nal::{MAX_SETS, Role, push_unit, role};
use crate::{Codec, CodecConfig, NalUnits, inspect_access_unit};

/// An access unit taken out of a byte stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NalAccessUnit {
    /// Its units in the form of [`Frame::data`](crate::Frame::data), without parameter sets, delimiters and filler.
    pub data: Bytes,
    /// Its parameter sets, each without start code, at most 64: for [`ParameterSets`](crate::ParameterSets) or
    /// [`CodecConfig::from_parameter_sets`].
    pub parameter_sets: Vec<Bytes>,
}

/// The NAL units between start codes, without the zeros around them; what stands in front of the first is passed over.
#[derive(Debug, Clone)]
pub struct AnnexBUnits<'a> {
    /// Behind a start code, or nothing.
    rest: &'a [u8],
}

impl<'a> AnnexBUnits<'a> {
    /// The units of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self {
            rest: find_start_code(data)
                .and_then(|at| data.get(at..)?.get(START_CODE.len()..))
                .unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for AnnexBUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = find_start_code(self.rest).unwrap_or(self.rest.len());
            let (unit, after) = self.rest.split_at(end);
            self.rest = after.get(START_CODE.len()..).unwrap_or_default();
            let unit = without_trailing_zeros(unit);
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// Takes one access unit of H.264 or H.265 out of the byte stream format; an access unit per call, see
/// [`AccessUnitSplitter`](crate::AccessUnitSplitter) for streams. `None` for other codecs, and when there is no unit.
pub fn from_annex_b(codec: Codec, data: &[u8]) -> Option<NalAccessUnit> {
    if !matches!(codec, Codec::H264 | Codec::H265) {
        return None;
    }
    let mut assembly = Assembly::default();
    for unit in AnnexBUnits::new(data) {
        assembly.push(codec, unit);
    }
    let unit = assembly.finish();
    (!unit.data.is_empty() || !unit.parameter_sets.is_empty()).then_some(unit)
}

/// Puts an access unit of the configuration's codec into the byte stream format, the parameter sets in front of a
/// keyframe or a recovery point. No delimiter is added: MPEG-TS wants one, in front of all. `None` for other codecs than H.264 and H.265,
/// and when a length reaches past the end.
pub fn to_annex_b(config: &CodecConfig, data: &[u8]) -> Option<Bytes> {
    if !matches!(config.codec, Codec::H264 | Codec::H265) {
        return None;
    }
    let mut out = Vec::with_capacity(data.len().saturating_add(256));
    let mut push = |unit: &[u8]| {
        out.extend_from_slice(&[0]);
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(unit);
    };
    let facts = inspect_access_unit(config.codec, data);
    if facts.keyframe || facts.recovery_point.is_some() {
        config.parameter_sets().for_each(&mut push);
    }
    let mut units = NalUnits::new(data);
    units.by_ref().for_each(&mut push);
    units.is_intact().then(|| out.into())
}

/// An access unit being put together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    data: Vec<u8>,
    parameter_sets: Vec<Bytes>,
    set_bytes: usize,
}

impl Assembly {
    /// Units without a whole header, and parameter sets above [`MAX_SETS`], are left out.
    pub(crate) fn push(&mut self, codec: Codec, unit: &[u8]) {
        match role(codec, unit) {
            Some(Role::Slice | Role::Other) => push_unit(&mut self.data, unit),
            Some(Role::ParameterSet) if self.parameter_sets.len() < MAX_SETS => {
                self.set_bytes = self.set_bytes.saturating_add(unit.len());
                self.parameter_sets.push(Bytes::copy_from_slice(unit));
            }
            Some(Role::ParameterSet | Role::Unwanted) | None => {}
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.data.len().saturating_add(self.set_bytes)
    }

    pub(crate) fn finish(self) -> NalAccessUnit {
        NalAccessUnit {
            data: self.data.into(),
            parameter_sets: self.parameter_sets,
        }
    }
}

/// Where the first start code begins.
pub(crate) fn find_start_code(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|window| window == START_CODE)
}

/// `trailing_zero_8bits`, and the `zero_byte` of the next start code: no unit ends in a zero (H.264 §7.4.1).
pub(crate) fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|byte| *byte != 0);
    end.and_then(|last| unit.get(..=last)).unwrap_or_default()
}

pub(crate) const START_CODE: [u8; 3] = [0, 0, 1];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_behind_both_start_codes_and_without_zeros() {
        let data = [
            &[9, 9, 0, 0, 0, 1, 0x67, 1][..],
            &[0, 0, 1, 0x68, 2, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 3, 0, 0],
        ]
        .concat();
        let units: Vec<&[u8]> = AnnexBUnits::new(&data).collect();
        assert_eq!(units, [[0x67, 1], [0x68, 2], [0x65, 3]]);
        assert_eq!(AnnexBUnits::new(&[0, 0]).next(), None);
        assert_eq!(AnnexBUnits::new(&[0x65, 1, 2]).next(), None);
    }

    #[test]
    fn sets_delimiters_and_filler_stay_out_of_the_frame() {
        let stream = |units: &[&[u8]]| {
            let with_code = units.iter().map(|unit| [&[0, 0, 0, 1], *unit].concat());
            with_code.collect::<Vec<_>>().concat()
        };
        let data = stream(&[
            &[9, 0xf0],
            &[0x67, 1],
            &[0x68, 2],
            &[6, 5],
            &[0x65, 3],
            &[12, 0xff],
        ]);
        let unit = from_annex_b(Codec::H264, &data).unwrap();
        assert_eq!(
            unit.data,
            [0, 0, 0, 2, 6, 5, 0, 0, 0, 2, 0x65, 3].as_slice()
        );
        assert_eq!(unit.parameter_sets, [[0x67, 1].as_slice(), &[0x68, 2]]);
        let data = stream(&[
            &[70, 1, 0x50],
            &[64, 1, 1],
            &[66, 1, 2],
            &[68, 1, 3],
            &[38, 1, 4],
        ]);
        let unit = from_annex_b(Codec::H265, &data).unwrap();
        assert_eq!(unit.data, [0, 0, 0, 3, 38, 1, 4].as_slice());
        assert_eq!(unit.parameter_sets.len(), 3);
        let cut = stream(&[&[38], &[38, 1, 4]]);
        let unit = from_annex_b(Codec::H265, &cut).unwrap();
        assert_eq!(
            unit.data,
            [0, 0, 0, 3, 38, 1, 4].as_slice(),
            "half a header"
        );
        assert_eq!(from_annex_b(Codec::Vp8, &data), None);
        assert_eq!(from_annex_b(Codec::H264, b"no start code"), None);
    }

    #[test]
    fn a_stream_of_nothing_but_sets_is_bounded() {
        let data = [0, 0, 1, 0x67].repeat(1_000);
        let unit = from_annex_b(Codec::H264, &data).unwrap();
        assert_eq!(unit.parameter_sets.len(), MAX_SETS);
    }
}
