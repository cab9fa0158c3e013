//! What callers may ask of recordings.

use std::sync::Arc;
use std::time::Duration;

use sluice_media::StreamKey;
use sluice_net::mailbox::{Mailbox, SendError};
use sluice_net::thread;
use tokio::sync::oneshot;

use crate::error::ServerError;
use crate::live::{RecordWish, RecordingId};
use crate::pending::Pending;
use crate::record::{self, Finishing, Keep, RecordedFile, Storage, Told};
use crate::server::Server;
use crate::shard::Message;

/// How a stream is recorded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecordOptions {
    /// A file ends with the first segment that lasts beyond. 1 s to 24 h; default 1 h.
    pub segment: Duration,
    /// What stays of the stream's recordings in that storage. Default all.
    pub keep: Keep,
    /// Finished files have their index in front, so that players start without reading to the end. It costs a copy of
    /// each file. Default no. A storage that only appends has it always.
    pub faststart: bool,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            segment: Duration::from_secs(3600),
            keep: Keep::default(),
            faststart: false,
        }
    }
}

/// Of recordings: see `stream::RecordingEvent` for what becomes of them.
impl Server {
    /// Records a stream from its newest keyframe on, until it ends or the recording is stopped.
    ///
    /// What a crash has left of this stream in the storage is finished first. Storage that is slow, full or gone never
    /// reaches the stream: it is told by events.
    pub fn record(
        &self,
        key: StreamKey,
        storage: Arc<dyn Storage>,
        options: &RecordOptions,
    ) -> Pending<RecordingId> {
        let segment = options.segment;
        if segment < MIN_SEGMENT || segment > MAX_SEGMENT {
            let why = "a recording's files last 1 s to 24 h".to_owned();
            return Pending::refused(ServerError::InvalidOption(why));
        }
        let shard = self.home(&key);
        let id = RecordingId::new(self.next_recording(), shard);
        let Some(mailbox) = self.mailbox(shard) else {
            return Pending::refused(ServerError::Closed);
        };
        let place = storage.place();
        let listener = Box::new(move |told| post(&mailbox, id, told));
        let tape = match self.writer().tape(storage, &key, options.into(), listener) {
            Ok(tape) => tape,
            Err(error) => return Pending::refused(error),
        };
        self.answered(shard, move |live, rooms, now, reply| {
            let wish = RecordWish {
                id,
                place,
                segment,
                tape,
                reply,
            };
            live.record(now, rooms, key, wish);
        })
    }

    /// Ends a recording and resolves to its files when they are finished; `None` when it has ended before.
    pub fn stop_recording(&self, recording: RecordingId) -> Pending<Option<Vec<RecordedFile>>> {
        self.answered(recording.shard(), move |live, _, now, reply| {
            live.stop_recording(now, recording, reply);
        })
    }

    /// The finished recordings of a storage, by stream and time; of one application or one stream (with its `~layer`)
    /// where they are named. What a crash has left behind is finished first.
    pub fn recordings(
        storage: Arc<dyn Storage>,
        app: Option<String>,
        stream: Option<String>,
    ) -> Pending<Vec<RecordedFile>> {
        let (sender, receiver) = oneshot::channel();
        // A thread of its own: neither shards nor recordings wait for a folder that is slow.
        let started = thread::spawn("sluice-listing", move || {
            let listed = record::list(&storage, app.as_deref(), stream.as_deref());
            // Who no longer waits needs no list.
            let _ = sender.send(listed.map_err(ServerError::Record));
        });
        match started {
            Ok(_) => Pending::posted(receiver),
            Err(error) => Pending::refused(ServerError::Internal(error.to_string())),
        }
    }
}

impl From<&RecordOptions> for Finishing {
    fn from(options: &RecordOptions) -> Self {
        Self {
            keep: options.keep,
            front: options.faststart,
        }
    }
}

/// Tells the shard; from the writer's thread, which can wait.
fn post(mailbox: &Mailbox<Message>, id: RecordingId, told: Told) {
    let mut message = Message::Live(Box::new(move |live, _, now| {
        live.recording_told(now, id, told);
    }));
    while let Err(SendError::Full(back)) = mailbox.try_send(message) {
        message = back;
        std::thread::sleep(NAP);
    }
}

const MIN_SEGMENT: Duration = Duration::from_secs(1);
const MAX_SEGMENT: Duration = Duration::from_secs(24 * 3600);
const NAP: Duration = Duration::from_millis(1);
