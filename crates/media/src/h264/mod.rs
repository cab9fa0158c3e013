//! H.264: its NAL units and what they say.

mod record;
mod slice;
mod sps;

pub(crate) use record::{build_record, parameter_sets, parse_record};
pub(crate) use slice::PictureStart;
pub use sps::H264Sps;

use crate::nal::{Facts, Role};
use crate::{NalUnits, sei};

/// Adds up what the units of an access unit say: an IDR picture, and whether others refer to any slice.
pub(crate) fn inspect<'a>(units: &mut NalUnits<'a>) -> Facts<'a> {
    let mut facts = Facts::default();
    let (mut slices, mut referenced) = (false, false);
    for unit in units {
        let Some((&header, body)) = unit.split_first() else {
            continue;
        };
        match header & TYPE {
            kind @ SLICE..=IDR => {
                slices = true;
                referenced |= header & REF_IDC != 0;
                facts.keyframe |= kind == IDR;
            }
            SEI => facts.recovery_point = facts.recovery_point.or(sei::h264_recovery_point(body)),
            kind if is_parameter_set(kind) => facts.push_set(unit),
            _ => {}
        }
    }
    facts.discardable = slices && !referenced;
    facts
}

/// What becomes of a unit that begins with this byte.
pub(crate) const fn role(header: u8) -> Role {
    match kind(header) {
        SLICE..=IDR => Role::Slice,
        DELIMITER | FILLER => Role::Unwanted,
        kind if is_parameter_set(kind) => Role::ParameterSet,
        _ => Role::Other,
    }
}

/// SPS, PPS, SPS extension and subset SPS.
const fn is_parameter_set(kind: u8) -> bool {
    matches!(kind, SPS | PPS | SPS_EXTENSION | SUBSET_SPS)
}

/// The type of a unit by its first byte (H.264 §7.4.1).
pub(crate) const fn kind(header: u8) -> u8 {
    header & TYPE
}

const REF_IDC: u8 = 0x60;
const TYPE: u8 = 0x1f;

const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
pub(crate) const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;
const SUBSET_SPS: u8 = 15;
