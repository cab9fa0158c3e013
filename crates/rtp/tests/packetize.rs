//! The bytes on the wire, format by format. `GStreamer` 1.22 takes the same streams back byte for byte.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

#[expect(dead_code, reason = "what is random is tested elsewhere")]
mod seeded;
#[expect(dead_code, reason = "what is random is tested elsewhere")]
mod streams;

use bytes::Bytes;
use sluice_media::{Codec, Frame};
use sluice_rtp::{PacketizeError, Packetizer, PacketizerOptions, RtpPayload};
use streams::{frame, parameter_sets};

fn packetizer(codec: Codec, budget: usize, temporal_layers: bool) -> Packetizer {
    let mut options = PacketizerOptions::default();
    options.max_packet_bytes = budget + 12;
    options.first_picture_id = 0x7fff;
    options.temporal_layers = temporal_layers;
    Packetizer::new(codec, &options).unwrap()
}

fn packetize(packetizer: &mut Packetizer, frame: &Frame) -> Vec<RtpPayload> {
    let mut out = Vec::new();
    packetizer.packetize(frame, &mut out).unwrap();
    out
}

fn heads(payloads: &[RtpPayload]) -> Vec<&[u8]> {
    payloads.iter().map(RtpPayload::head).collect()
}

fn frame_of(codec: Codec, keyframe: bool, data: &[u8]) -> Frame {
    frame(codec, keyframe, Bytes::copy_from_slice(data))
}

#[test]
fn h264_keyframe_is_sets_together_then_even_fragments() {
    let mut packetizer = packetizer(Codec::H264, 32, false);
    packetizer.set_parameter_sets(&parameter_sets(Codec::H264));
    let nal = [&[0, 0, 0, 61, 0x65, 0x88][..], &[7; 59]].concat();
    let key = packetize(&mut packetizer, &frame_of(Codec::H264, true, &nal));
    assert_eq!(heads(&key), [&[0x78][..], &[0x7c, 0x85], &[0x7c, 0x45]]);
    assert_eq!(
        key[0].body()[..10],
        [0, 7, 0x67, 0x42, 0xc0, 0x0a, 0xda, 0x1c, 0x9e, 0]
    );
    assert_eq!((key[1].size(), key[2].size()), (32, 32));
    let markers: Vec<bool> = key.iter().map(RtpPayload::marker).collect();
    assert_eq!(markers, [false, false, true]);
    // No sets in front of others, and a unit that fits goes as it is.
    let next = packetize(
        &mut packetizer,
        &frame_of(Codec::H264, false, &[0, 0, 0, 2, 0x41, 0x9a]),
    );
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].clone().into_bytes()[..], [0x41, 0x9a]);
}

#[test]
fn h265_keyframe_is_sets_together_then_fragments() {
    let mut packetizer = packetizer(Codec::H265, 32, false);
    packetizer.set_parameter_sets(&parameter_sets(Codec::H265));
    let nal = [&[0, 0, 0, 60, 0x26, 0x01, 0x80][..], &[7; 57]].concat();
    let key = packetize(&mut packetizer, &frame_of(Codec::H265, true, &nal));
    let expected = [&[0x60, 0x01][..], &[0x62, 0x01, 0x93], &[0x62, 0x01, 0x53]];
    assert_eq!(heads(&key), expected);
}

#[test]
fn vp8_picture_id_wraps_at_15_bits() {
    let mut packetizer = packetizer(Codec::Vp8, 32, false);
    let key = packetize(&mut packetizer, &frame_of(Codec::Vp8, true, &[0; 40]));
    assert_eq!(
        heads(&key),
        [[0x90, 0x80, 0xff, 0xff], [0x80, 0x80, 0xff, 0xff]]
    );
    let next = packetize(&mut packetizer, &frame_of(Codec::Vp8, false, &[1]));
    assert_eq!(heads(&next), [[0x90, 0x80, 0x80, 0]]);
}

#[test]
fn vp8_discardable_frames_are_the_upper_temporal_layer() {
    let mut packetizer = packetizer(Codec::Vp8, 32, true);
    let key = packetize(&mut packetizer, &frame_of(Codec::Vp8, true, &[0]));
    assert_eq!(heads(&key), [[0x90, 0xe0, 0xff, 0xff, 1, 0]]);
    let mut upper = frame_of(Codec::Vp8, false, &[1]);
    upper.discardable = true;
    let upper = packetize(&mut packetizer, &upper);
    assert_eq!(heads(&upper), [[0xb0, 0xe0, 0x80, 0, 1, 0x60]]);
    let base = packetize(&mut packetizer, &frame_of(Codec::Vp8, false, &[1]));
    assert_eq!(heads(&base), [[0x90, 0xe0, 0x80, 1, 2, 0]]);
}

#[test]
fn vp9_keyframe_tells_its_size_in_the_first_packet_alone() {
    let mut packetizer = packetizer(Codec::Vp9, 32, false);
    let start = [0x82, 0x49, 0x83, 0x42, 0, 0x06, 0x10, 0x03, 0x50];
    let data = [&start[..], &[7; 20]].concat();
    let key = packetize(&mut packetizer, &frame_of(Codec::Vp9, true, &data));
    let expected = [
        &[0xaa, 0xff, 0xff, 0, 1, 0x18, 0, 98, 0, 54, 1, 0x04, 1][..],
        &[0xa4, 0xff, 0xff, 0, 1],
    ];
    assert_eq!(heads(&key), expected);
    let next = packetize(&mut packetizer, &frame_of(Codec::Vp9, false, &[0x86]));
    assert_eq!(heads(&next), [[0xec, 0x80, 0, 0, 2]]);
}

#[test]
fn av1_obus_share_a_packet_and_lose_their_sizes() {
    let mut packetizer = packetizer(Codec::Av1, 32, false);
    // A temporal delimiter, which does not belong there, a sequence header, a frame.
    let data = [0x12, 0, 0x0a, 2, 0xaa, 0xbb, 0x32, 3, 0x10, 1, 2];
    let key = packetize(&mut packetizer, &frame_of(Codec::Av1, true, &data));
    assert_eq!(key.len(), 1);
    assert_eq!(
        key[0].clone().into_bytes()[..],
        [0x28, 3, 0x08, 0xaa, 0xbb, 0x30, 0x10, 1, 2]
    );
    let long = [&[0x32, 41, 0x30][..], &[7; 40]].concat();
    let next = packetize(&mut packetizer, &frame_of(Codec::Av1, false, &long));
    assert_eq!(heads(&next), [&[0x50, 0x30][..], &[0x90]]);
}

#[test]
fn aac_header_has_the_size_of_the_whole_unit() {
    let mut packetizer = packetizer(Codec::Aac, 32, false);
    let unit = packetize(&mut packetizer, &frame_of(Codec::Aac, true, &[1; 30]));
    assert_eq!(heads(&unit), [[0, 16, 0, 0xf0]; 2]);
    let sizes: Vec<_> = unit
        .iter()
        .map(|part| (part.size(), part.marker()))
        .collect();
    assert_eq!(sizes, [(19, false), (19, true)]);
}

#[test]
fn frames_out_of_form_are_refused_and_change_nothing() {
    let refused: [(Codec, &[u8], PacketizeError); 8] = [
        (Codec::Opus, &[], PacketizeError::Empty),
        (
            Codec::H264,
            &[0, 0, 0, 9, 0x65],
            PacketizeError::Malformed { at: 0 },
        ),
        (
            Codec::H264,
            &[0, 0, 0, 1, 0x65, 0, 0, 1],
            PacketizeError::Malformed { at: 5 },
        ),
        (
            Codec::H264,
            &[0, 0, 0, 1, 0x7c],
            PacketizeError::Malformed { at: 0 },
        ),
        (
            Codec::H265,
            &[0, 0, 0, 1, 0x26],
            PacketizeError::Malformed { at: 0 },
        ),
        (Codec::Av1, &[0x30, 1], PacketizeError::Malformed { at: 0 }),
        (Codec::Av1, &[0x12, 0], PacketizeError::Empty),
        (
            Codec::Aac,
            &[1; 8_192],
            PacketizeError::TooLarge { bytes: 8_192 },
        ),
    ];
    for (codec, data, error) in refused {
        let mut packetizer = packetizer(codec, 1_000, false);
        let mut out = packetize(
            &mut self::packetizer(Codec::Opus, 32, false),
            &frame_of(Codec::Opus, true, &[1]),
        );
        let frame = frame_of(codec, true, data);
        assert_eq!(
            packetizer.packetize(&frame, &mut out),
            Err(error),
            "{codec:?}"
        );
        assert_eq!(out.len(), 1, "{codec:?}");
    }
    for codec in [Codec::H266, Codec::Mp3] {
        assert!(Packetizer::new(codec, &PacketizerOptions::default()).is_none());
    }
}
