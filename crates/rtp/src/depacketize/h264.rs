//! H.264 (RFC 6184), non-interleaved: single NAL units, STAP-A, FU-A.

use bytes::Bytes;

use super::Damage;
use super::assembly::Assembly;
use super::nal::{Fragments, ParameterSets, aggregated};
use super::video::Place;

#[derive(Debug, Default)]
pub(super) struct H264 {
    sets: ParameterSets,
    fragments: Fragments,
    has_picture: bool,
    /// A slice that others may refer to is in the unit.
    referenced: bool,
}

impl H264 {
    /// Whether it may begin a unit: what is missing in front of a first slice, sets apart, is not needed for decoding.
    pub(super) fn place(payload: &[u8]) -> Place {
        let (kind, slice) = match payload {
            [header, first, ..] if header & TYPE == FU_A && first & FU_START == 0 => {
                return Place::Later;
            }
            [header, fragment, rest @ ..] if header & TYPE == FU_A => {
                (fragment & TYPE, rest.first())
            }
            [header, _, _, unit, rest @ ..] if header & TYPE == STAP_A => {
                (unit & TYPE, rest.first())
            }
            [header, rest @ ..] => (header & TYPE, rest.first()),
            [] => return Place::Unknown,
        };
        if begins_picture(kind, slice) == Some(false) {
            Place::Later
        } else {
            Place::First
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let header = *payload.first().ok_or(Damage::Malformed)?;
        if header & FORBIDDEN != 0 {
            return Err(Damage::Malformed);
        }
        match header & TYPE {
            STAP_A => {
                self.fragments.check_closed()?;
                for nal in aggregated(payload.slice(1..)) {
                    self.nal(nal?, unit)?;
                }
                Ok(())
            }
            FU_A => {
                let (&[_, fragment], body) =
                    payload.split_first_chunk().ok_or(Damage::Malformed)?;
                let header = header & !TYPE | fragment & TYPE;
                // §5.8: aggregates and fragments are not fragmented.
                if fragment & TYPE == 0 || fragment & TYPE >= STAP_A {
                    return Err(Damage::Malformed);
                }
                let kind = header & TYPE;
                let part = self.fragments.push(kind, &[header], fragment, body, unit)?;
                if part.is_first {
                    self.note(header, body.first(), unit)?;
                }
                match part.completes.filter(|_| !stays(kind)) {
                    Some(at) => self.nal(unit.take_nal(at), unit),
                    None => Ok(()),
                }
            }
            1..STAP_A => {
                self.fragments.check_closed()?;
                self.nal(payload.clone(), unit)
            }
            // The interleaved mode (STAP-B, MTAP, FU-B) is not negotiated.
            _ => Err(Damage::Malformed),
        }
    }

    fn nal(&mut self, nal: Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let header = *nal.first().ok_or(Damage::Malformed)?;
        if header & FORBIDDEN != 0 {
            return Err(Damage::Malformed);
        }
        match header & TYPE {
            kind @ (SPS | PPS | SPS_EXTENSION | SUBSET_SPS) => {
                self.sets.push(nal, kind == SPS);
                Ok(())
            }
            kind if !stays(kind) => Ok(()),
            1..STAP_A => {
                unit.push_nal([&nal, &[]])?;
                self.note(header, nal.get(1), unit)
            }
            _ => Err(Damage::Malformed),
        }
    }

    /// Takes in what a slice says; its picture must not begin in the middle.
    fn note(&mut self, header: u8, body: Option<&u8>, unit: &mut Assembly) -> Result<(), Damage> {
        let Some(begins) = begins_picture(header & TYPE, body) else {
            return Ok(());
        };
        if !begins && !self.has_picture {
            return Err(Damage::Lost);
        }
        self.has_picture = true;
        self.referenced |= header & REF_IDC != 0;
        unit.keyframe |= header & TYPE == IDR;
        unit.discardable = !self.referenced;
        Ok(())
    }

    pub(super) const fn has_picture(&self) -> bool {
        self.has_picture
    }

    pub(super) fn close(&mut self, unit: &Assembly, after_gap: bool) -> Result<(), Damage> {
        self.has_picture = false;
        self.referenced = false;
        // Its sets may have fallen into the gap, and the old ones may not fit.
        if !self.sets.end_unit() && unit.keyframe && after_gap {
            return Err(Damage::Lost);
        }
        self.fragments.check_closed()
    }

    pub(super) fn abandon(&mut self) {
        self.has_picture = false;
        self.referenced = false;
        self.sets.end_unit();
        self.fragments.abandon();
    }

    pub(super) fn take_parameter_sets(&mut self) -> Vec<Bytes> {
        self.sets.take()
    }
}

/// Whether a unit is part of a frame, as [`Frame::data`](sluice_media::Frame::data) has it.
const fn stays(kind: u8) -> bool {
    !matches!(
        kind,
        SPS | PPS | SPS_EXTENSION | SUBSET_SPS | DELIMITER | FILLER
    )
}

/// Whether a slice is the first of its picture; `None` for what is no slice.
fn begins_picture(kind: u8, body: Option<&u8>) -> Option<bool> {
    match kind {
        // `first_mb_in_slice` is 0, and `ue(0)` is the single bit 1.
        SLICE | PARTITION_A | IDR => Some(body.is_some_and(|byte| byte & 0x80 != 0)),
        PARTITION_B | PARTITION_C => Some(false),
        _ => None,
    }
}

const FORBIDDEN: u8 = 0x80;
const REF_IDC: u8 = 0x60;
const TYPE: u8 = 0x1f;
const FU_START: u8 = 0x80;

const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const PARTITION_B: u8 = 3;
const PARTITION_C: u8 = 4;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;
const SUBSET_SPS: u8 = 15;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
