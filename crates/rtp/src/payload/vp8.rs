//! VP8 (RFC 7741).

use super::PayloadInfo;
use super::descriptor::{Edit, Reader};
use crate::PictureIds;

pub(super) fn inspect(payload: &[u8]) -> Option<PayloadInfo> {
    let (descriptor, frame) = Descriptor::parse(payload)?;
    let starts_frame = descriptor.starts_frame();
    let keyframe = starts_frame && frame.first().is_some_and(|tag| tag & 0x01 == 0);
    Some(PayloadInfo {
        starts_frame,
        starts_keyframe: keyframe,
        keyframe,
        temporal: descriptor.temporal,
        switching_point: descriptor.switching_point,
        discardable: descriptor.discardable,
        picture_id: descriptor.picture_id,
        picture_id_bits: descriptor.picture_id_bits,
        tl0_picture_index: descriptor.tl0_picture_index,
        key_index: descriptor.key_index,
        resolution: if keyframe { resolution(frame) } else { None },
        ..PayloadInfo::default()
    })
}

/// Appends the payload to `out` with those of its picture numbers replaced that `ids` names.
///
/// `false`, and `out` as it was, when the payload is malformed, lacks a field that `ids` names, or a number does not
/// fit its field: a 7-bit picture id is not widened, that would move the frame.
pub fn patch(payload: &[u8], ids: PictureIds, out: &mut Vec<u8>) -> bool {
    let Some((descriptor, _)) = Descriptor::parse(payload) else {
        return false;
    };
    let mut edit = Edit::begin(payload, out);
    let fits = edit.picture_id(
        descriptor.at_picture_id,
        descriptor.picture_id_bits,
        ids.picture_id,
    ) && edit.low_bits(descriptor.at_tl0, 0xff, ids.tl0_picture_index)
        && edit.low_bits(descriptor.at_key_index, 0x1f, ids.key_index);
    edit.end(fits)
}

#[derive(Debug, Default)]
pub(crate) struct Descriptor {
    starts_partition: bool,
    partition: u8,
    pub(crate) discardable: bool,
    temporal: u8,
    switching_point: bool,
    pub(crate) picture_id: Option<u16>,
    pub(crate) picture_id_bits: u8,
    tl0_picture_index: Option<u8>,
    key_index: Option<u8>,
    at_picture_id: Option<usize>,
    at_tl0: Option<usize>,
    at_key_index: Option<usize>,
}

impl Descriptor {
    /// The descriptor of RFC 7741 §4.2 and what follows it.
    pub(crate) fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(payload);
        let first = reader.byte()?;
        let mut this = Self {
            starts_partition: first & 0x10 != 0,
            partition: first & 0x07,
            discardable: first & 0x20 != 0,
            ..Self::default()
        };
        if first & 0x80 == 0 {
            return Some((this, reader.rest()));
        }
        let extensions = reader.byte()?;
        if extensions & 0x80 != 0 {
            this.at_picture_id = Some(reader.at());
            let (picture_id, bits) = reader.picture_id()?;
            this.picture_id = Some(picture_id);
            this.picture_id_bits = bits;
        }
        if extensions & 0x40 != 0 {
            this.at_tl0 = Some(reader.at());
            this.tl0_picture_index = Some(reader.byte()?);
        }
        if extensions & 0x30 != 0 {
            let at = reader.at();
            let layers = reader.byte()?;
            if extensions & 0x20 != 0 {
                this.temporal = layers >> 6;
                this.switching_point = layers & 0x20 != 0;
            }
            if extensions & 0x10 != 0 {
                this.at_key_index = Some(at);
                this.key_index = Some(layers & 0x1f);
            }
        }
        Some((this, reader.rest()))
    }

    /// The first packet of a frame.
    pub(crate) const fn starts_frame(&self) -> bool {
        self.starts_partition && self.partition == 0
    }
}

/// Width and height of a key frame's header (RFC 6386 §9.1); the upper two bits of each are a scale for display.
fn resolution(frame: &[u8]) -> Option<(u16, u16)> {
    let [
        _,
        _,
        _,
        0x9d,
        0x01,
        0x2a,
        width_low,
        width_high,
        height_low,
        height_high,
        ..,
    ] = *frame
    else {
        return None;
    };
    let size = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
    Some((size(width_low, width_high), size(height_low, height_high)))
}
