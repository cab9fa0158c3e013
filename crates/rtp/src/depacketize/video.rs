//! Where a video unit begins and ends, and what a loss costs: the same for every format.

use bytes::Bytes;

use super::assembly::Assembly;
use super::av1::Av1;
use super::h264::H264;
use super::h265::H265;
use super::vpx::{Vp8, Vp9};
use super::{AccessUnit, Damage, Depacketized, Packet};

#[derive(Debug)]
pub(super) struct Video {
    format: Format,
    open: Option<Open>,
    /// The packets of this timestamp are passed over: their unit is damaged, or they follow its end.
    passed: Option<u32>,
    /// The timestamp of the unit that a marker ended last.
    closed: Option<u32>,
    markers: Markers,
    chain: Chain,
    /// Packets missing in front of padding, which the next payload has to answer for.
    missing: u64,
}

/// Whether the next unit can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    /// There was no keyframe yet, and nothing has been told of it.
    NotBegun,
    /// All since the last keyframe came out.
    Runs,
    /// Something is missing, and that has been told: only a keyframe goes on.
    Broken,
}

/// What the RTP marker bit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markers {
    Unseen,
    EndUnits,
    /// A picture went on behind one.
    Wrong,
}

#[derive(Debug)]
struct Open {
    timestamp: u32,
    /// What came before it is not known.
    after_gap: bool,
    unit: Assembly,
}

/// The payload formats; see their files.
#[derive(Debug)]
pub(super) enum Format {
    H264(H264),
    H265(H265),
    Vp8(Vp8),
    Vp9(Vp9),
    Av1(Av1),
}

/// Where a packet stands in its access unit, by its payload alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The first packet, or all that is needed of its unit begins with it.
    First,
    /// Surely the first packet of the picture behind the last whole one: no picture was lost between.
    FirstOfNext,
    /// Surely not the first.
    Later,
    /// The payload does not tell.
    Unknown,
    /// Not of a layer that is put together.
    Foreign,
}

impl Video {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            open: None,
            passed: None,
            closed: None,
            markers: Markers::Unseen,
            chain: Chain::NotBegun,
            missing: 0,
        }
    }

    pub(super) const fn awaits_keyframe(&self) -> bool {
        !matches!(self.chain, Chain::Runs)
    }

    pub(super) fn handle_packet(
        &mut self,
        packet: &Packet,
        missing: u64,
        out: &mut Vec<Depacketized>,
    ) {
        self.missing = self.missing.saturating_add(missing);
        if packet.payload.is_empty() {
            return;
        }
        let place = self.format.place(&packet.payload);
        if place == Place::Foreign {
            // What is missing before it may have been anything.
            return;
        }
        let missing = std::mem::take(&mut self.missing);
        let gap = missing > 0;
        // In a new sequence, and after many pictures, an id may follow by chance.
        let follows = place == Place::FirstOfNext && missing <= MAX_MISSING;
        if let Some(open) = &self.open {
            if gap {
                // Whether it lost its middle or its end: it is not whole.
                self.damage(Damage::Lost, out);
            } else if open.timestamp != packet.timestamp || self.format.begins_anew(place) {
                self.close(out);
            }
        } else if gap && !follows && !self.awaits_keyframe() {
            self.damage(Damage::Lost, out);
        }
        if self.open.is_none() && !self.may_begin(packet, place, gap, out) {
            return;
        }
        self.passed = None;
        let open = self.open.get_or_insert_with(|| Open {
            timestamp: packet.timestamp,
            after_gap: gap,
            unit: Assembly::default(),
        });
        if let Err(damage) = self.format.push(&packet.payload, &mut open.unit) {
            self.passed = Some(packet.timestamp);
            self.damage(damage, out);
            return;
        }
        if packet.marker && self.markers == Markers::Unseen {
            self.markers = Markers::EndUnits;
        }
        let ends = (packet.marker && self.markers == Markers::EndUnits) || self.format.ends();
        if ends && self.format.has_picture(&open.unit) {
            self.closed = Some(packet.timestamp);
            self.close(out);
        }
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Depacketized>) {
        // The end of a stream that marks its ends is lost.
        if self.missing > 0 || (self.markers == Markers::EndUnits && self.open.is_some()) {
            self.damage(Damage::Lost, out);
        }
        self.close(out);
    }

    /// Whether a unit may begin with this packet; else its timestamp is passed over.
    fn may_begin(
        &mut self,
        packet: &Packet,
        place: Place,
        gap: bool,
        out: &mut Vec<Depacketized>,
    ) -> bool {
        let begins = matches!(place, Place::First | Place::FirstOfNext);
        if !begins && self.closed == Some(packet.timestamp) && place == Place::Later {
            if !gap {
                self.markers = Markers::Wrong;
                self.damage(Damage::Malformed, out);
            }
            self.passed = Some(packet.timestamp);
            return false;
        }
        let passed = self.passed == Some(packet.timestamp);
        if !begins && (passed || place == Place::Later || gap) {
            self.passed = Some(packet.timestamp);
            self.damage(Damage::Lost, out);
            return false;
        }
        true
    }

    /// The open unit is complete.
    fn close(&mut self, out: &mut Vec<Depacketized>) {
        let Some(open) = self.open.take() else {
            return;
        };
        let Open {
            timestamp,
            after_gap,
            unit,
        } = open;
        let has_picture = self.format.has_picture(&unit);
        if let Err(damage) = self.format.close(&unit, after_gap) {
            self.damage(damage, out);
            return;
        }
        if !has_picture {
            return;
        }
        if self.awaits_keyframe() && !unit.keyframe {
            self.damage(Damage::NoKeyframe, out);
            return;
        }
        if self.format.skips(&unit, self.awaits_keyframe()) {
            return;
        }
        self.chain = Chain::Runs;
        out.push(Depacketized::Unit(AccessUnit {
            timestamp,
            keyframe: unit.keyframe,
            discardable: unit.discardable,
            parameter_sets: self.format.take_parameter_sets(),
            data: unit.into_data(),
        }));
    }

    /// The open unit is dropped, and nothing comes out before a keyframe.
    fn damage(&mut self, damage: Damage, out: &mut Vec<Depacketized>) {
        if let Some(open) = self.open.take() {
            self.passed = Some(open.timestamp);
        }
        self.format.abandon();
        let damage = match (self.chain, damage) {
            (Chain::NotBegun, Damage::Lost) => Damage::NoKeyframe,
            _ => damage,
        };
        if self.chain != Chain::Broken {
            self.chain = Chain::Broken;
            out.push(Depacketized::Damaged(damage));
        }
    }
}

impl Format {
    fn place(&self, payload: &[u8]) -> Place {
        match self {
            Self::H264(_) => H264::place(payload),
            Self::H265(_) => H265::place(payload),
            Self::Vp8(format) => format.place(payload),
            Self::Vp9(format) => format.place(payload),
            Self::Av1(_) => Av1::place(payload),
        }
    }

    fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        match self {
            Self::H264(format) => format.push(payload, unit),
            Self::H265(format) => format.push(payload, unit),
            Self::Vp8(format) => format.push(payload, unit),
            Self::Vp9(format) => format.push(payload, unit),
            Self::Av1(format) => format.push(payload, unit),
        }
    }

    /// A second picture begins under the timestamp of the first: VP8 and VP9 say where a picture begins.
    const fn begins_anew(&self, place: Place) -> bool {
        matches!(self, Self::Vp8(_) | Self::Vp9(_))
            && matches!(place, Place::First | Place::FirstOfNext)
    }

    /// The packet pushed last says that the unit ends with it, whatever the marker.
    const fn ends(&self) -> bool {
        matches!(self, Self::Vp9(format) if format.ends())
    }

    /// There is more than parameter sets and delimiters.
    fn has_picture(&self, unit: &Assembly) -> bool {
        match self {
            Self::H264(format) => format.has_picture(),
            Self::H265(format) => format.has_picture(),
            Self::Av1(format) => format.has_picture(),
            Self::Vp8(_) | Self::Vp9(_) => !unit.is_empty(),
        }
    }

    /// The unit is complete; an error when a fragment in it is not.
    fn close(&mut self, unit: &Assembly, after_gap: bool) -> Result<(), Damage> {
        match self {
            Self::H264(format) => format.close(unit, after_gap),
            Self::H265(format) => format.close(unit, after_gap),
            Self::Av1(format) => format.close(),
            Self::Vp8(format) => {
                format.close();
                Ok(())
            }
            Self::Vp9(format) => {
                format.close();
                Ok(())
            }
        }
    }

    /// The unit is not to be decoded after a start at the keyframe before it; `starts` when it is the start itself.
    fn skips(&mut self, unit: &Assembly, starts: bool) -> bool {
        match self {
            Self::H265(format) => format.skips(unit, starts),
            _ => false,
        }
    }

    /// The unit is dropped.
    fn abandon(&mut self) {
        match self {
            Self::H264(format) => format.abandon(),
            Self::H265(format) => format.abandon(),
            Self::Vp8(format) => format.abandon(),
            Self::Vp9(format) => format.abandon(),
            Self::Av1(format) => format.abandon(),
        }
    }

    fn take_parameter_sets(&mut self) -> Vec<Bytes> {
        match self {
            Self::H264(format) => format.take_parameter_sets(),
            Self::H265(format) => format.take_parameter_sets(),
            Self::Vp8(_) | Self::Vp9(_) | Self::Av1(_) => Vec::new(),
        }
    }
}

/// Packets that padding or upper layers may have had.
const MAX_MISSING: u64 = 64;
