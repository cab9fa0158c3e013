//! Calls in any order, with names of things long gone: nothing panics, and the books balance.
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers below small bounds"
)]

mod common;

use common::{Heard, MS, SECOND, Seeded, Stage, audio_config, key, picture, sound, video_config};
use sluice_live::{
    Activity, AdmissionId, AppSpec, Denial, EngineOptions, FinishReason, Grant, Identity,
    LagPolicy, Metadata, Output, PlayRequest, Protocol, PublishRequest, SessionId, Start,
    StreamState, SubscribeOptions, SubscriptionId, Takeover, Tracks, Verdict,
};
use sluice_media::{Frame, StreamKey, TrackId};

const REASONS: [FinishReason; 4] = [
    FinishReason::Completed,
    FinishReason::Disconnected,
    FinishReason::Replaced,
    FinishReason::Closed,
];

/// What the callers remember, living or not.
#[derive(Default)]
struct Names {
    admissions: Vec<AdmissionId>,
    sessions: Vec<SessionId>,
    readers: Vec<SubscriptionId>,
    ticks: i64,
}

fn any<T: Copy>(random: &mut Seeded, names: &[T]) -> Option<T> {
    let count = u64::try_from(names.len()).unwrap_or(0);
    // The newest ones most of the time.
    let recent = count.min(1 + random.below(24));
    let at = count.checked_sub(1 + random.below(recent.max(1)))?;
    names.get(usize::try_from(at).ok()?).copied()
}

fn options(random: &mut Seeded) -> SubscribeOptions {
    let mut options = SubscribeOptions::default();
    let max_lag = MS * u32::try_from(random.below(3_000)).unwrap_or(0);
    options.lag_policy = match random.below(4) {
        0 => Some(LagPolicy::SkipToKeyframe { max_lag }),
        1 => Some(LagPolicy::DropNonReference { max_lag }),
        2 => Some(LagPolicy::Evict {
            max_lag,
            budget: max_lag * 2,
            window: SECOND * 10,
        }),
        _ => None,
    };
    options.tracks = match random.below(5) {
        0 => Tracks::Audio,
        1 => Tracks::Video,
        2 => Tracks::Only([TrackId::new(3)].into()),
        _ => Tracks::All,
    };
    if random.below(3) == 0 {
        options.start = Start::Live;
    }
    options
}

fn spec(random: &mut Seeded) -> AppSpec {
    let mut spec = AppSpec::new("live");
    spec.limits.max_video_frame = 3_000;
    spec.limits.max_audio_frame = 1_000;
    spec.limits.max_viewers_per_stream = 6;
    spec.limits.max_queue = 2;
    spec.limits.max_tracks = 6;
    spec.ring.max_bytes = 6_000 + usize::try_from(random.below(50_000)).unwrap_or(0);
    spec.max_audio_bytes = 4_000;
    spec.resume_window = SECOND * u32::try_from(random.below(4)).unwrap_or(0);
    let ways = [Takeover::Replace, Takeover::Reject, Takeover::Queue];
    let way = |random: &mut Seeded| ways.into_iter().cycle().nth(random.below(3) as usize);
    spec.takeover.same_identity = way(random).unwrap_or(Takeover::Replace);
    spec.takeover.other_identity = way(random).unwrap_or(Takeover::Reject);
    if random.below(3) == 0 {
        spec.limits.max_bytes_per_second = Some(40_000);
    }
    spec
}

fn frame(random: &mut Seeded, clock: &mut i64) -> Frame {
    let track = TrackId::new([0, 0, 0, 1, 1, 2, 3, 7][random.below(8) as usize]);
    *clock += i64::try_from(random.below(3_000)).unwrap_or(0);
    let ticks = match random.below(40) {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => i64::try_from(random.below(10_000_000)).unwrap_or(0),
        _ => *clock,
    };
    let mut frame = if track.number() % 2 == 1 {
        sound(track, 0, ticks)
    } else {
        let bytes = random.below(3_100) as usize;
        picture(0, ticks, random.below(4) == 0, bytes)
    };
    frame.track = track;
    frame.discardable = random.below(3) == 0;
    frame.discontinuity = random.below(20) == 0;
    frame
}

fn verdict(random: &mut Seeded) -> Verdict {
    if random.below(6) == 0 {
        let reason = Denial::NotAllowed;
        return Verdict::Deny { reason };
    }
    let who = ["x", "y"][random.below(2) as usize];
    let identity = (random.below(3) > 0).then(|| Identity::new(who));
    Verdict::Allow { identity }
}

fn act(stage: &mut Stage, random: &mut Seeded, names: &mut Names) {
    let name = ["a", "b", "c", "c1", "a~h", "b~h"][random.below(6) as usize];
    let now = stage.now;
    match random.below(26) {
        0 | 1 => {
            let request = PublishRequest::new(key(name), Protocol::RTMP);
            let asked = stage.engine.request_publish(now, request);
            names.admissions.extend(asked);
        }
        2 | 3 => {
            let request = PlayRequest::new(key(name), Protocol::WHEP);
            let asked = stage.engine.request_play(now, request);
            names.admissions.extend(asked);
        }
        4..=6 => {
            let Some(id) = any(random, &names.admissions) else {
                return;
            };
            let _ = stage.engine.decide(now, id, verdict(random));
        }
        7 => {
            if let Some(id) = any(random, &names.admissions) {
                stage.engine.cancel(id);
            }
        }
        8 | 9 => {
            let options = options(random);
            if let Some(id) = any(random, &names.admissions) {
                names
                    .readers
                    .extend(stage.engine.subscribe(now, id, options));
            }
        }
        10 => {
            if let Some(id) = any(random, &names.readers) {
                stage.engine.unsubscribe(now, id);
            }
        }
        11 => {
            if let Some(session) = any(random, &names.sessions) {
                let reason = REASONS[random.below(4) as usize];
                let _ = stage.engine.finish(now, session, reason);
            }
        }
        12 | 13 => {
            if let Some(session) = any(random, &names.sessions) {
                let version = random.below(3) as u8;
                let track = random.below(8) as u16;
                let config = match track % 2 {
                    0 => video_config(version),
                    _ => audio_config(version),
                };
                let track = TrackId::new(track);
                let _ = stage.engine.set_config(now, session, track, config);
            }
        }
        14..=18 => {
            if let Some(session) = any(random, &names.sessions) {
                for _ in 0..random.below(10) {
                    let frame = frame(random, &mut names.ticks);
                    let _ = stage.engine.push(now, session, frame);
                }
            }
        }
        19 | 20 => {
            if let Some(id) = any(random, &names.readers) {
                for _ in 0..random.below(20) {
                    if matches!(stage.read_one(id), None | Some(Heard::Ended(_))) {
                        break;
                    }
                }
                stage.engine.request_keyframe(now, id);
                stage.engine.subscription(now, id);
            }
        }
        21 => {
            if random.below(6) == 0 {
                let _ = stage.engine.end_stream(now, &key(name));
            }
        }
        22 => {
            if let Some(session) = any(random, &names.sessions) {
                let activity = [Activity::Recording, Activity::Transcoding];
                let (activity, begins) = (activity[random.below(2) as usize], random.below(2) > 0);
                let _ = stage
                    .engine
                    .set_activity(session.stream(), activity, begins);
                let _ = stage
                    .engine
                    .update_metadata(now, session, Metadata::default());
            }
        }
        23 | 24 => begin_layer(stage, random, names, &key(name)),
        _ => {
            let time = [0, 1, 1, 40, 40, 40, 900, 900, 6_000, 40_000][random.below(10) as usize];
            stage.pass(MS * time);
        }
    }
}

fn begin_layer(stage: &mut Stage, random: &mut Seeded, names: &mut Names, key: &StreamKey) {
    let Some(session) = any(random, &names.sessions) else {
        return;
    };
    if random.below(3) == 0 {
        let _ = stage.engine.reserve_layers(stage.now, session);
    }
    let layer = stage.engine.begin_layer(stage.now, session, key);
    names.sessions.extend(layer);
}

fn use_grant(
    stage: &mut Stage,
    random: &mut Seeded,
    names: &mut Names,
    admission: AdmissionId,
    grant: Grant,
) {
    match grant {
        Grant::Publish(session) => {
            names.sessions.push(session);
            let (track, config) = (TrackId::VIDEO, video_config(0));
            let _ = stage.engine.set_config(stage.now, session, track, config);
        }
        Grant::Play if random.below(4) > 0 => {
            let options = options(random);
            let reader = stage.engine.subscribe(stage.now, admission, options);
            names.readers.extend(reader);
        }
        Grant::Play => {}
    }
}

fn balance(stage: &Stage, names: &Names, bound: usize) {
    let engine = &stage.engine;
    let with_session = engine.streams().filter(|view| view.session().is_some());
    assert_eq!(engine.publishers(), with_session.count());
    let living: Vec<_> = names
        .readers
        .iter()
        .filter_map(|id| engine.subscription(stage.now, *id))
        .collect();
    assert_eq!(engine.subscribers(), living.len());
    let mut ended: Vec<_> = living.iter().map(|reader| reader.stream).collect();
    ended.sort_unstable();
    ended.dedup();
    for name in ["a", "b"] {
        let base = key(name);
        let of_base = |layer: &StreamKey| layer != &base && layer.layer_base() == base;
        let layers = engine
            .streams()
            .filter(|view| of_base(view.key()))
            .filter_map(|view| view.key().layer_name());
        assert!(engine.layers(&base).eq(layers), "each has one layer");
    }
    let mut bytes = 0;
    for view in engine.streams() {
        let readers = living.iter().filter(|reader| reader.stream == view.id());
        assert_eq!(view.subscribers(), readers.count());
        assert!(view.ring_bytes() <= bound);
        assert!(
            engine
                .stream(view.key())
                .is_some_and(|found| found.id() == view.id())
        );
        bytes += view.ring_bytes();
    }
    for id in ended {
        let view = engine.stream_by_id(id);
        assert!(view.is_some(), "a stream lives as long as it has readers");
        if let Some(view) = view.filter(|view| view.state() == StreamState::Ended) {
            bytes += view.ring_bytes();
        }
    }
    assert_eq!(engine.ring_bytes(), bytes);
}

#[test]
fn any_order_of_calls_with_stale_names_keeps_the_books_balanced_and_leaves_nothing() {
    let (mut granted, mut subscribed, mut read) = (0, 0, 0);
    for seed in 1..=300 {
        let mut random = Seeded(seed);
        let spec = spec(&mut random);
        let bound = spec.ring.max_bytes + spec.max_audio_bytes;
        let mut engine_options = EngineOptions::default();
        engine_options.max_publishers = 3;
        engine_options.max_admissions = 30;
        engine_options.max_telemetry = 5;
        engine_options.max_ring_bytes = 80_000;
        let mut stage = Stage::with(engine_options, spec);
        let mut names = Names::default();
        for step in 0..3_000 {
            act(&mut stage, &mut random, &mut names);
            if random.below(3) == 0 {
                for output in stage.said() {
                    if let Output::Admitted { admission, grant } = output {
                        use_grant(&mut stage, &mut random, &mut names, admission, grant);
                    }
                }
                for id in std::mem::take(&mut stage.ready) {
                    if random.below(3) > 0 {
                        read += stage.read_all(id).len();
                    }
                }
            }
            if step % 50 == 0 {
                balance(&stage, &names, bound);
            }
        }
        granted += names.sessions.len();
        subscribed += names.readers.len();
        for id in &names.readers {
            stage.engine.unsubscribe(stage.now, *id);
        }
        stage.pass(SECOND * 60);
        for _ in 0..4 {
            // One that was queued may have got its turn from the one before it.
            stage.pass(SECOND * 60);
        }
        stage.said();
        let engine = &stage.engine;
        assert_eq!(engine.layers(&key("a")).count(), 0);
        assert_eq!((engine.publishers(), engine.subscribers()), (0, 0));
        assert_eq!((engine.streams().count(), engine.ring_bytes()), (0, 0));
        assert_eq!((engine.admissions(), engine.deadline()), (0, None));
    }
    assert!(
        granted > 2_000 && subscribed > 2_000 && read > 5_000,
        "too little happened: {granted} {subscribed} {read}"
    );
}
