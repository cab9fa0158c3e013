//! D7: whatever the network does, no broken access unit comes out, and all flows again behind a keyframe.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod seeded;
mod streams;

use std::time::{Duration, Instant};

use seeded::Seeded;
use sluice_media::{Codec, Frame};
use sluice_rtp::{
    AccessUnit, Depacketized, Depacketizer, Packet, Packetizer, ReorderBuffer, ReorderLimits,
};
use streams::{options, parameter_sets, random_frame};

const VIDEO: [Codec; 5] = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
fn any_instant() -> Instant {
    Instant::now()
}

struct Sent {
    frames: Vec<Frame>,
    /// The frame each packet is of.
    packets: Vec<(usize, Packet)>,
}

fn stream(random: &mut Seeded, codec: Codec) -> Sent {
    let mut packetizer = Packetizer::new(codec, &options(200)).unwrap();
    packetizer.set_parameter_sets(&parameter_sets(codec));
    let (mut frames, mut packets) = (Vec::new(), Vec::new());
    for index in 0..120_u32 {
        let keyframe = index == 0 || random.below(12) == 0;
        let frame = random_frame(random, codec, keyframe);
        let mut payloads = Vec::new();
        packetizer.packetize(&frame, &mut payloads).unwrap();
        for payload in payloads {
            let packet = Packet {
                sequence: 65_000 + u64::try_from(packets.len()).unwrap(),
                timestamp: (index * 3_000).wrapping_sub(100_000),
                marker: payload.marker(),
                payload: payload.into_bytes(),
            };
            packets.push((frames.len(), packet));
        }
        frames.push(frame);
    }
    Sent { frames, packets }
}

/// Sends the packets in this order, one a millisecond, through a reorder buffer into a depacketizer.
fn receive(codec: Codec, arriving: impl Iterator<Item = Packet>) -> Vec<AccessUnit> {
    let mut buffer = ReorderBuffer::new(ReorderLimits::default());
    let mut depacketizer = Depacketizer::new(codec).unwrap();
    let mut now = any_instant();
    let mut out = Vec::new();
    let mut drain = |buffer: &mut ReorderBuffer<Packet>, now| {
        while let Some(ordered) = buffer.poll_packet(now) {
            let packet = Packet {
                sequence: ordered.sequence,
                ..ordered.item
            };
            depacketizer.handle_packet(packet, &mut out);
        }
    };
    for packet in arriving {
        let sequence = u16::try_from(packet.sequence & 0xffff).unwrap();
        buffer.handle_packet(now, 1, sequence, packet);
        drain(&mut buffer, now);
        now += Duration::from_millis(1);
    }
    drain(&mut buffer, now + Duration::from_secs(1));
    let unit = |event| match event {
        Depacketized::Unit(unit) => Some(unit),
        Depacketized::Damaged(_) => None,
    };
    out.into_iter().filter_map(unit).collect()
}

/// Each unit is a frame as it was sent, behind the frame before it or a keyframe, with the sets of a keyframe; gives
/// which came.
fn check(sent: &Sent, units: &[AccessUnit], context: &str) -> Vec<usize> {
    let mut came: Vec<usize> = Vec::new();
    for unit in units {
        let after = came.last().map_or(0, |last| last + 1);
        let index = (after..sent.frames.len())
            .find(|index| sent.frames[*index].data == unit.data)
            .unwrap_or_else(|| panic!("{context}: a unit that was never sent, behind {after}"));
        let frame = &sent.frames[index];
        assert_eq!(unit.keyframe, frame.keyframe, "{context}");
        assert!(
            unit.keyframe || (index == after && !came.is_empty()),
            "{context}: {index} refers to what did not come"
        );
        if unit.keyframe {
            assert_eq!(
                unit.parameter_sets,
                parameter_sets(frame.codec),
                "{context}"
            );
        }
        came.push(index);
    }
    came
}

#[test]
fn d7_shuffles_of_twenty_packets_lose_nothing() {
    for codec in VIDEO {
        for seed in 1..=40 {
            let mut random = Seeded::new(seed);
            let sent = stream(&mut random, codec);
            let mut order: Vec<Packet> = sent
                .packets
                .iter()
                .map(|(_, packet)| packet.clone())
                .collect();
            for window in order[1..].chunks_mut(20) {
                shuffle(&mut random, window);
            }
            let units = receive(codec, order.into_iter());
            let context = format!("{codec:?}, seed {seed}");
            let came = check(&sent, &units, &context);
            assert_eq!(came.len(), sent.frames.len(), "{context}");
        }
    }
}

#[test]
fn d7_without_the_buffer_the_same_shuffle_loses_units_and_breaks_none() {
    let mut random = Seeded::new(1);
    let sent = stream(&mut random, Codec::H264);
    let mut order: Vec<Packet> = sent
        .packets
        .iter()
        .map(|(_, packet)| packet.clone())
        .collect();
    for window in order.chunks_mut(20) {
        shuffle(&mut random, window);
    }
    let (mut depacketizer, mut out) = (Depacketizer::new(Codec::H264).unwrap(), Vec::new());
    for packet in order {
        depacketizer.handle_packet(packet, &mut out);
    }
    let unit = |event| match event {
        Depacketized::Unit(unit) => Some(unit),
        Depacketized::Damaged(_) => None,
    };
    let units: Vec<_> = out.into_iter().filter_map(unit).collect();
    assert!(check(&sent, &units, "bare").len() < sent.frames.len() / 2);
}

#[test]
fn loss_disorder_and_copies_break_no_unit_and_keyframes_start_anew() {
    for codec in VIDEO {
        let mut whole = 0;
        for seed in 1..=120 {
            let mut random = Seeded::new(seed);
            let sent = stream(&mut random, codec);
            let loss = random.below(30);
            let mut arriving: Vec<(u64, Packet)> = Vec::new();
            let mut lost_frames = vec![false; sent.frames.len()];
            for (index, (frame, packet)) in sent.packets.iter().enumerate() {
                if random.below(1_000) < loss {
                    lost_frames[*frame] = true;
                    continue;
                }
                let place = u64::try_from(index).unwrap() * 10;
                // Nothing comes before the first packet, which begins the sequence.
                let delay = if index == 0 { 0 } else { random.below(400) };
                arriving.push((place + delay, packet.clone()));
                if random.below(10) == 0 {
                    arriving.push((place + delay + random.below(2_000), packet.clone()));
                }
            }
            arriving.sort_by_key(|(place, _)| *place);
            let units = receive(codec, arriving.into_iter().map(|(_, packet)| packet));
            let context = format!("{codec:?}, seed {seed}");
            let came = check(&sent, &units, &context);
            // What all came since a keyframe that all came.
            let mut decodes = false;
            let expected: Vec<usize> = (0..sent.frames.len())
                .filter(|index| {
                    decodes = (decodes || sent.frames[*index].keyframe) && !lost_frames[*index];
                    decodes
                })
                .collect();
            assert_eq!(came, expected, "{context}");
            whole += usize::from(came.len() == sent.frames.len());
        }
        assert!(whole < 60, "{codec:?}: hardly anything was lost");
    }
}

#[test]
fn new_source_goes_on_with_its_keyframe() {
    for codec in VIDEO {
        let (old, new) = (
            stream(&mut Seeded::new(1), codec),
            stream(&mut Seeded::new(2), codec),
        );
        let mut buffer = ReorderBuffer::new(ReorderLimits::default());
        let (mut depacketizer, mut out) = (Depacketizer::new(codec).unwrap(), Vec::new());
        let now = any_instant();
        let half = old.packets.len() / 2;
        let sources = old.packets[..half].iter().map(|(_, packet)| (1, packet));
        for (ssrc, packet) in sources.chain(new.packets.iter().map(|(_, packet)| (2, packet))) {
            let sequence =
                u16::try_from((packet.sequence + 9_999 * u64::from(ssrc)) & 0xffff).unwrap();
            buffer.handle_packet(now, ssrc, sequence, packet.clone());
            while let Some(ordered) = buffer.poll_packet(now) {
                let packet = Packet {
                    sequence: ordered.sequence,
                    ..ordered.item
                };
                depacketizer.handle_packet(packet, &mut out);
            }
        }
        let units: Vec<AccessUnit> = out
            .iter()
            .filter_map(|event| match event {
                Depacketized::Unit(unit) => Some(unit.clone()),
                Depacketized::Damaged(_) => None,
            })
            .collect();
        let (of_old, of_new) = units.split_at(units.len() - new.frames.len());
        assert!(!of_old.is_empty(), "{codec:?}");
        check(&old, of_old, "old");
        assert_eq!(
            check(&new, of_new, "new").len(),
            new.frames.len(),
            "{codec:?}"
        );
        let damages = out.len() - units.len();
        assert_eq!(damages, 1, "{codec:?}: the change is told once");
    }
}

#[test]
fn audio_goes_on_behind_a_loss() {
    for codec in [Codec::Opus, Codec::Aac, Codec::Pcmu] {
        let mut random = Seeded::new(5);
        let sent = stream(&mut random, codec);
        let mut lost = vec![false; sent.frames.len()];
        let arriving = sent.packets.iter().filter_map(|(frame, packet)| {
            let gone = packet.sequence > 65_000 && packet.sequence % 9 == 0;
            lost[*frame] |= gone;
            (!gone).then(|| packet.clone())
        });
        let units = receive(codec, arriving);
        let whole = |index: &usize| !lost[*index];
        let frames: Vec<usize> = (0..sent.frames.len()).filter(whole).collect();
        if codec == Codec::Pcmu {
            assert!(units.len() > sent.frames.len());
        } else {
            let data: Vec<_> = units.iter().map(|unit| unit.data.clone()).collect();
            let expected: Vec<_> = frames
                .iter()
                .map(|index| sent.frames[*index].data.clone())
                .collect();
            assert_eq!(data, expected, "{codec:?}");
        }
    }
}

fn shuffle(random: &mut Seeded, packets: &mut [Packet]) {
    for last in (1..packets.len()).rev() {
        let other = random.below(u64::try_from(last).unwrap() + 1);
        packets.swap(last, usize::try_from(other).unwrap());
    }
}
