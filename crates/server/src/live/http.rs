//! HTTP requests below the live prefix, whatever server read them.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use sluice_media::StreamKey;
use tokio::sync::oneshot;

use super::Live;
use super::event_bodies::EventsId;
use super::hls::is_hls;
use crate::error::ServerError;
use crate::rooms::Rooms;

/// A request for something below `app/stream/`.
#[derive(Debug, Clone, Default)]
pub struct LiveRequest {
    /// The method, in capitals.
    pub method: String,
    /// What stands in front of `app/stream` in the URLs of this handler: `/live`.
    pub prefix: String,
    /// The path behind the prefix, without a `/` in front: `app/stream/whip`.
    pub path: String,
    /// What stands behind the `?`.
    pub query: String,
    /// The header fields; names in any case.
    pub headers: Vec<(String, String)>,
    /// The whole content.
    pub body: Vec<u8>,
    /// Who asks, where that is known: limits count by it.
    pub address: Option<IpAddr>,
}

impl LiveRequest {
    /// Whether a path behind the prefix is one of ours, so that its body need not be read to find out.
    pub fn takes(path: &str) -> bool {
        key_of(path).is_some()
    }

    /// The stream it is about, without layer: what decides where it is handled. `None`: none of ours.
    pub(crate) fn key(&self) -> Option<StreamKey> {
        key_of(&self.path)
    }
}

fn key_of(path: &str) -> Option<StreamKey> {
    let mut parts = path.split('/');
    let (app, stream, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let base = stream.split_once('~').map_or(stream, |(base, _)| base);
    let behind = path.get(app.len() + stream.len() + 2..)?;
    let known = matches!(rest, "whip" | "whep") || is_hls(behind);
    known.then(|| StreamKey::new(app, base).ok())?
}

/// What to answer.
#[derive(Clone, Default)]
pub struct LiveResponse {
    /// The status code.
    pub status: u16,
    /// The header fields in order; a name may occur several times. `Content-Length` is the server's.
    pub headers: Vec<(String, String)>,
    /// The whole content; nothing where `events` is set.
    pub body: Bytes,
    /// Set when the response stays open: the caller writes what `Server::read_events` gives.
    pub events: Option<EventsId>,
}

impl fmt::Debug for LiveResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveResponse")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

pub(super) type Reply = oneshot::Sender<Result<LiveResponse, ServerError>>;

impl Live {
    /// Takes a request whose [`LiveRequest::key`] lives on this shard. `reply` is answered sooner or later.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        request: &LiveRequest,
        reply: Reply,
    ) {
        let mut parts = request.path.splitn(3, '/');
        if let (Some(app), Some(stream), Some(rest)) = (parts.next(), parts.next(), parts.next())
            && is_hls(rest)
        {
            match format!("{app}/{stream}").parse() {
                Ok(key) => self.handle_hls(now, rooms, key, rest, request, reply),
                Err(_) => drop(reply.send(Err(ServerError::Closed))),
            }
            return;
        }
        let mut entropy = [0; 24];
        match getrandom::fill(&mut entropy) {
            Ok(()) => self.handle_wish(now, rooms, request, entropy, reply),
            Err(error) => drop(reply.send(Err(ServerError::Internal(error.to_string())))),
        }
    }
}
