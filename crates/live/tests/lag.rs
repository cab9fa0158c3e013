//! Readers that are slow: what each policy does to them.

mod common;

use std::time::Duration;

use common::{Heard, MS, SECOND, Source, Stage};
use sluice_live::{EndReason, LagPolicy, StreamEventKind};

fn show(group: i64) -> (Stage, Source) {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    let source = Source::new(&stage, session, group);
    (stage, source)
}

fn losses(heard: &[Heard]) -> Vec<(u64, Duration)> {
    let lost = heard.iter().filter_map(|heard| match heard {
        Heard::Lagged(skipped, lost) => Some((*skipped, *lost)),
        _ => None,
    });
    lost.collect()
}

#[test]
fn beyond_its_allowance_a_reader_goes_on_at_the_newest_keyframe() {
    let (mut stage, mut source) = show(30);
    let reader = stage.subscribe_with("show", LagPolicy::SkipToKeyframe { max_lag: SECOND });
    source.run(&mut stage, MS * 500, |_| {});
    let before = stage.read_numbers(reader).len();
    source.run(&mut stage, MS * 900, |_| {});
    assert!(
        losses(&stage.read_all(reader)).is_empty(),
        "late, but not too late"
    );
    stage.said();
    source.run(&mut stage, MS * 2_100, |_| {});
    let heard = stage.read_all(reader);
    let [(skipped, lost)] = losses(&heard)[..] else {
        unreachable!("{heard:?}");
    };
    assert!(matches!(&heard[0], Heard::Lagged(..)));
    assert!(
        matches!(&heard[1], Heard::Frame(frame) if frame.keyframe && frame.dts.ticks() == 270_000)
    );
    assert!(lost > MS * 1_500 && lost < MS * 1_700, "{lost:?}");
    assert!(before > 0 && skipped > 100);
    assert!(stage.events().iter().any(|event| matches!(
        event,
        StreamEventKind::SubscriberLagged { subscription, skipped: told, lost: time, .. }
            if *subscription == reader && *told == skipped && *time == lost
    )));
}

#[test]
fn without_a_keyframe_ahead_pictures_wait_for_one_while_sound_goes_on() {
    let (mut stage, mut source) = show(300);
    let reader = stage.subscribe_with("show", LagPolicy::SkipToKeyframe { max_lag: SECOND });
    source.run(&mut stage, SECOND, |_| {});
    stage.read_all(reader);
    stage.said();
    source.run(&mut stage, SECOND * 2, |_| {});
    let heard = stage.read_all(reader);
    assert_eq!(heard.len(), 1, "all there was is lost");
    assert_eq!(stage.keyframe_requests(), 1);
    source.run(&mut stage, SECOND, |_| {});
    let heard = stage.read_all(reader);
    assert_eq!(heard.len(), 50);
    assert!(heard.iter().all(|heard| matches!(heard, Heard::Frame(frame) if frame.codec.kind() == sluice_media::MediaKind::Audio)));
    source.run(&mut stage, MS * 500, |_| {});
    stage.read_all(reader);
    source.group = source.picture;
    let first = source.picture;
    source.run(&mut stage, MS * 500, |_| {});
    let heard = stage.read_all(reader);
    assert_eq!(
        losses(&heard),
        [(45, MS * 1_500)],
        "the pictures it waited through are told"
    );
    let picture = heard.iter().find_map(|heard| match heard {
        Heard::Frame(frame) if frame.track == sluice_media::TrackId::VIDEO => Some(frame),
        _ => None,
    });
    let picture = picture.unwrap();
    assert!(picture.keyframe && picture.dts.ticks() == first * 3_000);
}

#[test]
fn history_does_not_count_as_late_for_who_has_just_come() {
    let (mut stage, mut source) = show(300);
    source.run(&mut stage, SECOND * 9, |_| {});
    let reader = stage.subscribe_with("show", LagPolicy::SkipToKeyframe { max_lag: SECOND });
    let mut read = 0;
    // Nine seconds of history in a bit less than one.
    while let Some(heard) = stage.read_one(reader) {
        assert!(!matches!(heard, Heard::Lagged(..)));
        read += 1;
        source.run(&mut stage, MS, |_| {});
        if read == 500 {
            source.run(&mut stage, MS * 200, |_| {});
        }
    }
    assert!(read > 700, "{read}");
}

#[test]
fn from_half_its_allowance_a_reader_is_spared_what_nothing_refers_to() {
    let (mut stage, mut source) = show(300);
    let policy = LagPolicy::DropNonReference {
        max_lag: SECOND * 2,
    };
    let reader = stage.subscribe_with("show", policy);
    let session = source.session;
    source.with_sound = false;
    for number in 0..60 {
        let mut frame = source.next_picture();
        frame.discardable = number % 2 == 1;
        stage.push(session, frame);
        stage.pass(SECOND / 30);
    }
    let numbers = stage.read_numbers(reader);
    let (old, new) = numbers.split_at(numbers.len() - 30);
    assert!(old.iter().all(|number| number % 2 == 0), "{old:?}");
    assert_eq!(new, (30..60).collect::<Vec<_>>());
    let view = stage.engine.subscription(stage.now, reader).unwrap();
    assert_eq!((view.frames, view.dropped, view.skipped), (45, 15, 0));
}

#[test]
fn d14_a_day_of_small_losses_does_not_evict_but_a_bad_minute_does() {
    let mut stage = Stage::new();
    let session = stage.try_publish("show", None).unwrap();
    stage
        .engine
        .set_config(
            stage.now,
            session,
            sluice_media::TrackId::VIDEO,
            common::video_config(1),
        )
        .unwrap();
    let mut source = Source::new(&stage, session, 1);
    source.with_sound = false;
    source.bytes = 8;
    let policy = LagPolicy::Evict {
        max_lag: MS * 500,
        budget: SECOND * 2,
        window: SECOND * 60,
    };
    let reader = stage.subscribe_with("show", policy);
    let mut lost = Duration::ZERO;
    let mut blip = |stage: &mut Stage, source: &mut Source, frames: u32| {
        // Just beyond the allowance: of these it loses all but the last.
        for _ in 0..frames {
            let frame = source.next_picture();
            stage.push(session, frame);
            stage.now += MS * 120;
        }
        stage.now += MS * 300;
        let heard = stage.read_all(reader);
        lost += losses(&heard).iter().map(|(_, lost)| *lost).sum();
        heard
    };
    for minute in 0..24 * 60 {
        let heard = blip(&mut stage, &mut source, 6);
        assert!(!losses(&heard).is_empty(), "in minute {minute}");
        assert!(!matches!(heard.last(), Some(Heard::Ended(_))));
        // Once more in a while, so that the publisher is not idle.
        for _ in 0..6 {
            let frame = source.next_picture();
            stage.push(session, frame);
            stage.read_all(reader);
            stage.pass(SECOND * 9 + MS * 800);
        }
    }
    stage.said();
    let mut ended = None;
    for turn in 0..10 {
        let heard = blip(&mut stage, &mut source, 6);
        if let Some(Heard::Ended(reason)) = heard.last() {
            ended = Some((turn, *reason));
            break;
        }
        stage.pass(SECOND);
    }
    let (turn, reason) = ended.unwrap();
    assert_eq!(reason, EndReason::Evicted);
    assert!((2..=5).contains(&turn), "{turn}");
    assert!(lost > SECOND * 600, "a lifetime sum would have: {lost:?}");
    let evictions: Vec<_> = stage
        .events()
        .into_iter()
        .filter(|event| matches!(event, StreamEventKind::SubscriberEvicted { .. }))
        .collect();
    assert_eq!(evictions.len(), 1);
    assert_eq!(
        stage.read_all(reader),
        [Heard::Ended(EndReason::Evicted)],
        "it goes on saying so"
    );
}
