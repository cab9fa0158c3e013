//! Codec strings: RFC 6381 §3.3, and what each codec's binding adds.

use crate::av1::Av1Record;
use crate::h265::H265Record;
use crate::vpcc::{UNSPECIFIED, VpRecord};
use crate::{AudioSpecificConfig, Codec, CodecConfig};

pub(crate) fn of(config: &CodecConfig) -> Option<String> {
    match config.codec {
        Codec::H264 => avc(&config.record),
        Codec::H265 => hevc(&config.record),
        Codec::Vp8 => vp("vp08", config),
        Codec::Vp9 => vp("vp09", config),
        Codec::Av1 => av01(&config.record),
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

/// ISO/IEC 14496-15 §E.3: the compatibility flags in reverse order, constraint bytes without the last that are 0.
fn hevc(record: &[u8]) -> Option<String> {
    let profile = H265Record::parse(record).ok()?.profile;
    let space = match profile.space {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let number = profile.profile;
    let compatibility = profile.compatibility.reverse_bits();
    let tier = if profile.high_tier { 'H' } else { 'L' };
    let zeros = profile
        .constraints
        .iter()
        .rev()
        .take_while(|byte| **byte == 0);
    let told = profile.constraints.len().saturating_sub(zeros.count());
    let constraints = profile.constraints.iter().take(told);
    let constraints: Vec<String> = constraints.map(|byte| format!(".{byte:X}")).collect();
    Some(format!(
        "hvc1.{space}{number}.{compatibility:X}.{tier}{}{}",
        profile.level,
        constraints.concat()
    ))
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

/// AV1-ISOBMFF §5: the rest is all there or all default.
fn av01(record: &[u8]) -> Option<String> {
    let record = Av1Record::parse(record).ok()?;
    let tier = if record.high_tier { 'H' } else { 'M' };
    let short = format!(
        "av01.{}.{:02}{tier}.{:02}",
        record.profile, record.level, record.bit_depth
    );
    let Some(color) = record.sequence.map(|sequence| sequence.color) else {
        return Some(short);
    };
    let usual = !color.monochrome && color.subsampling == (true, true) && !color.full_range;
    if usual && matches!(color.description, BT_709 | UNSPECIFIED) {
        return Some(short);
    }
    let [primaries, transfer, matrix] = color.description;
    let (horizontal, vertical) = color.subsampling;
    Some(format!(
        "{short}.{}.{}{}{}.{primaries:02}.{transfer:02}.{matrix:02}.{}",
        u8::from(color.monochrome),
        u8::from(horizontal),
        u8::from(vertical),
        color.sample_position,
        u8::from(color.full_range)
    ))
}

/// What stands for the part that is left out.
const BT_709: [u8; 3] = [1, 1, 1];
