//! The `VPCodecConfigurationRecord` of VP8 and VP9 (VP Codec ISO Media File Format Binding §2.2), `vpcC`.

use bytes::Bytes;

use crate::ConfigError;
use crate::codec_config::cap;
use crate::reader::Reader;

/// What a record says, version and flags aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VpRecord {
    /// 0 to 3.
    pub(crate) profile: u8,
    /// Ten times the level.
    pub(crate) level: u8,
    /// 8, 10 or 12.
    pub(crate) bit_depth: u8,
    /// 0 and 1 4:2:0 by place of the samples, 2 4:2:2, 3 4:4:4.
    pub(crate) chroma: u8,
    pub(crate) full_range: bool,
    /// Primaries, transfer and matrix by ISO/IEC 23091-2.
    pub(crate) color: [u8; 3],
}

impl VpRecord {
    pub(crate) fn parse(record: &Bytes) -> Result<Self, ConfigError> {
        cap(record)?;
        let mut reader = Reader::new(record);
        let [version, _, _, _] = reader.array().ok_or(ConfigError::Truncated)?;
        if version != 1 {
            return Err(ConfigError::Version { found: version });
        }
        let [profile, level, samples, primaries, transfer, matrix] =
            reader.array().ok_or(ConfigError::Truncated)?;
        if reader.u16().ok_or(ConfigError::Truncated)? != 0 {
            // `codecInitializationDataSize` must be 0 for VP8 and VP9.
            return Err(ConfigError::Malformed);
        }
        let this = Self {
            profile,
            level,
            bit_depth: samples >> 4,
            chroma: samples >> 1 & 0x07,
            full_range: samples & 0x01 != 0,
            color: [primaries, transfer, matrix],
        };
        let valid = profile <= 3 && matches!(this.bit_depth, 8 | 10 | 12) && this.chroma <= 3;
        valid.then_some(this).ok_or(ConfigError::Malformed)
    }

    pub(crate) fn to_bytes(self) -> Bytes {
        let samples = self.bit_depth << 4 | self.chroma << 1 | u8::from(self.full_range);
        let [primaries, transfer, matrix] = self.color;
        let fields = [
            1,
            0,
            0,
            0,
            self.profile,
            self.level,
            samples,
            primaries,
            transfer,
            matrix,
            0,
            0,
        ];
        Bytes::copy_from_slice(&fields)
    }
}

/// The level that pictures of this size need at up to 60 in a second (VP9 levels and profiles, table of 2016-07).
///
/// The streams do not carry it, and records and codec strings must.
pub(crate) fn level(width: u32, height: u32) -> u8 {
    let size = u64::from(width).saturating_mul(height.into());
    let rate = size.saturating_mul(60);
    let longest = width.max(height);
    LEVELS
        .iter()
        .find(|(_, max_rate, max_size, max_side)| {
            rate <= *max_rate && size <= *max_size && longest <= *max_side
        })
        .map_or(62, |(level, ..)| *level)
}

/// Level, most luma samples in a second, in a picture, and most pixels in a dimension.
const LEVELS: [(u8, u64, u64, u32); 14] = [
    (10, 829_440, 36_864, 512),
    (11, 2_764_800, 73_728, 768),
    (20, 4_608_000, 122_880, 960),
    (21, 9_216_000, 245_760, 1_344),
    (30, 20_736_000, 552_960, 2_048),
    (31, 36_864_000, 983_040, 2_752),
    (40, 83_558_400, 2_228_224, 4_160),
    (41, 160_432_128, 2_228_224, 4_160),
    (50, 311_951_360, 8_912_896, 8_384),
    (51, 588_251_136, 8_912_896, 8_384),
    (52, 1_176_502_272, 8_912_896, 8_384),
    (60, 1_176_502_272, 35_651_584, 16_832),
    (61, 2_353_004_544, 35_651_584, 16_832),
    (62, 4_706_009_088, 35_651_584, 16_832),
];

/// ISO/IEC 23091-2: nothing is told.
pub(crate) const UNSPECIFIED: [u8; 3] = [2, 2, 2];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_hold_the_pictures_they_are_named_for() {
        for (width, height, expected) in [
            (320, 180, 20),
            (854, 480, 31),
            (1_280, 720, 40),
            (1_920, 1_080, 41),
            (1_080, 1_920, 41),
            (3_840, 2_160, 51),
            (65_536, 65_536, 62),
        ] {
            assert_eq!(level(width, height), expected, "{width}x{height}");
        }
    }
}
