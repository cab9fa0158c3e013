//! Live streams: requests, publishers, readers.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Buffer, PromiseRaw, Uint8Array};
use napi_derive::napi;
use sluice_server::stream::{
    self, Access, AccessRequest, AppSpec, ByteFormat, Denial, Identity, Protocol, PublishWish,
    StreamKey, SubscribeOptions, TrackId,
};

use crate::errors::{Fault, bad_key};
use crate::live_values::{
    LiveBatch, LiveCodec, LiveFrameInput, LiveTrackInput, StreamInfo, coding_of, frame_of, invalid,
    track_id,
};
use crate::server::{NativeServer, settle};
use crate::teardown::Running;
use crate::tracks::number;

/// Who decides what clients of protocols may do.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveAccess {
    /// All are refused.
    Denied,
    /// All are let in.
    Open,
    /// The listener of `authorize` events.
    Listener,
}

/// Why the application refuses.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveDenial {
    /// Credentials are missing or wrong.
    BadCredentials,
    /// They were right once.
    Expired,
    /// Not allowed to do this.
    NotAllowed,
    /// The authorizer failed.
    Unavailable,
}

/// Why a publisher ends.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveFinish {
    /// It is done: the stream ends.
    Completed,
    /// It was lost: the stream waits for the next one.
    Disconnected,
}

/// A client of a protocol that the application speaks.
#[napi(object, object_to_js = false)]
pub struct LiveClient {
    /// The protocol's name.
    pub protocol: String,
    /// Where it is.
    pub address: Option<String>,
    /// A user name.
    pub user: Option<String>,
    /// A password.
    pub password: Option<String>,
    /// A bearer token.
    pub token: Option<String>,
}

impl LiveClient {
    fn into_request(self, key: StreamKey) -> AccessRequest {
        let mut request = AccessRequest::new(key, Protocol::new(&self.protocol));
        let address = self.address.and_then(|text| text.parse::<IpAddr>().ok());
        request.address = address.map(|ip| SocketAddr::new(ip, 0));
        request.credentials.user = self.user.map(Into::into);
        request.credentials.password = self.password.map(Into::into);
        request.credentials.token = self.token.map(Into::into);
        request
    }
}

/// An HTTP request below the prefix.
#[napi(object, object_to_js = false)]
pub struct LiveRequest {
    /// The method.
    pub method: String,
    /// Where the handler stands.
    pub prefix: String,
    /// The path behind the prefix.
    pub path: String,
    /// What stands behind the `?`.
    pub query: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Option<Uint8Array>,
    /// Who asks.
    pub address: Option<String>,
}

impl From<LiveRequest> for stream::LiveRequest {
    fn from(request: LiveRequest) -> Self {
        Self {
            method: request.method,
            prefix: request.prefix,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: request.body.map(|body| body.to_vec()).unwrap_or_default(),
            address: request.address.and_then(|text| text.parse::<IpAddr>().ok()),
        }
    }
}

/// What to answer.
#[napi(object, object_from_js = false)]
pub struct LiveResponse {
    /// The status code.
    pub status: u32,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Buffer,
    /// Set when the content is what `liveEvents` gives, bit by bit.
    pub events: Option<f64>,
}

/// Whether a path behind the prefix is one of ours.
#[napi(catch_unwind)]
pub fn is_live_path(path: String) -> bool {
    stream::LiveRequest::takes(&path)
}

#[napi]
impl NativeServer {
    /// Answers a request below the live prefix; null when the path is none of ours.
    #[napi(catch_unwind)]
    pub fn live_request<'env>(
        &self,
        env: &'env Env,
        request: LiveRequest,
    ) -> napi::Result<PromiseRaw<'env, Option<LiveResponse>>> {
        let pending = self.running().server.live_request(request.into());
        let answered = async move {
            match pending {
                Some(pending) => pending.await.map(Some),
                None => Ok(None),
            }
        };
        settle(env, Ok(answered), |response| {
            response.map(|response| LiveResponse {
                status: u32::from(response.status),
                headers: response.headers,
                body: response.body.to_vec().into(),
                events: response.events.map(|events| number(events.number())),
            })
        })
    }

    /// The next of a response's content, when there is some; null when it ends. One call at a time.
    #[napi(catch_unwind)]
    pub fn live_events<'env>(
        &self,
        env: &'env Env,
        events: f64,
    ) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let pending = self.running().server.read_events(events_id(events));
        settle(env, Ok(pending), |text| text)
    }

    /// The client of such a response has hung up.
    #[napi(catch_unwind)]
    pub fn live_events_end<'env>(
        &self,
        env: &'env Env,
        events: f64,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = self.running().server.close_events(events_id(events));
        settle(env, Ok(pending), drop)
    }

    /// Says who decides.
    #[napi(catch_unwind)]
    pub fn live_access<'env>(
        &self,
        env: &'env Env,
        access: LiveAccess,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let access = match access {
            LiveAccess::Denied => Access::Denied,
            LiveAccess::Open => Access::Open,
            LiveAccess::Listener => Access::Listener,
        };
        settle(env, Ok(self.running().server.set_access(access)), drop)
    }

    /// The listener's verdict: a denial refuses.
    #[napi(catch_unwind)]
    pub fn live_decide<'env>(
        &self,
        env: &'env Env,
        number: f64,
        identity: Option<String>,
        denial: Option<LiveDenial>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let verdict = match denial {
            None => Ok(identity.as_deref().map(Identity::new)),
            Some(LiveDenial::BadCredentials) => Err(Denial::BadCredentials),
            Some(LiveDenial::Expired) => Err(Denial::Expired),
            Some(LiveDenial::NotAllowed) => Err(Denial::NotAllowed),
            Some(LiveDenial::Unavailable) => Err(Denial::Unavailable),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the number came from us; another one is nobody's"
        )]
        let number = number as u64;
        settle(env, Ok(self.running().server.decide(number, verdict)), drop)
    }

    /// Registers an application.
    #[napi(catch_unwind)]
    pub fn live_register<'env>(
        &self,
        env: &'env Env,
        name: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let spec = AppSpec::new(&name);
        settle(env, Ok(self.running().server.register_app(spec)), drop)
    }

    /// Publishes in the application's own name, or in a client's, which the authorizer decides on.
    #[napi(catch_unwind)]
    pub fn live_publish<'env>(
        &self,
        env: &'env Env,
        key: String,
        identity: Option<String>,
        client: Option<LiveClient>,
    ) -> napi::Result<PromiseRaw<'env, NativePublisher>> {
        let running = Arc::clone(self.running());
        let identity = identity.as_deref().map(Identity::new);
        let pending = stream_key(&key).map(|key| {
            let wish = match client {
                None => PublishWish::Own { key, identity },
                Some(client) => PublishWish::Of(Box::new(client.into_request(key))),
            };
            self.running().server.publish(wish)
        });
        settle(env, pending, move |id| NativePublisher { running, id })
    }

    /// Reads in the application's own name.
    #[napi(catch_unwind)]
    pub fn live_subscribe<'env>(
        &self,
        env: &'env Env,
        key: String,
    ) -> napi::Result<PromiseRaw<'env, NativeReader>> {
        let running = Arc::clone(self.running());
        let pending = stream_key(&key).map(|key| {
            let options = SubscribeOptions::default();
            self.running().server.subscribe_stream(key, options)
        });
        settle(env, pending, move |id| NativeReader { running, id })
    }

    /// All live streams.
    #[napi(catch_unwind)]
    pub fn live_streams<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<PromiseRaw<'env, Vec<StreamInfo>>> {
        settle(env, Ok(self.running().server.streams()), |all| {
            all.into_iter().map(StreamInfo::from).collect()
        })
    }

    /// Refuses new sessions of WHIP and WHEP, or no longer.
    #[napi(catch_unwind)]
    pub fn live_drain<'env>(
        &self,
        env: &'env Env,
        draining: bool,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        settle(env, Ok(self.running().server.set_draining(draining)), drop)
    }

    /// Ends a stream.
    #[napi(catch_unwind)]
    pub fn live_end_stream<'env>(
        &self,
        env: &'env Env,
        key: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = stream_key(&key).map(|key| self.running().server.end_stream(key));
        settle(env, pending, drop)
    }
}

/// A publisher in this process.
#[napi]
pub struct NativePublisher {
    running: Arc<Running>,
    id: stream::PublisherId,
}

#[napi]
impl NativePublisher {
    /// Says how a track's frames are coded from here on.
    #[napi(catch_unwind)]
    pub fn configure<'env>(
        &self,
        env: &'env Env,
        track: LiveTrackInput,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = coding_of(&track)
            .map(|(track, coding)| self.running.server.configure_track(self.id, track, coding));
        settle(env, pending, drop)
    }

    /// Publishes frames in order.
    #[napi(catch_unwind)]
    pub fn push<'env>(
        &self,
        env: &'env Env,
        frames: Vec<LiveFrameInput>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let frames: Result<Vec<_>, Fault> = frames.into_iter().map(frame_of).collect();
        let pending = frames.map(|frames| self.running.server.push_frames(self.id, frames));
        settle(env, pending, drop)
    }

    /// From now on a track comes as bytes: AAC in ADTS, or video with start codes at a steady rate.
    #[napi(catch_unwind)]
    pub fn open_feed<'env>(
        &self,
        env: &'env Env,
        track: u32,
        codec: LiveCodec,
        frames_per_second: Option<f64>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = feed_of(track, codec, frames_per_second)
            .map(|(track, format)| self.running.server.open_feed(self.id, track, format));
        settle(env, pending, drop)
    }

    /// Publishes what the next bytes of a track complete; none ends them.
    #[napi(catch_unwind)]
    pub fn feed<'env>(
        &self,
        env: &'env Env,
        track: u32,
        bytes: Option<Uint8Array>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let bytes = bytes.map(|bytes| bytes.to_vec());
        let pending =
            track_id(track).map(|track| self.running.server.feed_track(self.id, track, bytes));
        settle(env, pending, drop)
    }

    /// Ends it.
    #[napi(catch_unwind)]
    pub fn finish<'env>(
        &self,
        env: &'env Env,
        reason: LiveFinish,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let reason = match reason {
            LiveFinish::Completed => stream::FinishReason::Completed,
            LiveFinish::Disconnected => stream::FinishReason::Disconnected,
        };
        let pending = self.running.server.finish_publisher(self.id, reason);
        settle(env, Ok(pending), drop)
    }
}

impl Drop for NativePublisher {
    /// One that was forgotten holds its key no longer.
    fn drop(&mut self) {
        let reason = stream::FinishReason::Disconnected;
        drop(self.running.server.finish_publisher(self.id, reason));
    }
}

/// A reader in this process.
#[napi]
pub struct NativeReader {
    running: Arc<Running>,
    id: stream::ReaderId,
}

#[napi]
impl NativeReader {
    /// The next batch, when there is one.
    #[napi(catch_unwind)]
    pub fn read<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, LiveBatch>> {
        settle(env, Ok(self.running.server.read_stream(self.id)), |batch| {
            LiveBatch::from(batch)
        })
    }

    /// Ends it.
    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        settle(env, Ok(self.running.server.close_reader(self.id)), drop)
    }
}

impl Drop for NativeReader {
    fn drop(&mut self) {
        drop(self.running.server.close_reader(self.id));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number came from us; another one is nobody's"
)]
fn events_id(number: f64) -> stream::EventsId {
    stream::EventsId::from_number(number as u64)
}

pub(crate) fn stream_key(text: &str) -> Result<StreamKey, Fault> {
    text.parse().map_err(|e| bad_key(&e))
}

fn feed_of(
    track: u32,
    codec: LiveCodec,
    frames_per_second: Option<f64>,
) -> Result<(TrackId, ByteFormat), Fault> {
    let track = track_id(track)?;
    if codec == LiveCodec::Aac {
        return Ok((track, ByteFormat::Adts));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates; what is left is checked"
    )]
    let rate = frames_per_second.map_or(0, |rate| (rate * 1000.0).round() as u32);
    let frames_per_thousand_seconds =
        NonZeroU32::new(rate).ok_or_else(|| invalid("framesPerSecond must be above 0"))?;
    let format = ByteFormat::AnnexB {
        codec: codec.into(),
        frames_per_thousand_seconds,
    };
    Ok((track, format))
}
