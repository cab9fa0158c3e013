//! Payloads made by hand: the corners of each format, and senders that bend it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use bytes::Bytes;
use sluice_media::Codec;
use sluice_rtp::{AccessUnit, Damage, Depacketized, Depacketizer, Packet};

struct Receiver {
    depacketizer: Depacketizer,
    sequence: u64,
}

impl Receiver {
    fn new(codec: Codec) -> Self {
        Self {
            depacketizer: Depacketizer::new(codec).unwrap(),
            sequence: 0,
        }
    }

    fn take(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<Depacketized> {
        self.sequence += 1;
        let packet = Packet {
            sequence: self.sequence,
            timestamp,
            marker,
            payload: Bytes::copy_from_slice(payload),
        };
        let mut out = Vec::new();
        self.depacketizer.handle_packet(packet, &mut out);
        out
    }

    /// The one unit that this packet completes.
    fn unit(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> AccessUnit {
        let mut out = self.take(timestamp, marker, payload);
        assert_eq!(out.len(), 1, "{out:?}");
        match out.remove(0) {
            Depacketized::Unit(unit) => Some(unit),
            Depacketized::Damaged(_) => None,
        }
        .unwrap()
    }

    fn lose(&mut self, packets: u64) {
        self.sequence += packets;
    }
}

fn damaged(damage: Damage) -> Vec<Depacketized> {
    vec![Depacketized::Damaged(damage)]
}

#[test]
fn h264_aggregate_and_fragments_make_one_keyframe() {
    let mut receiver = Receiver::new(Codec::H264);
    // STAP-A of a delimiter, an SPS, a PPS; then an IDR slice in two fragments.
    let aggregate = [
        0x78, 0, 2, 0x09, 0x10, 0, 4, 0x67, 0x42, 0xc0, 0x0a, 0, 3, 0x68, 0xce, 0x03,
    ];
    assert_eq!(receiver.take(9, false, &aggregate), []);
    assert_eq!(receiver.take(9, false, &[0x7c, 0x85, 0x88, 1, 2]), []);
    let unit = receiver.unit(9, true, &[0x7c, 0x45, 3, 4]);
    assert_eq!(unit.data[..], [0, 0, 0, 6, 0x65, 0x88, 1, 2, 3, 4]);
    assert!(unit.keyframe && !unit.discardable);
    assert_eq!(
        unit.parameter_sets,
        [vec![0x67, 0x42, 0xc0, 0x0a], vec![0x68, 0xce, 0x03]]
    );
    let next = receiver.unit(10, true, &[0x01, 0x9a, 7]);
    assert_eq!(next.data[..], [0, 0, 0, 3, 0x01, 0x9a, 7]);
    assert!(next.discardable && !next.keyframe);
    assert!(next.parameter_sets.is_empty());
}

#[test]
fn h264_sets_under_a_timestamp_of_their_own_go_with_the_next_unit() {
    let mut receiver = Receiver::new(Codec::H264);
    assert_eq!(receiver.take(1, true, &[0x67, 0x42, 0xc0, 0x0a]), []);
    assert_eq!(receiver.take(2, true, &[0x68, 0xce, 0x03]), []);
    let unit = receiver.unit(3, true, &[0x65, 0x88, 1]);
    assert_eq!(unit.parameter_sets.len(), 2);
    // A new group replaces one that never came out.
    assert_eq!(receiver.take(4, true, &[0x67, 1, 1, 1]), []);
    assert_eq!(receiver.take(5, true, &[0x67, 2, 2, 2]), []);
    let unit = receiver.unit(6, true, &[0x65, 0x88, 1]);
    assert_eq!(unit.parameter_sets, [vec![0x67, 2, 2, 2]]);
}

#[test]
fn h264_keyframe_whose_sets_may_be_lost_is_not_taken() {
    let sets = [0x78, 0, 4, 0x67, 0x42, 0xc0, 0x0a, 0, 3, 0x68, 0xce, 0x03];
    let mut receiver = Receiver::new(Codec::H264);
    receiver.take(1, false, &sets);
    assert!(receiver.unit(1, true, &[0x65, 0x88, 1]).keyframe);
    receiver.lose(1);
    assert_eq!(
        receiver.take(2, true, &[0x65, 0x88, 2]),
        damaged(Damage::Lost)
    );
    receiver.take(3, false, &sets);
    assert!(receiver.unit(3, true, &[0x65, 0x88, 3]).keyframe);
    // A sender that keeps its sets in SDP loses none of them.
    let mut receiver = Receiver::new(Codec::H264);
    receiver.unit(1, true, &[0x65, 0x88, 1]);
    receiver.lose(1);
    let out = receiver.take(2, true, &[0x65, 0x88, 2]);
    assert_eq!(out.len(), 2, "{out:?}");
    assert!(matches!(&out[1], Depacketized::Unit(unit) if unit.keyframe));
}

#[test]
fn h264_marker_on_every_slice_costs_one_unit_and_is_not_believed_again() {
    let mut receiver = Receiver::new(Codec::H264);
    let early = receiver.unit(1, true, &[0x65, 0x88, 1]);
    assert_eq!(early.data.len(), 7);
    assert_eq!(
        receiver.take(1, true, &[0x65, 0x48, 2]),
        damaged(Damage::Malformed)
    );
    assert!(receiver.depacketizer.awaits_keyframe());
    assert_eq!(receiver.take(2, true, &[0x65, 0x88, 3]), []);
    assert_eq!(receiver.take(2, true, &[0x65, 0x48, 4]), []);
    let unit = receiver.unit(3, true, &[0x41, 0x88, 5]);
    assert_eq!(unit.timestamp, 2);
    assert_eq!(
        unit.data[..],
        [0, 0, 0, 3, 0x65, 0x88, 3, 0, 0, 0, 3, 0x65, 0x48, 4]
    );
    let mut out = Vec::new();
    receiver.depacketizer.finish(&mut out);
    assert_eq!(out.len(), 1, "the open unit is complete at the end");
}

#[test]
fn h264_breaches_are_told_and_drop_the_unit() {
    let breaches: [(&str, &[u8]); 10] = [
        ("forbidden bit", &[0xe5, 0x88]),
        ("forbidden bit in an aggregate", &[0x78, 0, 2, 0xe5, 0x88]),
        ("type 0", &[0x60, 0x88]),
        ("interleaved", &[0x79, 0, 0, 0, 1, 0x65]),
        ("aggregate cut short", &[0x78, 0, 9, 0x65, 0x88]),
        ("aggregate of an aggregate", &[0x78, 0, 2, 0x78, 0x88]),
        ("empty unit in an aggregate", &[0x78, 0, 0]),
        ("fragment of an aggregate", &[0x7c, 0x98, 0x88]),
        ("fragment without its header", &[0x7c]),
        ("end before a start", &[0x7c, 0x45, 0x88]),
    ];
    for (name, breach) in breaches {
        let mut receiver = Receiver::new(Codec::H264);
        receiver.unit(1, true, &[0x65, 0x88, 1]);
        let out = receiver.take(2, true, breach);
        assert!(
            matches!(
                out[..],
                [Depacketized::Damaged(Damage::Malformed | Damage::Lost)]
            ),
            "{name}: {out:?}"
        );
        assert_eq!(receiver.take(3, true, &[0x41, 0x88, 1]), [], "{name}");
        assert!(receiver.unit(4, true, &[0x65, 0x88, 1]).keyframe, "{name}");
    }
}

#[test]
fn h264_fragment_that_never_ends_drops_its_unit() {
    let mut receiver = Receiver::new(Codec::H264);
    assert_eq!(
        receiver.take(1, true, &[0x7c, 0x85, 0x88, 1]),
        damaged(Damage::Malformed)
    );
    assert_eq!(receiver.take(2, false, &[0x7c, 0x85, 0x88, 1]), []);
    assert_eq!(receiver.take(3, true, &[0x65, 0x48, 1]), []);
    assert_eq!(receiver.take(3, false, &[0x7c, 0x85, 0x88, 1]), []);
    assert_eq!(
        receiver.take(3, true, &[0x7c, 0x46, 0x88, 1]),
        [],
        "another type"
    );
    assert!(receiver.unit(4, true, &[0x65, 0x88]).keyframe);
}

#[test]
fn h265_aggregate_fragments_and_sets_make_one_keyframe() {
    let mut receiver = Receiver::new(Codec::H265);
    let aggregate = [
        0x60, 0x01, 0, 4, 0x40, 0x01, 0x0c, 0x01, 0, 4, 0x42, 0x01, 0x01, 0x01, 0, 3, 0x44, 0x01,
        0xc1,
    ];
    assert_eq!(receiver.take(9, false, &aggregate), []);
    assert_eq!(receiver.take(9, false, &[0x62, 0x01, 0x93, 0x80, 1]), []);
    assert_eq!(receiver.take(9, false, &[0x62, 0x01, 0x13, 2]), []);
    let unit = receiver.unit(9, true, &[0x62, 0x01, 0x53, 3]);
    assert_eq!(unit.data[..], [0, 0, 0, 6, 0x26, 0x01, 0x80, 1, 2, 3]);
    assert!(unit.keyframe);
    assert_eq!(unit.parameter_sets.len(), 3);
    // TRAIL_N of the only sub-layer, and TRAIL_R.
    assert!(receiver.unit(10, true, &[0x00, 0x01, 0x80, 1]).discardable);
    assert!(!receiver.unit(11, true, &[0x02, 0x01, 0x80, 1]).discardable);
}

#[test]
fn vp8_picture_ids_tell_that_only_padding_was_lost() {
    let mut receiver = Receiver::new(Codec::Vp8);
    let picture = |id: u8, key: bool| [0x90, 0x80, 0x80, id, u8::from(!key), 7];
    assert!(receiver.unit(1, true, &picture(1, true)).keyframe);
    assert_eq!(receiver.take(1, false, &[]), [], "padding");
    receiver.lose(1);
    assert_eq!(receiver.unit(2, true, &picture(2, false)).data[..], [1, 7]);
    receiver.lose(1);
    assert_eq!(
        receiver.take(3, true, &picture(4, false)),
        damaged(Damage::Lost)
    );
    assert_eq!(receiver.take(4, true, &picture(5, false)), []);
    assert!(receiver.unit(5, true, &picture(6, true)).keyframe);
    receiver.lose(65);
    assert_eq!(
        receiver.take(6, true, &picture(7, false)),
        damaged(Damage::Lost),
        "after so many an id follows by chance"
    );
    assert!(receiver.unit(6, true, &picture(6, true)).keyframe);
    receiver.lose(1);
    receiver.take(6, false, &[]);
    assert_eq!(
        receiver.take(7, true, &picture(8, false)),
        damaged(Damage::Lost),
        "the gap lies before the padding"
    );
}

#[test]
fn vp8_partitions_in_packets_of_their_own_are_one_frame() {
    let mut receiver = Receiver::new(Codec::Vp8);
    assert_eq!(receiver.take(1, false, &[0x10, 0x00, 1]), []);
    assert_eq!(receiver.take(1, false, &[0x11, 2, 3]), []);
    let unit = receiver.unit(1, true, &[0x02, 4]);
    assert_eq!(unit.data[..], [0x00, 1, 2, 3, 4]);
    // Two frames under one timestamp, as a hidden reference and what is shown.
    assert_eq!(receiver.take(2, false, &[0x10, 0x01, 5]), []);
    let both = receiver.take(2, true, &[0x10, 0x01, 6]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn vp9_spatial_layers_give_the_base_alone_and_their_loss_costs_nothing() {
    let mut receiver = Receiver::new(Codec::Vp9);
    let key = [0x82, 0x49, 0x83, 0x42];
    let base = |id: u8, predicted: bool, frame: &[u8]| {
        let first = 0xac | if predicted { 0x40 } else { 0 };
        [&[first, id, 0x00, id], frame].concat()
    };
    let upper = |id: u8| [0xec, id, 0x03, id, 0x86, 9];
    let unit = receiver.unit(1, false, &base(1, false, &key));
    assert!(unit.keyframe);
    assert_eq!(unit.data[..], key);
    assert_eq!(receiver.take(1, true, &upper(1)), []);
    let unit = receiver.unit(2, false, &base(2, true, &[0x86, 1]));
    assert_eq!((unit.keyframe, &unit.data[..]), (false, &[0x86, 1][..]));
    receiver.lose(1);
    assert_eq!(
        receiver
            .unit(3, false, &base(3, true, &[0x86, 2]))
            .timestamp,
        3
    );
    receiver.lose(2);
    assert_eq!(receiver.take(4, true, &upper(4)), []);
    assert_eq!(
        receiver.take(5, false, &base(5, true, &[0x86, 3])),
        damaged(Damage::Lost)
    );
}

#[test]
fn vp9_says_keyframe_in_its_own_header() {
    let mut receiver = Receiver::new(Codec::Vp9);
    // `P` is never set: the second is a delta frame all the same, the third shows a frame again.
    assert!(receiver.unit(1, true, &[0x8c, 1, 0x82, 0x49]).keyframe);
    assert!(!receiver.unit(2, true, &[0x8c, 2, 0x86, 0x49]).keyframe);
    assert!(!receiver.unit(3, true, &[0x8c, 3, 0x88]).keyframe);
    assert_eq!(
        receiver.take(4, true, &[0x8c, 4, 0x12]),
        damaged(Damage::Malformed),
        "no frame marker"
    );
}

#[test]
fn av1_elements_become_obus_with_sizes() {
    let mut receiver = Receiver::new(Codec::Av1);
    // N, W = 3: temporal delimiter, sequence header with a size field, first half of a frame.
    let first = [0x78, 1, 0x10, 4, 0x0a, 2, 0xaa, 0xbb, 0x30, 0x10, 1];
    assert_eq!(receiver.take(9, false, &first), []);
    // Z, W = 0: the other half, then a tile group with an extension; each with its length.
    let unit = receiver.unit(9, true, &[0x80, 2, 2, 3, 3, 0x24, 0x28, 7]);
    assert!(unit.keyframe);
    assert_eq!(
        unit.data[..],
        [
            0x0a, 2, 0xaa, 0xbb, 0x32, 4, 0x10, 1, 2, 3, 0x26, 0x28, 1, 7
        ]
    );
    // W = 1: no length.
    let next = receiver.unit(10, true, &[0x10, 0x30, 0x30, 5]);
    assert_eq!(next.data[..], [0x32, 2, 0x30, 5]);
    assert!(!next.keyframe);
}

#[test]
fn av1_senders_that_never_set_n_are_entered_at_a_sequence_header() {
    // A sequence header, counted and not; one behind a temporal delimiter.
    let starts: [&[u8]; 3] = [
        &[0x20, 2, 0x08, 0, 0x30, 0x10],
        &[0x00, 2, 0x08, 0, 2, 0x30, 0x10],
        &[0x30, 1, 0x10, 2, 0x08, 0, 0x30, 0x10],
    ];
    for start in starts {
        let mut receiver = Receiver::new(Codec::Av1);
        assert!(receiver.unit(1, true, start).keyframe);
        receiver.lose(1);
        let out = receiver.take(2, true, start);
        assert!(matches!(&out[1], Depacketized::Unit(unit) if unit.keyframe));
    }
    let mut receiver = Receiver::new(Codec::Av1);
    assert_eq!(
        receiver.take(1, true, &[0x10, 0x30, 0x10]),
        damaged(Damage::NoKeyframe),
        "a frame may have lost its sequence header"
    );
}

#[test]
fn av1_breaches_are_told_and_drop_the_unit() {
    let breaches: [(&str, &[u8]); 6] = [
        ("continues nothing", &[0x90, 0x30, 0x10]),
        ("length beyond the packet", &[0x20, 9, 0x30]),
        (
            "endless length",
            &[0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
        ),
        ("forbidden bit", &[0x10, 0xb0, 0x10]),
        ("size beyond the element", &[0x10, 0x32, 9, 0x10]),
        ("goes on behind the marker", &[0x50, 0x30, 0x30]),
    ];
    for (name, breach) in breaches {
        let mut receiver = Receiver::new(Codec::Av1);
        let key = [0x28, 2, 0x08, 0, 0x30, 0x10];
        assert!(receiver.unit(1, true, &key).keyframe);
        let out = receiver.take(2, true, breach);
        assert!(
            matches!(
                out[..],
                [Depacketized::Damaged(Damage::Malformed | Damage::Lost)]
            ),
            "{name}: {out:?}"
        );
        assert_eq!(receiver.take(3, true, &[0x10, 0x30, 0x30]), [], "{name}");
        assert!(receiver.unit(4, true, &key).keyframe, "{name}");
    }
}

#[test]
fn aac_units_of_one_packet_are_1024_samples_apart() {
    let mut receiver = Receiver::new(Codec::Aac);
    // Three headers of 16 bits: 2, 1 and 3 bytes.
    let payload = [0, 48, 0, 0x10, 0, 0x08, 0, 0x18, 1, 2, 3, 4, 5, 6];
    let got: Vec<_> = receiver
        .take(u32::MAX - 1_023, true, &payload)
        .into_iter()
        .filter_map(|event| match event {
            Depacketized::Unit(unit) => Some((unit.timestamp, unit.data.to_vec())),
            Depacketized::Damaged(_) => None,
        })
        .collect();
    let expected = [
        (u32::MAX - 1_023, vec![1, 2]),
        (0, vec![3]),
        (1_024, vec![4, 5, 6]),
    ];
    assert_eq!(got, expected);
}

#[test]
fn aac_breaches_give_nothing_and_the_next_packet_is_whole() {
    let breaches: [(&str, &[u8]); 6] = [
        ("no headers", &[0, 0, 1]),
        ("headers beyond the packet", &[0, 32, 0, 0x10]),
        ("half a header", &[0, 8, 0, 1]),
        (
            "second unit beyond the packet",
            &[0, 32, 0, 0x08, 0, 0x18, 1, 2],
        ),
        ("empty unit", &[0, 16, 0, 0]),
        ("marker on the first of two fragments", &[0, 16, 0, 0x20, 1]),
    ];
    for (name, breach) in breaches {
        let mut receiver = Receiver::new(Codec::Aac);
        assert_eq!(
            receiver.take(1, true, breach),
            damaged(Damage::Malformed),
            "{name}"
        );
        assert_eq!(
            receiver.unit(2, true, &[0, 16, 0, 0x08, 9]).data[..],
            [9],
            "{name}"
        );
    }
}

#[test]
fn aac_fragments_of_two_units_are_not_joined() {
    let fragment = [0, 16, 0, 0x20, 1, 2];
    let mut receiver = Receiver::new(Codec::Aac);
    assert_eq!(receiver.take(1, false, &fragment), []);
    assert_eq!(
        receiver.take(2, true, &fragment),
        damaged(Damage::Malformed)
    );
    assert_eq!(receiver.take(3, false, &fragment), []);
    assert_eq!(receiver.unit(3, true, &fragment).data[..], [1, 2, 1, 2]);
}

#[test]
fn opus_payload_is_the_unit_and_a_gap_is_told() {
    let mut receiver = Receiver::new(Codec::Opus);
    assert_eq!(receiver.unit(1, false, &[0x78, 1]).data[..], [0x78, 1]);
    receiver.lose(1);
    let out = receiver.take(3, false, &[0x78, 2]);
    assert_eq!(out[0], Depacketized::Damaged(Damage::Lost));
    assert!(matches!(&out[1], Depacketized::Unit(unit) if unit.keyframe));
    assert!(!receiver.depacketizer.awaits_keyframe());
}

#[test]
fn packet_that_is_not_above_the_last_is_ignored() {
    let mut receiver = Receiver::new(Codec::Opus);
    receiver.sequence = 10;
    receiver.unit(1, false, &[1]);
    receiver.sequence = 9;
    assert_eq!(receiver.take(1, false, &[1]), []);
    receiver.sequence = 11;
    receiver.unit(1, false, &[1]);
}
