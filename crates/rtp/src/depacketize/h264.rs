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
    /// This sender puts parameter sets into the stream, so a keyframe begins with them.
    sends_sets: bool,
}

impl H264 {
    pub(super) fn place(&self, payload: &[u8]) -> Place {
        let first = match payload {
            [header, first, ..] if header & TYPE == FU_A && first & FU_START == 0 => {
                return Place::Later;
            }
            [header, fragment, rest @ ..] if header & TYPE == FU_A => {
                (fragment & TYPE, rest.first().copied())
            }
            [header, _, _, unit, rest @ ..] if header & TYPE == STAP_A => {
                (unit & TYPE, rest.first().copied())
            }
            [header, rest @ ..] => (header & TYPE, rest.first().copied()),
            [] => return Place::Unknown,
        };
        match first {
            (SPS | DELIMITER, _) => Place::First,
            // `first_mb_in_slice` is 0, and `ue(0)` is the single bit 1.
            (IDR, Some(byte)) if byte & 0x80 != 0 && !self.sends_sets => Place::First,
            (SLICE | PARTITION_A | IDR, Some(byte)) if byte & 0x80 == 0 => Place::Later,
            (PARTITION_B | PARTITION_C, _) => Place::Later,
            _ => Place::Unknown,
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
                self.fragments.push(&[header], fragment, body, unit)?;
                self.note(header, unit);
                Ok(())
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
        let Some(&header) = nal.first() else {
            return Err(Damage::Malformed);
        };
        match header & TYPE {
            kind @ (SPS | PPS | SPS_EXTENSION | SUBSET_SPS) => {
                self.sends_sets = true;
                self.sets.push(nal, kind == SPS);
                Ok(())
            }
            DELIMITER | FILLER => Ok(()),
            1..STAP_A => {
                unit.push_nal([&nal, &[]])?;
                self.note(header, unit);
                Ok(())
            }
            _ => Err(Damage::Malformed),
        }
    }

    fn note(&mut self, header: u8, unit: &mut Assembly) {
        if (SLICE..=IDR).contains(&(header & TYPE)) {
            self.has_picture = true;
            self.referenced |= header & REF_IDC != 0;
            unit.keyframe |= header & TYPE == IDR;
            unit.discardable = !self.referenced;
        }
    }

    pub(super) const fn has_picture(&self) -> bool {
        self.has_picture
    }

    pub(super) fn close(&mut self) -> Result<(), Damage> {
        self.has_picture = false;
        self.referenced = false;
        self.sets.age();
        self.fragments.check_closed()
    }

    pub(super) fn abandon(&mut self) {
        self.has_picture = false;
        self.referenced = false;
        self.sets.age();
        self.fragments.abandon();
    }

    pub(super) fn take_parameter_sets(&mut self) -> Vec<Bytes> {
        self.sets.take()
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
