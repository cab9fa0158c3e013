//! VP8 (RFC 7741) and VP9 (RFC 9628): a descriptor with a picture id in front of each piece of the frame.

use sluice_media::Frame;

use super::rtp_payload::Head;
use super::{RtpPayload, pieces};
use crate::payload::vp9;

#[derive(Debug, Clone)]
pub(super) struct Vp8 {
    picture_id: u16,
    temporal_layers: bool,
    tl0_picture_index: u8,
}

impl Vp8 {
    pub(super) const fn new(first_id: u16, temporal_layers: bool) -> Self {
        Self {
            picture_id: first_id & PICTURE_ID,
            temporal_layers,
            tl0_picture_index: 0,
        }
    }

    pub(super) fn packetize(&mut self, frame: &Frame, budget: usize, out: &mut Vec<RtpPayload>) {
        let upper = frame.discardable && !frame.keyframe;
        if self.temporal_layers && !upper {
            self.tl0_picture_index = self.tl0_picture_index.wrapping_add(1);
        }
        let [id_high, id_low] = self.picture_id.to_be_bytes();
        let discardable = if upper { 0x20 } else { 0 };
        let descriptor = |start: u8| {
            if self.temporal_layers {
                // I, L and T; `Y` since a discardable frame refers to layer 0 only.
                let layer = if upper { 0x60 } else { 0 };
                Head::of(&[
                    0x80 | discardable | start,
                    0xe0,
                    0x80 | id_high,
                    id_low,
                    self.tl0_picture_index,
                    layer,
                ])
            } else {
                Head::of(&[0x80 | discardable | start, 0x80, 0x80 | id_high, id_low])
            }
        };
        push_pieces(frame, budget, out, |first, _| {
            descriptor(if first { 0x10 } else { 0 })
        });
        self.picture_id = self.picture_id.wrapping_add(1) & PICTURE_ID;
    }
}

#[derive(Debug, Clone)]
pub(super) struct Vp9 {
    picture_id: u16,
    tl0_picture_index: u8,
}

impl Vp9 {
    pub(super) const fn new(first_id: u16) -> Self {
        Self {
            picture_id: first_id & PICTURE_ID,
            tl0_picture_index: 0,
        }
    }

    pub(super) fn packetize(&mut self, frame: &Frame, budget: usize, out: &mut Vec<RtpPayload>) {
        self.tl0_picture_index = self.tl0_picture_index.wrapping_add(1);
        let [id_high, id_low] = self.picture_id.to_be_bytes();
        let tl0 = self.tl0_picture_index;
        let predicted = if frame.keyframe { 0 } else { 0x40 };
        let structure = frame.keyframe.then(|| structure(&frame.data));
        push_pieces(frame, budget, out, |first, last| {
            let structure = structure.filter(|_| first);
            let begin = if first { 0x08 } else { 0 };
            let end = if last { 0x04 } else { 0 };
            let described = if structure.is_some() { 0x02 } else { 0 };
            // I and L; layer 0 of both kinds.
            let mut head = Head::of(&[
                0xa0 | predicted | begin | end | described,
                0x80 | id_high,
                id_low,
                0,
                tl0,
            ]);
            if let Some((bytes, length)) = structure {
                head.push(bytes.get(..length).unwrap_or_default());
            }
            head
        });
        self.picture_id = self.picture_id.wrapping_add(1) & PICTURE_ID;
    }
}

/// The scalability structure (RFC 9628 §4.2.1) of one layer: its size, and a picture group of one that refers to the
/// picture before it.
fn structure(data: &[u8]) -> ([u8; 8], usize) {
    let group = [1, 0x04, 1];
    match vp9::key_frame_size(data) {
        Some((width, height)) => {
            let ([w0, w1], [h0, h1]) = (width.to_be_bytes(), height.to_be_bytes());
            ([0x18, w0, w1, h0, h1, group[0], group[1], group[2]], 8)
        }
        None => ([0x08, group[0], group[1], group[2], 0, 0, 0, 0], 4),
    }
}

/// `head` is told whether the piece is the first and the last; the first is assumed to have the longest.
fn push_pieces(
    frame: &Frame,
    budget: usize,
    out: &mut Vec<RtpPayload>,
    mut head: impl FnMut(bool, bool) -> Head,
) {
    let room = budget.saturating_sub(head(true, false).size());
    let mut left = frame.data.len();
    for piece in pieces(&frame.data, room) {
        let first = left == frame.data.len();
        left = left.saturating_sub(piece.len());
        let last = left == 0;
        out.push(RtpPayload::new(head(first, last), piece).with_marker(last));
    }
}

const PICTURE_ID: u16 = 0x7fff;
