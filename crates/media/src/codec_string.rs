//! Codec strings: RFC 6381 §3.3, and what each codec's binding adds.

use crate::vpcc::{UNSPECIFIED, VpRecord};
use crate::{AudioSpecificConfig, Codec, CodecConfig};

pub(crate) fn of(config: &CodecConfig) -> Option<String> {
    match config.codec {
        Codec::H264 => avc(&config.record),
        Codec::Vp8 => vp("vp08", config),
        Codec::Vp9 => vp("vp09", config),
        Codec::Aac => {
            let kind = AudioSpecificConfig::parse(&config.record)
                .ok()?
                .named_object_type();
            Some(format!("mp4a.40.{kind}"))
        }
        // ISO/IEC 14496-1 object type indication 0x6b, MPEG-1 audio.
        Codec::Mp3 => Some("mp4a.6b".into()),
        Codec::Opus => Some("opus".into()),
        _ => None,
    }
}

/// Profile, constraints and level as they stand in the record (RFC 6381 §3.3).
fn avc(record: &[u8]) -> Option<String> {
    let &[_, profile, constraints, level, ..] = record else {
        return None;
    };
    Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

/// VP Codec ISO Media File Format Binding §4: the rest is all there or all default.
fn vp(name: &str, config: &CodecConfig) -> Option<String> {
    let record = VpRecord::parse(&config.record).ok()?;
    let VpRecord {
        profile,
        level,
        bit_depth,
        chroma,
        full_range,
        color,
    } = record;
    let short = format!("{name}.{profile:02}.{level:02}.{bit_depth:02}");
    if chroma <= 1 && !full_range && matches!(color, BT_709 | UNSPECIFIED) {
        return Some(short);
    }
    let [primaries, transfer, matrix] = color;
    let range = u8::from(full_range);
    Some(format!(
        "{short}.{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{range:02}"
    ))
}

/// What stands for the part that is left out.
const BT_709: [u8; 3] = [1, 1, 1];
