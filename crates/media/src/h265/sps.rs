//! The picture size in an H.265 sequence parameter set (H.265 §7.3.2.2).

use crate::Bits;

/// What a sequence parameter set of H.265 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct H265Sps {
    /// Width in pixels as shown (cropped).
    pub width: u16,
    /// Height in pixels as shown (cropped).
    pub height: u16,
}

impl H265Sps {
    /// Reads the unit behind its two header bytes; `None` when it is malformed or ends early.
    pub fn parse(body: &[u8]) -> Option<Self> {
        resolution(body).map(|(width, height)| Self { width, height })
    }
}

fn resolution(body: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::of_nal(body);
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers_minus1 = bits.number(3)?;
    bits.skip(1)?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(&mut bits, sub_layers_minus1)?;
    bits.unsigned_golomb()?; // sps_seq_parameter_set_id
    let chroma = bits.unsigned_golomb()?;
    if chroma == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    let width = bits.unsigned_golomb()?;
    let height = bits.unsigned_golomb()?;
    if !bits.flag()? {
        return Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?));
    }
    let mut crop = |unit: u32| {
        let both = bits
            .unsigned_golomb()?
            .checked_add(bits.unsigned_golomb()?)?;
        both.checked_mul(unit)
    };
    // SubWidthC and SubHeightC (H.265 table 6-1).
    let width = width.checked_sub(crop(if matches!(chroma, 1 | 2) { 2 } else { 1 })?)?;
    let height = height.checked_sub(crop(if chroma == 1 { 2 } else { 1 })?)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

/// H.265 §7.3.3 with `profilePresentFlag` set.
fn skip_profile_tier_level(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<()> {
    bits.skip(PROFILE_BITS)?;
    bits.skip(LEVEL_BITS)?;
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

const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;
