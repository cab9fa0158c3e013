//! Header fields that several responses share.

use std::time::Duration;

use super::event::EventKind;
use super::http::{FRAGMENT, Response, SDP};
use super::options::Options;
use super::problem::Problem;
use super::route::{Place, Protocol};
use super::session::Session;
use super::session_id::SessionId;

impl Options {
    /// The extensions that a session has (RFC 9725 §4.9, WHEP events).
    pub(crate) fn extensions(&self, session: &Session, id: SessionId) -> Vec<String> {
        if session.protocol == Protocol::Whip || self.max_event_streams == 0 {
            return Vec::new();
        }
        let url = session.url(id);
        let events = EventKind::ALL.map(EventKind::as_str).join(",");
        let mut links = vec![format!(
            r#"<{url}/sse>; rel="{EXTENSION}:server-sent-events"; events="{events}""#
        )];
        if self.layer_selection {
            links.push(format!(r#"<{url}/layer>; rel="{EXTENSION}:layer""#));
        }
        links
    }

    /// The answer to OPTIONS, which a browser's preflight sends without a token (RFC 9725 §4.2, §4.7.1).
    pub(crate) fn describe(&self, protocol: Protocol, place: Place) -> Response {
        let response = Response::empty(200).with("Allow", place.methods());
        let response = match place {
            Place::Endpoint => response.with("Accept-Post", SDP),
            Place::Session(_) => response
                .with("Accept-Post", SDP)
                .with("Accept-Patch", patch_types(protocol)),
            Place::Events(_) | Place::Layer(_) => response.with("Accept-Post", "application/json"),
            Place::EventStream(..) => response,
        };
        if self.allow_origin.is_none() {
            return response;
        }
        response
            .with("Access-Control-Allow-Methods", place.methods())
            .with(
                "Access-Control-Allow-Headers",
                "Authorization, Content-Type, If-Match",
            )
            .with("Access-Control-Max-Age", "86400")
    }

    /// What every response carries.
    pub(crate) fn finish(&self, response: Response) -> Response {
        match &self.allow_origin {
            None => response,
            Some(origin) => response
                .with("Access-Control-Allow-Origin", origin.clone())
                .with("Access-Control-Expose-Headers", EXPOSED),
        }
    }

    /// A refusal that passes with time.
    pub(crate) fn later(&self, status: u16, detail: &'static str) -> Problem {
        Problem::new(status, detail).with("Retry-After", seconds(self.retry_after))
    }
}

/// The types a session's PATCH may have, for `Accept-Patch` (RFC 5789 §3.1).
pub(crate) fn patch_types(protocol: Protocol) -> String {
    match protocol {
        Protocol::Whip => FRAGMENT.to_owned(),
        Protocol::Whep => format!("{FRAGMENT}, {SDP}"),
    }
}

/// Whole seconds, rounded up, at least one (RFC 9110 §10.2.3).
pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    let up = u64::from(duration.subsec_nanos() > 0);
    whole.saturating_add(up).max(1).to_string()
}

/// What scripts of other origins may read.
const EXPOSED: &str =
    "Location, ETag, Link, Allow, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate";

const EXTENSION: &str = "urn:ietf:params:whep:ext:core";
