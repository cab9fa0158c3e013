//! What the payload descriptors say of captured streams and of packets made by hand.
//!
//! The captures under `fuzz/corpus/payload` are the RTP payloads of six frames of ffmpeg's test picture, with a
//! keyframe every four. A file is named `<codec>-<packet>-frame<n>[-marker]` and begins with the index of its codec in
//! [`Codec::KNOWN`]. ffmpeg never sets VP9's `P` bit, so the captures had it set on their delta frames.

#![expect(
    clippy::unwrap_used,
    reason = "a capture that cannot be read fails the test"
)]

use std::path::Path;

use sluice_media::Codec;
use sluice_rtp::payload::{inspect, vp8, vp9};
use sluice_rtp::{KeyframeStart, PayloadInfo, PictureIds};

struct Packet {
    frame: u32,
    marker: bool,
    info: PayloadInfo,
    payload: Vec<u8>,
}

fn capture(name: &str) -> Vec<Packet> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/payload");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            file.strip_prefix(name)
                .is_some_and(|rest| rest.as_bytes()[1].is_ascii_digit())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no capture of {name}");
    let read = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let (_, frame) = file.split_once("frame").unwrap();
        let payload = bytes[1..].to_vec();
        Packet {
            frame: frame[..1].parse().unwrap(),
            marker: frame.ends_with("-marker"),
            info: inspect(Codec::KNOWN[usize::from(bytes[0])], &payload),
            payload,
        }
    };
    files.iter().map(read).collect()
}

/// Facts that hold for every capture, whatever the codec.
fn check(name: &str, keyframes: &[u32], resolution: (u16, u16)) {
    let packets = capture(name);
    let mut starts = KeyframeStart::default();
    let mut previous = None;
    let mut found = Vec::new();
    for packet in &packets {
        let first_of_frame = previous != Some(packet.frame);
        if starts.is_first(packet.frame, &packet.info) {
            assert!(
                first_of_frame,
                "{name}: keyframe {} starts inside",
                packet.frame
            );
            found.push(packet.frame);
        }
        if first_of_frame {
            assert!(
                packet.info.starts_frame,
                "{name}: frame {} does not start",
                packet.frame
            );
        }
        if let Some(ends) = packet.info.ends_frame {
            assert_eq!(ends, packet.marker, "{name}: frame {}", packet.frame);
        }
        assert!(
            !packet.info.keyframe || keyframes.contains(&packet.frame),
            "{name}"
        );
        assert_eq!(
            (packet.info.spatial, packet.info.temporal),
            (0, 0),
            "{name}"
        );
        previous = Some(packet.frame);
    }
    assert_eq!(found, keyframes, "{name}");
    let sizes: Vec<_> = packets
        .iter()
        .filter_map(|packet| packet.info.resolution)
        .collect();
    assert_eq!(sizes, vec![resolution; keyframes.len()], "{name}");
}

#[test]
fn captured_keyframes_are_found_at_their_first_packet_with_their_size() {
    check("vp8", &[0, 4], (98, 54));
    check("vp9", &[0, 4], (98, 54));
    check("h264", &[0, 4], (98, 54));
    check("h264-interlaced", &[0], (98, 56));
    check("h265", &[0, 4], (98, 54));
    check("av1", &[0, 4], (98, 54));
}

#[test]
fn h26x_keyframe_material_reaches_to_the_last_fragment() {
    for name in ["h264", "h264-interlaced", "h265"] {
        for packet in capture(name)
            .iter()
            .filter(|packet| packet.frame == 0 && packet.marker)
        {
            assert!(packet.info.keyframe, "{name}");
        }
    }
}

#[test]
fn sps_alone_pps_alone_and_fragmented_idr_make_one_keyframe_start() {
    let sps = [
        0x67, 0x42, 0xc0, 0x0a, 0xda, 0x1c, 0x9e, 0x22, 0x6c, 0x04, 0x40, 0, 0,
    ];
    let packets: [(&[u8], bool); 5] = [
        (&sps, true),
        (&[0x68, 0xce, 0x03, 0x9c, 0x80], false),
        (&[0x7c, 0x85, 0x88, 0x84], true),
        (&[0x7c, 0x05, 0x88, 0x84], false),
        (&[0x7c, 0x45, 0x88, 0x84], false),
    ];
    let mut starts = KeyframeStart::default();
    for (index, (payload, claims)) in packets.into_iter().enumerate() {
        let info = inspect(Codec::H264, payload);
        assert!(info.keyframe, "{index}");
        assert_eq!(info.starts_keyframe, claims, "{index}");
        assert_eq!(starts.is_first(90_000, &info), index == 0);
    }
    let next = inspect(Codec::H264, &[0x65, 0x88, 0x84]);
    assert!(
        starts.is_first(93_000, &next),
        "an IDR without parameter sets is a start of its own"
    );
}

#[test]
fn second_slice_of_an_idr_starts_nothing() {
    // `first_mb_in_slice` 1 is the code 010.
    let info = inspect(Codec::H264, &[0x65, 0x48, 0x84]);
    assert!(info.keyframe && !info.starts_keyframe && !info.starts_frame);
}

#[test]
fn h264_slices_nothing_refers_to_are_discardable() {
    assert!(inspect(Codec::H264, &[0x01, 0x9a]).discardable);
    assert!(!inspect(Codec::H264, &[0x41, 0x9a]).discardable);
    assert!(inspect(Codec::H264, &[0x1c, 0x81, 0x9a]).discardable);
    assert!(
        !inspect(Codec::H264, &[0x06, 0x05]).discardable,
        "a SEI has nal_ref_idc 0 too"
    );
}

#[test]
fn h265_header_gives_layer_and_switching_point() {
    // TSA_R (3) in temporal layer 2, then TRAIL_N (0) in layer 1.
    let info = inspect(Codec::H265, &[3 << 1, 3, 0x80]);
    assert!(info.switching_point && info.starts_frame && !info.discardable);
    assert_eq!((info.temporal, info.spatial), (2, 0));
    let info = inspect(Codec::H265, &[0, 2, 0x80]);
    assert!(info.discardable && !info.switching_point);
    assert_eq!(info.temporal, 1);
}

#[test]
fn vp8_descriptor_gives_every_field() {
    let payload = [0xb0, 0xf0, 0x92, 0x34, 0x56, 0xb5, 0x01, 0, 0];
    let info = inspect(Codec::Vp8, &payload);
    assert_eq!(
        info,
        PayloadInfo {
            starts_frame: true,
            discardable: true,
            temporal: 2,
            switching_point: true,
            picture_id: Some(0x1234),
            picture_id_bits: 15,
            tl0_picture_index: Some(0x56),
            key_index: Some(0x15),
            ..PayloadInfo::default()
        }
    );
}

#[test]
fn vp9_upper_spatial_layer_of_a_keyframe_is_no_keyframe_start() {
    // I, L, B, E; picture id 5; temporal 0, spatial 1, D; TL0PICIDX 9.
    let info = inspect(Codec::Vp9, &[0xac, 0x05, 0x03, 0x09, 0xaa]);
    assert!(info.keyframe && info.starts_frame && !info.starts_keyframe);
    assert_eq!(
        (info.spatial, info.picture_id, info.picture_id_bits),
        (1, Some(5), 7)
    );
    let base = inspect(Codec::Vp9, &[0xac, 0x05, 0x00, 0x09, 0xaa]);
    assert!(base.starts_keyframe);
    let delta = inspect(Codec::Vp9, &[0xec, 0x05, 0x50, 0x09, 0xaa]);
    assert!(!delta.keyframe && delta.switching_point);
    assert_eq!((delta.temporal, delta.tl0_picture_index), (2, Some(9)));
}

#[test]
fn vp9_flexible_mode_has_references_instead_of_tl0() {
    // I, P, L, F, B, E, V: two references, then a structure of two layers with sizes and one picture.
    let payload = [
        0xfe, 0x81, 0x23, 0x02, 0x03, 0x04, 0x38, 1, 0, 0, 0xc0, 2, 0, 1, 0x80, 1, 0x04, 0x01, 0xaa,
    ];
    let info = inspect(Codec::Vp9, &payload);
    assert_eq!(
        (info.picture_id, info.tl0_picture_index),
        (Some(0x123), None)
    );
    assert_eq!((info.spatial, info.resolution), (1, Some((512, 384))));
    assert_eq!(
        inspect(Codec::Vp9, &payload[..17]),
        PayloadInfo::default(),
        "truncated"
    );
}

#[test]
fn av1_layers_come_from_the_obu_extension() {
    // Two counted elements: a frame header (kind 3) at temporal 1, spatial 2, then a tile group.
    let info = inspect(Codec::Av1, &[0x20, 3, 0x1c, 0x30, 0x20, 0x20, 0x00]);
    assert!(info.starts_frame && !info.keyframe);
    assert_eq!((info.temporal, info.spatial), (1, 2));
    let continued = inspect(Codec::Av1, &[0x90, 0x1c, 0x30, 0x20]);
    assert_eq!(continued, PayloadInfo::default());
}

#[test]
fn audio_starts_and_ends_with_each_packet() {
    let info = inspect(Codec::Opus, &[0xfc]);
    assert!(info.starts_frame && info.starts_keyframe && info.ends_frame == Some(true));
}

#[test]
fn vp8_patch_changes_its_fields_and_nothing_else() {
    let payload = [0x90, 0xf0, 0x92, 0x34, 0x56, 0xb5, 0x01, 0, 0];
    let ids = PictureIds {
        picture_id: Some(0x7fff),
        tl0_picture_index: Some(0xff),
        key_index: Some(0x01),
    };
    let mut out = vec![0xee];
    assert!(vp8::patch(&payload, ids, &mut out));
    assert_eq!(out, [0xee, 0x90, 0xf0, 0xff, 0xff, 0xff, 0xa1, 0x01, 0, 0]);
}

#[test]
fn patch_refuses_what_does_not_fit_and_leaves_the_buffer() {
    let mut out = vec![0xee];
    let short = [0x90, 0x80, 0x05, 0x01];
    let ids = |id| PictureIds {
        picture_id: Some(id),
        ..PictureIds::default()
    };
    assert!(
        !vp8::patch(&short, ids(0x80), &mut out),
        "seven bits are not widened"
    );
    assert!(
        !vp8::patch(&[0x10, 0x01], ids(1), &mut out),
        "no picture id"
    );
    let tl0 = PictureIds {
        tl0_picture_index: Some(1),
        ..PictureIds::default()
    };
    assert!(!vp8::patch(&short, tl0, &mut out), "no TL0PICIDX");
    assert!(!vp9::patch_picture_id(
        &[0x8c, 0x05, 0xaa],
        0x80,
        None,
        &mut out
    ));
    assert!(!vp9::patch_picture_id(
        &[0x8c, 0x05, 0xaa],
        1,
        Some(1),
        &mut out
    ));
    assert!(
        !vp9::patch_picture_id(&[0x8c, 0x85], 1, None, &mut out),
        "truncated"
    );
    assert_eq!(out, [0xee]);
}

#[test]
fn vp9_patch_of_a_capture_changes_the_picture_id_only() {
    for (number, packet) in (0_u16..).zip(capture("vp9")) {
        // ffmpeg sends no picture id: give the packet one of either width.
        let (first, rest) = packet.payload.split_first().unwrap();
        let wide = number % 2 == 0;
        let field: &[u8] = if wide { &[0x81, 0x23] } else { &[0x23] };
        let payload = [&[first | 0x80], field, rest].concat();
        let before = inspect(Codec::Vp9, &payload);
        assert_eq!(before.picture_id, Some(if wide { 0x123 } else { 0x23 }));
        let id = if wide { 0x7000 + number } else { number };
        let mut out = Vec::new();
        assert!(vp9::patch_picture_id(&payload, id, None, &mut out));
        assert_eq!(
            inspect(Codec::Vp9, &out),
            PayloadInfo {
                picture_id: Some(id),
                ..before
            }
        );
        assert_eq!(out[1 + field.len()..], *rest);
    }
}
