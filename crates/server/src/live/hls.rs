//! LL-HLS over HTTP: a stream's playlists and parts, made while somebody asks for them.

use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_live::{AccessRequest, Action, AdmissionId, Protocol, StreamError};
use sluice_media::StreamKey;
use sluice_mux::hls::{Query, Resource};

use super::Live;
use super::access::{Asked, socket_address};
use super::http::{LiveRequest, LiveResponse, Reply};
use crate::rooms::Rooms;

/// A request before the authorizer.
#[derive(Debug)]
pub(super) struct HlsWish {
    key: StreamKey,
    grant: Grant,
    wanted: Wanted,
    pub(super) reply: Reply,
}

/// Who may have what: as long as it holds, the authorizer is not asked again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    key: StreamKey,
    token: Option<Box<str>>,
    query: Option<Box<str>>,
    address: Option<std::net::IpAddr>,
}

/// What of a stream is wanted.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// `index.m3u8`: which playlists there are.
    Index,
    /// `<run>/stream.m3u8`, of this many segments at least if none is named.
    Playlist(Directory, Query, u64),
    /// `<run>/p12.3.m4s` and the like.
    Resource(Directory, Resource),
}

/// Where a rendition lies below the stream's name: `<run>`, of a layer `<run>~<layer>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) run: String,
    pub(super) layer: Option<String>,
}

impl Directory {
    fn parse(name: &str) -> Self {
        let (run, layer) = match name.split_once('~') {
            Some((run, layer)) => (run, Some(layer.to_owned())),
            None => (name, None),
        };
        Self {
            run: run.to_owned(),
            layer,
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.run)?;
        match &self.layer {
            Some(layer) => write!(f, "~{layer}"),
            None => Ok(()),
        }
    }
}

impl Wanted {
    /// The rendition it is about, of a stream that has several below one name. `None`: there is no such.
    pub(super) fn rendition(&self, key: &StreamKey) -> Option<StreamKey> {
        match self {
            Self::Index => Some(key.clone()),
            Self::Playlist(directory, ..) | Self::Resource(directory, _) => {
                match (&directory.layer, key.layer_name()) {
                    (None, _) => Some(key.clone()),
                    (Some(layer), None) => key.layer(layer).ok(),
                    (Some(_), Some(_)) => None,
                }
            }
        }
    }

    /// What a path behind the stream's name and a query ask for.
    fn parse(path: &str, query: &str) -> Result<Self, LiveResponse> {
        if path == "index.m3u8" {
            return Ok(Self::Index);
        }
        let (directory, name) = path.split_once('/').ok_or_else(not_found)?;
        let directory = Directory::parse(directory);
        if name == "stream.m3u8" {
            let query = Query::parse(query).map_err(|why| problem(400, &why.to_string()))?;
            return Ok(Self::Playlist(directory, query, 1));
        }
        let resource = Resource::parse(name).ok_or_else(not_found)?;
        Ok(Self::Resource(directory, resource))
    }
}

/// Whether a path behind the stream's name is HLS's.
pub(super) fn is_hls(path: &str) -> bool {
    Wanted::parse(path, "").is_ok()
}

impl Live {
    pub(super) fn handle_hls(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: StreamKey,
        path: &str,
        request: &LiveRequest,
        reply: Reply,
    ) {
        match request.method.as_str() {
            "GET" | "HEAD" => {}
            "OPTIONS" => return say(reply, preflight()),
            _ => {
                let refusal = problem(405, "a playlist and its media can only be read");
                return say(reply, refusal.with("Allow", "GET, HEAD, OPTIONS"));
            }
        }
        let mut wanted = match Wanted::parse(path, &request.query) {
            Ok(wanted) => wanted,
            Err(refusal) => return say(reply, refusal),
        };
        if let Wanted::Playlist(_, _, segments) = &mut wanted
            && is_media_element(&request.headers)
        {
            *segments = SEGMENTS_OF_ELEMENTS;
        }
        let grant = Grant {
            key: key.clone(),
            token: bearer(&request.headers),
            query: own_query(&request.query),
            address: request.address,
        };
        if self.grants.get(&grant).is_some_and(|until| *until > now) {
            self.serve_hls(now, &key, wanted, reply);
            return;
        }
        let mut access = AccessRequest::new(key.clone(), Protocol::HLS);
        access.address = request.address.map(socket_address);
        access.credentials.token.clone_from(&grant.token);
        access.credentials.query.clone_from(&grant.query);
        let wish = HlsWish {
            key,
            grant,
            wanted,
            reply,
        };
        let asked = Asked::Hls(Box::new(wish));
        if let Err((asked, error)) = self.ask(now, Action::Play, access, asked, false) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    pub(super) fn hls_granted(&mut self, now: Instant, admission: AdmissionId, wish: HlsWish) {
        self.engine.cancel(admission);
        if self.grants.len() >= MAX_GRANTS {
            self.grants.retain(|_, until| *until > now);
        }
        if self.grants.len() < MAX_GRANTS {
            self.grants.insert(wish.grant, now + GRANT);
        }
        self.serve_hls(now, &wish.key, wish.wanted, wish.reply);
    }
}

impl LiveResponse {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What an authorizer's refusal is in HTTP.
pub(super) fn refusal(error: &StreamError) -> LiveResponse {
    match error {
        StreamError::Unauthorized {
            reason: sluice_live::Denial::BadCredentials | sluice_live::Denial::Expired,
        } => problem(401, "a token is needed").with("WWW-Authenticate", "Bearer realm=\"live\""),
        StreamError::Unauthorized { .. } => problem(403, "not allowed"),
        StreamError::AppNotFound | StreamError::StreamNotFound => not_found(),
        _ => problem(503, "no room for it now").with("Retry-After", "1"),
    }
}

pub(super) fn say(reply: Reply, response: LiveResponse) {
    // Who hung up needs no answer.
    let _ = reply.send(Ok(response));
}

pub(super) fn playlist(text: Bytes) -> LiveResponse {
    response(200, "application/vnd.apple.mpegurl", text).with("Cache-Control", "no-cache")
}

/// Names never mean something else, so what is fetched once is right for ever.
pub(super) fn media(pieces: &[Bytes]) -> LiveResponse {
    let bytes = match pieces {
        [one] => one.clone(),
        pieces => pieces.concat().into(),
    };
    response(200, "video/mp4", bytes).with("Cache-Control", "public, max-age=3600, immutable")
}

pub(super) fn late() -> LiveResponse {
    problem(503, "nothing came in time").with("Retry-After", "1")
}

pub(super) fn not_found() -> LiveResponse {
    problem(404, "no such stream, or it is over")
}

fn preflight() -> LiveResponse {
    response(204, "text/plain", Bytes::new())
        .with("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        .with("Access-Control-Allow-Headers", "Authorization, Range")
        .with("Access-Control-Max-Age", "86400")
}

pub(super) fn problem(status: u16, why: &str) -> LiveResponse {
    let text = Bytes::copy_from_slice(why.as_bytes());
    response(status, "text/plain; charset=utf-8", text).with("Cache-Control", "no-store")
}

fn response(status: u16, content_type: &str, body: Bytes) -> LiveResponse {
    let response = LiveResponse {
        status,
        headers: Vec::new(),
        body,
        events: None,
    };
    response
        .with("Content-Type", content_type)
        .with("Access-Control-Allow-Origin", "*")
}

pub(crate) fn bearer(headers: &[(String, String)]) -> Option<Box<str>> {
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().into())
}

/// Whether a browser's own player asks: what scripts fetch has an empty destination (Fetch Metadata §2.1).
fn is_media_element(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("sec-fetch-dest") && (value == "video" || value == "audio")
    })
}

/// The query without HLS's own directives, which change with every request.
fn own_query(query: &str) -> Option<Box<str>> {
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("_HLS_"))
        .collect();
    (!rest.is_empty()).then(|| rest.join("&").into())
}

/// Chromium's own player gives up when the list is no longer at its second look; of less than three target durations
/// no live list should be (RFC 8216 §6.2.2).
const SEGMENTS_OF_ELEMENTS: u64 = 3;
/// How long a verdict holds for the requests of one player.
const GRANT: Duration = Duration::from_secs(30);
/// Beyond it every request is put before the authorizer.
const MAX_GRANTS: usize = 65_536;
