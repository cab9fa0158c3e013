//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-04), named after the working group of both.
//!
//! [`Endpoint`] owns the resources and the rules of HTTP; what an SDP says beyond a few lines is the caller's.
//!
//! ```
//! use std::time::Instant;
//! use sluice_proto::wish::{Action, Endpoint, Outcome, Request, Response, Step};
//!
//! /// Answers a request; `perform` asks the authorizer and drives the SDP engine.
//! fn serve(
//!     endpoint: &mut Endpoint,
//!     now: Instant,
//!     request: &Request<'_>,
//!     mut perform: impl FnMut(Action) -> Outcome,
//! ) -> Option<Response> {
//!     let mut step = endpoint.handle(now, request);
//!     loop {
//!         match step {
//!             Step::Respond(response) => return Some(response),
//!             Step::Act { ticket, action } => step = endpoint.resume(now, ticket, perform(action))?,
//!         }
//!     }
//! }
//! ```

mod action;
mod bearer;
mod candidate;
mod changes;
mod endpoint;
mod entity_tag;
mod event;
mod event_stream;
mod fragment;
mod headers;
mod http;
mod ice_server;
mod layers;
mod listening;
mod offer;
mod options;
mod pending;
mod problem;
mod rate_limit;
mod route;
mod sdp;
mod session;
mod session_id;

pub use action::{Action, Outcome, Step};
pub use bearer::BearerToken;
pub use candidate::{Candidate, CandidateError};
pub use endpoint::{Endpoint, Output};
pub use event::{Event, EventKind, Layer, MediaLayers};
pub use event_stream::EventReader;
pub use fragment::{FragmentError, FragmentMedia, SdpFragment};
pub use http::{Request, Response};
pub use ice_server::{IceServer, IceServerError};
pub use layers::{LayerSelection, LayerSelectionError};
pub use offer::{OfferError, OfferRules};
pub use options::{Options, SessionAccess};
pub use pending::Ticket;
pub use rate_limit::RateLimit;
pub use route::{Place, Protocol, Route, RouteError};
pub use sdp::{IceCredentials, SdpError};
pub use session_id::SessionId;
