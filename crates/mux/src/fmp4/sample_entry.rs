//! Sample entries: which codec, and the record its decoder reads first.

use bytes::{BufMut, BytesMut};
use sluice_media::{AudioParameters, Codec, CodecConfig, Parameters, VideoParameters};

use super::Track;
use crate::MuxError;
use crate::boxes::{Kind, full_box, write_box};

/// Writes the one sample entry of a track.
pub(super) fn sample_entry(out: &mut BytesMut, track: &Track) -> Result<(), MuxError> {
    let config = &track.config;
    let codec = config.codec;
    let (entry, record) = match codec {
        Codec::H264 => (*b"avc1", Some(*b"avcC")),
        // Parameter sets are in the record alone, which is what hvc1 and vvc1 say (14496-15 §8.4.1, §11.3.1).
        Codec::H265 => (*b"hvc1", Some(*b"hvcC")),
        Codec::H266 => (*b"vvc1", Some(*b"vvcC")),
        Codec::Vp8 => (*b"vp08", Some(*b"vpcC")),
        Codec::Vp9 => (*b"vp09", Some(*b"vpcC")),
        Codec::Av1 => (*b"av01", Some(*b"av1C")),
        Codec::Opus => (*b"Opus", Some(*b"dOps")),
        Codec::Aac => (*b"mp4a", Some(*b"esds")),
        Codec::Mp3 => (*b"mp4a", None),
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Other { .. } => {
            return Err(MuxError::UnsupportedCodec { codec });
        }
    };
    let bad = MuxError::BadConfig { track: track.id };
    if record.is_some() && config.record.is_empty() {
        return Err(bad);
    }
    match config.parameters {
        Parameters::Video(video) if codec.kind() == sluice_media::MediaKind::Video => {
            let record = record.ok_or(bad)?;
            visual(out, entry, video, |out| {
                decoder_record(out, record, config);
            });
        }
        Parameters::Audio(audio) if codec.kind() == sluice_media::MediaKind::Audio => {
            sound(out, entry, codec, audio, |out| match codec {
                Codec::Aac => esds(out, OBJECT_AAC, &config.record),
                Codec::Mp3 => esds(out, OBJECT_MP3, &[]),
                _ => decoder_record(out, record.unwrap_or_default(), config),
            });
        }
        _ => return Err(bad),
    }
    Ok(())
}

fn decoder_record(out: &mut BytesMut, kind: Kind, config: &CodecConfig) {
    if config.codec == Codec::H266 {
        // The one record whose box is a full one (14496-15 §11.2.4.2).
        full_box(out, kind, 0, 0, |out| out.put_slice(&config.record));
    } else {
        write_box(out, kind, |out| out.put_slice(&config.record));
    }
}

/// `VisualSampleEntry` (ISO/IEC 14496-12 §12.1.3).
fn visual(
    out: &mut BytesMut,
    kind: Kind,
    video: VideoParameters,
    record: impl FnOnce(&mut BytesMut),
) {
    write_box(out, kind, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 16);
        out.put_u16(u16::try_from(video.width).unwrap_or(u16::MAX));
        out.put_u16(u16::try_from(video.height).unwrap_or(u16::MAX));
        out.put_u32(0x0048_0000);
        out.put_u32(0x0048_0000);
        out.put_u32(0);
        out.put_u16(1);
        out.put_bytes(0, 32);
        out.put_u16(0x0018);
        out.put_u16(0xffff);
        record(out);
    });
}

/// `AudioSampleEntry` (§12.2.3).
fn sound(
    out: &mut BytesMut,
    kind: Kind,
    codec: Codec,
    audio: AudioParameters,
    record: impl FnOnce(&mut BytesMut),
) {
    // Opus always decodes at 48 kHz (Opus in ISOBMFF §4.3.1); a rate that 16 bits cannot hold is left to the record.
    let rate = if codec == Codec::Opus {
        48_000
    } else {
        u16::try_from(audio.sample_rate).unwrap_or(0)
    };
    write_box(out, kind, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1);
        out.put_bytes(0, 8);
        out.put_u16(u16::from(audio.channels));
        out.put_u16(16);
        out.put_u32(0);
        out.put_u32(u32::from(rate) << 16);
        record(out);
    });
}

/// `ESDBox` (ISO/IEC 14496-14 §5.6) with the descriptors of 14496-1 §7.2.6.
fn esds(out: &mut BytesMut, object_type: u8, specific: &[u8]) {
    let specific_size = if specific.is_empty() {
        0
    } else {
        specific.len().saturating_add(DESCRIPTOR_HEAD)
    };
    let decoder_size = specific_size.saturating_add(13);
    let stream_size = decoder_size
        .saturating_add(DESCRIPTOR_HEAD)
        .saturating_add(3)
        .saturating_add(DESCRIPTOR_HEAD)
        .saturating_add(1);
    full_box(out, *b"esds", 0, 0, |out| {
        descriptor(out, 0x03, stream_size);
        out.put_u16(0);
        out.put_u8(0);
        descriptor(out, 0x04, decoder_size);
        out.put_u8(object_type);
        // Audio stream (5), downstream, reserved bit set.
        out.put_u8(0x15);
        out.put_uint(0, 3);
        out.put_u64(0);
        if !specific.is_empty() {
            descriptor(out, 0x05, specific.len());
            out.put_slice(specific);
        }
        descriptor(out, 0x06, 1);
        // Predefined: as MP4 files use it.
        out.put_u8(0x02);
    });
}

/// A descriptor's tag and its size in four times seven bits (14496-1 §8.3.3).
fn descriptor(out: &mut BytesMut, tag: u8, size: usize) {
    let size = u32::try_from(size).unwrap_or(0);
    out.put_u8(tag);
    for shift in [21, 14, 7, 0_u32] {
        let [.., byte] = (size >> shift & 0x7f).to_be_bytes();
        out.put_u8(if shift == 0 { byte } else { byte | 0x80 });
    }
}

const DESCRIPTOR_HEAD: usize = 5;
/// 14496-3 audio (14496-1 table 5).
const OBJECT_AAC: u8 = 0x40;
/// 11172-3 audio.
pub(super) const OBJECT_MP3: u8 = 0x6b;
