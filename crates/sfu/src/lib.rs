//! The room as a state machine over str0m in RTP mode.
//!
//! Bytes and a time go in; datagrams, [`Propagated`] events and the next deadline come out.
//!
//! It refuses to know sockets, threads, clocks, locks and JavaScript. All `str0m::` types stay
//! inside this crate.
//!
//! Invariant: between two calls no `Rtc` holds undrained output, except those on the dirty list.
#![forbid(unsafe_code)]

mod allocator;
mod bridge;
mod chase;
mod client;
mod clock;
mod crypto;
mod engine;
mod error;
mod formats;
mod id;
mod keyframe;
mod layer;
mod negotiation;
mod options;
mod output;
mod packet;
mod propagated;
mod rate;
mod registry;
mod router;
mod sdp;
mod selector;
mod slot;
mod speaker;
mod stats;
mod subscription;
mod track;

pub use bridge::{SourcePacket, Tapped};
pub use engine::{Datagram, Transmit};
pub use error::SfuError;
pub use id::{ClientId, InvalidId, TrackId};
pub use options::{
    Calling, ClientOptions, LocalCandidate, PreferredLayers, RegistryOptions, Replay, Role,
    SubscribeOptions, Transport,
};
pub use output::{Deadline, Output, RouteChange};
pub use propagated::{
    BindingTerm, CloseReason, DtlsState, IceState, KeyframeKind, Lane, Layer, LayerCause,
    Propagated, PublishedTrack, SrtpProfile, SubscribedTrack, SubscriptionState, TrackCloseReason,
};
pub use registry::{ClientSeed, Registry};
pub use router::{DropCause, Route, Router, can_wait};
pub use sluice_media::{Codec, MediaKind};
pub use stats::{ClientStats, LayerStats, RegistryCounters, SubscriptionStats, TrackStats};
