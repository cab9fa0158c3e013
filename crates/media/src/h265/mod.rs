//! H.265: its NAL units and what they say.

mod record;
mod sps;

pub(crate) use record::{H265Record, build_record, parameter_sets, parse_record};
pub use sps::{H265Profile, H265Sps};

use crate::nal::{Facts, Role};
use crate::{NalUnits, sei};

/// Adds up what the units of an access unit say of its base layer: an IRAP picture, and whether others of its
/// sub-layer refer to it.
pub(crate) fn inspect<'a>(units: &mut NalUnits<'a>) -> Facts<'a> {
    let mut facts = Facts::default();
    let (mut slices, mut referenced) = (false, false);
    for unit in units {
        let Some(header) = Header::parse(unit).filter(|header| header.layer == 0) else {
            continue;
        };
        match header.kind {
            kind @ 0..=LAST_SLICE => {
                slices = true;
                // Below 16 the even types are the sub-layer non-reference pictures (table 7-1).
                referenced |= kind >= IRAP_FIRST || kind & 0x01 != 0;
                facts.keyframe |= (IRAP_FIRST..=IRAP_LAST).contains(&kind);
            }
            PREFIX_SEI => {
                let body = unit.get(2..).unwrap_or_default();
                facts.recovery_point = facts.recovery_point.or(sei::h265_recovery_point(body));
            }
            kind if is_parameter_set(kind) => facts.push_set(unit),
            _ => {}
        }
    }
    facts.discardable = slices && !referenced;
    facts
}

/// The header of a NAL unit (H.265 §7.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    /// `nuh_layer_id`.
    pub(crate) layer: u8,
}

impl Header {
    pub(crate) fn parse(unit: &[u8]) -> Option<Self> {
        let (&[first, second], _) = unit.split_first_chunk()?;
        Some(Self {
            kind: first >> 1 & 0x3f,
            layer: (first & 0x01) << 5 | second >> 3,
        })
    }
}

/// What becomes of a unit of this type.
pub(crate) const fn role(kind: u8) -> Role {
    match kind {
        0..=LAST_SLICE => Role::Slice,
        DELIMITER | FILLER => Role::Unwanted,
        kind if is_parameter_set(kind) => Role::ParameterSet,
        _ => Role::Other,
    }
}

/// Whether this unit begins an access unit, given that the one before has its picture (H.265 §7.4.2.4.4).
pub(crate) fn begins_access_unit(unit: &[u8]) -> bool {
    let Some(header) = Header::parse(unit).filter(|header| header.layer == 0) else {
        return false;
    };
    match header.kind {
        // `first_slice_segment_in_pic_flag`.
        0..=LAST_SLICE => unit.get(2).is_some_and(|byte| byte & 0x80 != 0),
        // Delimiter, sets, prefix SEI; reserved and unspecified ones that stand in front of a picture.
        VPS..=DELIMITER | PREFIX_SEI | 41..=44 | 48..=55 => true,
        _ => false,
    }
}

const fn is_parameter_set(kind: u8) -> bool {
    matches!(kind, VPS | SPS | PPS)
}

const IRAP_FIRST: u8 = 16;
const IRAP_LAST: u8 = 23;
const LAST_SLICE: u8 = 31;
pub(crate) const VPS: u8 = 32;
pub(crate) const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;
const PREFIX_SEI: u8 = 39;
const SUFFIX_SEI: u8 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::push_unit;
    use crate::{Codec, inspect_access_unit};

    #[test]
    fn access_units_begin_with_the_first_slice_or_what_precedes_it() {
        for (unit, begins) in [
            (&[1 << 1, 1, 0x80][..], true),
            (&[1 << 1, 1, 0x00], false),
            (&[32 << 1, 1], true),
            (&[34 << 1, 1], true),
            (&[35 << 1, 1], true),
            (&[39 << 1, 1], true),
            (&[40 << 1, 1], false), // suffix SEI
            (&[36 << 1, 1], false), // end of sequence
            (&[38 << 1, 1], false), // filler
            (&[48 << 1, 1], true),
            // The same in another layer.
            (&[1 << 1, 1 << 3 | 1, 0x80], false),
            (&[33 << 1, 1 << 3 | 1], false),
        ] {
            assert_eq!(begins_access_unit(unit), begins, "{unit:?}");
        }
    }

    #[test]
    fn idr_cra_and_bla_are_keyframes_of_the_base_layer() {
        let facts = |kind: u8, layer: u8| {
            let mut data = Vec::new();
            push_unit(&mut data, &[kind << 1, layer << 3 | 1, 0x80]);
            inspect_access_unit(Codec::H265, &data)
        };
        for kind in 0..=31 {
            let unit = facts(kind, 0);
            assert_eq!(unit.keyframe, (16..=23).contains(&kind), "{kind}");
            assert_eq!(unit.discardable, kind < 16 && kind % 2 == 0, "{kind}");
            assert!(!facts(kind, 1).keyframe && !facts(kind, 1).discardable);
        }
    }
}
