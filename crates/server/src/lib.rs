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
mod metrics;
mod options;
mod pending;
mod rooms;
mod server;
mod shard;
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

pub use error::ServerError;
pub use options::{ServerOptions, options_from_env};
pub use pending::Pending;
pub use server::{RegistryId, Server};
pub use sink::{Event, EventSink, Undelivered};
