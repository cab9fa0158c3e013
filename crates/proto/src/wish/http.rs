//! The parts of HTTP that the machine reads and writes.

use std::net::IpAddr;

use super::event_stream::EventReader;

/// A request, as the caller's HTTP server has read it. It has no `Debug`: its path and header fields hold secrets.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method, in capitals as RFC 9110 §9.1 wants it.
    pub method: &'a str,
    /// What stands in front of `app/stream` in `Location` and `Link`: a path or an absolute URL without a `/` at its
    /// end, for example `/live`.
    pub prefix: &'a str,
    /// The path behind the prefix without a `/` in front: `app/stream/whip`.
    pub path: &'a str,
    /// What stands behind the `?`, or nothing. Read only where [`Options::query_token`](super::Options) opts in.
    pub query: &'a str,
    /// The header fields; names in any case.
    pub headers: &'a [(&'a str, &'a str)],
    /// The whole content. The caller stops reading past [`Endpoint::max_body`](super::Endpoint::max_body).
    pub body: &'a [u8],
    /// The address the rate limits count by.
    pub peer: IpAddr,
    /// Fresh bytes of a cryptographic generator, of which session ids and entity tags are made (RFC 9725 §5).
    pub entropy: [u8; 24],
}

impl<'a> Request<'a> {
    /// The value of a field that occurs once.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        found.next().is_none().then(|| value.trim())
    }

    /// Whether the media type of the content is this one, whatever its parameters.
    pub(crate) fn has_content_type(&self, expected: &str) -> bool {
        self.header("content-type").is_some_and(|value| {
            let media_type = value.split(';').next().unwrap_or_default();
            media_type.trim().eq_ignore_ascii_case(expected)
        })
    }
}

/// A response for the caller's HTTP server to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields, in order; `Link` may occur several times. `Content-Length` is the caller's.
    pub headers: Vec<(&'static str, String)>,
    /// The whole content; empty where `events` is set.
    pub body: Vec<u8>,
    /// Present when the response stays open as `text/event-stream`:
    /// the caller writes what [`Endpoint::poll_events`](super::Endpoint::poll_events) gives for this reader.
    pub events: Option<EventReader>,
}

impl Response {
    pub(crate) const fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            events: None,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn content(mut self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.with("Content-Type", media_type)
    }

    /// The value of the first field of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// The media type of a description (RFC 8866 §8.1).
pub(crate) const SDP: &str = "application/sdp";

/// The media type of a fragment (RFC 8840 §9.2).
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
