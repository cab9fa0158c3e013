//! What happens to streams: one enum, and the values its variants carry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_media::{Codec, StreamKey, TrackId};

use crate::error::FrameError;
use crate::id::{SessionId, SubscriptionId};
use crate::request::{Identity, Protocol};

/// Something that happened to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEvent {
    /// Which stream. Of [`StreamEventKind::LayersChanged`] the base.
    pub key: Arc<StreamKey>,
    /// What.
    pub kind: StreamEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEventKind {
    /// A publisher holds the key. Comes once per session.
    PublishStarted {
        /// Its session.
        session: SessionId,
        /// Over what it came.
        protocol: Protocol,
        /// From where.
        address: Option<SocketAddr>,
        /// Who it is.
        identity: Option<Identity>,
    },
    /// A publisher let the key go. Comes once per session.
    PublishEnded {
        /// Its session.
        session: SessionId,
        /// Why.
        reason: FinishReason,
        /// Frames it brought.
        frames: u64,
        /// Bytes it brought.
        bytes: u64,
    },
    /// Where the stream's frames come from, or that they do not.
    SourceState {
        /// The state.
        state: SourceState,
        /// The newest publisher's turn.
        epoch: u32,
    },
    /// The stream is over: its readers have what is left.
    StreamEnded {
        /// Why.
        reason: EndReason,
    },
    /// A reader came.
    SubscriberJoined {
        /// Which.
        subscription: SubscriptionId,
        /// Over what.
        protocol: Protocol,
    },
    /// A reader went.
    SubscriberLeft {
        /// Which.
        subscription: SubscriptionId,
        /// Over what.
        protocol: Protocol,
        /// Frames it has read.
        frames: u64,
    },
    /// A reader was too slow and lost frames.
    SubscriberLagged {
        /// Which.
        subscription: SubscriptionId,
        /// Over what.
        protocol: Protocol,
        /// Frames it will never see, over all tracks.
        skipped: u64,
        /// How much time they are.
        lost: Duration,
    },
    /// A reader was too slow for too long and is closed.
    SubscriberEvicted {
        /// Which.
        subscription: SubscriptionId,
        /// Over what.
        protocol: Protocol,
        /// Time it lost within the window of its policy.
        lost: Duration,
    },
    /// The first recorder began.
    RecordingStarted,
    /// The last recorder ended.
    RecordingEnded,
    /// The first transcoder began.
    TranscodeStarted,
    /// The last transcoder ended.
    TranscodeEnded,
    /// A track is new, or is coded in another way from here on.
    CodecChanged {
        /// Which track.
        track: TrackId,
        /// Its codec.
        codec: Codec,
        /// Its configuration's number, from 1.
        revision: u32,
    },
    /// A layer of this stream came or went.
    LayersChanged {
        /// The names of all layers that are live.
        layers: Vec<Box<str>>,
    },
    /// A publisher sent more than it may; its session ends.
    RateLimited {
        /// Its session.
        session: SessionId,
        /// The limit.
        bytes_per_second: u64,
    },
    /// A publisher sent nothing for too long; its session and the stream end.
    StreamReaped,
    /// Frames were not taken. At most one such event a second and stream.
    FrameRejected {
        /// The newest cause.
        error: FrameError,
        /// Frames since the last such event.
        count: u64,
    },
}

impl StreamEventKind {
    /// Whether it may be dropped when nobody drains: telemetry, as opposed to what changes who lives.
    pub const fn is_telemetry(&self) -> bool {
        matches!(
            self,
            Self::SubscriberLagged { .. } | Self::FrameRejected { .. }
        )
    }
}

/// Where a stream's frames come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceState {
    /// From its publisher.
    Live,
    /// From nobody: its publisher was lost, and the next one is waited for.
    Resuming,
    /// From nobody any more.
    Ended,
}

/// Why a publisher's session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinishReason {
    /// The publisher said that it is done. Ends the stream, unless another one waits for the key.
    Completed,
    /// The publisher was lost. The stream waits for the next one.
    Disconnected,
    /// The publisher broke its protocol's rules. The stream waits for the next one.
    Malformed,
    /// Another publisher took the key.
    Replaced,
    /// It sent nothing for too long. Ends the stream.
    Idle,
    /// It sent more than it may. The stream waits for the next one.
    RateLimited,
    /// The application closed it. Ends the stream.
    Closed,
}

impl FinishReason {
    /// What becomes of the stream when nobody waits for the key: `None` keeps it for the resume window.
    pub(crate) const fn ends(self) -> Option<EndReason> {
        match self {
            Self::Completed => Some(EndReason::Completed),
            Self::Idle => Some(EndReason::Idle),
            Self::Closed => Some(EndReason::Closed),
            Self::Disconnected | Self::Malformed | Self::Replaced | Self::RateLimited => None,
        }
    }
}

/// Why there is nothing more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The publisher said that it is done.
    Completed,
    /// The publisher was lost and none came in its place in time.
    PublisherLost,
    /// The publisher sent nothing for too long.
    Idle,
    /// The application closed the stream.
    Closed,
    /// This reader was too slow for too long.
    Evicted,
    /// There is no such subscription.
    Unsubscribed,
}
