//! The rules of the ring, by the number they have in the design: D1 to D4 and D8.

mod common;

use std::time::Duration;

use common::{Heard, MS, SECOND, Seeded, Source, Stage};
use sluice_live::{AppSpec, EngineOptions, LagPolicy, Start, SubscribeOptions, SubscriptionId};
use sluice_media::{MediaKind, TrackId};

/// Knows what a reader has a right to: pictures from a keyframe on and consecutive from there, sounds consecutive,
/// each configuration in front of its first frame and once.
struct Viewer {
    id: SubscriptionId,
    picture: Option<i64>,
    sound: Option<i64>,
    configs: [u32; 2],
    lagged: bool,
    lost: u64,
    read: u64,
}

impl Viewer {
    fn new(id: SubscriptionId) -> Self {
        Self {
            id,
            picture: None,
            sound: None,
            configs: [0; 2],
            lagged: false,
            lost: 0,
            read: 0,
        }
    }

    fn hear(&mut self, heard: &[Heard]) {
        for heard in heard {
            match heard {
                Heard::Config(track, revision) => {
                    let told = &mut self.configs[usize::from(track.number())];
                    assert_ne!(told, revision, "told twice");
                    *told = *revision;
                }
                Heard::Lagged(skipped, _) => {
                    assert!(*skipped > 0);
                    self.lagged = true;
                    self.lost += skipped;
                    (self.picture, self.sound) = (None, None);
                }
                Heard::Frame(frame) => {
                    assert_ne!(self.configs[usize::from(frame.track.number())], 0);
                    let (last, step) = match frame.codec.kind() {
                        MediaKind::Video => (&mut self.picture, 3_000),
                        MediaKind::Audio => (&mut self.sound, 960),
                    };
                    match *last {
                        Some(last) => assert_eq!(frame.dts.ticks(), last + step, "a hole"),
                        None => assert!(frame.keyframe, "a delta without its chain"),
                    }
                    *last = Some(frame.dts.ticks());
                    self.read += 1;
                }
                other => unreachable!("{other:?}"),
            }
        }
    }

    fn read_all(&mut self, stage: &mut Stage) {
        let heard = stage.read_all(self.id);
        self.hear(&heard);
    }

    /// Reads at most `limit` things.
    fn read_some(&mut self, stage: &mut Stage, limit: u64) {
        for _ in 0..limit {
            let heard = stage.read_one(self.id);
            let Some(heard) = heard else { return };
            self.hear(&[heard]);
        }
    }
}

#[test]
fn d1_a_full_ring_gives_no_delta_without_its_chain_and_asks_once_a_second() {
    let mut spec = AppSpec::new("live");
    spec.ring.max_age = SECOND;
    spec.ring.lag_window = SECOND;
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 300);
    let mut present = Viewer::new(stage.subscribe("show"));
    stage.said();
    let mut joiners = Vec::new();
    for second in 0..30 {
        for _ in 0..5 {
            source.run(&mut stage, MS * 200, |stage| present.read_all(stage));
            joiners.push(Viewer::new(stage.subscribe("show")));
            for joiner in &mut joiners {
                joiner.read_all(&mut stage);
            }
        }
        let asked = stage.keyframe_requests();
        assert!(asked <= 1, "{asked}");
        let waits = second % 10 >= 1;
        assert_eq!(asked == 1, waits, "in second {second}");
    }
    assert_eq!(present.read, source.number, "who was there goes on");
    assert_eq!(present.lost, 0);
    let waited = joiners.iter().filter(|joiner| joiner.picture.is_none());
    assert!(waited.count() > 0, "the last ones still wait");
    let began = joiners.iter().filter(|joiner| joiner.picture.is_some());
    assert!(began.count() > 90);
}

#[test]
fn d2_sound_never_shortens_the_window_of_the_pictures() {
    let mut spec = AppSpec::new("live");
    // Room for exactly two seconds of pictures, and next to none for what the sound of that time takes.
    spec.limits.max_video_frame = 8_000;
    spec.limits.max_audio_frame = 1_000;
    spec.ring.max_bytes = 62 * (8_000 + 600);
    spec.max_audio_bytes = 110 * (160 + 600);
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 60);
    source.bytes = 8_000;
    for _ in 0..100 {
        source.run(&mut stage, MS * 137, |_| {});
        let joiner = stage.subscribe("show");
        let numbers = stage.read_numbers(joiner);
        let since_keyframe = usize::try_from((source.picture - 1) % 60 + 1).unwrap();
        assert!(numbers.len() >= since_keyframe, "the group is whole");
        stage.engine.unsubscribe(stage.now, joiner);
    }
}

#[test]
fn d3_ten_thousand_joins_at_random_instants_have_no_hole_and_each_config_once() {
    let mut joins = 0;
    let mut lags = 0;
    for seed in 1..=100 {
        let mut random = Seeded(seed);
        let mut spec = AppSpec::new("live");
        spec.limits.max_video_frame = 5_000;
        spec.limits.max_audio_frame = 1_000;
        spec.ring.max_bytes = 10_000 + usize::try_from(random.below(300_000)).unwrap();
        spec.ring.max_age = MS * (500 + u32::try_from(random.below(3_000)).unwrap());
        spec.ring.lag_window = MS * u32::try_from(random.below(1_000)).unwrap();
        let mut stage = Stage::with(EngineOptions::default(), spec);
        let session = stage.publish("show");
        let mut source = Source::new(
            &stage,
            session,
            1 + i64::try_from(random.below(90)).unwrap(),
        );
        let mut viewers: Vec<(Viewer, u64)> = Vec::new();
        while viewers.len() < 100 {
            let time = MS * u32::try_from(1 + random.below(60)).unwrap();
            source.bytes = 100 + usize::try_from(random.below(4_000)).unwrap();
            source.run(&mut stage, time, |_| {});
            let mut options = SubscribeOptions::default();
            if random.below(4) == 0 {
                options.start = Start::Live;
            }
            options.lag_policy = Some(LagPolicy::SkipToKeyframe {
                max_lag: MS * u32::try_from(100 + random.below(2_000)).unwrap(),
            });
            let id = stage.try_subscribe("show", options).unwrap();
            viewers.push((Viewer::new(id), random.below(12)));
            for (viewer, pace) in &mut viewers {
                viewer.read_some(&mut stage, random.below(*pace + 2));
            }
        }
        for _ in 0..200 {
            source.run(&mut stage, MS * 33, |_| {});
            for (viewer, _) in &mut viewers {
                viewer.read_all(&mut stage);
            }
        }
        for (viewer, _) in &viewers {
            assert!(viewer.read > 100);
            assert_eq!(viewer.configs, [1, 1]);
            lags += u64::from(viewer.lagged);
            let view = stage.engine.subscription(stage.now, viewer.id).unwrap();
            assert_eq!((view.frames, view.skipped), (viewer.read, viewer.lost));
        }
        joins += viewers.len();
    }
    assert_eq!(joins, 10_000);
    assert!(
        lags > 500,
        "slow readers must be overtaken for this to mean anything: {lags}"
    );
}

#[test]
fn d4_a_reader_stalled_for_a_minute_costs_nobody_anything_and_goes_on_at_a_keyframe() {
    let spec = AppSpec::new("live");
    let bound = spec.ring.max_bytes + spec.max_audio_bytes;
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 60);
    source.bytes = 8_000_000 / 8 / 30;
    let mut stalled = Viewer::new(stage.subscribe("show"));
    let mut present = Viewer::new(stage.subscribe("show"));
    source.run(&mut stage, SECOND, |stage| present.read_all(stage));
    stalled.read_some(&mut stage, 10);
    let mut most = 0;
    source.run(&mut stage, SECOND * 60, |stage| {
        present.read_all(stage);
        most = most.max(stage.engine.ring_bytes());
    });
    assert!(most <= bound + bound / 20, "{most}");
    assert_eq!((present.read, present.lost), (source.number, 0));
    stalled.read_all(&mut stage);
    assert!(stalled.lagged);
    assert_eq!(
        stalled.lost + stalled.read,
        source.number,
        "what it missed and what it got are all there was"
    );
    assert_eq!(stalled.picture, present.picture);
    let view = stage.engine.subscription(stage.now, stalled.id).unwrap();
    assert_eq!(view.lag, Duration::ZERO);
}

#[test]
fn d8_five_hundred_joins_within_a_second_ask_for_one_keyframe_and_on_until_it_comes() {
    let mut spec = AppSpec::new("live");
    spec.ring.max_age = SECOND;
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 100_000);
    source.run(&mut stage, SECOND * 3, |_| {});
    assert_eq!(stage.keyframe_requests(), 0, "nobody needs one");
    for _ in 0..100 {
        source.run(&mut stage, MS * 10, |_| {});
        for _ in 0..5 {
            let joiner = stage.subscribe("show");
            stage.read_all(joiner);
        }
    }
    assert_eq!(stage.keyframe_requests(), 1);
    source.run(&mut stage, SECOND * 5, |_| {});
    assert_eq!(stage.keyframe_requests(), 5, "until it comes");
    source.group = source.picture;
    source.run(&mut stage, MS * 40, |_| {});
    source.group = 100_000;
    stage.said();
    source.run(&mut stage, SECOND * 5, |_| {});
    assert_eq!(stage.keyframe_requests(), 0);
    for _ in 0..1_000 {
        let reader = stage.subscribe("show");
        stage.engine.request_keyframe(stage.now, reader);
    }
    assert_eq!(stage.keyframe_requests(), 1, "whoever asks");
}

#[test]
fn d15_two_languages_keep_their_configurations_apart() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let other = TrackId::new(2);
    stage
        .engine
        .set_config(stage.now, session, other, common::audio_config(6))
        .unwrap();
    let reader = stage.subscribe("show");
    for index in 0..4 {
        let ticks = i64::try_from(index).unwrap() * 960;
        stage.push(session, common::sound(TrackId::AUDIO, index, ticks));
        stage.push(session, common::sound(other, 100 + index, ticks));
        if index == 1 {
            stage
                .engine
                .set_config(stage.now, session, other, common::audio_config(2))
                .unwrap();
        }
    }
    let told: Vec<_> = stage
        .read_all(reader)
        .into_iter()
        .map(|heard| match heard {
            Heard::Config(track, revision) => (Some(track), u64::from(revision)),
            other => (None, other.number().unwrap()),
        })
        .collect();
    let frame = |number| (None, number);
    assert_eq!(
        told,
        [
            (Some(TrackId::AUDIO), 1),
            frame(0),
            (Some(other), 1),
            frame(100),
            frame(1),
            frame(101),
            frame(2),
            (Some(other), 2),
            frame(102),
            frame(3),
            frame(103),
        ]
    );
}
