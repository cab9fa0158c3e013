//! A stream as it is now.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use sluice_media::{CodecConfig, Parameters, StreamKey, TrackId};

use crate::id::{SessionId, StreamId};
use crate::qos::Qos;
use crate::request::{Identity, Protocol};
use crate::stream::{Phase, Stream};

/// Looks at a stream without changing it.
#[derive(Debug, Clone, Copy)]
pub struct StreamView<'a> {
    pub(crate) stream: &'a Stream,
}

/// What a stream is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamState {
    /// A publisher holds the key and has not sent a frame yet.
    Idle,
    /// Frames come.
    Publishing,
    /// The publisher was lost or replaced and the next one's first frame has not come.
    Resuming,
    /// It is over. Only its last readers still see it.
    Ended,
}

/// What is being done with a stream besides playing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// It is written to storage.
    Recording,
    /// It is coded anew.
    Transcoding,
}

/// The activities that hold now: none, either or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Activities {
    /// At least one recorder runs.
    pub recording: bool,
    /// At least one transcoder runs.
    pub transcoding: bool,
}

/// What a publisher says of its stream, where it says anything (RTMP's `onMetaData`).
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Metadata {
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Frames a second.
    pub frames_per_second: Option<f64>,
    /// Bits a second of pictures.
    pub video_bits_per_second: Option<u64>,
    /// Bits a second of sound.
    pub audio_bits_per_second: Option<u64>,
    /// The software that made it. What is beyond 256 characters is cut off.
    pub encoder: Option<Box<str>>,
}

/// What is known of a stream; `None` where nothing is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StreamMetadata {
    /// Over what the publisher came.
    pub protocol: Option<Protocol>,
    /// From where.
    pub address: Option<SocketAddr>,
    /// Who it is.
    pub identity: Option<Identity>,
    /// When the stream's first frame came.
    pub started: Option<Instant>,
    /// What the publisher says; size from the configuration of the first video track where it tells one.
    pub declared: Metadata,
}

/// A track as it is now.
#[derive(Debug, Clone, Copy)]
pub struct TrackView<'a> {
    /// Which.
    pub id: TrackId,
    /// How its next frames are coded.
    pub config: &'a CodecConfig,
    /// The configuration's number, from 1.
    pub revision: u32,
    /// Whether the present publisher has announced it.
    pub announced: bool,
    /// What it brings.
    pub qos: Qos,
}

impl<'a> StreamView<'a> {
    /// Its name in the engine.
    pub const fn id(self) -> StreamId {
        self.stream.id
    }

    /// Its key.
    pub const fn key(self) -> &'a Arc<StreamKey> {
        &self.stream.key
    }

    /// What it is doing.
    pub const fn state(self) -> StreamState {
        match self.stream.phase {
            Phase::Idle => StreamState::Idle,
            Phase::Publishing => StreamState::Publishing,
            Phase::Resuming { .. } | Phase::Resumed => StreamState::Resuming,
            Phase::Ended(_) => StreamState::Ended,
        }
    }

    /// What is being done with it.
    pub const fn activities(self) -> Activities {
        Activities {
            recording: self.stream.recorders > 0,
            transcoding: self.stream.transcoders > 0,
        }
    }

    /// What it brings, all tracks together.
    pub fn qos(self, now: Instant) -> Qos {
        self.stream.meter.qos(now)
    }

    /// What is known of it.
    pub fn metadata(self) -> StreamMetadata {
        let session = self.stream.session.as_ref();
        let mut declared = self.stream.metadata.clone();
        let mut announced = self.stream.tracks.iter().filter(|track| track.announced);
        let size = announced.find_map(|track| match track.config().parameters {
            Parameters::Video(video) if video.width > 0 => Some(video),
            _ => None,
        });
        if let Some(video) = size {
            declared.width = Some(video.width);
            declared.height = Some(video.height);
        }
        StreamMetadata {
            protocol: session.map(|session| session.protocol.clone()),
            address: session.and_then(|session| session.address),
            identity: session.and_then(|session| session.identity.clone()),
            started: self.stream.started,
            declared,
        }
    }

    /// Its tracks, in the order they were announced.
    pub fn tracks(self, now: Instant) -> impl Iterator<Item = TrackView<'a>> {
        self.stream.tracks.iter().map(move |track| TrackView {
            id: track.id,
            config: track.config(),
            revision: track.revision(),
            announced: track.announced,
            qos: track.meter.qos(now),
        })
    }

    /// Its readers.
    pub const fn subscribers(self) -> usize {
        self.stream.readers
    }

    /// Its publisher, while it has one.
    pub fn session(self) -> Option<SessionId> {
        self.stream.session_id()
    }

    /// The newest publisher's turn, from 1.
    pub const fn epoch(self) -> u32 {
        self.stream.epoch
    }

    /// Bytes its ring keeps.
    pub const fn ring_bytes(self) -> usize {
        self.stream.bytes()
    }

    /// Frames that were not taken.
    pub const fn rejected(self) -> u64 {
        self.stream.rejections.total
    }

    /// The number that its next frame gets; it only grows.
    pub fn head(self) -> u64 {
        self.stream.ring.head()
    }
}
