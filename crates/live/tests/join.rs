//! Where a reader begins, and what it gets from there.

mod common;

use common::{Heard, MS, SECOND, Source, Stage, picture, sound, video_config};
use sluice_live::{Next, Start, StreamEventKind, SubscribeOptions, Tracks};
use sluice_media::TrackId;

#[test]
fn late_joiner_starts_on_the_newest_keyframe_with_each_config_once() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 60);
    source.run(&mut stage, SECOND * 3, |_| {});
    let reader = stage.subscribe("show");
    let heard = stage.read_all(reader);
    assert!(matches!(heard[0], Heard::Config(TrackId::VIDEO, 1)));
    assert!(matches!(&heard[1], Heard::Frame(frame) if frame.keyframe));
    let configs = heard
        .iter()
        .filter(|heard| matches!(heard, Heard::Config(..)));
    assert_eq!(configs.count(), 2);
    let numbers: Vec<u64> = heard.iter().filter_map(Heard::number).collect();
    let first = numbers[0];
    assert_eq!(numbers, (first..source.number).collect::<Vec<_>>());
    assert!(first > 100 && source.number - first > 50);
}

#[test]
fn sound_flows_while_a_joiner_waits_for_a_keyframe() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    stage.push(session, picture(0, 0, true, 100));
    let options = {
        let mut options = SubscribeOptions::default();
        options.start = Start::Live;
        options
    };
    let reader = stage.try_subscribe("show", options).unwrap();
    stage.push(session, picture(1, 3_000, false, 100));
    stage.push(session, sound(TrackId::AUDIO, 2, 0));
    stage.push(session, picture(3, 6_000, false, 100));
    stage.push(session, picture(4, 9_000, true, 100));
    stage.push(session, picture(5, 12_000, false, 100));
    assert_eq!(stage.read_numbers(reader), [2, 4, 5]);
}

#[test]
fn leading_pictures_are_kept_from_the_joiner_that_cannot_decode_them() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let mut present = None;
    for (number, pts, keyframe) in [
        (0, 0, true),
        (1, 3_000, false),
        (2, 12_000, true),
        (3, 6_000, false),
        (4, 9_000, false),
        (5, 15_000, false),
        (6, 14_000, false),
    ] {
        let mut frame = picture(
            number,
            i64::try_from(number).unwrap() * 3_000,
            keyframe,
            100,
        );
        frame.pts = frame.pts.plus_ticks(pts - frame.pts.ticks());
        stage.push(session, frame);
        present.get_or_insert_with(|| stage.subscribe("show"));
    }
    assert_eq!(
        stage.read_numbers(present.unwrap()),
        [0, 1, 2, 3, 4, 5, 6],
        "who has the pictures before gets them all"
    );
    let joiner = stage.subscribe("show");
    assert_eq!(stage.read_numbers(joiner), [2, 5, 6]);
}

#[test]
fn a_reader_is_told_once_until_it_has_read_to_the_end() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let (reader, other) = (stage.subscribe("show"), stage.subscribe("show"));
    assert!(stage.ready.is_empty(), "there is nothing to read");
    stage.push(session, picture(0, 0, true, 100));
    stage.poll();
    stage.ready.sort_unstable();
    assert_eq!(std::mem::take(&mut stage.ready), [reader, other]);
    assert_eq!(stage.read_numbers(reader), [0]);
    stage.push(session, picture(1, 3_000, false, 100));
    stage.poll();
    assert_eq!(
        std::mem::take(&mut stage.ready),
        [reader],
        "the other one has not read yet"
    );
    assert!(matches!(
        stage.engine.read(stage.now, reader),
        Next::Frame(_)
    ));
    stage.push(session, picture(2, 6_000, false, 100));
    stage.poll();
    assert!(stage.ready.is_empty(), "it knows that there is more");
    assert_eq!(stage.read_numbers(reader), [2]);
    assert_eq!(stage.read_numbers(other), [0, 1, 2]);
    stage.poll();
    assert!(stage.ready.is_empty());
    stage.push(session, picture(3, 9_000, false, 100));
    stage.poll();
    stage.ready.sort_unstable();
    assert_eq!(stage.ready, [reader, other]);
}

#[test]
fn only_the_wanted_tracks_are_read() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let mut source = Source::new(&stage, session, 30);
    source.run(&mut stage, SECOND, |_| {});
    for (tracks, id) in [
        (Tracks::Audio, TrackId::AUDIO),
        (Tracks::Video, TrackId::VIDEO),
        (Tracks::Only([TrackId::AUDIO].into()), TrackId::AUDIO),
    ] {
        let mut options = SubscribeOptions::default();
        options.tracks = tracks;
        let reader = stage.try_subscribe("show", options).unwrap();
        let heard = stage.read_all(reader);
        assert!(heard.len() > 20);
        assert!(heard.iter().all(|heard| match heard {
            Heard::Frame(frame) => frame.track == id,
            Heard::Config(track, _) => *track == id,
            _ => false,
        }));
    }
}

#[test]
fn a_new_configuration_comes_in_front_of_the_first_frame_that_needs_it() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let reader = stage.subscribe("show");
    stage.push(session, picture(0, 0, true, 100));
    let config = video_config(1);
    stage
        .engine
        .set_config(stage.now, session, TrackId::VIDEO, config)
        .unwrap();
    stage.push(session, picture(1, 3_000, false, 100));
    stage.said();
    let config = video_config(2);
    stage
        .engine
        .set_config(stage.now, session, TrackId::VIDEO, config)
        .unwrap();
    assert!(matches!(
        stage.events()[..],
        [StreamEventKind::CodecChanged { revision: 2, .. }]
    ));
    stage.push(session, picture(2, 6_000, true, 100));
    stage.now += MS;
    let heard = stage.read_all(reader);
    let told: Vec<_> = heard
        .iter()
        .map(|heard| match heard {
            Heard::Config(_, revision) => 100 + u64::from(*revision),
            other => other.number().unwrap(),
        })
        .collect();
    assert_eq!(told, [101, 0, 1, 102, 2]);
}
