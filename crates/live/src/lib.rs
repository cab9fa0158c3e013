//! The frame bus of the live kernel: publish, fan out, cache, measure, admit.
//!
//! Does: gives each stream key to one publisher at a time, keeps the frames since the newest keyframe once, and lets
//! any number of readers read them, each from a keyframe and without a hole.
//! Refuses to know: protocols, sockets, files, clocks, who is allowed to do what (an authorizer is asked), and how a
//! frame becomes bytes for somebody.
//! Invariant: what a reader decodes is contiguous, or it was told what is missing; and a publisher never waits for one.
//!
//! # The contract
//! An [`Engine`] belongs to one thread and never reads a clock: each call is given the time. What follows from a call
//! is polled: after one or several calls, take [`Engine::poll_output`] until it is `None`, then wait until
//! [`Engine::deadline`] at most and call [`Engine::handle_timeout`].
//!
//! Nobody publishes or plays without a verdict: [`Engine::request_publish`] and [`Engine::request_play`] give
//! [`Output::Authorize`], [`Engine::decide`] answers, [`Output::Admitted`] brings the session or the right to
//! [`Engine::subscribe`]. Whoever needs no authorizer, as a recorder of the application's own, has its owner decide at
//! once.
//!
//! A reader reads with [`Engine::read`] until [`Next::Empty`]; then [`Output::Ready`] tells it, once, that there is
//! more. A frame is not handed to readers: pushing it marks its stream, and who has news is found while polling.
//!
//! A reader on another thread or host is a subscription here whose owner carries what it reads there, into a session of
//! that place's own engine: it begins at a keyframe, and when the way is too slow it skips to one, as any reader does.

#![forbid(unsafe_code)]

mod admission;
mod engine;
mod error;
mod event;
mod id;
mod keyframe;
mod layers;
mod options;
mod output;
mod publish;
mod qos;
mod reader;
mod request;
mod slab;
mod slot;
mod stream;
mod subscription;
mod timer;
mod track;
mod view;
mod visit;
mod wake;
mod window;

pub use engine::Engine;
pub use error::{FrameError, SpecError, StreamError};
pub use event::{EndReason, FinishReason, SourceState, StreamEvent, StreamEventKind};
pub use id::{AdmissionId, SessionId, StreamId, SubscriptionId};
pub use options::{
    AppSpec, EngineOptions, LagPolicy, Limits, Start, SubscribeOptions, Takeover, TakeoverPolicy,
    Tracks,
};
pub use output::{Grant, Output};
pub use qos::Qos;
pub use reader::Next;
pub use request::{
    AccessRequest, Action, Credentials, Denial, Identity, PlayRequest, Protocol, PublishRequest,
    Verdict,
};
pub use subscription::SubscriptionView;
pub use view::{
    Activities, Activity, Metadata, StreamMetadata, StreamState, StreamView, TrackView,
};
pub use visit::Reader;
