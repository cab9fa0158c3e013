//! What the machine asks of its caller, and what the caller says happened.

use std::net::IpAddr;

use sluice_media::StreamKey;

use super::bearer::BearerToken;
use super::candidate::Candidate;
use super::fragment::SdpFragment;
use super::http::Response;
use super::ice_server::IceServer;
use super::layers::LayerSelection;
use super::pending::Ticket;
use super::route::Protocol;
use super::sdp::IceCredentials;
use super::session_id::SessionId;
use crate::Permission;

/// What follows from a request or an outcome.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub enum Step {
    /// The request is answered.
    Respond(Response),
    /// Something is to be done first; its outcome goes to [`Endpoint::resume`](super::Endpoint::resume).
    Act {
        /// Names the request that waits.
        ticket: Ticket,
        /// What is to be done.
        action: Action,
    },
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Ask the authorizer: [`Outcome::Allowed`], [`Outcome::Unauthenticated`] or [`Outcome::Forbidden`].
    Authorize {
        /// What the client wants.
        permission: Permission,
        /// Of which stream.
        key: StreamKey,
        /// The bearer token, where one was sent.
        token: Option<BearerToken>,
        /// Who asks.
        peer: IpAddr,
    },
    /// Make a session of an offer that has passed the rules: [`Outcome::Answered`], [`Outcome::CounterOffer`] (WHEP),
    /// [`Outcome::Redirect`], [`Outcome::NoPublisher`], [`Outcome::AlreadyPublishing`].
    Create {
        /// The session's name from now on.
        session: SessionId,
        /// Whether the client publishes or plays.
        protocol: Protocol,
        /// Which stream.
        key: StreamKey,
        /// The offer as it came.
        offer: String,
        /// Who sent it.
        peer: IpAddr,
    },
    /// Complete a session by the answer to its counter-offer: [`Outcome::Done`].
    Answer {
        /// Which session.
        session: SessionId,
        /// The answer as it came.
        answer: String,
    },
    /// Add candidates to the current ICE session: [`Outcome::Done`].
    Trickle {
        /// Which session.
        session: SessionId,
        /// The candidates.
        fragment: SdpFragment,
    },
    /// Restart ICE: [`Outcome::Restarted`], or a failure that leaves the current ICE session as it is.
    RestartIce {
        /// Which session.
        session: SessionId,
        /// The client's new credentials and candidates.
        fragment: SdpFragment,
    },
    /// Send this layer: [`Outcome::Done`], or [`Outcome::Unprocessable`] where there is none such.
    SelectLayer {
        /// Which session.
        session: SessionId,
        /// What the viewer wants.
        selection: LayerSelection,
    },
    /// End a session: [`Outcome::Done`]. Its URL is gone already.
    Close {
        /// Which session.
        session: SessionId,
    },
}

impl From<Protocol> for Permission {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Whip => Self::Publish,
            Protocol::Whep => Self::Play,
        }
    }
}

/// How an [`Action`] went. One that does not fit the action counts as [`Outcome::Failed`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The authorizer consents.
    Allowed,
    /// The authorizer wants a token, or another one: 401.
    Unauthenticated,
    /// The authorizer refuses: 403.
    Forbidden,
    /// The session is there: 201.
    Answered {
        /// The SDP answer.
        answer: String,
        /// What the client may use.
        ice_servers: Vec<IceServer>,
    },
    /// The session is there if the client agrees to this offer: 406 (draft §4.3.2). WHEP only.
    CounterOffer {
        /// The SDP offer.
        offer: String,
        /// What the client may use.
        ice_servers: Vec<IceServer>,
    },
    /// Another server has the stream: 307, or 308 if for ever (RFC 9725 §4.5).
    Redirect {
        /// The URL of the other endpoint.
        url: String,
        /// Whether clients may remember it.
        permanent: bool,
    },
    /// Nobody publishes what is to be watched: 409 with `Retry-After` (draft §4.3.8).
    NoPublisher,
    /// Somebody else publishes under this name: 409 with `Retry-After`.
    AlreadyPublishing,
    /// Done: 204 to a PATCH, 200 to anything else.
    Done,
    /// ICE was restarted: 200 with a new entity tag (RFC 9725 §4.3.3).
    Restarted {
        /// The server's new credentials.
        credentials: IceCredentials,
        /// The server's candidates, all of them.
        candidates: Vec<Candidate>,
    },
    /// The content does not parse: 400.
    Malformed,
    /// The content is well formed and cannot be had: 422 (RFC 9725 §4.4.3).
    Unprocessable,
    /// No room for it now: 503 with `Retry-After` (RFC 9725 §4.5).
    Busy,
    /// The session is not there any more: 404.
    Gone,
    /// Our fault: 500.
    Failed,
}
