//! The handle of a server, and of the clients in its rooms.

use std::future::Future;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{Function, PromiseRaw, ToNapiValue};
use napi_derive::napi;
use sluice_server::room::{self as sfu, ClientId, TrackId};
use sluice_server::{Server, ServerError, options_from_env};

use crate::errors::{Fault, fault, foreign_id, into_js};
use crate::events::Delivery;
use crate::guard::guard;
use crate::options::{
    LocalCandidate, PreferredLayers, ServerOptions, SubscribeOptions, bits, narrow,
};
use crate::registry::NativeRegistry;
use crate::sink::JsSink;
use crate::stats::ClientStats;
use crate::teardown::{Running, watch};

/// What the environment variables say: `SFU_UDP_PORT`, `SFU_BIND_ADDRESS`,
/// `SFU_ANNOUNCED_ADDRESSES`.
#[napi(catch_unwind)]
pub fn server_options_from_env() -> Result<ServerOptions, Fault> {
    guard(|| {
        options_from_env(|name| std::env::var(name).ok())
            .map(Into::into)
            .map_err(|e| fault(&e))
    })
}

/// A running server.
#[napi]
pub struct NativeServer(Arc<Running>);

#[napi]
impl NativeServer {
    /// Binds the sockets and starts the threads; events go to `listener`, which must not throw.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeServer>")]
    pub fn start<'env>(
        env: &'env Env,
        options: ServerOptions,
        listener: Function<'_, Vec<Delivery>, ()>,
    ) -> napi::Result<PromiseRaw<'env, Self>> {
        let sink = Arc::new(JsSink::new(&listener)?);
        let started = async move {
            guard(|| {
                let shared = Arc::clone(&sink);
                let server = Server::start(options.try_into()?, shared).map_err(|e| fault(&e))?;
                Ok(Arc::new(Running { server, sink }))
            })
        };
        env.spawn_future_with_callback(async move { Ok(started.await) }, |env, started| {
            let running = started.map_err(|e| into_js(env, e))?;
            watch(env, &running)?;
            Ok(Self(running))
        })
    }

    /// Where peers are told to send to.
    #[napi(catch_unwind)]
    pub fn candidates(&self) -> Result<Vec<LocalCandidate>, Fault> {
        guard(|| {
            let candidates = self.0.server.candidates();
            Ok(candidates.into_iter().map(Into::into).collect())
        })
    }

    /// How many shard threads run.
    #[napi(catch_unwind)]
    pub fn shards(&self) -> Result<u32, Fault> {
        guard(|| Ok(u32::try_from(self.0.server.shards()).unwrap_or(u32::MAX)))
    }

    /// Opens a room.
    #[napi(catch_unwind)]
    pub fn open_registry<'env>(
        &self,
        env: &'env Env,
    ) -> napi::Result<PromiseRaw<'env, NativeRegistry>> {
        let running = Arc::clone(&self.0);
        let opened = self.0.server.open_registry();
        settle(env, Ok(opened), move |id| NativeRegistry::new(running, id))
    }

    /// Applies an offer and resolves to the answer.
    #[napi(catch_unwind)]
    pub fn accept_offer<'env>(
        &self,
        env: &'env Env,
        client: String,
        sdp: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let pending = client_id(&client).map(|id| self.0.server.accept_offer(id, sdp));
        settle(env, pending, |answer| answer)
    }

    /// Makes an offer if there is something to negotiate.
    #[napi(catch_unwind)]
    pub fn create_offer<'env>(
        &self,
        env: &'env Env,
        client: String,
    ) -> napi::Result<PromiseRaw<'env, Option<String>>> {
        let pending = client_id(&client).map(|id| self.0.server.create_offer(id));
        settle(env, pending, |offer| offer)
    }

    /// Applies the answer to our offer in flight.
    #[napi(catch_unwind)]
    pub fn accept_answer<'env>(
        &self,
        env: &'env Env,
        client: String,
        sdp: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = client_id(&client).map(|id| self.0.server.accept_answer(id, sdp));
        settle(env, pending, drop)
    }

    /// Adds a trickled candidate.
    #[napi(catch_unwind)]
    pub fn add_ice_candidate<'env>(
        &self,
        env: &'env Env,
        client: String,
        candidate: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = client_id(&client).map(|id| self.0.server.add_ice_candidate(id, candidate));
        settle(env, pending, drop)
    }

    /// Makes the next offer an ICE restart.
    #[napi(catch_unwind)]
    pub fn restart_ice<'env>(
        &self,
        env: &'env Env,
        client: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = client_id(&client).map(|id| self.0.server.restart_ice(id));
        settle(env, pending, drop)
    }

    /// Subscribes to a track, or changes a subscription.
    #[napi(catch_unwind)]
    pub fn subscribe<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
        options: SubscribeOptions,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = both(&client, &track).and_then(|(client, track)| {
            let options = options.try_into()?;
            Ok(self.0.server.subscribe(client, track, options))
        });
        settle(env, pending, drop)
    }

    /// Ends a subscription.
    #[napi(catch_unwind)]
    pub fn unsubscribe<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending =
            both(&client, &track).map(|(client, track)| self.0.server.unsubscribe(client, track));
        settle(env, pending, drop)
    }

    /// Bounds the layers a subscriber gets.
    #[napi(catch_unwind)]
    pub fn set_preferred_layers<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
        layers: PreferredLayers,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = both(&client, &track).and_then(|(client, track)| {
            let layers = layers.try_into()?;
            Ok(self.0.server.set_preferred_layers(client, track, layers))
        });
        settle(env, pending, drop)
    }

    /// Holds a subscription back, or lets it flow again.
    #[napi(catch_unwind)]
    pub fn set_paused<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
        paused: bool,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = both(&client, &track)
            .map(|(client, track)| self.0.server.set_paused(client, track, paused));
        settle(env, pending, drop)
    }

    /// Orders subscriptions when bandwidth is short.
    #[napi(catch_unwind)]
    pub fn set_priority<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
        priority: u32,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = both(&client, &track).and_then(|(client, track)| {
            let priority = narrow("priority", priority)?;
            Ok(self.0.server.set_priority(client, track, priority))
        });
        settle(env, pending, drop)
    }

    /// Asks the publisher for a keyframe.
    #[napi(catch_unwind)]
    pub fn request_key_frame<'env>(
        &self,
        env: &'env Env,
        client: String,
        track: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = both(&client, &track)
            .map(|(client, track)| self.0.server.request_key_frame(client, track));
        settle(env, pending, drop)
    }

    /// Bounds what is sent to a client; none lifts the bound.
    #[napi(catch_unwind)]
    pub fn set_max_outgoing_bitrate<'env>(
        &self,
        env: &'env Env,
        client: String,
        bits_per_second: Option<f64>,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let pending = client_id(&client).and_then(|client| {
            let bound = bits_per_second.map(bits).transpose()?;
            Ok(self.0.server.set_max_outgoing_bitrate(client, bound))
        });
        settle(env, pending, drop)
    }

    /// Measures one client.
    #[napi(catch_unwind)]
    pub fn client_stats<'env>(
        &self,
        env: &'env Env,
        client: String,
    ) -> napi::Result<PromiseRaw<'env, ClientStats>> {
        let pending = client_id(&client).map(|id| self.0.server.client_stats(id));
        settle(env, pending, ClientStats::from)
    }

    /// Closes a client in the application's name.
    #[napi(catch_unwind)]
    pub fn close_client<'env>(
        &self,
        env: &'env Env,
        client: String,
        reason: String,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let reason = sfu::CloseReason::Application(reason);
        let pending = client_id(&client).map(|id| self.0.server.close_client(id, reason));
        settle(env, pending, drop)
    }

    /// All metrics as Prometheus text.
    #[napi(catch_unwind)]
    pub fn metrics<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        settle(env, Ok(self.0.server.metrics()), |text| text)
    }

    /// Closes every room, then the sockets; resolves when the threads have ended.
    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        settle(env, Ok(self.0.server.close()), drop)
    }

    /// Lets go of the listener once nothing more is to come.
    #[napi(catch_unwind)]
    pub fn end_events(&self) -> Result<(), Fault> {
        guard(|| {
            self.0.sink.end();
            Ok(())
        })
    }
}

impl NativeServer {
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.0
    }
}

/// Turns a job into a promise whose rejection carries code and cause.
pub(crate) fn settle<T, V>(
    env: &Env,
    job: Result<impl Future<Output = Result<T, ServerError>> + Send + 'static, Fault>,
    convert: impl FnOnce(T) -> V + 'static,
) -> napi::Result<PromiseRaw<'_, V>>
where
    T: Send + 'static,
    V: ToNapiValue,
{
    let outcome = async move {
        match job {
            Ok(job) => job.await.map_err(|e| fault(&e)),
            Err(refused) => Err(refused),
        }
    };
    env.spawn_future_with_callback(async move { Ok(outcome.await) }, move |env, outcome| {
        outcome
            .and_then(|value| guard(|| Ok(convert(value))))
            .map_err(|e| into_js(env, e))
    })
}

fn client_id(text: &str) -> Result<ClientId, Fault> {
    text.parse().map_err(|e| foreign_id(&e))
}

fn both(client: &str, track: &str) -> Result<(ClientId, TrackId), Fault> {
    let track = track.parse().map_err(|e| foreign_id(&e))?;
    Ok((client_id(client)?, track))
}
