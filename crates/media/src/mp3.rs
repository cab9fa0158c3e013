//! MPEG audio layer III: the header of each frame (ISO/IEC 11172-3 §2.4.1.3, ISO/IEC 13818-3 §2.4.1.3).

use bytes::Bytes;

use crate::{AudioParameters, Codec, CodecConfig, Parameters};

/// What a frame's header says; MP3 has no record.
pub(crate) fn configuration(frame: &[u8]) -> Option<CodecConfig> {
    let (&[0xff, version, rate, mode], _) = frame.split_first_chunk()? else {
        return None;
    };
    // The end of the sync word, and layer III.
    if version & 0xe0 != 0xe0 || version >> 1 & 0x03 != 1 {
        return None;
    }
    let full = match rate >> 2 & 0x03 {
        0 => 44_100,
        1 => 48_000,
        2 => 32_000,
        _ => return None,
    };
    let sample_rate = match version >> 3 & 0x03 {
        3 => full,
        2 => full / 2,
        0 => full / 4,
        _ => return None,
    };
    let channels = if mode >> 6 == 3 { 1 } else { 2 };
    Some(CodecConfig {
        codec: Codec::Mp3,
        record: Bytes::new(),
        parameters: Parameters::Audio(AudioParameters {
            sample_rate,
            channels,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_tells_rate_and_channels() {
        for (header, expected) in [
            ([0xff, 0xfb, 0x90, 0x00], Some((44_100, 2))),
            ([0xff, 0xf3, 0x94, 0xc0], Some((24_000, 1))),
            ([0xff, 0xe3, 0x98, 0x40], Some((8_000, 2))),
            ([0xff, 0xfd, 0x90, 0x00], None),
            ([0xff, 0xfb, 0x9c, 0x00], None),
            ([0x49, 0x44, 0x33, 0x03], None),
        ] {
            let config = configuration(&header);
            let told = config
                .and_then(|config| config.parameters.audio())
                .map(|audio| (audio.sample_rate, audio.channels));
            assert_eq!(told, expected, "{header:x?}");
        }
    }
}
