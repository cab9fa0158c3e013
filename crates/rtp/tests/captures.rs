//! Streams that other software packetized, against what its container held.

#![expect(
    clippy::unwrap_used,
    reason = "a capture that cannot be read fails the test"
)]

use std::num::NonZeroU32;
use std::path::Path;

use bytes::Bytes;
use sluice_media::{Codec, Timestamp};
use sluice_rtp::{
    AccessUnit, Damage, DecodeTimes, Depacketized, Depacketizer, Packet, TimestampUnwrapper,
};

fn read(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read(path).unwrap().into()
}

fn packets(name: &str) -> Vec<Packet> {
    let mut rest = read(&format!("{name}.rtp"));
    let mut packets: Vec<Packet> = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let packet = rest.split_to(2 + length).slice(2..);
        assert_eq!(packet[0], 0x80, "neither padding nor extension");
        let sequence = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let cycle = u64::from(sequence < 60_000) << 16;
        packets.push(Packet {
            sequence: cycle + sequence,
            timestamp: u32::from_be_bytes(packet[4..8].try_into().unwrap()),
            marker: packet[1] & 0x80 != 0,
            payload: packet.slice(12..),
        });
    }
    packets
}

fn units(name: &str) -> Vec<(bool, Bytes)> {
    let mut rest = read(&format!("{name}.units"));
    let mut units = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..5].try_into().unwrap());
        let unit = rest.split_to(5 + usize::try_from(length).unwrap());
        units.push((unit[0] == 1, unit.slice(5..)));
    }
    units
}

fn depacketize(codec: Codec, packets: impl IntoIterator<Item = Packet>) -> Vec<Depacketized> {
    let (mut depacketizer, mut out) = (Depacketizer::new(codec).unwrap(), Vec::new());
    for packet in packets {
        depacketizer.handle_packet(packet, &mut out);
    }
    depacketizer.finish(&mut out);
    out
}

fn whole(out: Vec<Depacketized>) -> Vec<AccessUnit> {
    let unit = |event| match event {
        Depacketized::Unit(unit) => Some(unit),
        Depacketized::Damaged(_) => None,
    };
    out.into_iter().filter_map(unit).collect()
}

fn same(got: &[(bool, Bytes)], expected: &[(bool, Bytes)], context: &str) {
    let shape = |units: &[(bool, Bytes)]| -> Vec<(bool, usize)> {
        units.iter().map(|(key, data)| (*key, data.len())).collect()
    };
    assert_eq!(shape(got), shape(expected), "{context}");
    assert!(got == expected, "{context}");
}

const CAPTURES: [(Codec, &str, &str); 7] = [
    (Codec::H264, "h264", "h264"),
    (Codec::H264, "h264-bare", "h264"),
    (Codec::H265, "h265", "h265"),
    (Codec::Vp8, "vp8", "vp8"),
    (Codec::Vp9, "vp9", "vp9"),
    (Codec::Aac, "aac", "aac"),
    (Codec::Aac, "aac-fragments", "aac"),
];

#[test]
fn captures_give_what_the_container_held() {
    for (codec, name, expected) in CAPTURES {
        let got: Vec<_> = depacketize(codec, packets(name))
            .into_iter()
            .map(|event| match event {
                Depacketized::Unit(unit) => (unit.keyframe, unit.data),
                Depacketized::Damaged(damage) => panic!("{name}: {damage:?}"),
            })
            .collect();
        same(&got, &units(expected), name);
    }
}

#[test]
fn without_markers_the_next_timestamp_ends_a_unit() {
    for (codec, name, expected) in &CAPTURES[..5] {
        let unmarked = packets(name).into_iter().map(|packet| Packet {
            marker: false,
            ..packet
        });
        let got: Vec<_> = whole(depacketize(*codec, unmarked))
            .into_iter()
            .map(|unit| (unit.keyframe, unit.data))
            .collect();
        same(&got, &units(expected), name);
    }
}

#[test]
fn repeated_parameter_sets_are_told_once_per_keyframe() {
    for (codec, name, count) in [(Codec::H264, "h264", 2), (Codec::H265, "h265", 3)] {
        for unit in whole(depacketize(codec, packets(name))) {
            let expected = if unit.keyframe { count } else { 0 };
            assert_eq!(unit.parameter_sets.len(), expected, "{name}");
        }
    }
}

/// A lost SEI in front of the slices leaves a unit that decodes.
fn without_sei(codec: Codec, data: &Bytes) -> Bytes {
    let mut rest = data.clone();
    while codec == Codec::H264 && rest[4] == 6 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap());
        rest = rest.slice(4 + usize::try_from(length).unwrap()..);
    }
    rest
}

#[test]
fn no_loss_of_one_or_two_packets_breaks_a_unit() {
    for (codec, name, expected) in CAPTURES {
        let (all, expected) = (packets(name), units(expected));
        for first in 0..all.len() {
            for second in first..all.len() {
                let mut left = all.clone();
                left.remove(second);
                if first != second {
                    left.remove(first);
                }
                let context = format!("{name} without {first} and {second}");
                let mut last = None;
                for unit in whole(depacketize(codec, left)) {
                    let index = expected
                        .iter()
                        .position(|(_, data)| {
                            without_sei(codec, data) == without_sei(codec, &unit.data)
                        })
                        .unwrap_or_else(|| panic!("{context}: a broken unit"));
                    let follows = last.map_or(0, |last| last + 1) == index && last.is_some();
                    // Behind the CRA picture of the H.265 capture come its two leading pictures.
                    let leading = codec == Codec::H265 && last == Some(3) && index == 6;
                    assert!(
                        unit.keyframe || follows || leading,
                        "{context}: {index} behind {last:?}"
                    );
                    last = Some(index);
                }
            }
        }
    }
}

#[test]
fn late_start_at_a_cra_picture_leaves_its_leading_pictures_out() {
    let all = packets("h265");
    let start = all
        .iter()
        .position(|packet| packet.timestamp == 10_704)
        .unwrap();
    let out = depacketize(Codec::H265, all[start - 1..].iter().cloned());
    assert_eq!(out[0], Depacketized::Damaged(Damage::NoKeyframe));
    let expected = units("h265");
    let got: Vec<_> = whole(out).into_iter().map(|unit| unit.data).collect();
    let data = |index: usize| expected[index].1.clone();
    assert_eq!(got, [data(3), data(6), data(7), data(8), data(9)]);
}

/// The captures of `tests/payload.rs`: what `FFmpeg` sent, with a keyframe every four frames.
fn corpus(name: &str) -> Vec<Packet> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/payload");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.starts_with(name))
        .collect();
    names.sort();
    let packet = |(sequence, file): (u64, &String)| {
        let (_, frame) = file.split_once("frame").unwrap();
        Packet {
            sequence,
            timestamp: 3_000 * frame[..1].parse::<u32>().unwrap(),
            marker: file.ends_with("-marker"),
            payload: Bytes::from(std::fs::read(folder.join(file)).unwrap()).slice(1..),
        }
    };
    (1..).zip(&names).map(packet).collect()
}

#[test]
fn av1_capture_gives_temporal_units_and_no_loss_breaks_one() {
    let all = corpus("av1-");
    let units = whole(depacketize(Codec::Av1, all.clone()));
    let shape: Vec<_> = units
        .iter()
        .map(|unit| (unit.keyframe, unit.data.len()))
        .collect();
    // As ffprobe decodes them without a complaint.
    let expected = [
        (true, 2_355),
        (false, 22),
        (false, 27),
        (false, 31),
        (true, 1_488),
        (false, 27),
    ];
    assert_eq!(shape, expected);
    for lost in 0..all.len() {
        let mut left = all.clone();
        left.remove(lost);
        let mut last = None;
        for unit in whole(depacketize(Codec::Av1, left)) {
            let index = units.iter().position(|whole| *whole == unit).unwrap();
            assert!(unit.keyframe || last.is_some_and(|last: usize| last + 1 == index));
            last = Some(index);
        }
    }
}

#[test]
fn decoding_times_of_reordered_captures_rise_up_to_the_showing() {
    for (codec, name) in [(Codec::H264, "h264"), (Codec::H265, "h265")] {
        let (mut unwrapper, mut times) = (None, DecodeTimes::new(2));
        let mut last = None;
        for unit in whole(depacketize(codec, packets(name))) {
            let unwrapper =
                unwrapper.get_or_insert_with(|| TimestampUnwrapper::starting_at(unit.timestamp));
            let rate = NonZeroU32::new(90_000).unwrap();
            let pts = Timestamp::new(unwrapper.unwrap(unit.timestamp), rate);
            let dts = times.next(pts);
            assert!(dts <= pts, "{name}");
            assert!(last.is_none_or(|last| dts > last), "{name}");
            last = Some(dts);
        }
    }
}
