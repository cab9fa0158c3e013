//! How pictures are coded, as far as a configuration tells.

use crate::av1::Av1Record;
use crate::vpcc::VpRecord;
use crate::{Codec, CodecConfig, H264Sps, H265Sps, h264, h265};

/// Profile, level and samples of a video track, in the codec's own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct VideoFormat {
    /// `profile_idc` of H.264 (100 is High) and H.265 (2 is Main 10), `seq_profile` of AV1, profile of VP8 and VP9.
    pub profile: u8,
    /// Ten times the level for H.264, VP8 and VP9, thirty times for H.265, `seq_level_idx` for AV1 (8 is 4.0).
    pub level: u8,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// How many chroma samples there are.
    pub chroma: ChromaFormat,
}

/// Chroma samples for luma samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChromaFormat {
    /// None.
    Monochrome,
    /// One for four, 4:2:0.
    Yuv420,
    /// One for two, side by side, 4:2:2.
    Yuv422,
    /// One for one, 4:4:4. RGB too.
    Yuv444,
}

impl VideoFormat {
    pub(crate) fn of(config: &CodecConfig) -> Option<Self> {
        match config.codec {
            Codec::H264 => {
                let sps = config.parameter_sets().find_map(|unit| {
                    let (&header, body) = unit.split_first()?;
                    (h264::kind(header) == h264::SPS).then(|| H264Sps::parse(body))?
                })?;
                Some(Self {
                    profile: sps.profile,
                    level: sps.level,
                    bit_depth: sps.bit_depth_luma,
                    chroma: chroma(sps.chroma_format),
                })
            }
            Codec::H265 => {
                let sps = config.parameter_sets().find_map(|unit| {
                    let header = h265::Header::parse(unit)?;
                    let body = unit.get(2..)?;
                    (header.kind == h265::SPS && header.layer == 0).then(|| H265Sps::parse(body))?
                })?;
                Some(Self {
                    profile: sps.profile.profile,
                    level: sps.profile.level,
                    bit_depth: sps.bit_depth_luma,
                    chroma: chroma(sps.chroma_format),
                })
            }
            Codec::Vp8 | Codec::Vp9 => {
                let record = VpRecord::parse(&config.record).ok()?;
                Some(Self {
                    profile: record.profile,
                    level: record.level,
                    bit_depth: record.bit_depth,
                    // The first two values differ in where the samples lie.
                    chroma: chroma(record.chroma.max(1)),
                })
            }
            Codec::Av1 => {
                let record = Av1Record::parse(&config.record).ok()?;
                Some(Self {
                    profile: record.profile,
                    level: record.level,
                    bit_depth: record.bit_depth,
                    chroma: match (record.monochrome, record.subsampling) {
                        (true, _) => ChromaFormat::Monochrome,
                        (false, (true, true)) => ChromaFormat::Yuv420,
                        (false, (true, false)) => ChromaFormat::Yuv422,
                        (false, (false, _)) => ChromaFormat::Yuv444,
                    },
                })
            }
            _ => None,
        }
    }
}

/// `chroma_format_idc`.
const fn chroma(idc: u8) -> ChromaFormat {
    match idc {
        0 => ChromaFormat::Monochrome,
        1 => ChromaFormat::Yuv420,
        2 => ChromaFormat::Yuv422,
        _ => ChromaFormat::Yuv444,
    }
}
