//! The H.264 sequence parameter set (H.264 §7.3.2.1.1).

use crate::Bits;

/// What a sequence parameter set of H.264 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct H264Sps {
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// `profile_idc` (annex A).
    pub profile: u8,
    /// The byte of `constraint_set0_flag` and its successors, the first of them in the highest bit.
    pub constraints: u8,
    /// `level_idc`: ten times the level (annex A).
    pub level: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample, 8 to 14.
    pub bit_depth_luma: u8,
    /// Bits of a chroma sample, 8 to 14.
    pub bit_depth_chroma: u8,
    /// Width in pixels as shown (cropped).
    pub width: u16,
    /// Height in pixels as shown (cropped).
    pub height: u16,
    /// `max_num_reorder_frames`, inferred (§E.2.1) where the set does not tell.
    pub reorder_frames: u8,
    pub(crate) slices: SliceSyntax,
}

/// What the syntax of slice headers depends on (H.264 §7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SliceSyntax {
    pub(crate) separate_planes: bool,
    pub(crate) frame_num_bits: u32,
    pub(crate) frames_only: bool,
    pub(crate) order: PictureOrder,
}

/// `pic_order_cnt_type` (H.264 §7.4.2.1.1) and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum PictureOrder {
    Counted {
        lsb_bits: u32,
    },
    Cycle {
        always_zero: bool,
    },
    /// As decoded.
    #[default]
    Decoding,
}

impl H264Sps {
    /// Reads the unit behind its header byte (H.264 §7.3.2.1.1); `None` when it is malformed or ends early.
    ///
    /// Video usability information that is malformed counts as absent: cameras write such.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = Bits::of_nal(body);
        let mut byte = || u8::try_from(bits.number(8)?).ok();
        let (profile, constraints, level) = (byte()?, byte()?, byte()?);
        let id = u8::try_from(bits.unsigned_golomb()?)
            .ok()
            .filter(|id| *id < 32)?;
        let format = if HIGH_PROFILES.contains(&profile) {
            SampleFormat::read(&mut bits)?
        } else {
            SampleFormat::DEFAULT
        };
        let frame_num_bits = bits.unsigned_golomb()?.checked_add(4)?;
        let order = picture_order(&mut bits)?;
        bits.unsigned_golomb()?; // max_num_ref_frames
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let width_in_macroblocks = bits.unsigned_golomb()?.checked_add(1)?;
        let map_height = bits.unsigned_golomb()?.checked_add(1)?;
        let frames_only = bits.flag()?;
        if !frames_only {
            bits.skip(1)?; // mb_adaptive_frame_field_flag
        }
        let fields = if frames_only { 1 } else { 2 };
        let height_in_macroblocks = map_height.checked_mul(fields)?;
        bits.skip(1)?; // direct_8x8_inference_flag
        let mut width = width_in_macroblocks.checked_mul(16)?;
        let mut height = height_in_macroblocks.checked_mul(16)?;
        if bits.flag()? {
            let (unit_x, unit_y) = format.chroma.crop_unit();
            let unit_y = u32::checked_mul(unit_y, fields)?;
            width = width.checked_sub(crop(&mut bits, unit_x)?)?;
            height = height.checked_sub(crop(&mut bits, unit_y)?)?;
        }
        let reorder_frames = match order {
            // §7.4.2.1.1: shown in the order of decoding. Baseline has no B slices (§A.2.1).
            PictureOrder::Decoding => 0,
            _ if profile == BASELINE => 0,
            _ => reorder_frames(&mut bits).unwrap_or_else(|| {
                let still = constraints & CONSTRAINT_3 != 0 && INTRA_PROFILES.contains(&profile);
                let macroblocks = width_in_macroblocks.saturating_mul(height_in_macroblocks);
                if still {
                    0
                } else {
                    buffered_frames(profile, constraints, level, macroblocks)
                }
            }),
        };
        Some(Self {
            id,
            profile,
            constraints,
            level,
            chroma_format: format.idc,
            bit_depth_luma: format.luma,
            bit_depth_chroma: format.chroma_depth,
            width: u16::try_from(width).ok().filter(|width| *width > 0)?,
            height: u16::try_from(height).ok().filter(|height| *height > 0)?,
            reorder_frames,
            slices: SliceSyntax {
                separate_planes: format.separate_planes,
                frame_num_bits,
                frames_only,
                order,
            },
        })
    }
}

/// Both sides of a dimension.
fn crop(bits: &mut Bits<'_>, unit: u32) -> Option<u32> {
    let both = bits
        .unsigned_golomb()?
        .checked_add(bits.unsigned_golomb()?)?;
    both.checked_mul(unit)
}

/// `max_num_reorder_frames` of the video usability information (§E.1.1), from its presence flag on.
fn reorder_frames(bits: &mut Bits<'_>) -> Option<u8> {
    if !bits.flag()? {
        return None;
    }
    if bits.flag()? && bits.number(8)? == EXTENDED_SAR {
        bits.skip(32)?; // sar_width, sar_height
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
        }
    }
    if bits.flag()? {
        bits.unsigned_golomb()?; // chroma_sample_loc_type_top_field
        bits.unsigned_golomb()?; // chroma_sample_loc_type_bottom_field
    }
    if bits.flag()? {
        bits.skip(65)?; // num_units_in_tick, time_scale, fixed_frame_rate_flag
    }
    let mut has_hrd = false;
    for _ in 0..2 {
        if bits.flag()? {
            skip_hrd(bits)?;
            has_hrd = true;
        }
    }
    if has_hrd {
        bits.skip(1)?; // low_delay_hrd_flag
    }
    bits.skip(1)?; // pic_struct_present_flag
    if !bits.flag()? {
        return None;
    }
    bits.skip(1)?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        bits.unsigned_golomb()?; // max_bytes_per_pic_denom to log2_max_mv_length_vertical
    }
    let reorder_frames = u8::try_from(bits.unsigned_golomb()?).ok()?;
    (reorder_frames <= MAX_FRAMES).then_some(reorder_frames)
}

/// §E.1.2.
fn skip_hrd(bits: &mut Bits<'_>) -> Option<()> {
    let counted = bits.unsigned_golomb()?; // cpb_cnt_minus1
    if counted > 31 {
        return None;
    }
    bits.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..=counted {
        bits.unsigned_golomb()?; // bit_rate_value_minus1
        bits.unsigned_golomb()?; // cpb_size_value_minus1
        bits.skip(1)?; // cbr_flag
    }
    bits.skip(20) // four lengths
}

/// `MaxDpbFrames` (§A.3.1 item h, §A.3.2 item f): what is inferred where the set does not tell.
fn buffered_frames(profile: u8, constraints: u8, level: u8, macroblocks: u32) -> u8 {
    let level_1b = level == 11 && constraints & CONSTRAINT_3 != 0 && matches!(profile, 77 | 88);
    let capacity = match level {
        _ if level_1b => 396,
        0..=10 => 396,
        11 => 900,
        12 | 13 | 20 => 2_376,
        21 => 4_752,
        22 | 30 => 8_100,
        31 => 18_000,
        32 => 20_480,
        40 | 41 => 32_768,
        42 => 34_816,
        50 => 110_400,
        51 | 52 => 184_320,
        _ => 696_320,
    };
    let frames = u32::checked_div(capacity, macroblocks).unwrap_or_default();
    u8::try_from(frames).map_or(MAX_FRAMES, |frames| frames.min(MAX_FRAMES))
}

#[derive(Debug, Clone, Copy)]
struct SampleFormat {
    idc: u8,
    chroma: Chroma,
    separate_planes: bool,
    luma: u8,
    chroma_depth: u8,
}

impl SampleFormat {
    /// Of the profiles that do not tell.
    const DEFAULT: Self = Self {
        idc: 1,
        chroma: Chroma::C420,
        separate_planes: false,
        luma: 8,
        chroma_depth: 8,
    };

    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let idc = bits.unsigned_golomb()?;
        let separate_planes = idc == 3 && bits.flag()?;
        let mut depth = || {
            u8::try_from(bits.unsigned_golomb()?)
                .ok()
                .filter(|depth| *depth <= 6)?
                .checked_add(8)
        };
        let (luma, chroma_depth) = (depth()?, depth()?);
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            for list in 0..if idc == 3 { 12 } else { 8 } {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(Self {
            idc: u8::try_from(idc).ok().filter(|idc| *idc <= 3)?,
            chroma: match idc {
                1 => Chroma::C420,
                2 => Chroma::C422,
                _ => Chroma::Full,
            },
            separate_planes,
            luma,
            chroma_depth,
        })
    }
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

fn picture_order(bits: &mut Bits<'_>) -> Option<PictureOrder> {
    Some(match bits.unsigned_golomb()? {
        0 => PictureOrder::Counted {
            lsb_bits: bits.unsigned_golomb()?.checked_add(4)?,
        },
        1 => {
            let always_zero = bits.flag()?;
            bits.signed_golomb()?; // offset_for_non_ref_pic
            bits.signed_golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.unsigned_golomb()?;
            for _ in 0..cycle.min(256) {
                bits.signed_golomb()?; // offset_for_ref_frame
            }
            PictureOrder::Cycle { always_zero }
        }
        _ => PictureOrder::Decoding,
    })
}

/// The profiles whose parameter sets tell the chroma format (H.264 §7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// The profiles that `constraint_set3_flag` makes intra-only (§E.2.1, `max_num_reorder_frames`).
const INTRA_PROFILES: [u8; 6] = [44, 86, 100, 110, 122, 244];

const BASELINE: u8 = 66;
const CONSTRAINT_3: u8 = 0x10;
const EXTENDED_SAR: u32 = 255;

/// The most frames a decoder buffers (§A.3.1).
const MAX_FRAMES: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bit_writer::BitWriter;

    /// A set behind its header byte: profile, constraints and level, the order of pictures, macroblocks across and
    /// down (of a field where `frames_only` is 0), then whatever `end` writes from the cropping flag on.
    fn set(
        head: [u8; 3],
        order: u32,
        size: (u32, u32),
        frames_only: u32,
        end: impl Fn(&mut BitWriter),
    ) -> Vec<u8> {
        let mut out = BitWriter::default();
        out.numbers(&head.map(|byte| (byte.into(), 8)));
        out.golomb(0); // seq_parameter_set_id
        if HIGH_PROFILES.contains(&head[0]) {
            out.golombs(&[1, 0, 0]); // chroma, depths
            out.number(0, 2); // qpprime_y_zero_transform_bypass_flag, seq_scaling_matrix_present_flag
        }
        out.golomb(0); // log2_max_frame_num_minus4
        out.golomb(order);
        if order == 0 {
            out.golomb(0); // log2_max_pic_order_cnt_lsb_minus4
        }
        out.golomb(1); // max_num_ref_frames
        out.number(0, 1);
        out.golomb(size.0 - 1);
        out.golomb(size.1 - 1);
        out.number(frames_only, 1);
        if frames_only == 0 {
            out.number(0, 1); // mb_adaptive_frame_field_flag
        }
        out.number(1, 1); // direct_8x8_inference_flag
        end(&mut out);
        out.into_nal(&[])
    }

    fn plain(out: &mut BitWriter) {
        out.number(0, 2); // frame_cropping_flag, vui_parameters_present_flag
    }

    #[test]
    fn a_set_that_does_not_tell_reorders_as_much_as_its_level_buffers() {
        for (head, order, frames) in [
            ([77, 0, 40], 0, 4),
            ([100, 0, 40], 0, 4),
            ([100, 0, 51], 0, 16),
            ([100, 0, 62], 0, 16),
            // Intra-only by constraint, as decoded by order, without B slices by profile.
            ([100, CONSTRAINT_3, 40], 0, 0),
            ([77, CONSTRAINT_3, 40], 0, 4),
            ([100, 0, 40], 2, 0),
            ([66, 0xc0, 31], 0, 0),
            // Too large for its level.
            ([77, 0, 10], 0, 0),
        ] {
            let sps = H264Sps::parse(&set(head, order, (120, 68), 1, plain)).unwrap();
            assert_eq!(sps.reorder_frames, frames, "{head:?} {order}");
        }
        // Level 1b of Main is written as 11 with the third constraint.
        for (constraints, frames) in [(0, 9), (CONSTRAINT_3, 4)] {
            let sps = set([77, constraints, 11], 0, (11, 9), 1, plain);
            assert_eq!(H264Sps::parse(&sps).unwrap().reorder_frames, frames);
        }
    }

    #[test]
    fn the_reorder_depth_is_found_behind_everything_that_may_precede_it() {
        let told = |out: &mut BitWriter| {
            out.number(0, 1); // frame_cropping_flag
            out.number(1, 1); // vui_parameters_present_flag
            out.numbers(&[(1, 1), (255, 8), (4, 16), (3, 16)]); // aspect ratio
            out.numbers(&[(1, 1), (1, 1)]); // overscan
            out.numbers(&[(1, 1), (5, 3), (0, 1), (1, 1), (1, 8), (1, 8), (1, 8)]); // colour
            out.number(1, 1);
            out.golomb(0);
            out.golomb(0); // chroma location
            out.numbers(&[(1, 1), (1, 32), (60, 32), (1, 1)]); // timing
            for _ in 0..2 {
                out.number(1, 1); // HRD with two buffers
                out.golomb(1);
                out.number(0, 8);
                for _ in 0..2 {
                    out.golomb(70_000);
                    out.golomb(90_000);
                    out.number(0, 1);
                }
                out.number(0, 20);
            }
            out.numbers(&[(0, 1), (1, 1)]); // low_delay_hrd_flag, pic_struct_present_flag
            out.numbers(&[(1, 1), (1, 1)]); // bitstream_restriction_flag, motion vectors
            out.golombs(&[0, 0, 16, 16, 3, 4]);
        };
        let bytes = set([100, 0, 40], 0, (120, 68), 1, told);
        assert_eq!(H264Sps::parse(&bytes).unwrap().reorder_frames, 3);
        // Cut within the video usability information: it counts as absent.
        let cut = &bytes[..bytes.len() - 3];
        assert_eq!(H264Sps::parse(cut).unwrap().reorder_frames, 4);
    }

    #[test]
    fn fields_are_cropped_by_pairs_of_lines() {
        let cropped = |out: &mut BitWriter| {
            out.number(1, 1);
            out.golombs(&[0, 1, 0, 2]);
            out.number(0, 1);
        };
        // 34 rows of macroblocks in each field are 1088 lines.
        let sps = H264Sps::parse(&set([100, 0, 40], 0, (120, 34), 0, cropped)).unwrap();
        assert_eq!((sps.width, sps.height), (1_918, 1_080));
        let nothing_left = |out: &mut BitWriter| {
            out.number(1, 1);
            out.golombs(&[0, 8, 0, 0]);
        };
        assert_eq!(
            H264Sps::parse(&set([77, 0, 10], 0, (1, 1), 1, nothing_left)),
            None
        );
    }
}
