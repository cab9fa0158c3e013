//! Layers: streams that are a part of their publisher's turn.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{MS, SECOND, Source, Stage, key};
use sluice_live::{
    EndReason, FinishReason, Output, SessionId, StreamError, StreamEventKind, StreamState,
    StreamView,
};
use sluice_media::StreamKey;

fn layer(name: &str) -> StreamKey {
    key("show").layer(name).unwrap()
}

/// A publisher that keeps its layers, and has begun these.
fn publish(stage: &mut Stage, layers: &[&str]) -> (SessionId, Vec<SessionId>) {
    let base = stage.publish("show");
    stage.engine.reserve_layers(stage.now, base).unwrap();
    let begun = layers.iter().map(|name| begin(stage, base, name));
    let begun = begun.collect();
    (base, begun)
}

fn begin(stage: &mut Stage, base: SessionId, name: &str) -> SessionId {
    let session = stage
        .engine
        .begin_layer(stage.now, base, &layer(name))
        .unwrap();
    stage.announce(session);
    session
}

fn state(stage: &Stage, key: &StreamKey) -> Option<StreamState> {
    stage.engine.stream(key).map(StreamView::state)
}

fn names(stage: &Stage) -> Vec<String> {
    let names = stage.engine.layers(&key("show"));
    names.map(str::to_owned).collect()
}

/// How publishers ended, by key, in order.
fn ended(stage: &mut Stage) -> Vec<(String, FinishReason)> {
    let of = |output| match output {
        Output::Event(event) => match event.kind {
            StreamEventKind::PublishEnded { reason, .. } => Some((event.key.to_string(), reason)),
            _ => None,
        },
        _ => None,
    };
    stage.said().into_iter().filter_map(of).collect()
}

#[test]
fn a_layer_begins_without_an_authorizer_and_is_its_publishers() {
    let mut stage = Stage::new();
    let (base, layers) = publish(&mut stage, &["h", "q"]);
    assert!(stage.said().iter().all(|output| match output {
        Output::Authorize { request, .. } => request.key == key("show"),
        _ => true,
    }));
    assert_eq!(names(&stage), ["h", "q"]);
    let view = stage.engine.stream(&layer("h")).unwrap();
    let (of_layer, of_base) = (
        view.metadata(),
        stage.engine.stream(&key("show")).unwrap().metadata(),
    );
    assert_eq!(of_layer.identity, of_base.identity);
    assert_eq!(of_layer.protocol, of_base.protocol);
    let again = stage.engine.begin_layer(stage.now, base, &layer("h"));
    assert_eq!(again, Err(StreamError::StreamAlreadyPublishing));
    let foreign = key("other").layer("h").unwrap();
    let foreign = stage.engine.begin_layer(stage.now, base, &foreign);
    assert_eq!(foreign, Err(StreamError::StreamNotFound));
    let itself = stage.engine.begin_layer(stage.now, base, &key("show"));
    assert_eq!(itself, Err(StreamError::StreamNotFound));
    let nested = stage.engine.begin_layer(stage.now, layers[0], &layer("q"));
    assert_eq!(nested, Err(StreamError::StreamNotFound));
}

#[test]
fn nobody_else_publishes_a_layer_of_a_publisher_that_keeps_them() {
    let mut stage = Stage::new();
    let name = "show~h";
    let foreign = stage.try_publish(name, Some("encoder")).unwrap();
    let (base, _) = publish(&mut stage, &[]);
    let lost = Output::SessionEnded {
        session: foreign,
        reason: FinishReason::Replaced,
    };
    assert!(stage.said().contains(&lost), "who had one loses it");
    let refused = stage.try_publish(name, Some("encoder"));
    assert_eq!(refused, Err(StreamError::StreamAlreadyPublishing));
    let own = begin(&mut stage, base, "h");
    assert_eq!(own.epoch(), foreign.epoch() + 1, "it is the same stream");
    stage
        .engine
        .finish(stage.now, base, FinishReason::Completed)
        .unwrap();
    assert!(stage.try_publish(name, Some("encoder")).is_ok());
}

#[test]
fn layers_end_with_their_stream_whatever_ends_it() {
    for reason in [FinishReason::Completed, FinishReason::Idle] {
        let mut stage = Stage::new();
        let (base, _) = publish(&mut stage, &["h", "q"]);
        stage.said();
        stage.engine.finish(stage.now, base, reason).unwrap();
        let expected = ["live/show", "live/show~h", "live/show~q"];
        let expected = expected.map(|key| (key.to_owned(), reason));
        assert_eq!(ended(&mut stage), expected);
        assert_eq!(stage.engine.streams().count(), 0);
        assert_eq!(stage.engine.publishers(), 0);
        assert_eq!(names(&stage), [""; 0]);
    }
    let mut stage = Stage::new();
    publish(&mut stage, &["h", "q"]);
    let reader = stage.subscribe("show~h");
    stage.engine.end_stream(stage.now, &key("show")).unwrap();
    assert_eq!(stage.engine.streams().count(), 0);
    assert_eq!(
        stage.read_all(reader).last(),
        Some(&common::Heard::Ended(EndReason::Closed))
    );
}

#[test]
fn layers_wait_with_their_stream_and_leave_nothing_when_nobody_comes() {
    let mut stage = Stage::new();
    let (base, layers) = publish(&mut stage, &["h", "q"]);
    Source::new(&stage, layers[0], 30).run(&mut stage, SECOND, |_| {});
    Source::new(&stage, base, 30).run(&mut stage, SECOND, |_| {});
    stage
        .engine
        .finish(stage.now, base, FinishReason::Disconnected)
        .unwrap();
    for key in [key("show"), layer("h"), layer("q")] {
        assert_eq!(state(&stage, &key), Some(StreamState::Resuming), "{key}");
    }
    stage.pass(SECOND * 11);
    assert_eq!(stage.engine.streams().count(), 0);
    assert_eq!(names(&stage), [""; 0]);
    assert_eq!(stage.engine.publishers(), 0);
}

#[test]
fn the_next_publisher_goes_on_with_the_layers_it_has() {
    let mut stage = Stage::new();
    let (base, layers) = publish(&mut stage, &["h", "q"]);
    Source::new(&stage, layers[0], 30).run(&mut stage, SECOND, |_| {});
    let reader = stage.subscribe("show~h");
    stage.read_all(reader);
    // The same encoder takes its key over.
    let (next, _) = publish(&mut stage, &["h"]);
    assert_ne!(base, next);
    let session = stage.engine.stream(&layer("h")).unwrap().session().unwrap();
    assert_eq!(session.epoch(), 2);
    Source::new(&stage, session, 30).run(&mut stage, SECOND, |_| {});
    let heard = stage.read_all(reader);
    assert!(heard.contains(&common::Heard::Discontinuity(2)));
    assert_eq!(state(&stage, &layer("q")), Some(StreamState::Resuming));
    stage.pass(SECOND * 10);
    assert_eq!(names(&stage), ["h"], "the one it lacks is over");
    assert!(state(&stage, &key("show")).is_some());
}

#[test]
fn a_layer_may_be_silent_for_as_long_as_its_publisher_is_there() {
    let mut stage = Stage::new();
    let (base, _) = publish(&mut stage, &["h"]);
    let mut source = Source::new(&stage, base, 30);
    source.run(&mut stage, SECOND * 70, |_| {});
    assert_eq!(names(&stage), ["h"]);
    stage.pass(SECOND * 31);
    assert_eq!(stage.engine.streams().count(), 0, "both are reaped then");
}

#[test]
fn a_layer_that_ends_alone_leaves_its_stream() {
    let mut stage = Stage::new();
    let (base, layers) = publish(&mut stage, &["h", "q"]);
    stage.said();
    stage.engine.end_stream(stage.now, &layer("h")).unwrap();
    let told = stage.said();
    assert!(told.contains(&Output::SessionEnded {
        session: layers[0],
        reason: FinishReason::Closed,
    }));
    assert_eq!(names(&stage), ["q"]);
    let mut source = Source::new(&stage, base, 30);
    source.run(&mut stage, 100 * MS, |_| {});
    assert_eq!(state(&stage, &key("show")), Some(StreamState::Publishing));
}

#[test]
fn a_publisher_that_is_turned_away_leaves_nothing() {
    let mut stage = Stage::new();
    let session = stage.publish("show");
    stage
        .engine
        .finish(stage.now, session, FinishReason::Malformed)
        .unwrap();
    assert_eq!(stage.engine.streams().count(), 0);
    // One that has sent something is waited for.
    let session = stage.publish("show");
    Source::new(&stage, session, 30).run(&mut stage, SECOND, |_| {});
    stage
        .engine
        .finish(stage.now, session, FinishReason::Malformed)
        .unwrap();
    assert_eq!(state(&stage, &key("show")), Some(StreamState::Resuming));
}
