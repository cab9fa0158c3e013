//! Recordings over HTTP.

use napi::Env;
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi_derive::napi;
use sluice_server::Server;
use sluice_server::stream::{Content, Playback};

use crate::live::LiveRequest;
use crate::live_storage::NativeStorage;
use crate::server::{NativeServer, settle};

/// Whether a path behind the prefix is one of recordings.
#[napi(catch_unwind)]
pub fn is_playback_path(path: String) -> bool {
    Server::is_playback_path(&path)
}

#[napi]
impl NativeServer {
    /// Answers a request for recordings; null when the path is none of these.
    #[napi(catch_unwind)]
    pub fn live_playback<'env>(
        &self,
        env: &'env Env,
        storage: &NativeStorage,
        request: LiveRequest,
    ) -> napi::Result<PromiseRaw<'env, Option<NativePlayback>>> {
        let server = &self.running().server;
        let pending = server.playback(storage.place(), request.into());
        let answered = async move {
            match pending {
                Some(pending) => pending.await.map(Some),
                None => Ok(None),
            }
        };
        settle(env, Ok(answered), |playback| {
            playback.map(NativePlayback::from)
        })
    }
}

/// An answer about recordings.
#[napi]
pub struct NativePlayback {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    content: Option<Content>,
}

impl From<Playback> for NativePlayback {
    fn from(playback: Playback) -> Self {
        let Playback { response, content } = playback;
        Self {
            status: response.status,
            headers: response.headers,
            body: response.body.to_vec(),
            content,
        }
    }
}

#[napi]
impl NativePlayback {
    /// The status code.
    #[napi(getter, catch_unwind)]
    pub fn status(&self) -> u32 {
        u32::from(self.status)
    }

    /// Names and values.
    #[napi(getter, catch_unwind)]
    pub fn headers(&self) -> Vec<(String, String)> {
        self.headers.clone()
    }

    /// A small content.
    #[napi(getter, catch_unwind)]
    pub fn body(&self) -> Buffer {
        self.body.clone().into()
    }

    /// The content is what `read` gives.
    #[napi(getter, catch_unwind)]
    pub fn streams(&self) -> bool {
        self.content.is_some()
    }

    /// The next bytes; null at the end. One call at a time.
    #[napi(catch_unwind)]
    pub fn read<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Option<Buffer>>> {
        let pending = self.content.as_ref().map(Content::read);
        let read = async move {
            match pending {
                Some(pending) => pending.await,
                None => Ok(None),
            }
        };
        settle(env, Ok(read), |bytes| {
            bytes.map(|bytes| bytes.to_vec().into())
        })
    }

    /// The client has hung up.
    #[napi(catch_unwind)]
    pub fn end(&mut self) {
        self.content = None;
    }
}
