//! VP9 (RFC 9628).

use super::PayloadInfo;
use super::descriptor::{Edit, Reader};
use sluice_media::Bits;

pub(super) fn inspect(payload: &[u8]) -> Option<PayloadInfo> {
    let (descriptor, frame) = Descriptor::parse(payload)?;
    let keyframe = !descriptor.predicted;
    let starts_keyframe = keyframe && descriptor.begins && descriptor.spatial == 0;
    let in_header = || starts_keyframe.then(|| key_frame_size(frame)).flatten();
    Some(PayloadInfo {
        starts_frame: descriptor.begins,
        starts_keyframe,
        keyframe,
        ends_frame: Some(descriptor.ends),
        spatial: descriptor.spatial,
        temporal: descriptor.temporal,
        switching_point: descriptor.switching_point,
        picture_id: descriptor.picture_id,
        picture_id_bits: descriptor.picture_id_bits,
        tl0_picture_index: descriptor.tl0_picture_index,
        resolution: descriptor.resolution.or_else(in_header),
        ..PayloadInfo::default()
    })
}

/// Appends the payload to `out` with its picture id replaced, and its `TL0PICIDX` when `tl0` is given.
///
/// `false`, and `out` as it was, when the payload is malformed or lacks the field, or when the id does not fit: a
/// 7-bit picture id is not widened, that would move the frame.
pub fn patch_picture_id(
    payload: &[u8],
    picture_id: u16,
    tl0: Option<u8>,
    out: &mut Vec<u8>,
) -> bool {
    let Some((descriptor, _)) = Descriptor::parse(payload) else {
        return false;
    };
    let mut edit = Edit::begin(payload, out);
    let bits = descriptor.picture_id_bits;
    // The picture id is always right behind the first byte.
    let at = descriptor.picture_id.map(|_| 1);
    let fits =
        edit.picture_id(at, bits, Some(picture_id)) && edit.low_bits(descriptor.at_tl0, 0xff, tl0);
    edit.end(fits)
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the bits of the wire format")]
pub(crate) struct Descriptor {
    predicted: bool,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    pub(crate) spatial: u8,
    temporal: u8,
    switching_point: bool,
    pub(crate) picture_id: Option<u16>,
    pub(crate) picture_id_bits: u8,
    tl0_picture_index: Option<u8>,
    at_tl0: Option<usize>,
    resolution: Option<(u16, u16)>,
}

impl Descriptor {
    /// The descriptor of RFC 9628 §4.2 and what follows it.
    pub(crate) fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(payload);
        let first = reader.byte()?;
        let flexible = first & 0x10 != 0;
        let mut this = Self {
            predicted: first & 0x40 != 0,
            begins: first & 0x08 != 0,
            ends: first & 0x04 != 0,
            ..Self::default()
        };
        if first & 0x80 != 0 {
            let (picture_id, bits) = reader.picture_id()?;
            this.picture_id = Some(picture_id);
            this.picture_id_bits = bits;
        }
        if first & 0x20 != 0 {
            let layers = reader.byte()?;
            this.temporal = layers >> 5;
            this.switching_point = layers & 0x10 != 0;
            this.spatial = layers >> 1 & 0x07;
            if !flexible {
                this.at_tl0 = Some(reader.at());
                this.tl0_picture_index = Some(reader.byte()?);
            }
        }
        if flexible && this.predicted {
            skip_references(&mut reader)?;
        }
        if first & 0x02 != 0 {
            this.scalability_structure(&mut reader)?;
        }
        Some((this, reader.rest()))
    }

    /// Takes the size that the scalability structure (RFC 9628 §4.2.1) gives for the packet's own layer.
    fn scalability_structure(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let head = reader.byte()?;
        if head & 0x10 != 0 {
            for layer in 0..=head >> 5 {
                let size = (reader.number()?, reader.number()?);
                if layer == self.spatial {
                    self.resolution = Some(size);
                }
            }
        }
        if head & 0x08 != 0 {
            for _ in 0..reader.byte()? {
                let references = reader.byte()? >> 2 & 0x03;
                reader.take(usize::from(references))?;
            }
        }
        Some(())
    }
}

/// At most three `P_DIFF`, each of which says whether another follows.
fn skip_references(reader: &mut Reader<'_>) -> Option<()> {
    for _ in 0..3 {
        if reader.byte()? & 0x01 == 0 {
            break;
        }
    }
    Some(())
}

/// The size in a key frame's own header (VP9 bitstream specification §7.2), for senders without a structure.
///
/// Asks for the sync code: under end-to-end encryption these bytes are anything.
pub(crate) fn key_frame_size(frame: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(frame);
    let marker = bits.number(2)?;
    let profile = u8::from(bits.flag()?) | u8::from(bits.flag()?) << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    // show_existing_frame, frame_type, show_frame, error_resilient_mode
    let flags = bits.number(4)?;
    if marker != 2 || flags & 0b1100 != 0 || bits.number(24)? != 0x49_83_42 {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?; // ten_or_twelve_bit
    }
    let rgb = bits.number(3)? == 7;
    // Profiles 1 and 3 tell the subsampling, RGB has no range.
    bits.skip(match (rgb, profile & 1) {
        (false, 0) => 1,
        (false, _) => 4,
        (true, 0) => 0,
        (true, _) => 1,
    })?;
    let mut size = || u16::try_from(bits.number(16)?.checked_add(1)?).ok();
    Some((size()?, size()?))
}
