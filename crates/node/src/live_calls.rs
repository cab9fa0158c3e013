//! Foreign servers that streams are pushed to and pulled from.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use sluice_server::room;
use sluice_server::stream::{
    CallDescription, CallId, CallNews, CallOffer, CallWish, FinishReason, Identity,
};

use crate::enums::CloseReason;
use crate::live::{LiveFinish, stream_key};
use crate::server::{NativeServer, settle};
use crate::teardown::Running;

/// What becomes of a call.
#[napi(object, object_from_js = false)]
pub struct LiveCallNews {
    /// Absent: it is connected. Present: it is over.
    pub ended: Option<CloseReason>,
    /// The reason in words, where there are some.
    pub message: Option<String>,
}

#[napi]
impl NativeServer {
    /// Begins to push a stream to a foreign server, or, with an identity, to pull one and publish it in its name.
    #[napi(catch_unwind)]
    pub fn live_call<'env>(
        &self,
        env: &'env Env,
        key: String,
        pull_as: Option<String>,
    ) -> napi::Result<PromiseRaw<'env, NativeCall>> {
        let running = Arc::clone(self.running());
        let pending = stream_key(&key).map(|key| {
            self.running().server.call(match pull_as {
                None => CallWish::Push(key),
                Some(name) => CallWish::Pull(key, Identity::new(&name)),
            })
        });
        settle(env, pending, move |CallOffer { id, sdp }| NativeCall {
            running,
            id,
            sdp,
        })
    }
}

/// A foreign server that is called.
#[napi]
pub struct NativeCall {
    running: Arc<Running>,
    id: CallId,
    sdp: String,
}

#[napi]
impl NativeCall {
    /// What it is offered.
    #[napi(getter, catch_unwind)]
    pub fn offer(&self) -> String {
        self.sdp.clone()
    }

    /// Takes its answer.
    #[napi(catch_unwind)]
    pub fn answer<'env>(&self, env: &'env Env, sdp: String) -> napi::Result<PromiseRaw<'env, ()>> {
        let answer = CallDescription::Answer(sdp);
        let pending = self.running.server.answer_call(self.id, answer);
        settle(env, Ok(pending), drop)
    }

    /// Takes the offer it makes in place of an answer; resolves to ours.
    #[napi(catch_unwind)]
    pub fn counter_offer<'env>(
        &self,
        env: &'env Env,
        sdp: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let offer = CallDescription::CounterOffer(sdp);
        let pending = self.running.server.answer_call(self.id, offer);
        settle(env, Ok(pending), Option::unwrap_or_default)
    }

    /// What becomes of it next, when there is something. One call at a time.
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, LiveCallNews>> {
        settle(env, Ok(self.running.server.watch_call(self.id)), |news| {
            let ended = match news {
                CallNews::Connected => None,
                CallNews::Ended(reason) => Some(reason),
            };
            let message = ended.as_ref().and_then(words);
            LiveCallNews {
                ended: ended.map(CloseReason::from),
                message,
            }
        })
    }

    /// Ends it. A stream that is pulled ends with `completed`, and waits for the next call otherwise.
    #[napi(catch_unwind)]
    pub fn end<'env>(
        &self,
        env: &'env Env,
        reason: LiveFinish,
    ) -> napi::Result<PromiseRaw<'env, ()>> {
        let reason = match reason {
            LiveFinish::Completed => FinishReason::Completed,
            LiveFinish::Disconnected => FinishReason::Disconnected,
        };
        settle(env, Ok(self.running.server.end_call(self.id, reason)), drop)
    }
}

impl Drop for NativeCall {
    /// One that was forgotten is over.
    fn drop(&mut self) {
        let reason = FinishReason::Disconnected;
        drop(self.running.server.end_call(self.id, reason));
    }
}

fn words(reason: &room::CloseReason) -> Option<String> {
    match reason {
        room::CloseReason::Application(why)
        | room::CloseReason::Sdp(why)
        | room::CloseReason::Internal(why) => Some(why.clone()),
        _ => None,
    }
}
