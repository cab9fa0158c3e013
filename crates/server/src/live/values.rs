//! What the live kernel tells whoever listens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_live::{
    Action, Activities, Credentials, Engine, Protocol, Qos, StreamEvent, StreamState, StreamView,
};
use sluice_media::{CodecConfig, StreamKey, TrackId};

use super::bridge::BridgeEvent;
use super::record::RecordingId;
use crate::record::{RecordError, RecordedFile};

/// Something live that happened.
#[derive(Debug, Clone)]
pub enum LiveEvent {
    /// Somebody wants to publish or play: answer by `Server::decide` within 5 s.
    Authorize(AuthorizeRequest),
    /// Something happened to a stream.
    Stream(StreamEvent),
    /// Something happened to a recording.
    Recording(RecordingEvent),
    /// Something happened between a room and a stream.
    Bridge(BridgeEvent),
}

/// Something that happened to a recording.
#[derive(Debug, Clone)]
pub struct RecordingEvent {
    /// Of which stream.
    pub key: StreamKey,
    /// Which.
    pub recording: RecordingId,
    /// What.
    pub kind: RecordingEventKind,
}

/// What happens to recordings. The stream goes on whatever it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RecordingEventKind {
    /// The storage was too slow, and parts are missing. Told with the first one, and with the others when it goes on.
    Gap {
        /// How many since the last such event.
        parts: u64,
        /// How much time they are.
        lost: Duration,
    },
    /// Nothing more can be recorded. `Ended` follows.
    Failed(Arc<RecordError>),
    /// It is over. Its last event.
    Ended {
        /// What was recorded, the newest 10 000 files.
        files: Vec<RecordedFile>,
        /// Time that is missing for a slow storage.
        lost: Duration,
    },
}

/// A wish that waits for the listener's verdict.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest {
    /// What to answer to.
    pub number: u64,
    /// Publish or play.
    pub action: Action,
    /// Which stream.
    pub key: StreamKey,
    /// Over what.
    pub protocol: Protocol,
    /// From where.
    pub address: Option<IpAddr>,
    /// With what.
    pub credentials: Credentials,
}

/// A stream as it is now.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// Its name.
    pub key: StreamKey,
    /// What it is doing.
    pub state: StreamState,
    /// What is done with it besides.
    pub activities: Activities,
    /// Over what its publisher came.
    pub protocol: Option<Protocol>,
    /// Who its publisher is.
    pub identity: Option<Box<str>>,
    /// All tracks together.
    pub qos: Qos,
    /// Its tracks by number.
    pub tracks: Vec<TrackInfo>,
    /// Its readers.
    pub subscribers: usize,
    /// How long ago its first frame came, in seconds.
    pub age_seconds: Option<f64>,
    /// Bytes its ring keeps.
    pub ring_bytes: usize,
    /// The names of its layers that are streams of their own.
    pub layers: Vec<Box<str>>,
    /// Where its publisher sends layers: the one that the stream itself carries now.
    pub carries: Option<Box<str>>,
}

/// A track as it is now.
#[derive(Debug, Clone)]
pub struct TrackInfo {
    /// Its name.
    pub track: TrackId,
    /// How it is coded.
    pub config: CodecConfig,
    /// What it brings.
    pub qos: Qos,
}

impl StreamInfo {
    /// `carries`: the layer that it carries.
    pub(super) fn of(
        now: Instant,
        engine: &Engine,
        view: StreamView<'_>,
        carries: Option<&str>,
    ) -> Self {
        let metadata = view.metadata();
        let mut tracks: Vec<TrackInfo> = view
            .tracks(now)
            .map(|track| TrackInfo {
                track: track.id,
                config: track.config.clone(),
                qos: track.qos,
            })
            .collect();
        tracks.sort_by_key(|track| track.track);
        Self {
            key: view.key().as_ref().clone(),
            state: view.state(),
            activities: view.activities(),
            protocol: metadata.protocol,
            identity: metadata.identity.map(|identity| identity.name().into()),
            qos: view.qos(now),
            tracks,
            subscribers: view.subscribers(),
            age_seconds: metadata
                .started
                .map(|at| now.saturating_duration_since(at).as_secs_f64()),
            ring_bytes: view.ring_bytes(),
            layers: engine.layers(view.key()).map(Into::into).collect(),
            carries: carries.map(Into::into),
        }
    }
}

/// What one shard, or all of them together, have of live streams now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LiveCounters {
    pub(crate) streams: u64,
    pub(crate) publishers: u64,
    pub(crate) subscribers: u64,
    pub(crate) viewers: u64,
    pub(crate) calls: u64,
    pub(crate) playlists: u64,
    pub(crate) waiting: u64,
    pub(crate) sessions: u64,
    pub(crate) ring_bytes: u64,
    pub(crate) events_dropped: u64,
}

impl std::ops::AddAssign for LiveCounters {
    fn add_assign(&mut self, other: Self) {
        self.streams += other.streams;
        self.publishers += other.publishers;
        self.subscribers += other.subscribers;
        self.viewers += other.viewers;
        self.calls += other.calls;
        self.playlists += other.playlists;
        self.waiting += other.waiting;
        self.sessions += other.sessions;
        self.ring_bytes += other.ring_bytes;
        self.events_dropped += other.events_dropped;
    }
}
