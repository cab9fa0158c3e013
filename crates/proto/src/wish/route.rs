//! Which resource a path names.

use std::fmt;

use sluice_media::{StreamKey, StreamKeyError};

use super::session_id::SessionId;

/// Which of the two protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// The client publishes (RFC 9725).
    Whip,
    /// The client plays (draft-ietf-wish-whep-04).
    Whep,
}

impl Protocol {
    /// `whip` or `whep`, as it stands in the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }
}

/// A path behind the prefix: `app/stream/whip`, and what a session has below it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The stream.
    pub key: StreamKey,
    /// What is done with it.
    pub protocol: Protocol,
    /// Which resource of the protocol.
    pub place: Place,
}

impl Route {
    /// Reads a path. Names are taken as they stand: what a [`StreamKey`] may hold needs no percent-encoding.
    ///
    /// # Errors
    /// When the path names no resource of WHIP or WHEP, or no valid stream.
    pub fn parse(path: &str) -> Result<Self, RouteError> {
        let mut parts = path.splitn(MAX_PARTS, '/');
        let mut part = || parts.next();
        let (Some(app), Some(stream), Some(protocol)) = (part(), part(), part()) else {
            return Err(RouteError::NotFound);
        };
        let protocol = match protocol {
            "whip" => Protocol::Whip,
            "whep" => Protocol::Whep,
            _ => return Err(RouteError::NotFound),
        };
        let key = match stream.split_once('~') {
            // A layer is watched by its own name; it is not published by one.
            Some((base, layer)) if protocol == Protocol::Whep => {
                StreamKey::new(app, base)?.layer(layer)?
            }
            _ => StreamKey::new(app, stream)?,
        };
        let below = [part(), part(), part(), part()];
        let session = |id: &str| SessionId::parse(id).ok_or(RouteError::NotFound);
        let place = match (protocol, below) {
            (_, [None, ..]) => Place::Endpoint,
            (_, [Some(id), None, ..]) => Place::Session(session(id)?),
            (Protocol::Whep, [Some(id), Some("sse"), None, _]) => Place::Events(session(id)?),
            (Protocol::Whep, [Some(id), Some("layer"), None, _]) => Place::Layer(session(id)?),
            (Protocol::Whep, [Some(id), Some("sse"), Some(stream), None]) => {
                Place::EventStream(session(id)?, event_stream(stream)?)
            }
            _ => return Err(RouteError::NotFound),
        };
        Ok(Self {
            key,
            protocol,
            place,
        })
    }
}

/// Only the form that `Location` has: no sign, no zero in front.
fn event_stream(text: &str) -> Result<u32, RouteError> {
    let number: u32 = text.parse().map_err(|_| RouteError::NotFound)?;
    if number.to_string() == text {
        Ok(number)
    } else {
        Err(RouteError::NotFound)
    }
}

/// A resource of a stream's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Where sessions are made.
    Endpoint,
    /// One session.
    Session(SessionId),
    /// Where a session's event streams are made (WHEP events, `core:server-sent-events`).
    Events(SessionId),
    /// One event stream of a session.
    EventStream(SessionId, u32),
    /// Where a session's layer is chosen (WHEP events, `core:layer`).
    Layer(SessionId),
}

impl Place {
    /// The methods of the resource, for `Allow` (RFC 9110 §10.2.1).
    pub(crate) const fn methods(self) -> &'static str {
        match self {
            Self::Endpoint => "POST, GET, HEAD, OPTIONS",
            Self::Session(_) => "PATCH, DELETE, GET, HEAD, OPTIONS",
            Self::Events(_) | Self::Layer(_) => "POST, OPTIONS",
            Self::EventStream(..) => "GET, DELETE, OPTIONS",
        }
    }
}

/// Why a path names no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteError {
    /// Nothing of WHIP or WHEP has this form.
    NotFound,
    /// The stream's name is none.
    Key(StreamKeyError),
}

impl From<StreamKeyError> for RouteError {
    fn from(error: StreamKeyError) -> Self {
        Self::Key(error)
    }
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("the path names no resource of WHIP or WHEP"),
            Self::Key(_) => f.write_str("the path names no valid stream"),
        }
    }
}

impl std::error::Error for RouteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotFound => None,
            Self::Key(error) => Some(error),
        }
    }
}

/// One more than the longest path has, so that a longer one does not match.
const MAX_PARTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00010203040506070809a0b1c2d3e4ff";

    #[test]
    fn paths_of_resources() {
        let id = SessionId::parse(ID).unwrap();
        for (path, place) in [
            ("live/show/whip".to_owned(), Some(Place::Endpoint)),
            (format!("live/show/whip/{ID}"), Some(Place::Session(id))),
            (format!("live/show/whep/{ID}/sse"), Some(Place::Events(id))),
            (
                format!("live/show/whep/{ID}/sse/7"),
                Some(Place::EventStream(id, 7)),
            ),
            (format!("live/show/whep/{ID}/layer"), Some(Place::Layer(id))),
            (format!("live/show~hi/whep/{ID}"), Some(Place::Session(id))),
            (format!("live/show/whip/{ID}/sse"), None),
            (format!("live/show/whep/{ID}/sse/07"), None),
            (format!("live/show/whep/{ID}/sse/7/"), None),
            (format!("live/show/whep/{ID}/"), None),
            ("live/show/whip/".to_owned(), None),
            ("live/show~hi/whip".to_owned(), None),
            ("live/../whip".to_owned(), None),
            ("live/%2e%2e/whip".to_owned(), None),
            ("/live/show/whip".to_owned(), None),
            ("live/show/index.m3u8".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(
                Route::parse(&path).ok().map(|route| route.place),
                place,
                "{path}"
            );
        }
    }
}
