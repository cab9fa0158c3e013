//! AV1 (AOM "RTP Payload Format for AV1" 1.0 §4): OBUs without size fields, fragmented and put together.

use bytes::{Bytes, BytesMut};
use sluice_media::Frame;

use super::rtp_payload::Head;
use super::{PacketizeError, RtpPayload};
use crate::obu::{ObuHeader, TEMPORAL_DELIMITER, TILE_LIST, leb128_bytes, write_leb128};

pub(super) fn packetize(
    frame: &Frame,
    budget: usize,
    out: &mut Vec<RtpPayload>,
) -> Result<(), PacketizeError> {
    let before = out.len();
    let mut packet = Packet::new(frame.keyframe);
    let mut rest = frame.data.clone();
    while !rest.is_empty() {
        let at = frame.data.len().saturating_sub(rest.len());
        let obu = split_obu(&mut rest).ok_or(PacketizeError::Malformed { at })?;
        // §5: both are not to be sent.
        if matches!(obu.kind, TEMPORAL_DELIMITER | TILE_LIST) {
            continue;
        }
        let mut element = obu.element;
        loop {
            let room = packet.room(budget);
            if element.size() <= room {
                packet.elements.push(element);
                break;
            }
            if room >= MIN_FRAGMENT {
                packet.elements.push(element.split_to(room));
                out.push(packet.close(true));
                packet = Packet {
                    continues: true,
                    ..Packet::new(false)
                };
            } else {
                out.push(packet.close(false));
                packet = Packet::new(false);
            }
        }
        if packet.elements.len() == MAX_ELEMENTS {
            out.push(packet.close(false));
            packet = Packet::new(false);
        }
    }
    if !packet.elements.is_empty() {
        out.push(packet.close(false));
    }
    if out.len() == before {
        return Err(PacketizeError::Empty);
    }
    if let Some(last) = out.pop() {
        out.push(last.with_marker(true));
    }
    Ok(())
}

struct Obu {
    kind: u8,
    element: Element,
}

/// An OBU or a piece of one: its header as RTP wants it, then bytes of the frame.
#[derive(Debug)]
struct Element {
    header: Head,
    body: Bytes,
}

impl Element {
    fn size(&self) -> usize {
        self.header.size().saturating_add(self.body.len())
    }

    /// The first `size` bytes; the header goes with them, and `size` is above its length.
    fn split_to(&mut self, size: usize) -> Self {
        let body = size.saturating_sub(self.header.size()).min(self.body.len());
        Self {
            header: std::mem::take(&mut self.header),
            body: self.body.split_to(body),
        }
    }
}

fn split_obu(rest: &mut Bytes) -> Option<Obu> {
    let header = ObuHeader::parse(rest)?;
    let end = header.prefix.checked_add(header.payload?)?;
    if end > rest.len() {
        return None;
    }
    let mut body = rest.split_to(end);
    drop(body.split_to(header.prefix));
    Some(Obu {
        kind: header.kind,
        element: Element {
            header: Head::of(header.without_size()),
            body,
        },
    })
}

struct Packet {
    starts_sequence: bool,
    continues: bool,
    elements: Vec<Element>,
}

impl Packet {
    const fn new(starts_sequence: bool) -> Self {
        Self {
            starts_sequence,
            continues: false,
            elements: Vec::new(),
        }
    }

    /// Bytes that one more element may have, when it is the last: those before it then need a length each.
    fn room(&self, budget: usize) -> usize {
        let before: usize = self
            .elements
            .iter()
            .map(|element| element.size().saturating_add(leb128_bytes(element.size())))
            .sum();
        budget.saturating_sub(1).saturating_sub(before)
    }

    /// The aggregation header of §4.4: Z, Y, W and N.
    fn close(self, goes_on: bool) -> RtpPayload {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let count = u8::try_from(self.elements.len()).unwrap_or_default() & 0x03;
        let mut head = Head::of(&[flag(self.continues, 0x80)
            | flag(goes_on, 0x40)
            | count << 4
            | flag(self.starts_sequence, 0x08)]);
        if let [only] = self.elements.as_slice() {
            head.push(only.header.bytes());
            return RtpPayload::new(head, only.body.clone());
        }
        let mut body = BytesMut::new();
        for (index, element) in self.elements.iter().enumerate() {
            if index.saturating_add(1) < self.elements.len() {
                write_leb128(element.size(), &mut body);
            }
            body.extend_from_slice(element.header.bytes());
            body.extend_from_slice(&element.body);
        }
        RtpPayload::new(head, body.freeze())
    }
}

/// `W` has two bits, and 0 would ask for a length in front of the last element too.
const MAX_ELEMENTS: usize = 3;
/// A shorter rest of a packet is not worth the cut.
const MIN_FRAGMENT: usize = 16;
