//! AV1 (AOM "RTP Payload Format for AV1" 1.0): OBU elements, whole or in fragments, become OBUs with size fields.

use bytes::{Bytes, BytesMut};

use super::Damage;
use super::assembly::Assembly;
use super::video::Place;
use crate::obu::{
    FRAME, FRAME_HEADER, ObuHeader, SEQUENCE_HEADER, TEMPORAL_DELIMITER, TILE_LIST, read_leb128,
    write_leb128,
};

#[derive(Debug, Default)]
pub(super) struct Av1 {
    /// The fragments so far of an OBU that goes on in the next packet.
    fragment: Option<BytesMut>,
    has_sequence: bool,
    has_picture: bool,
}

impl Av1 {
    pub(super) fn place(payload: &[u8]) -> Place {
        let Some(&header) = payload.first() else {
            return Place::Unknown;
        };
        if header & CONTINUES != 0 {
            return Place::Later;
        }
        // Senders are known that never set `N`; a temporal delimiter or a sequence header comes first anyway.
        let counted_one = header & 0x30 == 0x10;
        let elements = payload.get(1..).unwrap_or_default();
        let prefix = match read_leb128(elements) {
            Some((_, prefix)) if !counted_one => prefix,
            _ => 0,
        };
        let kind = elements.get(prefix).map(|first| first >> 3 & 0x0f);
        if header & STARTS_SEQUENCE != 0
            || matches!(kind, Some(SEQUENCE_HEADER | TEMPORAL_DELIMITER))
        {
            Place::First
        } else {
            Place::Unknown
        }
    }

    pub(super) fn push(&mut self, payload: &Bytes, unit: &mut Assembly) -> Result<(), Damage> {
        let header = *payload.first().ok_or(Damage::Malformed)?;
        let mut continues = header & CONTINUES != 0;
        if continues != self.fragment.is_some() {
            return Err(Damage::Malformed);
        }
        let mut elements = Elements {
            rest: payload.slice(1..),
            count: header >> 4 & 0x03,
            taken: 0,
        };
        while let Some(element) = elements.next()? {
            let goes_on = header & GOES_ON != 0 && elements.is_done();
            if continues || goes_on {
                let held = self.fragment.as_ref().map_or(0, BytesMut::len);
                unit.check(held.saturating_add(element.len()))?;
                let fragment = self.fragment.get_or_insert_default();
                fragment.extend_from_slice(&element);
                if !goes_on && let Some(whole) = self.fragment.take() {
                    self.obu(&whole, unit)?;
                }
            } else {
                self.obu(&element, unit)?;
            }
            continues = false;
        }
        Ok(())
    }

    fn obu(&mut self, element: &[u8], unit: &mut Assembly) -> Result<(), Damage> {
        let header = ObuHeader::parse(element).ok_or(Damage::Malformed)?;
        let rest = element.get(header.prefix..).ok_or(Damage::Malformed)?;
        let body = match header.payload {
            Some(size) => rest.get(..size).ok_or(Damage::Malformed)?,
            None => rest,
        };
        match header.kind {
            TEMPORAL_DELIMITER | TILE_LIST => return Ok(()),
            SEQUENCE_HEADER => self.has_sequence = true,
            FRAME | FRAME_HEADER => {
                // `show_existing_frame` 0, `frame_type` KEY_FRAME, `show_frame` 1 (AV1 §5.9.2).
                let key = body.first().is_some_and(|byte| byte & 0xf0 == 0x10);
                unit.keyframe |= key && self.has_sequence && !self.has_picture;
                self.has_picture = true;
            }
            _ => {}
        }
        // The longest size field of a unit below its bound is four bytes.
        unit.check(body.len().saturating_add(6))?;
        let out = unit.writable();
        let [first, extension] = header.bytes;
        out.extend_from_slice(&[first | HAS_SIZE]);
        if header.length == 2 {
            out.extend_from_slice(&[extension]);
        }
        write_leb128(body.len(), out);
        out.extend_from_slice(body);
        Ok(())
    }

    pub(super) const fn has_picture(&self) -> bool {
        self.has_picture || self.fragment.is_some()
    }

    pub(super) fn close(&mut self) -> Result<(), Damage> {
        let whole = self.fragment.is_none();
        self.abandon();
        if whole {
            Ok(())
        } else {
            Err(Damage::Malformed)
        }
    }

    pub(super) fn abandon(&mut self) {
        *self = Self::default();
    }
}

/// The OBU elements of a packet (§4.3): each with its length in front, but for the last when they are counted.
struct Elements {
    rest: Bytes,
    count: u8,
    taken: u8,
}

impl Elements {
    fn is_done(&self) -> bool {
        if self.count == 0 {
            self.rest.is_empty()
        } else {
            self.taken >= self.count
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>, Damage> {
        if self.is_done() {
            return Ok(None);
        }
        self.taken = self.taken.saturating_add(1);
        if self.count != 0 && self.taken == self.count {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        let (length, prefix) = read_leb128(&self.rest).ok_or(Damage::Malformed)?;
        let end = prefix.checked_add(length).ok_or(Damage::Malformed)?;
        if end > self.rest.len() {
            return Err(Damage::Malformed);
        }
        let mut element = self.rest.split_to(end);
        drop(element.split_to(prefix));
        Ok(Some(element))
    }
}

const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;
const STARTS_SEQUENCE: u8 = 0x08;
const HAS_SIZE: u8 = 0x02;
