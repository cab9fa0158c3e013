//! An engine in virtual time, a publisher and readers that know what they have a right to.
#![allow(dead_code, reason = "each test uses its part")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_live::{
    AdmissionId, AppSpec, EndReason, Engine, EngineOptions, Grant, Identity, LagPolicy, Next,
    Output, PlayRequest, Protocol, PublishRequest, SessionId, StreamError, StreamEventKind,
    SubscribeOptions, SubscriptionId, Verdict,
};
use sluice_media::{
    AudioParameters, Codec, CodecConfig, Frame, Parameters, StreamKey, Timestamp, TrackId,
    VideoParameters,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// An engine, its clock, and everything it said.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) outputs: Vec<Output>,
    pub(crate) ready: Vec<SubscriptionId>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(EngineOptions::default(), AppSpec::new("live"))
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
    pub(crate) fn with(options: EngineOptions, spec: AppSpec) -> Self {
        let mut engine = Engine::new(options);
        engine.register(spec).unwrap();
        Self {
            engine,
            now: Instant::now(),
            outputs: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Lets time pass, with every timer on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.engine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.poll();
        }
        self.now = end;
    }

    pub(crate) fn poll(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Ready(id) => self.ready.push(id),
                output => self.outputs.push(output),
            }
        }
    }

    /// What the engine said since last asked, without `Ready`.
    pub(crate) fn said(&mut self) -> Vec<Output> {
        self.poll();
        std::mem::take(&mut self.outputs)
    }

    pub(crate) fn events(&mut self) -> Vec<StreamEventKind> {
        self.said()
            .into_iter()
            .filter_map(|output| match output {
                Output::Event(event) => Some(event.kind),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn keyframe_requests(&mut self) -> usize {
        self.said()
            .iter()
            .filter(|output| matches!(output, Output::RequestKeyframe(_)))
            .count()
    }

    pub(crate) fn ask_publish(&mut self, name: &str) -> AdmissionId {
        let request = PublishRequest::new(key(name), Protocol::RTMP);
        self.engine.request_publish(self.now, request).unwrap()
    }

    pub(crate) fn allow(&mut self, id: AdmissionId, identity: Option<&str>) {
        let identity = identity.map(Identity::new);
        self.engine
            .decide(self.now, id, Verdict::Allow { identity })
            .unwrap();
    }

    /// What became of an admission.
    pub(crate) fn outcome(&mut self, id: AdmissionId) -> Option<Result<Grant, StreamError>> {
        self.poll();
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Admitted { admission, grant } if *admission == id => Some(Ok(*grant)),
            Output::Refused { admission, error } if *admission == id => Some(Err(*error)),
            _ => None,
        })
    }

    pub(crate) fn try_publish(
        &mut self,
        name: &str,
        identity: Option<&str>,
    ) -> Result<SessionId, StreamError> {
        let id = self.ask_publish(name);
        self.allow(id, identity);
        match self.outcome(id) {
            Some(Ok(Grant::Publish(session))) => Ok(session),
            Some(Err(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// A publisher with a video and an audio track announced.
    pub(crate) fn publish(&mut self, name: &str) -> SessionId {
        let session = self.try_publish(name, Some("encoder")).unwrap();
        self.announce(session);
        session
    }

    pub(crate) fn announce(&mut self, session: SessionId) {
        for (track, config) in [
            (TrackId::VIDEO, video_config(1)),
            (TrackId::AUDIO, audio_config(1)),
        ] {
            self.engine
                .set_config(self.now, session, track, config)
                .unwrap();
        }
    }

    pub(crate) fn try_subscribe(
        &mut self,
        name: &str,
        options: SubscribeOptions,
    ) -> Result<SubscriptionId, StreamError> {
        let request = PlayRequest::new(key(name), Protocol::WHEP);
        let id = self.engine.request_play(self.now, request)?;
        self.allow(id, None);
        assert_eq!(self.outcome(id), Some(Ok(Grant::Play)));
        let result = self.engine.subscribe(self.now, id, options);
        self.engine.cancel(id);
        self.poll();
        result
    }

    pub(crate) fn subscribe(&mut self, name: &str) -> SubscriptionId {
        self.try_subscribe(name, SubscribeOptions::default())
            .unwrap()
    }

    pub(crate) fn subscribe_with(&mut self, name: &str, policy: LagPolicy) -> SubscriptionId {
        let mut options = SubscribeOptions::default();
        options.lag_policy = Some(policy);
        self.try_subscribe(name, options).unwrap()
    }

    pub(crate) fn push(&mut self, session: SessionId, frame: Frame) {
        self.engine.push(self.now, session, frame).unwrap();
    }

    /// The next thing a reader is told; `None` when it has all there is.
    pub(crate) fn read_one(&mut self, id: SubscriptionId) -> Option<Heard> {
        Some(match self.engine.read(self.now, id) {
            Next::Config {
                track, revision, ..
            } => Heard::Config(track, revision),
            Next::Frame(frame) => Heard::Frame(frame.clone()),
            Next::Lagged { skipped, lost } => Heard::Lagged(skipped, lost),
            Next::Discontinuity { epoch } => Heard::Discontinuity(epoch),
            Next::Ended(reason) => Heard::Ended(reason),
            Next::Empty => return None,
            _ => unreachable!("a new kind of news"),
        })
    }

    /// Everything a reader can read now.
    pub(crate) fn read_all(&mut self, id: SubscriptionId) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(next) = self.read_one(id) {
            let ended = matches!(next, Heard::Ended(_));
            heard.push(next);
            if ended {
                break;
            }
        }
        heard
    }

    /// The frames among it, by their payload's number.
    pub(crate) fn read_numbers(&mut self, id: SubscriptionId) -> Vec<u64> {
        let heard = self.read_all(id);
        heard.iter().filter_map(Heard::number).collect()
    }
}

/// What a reader was told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Config(TrackId, u32),
    Frame(Frame),
    Lagged(u64, Duration),
    Discontinuity(u32),
    Ended(EndReason),
}

impl Heard {
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Frame(frame) => Some(number(frame)),
            _ => None,
        }
    }
}

/// A publisher that paces itself: 30 pictures a second and a sound each 20 ms, numbered in their payload.
pub(crate) struct Source {
    pub(crate) session: SessionId,
    pub(crate) number: u64,
    pub(crate) picture: i64,
    pub(crate) sound: i64,
    /// Pictures from keyframe to keyframe.
    pub(crate) group: i64,
    pub(crate) bytes: usize,
    started: Instant,
    pub(crate) with_sound: bool,
}

impl Source {
    pub(crate) fn new(stage: &Stage, session: SessionId, group: i64) -> Self {
        Self {
            session,
            number: 0,
            picture: 0,
            sound: 0,
            group,
            bytes: 1_000,
            started: stage.now,
            with_sound: true,
        }
    }

    /// Publishes what is due within `time`, calling `each` after each frame.
    pub(crate) fn run(
        &mut self,
        stage: &mut Stage,
        time: Duration,
        mut each: impl FnMut(&mut Stage),
    ) {
        let end = stage.now + time;
        loop {
            let picture = self.started + SECOND * u32::try_from(self.picture).unwrap() / 30;
            let sound = self.started + 20 * MS * u32::try_from(self.sound).unwrap();
            let next = if self.with_sound {
                picture.min(sound)
            } else {
                picture
            };
            if next >= end {
                break;
            }
            stage.pass(next.saturating_duration_since(stage.now));
            let frame = if picture <= next {
                self.next_picture()
            } else {
                self.next_sound()
            };
            stage.push(self.session, frame);
            each(stage);
        }
        stage.pass(end.saturating_duration_since(stage.now));
    }

    pub(crate) fn next_picture(&mut self) -> Frame {
        let keyframe = self.picture % self.group == 0;
        let frame = picture(self.number, self.picture * 3_000, keyframe, self.bytes);
        self.picture += 1;
        self.number += 1;
        frame
    }

    pub(crate) fn next_sound(&mut self) -> Frame {
        let frame = sound(TrackId::AUDIO, self.number, self.sound * 960);
        self.sound += 1;
        self.number += 1;
        frame
    }
}

pub(crate) fn picture(number: u64, ticks: i64, keyframe: bool, bytes: usize) -> Frame {
    let at = Timestamp::new(ticks, NonZeroU32::new(90_000).unwrap());
    let mut data = vec![0; bytes.max(8)];
    data[..8].copy_from_slice(&number.to_be_bytes());
    Frame {
        track: TrackId::VIDEO,
        codec: Codec::H264,
        pts: at,
        dts: at,
        duration: None,
        keyframe,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data: data.into(),
    }
}

pub(crate) fn sound(track: TrackId, number: u64, ticks: i64) -> Frame {
    let at = Timestamp::new(ticks, NonZeroU32::new(48_000).unwrap());
    let mut data = vec![0; 160];
    data[..8].copy_from_slice(&number.to_be_bytes());
    Frame {
        track,
        codec: Codec::Opus,
        pts: at,
        dts: at,
        duration: Some(960),
        keyframe: true,
        discardable: false,
        discontinuity: false,
        captured_micros: None,
        data: data.into(),
    }
}

pub(crate) fn number(frame: &Frame) -> u64 {
    u64::from_be_bytes(frame.data[..8].try_into().unwrap())
}

pub(crate) fn video_config(version: u8) -> CodecConfig {
    CodecConfig {
        codec: Codec::H264,
        record: Bytes::copy_from_slice(&[1, 66, 0, 30, version]),
        parameters: Parameters::Video(VideoParameters {
            width: 1280,
            height: 720,
            reorder_frames: 0,
        }),
    }
}

pub(crate) fn audio_config(channels: u8) -> CodecConfig {
    CodecConfig {
        codec: Codec::Opus,
        record: Bytes::copy_from_slice(&[0, channels]),
        parameters: Parameters::Audio(AudioParameters {
            sample_rate: 48_000,
            channels,
        }),
    }
}

pub(crate) fn key(name: &str) -> StreamKey {
    format!("live/{name}").parse().unwrap()
}

/// xorshift64*: the seed decides the run.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
