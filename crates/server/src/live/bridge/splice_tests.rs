use std::sync::Arc;

use bytes::Bytes;
use sluice_media::Codec;
use sluice_rtp::{Packetizer, PacketizerOptions};

use super::*;

/// A client that sends a picture and a sound, with clocks and numbers of its own.
struct Peer {
    number: u16,
    video: Line,
    audio: Line,
    size: u8,
}

struct Line {
    track: RoomTrack,
    codec: Codec,
    packetizer: Packetizer,
    seq: u64,
    time: u64,
}

impl Line {
    fn new(client: u64, n: u64, codec: Codec, start: u64) -> Self {
        Self {
            track: format!("t{:x}", client << 16 | n).parse().unwrap(),
            codec,
            packetizer: Packetizer::new(codec, &PacketizerOptions::default()).unwrap(),
            seq: start,
            time: start * 1000,
        }
    }

    fn packets(&mut self, now: Instant, ticks: u64, keyframe: bool, data: Vec<u8>) -> Vec<Tapped> {
        let rate = NonZeroU32::new(self.codec.clock_rate()).unwrap();
        let at = Timestamp::new(0, rate);
        let frame = Frame {
            track: TrackId::VIDEO,
            codec: self.codec,
            pts: at,
            dts: at,
            duration: None,
            keyframe,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: Bytes::from(data),
        };
        let mut payloads = Vec::new();
        self.packetizer.packetize(&frame, &mut payloads).unwrap();
        self.time += ticks;
        payloads
            .into_iter()
            .map(|payload| {
                self.seq += 1;
                Tapped {
                    track_id: self.track,
                    layer: 0,
                    ssrc: 7,
                    codec: self.codec,
                    clock_rate: rate.get(),
                    seq: self.seq,
                    time: self.time,
                    marker: payload.marker(),
                    payload: Arc::from(payload.into_bytes().as_ref()),
                    arrived: now,
                    report: None,
                }
            })
            .collect()
    }
}

impl Peer {
    fn new(number: u16) -> Self {
        let client = u64::from(number);
        Self {
            number,
            video: Line::new(client, 0, Codec::Vp8, 4000 * client),
            audio: Line::new(client, 1, Codec::Opus, 9000 * client),
            size: u8::try_from(number).unwrap() * 16,
        }
    }

    /// A picture whose last byte says whose it is.
    fn picture(&mut self, now: Instant, keyframe: bool) -> Vec<Tapped> {
        let mut data = if keyframe {
            // RFC 6386 §9.1: the frame tag, the start code, and the size.
            vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, self.size, 0, self.size, 0]
        } else {
            vec![0x11, 0, 0, 0]
        };
        data.extend([0; 40]);
        data.push(u8::try_from(self.number).unwrap());
        self.video.packets(now, 3600, keyframe, data)
    }

    fn sound(&mut self, now: Instant) -> Vec<Tapped> {
        let whose = u8::try_from(self.number).unwrap();
        let data = vec![0xfc, 0xff, 0xfe, whose];
        self.audio.packets(now, 960, true, data)
    }
}

/// A splice under virtual time; what came out, and when.
struct Bench {
    now: Instant,
    began: Instant,
    splice: Splice,
    out: Vec<(Instant, Spliced)>,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now(); // an arbitrary origin, read once
        Self {
            now,
            began: now,
            splice: Splice::new(),
            out: Vec::new(),
        }
    }

    fn tune(&mut self, kind: MediaKind, track: Option<RoomTrack>) -> bool {
        let mut out = Vec::new();
        let aim = track.map(|track| (track, 0));
        let opened = self.splice.tune(self.now, kind, aim, &mut out);
        self.keep(out);
        opened
    }

    fn turn_to(&mut self, peer: &Peer) {
        self.tune(MediaKind::Video, Some(peer.video.track));
        self.tune(MediaKind::Audio, Some(peer.audio.track));
    }

    fn take(&mut self, packets: Vec<Tapped>) {
        let mut out = Vec::new();
        for packet in packets {
            self.splice.handle_packet(self.now, packet, &mut out);
        }
        self.keep(out);
    }

    fn keep(&mut self, out: Vec<Spliced>) {
        let now = self.now;
        self.out
            .extend(out.into_iter().map(|spliced| (now, spliced)));
    }

    /// All peers send for so many pictures; a keyframe where `key` says so.
    fn run(&mut self, peers: &mut [&mut Peer], pictures: u32, key: impl Fn(u16, u32) -> bool) {
        for n in 0..pictures {
            for peer in &mut *peers {
                let picture = peer.picture(self.now, key(peer.number, n));
                let sound = [peer.sound(self.now), peer.sound(self.now)].concat();
                self.take(picture);
                self.take(sound);
            }
            self.now += PICTURE;
        }
    }

    fn frames(&self, kind: MediaKind) -> Vec<&Frame> {
        let of_kind = |frame: &&Frame| frame.codec.kind() == kind;
        self.out
            .iter()
            .filter_map(frame_of)
            .filter(of_kind)
            .collect()
    }

    /// Whose frames came out, run by run.
    fn runs(&self, kind: MediaKind) -> Vec<u8> {
        let mut runs: Vec<u8> = self.frames(kind).into_iter().map(whose).collect();
        runs.dedup();
        runs
    }

    fn released(&self) -> Vec<RoomTrack> {
        let released = self.out.iter().filter_map(|(_, spliced)| match spliced {
            Spliced::Released(track) => Some(*track),
            _ => None,
        });
        released.collect()
    }
}

fn frame_of((_, spliced): &(Instant, Spliced)) -> Option<&Frame> {
    match spliced {
        Spliced::Frame(frame) => Some(frame),
        _ => None,
    }
}

fn whose(frame: &Frame) -> u8 {
    *frame.data.last().unwrap()
}

#[test]
fn the_new_picture_begins_with_its_keyframe_and_the_old_goes_on_until_then() {
    let (mut red, mut blue) = (Peer::new(1), Peer::new(2));
    let mut bench = Bench::new();
    bench.turn_to(&red);
    bench.run(&mut [&mut red, &mut blue], 10, |_, n| n == 0);
    bench.turn_to(&blue);
    bench.run(&mut [&mut red, &mut blue], 10, |whose, n| {
        whose == 2 && n == 5
    });
    let pictures = bench.frames(MediaKind::Video);
    let change = pictures.iter().position(|frame| whose(frame) == 2).unwrap();
    assert_eq!(bench.runs(MediaKind::Video), [1, 2]);
    assert!(pictures[change].keyframe && pictures[change].discontinuity);
    assert_eq!(change, 16, "none of the old ones was spared");
    assert_eq!(bench.runs(MediaKind::Audio), [1, 2], "heard is who is seen");
    assert_eq!(bench.released(), [red.video.track, red.audio.track]);
    let jumps = |frame: &&&Frame| frame.discontinuity;
    assert_eq!(pictures.iter().filter(jumps).count(), 1);
}

#[test]
fn time_goes_on_from_one_sender_to_the_next() {
    let (mut red, mut blue) = (Peer::new(1), Peer::new(2));
    let mut bench = Bench::new();
    bench.turn_to(&red);
    for turn in 0..6 {
        bench.run(&mut [&mut red, &mut blue], 25, |_, n| n % 5 == 0);
        bench.turn_to(if turn % 2 == 0 { &blue } else { &red });
    }
    assert_eq!(bench.runs(MediaKind::Video), [1, 2, 1, 2, 1, 2]);
    for kind in [MediaKind::Video, MediaKind::Audio] {
        let frames = bench.frames(kind);
        assert!(frames.is_sorted_by(|a, b| a.dts < b.dts), "{kind:?}");
        let steps = frames
            .windows(2)
            .map(|pair| pair[1].pts.saturating_since(pair[0].pts));
        assert!(
            steps.clone().all(|step| step < PICTURE * 2),
            "{kind:?} has no hole"
        );
    }
    for (at, frame) in bench
        .out
        .iter()
        .filter_map(|item| Some((item.0, frame_of(item)?)))
    {
        let passed = at.saturating_duration_since(bench.began);
        let place = Duration::from_micros(u64::try_from(frame.pts.micros()).unwrap());
        assert!(
            place.abs_diff(passed) < Duration::from_millis(60),
            "{place:?} at {passed:?}"
        );
    }
}

#[test]
fn a_new_config_comes_right_before_its_first_frame() {
    let (mut red, mut blue) = (Peer::new(1), Peer::new(2));
    let mut bench = Bench::new();
    bench.turn_to(&red);
    bench.run(&mut [&mut red, &mut blue], 5, |_, n| n == 0);
    bench.turn_to(&blue);
    bench.run(&mut [&mut red, &mut blue], 5, |_, n| n == 0);
    let mut sizes = Vec::new();
    for pair in bench.out.windows(2) {
        if let Spliced::Config(TrackId::VIDEO, config) = &pair[0].1 {
            let frame = frame_of(&pair[1]).expect("a frame follows");
            assert!(frame.keyframe);
            sizes.push((config.clone(), whose(frame)));
        }
    }
    let [(first, 1), (second, 2)] = &sizes[..] else {
        panic!("{sizes:?}");
    };
    assert_ne!(first, second);
}

#[test]
fn a_sound_waits_a_second_for_its_picture_and_no_longer() {
    let (mut red, mut blue) = (Peer::new(1), Peer::new(2));
    let mut bench = Bench::new();
    bench.turn_to(&red);
    bench.run(&mut [&mut red], 5, |_, n| n == 0);
    bench.turn_to(&blue);
    bench.run(&mut [&mut red, &mut blue], 24, |_, _| false);
    assert_eq!(bench.runs(MediaKind::Audio), [1]);
    bench.run(&mut [&mut red, &mut blue], 4, |_, _| false);
    assert_eq!(bench.runs(MediaKind::Audio), [1, 2]);
    assert_eq!(
        bench.runs(MediaKind::Video),
        [1],
        "the picture still has no start"
    );
    bench.run(&mut [&mut red, &mut blue], 4, |_, n| n == 1);
    assert_eq!(bench.runs(MediaKind::Video), [1, 2]);
}

#[test]
fn who_turns_back_in_time_sees_no_change() {
    let (mut red, mut blue) = (Peer::new(1), Peer::new(2));
    let mut bench = Bench::new();
    bench.turn_to(&red);
    bench.run(&mut [&mut red], 5, |_, n| n == 0);
    bench.turn_to(&blue);
    bench.run(&mut [&mut red, &mut blue], 2, |_, _| false);
    bench.turn_to(&red);
    bench.run(&mut [&mut red, &mut blue], 5, |_, n| n == 1);
    assert_eq!(bench.runs(MediaKind::Video), [1]);
    assert_eq!(bench.runs(MediaKind::Audio), [1]);
    assert_eq!(bench.released(), [blue.video.track, blue.audio.track]);
}

#[test]
fn a_packet_that_is_lost_is_waited_for_and_then_a_keyframe_asked_for() {
    let mut red = Peer::new(1);
    let mut bench = Bench::new();
    assert!(bench.tune(MediaKind::Video, Some(red.video.track)));
    bench.run(&mut [&mut red], 3, |_, n| n == 0);
    drop(red.picture(bench.now, false));
    bench.run(&mut [&mut red], 2, |_, _| false);
    let deadline = bench.splice.next_deadline().expect("it waits");
    bench.now = deadline;
    let mut out = Vec::new();
    bench.splice.handle_timeout(deadline, &mut out);
    let lost = |s: &Spliced| matches!(s, Spliced::Lost(track, 0) if *track == red.video.track);
    assert!(out.iter().any(lost), "{out:?}");
}

const PICTURE: Duration = Duration::from_millis(40);
