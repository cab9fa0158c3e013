//! What bridges tell whoever listens.

use sluice_media::{Codec, StreamKey, TrackId};
use sluice_sfu::TrackId as RoomTrack;

use super::BridgeId;

/// Something that happened to a bridge.
#[derive(Debug, Clone)]
pub struct BridgeEvent {
    /// Of which stream.
    pub key: StreamKey,
    /// Which.
    pub bridge: BridgeId,
    /// What.
    pub kind: BridgeEventKind,
}

/// What happens to bridges.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BridgeEventKind {
    /// Other tracks of the room are published from here on.
    SourceChanged {
        /// Whose picture is shown.
        video: Option<RoomTrack>,
        /// Whose sound is heard.
        audio: Option<RoomTrack>,
    },
    /// A track of the stream is not shown in the room: no browser takes its codec.
    TrackSkipped {
        /// Which.
        track: TrackId,
        /// Its codec.
        codec: Codec,
    },
    /// The other shard was too slow, and frames are missing.
    Dropped {
        /// How many since the last such event.
        frames: u64,
    },
    /// It is over. Its last event.
    Ended {
        /// Why.
        reason: BridgeEnd,
    },
}

/// Why a bridge ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BridgeEnd {
    /// The application stopped it.
    Stopped,
    /// The room was closed.
    RoomClosed,
    /// All tracks it was to publish have closed.
    TrackClosed,
    /// Another publisher took the stream.
    Replaced,
    /// Nothing came of the room for too long.
    Idle,
    /// The room sent more than the stream's application allows.
    RateLimited,
    /// The stream has ended.
    StreamEnded,
    /// Our own fault.
    Internal,
}
