//! Bridges between rooms and live streams.

use std::str::FromStr;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use sluice_server::room;
use sluice_server::stream::{self, BridgeEnd, BridgeId, Identity, Pick, Picks};

use crate::errors::{Fault, foreign_id};
use crate::live::stream_key;
use crate::registry::NativeRegistry;
use crate::server::{NativeServer, settle};
use crate::tracks::number;

/// What of a room is published: ids of tracks, or `activeSpeaker`.
#[napi(object, object_to_js = false)]
pub struct BridgeSources {
    /// Its picture.
    pub video: Option<String>,
    /// Its sound.
    pub audio: Option<String>,
}

/// A stream shown in a room.
#[napi(object, object_from_js = false)]
pub struct Shown {
    /// The bridge's number.
    pub bridge: f64,
    /// The client whose tracks the stream's are.
    pub client_id: String,
}

/// Why a bridge ends.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeEndReason {
    /// The application stopped it.
    Stopped,
    /// The room was closed.
    RoomClosed,
    /// All tracks it was to publish have closed.
    TrackClosed,
    /// Another publisher took the stream.
    Replaced,
    /// Nothing came of the room for too long.
    Idle,
    /// The room sent more than the stream's application allows.
    RateLimited,
    /// The stream has ended.
    StreamEnded,
    /// Our own fault.
    Internal,
}

impl From<BridgeEnd> for BridgeEndReason {
    fn from(end: BridgeEnd) -> Self {
        match end {
            BridgeEnd::Stopped => Self::Stopped,
            BridgeEnd::RoomClosed => Self::RoomClosed,
            BridgeEnd::TrackClosed => Self::TrackClosed,
            BridgeEnd::Replaced => Self::Replaced,
            BridgeEnd::Idle => Self::Idle,
            BridgeEnd::RateLimited => Self::RateLimited,
            BridgeEnd::StreamEnded => Self::StreamEnded,
            _ => Self::Internal,
        }
    }
}

#[napi]
impl NativeRegistry {
    /// Publishes what the room has as a stream; resolves to the bridge's number.
    #[napi(catch_unwind)]
    pub fn publish_from<'env>(
        &self,
        env: &'env Env,
        key: String,
        sources: BridgeSources,
        identity: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, f64>> {
        let pending = stream_key(&key).and_then(|key| {
            let picks = picks(&sources)?;
            let identity = identity.as_deref().map(Identity::new);
            let server = &self.running().server;
            Ok(server.publish_from(self.room(), key, picks, identity))
        });
        settle(env, pending, |id| number(id.raw()))
    }

    /// Shows a stream in the room.
    #[napi(catch_unwind)]
    pub fn show<'env>(&self, env: &'env Env, key: String) -> napi::Result<PromiseRaw<'env, Shown>> {
        let running = Arc::clone(self.running());
        let pending = stream_key(&key).map(|key| running.server.show_in(self.room(), key));
        settle(env, pending, |(id, client)| Shown {
            bridge: number(id.raw()),
            client_id: client.to_string(),
        })
    }
}

#[napi]
impl NativeServer {
    /// Publishes other tracks of the room from now on.
    #[napi(catch_unwind)]
    pub fn live_bridge_sources<'env>(
        &self,
        env: &'env Env,
        bridge: f64,
        sources: BridgeSources,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let server = &self.running().server;
        let pending = picks(&sources).map(|picks| server.set_picks(bridge_id(bridge), picks));
        settle(env, pending, drop)
    }

    /// Ends a bridge.
    #[napi(catch_unwind)]
    pub fn live_stop_bridge<'env>(
        &self,
        env: &'env Env,
        bridge: f64,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = self.running().server.stop_bridge(bridge_id(bridge));
        settle(env, Ok(pending), drop)
    }
}

fn picks(sources: &BridgeSources) -> Result<Picks, Fault> {
    let pick = |source: &Option<String>| source.as_deref().map(pick).transpose();
    Ok(Picks {
        video: pick(&sources.video)?,
        audio: pick(&sources.audio)?,
    })
}

fn pick(source: &str) -> Result<Pick, Fault> {
    if source == "activeSpeaker" {
        return Ok(Pick::Speaker);
    }
    let track = room::TrackId::from_str(source).map_err(|e| foreign_id(&e))?;
    Ok(Pick::Track(track))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number came from us; another one is nobody's"
)]
fn bridge_id(number: f64) -> BridgeId {
    stream::BridgeId::from_raw(number as u64)
}
