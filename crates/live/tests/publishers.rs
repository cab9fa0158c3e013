//! Who gets a key, how it changes hands, and what its readers notice.

mod common;

use common::{Heard, MS, SECOND, Source, Stage, key, picture, sound, video_config};
use sluice_live::{
    AppSpec, Denial, EndReason, EngineOptions, FinishReason, FrameError, Grant, Identity, Output,
    PlayRequest, Protocol, PublishRequest, SourceState, StreamError, StreamEventKind, StreamState,
    SubscribeOptions, Takeover, Verdict,
};
use sluice_media::{StreamKey, TrackId};

fn discontinuities(heard: &[Heard]) -> usize {
    let found = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Discontinuity(_)));
    found.count()
}

#[test]
fn nobody_publishes_or_plays_without_a_verdict() {
    let mut stage = Stage::new();
    let id = stage.ask_publish("show");
    let said = stage.said();
    assert!(matches!(&said[..], [Output::Authorize { admission, .. }] if *admission == id));
    assert!(stage.engine.stream(&key("show")).is_none(), "not yet");
    let reason = Denial::BadCredentials;
    stage
        .engine
        .decide(stage.now, id, Verdict::Deny { reason })
        .unwrap();
    assert_eq!(
        stage.outcome(id),
        Some(Err(StreamError::Unauthorized { reason }))
    );
    assert!(stage.engine.stream(&key("show")).is_none());
    let verdict = Verdict::Allow { identity: None };
    assert_eq!(
        stage.engine.decide(stage.now, id, verdict),
        Err(StreamError::AdmissionNotFound),
        "a second verdict comes too late"
    );
    let request = PlayRequest::new(key("show"), Protocol::WHEP);
    let play = stage.engine.request_play(stage.now, request).unwrap();
    assert_eq!(
        stage
            .engine
            .subscribe(stage.now, play, SubscribeOptions::default()),
        Err(StreamError::NotAdmitted)
    );
}

#[test]
fn a_silent_authorizer_has_refused_after_five_seconds() {
    let mut stage = Stage::new();
    let publish = stage.ask_publish("show");
    let request = PlayRequest::new(key("show"), Protocol::WHEP);
    let play = stage.engine.request_play(stage.now, request).unwrap();
    stage.pass(MS * 4_999);
    assert_eq!((stage.outcome(publish), stage.outcome(play)), (None, None));
    stage.pass(MS);
    let reason = Denial::Silent;
    let refused = Some(Err(StreamError::Unauthorized { reason }));
    assert_eq!(
        (stage.outcome(publish), stage.outcome(play)),
        (refused, refused)
    );
    let verdict = Verdict::Allow { identity: None };
    assert_eq!(
        stage.engine.decide(stage.now, publish, verdict),
        Err(StreamError::AdmissionNotFound)
    );
    assert_eq!(stage.engine.admissions(), 0);
}

#[test]
fn a_right_to_play_that_is_not_used_is_forgotten() {
    let mut stage = Stage::new();
    let request = PlayRequest::new(key("show"), Protocol::WHEP);
    let play = stage.engine.request_play(stage.now, request).unwrap();
    stage.allow(play, None);
    let subscribe = |stage: &mut Stage| {
        let options = SubscribeOptions::default();
        stage.engine.subscribe(stage.now, play, options)
    };
    assert_eq!(subscribe(&mut stage), Err(StreamError::StreamNotFound));
    stage.publish("show");
    stage.pass(MS * 4_000);
    let reader = subscribe(&mut stage).unwrap();
    assert_eq!(
        subscribe(&mut stage),
        Err(StreamError::AdmissionNotFound),
        "used"
    );
    stage.engine.unsubscribe(stage.now, reader);
    let request = PlayRequest::new(key("show"), Protocol::WHEP);
    let play = stage.engine.request_play(stage.now, request).unwrap();
    stage.allow(play, None);
    stage.pass(SECOND * 6);
    assert_eq!(stage.engine.admissions(), 0);
}

#[test]
fn requests_are_capped_in_number_per_address_and_in_credentials() {
    let mut options = EngineOptions::default();
    options.max_admissions = 10;
    options.max_admissions_per_address = 3;
    let mut stage = Stage::with(options, AppSpec::new("live"));
    let mut request = PublishRequest::new(key("show"), Protocol::SRT);
    request.address = Some("192.0.2.1:5000".parse().unwrap());
    let ask = |stage: &mut Stage, request: &PublishRequest| {
        stage.engine.request_publish(stage.now, request.clone())
    };
    let ids: Vec<_> = (0..3).map(|_| ask(&mut stage, &request).unwrap()).collect();
    let limit = 3;
    assert_eq!(
        ask(&mut stage, &request),
        Err(StreamError::AdmissionLimitReached { limit })
    );
    stage.engine.cancel(ids[0]);
    ask(&mut stage, &request).unwrap();
    request.address = None;
    for _ in 0..7 {
        ask(&mut stage, &request).unwrap();
    }
    let limit = 10;
    assert_eq!(
        ask(&mut stage, &request),
        Err(StreamError::AdmissionLimitReached { limit })
    );
    request.credentials.token = Some("x".repeat(8_193).into());
    assert_eq!(
        ask(&mut stage, &request),
        Err(StreamError::CredentialsTooLong)
    );
    assert_eq!(format!("{:?}", request.credentials), "Credentials(..)");
    let elsewhere = PublishRequest::new(StreamKey::new("other", "a").unwrap(), Protocol::SRT);
    assert_eq!(ask(&mut stage, &elsewhere), Err(StreamError::AppNotFound));
}

#[test]
fn d16_the_same_identity_replaces_and_another_is_rejected() {
    let mut stage = Stage::new();
    let first = stage.publish("show");
    stage.push(first, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    assert_eq!(
        stage.try_publish("show", Some("stranger")),
        Err(StreamError::StreamAlreadyPublishing)
    );
    let second = stage.publish("show");
    assert_eq!((first.epoch(), second.epoch()), (1, 2));
    let ended = stage.said().into_iter().any(|output| {
        matches!(output, Output::SessionEnded { session, reason: FinishReason::Replaced } if session == first)
    });
    assert!(ended, "the owner of the first one is told");
    assert_eq!(
        stage
            .engine
            .push(stage.now, first, picture(1, 3_000, false, 100)),
        Err(FrameError::SessionEnded)
    );
    stage.push(second, sound(TrackId::AUDIO, 10, 7_000_000));
    stage.push(second, picture(11, 500_000, true, 100));
    stage.push(second, picture(12, 503_000, false, 100));
    let heard = stage.read_all(viewer);
    assert_eq!(discontinuities(&heard), 1);
    let configs = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Config(..)));
    assert_eq!(configs.count(), 2, "the same ones are not told again");
    let at = heard
        .iter()
        .position(|heard| *heard == Heard::Discontinuity(2))
        .unwrap();
    let numbers: Vec<_> = heard.iter().filter_map(Heard::number).collect();
    assert_eq!(numbers, [0, 10, 11, 12]);
    let marked: Vec<_> = heard[at..]
        .iter()
        .filter_map(|heard| match heard {
            Heard::Frame(frame) => Some(frame.discontinuity),
            _ => None,
        })
        .collect();
    assert_eq!(marked, [true, false, false]);
}

#[test]
fn d16_who_has_no_identity_takes_no_key_that_is_held() {
    let mut stage = Stage::new();
    let held = Err(StreamError::StreamAlreadyPublishing);
    let first = stage.try_publish("show", None).unwrap();
    stage.announce(first);
    stage.push(first, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    assert_eq!(stage.try_publish("show", None), held, "another stranger");
    assert_eq!(stage.try_publish("show", Some("encoder")), held);
    stage.pass(SECOND);
    assert_eq!(stage.try_publish("show", None), held, "a moment is nothing");
    stage.pass(SECOND);
    let first = stage.try_publish("show", None).unwrap();
    assert_eq!(first.epoch(), 2, "it is gone without a word");
    stage.announce(first);
    stage.push(first, picture(1, 0, true, 100));
    stage
        .engine
        .finish(stage.now, first, FinishReason::Disconnected)
        .unwrap();
    let second = stage.try_publish("show", None).unwrap();
    assert_eq!(second.epoch(), 3, "a lost publisher holds no key");
    stage.announce(second);
    stage.push(second, picture(2, 0, true, 100));
    assert_eq!(discontinuities(&stage.read_all(viewer)), 2);
}

#[test]
fn another_encoder_brings_another_configuration() {
    let mut stage = Stage::new();
    let first = stage.publish("show");
    stage.push(first, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    stage.read_all(viewer);
    let second = stage.try_publish("show", Some("encoder")).unwrap();
    stage
        .engine
        .set_config(stage.now, second, TrackId::VIDEO, video_config(7))
        .unwrap();
    assert_eq!(
        stage
            .engine
            .push(stage.now, second, sound(TrackId::AUDIO, 1, 0)),
        Err(FrameError::UnknownTrack),
        "each session announces its own tracks"
    );
    stage.push(second, picture(2, 0, true, 100));
    let heard = stage.read_all(viewer);
    assert_eq!(heard[0], Heard::Discontinuity(2));
    assert_eq!(heard[1], Heard::Config(TrackId::VIDEO, 2));
    assert_eq!(heard[2].number(), Some(2));
}

#[test]
fn a_queued_publisher_gets_the_key_when_it_is_free_and_viewers_stay() {
    let mut spec = AppSpec::new("live");
    spec.takeover.other_identity = Takeover::Queue;
    spec.limits.max_queue = 2;
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let first = stage.publish("show");
    stage.push(first, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    stage.read_all(viewer);
    let waiting: Vec<_> = ["b", "c"]
        .map(|identity| {
            let id = stage.ask_publish("show");
            stage.allow(id, Some(identity));
            id
        })
        .into();
    let late = stage.ask_publish("show");
    stage.allow(late, Some("d"));
    assert_eq!(
        stage.outcome(late),
        Some(Err(StreamError::StreamAlreadyPublishing))
    );
    assert_eq!(stage.outcome(waiting[0]), None);
    stage.pass(SECOND * 20);
    assert_eq!(stage.outcome(waiting[0]), None, "it may wait for long");
    stage.engine.cancel(waiting[0]);
    stage
        .engine
        .finish(stage.now, first, FinishReason::Completed)
        .unwrap();
    let Some(Ok(Grant::Publish(second))) = stage.outcome(waiting[1]) else {
        unreachable!("{:?}", stage.outcome(waiting[1]));
    };
    assert_eq!(second.epoch(), 2);
    stage.announce(second);
    stage.push(second, picture(1, 0, true, 100));
    let heard = stage.read_all(viewer);
    assert_eq!(discontinuities(&heard), 1);
    assert_eq!(heard.last().unwrap().number(), Some(1));
    assert_eq!(stage.engine.admissions(), 0);
}

#[test]
fn a_lost_publisher_may_come_back_within_the_resume_window() {
    let mut stage = Stage::new();
    let first = stage.publish("show");
    stage.push(first, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    stage.read_all(viewer);
    stage.said();
    stage
        .engine
        .finish(stage.now, first, FinishReason::Disconnected)
        .unwrap();
    assert_eq!(
        stage.engine.finish(stage.now, first, FinishReason::Closed),
        Err(StreamError::SessionEnded)
    );
    let now_is = |stage: &Stage| stage.engine.stream(&key("show")).unwrap().state();
    assert_eq!(now_is(&stage), StreamState::Resuming);
    let head = stage.engine.stream(&key("show")).unwrap().head();
    stage.pass(MS * 9_999);
    assert!(stage.read_all(viewer).is_empty(), "it waits");
    let second = stage.try_publish("show", Some("somebody else")).unwrap();
    stage.announce(second);
    assert_eq!(now_is(&stage), StreamState::Resuming);
    stage.pass(SECOND * 5);
    stage.push(second, picture(1, 0, true, 100));
    assert_eq!(now_is(&stage), StreamState::Publishing);
    assert_eq!(stage.engine.stream(&key("show")).unwrap().head(), head + 1);
    let states: Vec<_> = stage
        .events()
        .into_iter()
        .filter_map(|event| match event {
            StreamEventKind::SourceState { state, epoch } => Some((state, epoch)),
            _ => None,
        })
        .collect();
    assert_eq!(states, [(SourceState::Resuming, 1), (SourceState::Live, 2)]);
    assert_eq!(discontinuities(&stage.read_all(viewer)), 1);
}

#[test]
fn a_stream_that_nobody_resumes_ends_for_its_readers_with_what_is_left() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    stage.push(session, picture(0, 0, true, 100));
    let viewer = stage.subscribe("show");
    let done = FinishReason::Disconnected;
    stage.engine.finish(stage.now, session, done).unwrap();
    stage.pass(SECOND * 10);
    assert!(
        stage.engine.stream(&key("show")).is_none(),
        "the key is free"
    );
    assert_eq!(stage.engine.streams().count(), 0);
    stage.publish("show");
    stage.poll();
    assert!(stage.ready.contains(&viewer));
    let heard = stage.read_all(viewer);
    assert_eq!(heard[1].number(), Some(0));
    assert_eq!(heard[2], Heard::Ended(EndReason::PublisherLost));
    assert_eq!(heard.len(), 3);
    assert_eq!(stage.read_all(viewer), heard[2..], "it goes on saying so");
    stage.engine.unsubscribe(stage.now, viewer);
    assert_eq!(
        stage.read_all(viewer),
        [Heard::Ended(EndReason::Unsubscribed)]
    );
}

#[test]
fn a_publisher_that_is_done_ends_the_stream_at_once() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let viewer = stage.subscribe("show");
    stage
        .engine
        .finish(stage.now, session, FinishReason::Completed)
        .unwrap();
    assert_eq!(stage.read_all(viewer), [Heard::Ended(EndReason::Completed)]);
    let session = stage.publish("show");
    assert_eq!(session.epoch(), 1, "another stream");
    stage.engine.end_stream(stage.now, &key("show")).unwrap();
    assert_eq!(
        stage.engine.end_stream(stage.now, &key("show")),
        Err(StreamError::StreamNotFound)
    );
    let told = stage.said().into_iter().any(|output| {
        matches!(output, Output::SessionEnded { session: ended, reason: FinishReason::Closed } if ended == session)
    });
    assert!(told);
}

#[test]
fn an_idle_publisher_is_reaped_and_its_coming_counts_as_activity() {
    let mut stage = Stage::new();
    let silent = stage.publish("silent");
    let busy = stage.publish("busy");
    stage.pass(MS * 29_000);
    stage.push(busy, picture(0, 0, true, 100));
    stage.pass(MS * 999);
    assert_eq!(stage.engine.publishers(), 2);
    stage.said();
    stage.pass(MS * 2);
    let said = stage.said();
    let ended = Output::SessionEnded {
        session: silent,
        reason: FinishReason::Idle,
    };
    assert!(said.contains(&ended));
    let reaped = said
        .iter()
        .filter(|output| matches!(output, Output::Event(event) if event.kind == StreamEventKind::StreamReaped));
    assert_eq!(reaped.count(), 1);
    assert_eq!(stage.engine.streams().count(), 1);
    stage.pass(SECOND * 29);
    assert_eq!(stage.engine.streams().count(), 0);
}

#[test]
fn d16_a_thousand_killed_encoders_never_lose_their_viewer_and_leave_nothing() {
    let mut stage = Stage::new();
    let mut session = stage.publish("show");
    let viewer = stage.subscribe("show");
    let (mut pictures, mut breaks) = (0, 0);
    for turn in 0..1_000_u64 {
        let mut source = Source::new(&stage, session, 30);
        source.run(&mut stage, MS * 200, |_| {});
        let heard = stage.read_all(viewer);
        assert!(!heard.iter().any(|heard| matches!(heard, Heard::Lagged(..))));
        pictures += heard.iter().filter_map(Heard::number).count();
        breaks += discontinuities(&heard);
        // Some die and are noticed, some come back before that.
        if turn % 2 == 0 {
            let lost = FinishReason::Disconnected;
            stage.engine.finish(stage.now, session, lost).unwrap();
            stage.pass(MS * 500);
        }
        session = stage.publish("show");
        assert_eq!(u64::from(session.epoch()), turn + 2);
        stage.said();
    }
    assert_eq!(breaks, 999, "one between any two of them");
    assert_eq!(pictures, 16_000);
    assert_eq!(
        stage
            .engine
            .stream(&key("show"))
            .unwrap()
            .tracks(stage.now)
            .count(),
        2
    );

    stage.engine.unsubscribe(stage.now, viewer);
    for index in 0..1_000 {
        let name = format!("stream{index}");
        if index > 0 {
            let session = stage.publish(&name);
            stage.push(session, picture(0, 0, true, 1_000));
            let lost = FinishReason::Disconnected;
            stage.engine.finish(stage.now, session, lost).unwrap();
        }
    }
    assert_eq!(stage.engine.streams().count(), 1_000);
    stage.pass(SECOND * 60);
    assert_eq!(stage.engine.streams().count(), 0);
    assert_eq!(stage.engine.publishers(), 0);
    assert_eq!(stage.engine.ring_bytes(), 0);
    assert_eq!(stage.engine.admissions(), 0);
    assert_eq!(stage.engine.deadline(), None);
}

#[test]
fn limits_of_publishers_streams_viewers_and_memory_are_typed() {
    let mut options = EngineOptions::default();
    options.max_publishers = 3;
    options.max_ring_bytes = 100_000;
    let mut spec = AppSpec::new("live");
    spec.limits.max_streams = 2;
    spec.limits.max_viewers = 3;
    spec.limits.max_viewers_per_stream = 2;
    let mut stage = Stage::with(options, spec);
    stage.engine.register(AppSpec::new("other")).unwrap();
    let other = |name: &str| StreamKey::new("other", name).unwrap();
    let a = stage.publish("a");
    let b = stage.publish("b");
    let limit = 2;
    assert_eq!(
        stage.try_publish("c", None),
        Err(StreamError::StreamLimitReached { limit })
    );
    for (name, expected) in [
        ("a", None),
        ("a", None),
        ("a", Some(2)),
        ("b", None),
        ("b", Some(3)),
    ] {
        let result = stage.try_subscribe(name, SubscribeOptions::default());
        let expected = expected.map(|limit| StreamError::ViewerLimitReached { limit });
        assert_eq!(result.err(), expected);
    }
    let publish = |stage: &mut Stage, name: &str| {
        let request = PublishRequest::new(other(name), Protocol::RTMP);
        let id = stage.engine.request_publish(stage.now, request).unwrap();
        stage.allow(id, None);
        stage.outcome(id).unwrap()
    };
    for number in 0..90 {
        stage.push(
            a,
            picture(
                number,
                3_000 * i64::try_from(number).unwrap(),
                number == 0,
                1_000,
            ),
        );
    }
    assert!(stage.engine.ring_bytes() <= 100_000);
    stage.push(b, picture(0, 0, true, 60_000));
    assert_eq!(
        stage.engine.stream(&key("b")).unwrap().ring_bytes(),
        0,
        "at the bound each makes room in its own ring"
    );
    for number in 90..110 {
        stage.push(
            a,
            picture(number, 3_000 * i64::try_from(number).unwrap(), false, 1_000),
        );
        assert!(stage.engine.ring_bytes() <= 100_000);
    }
    assert!(stage.engine.stream(&key("a")).unwrap().ring_bytes() > 90_000);
    assert!(publish(&mut stage, "x").is_ok());
    let limit = 3;
    assert_eq!(
        publish(&mut stage, "y"),
        Err(StreamError::PublisherLimitReached { limit })
    );
}

#[test]
fn a_publisher_beyond_its_rate_is_closed_with_the_reason_and_may_resume() {
    let mut spec = AppSpec::new("live");
    spec.limits.max_bytes_per_second = Some(100_000);
    let mut stage = Stage::with(EngineOptions::default(), spec);
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 30);
    source.with_sound = false;
    source.bytes = 3_000;
    source.run(&mut stage, SECOND * 10, |_| {});
    stage.said();
    let mut result = Ok(());
    for _ in 0..40 {
        source.bytes = 5_000;
        let frame = source.next_picture();
        result = stage.engine.push(stage.now, session, frame);
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result, Err(FrameError::RateLimited));
    let said = stage.said();
    let ended = Output::SessionEnded {
        session,
        reason: FinishReason::RateLimited,
    };
    assert!(said.contains(&ended));
    assert!(said.iter().any(|output| matches!(
        output,
        Output::Event(event) if matches!(event.kind, StreamEventKind::RateLimited { bytes_per_second: 100_000, .. })
    )));
    let stream = stage.engine.stream(&key("show")).unwrap();
    assert_eq!(stream.state(), StreamState::Resuming);
}

#[test]
fn layers_of_a_stream_are_told_under_its_base() {
    let mut stage = Stage::new();
    let publish = |stage: &mut Stage, layer: &str| {
        let key = key("show").layer(layer).unwrap();
        let request = PublishRequest::new(key, Protocol::WHIP);
        let id = stage.engine.request_publish(stage.now, request).unwrap();
        let identity = Some(Identity::new("phone"));
        stage
            .engine
            .decide(stage.now, id, Verdict::Allow { identity })
            .unwrap();
        match stage.outcome(id) {
            Some(Ok(Grant::Publish(session))) => session,
            other => unreachable!("{other:?}"),
        }
    };
    let high = publish(&mut stage, "h");
    publish(&mut stage, "q");
    stage
        .engine
        .finish(stage.now, high, FinishReason::Completed)
        .unwrap();
    let layers: Vec<_> = stage
        .said()
        .into_iter()
        .filter_map(|output| match output {
            Output::Event(event) => match event.kind {
                StreamEventKind::LayersChanged { layers } => {
                    assert_eq!(*event.key, key("show"));
                    Some(layers.join(","))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(layers, ["h", "h,q", "q"]);
}
