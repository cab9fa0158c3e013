//! The H.265 sequence parameter set (H.265 §7.3.2.2).

use crate::Bits;

/// What a sequence parameter set of H.265 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct H265Sps {
    /// The general profile, tier and level.
    pub profile: H265Profile,
    /// Temporal sub-layers, 1 to 7.
    pub sub_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nested: bool,
    /// `sps_seq_parameter_set_id`, 0 to 15.
    pub id: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 16.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, 8 to 16.
    pub bit_depth_chroma: u8,
    /// Width in pixels as shown (cropped to the conformance window).
    pub width: u16,
    /// Height in pixels as shown (cropped to the conformance window).
    pub height: u16,
    /// `sps_max_num_reorder_pics` of the highest sub-layer.
    pub reorder_frames: u8,
}

/// The general part of `profile_tier_level()` (H.265 §7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct H265Profile {
    /// `general_profile_space`, 0 to 3.
    pub space: u8,
    /// `general_tier_flag`: the High tier.
    pub high_tier: bool,
    /// `general_profile_idc` (annex A).
    pub profile: u8,
    /// `general_profile_compatibility_flag`, that of profile 0 in the highest bit.
    pub compatibility: u32,
    /// The six bytes from `general_progressive_source_flag` on.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
}

impl H265Sps {
    /// Reads the unit behind its two header bytes; `None` when it is malformed or ends early.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = Bits::of_nal(body);
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers_minus1 = bits.number(3).filter(|layers| *layers < 7)?;
        let temporal_id_nested = bits.flag()?;
        let profile = H265Profile::read(&mut bits)?;
        skip_sub_layers(&mut bits, sub_layers_minus1)?;
        let id = u8::try_from(bits.unsigned_golomb()?)
            .ok()
            .filter(|id| *id < 16)?;
        let chroma = bits.unsigned_golomb().filter(|chroma| *chroma <= 3)?;
        if chroma == 3 {
            bits.skip(1)?; // separate_colour_plane_flag
        }
        let mut width = bits.unsigned_golomb()?;
        let mut height = bits.unsigned_golomb()?;
        if bits.flag()? {
            // SubWidthC and SubHeightC (H.265 table 6-1).
            let (unit_x, unit_y) = match chroma {
                1 => (2, 2),
                2 => (2, 1),
                _ => (1, 1),
            };
            width = width.checked_sub(crop(&mut bits, unit_x)?)?;
            height = height.checked_sub(crop(&mut bits, unit_y)?)?;
        }
        let mut depth = || {
            u8::try_from(bits.unsigned_golomb()?)
                .ok()
                .filter(|depth| *depth <= 8)?
                .checked_add(8)
        };
        let (bit_depth_luma, bit_depth_chroma) = (depth()?, depth()?);
        Some(Self {
            profile,
            sub_layers: u8::try_from(sub_layers_minus1.checked_add(1)?).ok()?,
            temporal_id_nested,
            id,
            chroma_format: u8::try_from(chroma).ok()?,
            bit_depth_luma,
            bit_depth_chroma,
            width: u16::try_from(width).ok().filter(|width| *width > 0)?,
            height: u16::try_from(height).ok().filter(|height| *height > 0)?,
            reorder_frames: reorder_frames(&mut bits, sub_layers_minus1)?,
        })
    }
}

impl H265Profile {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let mut byte = |width| u8::try_from(bits.number(width)?).ok();
        let (space, tier, profile) = (byte(2)?, byte(1)?, byte(5)?);
        let compatibility = bits.number(32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = u8::try_from(bits.number(8)?).ok()?;
        }
        Some(Self {
            space,
            high_tier: tier == 1,
            profile,
            compatibility,
            constraints,
            level: u8::try_from(bits.number(8)?).ok()?,
        })
    }
}

/// The rest of `profile_tier_level()` (H.265 §7.3.3).
fn skip_sub_layers(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<()> {
    if sub_layers_minus1 == 0 {
        return Some(());
    }
    let mut present = [(false, false); 8];
    for (index, flags) in (0_u32..).zip(&mut present) {
        let read = (bits.flag()?, bits.flag()?);
        // Past the last sub-layer the pairs of flags are only there to align to a byte.
        if index < sub_layers_minus1 {
            *flags = read;
        }
    }
    for (profile, level) in present {
        if profile {
            bits.skip(PROFILE_BITS)?;
        }
        if level {
            bits.skip(LEVEL_BITS)?;
        }
    }
    Some(())
}

/// From `log2_max_pic_order_cnt_lsb_minus4` on. Where only one sub-layer is told of, it is the highest.
fn reorder_frames(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<u8> {
    bits.unsigned_golomb()?; // log2_max_pic_order_cnt_lsb_minus4
    let told = if bits.flag()? { sub_layers_minus1 } else { 0 };
    let mut highest = 0;
    for _ in 0..=told {
        bits.unsigned_golomb()?; // sps_max_dec_pic_buffering_minus1
        highest = bits.unsigned_golomb()?;
        bits.unsigned_golomb()?; // sps_max_latency_increase_plus1
    }
    u8::try_from(highest).ok().filter(|frames| *frames <= 16)
}

/// Both sides of a dimension.
fn crop(bits: &mut Bits<'_>, unit: u32) -> Option<u32> {
    let both = bits
        .unsigned_golomb()?
        .checked_add(bits.unsigned_golomb()?)?;
    both.checked_mul(unit)
}

const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bit_writer::BitWriter;

    /// High tier, three sub-layers that tell their profiles and levels in part, 4:2:2 of ten bits, cropped to
    /// 1278x719, reorder depths 0, 1, 2. A whole unit.
    pub(in crate::h265) fn layered() -> Vec<u8> {
        let mut out = BitWriter::default();
        out.numbers(&[(0, 4), (2, 3), (1, 1)]);
        out.numbers(&[(1, 2), (1, 1), (4, 5), (0x0800_0000, 32)]);
        out.numbers(&[(0x9d, 8), (0x08, 8), (0, 8), (0, 24), (93, 8)]);
        out.numbers(&[(1, 1), (1, 1), (0, 1), (1, 1), (0, 12)]);
        out.numbers(&[(0, 32), (0, 32), (0, 24), (30, 8), (60, 8)]); // profile and level, then a level
        out.golombs(&[5, 2, 1_280, 720]);
        out.number(1, 1);
        out.golombs(&[0, 1, 0, 1]);
        out.golombs(&[2, 2, 4]);
        out.number(1, 1); // sps_sub_layer_ordering_info_present_flag
        out.golombs(&[1, 0, 0, 2, 1, 0, 4, 2, 0]);
        out.into_nal(&[33 << 1, 1])
    }

    #[test]
    fn sub_layers_are_passed_over_and_the_highest_tells_the_reorder_depth() {
        let unit = layered();
        let sps = H265Sps::parse(&unit[2..]).unwrap();
        assert_eq!((sps.width, sps.height), (1_278, 719));
        assert_eq!((sps.id, sps.sub_layers, sps.reorder_frames), (5, 3, 2));
        assert!(sps.temporal_id_nested);
        let format = (sps.chroma_format, sps.bit_depth_luma, sps.bit_depth_chroma);
        assert_eq!(format, (2, 10, 10));
        let profile = H265Profile {
            space: 1,
            high_tier: true,
            profile: 4,
            compatibility: 0x0800_0000,
            constraints: [0x9d, 8, 0, 0, 0, 0],
            level: 93,
        };
        assert_eq!(sps.profile, profile);
        for length in 2..unit.len() - 2 {
            assert_eq!(H265Sps::parse(&unit[2..length]), None, "{length}");
        }
    }
}
