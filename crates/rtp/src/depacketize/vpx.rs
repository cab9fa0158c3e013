//! VP8 (RFC 7741) and VP9 (RFC 9628): the payloads behind the descriptors are the frame, one after another.

use bytes::Bytes;
use sluice_media::Bits;

use super::Damage;
use super::assembly::Assembly;
use super::video::Place;
use crate::payload::{vp8, vp9};

/// Picture ids of consecutive pictures differ by one, modulo 7 or 15 bits.
#[derive(Debug, Clone, Copy, Default)]
struct PictureId {
    open: Option<(u16, u8)>,
    last: Option<(u16, u8)>,
}

impl PictureId {
    fn place(self, id: Option<u16>, bits: u8) -> Place {
        let follows = |(last, last_bits): (u16, u8)| {
            let mask = if bits == 7 { 0x7f } else { 0x7fff };
            last_bits == bits && id == Some(last.wrapping_add(1) & mask)
        };
        if self.last.is_some_and(follows) {
            Place::FirstOfNext
        } else {
            Place::First
        }
    }

    fn open(&mut self, id: Option<u16>, bits: u8) {
        self.open = id.map(|id| (id, bits));
    }

    fn close(&mut self) {
        self.last = self.open.take();
    }
}

#[derive(Debug, Default)]
pub(super) struct Vp8 {
    picture_id: PictureId,
}

impl Vp8 {
    pub(super) fn place(&self, payload: &[u8]) -> Place {
        match vp8::Descriptor::parse(payload) {
            Some((descriptor, _)) if descriptor.starts_frame() => self
                .picture_id
                .place(descriptor.picture_id, descriptor.picture_id_bits),
            Some(_) => Place::Later,
            None => Place::Unknown,
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let (descriptor, frame) = vp8::Descriptor::parse(payload).ok_or(Damage::Malformed)?;
        if unit.is_empty() {
            let tag = frame.first().ok_or(Damage::Malformed)?;
            unit.keyframe = tag & 0x01 == 0;
            unit.discardable = descriptor.discardable && !unit.keyframe;
            self.picture_id
                .open(descriptor.picture_id, descriptor.picture_id_bits);
        }
        unit.push(payload.slice_ref(frame))
    }

    pub(super) fn close(&mut self) {
        self.picture_id.close();
    }

    pub(super) fn abandon(&mut self) {
        self.picture_id = PictureId::default();
    }
}

#[derive(Debug, Default)]
pub(super) struct Vp9 {
    picture_id: PictureId,
    ends: bool,
}

impl Vp9 {
    pub(super) fn place(&self, payload: &[u8]) -> Place {
        match vp9::Descriptor::parse(payload) {
            Some((descriptor, _)) if descriptor.spatial > 0 => Place::Foreign,
            Some((descriptor, _)) if descriptor.begins => self
                .picture_id
                .place(descriptor.picture_id, descriptor.picture_id_bits),
            Some(_) => Place::Later,
            None => Place::Unknown,
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let (descriptor, frame) = vp9::Descriptor::parse(payload).ok_or(Damage::Malformed)?;
        if unit.is_empty() {
            if frame.is_empty() {
                return Err(Damage::Malformed);
            }
            // The frame's own word: senders are known that never set the descriptor's `P`.
            unit.keyframe = is_vp9_keyframe(frame).ok_or(Damage::Malformed)?;
            self.picture_id
                .open(descriptor.picture_id, descriptor.picture_id_bits);
        }
        self.ends = descriptor.ends;
        unit.push(payload.slice_ref(frame))
    }

    /// `E`: a base layer below others ends without a marker.
    pub(super) const fn ends(&self) -> bool {
        self.ends
    }

    pub(super) fn close(&mut self) {
        self.ends = false;
        self.picture_id.close();
    }

    pub(super) fn abandon(&mut self) {
        *self = Self::default();
    }
}

/// `frame_type` of the uncompressed header (VP9 bitstream specification §6.2); `None` when it is no VP9 frame.
fn is_vp9_keyframe(frame: &[u8]) -> Option<bool> {
    let mut bits = Bits::new(frame);
    if bits.number(2)? != 2 {
        return None;
    }
    if bits.number(2)? == 3 {
        bits.skip(1)?;
    }
    let shows_existing = bits.flag()?;
    Some(!shows_existing && !bits.flag()?)
}
