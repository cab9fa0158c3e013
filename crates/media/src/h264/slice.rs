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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bit_writer::BitWriter;

    /// Sets of interlaced video in the order of `order` (0 counted, 1 in a cycle, 2 as decoded).
    fn starts(order: u32) -> PictureStart {
        let mut sps = BitWriter::default();
        sps.numbers(&[(77, 8), (0, 8), (40, 8)]);
        sps.golomb(0); // seq_parameter_set_id
        sps.golomb(0); // frame_num of four bits
        sps.golomb(order);
        match order {
            0 => sps.golomb(0), // lsb of four bits
            1 => {
                sps.number(0, 1); // delta_pic_order_always_zero_flag
                sps.golombs(&[0, 0, 0]);
            }
            _ => {}
        }
        sps.golomb(1); // max_num_ref_frames
        sps.number(0, 1);
        sps.golomb(10);
        sps.golomb(8);
        sps.numbers(&[(0, 1), (0, 1), (1, 1), (0, 2)]); // fields too, nothing cropped, no usability information
        let mut pps = BitWriter::default();
        pps.golomb(0); // pic_parameter_set_id
        pps.golomb(0); // seq_parameter_set_id
        pps.numbers(&[(0, 1), (1, 1)]); // bottom_field_pic_order_in_frame_present_flag
        let mut starts = PictureStart::default();
        assert!(starts.begins_access_unit(&sps.into_nal(&[0x67])));
        assert!(starts.begins_access_unit(&pps.into_nal(&[0x68])));
        assert_eq!((starts.sequences.len(), starts.pictures.len()), (1, 1));
        starts
    }

    /// A slice from its `first_mb_in_slice` on, and what follows `frame_num`.
    fn slice(header: u8, first: u32, frame_num: u32, rest: &[(u32, u32)]) -> Vec<u8> {
        let mut out = BitWriter::default();
        out.golomb(first);
        out.golomb(7); // slice_type
        out.golomb(0); // pic_parameter_set_id
        out.number(frame_num, 4);
        out.numbers(rest);
        out.into_nal(&[header])
    }

    #[test]
    fn a_picture_begins_where_something_of_its_slices_differs() {
        // Behind frame_num: field_pic_flag, bottom_field_flag; ue(0) for idr_pic_id; lsb of four bits; se(0).
        let field = |bottom, lsb| vec![(1, 1), (bottom, 1), (lsb, 4)];
        let frame = |lsb, delta| vec![(0, 1), (lsb, 4), delta];
        let (none, one) = ((1, 1), (0b010, 3));
        let idr = |id| vec![(0, 1), id, (0, 4), (1, 1)];
        let mut starts = starts(0);
        for (name, unit, begins) in [
            ("IDR", slice(0x65, 0, 0, &idr((1, 1))), true),
            ("its second slice", slice(0x65, 5, 0, &idr((1, 1))), false),
            (
                "slices in any order",
                slice(0x65, 2, 0, &idr((1, 1))),
                false,
            ),
            ("another IDR", slice(0x65, 0, 0, &idr((0b010, 3))), true),
            ("not IDR", slice(0x61, 0, 0, &frame(0, none)), true),
            ("frame_num", slice(0x61, 0, 1, &frame(0, none)), true),
            ("lsb", slice(0x61, 0, 1, &frame(2, none)), true),
            (
                "delta_pic_order_cnt_bottom",
                slice(0x61, 0, 1, &frame(2, one)),
                true,
            ),
            ("nal_ref_idc to 0", slice(0x01, 0, 1, &frame(2, one)), true),
            ("the same", slice(0x01, 9, 1, &frame(2, one)), false),
            ("a field", slice(0x01, 0, 1, &field(0, 2)), true),
            ("nal_ref_idc from 0", slice(0x21, 0, 1, &field(0, 2)), true),
            ("nal_ref_idc not 0", slice(0x41, 3, 1, &field(0, 2)), false),
            ("the other field", slice(0x41, 0, 1, &field(1, 2)), true),
        ] {
            assert_eq!(starts.begins_access_unit(&unit), begins, "{name}");
        }
    }

    #[test]
    fn a_cycle_of_pictures_differs_by_its_deltas() {
        let mut starts = starts(1);
        let (none, one) = ((1, 1), (0b010, 3));
        for (rest, begins) in [
            ([(0, 1), none, none], true),
            ([(0, 1), none, none], false),
            ([(0, 1), none, one], true),
            ([(0, 1), one, one], true),
        ] {
            let unit = slice(0x01, 0, 1, &rest);
            assert_eq!(starts.begins_access_unit(&unit), begins, "{rest:?}");
        }
    }

    #[test]
    fn without_sets_the_first_macroblock_begins_a_picture() {
        let mut starts = PictureStart::default();
        for (first, begins) in [(0, true), (1, false), (0, true)] {
            let unit = slice(0x41, first, 1, &[]);
            assert_eq!(starts.begins_access_unit(&unit), begins, "{first}");
        }
    }

    #[test]
    fn partitions_filler_and_ends_begin_nothing() {
        let mut starts = starts(2);
        for (header, begins) in [
            (3, false),
            (4, false),
            (10, false),
            (11, false),
            (12, false),
            (19, false),
            (20, false),
            (6, true),
            (9, true),
            (14, true),
        ] {
            assert_eq!(
                starts.begins_access_unit(&[header, 0x80]),
                begins,
                "{header}"
            );
        }
    }
}
