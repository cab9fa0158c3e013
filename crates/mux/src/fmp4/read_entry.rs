//! Sample entries of ours read back: how a track is coded.

use bytes::Bytes;
use sluice_media::{AudioParameters, Codec, CodecConfig, Parameters};

use crate::boxes::{Boxed, Boxes, Fields};

/// The word for a track's coding (RFC 6381) by the body of its `stsd`; `None` for a codec that has none, or an entry that
/// is not ours.
pub(crate) fn codec_string(entries: &[u8]) -> Option<String> {
    config(entries)?.codec_string()
}

fn config(entries: &[u8]) -> Option<CodecConfig> {
    let entry = Boxes::new(entries.get(8..)?, 0).next()?.ok()?;
    let (codec, kind) = match &entry.kind {
        b"avc1" => (Codec::H264, *b"avcC"),
        b"hvc1" => (Codec::H265, *b"hvcC"),
        b"vvc1" => (Codec::H266, *b"vvcC"),
        b"vp08" => (Codec::Vp8, *b"vpcC"),
        b"vp09" => (Codec::Vp9, *b"vpcC"),
        b"av01" => (Codec::Av1, *b"av1C"),
        b"Opus" => (Codec::Opus, *b"dOps"),
        b"mp4a" => (Codec::Aac, *b"esds"),
        _ => return None,
    };
    // What stands in front of the record: of a `VisualSampleEntry`, of an `AudioSampleEntry` (14496-12 §12.1.3, §12.2.3).
    let head = match codec.kind() {
        sluice_media::MediaKind::Video => 78,
        sluice_media::MediaKind::Audio => 28,
    };
    let inside = Boxed {
        body: entry.body.get(head..)?,
        ..entry
    };
    let body = inside.child(kind).ok()?.body;
    match codec {
        Codec::Aac => sound(body),
        Codec::H266 => parsed(codec, body.get(4..)?),
        _ => parsed(codec, body),
    }
}

/// What an `esds` of ours says: AAC with its specific configuration, or MP3 without.
fn sound(body: &[u8]) -> Option<CodecConfig> {
    let mut fields = Fields::new(body);
    fields.skip(4)?;
    descriptor(&mut fields)?;
    fields.skip(3)?;
    descriptor(&mut fields)?;
    let [object_type] = fields.array()?;
    if object_type == super::sample_entry::OBJECT_MP3 {
        return Some(CodecConfig {
            codec: Codec::Mp3,
            record: Bytes::new(),
            // Its word does not depend on them.
            parameters: Parameters::Audio(AudioParameters {
                sample_rate: 0,
                channels: 0,
            }),
        });
    }
    fields.skip(12)?;
    let length = descriptor(&mut fields)?;
    parsed(Codec::Aac, fields.rest().get(..length)?)
}

/// Reads a descriptor's tag and gives its size (14496-1 §8.3.3).
fn descriptor(fields: &mut Fields<'_>) -> Option<usize> {
    let [_tag, a, b, c, d] = fields.array()?;
    let size = [a, b, c, d]
        .into_iter()
        .fold(0_usize, |size, byte| size << 7 | usize::from(byte & 0x7f));
    Some(size)
}

fn parsed(codec: Codec, record: &[u8]) -> Option<CodecConfig> {
    CodecConfig::parse(codec, Bytes::copy_from_slice(record)).ok()
}
