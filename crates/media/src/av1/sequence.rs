//! The sequence header (AV1 §5.5).

use crate::{Bits, VideoParameters};

/// What a sequence header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SequenceHeader {
    pub(crate) profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub(crate) level: u8,
    pub(crate) high_tier: bool,
    /// Stands for a frame header that says nothing of its type.
    pub(crate) reduced_still_picture: bool,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) color: ColorConfig,
}

/// `color_config()` (AV1 §5.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ColorConfig {
    pub(crate) bit_depth: u8,
    pub(crate) monochrome: bool,
    pub(crate) subsampling: (bool, bool),
    pub(crate) sample_position: u8,
    pub(crate) full_range: bool,
    /// Primaries, transfer and matrix by ISO/IEC 23091-2.
    pub(crate) description: [u8; 3],
}

impl SequenceHeader {
    /// Reads the body of the OBU.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(body);
        let profile = small(&mut bits, 3).filter(|profile| *profile <= 2)?;
        bits.skip(1)?; // still_picture
        let reduced = bits.flag()?;
        let (level, high_tier) = if reduced {
            (small(&mut bits, 5)?, false)
        } else {
            operating_points(&mut bits)?
        };
        let width_bits = bits.number(4)?.checked_add(1)?;
        let height_bits = bits.number(4)?.checked_add(1)?;
        let width = bits.number(width_bits)?.checked_add(1)?;
        let height = bits.number(height_bits)?.checked_add(1)?;
        if !reduced && bits.flag()? {
            bits.skip(7)?; // delta_frame_id_length_minus_2, additional_frame_id_length_minus_1
        }
        bits.skip(3)?; // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
        if !reduced {
            skip_tools(&mut bits)?;
        }
        bits.skip(3)?; // enable_superres, enable_cdef, enable_restoration
        Some(Self {
            profile,
            level,
            high_tier,
            reduced_still_picture: reduced,
            width,
            height,
            color: ColorConfig::read(&mut bits, profile)?,
        })
    }

    /// A temporal unit shows one picture, so nothing is ever reordered.
    pub(crate) const fn parameters(&self) -> VideoParameters {
        VideoParameters {
            width: self.width,
            height: self.height,
            reorder_frames: 0,
        }
    }
}

impl ColorConfig {
    fn read(bits: &mut Bits<'_>, profile: u8) -> Option<Self> {
        let high = bits.flag()?;
        let bit_depth = match (profile, high) {
            (_, false) => 8,
            (2, true) if bits.flag()? => 12,
            (_, true) => 10,
        };
        let monochrome = profile != 1 && bits.flag()?;
        let description = if bits.flag()? {
            [small(bits, 8)?, small(bits, 8)?, small(bits, 8)?]
        } else {
            [2, 2, 2]
        };
        let mut this = Self {
            bit_depth,
            monochrome,
            subsampling: (true, true),
            sample_position: 0,
            full_range: true,
            description,
        };
        if monochrome {
            this.full_range = bits.flag()?;
            return Some(this);
        }
        if description == SRGB {
            this.subsampling = (false, false);
            return Some(this);
        }
        this.full_range = bits.flag()?;
        this.subsampling = match (profile, bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let horizontal = bits.flag()?;
                (horizontal, horizontal && bits.flag()?)
            }
            _ => (true, false),
        };
        if this.subsampling == (true, true) {
            this.sample_position = small(bits, 2)?;
        }
        Some(this)
    }
}

/// Level and tier of the first operating point.
fn operating_points(bits: &mut Bits<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?; // num_units_in_display_tick, time_scale
        if bits.flag()? {
            bits.unsigned_golomb()?; // num_ticks_per_picture_minus_1
        }
        if bits.flag()? {
            delay_bits = Some(bits.number(5)?.checked_add(1)?);
            bits.skip(42)?; // num_units_in_decoding_tick and two lengths
        }
    }
    let display_delay = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?; // operating_point_idc
        let level = small(bits, 5)?;
        let high_tier = level > 7 && bits.flag()?;
        first.get_or_insert((level, high_tier));
        if let Some(width) = delay_bits
            && bits.flag()?
        {
            bits.skip(width)?; // decoder_buffer_delay
            bits.skip(width)?; // encoder_buffer_delay
            bits.skip(1)?; // low_delay_mode_flag
        }
        if display_delay && bits.flag()? {
            bits.skip(4)?; // initial_display_delay_minus_1
        }
    }
    first
}

/// From `enable_interintra_compound` to `order_hint_bits_minus_1`.
fn skip_tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4)?; // to enable_dual_filter
    let order_hint = bits.flag()?;
    if order_hint {
        bits.skip(2)?; // enable_jnt_comp, enable_ref_frame_mvs
    }
    // Where the frames choose, the value is 2 (SELECT_SCREEN_CONTENT_TOOLS).
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1)?; // seq_force_integer_mv
    }
    if order_hint {
        bits.skip(3)?; // order_hint_bits_minus_1
    }
    Some(())
}

fn small(bits: &mut Bits<'_>, width: u32) -> Option<u8> {
    u8::try_from(bits.number(width)?).ok()
}

/// Primaries of BT.709, the transfer of sRGB, no matrix: 4:4:4 by definition.
const SRGB: [u8; 3] = [1, 13, 0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bit_writer::BitWriter;

    #[test]
    fn operating_points_timing_and_tools_are_passed_over() {
        let mut out = BitWriter::default();
        out.numbers(&[(2, 3), (0, 1), (0, 1)]); // profile, still, reduced
        out.numbers(&[(1, 1), (1, 32), (50, 32), (1, 1)]);
        out.golomb(0); // num_ticks_per_picture_minus_1
        out.numbers(&[(1, 1), (9, 5), (1, 32), (0, 5), (0, 5)]); // decoder model with delays of ten bits
        out.numbers(&[(1, 1), (1, 5)]); // display delay, two operating points
        out.numbers(&[
            (0, 12),
            (13, 5),
            (1, 1),
            (1, 1),
            (0, 10),
            (0, 10),
            (0, 1),
            (1, 1),
            (3, 4),
        ]);
        out.numbers(&[(0, 12), (5, 5), (0, 1), (0, 1)]);
        out.numbers(&[(11, 4), (10, 4), (4_095, 12), (1_079, 11)]); // size
        out.numbers(&[(1, 1), (0, 7), (0, 3)]); // frame ids, superblocks and filters
        out.numbers(&[(0, 4), (1, 1), (0, 2)]); // order hint
        out.numbers(&[(0, 1), (1, 1), (0, 1), (1, 1), (6, 3), (0, 3)]); // screen content, hint bits
        out.numbers(&[(1, 1), (1, 1), (0, 1), (1, 1), (9, 8), (16, 8), (9, 8)]); // twelve bits, BT.2020 PQ
        out.numbers(&[(1, 1), (1, 1), (0, 1), (0, 1), (1, 1)]); // full range, 4:2:2
        let bytes = out.into_bytes();
        let header = SequenceHeader::parse(&bytes).unwrap();
        let color = ColorConfig {
            bit_depth: 12,
            monochrome: false,
            subsampling: (true, false),
            sample_position: 0,
            full_range: true,
            description: [9, 16, 9],
        };
        let expected = SequenceHeader {
            profile: 2,
            level: 13,
            high_tier: true,
            reduced_still_picture: false,
            width: 4_096,
            height: 1_080,
            color,
        };
        assert_eq!(header, expected);
    }

    #[test]
    fn a_reduced_header_of_a_still_picture_is_read() {
        let mut out = BitWriter::default();
        out.numbers(&[
            (0, 3),
            (1, 1),
            (1, 1),
            (4, 5),
            (7, 4),
            (7, 4),
            (199, 8),
            (99, 8),
        ]);
        out.numbers(&[(0, 3), (0, 3), (0, 1), (1, 1), (0, 1), (0, 1), (0, 1)]);
        let header = SequenceHeader::parse(&out.into_bytes()).unwrap();
        assert!(header.reduced_still_picture && header.color.monochrome);
        assert_eq!((header.width, header.height, header.level), (200, 100, 4));
    }
}
