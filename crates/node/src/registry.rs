//! The handle of a room.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use sluice_server::RegistryId;

use crate::errors::Fault;
use crate::guard::guard;
use crate::options::ClientOptions;
use crate::server::settle;
use crate::stats::ClientStats;
use crate::teardown::Running;
use crate::tracks::number;

/// An open room.
#[napi]
pub struct NativeRegistry {
    running: Arc<Running>,
    id: RegistryId,
}

#[napi]
impl NativeRegistry {
    pub(crate) fn new(running: Arc<Running>, id: RegistryId) -> Self {
        Self { running, id }
    }

    /// The number its events carry.
    #[napi(getter, catch_unwind)]
    pub fn id(&self) -> Result<f64, Fault> {
        guard(|| Ok(number(self.id.raw())))
    }

    /// Adds a client and resolves to its id.
    #[napi(catch_unwind)]
    pub fn insert<'env>(
        &self,
        env: &'env Env,
        options: ClientOptions,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let pending = options
            .try_into()
            .map(|options| self.running.server.insert(self.id, options));
        settle(env, pending, |client| client.to_string())
    }

    /// Measures every client, in order of insertion.
    #[napi(catch_unwind)]
    pub fn stats<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Vec<ClientStats>>> {
        let pending = self.running.server.registry_stats(self.id);
        settle(env, Ok(pending), |all| {
            all.into_iter().map(ClientStats::from).collect()
        })
    }

    /// Closes the room and its clients.
    #[napi(catch_unwind)]
    pub fn close<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        settle(env, Ok(self.running.server.close_registry(self.id)), drop)
    }
}

impl NativeRegistry {
    pub(crate) fn running(&self) -> &Arc<Running> {
        &self.running
    }

    pub(crate) fn room(&self) -> RegistryId {
        self.id
    }
}
