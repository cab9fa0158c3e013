//! Recordings of live streams.

use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;
use sluice_server::Server;
use sluice_server::stream::{self, RecordingId};

use crate::errors::bad_key;
use crate::live_storage::NativeStorage;
use crate::server::{NativeServer, settle};
use crate::tracks::number;

/// How a stream is recorded. Numbers are whole and not negative: the facade checks them.
#[napi(object, object_to_js = false)]
pub struct RecordOptions {
    /// How long a file becomes.
    pub segment_ms: Option<f64>,
    /// How old files may become.
    pub keep_ms: Option<f64>,
    /// How much they may be together.
    pub keep_bytes: Option<f64>,
    /// Their index stands in front.
    pub faststart: Option<bool>,
}

/// A finished file.
#[napi(object, object_from_js = false)]
pub struct RecordedFile {
    /// Its path in the directory.
    pub name: String,
    /// When its first frame came.
    pub started_at_ms: f64,
    /// When its last frame ended.
    pub ended_at_ms: f64,
    /// How long it plays.
    pub duration_ms: f64,
    /// Its length.
    pub bytes: f64,
    /// How it is coded.
    pub codecs: String,
}

impl From<stream::RecordedFile> for RecordedFile {
    fn from(file: stream::RecordedFile) -> Self {
        let date = |ms: i64| number(u64::try_from(ms).unwrap_or_default());
        Self {
            name: file.name,
            started_at_ms: date(file.start_ms),
            ended_at_ms: date(file.end_ms),
            duration_ms: number(file.duration_ms),
            bytes: number(file.bytes),
            codecs: file.codecs,
        }
    }
}

#[napi]
impl NativeServer {
    /// Records a stream; resolves to the recording's number.
    #[napi(catch_unwind)]
    pub fn live_record<'env>(
        &self,
        env: &'env Env,
        key: String,
        storage: &NativeStorage,
        options: RecordOptions,
    ) -> napi::Result<PromiseRaw<'env, f64>> {
        let pending = key.parse().map_err(|e| bad_key(&e)).map(|key| {
            let server = &self.running().server;
            server.record(key, storage.place(), &record_options(&options))
        });
        settle(env, pending, |id: RecordingId| number(id.raw()))
    }

    /// Ends a recording; resolves to its files, or to null when it has ended before.
    #[napi(catch_unwind)]
    pub fn live_stop_recording<'env>(
        &self,
        env: &'env Env,
        recording: f64,
    ) -> napi::Result<PromiseRaw<'env, Option<Vec<RecordedFile>>>> {
        let id = RecordingId::from_raw(whole(recording));
        let pending = self.running().server.stop_recording(id);
        settle(env, Ok(pending), |files| files.map(listed))
    }
}

/// The finished files of a storage.
#[napi(catch_unwind)]
pub fn live_recordings<'env>(
    env: &'env Env,
    storage: &NativeStorage,
    app: Option<String>,
    stream: Option<String>,
) -> napi::Result<PromiseRaw<'env, Vec<RecordedFile>>> {
    let pending = Server::recordings(storage.place(), app, stream);
    settle(env, Ok(pending), listed)
}

fn listed(files: Vec<stream::RecordedFile>) -> Vec<RecordedFile> {
    files.into_iter().map(RecordedFile::from).collect()
}

fn record_options(given: &RecordOptions) -> stream::RecordOptions {
    let mut options = stream::RecordOptions::default();
    if let Some(segment) = given.segment_ms {
        options.segment = Duration::from_millis(whole(segment));
    }
    options.keep.age = given.keep_ms.map(whole).map(Duration::from_millis);
    options.keep.bytes = given.keep_bytes.map(whole);
    options.faststart = given.faststart.unwrap_or_default();
    options
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the facade has checked it; what it has not saturates"
)]
fn whole(given: f64) -> u64 {
    given as u64
}
