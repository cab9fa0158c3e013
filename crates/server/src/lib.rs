//! Puts sockets, shard threads and rooms together.
//!
//! A [`Server`] is a cheap handle: every call posts one job to the mailbox of the shard that owns
//! the room and returns a [`Pending`] future of its outcome. Media never waits for a caller.
//!
//! It refuses to know codecs and protocols (they are in `sfu` and `rtp`) and JavaScript.
//!
//! Invariant: a room is touched by the one shard thread that owns it, and by nobody else.
#![forbid(unsafe_code)]

mod addresses;
mod error;
mod events;
mod lines;
mod live;
mod live_bridges;
mod live_calls;
mod live_playback;
mod live_recordings;
mod metrics;
mod options;
mod pending;
mod playback;
mod record;
mod rooms;
mod server;
mod shard;
mod shard_number;
mod sink;
mod ufrag;

/// The values that cross this crate on their way between a room and whoever calls it.
pub mod room {
    pub use sluice_sfu::{
        BindingTerm, ClientId, ClientOptions, ClientStats, CloseReason, Codec, DtlsState, IceState,
        InvalidId, KeyframeKind, Lane, Layer, LayerCause, LayerStats, LocalCandidate, MediaKind,
        PreferredLayers, Propagated, PublishedTrack, Role, SfuError, SrtpProfile, SubscribeOptions,
        SubscribedTrack, SubscriptionState, SubscriptionStats, TrackCloseReason, TrackId,
        TrackStats, Transport,
    };
}

/// The values that cross this crate on their way between the live kernel and whoever calls it.
pub mod stream {
    pub use bytes::Bytes;
    pub use sluice_live::{
        AccessRequest, Action, Activities, AppSpec, Credentials, Denial, EndReason, FinishReason,
        FrameError, Identity, LagPolicy, Limits, Protocol, Qos, SourceState, Start, StreamError,
        StreamEvent, StreamEventKind, StreamState, SubscribeOptions, Takeover, TakeoverPolicy,
        Tracks,
    };
    pub use sluice_media::{
        AudioParameters, Codec, CodecConfig, ConfigError, Frame, MediaKind, Parameters, StreamKey,
        StreamKeyError, Timestamp, TrackId, VideoParameters,
    };

    pub use sluice_proto::token::JwtRules;

    pub use crate::live::{
        Access, AuthorizeRequest, BridgeEnd, BridgeEvent, BridgeEventKind, BridgeId, ByteFormat,
        CallDescription, CallId, CallNews, CallOffer, CallWish, EventsId, LiveBatch, LiveEvent,
        LiveItem, LiveRequest, LiveResponse, Pick, Picks, PublishWish, PublisherId, ReaderId,
        RecordingEvent, RecordingEventKind, RecordingId, StreamInfo, TokenSecret, TrackCoding,
        TrackInfo,
    };
    pub use crate::live_recordings::RecordOptions;
    pub use crate::playback::{Content, Playback};
    pub use crate::record::{
        AppendStorage, Appended, FsStorage, Keep, RecordError, RecordedFile, Storage, StoredEntry,
        StoredFile,
    };
}

pub use error::ServerError;
pub use options::{ServerOptions, options_from_env};
pub use pending::Pending;
pub use server::{RegistryId, Server};
pub use sink::{Event, EventSink, Undelivered};
