use std::num::NonZeroU32;

use bytes::Bytes;
use sluice_live::{
    AccessRequest, AppSpec, EngineOptions, Grant, Next, Output, Protocol, SubscribeOptions,
    SubscriptionId, Verdict,
};
use sluice_media::{Codec, VideoParameters};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A publisher of layers, and a reader of each of its streams.
struct Stage {
    engine: Engine,
    ladder: Ladder,
    session: SessionId,
    now: Instant,
    out: Consequences,
    /// What the readers of the stream itself have got: widths of configurations, and numbers of frames.
    reader: Option<SubscriptionId>,
}

impl Stage {
    fn new(rids: &[&str]) -> Self {
        let now = Instant::now();
        let mut engine = Engine::new(EngineOptions::default());
        engine.register(AppSpec::new("live")).unwrap();
        let request = AccessRequest::new(key(), Protocol::WHIP);
        let admission = engine.request_publish(now, request).unwrap();
        let verdict = Verdict::Allow { identity: None };
        engine.decide(now, admission, verdict).unwrap();
        let mut session = None;
        while let Some(output) = engine.poll_output() {
            if let Output::Admitted {
                grant: Grant::Publish(granted),
                ..
            } = output
            {
                session = Some(granted);
            }
        }
        let rids: Vec<String> = rids.iter().map(|rid| (*rid).to_owned()).collect();
        let mut stage = Self {
            engine,
            ladder: Ladder::new(&rids),
            session: session.unwrap(),
            now,
            out: Consequences::default(),
            reader: None,
        };
        stage.reader = Some(stage.subscribe(&key()));
        stage
    }

    fn subscribe(&mut self, key: &StreamKey) -> SubscriptionId {
        let request = AccessRequest::new(key.clone(), Protocol::APPLICATION);
        let admission = self.engine.request_play(self.now, request).unwrap();
        let verdict = Verdict::Allow { identity: None };
        self.engine.decide(self.now, admission, verdict).unwrap();
        self.engine
            .subscribe(self.now, admission, SubscribeOptions::default())
            .unwrap()
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Ladder, Instant, &mut Streams<'_>) -> T) -> T {
        let key = key();
        let mut streams = Streams {
            engine: &mut self.engine,
            key: &key,
            session: self.session,
            sound: &[],
            out: &mut self.out,
        };
        call(&mut self.ladder, self.now, &mut streams)
    }

    /// A picture of a layer, `width` wide, at a time; a keyframe brings its configuration.
    fn picture(&mut self, layer: u8, width: u32, ms: i64, keyframe: bool) {
        if keyframe {
            let piece = Piece::Config(layer, config(width));
            self.with(|ladder, now, streams| ladder.handle(now, piece, streams));
        }
        let at = Timestamp::new(ms * 90, NonZeroU32::new(90_000).unwrap());
        let frame = Frame {
            track: TrackId::VIDEO,
            codec: Codec::H264,
            pts: at,
            dts: at,
            duration: None,
            keyframe,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: Bytes::from(vec![layer; 100]),
        };
        let piece = Piece::Frame(layer, frame);
        self.with(|ladder, now, streams| ladder.handle(now, piece, streams));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.with(Ladder::handle_timeout);
    }

    /// What has come of a stream: `c320` for a configuration, `0K` for a keyframe of layer 0.
    fn read(&mut self, reader: SubscriptionId) -> Vec<String> {
        let (mut heard, mut newest) = (Vec::new(), i64::MIN);
        loop {
            match self.engine.read(self.now, reader) {
                Next::Config { config, .. } => {
                    let Parameters::Video(video) = config.parameters else {
                        continue;
                    };
                    heard.push(format!("c{}", video.width));
                }
                Next::Frame(frame) => {
                    assert!(frame.dts.ticks() > newest, "times rise");
                    assert!(frame.pts >= frame.dts);
                    newest = frame.dts.ticks();
                    let mark = if frame.keyframe { "K" } else { "" };
                    heard.push(format!("{}{mark}", frame.data[0]));
                }
                Next::Empty => return heard,
                _ => {}
            }
        }
    }

    fn heard(&mut self) -> Vec<String> {
        let reader = self.reader.unwrap();
        self.read(reader)
    }

    fn layers(&self) -> Vec<&str> {
        self.engine.layers(&key()).collect()
    }
}

fn key() -> StreamKey {
    "live/show".parse().unwrap()
}

fn config(width: u32) -> CodecConfig {
    CodecConfig {
        codec: Codec::H264,
        record: Bytes::from(width.to_be_bytes().to_vec()),
        parameters: Parameters::Video(VideoParameters {
            width,
            height: width / 16 * 9,
            reorder_frames: 0,
        }),
    }
}

#[test]
fn a_stream_begins_with_the_best_layer_even_if_a_lower_one_comes_first() {
    let mut stage = Stage::new(&["q", "h", "f"]);
    stage.picture(0, 320, 0, true);
    stage.picture(1, 640, 0, true);
    assert_eq!(stage.heard(), [""; 0]);
    stage.picture(2, 1280, 0, true);
    stage.picture(0, 320, 33, false);
    stage.picture(2, 1280, 33, false);
    assert_eq!(stage.heard(), ["c1280", "2K", "2"]);
    assert_eq!(stage.layers(), ["h", "q"]);
    let low = stage.subscribe(&key().layer("q").unwrap());
    assert_eq!(stage.read(low), ["c320", "0K", "0"], "nothing was lost");
    assert_eq!(stage.ladder.rids(), ["f", "h", "q"]);
}

#[test]
fn a_layer_that_comes_alone_is_waited_with_and_not_lost() {
    let mut stage = Stage::new(&["q", "h", "f"]);
    stage.picture(0, 320, 0, true);
    stage.pass(100 * MS);
    stage.picture(0, 320, 100, false);
    assert_eq!(stage.heard(), [""; 0]);
    stage.pass(100 * MS);
    assert_eq!(stage.heard(), ["c320", "0K", "0"]);
    assert_eq!(stage.layers(), ["q"]);
    assert_eq!(stage.ladder.next_deadline(), None);
}

#[test]
fn a_publisher_that_lists_its_highest_layer_first_is_understood() {
    let mut stage = Stage::new(&["0", "1", "2"]);
    for (layer, width) in [(0, 1280), (1, 640), (2, 320)] {
        stage.picture(layer, width, 0, true);
    }
    assert_eq!(stage.heard(), ["c1280", "0K"]);
    assert_eq!(stage.layers(), ["1", "2"]);
    assert_eq!(stage.ladder.rids(), ["0", "1", "2"]);
    assert_eq!(stage.ladder.carried(), Some(0));
}

#[test]
fn a_switch_brings_a_configuration_and_a_keyframe_and_never_goes_back_in_time() {
    let mut stage = Stage::new(&["q", "f"]);
    stage.picture(0, 320, 0, true);
    stage.picture(1, 1280, 0, true);
    // The clocks of the layers are 20 ms apart.
    for n in 1..40 {
        stage.pass(33 * MS);
        stage.picture(0, 320, n * 33 - 20, false);
        if n < 10 {
            stage.picture(1, 1280, n * 33, false);
        }
    }
    assert_eq!(stage.out.wanted, [0]);
    stage.pass(33 * MS);
    stage.picture(0, 320, 290, true);
    stage.picture(0, 320, 300, false);
    let heard = stage.heard();
    let (before, after) = heard.split_at(heard.len() - 3);
    assert_eq!(before[..2], ["c1280", "1K"]);
    assert!(before[2..].iter().all(|frame| frame == "1"), "{before:?}");
    assert_eq!(after, ["c320", "0K", "0"]);
}

#[test]
fn a_layer_that_the_application_ends_does_not_begin_again() {
    let mut stage = Stage::new(&["q", "f"]);
    stage.picture(0, 320, 0, true);
    stage.picture(1, 1280, 0, true);
    let low = stage.ladder.sessions().next().unwrap();
    let now = stage.now;
    stage
        .engine
        .end_stream(now, &key().layer("q").unwrap())
        .unwrap();
    stage.ladder.session_ended(low);
    stage.picture(0, 320, 33, true);
    assert_eq!(stage.layers(), [""; 0]);
    stage.picture(1, 1280, 33, false);
    assert_eq!(
        stage.heard(),
        ["c1280", "1K", "1"],
        "the stream itself goes on"
    );
}
