//! Where segments begin and end: keyframes, reconnects, pauses, tracks that come and go.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use sluice_media::{Codec, Frame, Timestamp, TrackId};
use sluice_mux::fmp4::{Track, track_number};
use sluice_mux::{
    Counters, Init, Output, Part, Segment, SegmentStart, Segmenter, SegmenterOptions,
};

use crate::atoms::atoms;
use crate::support::{drain, track};

#[test]
fn segment_ends_at_the_first_keyframe_past_the_target() {
    let mut rig = Rig::video();
    // Keyframes every 400 ms: at 1.2 s, 2.4 s, ...
    rig.run(0, 6_000, 400);
    rig.segmenter.end_segment();
    let found = rig.collect();
    let lengths: Vec<_> = found
        .segments
        .iter()
        .map(|one| one.duration.as_millis())
        .collect();
    assert_eq!(lengths, [1_200; 5]);
    assert!(
        found
            .segments
            .iter()
            .all(|one| one.independent && one.frames == 30)
    );
    // Keyframes in the midst of a segment are told too.
    let independent = found.parts.iter().filter(|part| part.independent).count();
    assert_eq!(independent, 15);
}

#[test]
fn keyframe_a_little_early_is_early_enough() {
    let mut rig = Rig::video();
    for second in 0..5 {
        rig.run(second * 990, second * 990 + 990, 5_000);
    }
    rig.segmenter.end_segment();
    let found = rig.collect();
    assert_eq!(found.segments.len(), 5);
}

#[test]
fn gop_without_end_is_cut_without_a_keyframe() {
    let mut rig = Rig::video();
    rig.run(0, 65_000, 1_000_000);
    let found = rig.collect();
    assert_eq!(found.segments.len(), 2);
    assert!(found.segments[0].independent && !found.segments[1].independent);
    assert!(found.segments[0].duration < Duration::from_millis(30_100));
}

#[test]
fn publisher_that_comes_back_is_one_discontinuity() {
    for flagged in [true, false] {
        let mut rig = Rig::both();
        rig.run(50_000, 53_000, 1_000);
        // Killed in the midst of a GOP; back five seconds later with another clock, sound first.
        rig.wall += 5_000_000;
        rig.flag = flagged;
        rig.sound(900_000, 900_040);
        rig.run(900_000, 903_000, 1_000);
        rig.segmenter.end_segment();
        let counters = rig.segmenter.counters();
        let found = rig.collect();
        assert_eq!(found.discontinuities(), [3], "flagged: {flagged}");
        assert_eq!(found.starts[3].discontinuity_sequence, 1);
        assert!(found.starts.iter().all(|start| start.init == 0));
        assert_eq!(found.inits.len(), 1);
        // No hole on the timeline, the pause in the wall clock.
        let whole: Duration = found.segments.iter().map(|segment| segment.duration).sum();
        assert!(
            whole.abs_diff(Duration::from_secs(6)) < Duration::from_millis(60),
            "{whole:?}"
        );
        let pause = found.starts[3].wall_micros - found.starts[2].wall_micros;
        assert!((5_900_000..6_200_000).contains(&pause), "{pause}");
        assert_eq!(counters.overlapping + counters.stragglers, 0);
        found.check_numbers();
    }
}

#[test]
fn other_codecs_are_a_new_init_segment() {
    let mut rig = Rig::both();
    rig.run(0, 2_000, 1_000);
    rig.segmenter.set_tracks(&tracks(1)).unwrap();
    rig.run(2_000, 4_000, 1_000);
    // The same again is no change.
    rig.segmenter.set_tracks(&tracks(1)).unwrap();
    rig.run(4_000, 5_000, 1_000);
    // Sound alone from now on.
    rig.segmenter.set_tracks(&tracks(1)[1..]).unwrap();
    rig.sound(5_000, 7_000);
    rig.segmenter.end_segment();
    let found = rig.collect();
    let inits: Vec<_> = found.starts.iter().map(|start| start.init).collect();
    assert_eq!(inits, [0, 0, 1, 1, 1, 2, 2]);
    assert_eq!(found.discontinuities(), [2, 5]);
    assert_eq!(found.inits.len(), 3);
    assert!(
        found
            .parts
            .iter()
            .rev()
            .take(5)
            .all(|part| part.independent)
    );
    found.check_numbers();
}

#[test]
fn nothing_begins_before_a_keyframe() {
    let mut rig = Rig::video();
    let deltas: Vec<_> = (0..10).map(|index| picture(index * 40, false)).collect();
    for frame in &deltas {
        rig.segmenter.handle_frame(frame, 0);
    }
    assert_eq!(rig.segmenter.counters().before_keyframe, 10);
    rig.run(400, 1_000, 1_000);
    rig.segmenter.end_segment();
    let found = rig.collect();
    assert!(found.parts[0].independent);
    assert_eq!(found.parts[0].start.ticks(), 0);
}

#[test]
fn sound_that_came_before_its_keyframe_is_kept() {
    let mut rig = Rig::both();
    rig.sound(0, 500);
    rig.segmenter.handle_frame(&picture(300, true), 0);
    let mut rest: Vec<_> = (9..40)
        .map(|index| picture(index * 40 - 20, false))
        .collect();
    rest.extend((25..80).map(|index| packet(index * 20)));
    rest.sort_by_key(|frame| frame.dts.micros());
    for frame in rest {
        rig.segmenter.handle_frame(&frame, 0);
    }
    assert_eq!(rig.segmenter.counters().before_keyframe, 15);
    let found = rig.collect();
    // From 300 ms on, that is at the picture's side, not a frame later.
    assert_eq!(found.decode_times(TrackId::AUDIO)[0], 0);
    assert_eq!(found.decode_times(TrackId::VIDEO)[0], 0);
}

#[test]
fn silent_track_does_not_hold_the_others_for_ever() {
    let mut rig = Rig::both();
    rig.run(0, 2_000, 1_000);
    let before = rig.collect().parts.len();
    // The sound stops: parts wait a second and a half, then go on.
    rig.pictures(2_000, 3_400, 1_000);
    assert_eq!(rig.collect().parts.len(), before.saturating_sub(before));
    rig.pictures(3_400, 6_000, 1_000);
    let found = rig.collect();
    assert!(found.parts.len() >= 15, "{}", found.parts.len());
    // It comes back and is where it belongs.
    rig.run(6_000, 8_000, 1_000);
    let times = rig.collect().decode_times(TrackId::AUDIO);
    assert!(times.iter().any(|time| *time >= 6 * 48_000));
    assert_eq!(rig.segmenter.counters(), Counters::default());
}

#[test]
fn picture_that_pauses_leaves_parts_of_sound() {
    let mut rig = Rig::both();
    rig.run(0, 2_000, 1_000);
    rig.sound(2_000, 2_800);
    rig.run(2_800, 4_000, 1_200);
    rig.segmenter.end_segment();
    let found = rig.collect();
    let inside = found.parts.iter().filter(|part| !part.last);
    for part in inside {
        assert!(part.duration <= part.target, "{part:?}");
        assert!(part.duration >= part.target.mul_f64(0.85), "{part:?}");
    }
    assert_eq!(found.discontinuities(), []);
}

#[test]
fn pause_of_everything_ends_a_segment_and_leaves_the_target() {
    let mut rig = Rig::both();
    rig.run(0, 1_500, 1_000);
    rig.wall += 700_000;
    // The clock goes on, keyframes come when they come.
    rig.run_from(2_200, 5_000, |ms| ms % 1_000 == 0);
    rig.segmenter.end_segment();
    let found = rig.collect();
    let long: Vec<_> = found
        .parts
        .iter()
        .filter(|part| part.duration > part.target)
        .collect();
    assert_eq!(long.len(), 1);
    assert!(long[0].last);
    let targets: Vec<_> = found.parts.iter().map(|part| part.target).collect();
    assert!(
        targets.windows(2).all(|pair| pair[0] == pair[1]),
        "{targets:?}"
    );
    assert_eq!(found.discontinuities(), []);
}

#[test]
fn frames_that_come_slowly_for_long_make_longer_parts() {
    let mut rig = Rig::video();
    rig.run(0, 3_000, 1_000);
    let before = rig.collect().parts.last().unwrap().target;
    // A slide show: a picture every 500 ms.
    for index in 0..60 {
        let frame = picture(3_000 + index * 500, index % 2 == 0);
        rig.segmenter.handle_frame(&frame, 0);
    }
    let found = rig.collect();
    let target = found.parts.last().unwrap().target;
    assert!(before < Duration::from_millis(250) && target == Duration::from_millis(540));
    let late = &found.parts[found.parts.len() - 20..];
    assert!(
        late.iter()
            .all(|part| part.duration == Duration::from_millis(500))
    );
}

#[test]
fn heavy_part_is_cut_early() {
    let mut options = SegmenterOptions::default();
    options.max_part_bytes = 64 << 10;
    let mut rig = Rig::new(options, &tracks(0)[..1]);
    for index in 0..50 {
        let mut frame = picture(index * 40, index == 0);
        frame.data = Bytes::from(vec![0; 20 << 10]);
        rig.segmenter.handle_frame(&frame, 0);
    }
    let found = rig.collect();
    assert!(found.parts.len() > 10);
    assert!(found.parts.iter().all(|part| part.bytes.len() <= 65 << 10));
}

#[test]
fn captured_time_dates_its_segment() {
    let mut rig = Rig::video();
    for index in 0..100 {
        let mut frame = picture(index * 40, index % 25 == 0);
        // The publisher's clock runs a little slow.
        frame.captured_micros = Some(1_000_000_000 + index * 39_999);
        rig.segmenter.handle_frame(&frame, 77);
    }
    rig.segmenter.end_segment();
    let dates: Vec<_> = rig
        .collect()
        .starts
        .iter()
        .map(|start| start.wall_micros)
        .collect();
    let expected: Vec<_> = (0..4)
        .map(|index| 1_000_000_000 + index * 25 * 39_999)
        .collect();
    assert_eq!(dates, expected);
}

#[test]
fn frame_of_an_unknown_track_changes_nothing() {
    let mut rig = Rig::video();
    rig.segmenter.handle_frame(&packet(0), 0);
    assert_eq!(rig.segmenter.counters().unknown_track, 1);
    let mut empty = Segmenter::new(SegmenterOptions::default());
    empty.handle_frame(&packet(0), 0);
    empty.end_segment();
    assert_eq!(empty.poll_output(), None);
}

#[test]
fn last_frame_lasts_as_long_as_it_says_within_reason() {
    for (says, lasts) in [
        (Some(4_500), 50),
        (None, 40),
        (Some(0), 40),
        (Some(u32::MAX), 40),
    ] {
        let mut rig = Rig::video();
        rig.run(0, 80, 1_000);
        let mut last = picture(80, false);
        last.duration = says;
        rig.segmenter.handle_frame(&last, 0);
        rig.segmenter.end_segment();
        let found = rig.collect();
        assert_eq!(
            found.segments[0].duration,
            Duration::from_millis(80 + lasts),
            "{says:?}"
        );
    }
}

#[test]
fn renditions_that_keep_their_times_lie_together_wherever_they_begin() {
    let (mut early, mut late) = (Rig::both().keeping(), Rig::both().keeping());
    early.run(50_000, 56_000, 1_000);
    late.run(52_000, 56_000, 1_000);
    let [early, late] = [early, late].map(|mut rig| {
        rig.segmenter.end_segment();
        let starts = rig.collect().starts;
        starts
            .iter()
            .map(|start| start.start.micros() / 1_000)
            .collect::<Vec<_>>()
    });
    assert_eq!(early, [50_000, 51_000, 52_000, 53_000, 54_000, 55_000]);
    assert_eq!(late, early[2..]);
}

#[test]
fn another_picture_size_is_no_discontinuity_where_times_are_kept() {
    let mut rig = Rig::both().keeping();
    rig.run(50_000, 53_000, 1_000);
    rig.segmenter.set_tracks(&tracks(1)).unwrap();
    rig.run(53_000, 56_000, 1_000);
    rig.segmenter.end_segment();
    let found = rig.collect();
    assert_eq!(found.inits.len(), 2);
    assert_eq!(found.discontinuities(), [0_u64; 0]);
    let starts: Vec<_> = found
        .starts
        .iter()
        .map(|start| (start.init, start.start.micros() / 1_000))
        .collect();
    let expected = [
        (0, 50_000),
        (0, 51_000),
        (0, 52_000),
        (1, 53_000),
        (1, 54_000),
        (1, 55_000),
    ];
    assert_eq!(starts, expected);
    // Other tracks are one.
    let mut rig = Rig::both().keeping();
    rig.run(50_000, 53_000, 1_000);
    rig.segmenter.set_tracks(&tracks(0)[..1]).unwrap();
    rig.run(53_000, 55_000, 1_000);
    rig.segmenter.end_segment();
    assert_eq!(rig.collect().discontinuities(), [3]);
}

#[test]
fn kept_times_leap_over_a_pause_and_never_go_back() {
    let mut rig = Rig::both().keeping();
    rig.run(50_000, 53_000, 1_000);
    rig.flag = true;
    rig.run(60_000, 62_000, 1_000);
    // A publisher whose times begin anew.
    rig.flag = true;
    rig.run(0, 2_000, 1_000);
    rig.segmenter.end_segment();
    let found = rig.collect();
    assert_eq!(found.discontinuities(), [3, 5]);
    let starts: Vec<_> = found
        .starts
        .iter()
        .map(|start| start.start.micros() / 1_000)
        .collect();
    assert_eq!(
        starts,
        [50_000, 51_000, 52_000, 60_000, 61_000, 62_000, 63_000]
    );
}

#[test]
fn hostile_times_neither_panic_nor_pile_up() {
    hostile_times(Rig::both());
    hostile_times(Rig::both().keeping());
}

fn hostile_times(mut rig: Rig) {
    let times = [0, i64::MAX, i64::MIN, -1, 1, i64::MAX / 90_000, 5, 4, 3];
    for round in 0..200 {
        for (index, time) in times.iter().enumerate() {
            let mut frame = if (round + index) % 3 == 0 {
                packet(0)
            } else {
                picture(0, index % 2 == 0)
            };
            frame.dts = Timestamp::new(*time, frame.dts.rate());
            frame.pts = Timestamp::new(times[(index + round) % times.len()], frame.dts.rate());
            frame.duration = Some(u32::MAX);
            rig.segmenter.handle_frame(&frame, *time);
        }
    }
    rig.segmenter.end_segment();
    rig.collect().check_numbers();
}

/// A segmenter and how its publisher behaves.
struct Rig {
    segmenter: Segmenter,
    wall: i64,
    /// The next frame of each track says that the timeline jumps.
    flag: bool,
}

impl Rig {
    fn new(options: SegmenterOptions, tracks: &[Track]) -> Self {
        let mut segmenter = Segmenter::new(options);
        segmenter.set_tracks(tracks).unwrap();
        Self {
            segmenter,
            wall: 0,
            flag: false,
        }
    }

    fn video() -> Self {
        Self::new(SegmenterOptions::default(), &tracks(0)[..1])
    }

    fn both() -> Self {
        Self::new(SegmenterOptions::default(), &tracks(0))
    }

    fn keeping(mut self) -> Self {
        self.segmenter.keep_times();
        self
    }

    /// Pictures at 25 a second and sound, milliseconds `from` to `to`; a keyframe first and every `gop` ms.
    fn run(&mut self, from: i64, to: i64, gop: i64) {
        self.run_from(from, to, |ms| (ms - from) % gop == 0);
    }

    fn run_from(&mut self, from: i64, to: i64, keyframe: impl Fn(i64) -> bool) {
        let mut flags = [self.flag; 2];
        for ms in (from..to).step_by(10) {
            if (ms - from) % 40 == 0 {
                self.give(picture(ms, keyframe(ms)), &mut flags[0]);
            }
            if ms % 20 == 0 {
                self.give(packet(ms), &mut flags[1]);
            }
            self.wall += 10_000;
        }
        self.flag = false;
    }

    fn pictures(&mut self, from: i64, to: i64, gop: i64) {
        for ms in (from..to).step_by(40) {
            self.give(picture(ms, (ms - from) % gop == 0), &mut false);
        }
    }

    fn sound(&mut self, from: i64, to: i64) {
        let mut flag = self.flag;
        for ms in (from..to).step_by(20) {
            self.give(packet(ms), &mut flag);
        }
    }

    fn give(&mut self, mut frame: Frame, flag: &mut bool) {
        frame.discontinuity = std::mem::take(flag);
        self.segmenter.handle_frame(&frame, self.wall);
    }

    fn collect(&mut self) -> Found {
        let mut found = Found::default();
        for output in drain(&mut self.segmenter) {
            match output {
                Output::Init(init) => found.inits.push(init),
                Output::Start(start) => found.starts.push(start),
                Output::Part(part) => found.parts.push(part),
                Output::End(segment) => found.segments.push(segment),
                _ => {}
            }
        }
        found
    }
}

#[derive(Default)]
struct Found {
    inits: Vec<Init>,
    starts: Vec<SegmentStart>,
    parts: Vec<Part>,
    segments: Vec<Segment>,
}

impl Found {
    fn discontinuities(&self) -> Vec<u64> {
        let marked = self.starts.iter().filter(|start| start.discontinuity);
        marked.map(|start| start.number).collect()
    }

    fn decode_times(&self, track: TrackId) -> Vec<u64> {
        let mut times = Vec::new();
        for part in &self.parts {
            for atom in atoms(&part.bytes) {
                let mp4_atom::Any::Moof(moof) = atom else {
                    continue;
                };
                let of_track = |traf: &&mp4_atom::Traf| traf.tfhd.track_id == track_number(track);
                let runs = moof.traf.iter().filter(of_track);
                times.extend(runs.map(|traf| traf.tfdt.as_ref().unwrap().base_media_decode_time));
            }
        }
        times
    }

    /// Numbers rise by one, times never fall.
    fn check_numbers(&self) {
        for (number, start) in (0..).zip(&self.starts) {
            assert_eq!(start.number, number);
        }
        assert_eq!(self.starts.len(), self.segments.len());
        for track in [TrackId::VIDEO, TrackId::AUDIO] {
            let times = self.decode_times(track);
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
        }
    }
}

fn tracks(generation: u8) -> Vec<Track> {
    vec![
        track(
            Codec::H264,
            90_000,
            Bytes::from(vec![1, 66, 0, 30, generation]),
        ),
        track(Codec::Opus, 48_000, Bytes::from_static(&[0; 11])),
    ]
}

fn picture(ms: i64, keyframe: bool) -> Frame {
    frame(TrackId::VIDEO, Codec::H264, 90_000, ms, keyframe)
}

fn packet(ms: i64) -> Frame {
    frame(TrackId::AUDIO, Codec::Opus, 48_000, ms, true)
}

fn frame(track: TrackId, codec: Codec, rate: u32, ms: i64, keyframe: bool) -> Frame {
    let at = Timestamp::new(ms * i64::from(rate) / 1_000, NonZeroU32::new(rate).unwrap());
    Frame {
        track,
        codec,
        pts: at,
        dts: at,
        duration: None,
        keyframe,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data: Bytes::from_static(b"frame"),
    }
}
