//! Which slice begins a picture (H.264 §7.4.1.2.4).

use std::collections::BTreeMap;

use super::sps::{PictureOrder, SliceSyntax};
use super::{H264Sps, IDR, PARTITION_A, PPS, REF_IDC, SLICE, SPS, kind};
use crate::Bits;

/// Tells where access units begin in a sequence of NAL units, which it must see whole.
///
/// Keeps what 32 sequence and 256 picture parameter sets say of slice headers, a few bytes each.
#[derive(Debug, Default)]
pub(crate) struct PictureStart {
    sequences: BTreeMap<u8, SliceSyntax>,
    /// The sequence set, and `bottom_field_pic_order_in_frame_present_flag`.
    pictures: BTreeMap<u8, (u8, bool)>,
    last: Option<Slice>,
}

impl PictureStart {
    /// Whether this unit begins an access unit, given that the one before has its picture.
    pub(crate) fn begins_access_unit(&mut self, unit: &[u8]) -> bool {
        let Some((&header, body)) = unit.split_first() else {
            return false;
        };
        match kind(header) {
            SLICE | PARTITION_A | IDR => self.begins_picture(header, body),
            SPS => {
                if let Some(sps) = H264Sps::parse(body) {
                    self.sequences.insert(sps.id, sps.slices);
                }
                true
            }
            PPS => {
                self.add_picture_set(body);
                true
            }
            // SEI, delimiter, and 14 to 18: prefix, subset SPS, depth parameter set, reserved (§7.4.1.2.3).
            6 | 9 | 14..=18 => true,
            _ => false,
        }
    }

    fn begins_picture(&mut self, header: u8, body: &[u8]) -> bool {
        let slice = self.read_slice(header, body);
        let begins = match (slice, self.last) {
            (Some(slice), Some(last)) => slice != last,
            // Without its parameter sets only `first_mb_in_slice` can be read; `ue(0)` is the single bit 1.
            _ => body.first().is_some_and(|byte| byte & 0x80 != 0),
        };
        self.last = slice;
        begins
    }

    /// §7.3.2.2, as far as it matters here.
    fn add_picture_set(&mut self, body: &[u8]) -> Option<()> {
        let mut bits = Bits::of_nal(body);
        let id = u8::try_from(bits.unsigned_golomb()?).ok()?;
        let sequence = u8::try_from(bits.unsigned_golomb()?)
            .ok()
            .filter(|id| *id < 32)?;
        bits.skip(1)?; // entropy_coding_mode_flag
        self.pictures.insert(id, (sequence, bits.flag()?));
        Some(())
    }

    /// §7.3.3.
    fn read_slice(&self, header: u8, body: &[u8]) -> Option<Slice> {
        let mut bits = Bits::of_nal(body);
        bits.unsigned_golomb()?; // first_mb_in_slice
        bits.unsigned_golomb()?; // slice_type
        let picture_set = u8::try_from(bits.unsigned_golomb()?).ok()?;
        let (sequence, tells_bottom) = *self.pictures.get(&picture_set)?;
        let syntax = self.sequences.get(&sequence)?;
        if syntax.separate_planes {
            bits.skip(2)?; // colour_plane_id
        }
        let frame_num = bits.number(syntax.frame_num_bits)?;
        let field = !syntax.frames_only && bits.flag()?;
        let bottom = field && bits.flag()?;
        let idr = kind(header) == IDR;
        let idr_id = if idr { bits.unsigned_golomb()? } else { 0 };
        let tells_bottom = tells_bottom && !field;
        let order = match syntax.order {
            PictureOrder::Counted { lsb_bits } => {
                let lsb = bits.number(lsb_bits)?;
                let bottom = if tells_bottom {
                    bits.signed_golomb()?
                } else {
                    0
                };
                (lsb, [0, bottom])
            }
            PictureOrder::Cycle { always_zero: false } => {
                let first = bits.signed_golomb()?;
                let second = if tells_bottom {
                    bits.signed_golomb()?
                } else {
                    0
                };
                (0, [first, second])
            }
            PictureOrder::Cycle { always_zero: true } | PictureOrder::Decoding => (0, [0, 0]),
        };
        Some(Slice {
            picture_set,
            frame_num,
            field,
            bottom,
            reference: header & REF_IDC != 0,
            idr,
            idr_id,
            order,
        })
    }
}

/// What all slices of a primary coded picture have in common, and of the next picture something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the syntax")]
struct Slice {
    picture_set: u8,
    frame_num: u32,
    field: bool,
    bottom: bool,
    reference: bool,
    idr: bool,
    idr_id: u32,
    order: (u32, [i32; 2]),
}
