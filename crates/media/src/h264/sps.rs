//! The picture size in an H.264 sequence parameter set (H.264 §7.3.2.1.1).

use crate::Bits;

/// What a sequence parameter set of H.264 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct H264Sps {
    /// Width in pixels as shown (cropped).
    pub width: u16,
    /// Height in pixels as shown (cropped).
    pub height: u16,
}

impl H264Sps {
    /// Reads the unit behind its header byte; `None` when it is malformed or ends early.
    pub fn parse(body: &[u8]) -> Option<Self> {
        resolution(body).map(|(width, height)| Self { width, height })
    }
}

fn resolution(body: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::of_nal(body);
    let profile = bits.number(8)?;
    bits.skip(16)?; // constraint flags, level_idc
    bits.unsigned_golomb()?; // seq_parameter_set_id
    let chroma = if HIGH_PROFILES.contains(&profile) {
        chroma_format(&mut bits)?
    } else {
        Chroma::C420
    };
    bits.unsigned_golomb()?; // log2_max_frame_num_minus4
    picture_order(&mut bits)?;
    bits.unsigned_golomb()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let width = macroblocks(bits.unsigned_golomb()?)?;
    let map_height = macroblocks(bits.unsigned_golomb()?)?;
    let frame_mbs_only = bits.flag()?;
    if !frame_mbs_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    let fields = if frame_mbs_only { 1 } else { 2 };
    let height = map_height.checked_mul(fields)?;
    bits.skip(1)?; // direct_8x8_inference_flag
    if !bits.flag()? {
        return Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?));
    }
    let (unit_x, unit_y) = chroma.crop_unit();
    let unit_y = u32::checked_mul(unit_y, fields)?;
    let mut crop = |unit: u32| {
        let both = bits
            .unsigned_golomb()?
            .checked_add(bits.unsigned_golomb()?)?;
        both.checked_mul(unit)
    };
    let width = width.checked_sub(crop(unit_x)?)?;
    let height = height.checked_sub(crop(unit_y)?)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

#[derive(Debug, Clone, Copy)]
enum Chroma {
    C420,
    C422,
    /// Monochrome, 4:4:4 and separate planes crop by the pixel.
    Full,
}

impl Chroma {
    const fn crop_unit(self) -> (u32, u32) {
        match self {
            Self::C420 => (2, 2),
            Self::C422 => (2, 1),
            Self::Full => (1, 1),
        }
    }
}

fn chroma_format(bits: &mut Bits<'_>) -> Option<Chroma> {
    let idc = bits.unsigned_golomb()?;
    if idc == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    bits.unsigned_golomb()?; // bit_depth_luma_minus8
    bits.unsigned_golomb()?; // bit_depth_chroma_minus8
    bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if idc == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Some(match idc {
        1 => Chroma::C420,
        2 => Chroma::C422,
        _ => Chroma::Full,
    })
}

fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i32, 8_i32);
    for _ in 0..size {
        if next != 0 {
            next = last.checked_add(bits.signed_golomb()?)?.rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

fn picture_order(bits: &mut Bits<'_>) -> Option<()> {
    match bits.unsigned_golomb()? {
        0 => {
            bits.unsigned_golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.signed_golomb()?; // offset_for_non_ref_pic
            bits.signed_golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.unsigned_golomb()?;
            for _ in 0..cycle.min(256) {
                bits.signed_golomb()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Some(())
}

fn macroblocks(minus1: u32) -> Option<u32> {
    minus1.checked_add(1)?.checked_mul(16)
}

/// The profiles whose parameter sets tell the chroma format (H.264 §7.3.2.1.1).
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
