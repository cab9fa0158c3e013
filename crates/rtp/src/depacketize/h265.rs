//! H.265 (RFC 7798) without decoding order numbers: single NAL units, AP, FU.

use bytes::Bytes;

use super::Damage;
use super::assembly::Assembly;
use super::nal::{Fragments, ParameterSets, aggregated};
use super::video::Place;

#[derive(Debug, Default)]
pub(super) struct H265 {
    sets: ParameterSets,
    fragments: Fragments,
    /// The type of the first slice of the unit in assembly.
    picture: Option<u8>,
    /// The same of the unit that was complete last.
    closed: Option<u8>,
    /// The highest sub-layer as the newest SPS tells it.
    highest_sub_layer: Option<u8>,
    /// The RASL pictures behind the newest keyframe refer to what nobody has.
    skips_leading: bool,
}

impl H265 {
    /// As in H.264.
    pub(super) fn place(payload: &[u8]) -> Place {
        let Some((&header, body)) = payload.split_first_chunk::<2>() else {
            return Place::Unknown;
        };
        let (header, slice) = match (kind_of(header[0]), body) {
            (FRAGMENTATION, [fragment, ..]) if fragment & FU_START == 0 => return Place::Later,
            (FRAGMENTATION, [fragment, rest @ ..]) => {
                ([header[0] & 0x81 | fragment << 1, header[1]], rest.first())
            }
            (AGGREGATION, [_, _, first, second, rest @ ..]) => ([*first, *second], rest.first()),
            (_, rest) => (header, rest.first()),
        };
        if is_base_slice(header) && !begins_picture(slice) {
            Place::Later
        } else {
            Place::First
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let &[first, second] = payload.first_chunk().ok_or(Damage::Malformed)?;
        if !is_valid([first, second]) {
            return Err(Damage::Malformed);
        }
        match kind_of(first) {
            AGGREGATION => {
                self.fragments.check_closed()?;
                for nal in aggregated(payload.slice(2..)) {
                    self.nal(nal?, unit)?;
                }
                Ok(())
            }
            FRAGMENTATION => {
                let (&[_, _, fragment], body) =
                    payload.split_first_chunk().ok_or(Damage::Malformed)?;
                let kind = fragment & 0x3f;
                if kind >= AGGREGATION {
                    return Err(Damage::Malformed);
                }
                let header = [first & 0x81 | kind << 1, second];
                let part = self.fragments.push(kind, &header, fragment, body, unit)?;
                if part.is_first {
                    self.note(header, body.first(), unit)?;
                }
                match part.completes.filter(|_| !stays(kind)) {
                    Some(at) => self.nal(unit.take_nal(at), unit),
                    None => Ok(()),
                }
            }
            0..AGGREGATION => {
                self.fragments.check_closed()?;
                self.nal(payload.clone(), unit)
            }
            // PACI carries nothing that is needed here, and nobody sends it.
            _ => Err(Damage::Malformed),
        }
    }

    fn nal(&mut self, nal: Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let &header = nal.first_chunk::<2>().ok_or(Damage::Malformed)?;
        if !is_valid(header) {
            return Err(Damage::Malformed);
        }
        match kind_of(header[0]) {
            kind @ (VPS | SPS | PPS) => {
                if kind == SPS {
                    // `sps_max_sub_layers_minus1` stands right behind the four bits of the VPS id.
                    self.highest_sub_layer = nal.get(2).map(|byte| byte >> 1 & 0x07);
                }
                self.sets.push(nal, kind != PPS);
                Ok(())
            }
            kind if !stays(kind) => Ok(()),
            0..AGGREGATION => {
                unit.push_nal([&nal, &[]])?;
                self.note(header, nal.get(2), unit)
            }
            _ => Err(Damage::Malformed),
        }
    }

    /// Takes in what a slice says; its picture must not begin in the middle.
    fn note(
        &mut self,
        header: [u8; 2],
        body: Option<&u8>,
        unit: &mut Assembly,
    ) -> Result<(), Damage> {
        let [first, second] = header;
        let kind = kind_of(first);
        if !is_base_slice(header) || self.picture.is_some() {
            return Ok(());
        }
        if !begins_picture(body) {
            return Err(Damage::Lost);
        }
        self.picture = Some(kind);
        unit.keyframe = kind >= IRAP_FIRST;
        // Below 16 the even types are the sub-layer non-reference pictures (H.265 table 7-1).
        unit.discardable = kind < IRAP_FIRST
            && kind & 0x01 == 0
            && self.highest_sub_layer == (second & 0x07).checked_sub(1);
        Ok(())
    }

    pub(super) const fn has_picture(&self) -> bool {
        self.picture.is_some()
    }

    pub(super) fn close(&mut self, unit: &Assembly, after_gap: bool) -> Result<(), Damage> {
        self.closed = self.picture.take();
        // Its sets may have fallen into the gap, and the old ones may not fit.
        if !self.sets.end_unit() && unit.keyframe && after_gap {
            return Err(Damage::Lost);
        }
        self.fragments.check_closed()
    }

    /// A random access skipped leading (RASL) picture behind a keyframe it cannot be decoded after (H.265 §8.1.3).
    pub(super) fn skips(&mut self, unit: &Assembly, starts: bool) -> bool {
        let Some(kind) = self.closed else {
            return false;
        };
        if unit.keyframe {
            // RASL pictures behind a BLA picture are never decodable, behind a CRA picture only when it was the start.
            let idr = (IDR_FIRST..=IDR_LAST).contains(&kind);
            self.skips_leading = kind <= BLA_LAST || (starts && !idr);
        }
        self.skips_leading && (RASL_N..=RASL_R).contains(&kind)
    }

    pub(super) fn abandon(&mut self) {
        self.picture = None;
        self.sets.end_unit();
        self.fragments.abandon();
    }

    pub(super) fn take_parameter_sets(&mut self) -> Vec<Bytes> {
        self.sets.take()
    }
}

const fn kind_of(first: u8) -> u8 {
    first >> 1 & 0x3f
}

/// The forbidden bit is 0 and the temporal id plus one is not (RFC 7798 §1.1.4).
const fn is_valid([first, second]: [u8; 2]) -> bool {
    first & 0x80 == 0 && second & 0x07 != 0
}

/// Whether a unit is part of a frame, as [`Frame::data`](sluice_media::Frame::data) has it.
const fn stays(kind: u8) -> bool {
    !matches!(kind, VPS | SPS | PPS | DELIMITER | FILLER)
}

/// A slice of layer 0.
const fn is_base_slice([first, second]: [u8; 2]) -> bool {
    kind_of(first) <= IRAP_LAST && first & 0x01 == 0 && second >> 3 == 0
}

/// `first_slice_segment_in_pic_flag`.
fn begins_picture(body: Option<&u8>) -> bool {
    body.is_some_and(|byte| byte & 0x80 != 0)
}

const FU_START: u8 = 0x80;

const RASL_N: u8 = 8;
const RASL_R: u8 = 9;
const IRAP_FIRST: u8 = 16;
const BLA_LAST: u8 = 18;
const IDR_FIRST: u8 = 19;
const IDR_LAST: u8 = 20;
const IRAP_LAST: u8 = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
