//! Which frames are taken, how time may step, and what is measured.

mod common;

use common::{Heard, MS, SECOND, Source, Stage, audio_config, key, picture, sound, video_config};
use sluice_live::{
    Activities, Activity, AppSpec, EngineOptions, FinishReason, FrameError, Metadata, SpecError,
    StreamError, StreamEventKind, StreamState,
};
use sluice_media::{Codec, TrackId};

#[test]
fn frames_that_cannot_be_are_refused_counted_and_told_once_a_second() {
    let mut stage = Stage::new();
    let session = stage.try_publish("show", None).unwrap();
    let try_push =
        |stage: &mut Stage, frame| stage.engine.push(stage.now, session, frame).unwrap_err();
    let first = picture(0, 9_000, true, 100);
    assert_eq!(
        try_push(&mut stage, first.clone()),
        FrameError::UnknownTrack
    );
    stage.announce(session);
    stage.said();
    let delta = picture(0, 9_000, false, 100);
    assert_eq!(try_push(&mut stage, delta), FrameError::AwaitingKeyframe);
    assert_eq!(stage.keyframe_requests(), 1);
    stage.push(session, first.clone());

    let with = |change: &dyn Fn(&mut sluice_media::Frame)| {
        let mut frame = picture(1, 12_000, false, 100);
        change(&mut frame);
        frame
    };
    for (frame, error) in [
        (
            with(&|frame| frame.codec = Codec::H265),
            FrameError::CodecMismatch,
        ),
        (with(&|frame| frame.data.clear()), FrameError::Empty),
        (
            picture(1, 12_000, false, (8 << 20) + 1),
            FrameError::TooLarge { limit: 8 << 20 },
        ),
        (
            with(&|frame| frame.pts = sound(TrackId::AUDIO, 0, 0).pts),
            FrameError::RateMismatch,
        ),
        (picture(1, 8_999, false, 100), FrameError::DtsRegressed),
    ] {
        assert_eq!(try_push(&mut stage, frame), error);
    }
    let mut large = sound(TrackId::AUDIO, 1, 0);
    large.data = vec![0; (1 << 20) + 1].into();
    let limit = 1 << 20;
    assert_eq!(try_push(&mut stage, large), FrameError::TooLarge { limit });
    assert_eq!(stage.engine.stream(&key("show")).unwrap().rejected(), 8);
    stage.pass(SECOND);
    let told: Vec<_> = stage
        .events()
        .into_iter()
        .filter_map(|event| match event {
            StreamEventKind::FrameRejected { count, .. } => Some(count),
            _ => None,
        })
        .collect();
    assert_eq!(told, [7], "the first one was told before");
    stage.push(session, picture(1, 9_000, false, 100));
}

#[test]
fn configurations_are_capped_in_size_in_tracks_and_in_changes() {
    let mut spec = AppSpec::new("live");
    spec.limits.max_tracks = 3;
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let set = |stage: &mut Stage, track: u16, config| {
        stage
            .engine
            .set_config(stage.now, session, TrackId::new(track), config)
    };
    set(&mut stage, 7, audio_config(1)).unwrap();
    let limit = 3;
    assert_eq!(
        set(&mut stage, 8, audio_config(1)),
        Err(FrameError::TrackLimitReached { limit })
    );
    assert_eq!(
        set(&mut stage, 7, video_config(1)),
        Err(FrameError::KindChanged)
    );
    let mut large = audio_config(1);
    large.record = vec![0; (64 << 10) + 1].into();
    assert_eq!(set(&mut stage, 7, large), Err(FrameError::ConfigTooLarge));
    for channels in 0..100 {
        set(&mut stage, 7, audio_config(channels)).unwrap();
    }
    for index in 0..15 {
        let at = i64::from(index) * 960;
        stage.push(session, sound(TrackId::new(7), u64::from(index), at));
        set(&mut stage, 7, audio_config(100 + index)).unwrap();
    }
    stage.push(session, sound(TrackId::new(7), 15, 15 * 960));
    assert_eq!(
        set(&mut stage, 7, audio_config(200)),
        Err(FrameError::ConfigChangesTooOften)
    );
    stage.push(session, sound(TrackId::new(7), 16, 16 * 960));
    stage.pass(SECOND * 13);
    set(&mut stage, 7, audio_config(200)).unwrap();
}

#[test]
fn a_jump_of_timestamps_is_one_discontinuity_for_all_tracks() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let reader = stage.subscribe("show");
    let push = |stage: &mut Stage, at_ms: i64| {
        stage.push(session, picture(0, at_ms * 90, true, 100));
        stage.push(session, sound(TrackId::AUDIO, 0, at_ms * 48));
        stage.pass(MS * 40);
        let heard = stage.read_all(reader);
        heard
            .iter()
            .filter(|heard| matches!(heard, Heard::Discontinuity(1)))
            .count()
    };
    let mut jumps = Vec::new();
    for step in [
        0_i64,
        40,
        80,
        80 + 4_000, // less than a jump
        60_000,
        60_040,
        10_000, // back
        10_040,
        500_000,
        500_040,
    ] {
        jumps.push(push(&mut stage, step));
    }
    assert_eq!(jumps, [0, 0, 0, 0, 1, 0, 1, 0, 1, 0]);
    stage.pass(SECOND * 20);
    assert_eq!(
        push(&mut stage, 520_080),
        0,
        "a pause that took its time is none"
    );
}

#[test]
fn a_duration_beyond_reason_is_no_duration() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let reader = stage.subscribe("show");
    for (number, duration) in [(0, 3_000), (1, 90_000 * 3_600)] {
        let mut frame = picture(number, i64::try_from(number).unwrap() * 3_000, true, 100);
        frame.duration = Some(duration);
        stage.push(session, frame);
    }
    let heard = stage.read_all(reader);
    let durations: Vec<_> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Frame(frame) => Some(frame.duration),
            _ => None,
        })
        .collect();
    assert_eq!(durations, [Some(3_000), None]);
}

#[test]
fn d17_quality_is_measured_per_track_and_zero_when_frames_stop() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 30);
    source.run(&mut stage, SECOND * 3, |_| {});
    let view = stage.engine.stream(&key("show")).unwrap();
    let [video, audio] = view.tracks(stage.now).collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    assert!((29.0..=31.0).contains(&video.qos.frames_per_second));
    assert!((49.0..=51.0).contains(&audio.qos.frames_per_second));
    let bits = view.qos(stage.now).bits_per_second;
    let expected = (30.0 * 1_000.0 + 50.0 * 160.0) * 8.0;
    assert!((bits / expected - 1.0).abs() < 0.05, "{bits}");
    assert_eq!(view.qos(stage.now).frames, source.number);
    stage.pass(SECOND * 2);
    let view = stage.engine.stream(&key("show")).unwrap();
    let qos = view.qos(stage.now);
    assert_eq!((qos.bits_per_second, qos.frames_per_second), (0.0, 0.0));
    assert_eq!(qos.frames, source.number);
}

#[test]
fn d17_an_owner_that_looks_away_stalls_nobody_and_loses_telemetry_only() {
    let mut options = EngineOptions::default();
    options.max_telemetry = 10;
    let mut stage = Stage::with(options, AppSpec::new("live"));
    let session = stage.publish("show");
    let reader = stage.subscribe("show");
    stage.said();
    let mut source = Source::new(&stage, session, 30);
    let mut read = 0;
    for _ in 0..100 {
        // Nothing is polled in here, as while a hook of the application takes its time.
        for _ in 0..30 {
            let frame = source.next_picture();
            stage.engine.push(stage.now, session, frame).unwrap();
            stage.now += MS * 34;
            while let Some(heard) = stage.read_one(reader) {
                read += u64::from(heard.number().is_some());
            }
        }
        let mut old = source.next_picture();
        source.picture -= 1;
        old.dts = old.dts.plus_ticks(-6_000);
        stage.engine.push(stage.now, session, old).unwrap_err();
    }
    assert_eq!(read, 3_000);
    assert_eq!(stage.engine.dropped_events(), 90);
    let events = stage.events();
    assert_eq!(events.len(), 11, "live, and what telemetry was kept");
}

#[test]
fn state_activities_and_metadata_tell_what_is_going_on() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let id = session.stream();
    let reader = stage.subscribe("show");
    stage.said();
    assert_eq!(
        stage.engine.stream(&key("show")).unwrap().state(),
        StreamState::Idle
    );
    for (activity, begins) in [
        (Activity::Recording, true),
        (Activity::Recording, true),
        (Activity::Transcoding, true),
        (Activity::Recording, false),
        (Activity::Recording, false),
        (Activity::Recording, false),
    ] {
        stage.engine.set_activity(id, activity, begins).unwrap();
    }
    let view = stage.engine.stream(&key("show")).unwrap();
    assert_eq!(
        view.activities(),
        Activities {
            recording: false,
            transcoding: true
        }
    );
    assert_eq!(
        stage.events(),
        [
            StreamEventKind::RecordingStarted,
            StreamEventKind::TranscodeStarted,
            StreamEventKind::RecordingEnded,
        ]
    );
    let mut metadata = Metadata::default();
    metadata.width = Some(640);
    metadata.frames_per_second = Some(29.97);
    metadata.encoder = Some("x".repeat(1_000).into());
    stage
        .engine
        .update_metadata(stage.now, session, metadata)
        .unwrap();
    stage.pass(SECOND);
    stage.push(session, picture(0, 0, true, 100));
    let known = stage.engine.stream(&key("show")).unwrap().metadata();
    assert_eq!(known.started, Some(stage.now));
    assert_eq!(
        (known.declared.width, known.declared.height),
        (Some(1280), Some(720)),
        "what the configuration says is measured, not declared"
    );
    assert_eq!(known.declared.frames_per_second, Some(29.97));
    assert_eq!(known.declared.encoder.unwrap().len(), 256);
    stage
        .engine
        .finish(stage.now, session, FinishReason::Completed)
        .unwrap();
    let ended = stage.engine.stream_by_id(id).unwrap();
    assert_eq!(ended.state(), StreamState::Ended);
    stage.said();
    stage.engine.unsubscribe(stage.now, reader);
    assert!(stage.engine.stream_by_id(id).is_none());
    assert!(
        stage.events().contains(&StreamEventKind::TranscodeEnded),
        "it ends with the stream"
    );
    assert_eq!(
        stage.engine.set_activity(id, Activity::Recording, true),
        Err(StreamError::StreamNotFound)
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let mut stage = Stage::new();
    assert_eq!(
        stage.engine.register(AppSpec::new("live")),
        Err(StreamError::AppAlreadyRegistered)
    );
    let mut small = AppSpec::new("small");
    small.ring.max_bytes = (16 << 20) - 1;
    let mut none = AppSpec::new("none");
    none.limits.max_tracks = 0;
    for (spec, error) in [
        (AppSpec::new("a/b"), SpecError::Name),
        (small, SpecError::RingSmallerThanFrames),
        (none, SpecError::TrackCount),
    ] {
        assert_eq!(
            stage.engine.register(spec),
            Err(StreamError::InvalidSpec(error))
        );
    }
    assert_eq!(stage.engine.applications().count(), 1);
}
