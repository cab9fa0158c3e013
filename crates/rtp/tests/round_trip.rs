//! What a packetizer cuts a depacketizer puts together again, whatever the frame and the budget.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod seeded;
mod streams;

use bytes::Bytes;
use seeded::Seeded;
use sluice_media::{Codec, Frame};
use sluice_rtp::{
    AccessUnit, Damage, Depacketized, Depacketizer, Packet, Packetizer, PacketizerOptions,
};
use streams::{frame, options, parameter_sets, random_frame};

const CODECS: [Codec; 10] = [
    Codec::H264,
    Codec::H265,
    Codec::Vp8,
    Codec::Vp9,
    Codec::Av1,
    Codec::Opus,
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Aac,
];

struct Wire {
    packetizer: Packetizer,
    depacketizer: Depacketizer,
    sequence: u64,
    budget: usize,
}

impl Wire {
    fn new(codec: Codec, options: &PacketizerOptions) -> Self {
        let mut packetizer = Packetizer::new(codec, options).unwrap();
        packetizer.set_parameter_sets(&parameter_sets(codec));
        Self {
            packetizer,
            depacketizer: Depacketizer::new(codec).unwrap(),
            sequence: 70_000,
            budget: (options.max_packet_bytes - options.overhead_bytes).max(32),
        }
    }

    fn carry(&mut self, frame: &Frame, timestamp: u32) -> Vec<Depacketized> {
        let (mut payloads, mut out) = (Vec::new(), Vec::new());
        self.packetizer.packetize(frame, &mut payloads).unwrap();
        let last = payloads.len() - 1;
        for (index, payload) in payloads.into_iter().enumerate() {
            assert!(payload.size() <= self.budget || frame.codec == Codec::Opus);
            if frame.codec.kind() == sluice_media::MediaKind::Video {
                assert_eq!(payload.marker(), index == last);
            }
            let packet = Packet {
                sequence: self.sequence,
                timestamp: timestamp.wrapping_add(payload.ticks()),
                marker: payload.marker(),
                payload: payload.into_bytes(),
            };
            self.sequence += 1;
            self.depacketizer.handle_packet(packet, &mut out);
        }
        out
    }
}

fn units(out: Vec<Depacketized>) -> Vec<AccessUnit> {
    let unit = |event| match event {
        Depacketized::Unit(unit) => unit,
        Depacketized::Damaged(damage) => panic!("{damage:?}"),
    };
    out.into_iter().map(unit).collect()
}

#[test]
fn frames_of_every_codec_come_back_as_they_were_at_every_budget() {
    for codec in CODECS {
        for seed in 1..=200 {
            let mut random = Seeded::new(seed);
            let budget =
                32 + usize::try_from(random.below(if seed % 4 == 0 { 60 } else { 1_500 })).unwrap();
            let mut wire = Wire::new(codec, &options(budget));
            for index in 0..12_u32 {
                let keyframe = index == 0 || random.below(5) == 0;
                let sent = random_frame(&mut random, codec, keyframe);
                let timestamp = (index * 3_000).wrapping_sub(9_001);
                let got = units(wire.carry(&sent, timestamp));
                let context = format!("{codec:?}, seed {seed}, frame {index}, budget {budget}");
                let joined: Vec<u8> = got.iter().flat_map(|unit| unit.data.to_vec()).collect();
                assert_eq!(joined, sent.data, "{context}");
                assert_eq!(got[0].timestamp, timestamp, "{context}");
                if codec.kind() == sluice_media::MediaKind::Video {
                    assert_eq!(got.len(), 1, "{context}");
                    assert_eq!(got[0].keyframe, keyframe, "{context}");
                    let sets = if keyframe {
                        parameter_sets(codec)
                    } else {
                        Vec::new()
                    };
                    assert_eq!(got[0].parameter_sets, sets, "{context}");
                    if matches!(codec, Codec::Vp8 | Codec::H264) {
                        assert_eq!(got[0].discardable, sent.discardable, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn parameter_sets_longer_than_a_packet_come_back_whole() {
    for codec in [Codec::H264, Codec::H265] {
        let mut wire = Wire::new(codec, &options(32));
        let mut sets = parameter_sets(codec);
        sets[1] = [&sets[1][..], &[7; 100]].concat().into();
        wire.packetizer.set_parameter_sets(&sets);
        let sent = random_frame(&mut Seeded::new(3), codec, true);
        let got = units(wire.carry(&sent, 0));
        assert_eq!(got[0].parameter_sets, sets, "{codec:?}");
        assert_eq!(got[0].data, sent.data, "{codec:?}");
    }
}

#[test]
fn single_packets_are_not_copied() {
    let mut random = Seeded::new(7);
    for codec in [Codec::Opus, Codec::Pcmu, Codec::Vp8, Codec::Vp9] {
        let sent = frame(codec, true, start_of(codec));
        let mut payloads = Vec::new();
        Packetizer::new(codec, &options(1_188))
            .unwrap()
            .packetize(&sent, &mut payloads)
            .unwrap();
        assert_eq!(payloads[0].body().as_ptr(), sent.data.as_ptr(), "{codec:?}");
        let packet = Packet {
            sequence: 1,
            timestamp: 0,
            marker: true,
            payload: payloads.remove(0).into_bytes(),
        };
        let end = packet.payload.as_ptr_range().end;
        let mut out = Vec::new();
        Depacketizer::new(codec)
            .unwrap()
            .handle_packet(packet, &mut out);
        assert_eq!(units(out)[0].data.as_ptr_range().end, end, "{codec:?}");
    }
    // One NAL unit within the budget is the payload.
    let sent = random_frame(&mut random, Codec::H264, false);
    let mut payloads = Vec::new();
    Packetizer::new(Codec::H264, &options(60_000))
        .unwrap()
        .packetize(&sent, &mut payloads)
        .unwrap();
    assert!(payloads.iter().all(|payload| payload.head().is_empty()));
    assert!(
        sent.data
            .as_ptr_range()
            .contains(&payloads[0].body().as_ptr())
    );
}

#[test]
fn a_unit_above_the_bound_is_dropped_and_told() {
    let mut wire = Wire::new(Codec::Vp8, &options(60_000));
    let large = frame(Codec::Vp8, true, Bytes::from(vec![0; (8 << 20) + 1]));
    assert_eq!(
        wire.carry(&large, 0),
        [Depacketized::Damaged(Damage::TooLarge)]
    );
    assert!(wire.depacketizer.awaits_keyframe());
    let fits = frame(Codec::Vp8, true, Bytes::from(vec![0; 8 << 20]));
    assert_eq!(units(wire.carry(&fits, 3_000)).len(), 1);
    assert!(!wire.depacketizer.awaits_keyframe());
}

/// The first bytes of a keyframe.
fn start_of(codec: Codec) -> Bytes {
    match codec {
        Codec::Vp8 => Bytes::from_static(&[0x10, 0, 0, 0x9d, 0x01, 0x2a, 98, 0, 54, 0]),
        Codec::Vp9 => Bytes::from_static(&[0x82, 0x49, 0x83, 0x42, 0, 0x06, 0x10, 0x03, 0x50]),
        _ => Bytes::from_static(&[1, 2, 3]),
    }
}
