//! What a caller may choose: for the engine, for an application, for a subscription.

use std::time::Duration;

use sluice_media::{RingLimits, TrackId};

/// The engine's own bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Publishers at a time; one more is refused. Default 1 000.
    pub max_publishers: usize,
    /// Readers at a time, all streams together; one more is refused. Default 100 000.
    pub max_subscriptions: usize,
    /// Requests that wait for a verdict, for their turn, or to be used; one more is refused. Default 4 096.
    pub max_admissions: usize,
    /// Requests of one address among them; one more is refused. Default 64.
    pub max_admissions_per_address: usize,
    /// A publisher that sends no frame for this long is reaped; its coming counts as a frame. Default 30 s.
    pub idle_timeout: Duration,
    /// A request without a verdict by then is refused; one that was allowed and is not used is forgotten. Default 5 s.
    pub authorize_timeout: Duration,
    /// Bytes that all rings together may keep. At this bound new publishers are refused and each ring evicts its own
    /// oldest frame for each new one. Default 1 GiB.
    pub max_ring_bytes: usize,
    /// Outputs of no consequence (telemetry events) that wait for `poll_output`; further ones are dropped and counted.
    /// Default 4 096.
    pub max_telemetry: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_publishers: 1_000,
            max_subscriptions: 100_000,
            max_admissions: 4_096,
            max_admissions_per_address: 64,
            idle_timeout: Duration::from_secs(30),
            authorize_timeout: Duration::from_secs(5),
            max_ring_bytes: 1 << 30,
            max_telemetry: 4_096,
        }
    }
}

/// An application: the streams whose keys begin with its name, and what holds for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppSpec {
    /// Its name, as in [`StreamKey::app`](sluice_media::StreamKey::app).
    pub name: Box<str>,
    /// Bounds of each stream's ring. `max_bytes` is at least twice the largest video frame. Default
    /// [`RingLimits::default`].
    pub ring: RingLimits,
    /// The ring's budget for audio, at least twice the largest audio frame. Default 2 MiB.
    pub max_audio_bytes: usize,
    /// For readers that do not choose. Default [`LagPolicy::default`].
    pub lag_policy: LagPolicy,
    /// Who may take a key that is held.
    pub takeover: TakeoverPolicy,
    /// How long a stream whose publisher was lost waits for the next one. Zero ends it at once. Default 10 s.
    pub resume_window: Duration,
    /// Bounds on what publishers and readers may do.
    pub limits: Limits,
}

impl AppSpec {
    /// An application with the defaults.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            ring: RingLimits::default(),
            max_audio_bytes: 2 << 20,
            lag_policy: LagPolicy::default(),
            takeover: TakeoverPolicy::default(),
            resume_window: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// Bounds of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Streams at a time. Default 1 000.
    pub max_streams: usize,
    /// Readers of one stream. Default 100 000.
    pub max_viewers_per_stream: usize,
    /// Readers of all its streams. Default 100 000.
    pub max_viewers: usize,
    /// Tracks of one stream, at most 64. Default 16.
    pub max_tracks: usize,
    /// Bytes of a video frame. Default 8 MiB.
    pub max_video_frame: usize,
    /// Bytes of an audio frame. Default 1 MiB.
    pub max_audio_frame: usize,
    /// Bytes a second that a publisher may send, over any two seconds; more ends its session. Default none.
    pub max_bytes_per_second: Option<u64>,
    /// Publishers that wait for a held key under [`Takeover::Queue`]. Default 8.
    pub max_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_streams: 1_000,
            max_viewers_per_stream: 100_000,
            max_viewers: 100_000,
            max_tracks: 16,
            max_video_frame: 8 << 20,
            max_audio_frame: 1 << 20,
            max_bytes_per_second: None,
            max_queue: 8,
        }
    }
}

/// Who may take a key that a living publisher holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeoverPolicy {
    /// The identity that holds it, as an encoder that reconnects. Default [`Takeover::Replace`].
    pub same_identity: Takeover,
    /// Anybody else who was allowed to publish. Default [`Takeover::Reject`].
    pub other_identity: Takeover,
}

impl Default for TakeoverPolicy {
    fn default() -> Self {
        Self {
            same_identity: Takeover::Replace,
            other_identity: Takeover::Reject,
        }
    }
}

/// What becomes of a publisher that finds the key held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Takeover {
    /// The one that holds it goes.
    Replace,
    /// The newcomer is refused.
    Reject,
    /// The newcomer waits until the key is free.
    Queue,
}

/// What becomes of a reader that is slow. Its lag is the age of the oldest frame it has not read; frames that were
/// there before it came do not count as late until it has had as long to read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LagPolicy {
    /// Beyond the allowance, or once overtaken, it goes on at the newest keyframe ahead of it, or waits for one.
    SkipToKeyframe {
        /// The allowance.
        max_lag: Duration,
    },
    /// From half the allowance on it gets no frames that no other frame refers to; beyond it, it skips as above.
    DropNonReference {
        /// The allowance.
        max_lag: Duration,
    },
    /// It skips as the first, and is closed once the time it lost within `window` exceeds `budget`.
    Evict {
        /// The allowance.
        max_lag: Duration,
        /// Time it may lose.
        budget: Duration,
        /// Within this long: what is older is forgiven.
        window: Duration,
    },
}

impl LagPolicy {
    pub(crate) const fn max_lag(self) -> Duration {
        match self {
            Self::SkipToKeyframe { max_lag }
            | Self::DropNonReference { max_lag }
            | Self::Evict { max_lag, .. } => max_lag,
        }
    }
}

impl Default for LagPolicy {
    /// Skips to a keyframe beyond 4 s.
    fn default() -> Self {
        Self::SkipToKeyframe {
            max_lag: Duration::from_secs(4),
        }
    }
}

/// How a subscription reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// What to do when it lags. Default the application's.
    pub lag_policy: Option<LagPolicy>,
    /// Which tracks it gets. Default all.
    pub tracks: Tracks,
    /// Where it begins.
    pub start: Start,
}

/// Tracks a reader wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tracks {
    /// All there are and will be.
    #[default]
    All,
    /// Those of pictures.
    Video,
    /// Those of sound.
    Audio,
    /// These.
    Only(Box<[TrackId]>),
}

/// Where a reader begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Start {
    /// At the newest keyframe in the ring, or with the next one when it has none. Sound flows in the meantime.
    #[default]
    NewestKeyframe,
    /// With what comes next; pictures from the next keyframe on.
    Live,
}
