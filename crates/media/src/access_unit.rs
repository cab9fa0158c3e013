//! What a coded access unit says of itself.

use crate::nal::Facts;
use crate::vpcc::{UNSPECIFIED, VpRecord};
use crate::{Codec, CodecConfig, MediaKind, NalUnits, av1, h264, h265, mp3, vp8, vp9};

/// The facts of one access unit in the form of [`Frame::data`](crate::Frame::data).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AccessUnit {
    /// A decoder may begin here: an IDR picture of H.264, an IRAP picture of H.265 (IDR, CRA, BLA), a shown key frame
    /// of AV1, a key frame of VP8 and VP9, any audio. A CRA picture may be followed by pictures that only those can
    /// decode who began earlier (H.265 §8.1.3).
    pub keyframe: bool,
    /// No other access unit refers to it, as far as its headers tell: known of H.264, H.265 and VP9.
    pub discardable: bool,
    /// A decoder may begin here, and pictures are right after that many more: the recovery point message of H.264 and
    /// H.265, in streams of open GOPs or gradual refresh, which have no keyframe but the first. 0 says that this
    /// picture is right already, and all that are shown after it. Whether to begin at one is a choice of whoever joins.
    pub recovery_point: Option<u32>,
    /// The bytes have the form that [`Frame::data`](crate::Frame::data) asks for, as far as this looks.
    pub intact: bool,
    /// The configuration that it carries in-band: always by keyframes of VP8, VP9, AV1 and by MP3, by H.264 and H.265
    /// only where a source left the parameter sets in.
    pub config: Option<CodecConfig>,
}

/// Looks into one access unit; never allocates more than a configuration.
pub fn inspect_access_unit(codec: Codec, data: &[u8]) -> AccessUnit {
    match codec {
        Codec::H264 => nal_units(codec, data, h264::inspect),
        Codec::H265 => nal_units(codec, data, h265::inspect),
        Codec::Vp8 => vp8_frame(data),
        Codec::Vp9 => vp9_frame(data),
        Codec::Av1 => {
            let (keyframe, intact, config) = av1::inspect(data);
            AccessUnit {
                keyframe,
                intact,
                config,
                ..AccessUnit::default()
            }
        }
        Codec::Mp3 => {
            let config = mp3::configuration(data);
            AccessUnit {
                keyframe: !data.is_empty(),
                intact: config.is_some(),
                config,
                ..AccessUnit::default()
            }
        }
        codec => AccessUnit {
            keyframe: codec.kind() == MediaKind::Audio && !data.is_empty(),
            intact: !data.is_empty(),
            ..AccessUnit::default()
        },
    }
}

fn nal_units<'a>(
    codec: Codec,
    data: &'a [u8],
    inspect: fn(&mut NalUnits<'a>) -> Facts<'a>,
) -> AccessUnit {
    let mut units = NalUnits::new(data);
    let facts = inspect(&mut units);
    let sets = &facts.parameter_sets;
    AccessUnit {
        keyframe: facts.keyframe,
        recovery_point: facts.recovery_point,
        // An IDR picture of `nal_ref_idc` 0 is forbidden, and whoever sends it means the IDR.
        discardable: facts.discardable && !facts.keyframe,
        intact: !data.is_empty() && units.is_intact(),
        config: (!sets.is_empty())
            .then(|| CodecConfig::from_parameter_sets(codec, sets).ok())
            .flatten(),
    }
}

fn vp8_frame(data: &[u8]) -> AccessUnit {
    let Some(header) = vp8::FrameHeader::parse(data) else {
        return AccessUnit::default();
    };
    let record = VpRecord {
        profile: header.version.min(3),
        level: 0,
        bit_depth: 8,
        chroma: 0,
        full_range: false,
        color: UNSPECIFIED,
    };
    AccessUnit {
        keyframe: header.key_size.is_some(),
        discardable: false,
        intact: true,
        config: header.key_size.map(|(width, height)| {
            CodecConfig::vp(Codec::Vp8, record, (width.into(), height.into()))
        }),
        ..AccessUnit::default()
    }
}

fn vp9_frame(data: &[u8]) -> AccessUnit {
    let Some(facts) = vp9::inspect(data) else {
        return AccessUnit::default();
    };
    AccessUnit {
        keyframe: facts.keyframe,
        discardable: facts.discardable,
        intact: true,
        config: facts.format.map(|format| {
            let record = VpRecord {
                profile: format.profile,
                level: 0,
                bit_depth: format.bit_depth,
                chroma: format.chroma,
                full_range: format.full_range,
                color: format.color,
            };
            CodecConfig::vp(Codec::Vp9, record, (format.width, format.height))
        }),
        ..AccessUnit::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parameters, VideoParameters};

    #[test]
    fn audio_is_always_a_keyframe() {
        let audio = |codec: &Codec| codec.kind() == MediaKind::Audio;
        for codec in Codec::KNOWN.into_iter().filter(audio) {
            assert!(inspect_access_unit(codec, &[0xff]).keyframe, "{codec:?}");
            assert!(!inspect_access_unit(codec, &[]).keyframe, "{codec:?}");
        }
    }

    #[test]
    fn h264_slices_nobody_refers_to_are_discardable() {
        // An IDR slice, a P slice, a B slice of nal_ref_idc 0 behind a SEI.
        for (data, keyframe, discardable) in [
            (&[0, 0, 0, 2, 0x65, 0x88][..], true, false),
            (&[0, 0, 0, 2, 0x41, 0x9a], false, false),
            (&[0, 0, 0, 1, 6, 0, 0, 0, 2, 0x01, 0x9a], false, true),
        ] {
            let unit = inspect_access_unit(Codec::H264, data);
            assert_eq!((unit.keyframe, unit.discardable), (keyframe, discardable));
            assert!(unit.intact && unit.config.is_none());
        }
        let annex_b = inspect_access_unit(Codec::H264, &[0, 0, 0, 1, 0x65, 0x88]);
        assert!(!annex_b.intact, "start codes are not lengths");
    }

    #[test]
    fn a_vp8_key_frame_tells_its_size() {
        let frame = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x42, 0x41, 0xb6, 0x00, 0];
        let unit = inspect_access_unit(Codec::Vp8, &frame);
        assert!(unit.keyframe && unit.intact);
        let config = unit.config.unwrap();
        let video = VideoParameters {
            width: 322,
            height: 182,
            reorder_frames: 0,
        };
        assert_eq!(config.parameters, Parameters::Video(video));
        assert_eq!(config.codec_string().unwrap(), "vp08.00.20.08");
        let delta = inspect_access_unit(Codec::Vp8, &[0x11, 0, 0, 0]);
        assert!(!delta.keyframe && delta.intact && delta.config.is_none());
    }
}
