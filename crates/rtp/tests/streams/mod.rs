//! Frames made by a seed, in the form of `Frame::data`: right in their headers, noise behind them.

use std::num::NonZeroU32;

use bytes::{BufMut, Bytes, BytesMut};
use sluice_media::{Codec, Frame, MediaKind, Timestamp, TrackId};
use sluice_rtp::PacketizerOptions;

use crate::seeded::Seeded;

pub(crate) fn options(budget: usize) -> PacketizerOptions {
    let mut options = PacketizerOptions::default();
    options.max_packet_bytes = budget + 12;
    options.first_picture_id = 0x7ffb;
    options
}

pub(crate) fn frame(codec: Codec, keyframe: bool, data: Bytes) -> Frame {
    let pts = Timestamp::new(0, NonZeroU32::new(codec.clock_rate()).unwrap());
    Frame {
        track: TrackId::VIDEO,
        codec,
        pts,
        dts: pts,
        duration: None,
        keyframe,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data,
    }
}

/// In decoding order; the values of others than the types do not matter to RTP.
pub(crate) fn parameter_sets(codec: Codec) -> Vec<Bytes> {
    match codec {
        Codec::H264 => vec![
            Bytes::from_static(&[0x67, 0x42, 0xc0, 0x0a, 0xda, 0x1c, 0x9e]),
            Bytes::from_static(&[0x68, 0xce, 0x03, 0x9c, 0x80]),
        ],
        Codec::H265 => vec![
            Bytes::from_static(&[0x40, 0x01, 0x0c, 0x01]),
            Bytes::from_static(&[0x42, 0x01, 0x01, 0x01, 0x60]),
            Bytes::from_static(&[0x44, 0x01, 0xc1, 0x72]),
        ],
        _ => Vec::new(),
    }
}

pub(crate) fn random_frame(random: &mut Seeded, codec: Codec, keyframe: bool) -> Frame {
    let discardable = !keyframe && random.below(3) == 0;
    let mut data = BytesMut::new();
    match codec {
        Codec::H264 => {
            let kind = if keyframe {
                0x65
            } else if discardable {
                0x01
            } else {
                0x41
            };
            if random.below(3) == 0 {
                nal(&mut data, random, &[0x06], 40);
            }
            nal(&mut data, random, &[kind, 0x88], 6_000);
            for _ in 0..random.below(3) {
                nal(&mut data, random, &[kind, 0x48], 3_000);
            }
        }
        Codec::H265 => {
            let kind = if keyframe { 19 << 1 } else { 1 << 1 };
            if random.below(3) == 0 {
                nal(&mut data, random, &[39 << 1, 1], 40);
            }
            nal(&mut data, random, &[kind, 1, 0x88], 6_000);
            for _ in 0..random.below(3) {
                nal(&mut data, random, &[kind, 1, 0x08], 3_000);
            }
        }
        Codec::Av1 => {
            if keyframe {
                obu(&mut data, random, 1, &[0], 12);
            }
            for _ in 0..random.below(3) {
                obu(&mut data, random, 5, &[], 30);
            }
            obu(
                &mut data,
                random,
                6,
                &[if keyframe { 0x10 } else { 0x30 }],
                6_000,
            );
            for _ in 0..random.below(4) {
                obu(&mut data, random, 4, &[], 800);
            }
        }
        Codec::Vp8 => {
            data.put_u8(u8::from(!keyframe));
            noise(&mut data, random, 6_000);
        }
        Codec::Vp9 => {
            data.extend_from_slice(if keyframe {
                &[0x82, 0x49, 0x83, 0x42]
            } else {
                &[0x86]
            });
            noise(&mut data, random, 6_000);
        }
        Codec::Aac => {
            data.put_u8(0x21);
            noise(&mut data, random, 2_000);
        }
        _ => {
            data.put_u8(0x78);
            noise(&mut data, random, 1_200);
        }
    }
    let keyframe = keyframe || codec.kind() == MediaKind::Audio;
    Frame {
        discardable: discardable && codec.kind() == MediaKind::Video,
        ..frame(codec, keyframe, data.freeze())
    }
}

fn nal(data: &mut BytesMut, random: &mut Seeded, head: &[u8], most: u64) {
    let mut unit = BytesMut::from(head);
    noise(&mut unit, random, most);
    data.put_u32(u32::try_from(unit.len()).unwrap());
    data.extend_from_slice(&unit);
}

fn obu(data: &mut BytesMut, random: &mut Seeded, kind: u8, head: &[u8], most: u64) {
    let mut body = BytesMut::from(head);
    noise(&mut body, random, most);
    let extension = random.below(4) == 0;
    data.put_u8(kind << 3 | 0x02 | u8::from(extension) << 2);
    if extension {
        data.put_u8(0x28);
    }
    let mut length = body.len();
    while length >= 0x80 {
        data.put_u8(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    data.put_u8(u8::try_from(length).unwrap());
    data.extend_from_slice(&body);
}

/// Between 1 and `most` bytes, most often few.
fn noise(data: &mut BytesMut, random: &mut Seeded, most: u64) {
    let most = if random.below(2) == 0 {
        most
    } else {
        most.min(60)
    };
    for _ in 0..=random.below(most) {
        data.put_u8(u8::try_from(random.below(256)).unwrap());
    }
}
