//! The live streams of one shard: who publishes and reads them, and their way into rooms and out of them.
//!
//! The kernel itself is `sluice-live`, the rules of WHIP and WHEP are `sluice-proto`'s, playlists `sluice-mux`'s. Here they meet
//! the shard's rooms: a WHIP publisher and a WHEP viewer are clients of the stream's own room, its hall.

mod access;
mod bridge;
mod call;
mod event_bodies;
mod feed;
mod gather;
mod hall;
mod hls;
mod http;
mod ingest;
mod ladder;
mod lead;
mod offer;
mod packager;
mod playback;
mod publisher;
mod record;
mod renditions;
mod room_writer;
mod script;
mod source;
mod tokens;
mod values;
mod wish;

pub use access::Access;
pub(crate) use access::socket_address;
pub use bridge::{BridgeEnd, BridgeEvent, BridgeEventKind, BridgeId, Pick, Picks};
pub(crate) use bridge::{CastWish, ShowWish};
pub use call::{CallDescription, CallId, CallNews, CallOffer, CallWish};
pub use event_bodies::EventsId;
pub use feed::ByteFormat;
pub(crate) use hls::bearer;
pub use http::{LiveRequest, LiveResponse};
pub(crate) use record::RecordWish;
pub use record::RecordingId;
pub use script::{LiveBatch, LiveItem, PublishWish, PublisherId, ReaderId, TrackCoding};
pub use tokens::TokenSecret;
pub(crate) use values::LiveCounters;
pub use values::{
    AuthorizeRequest, LiveEvent, RecordingEvent, RecordingEventKind, StreamInfo, TrackInfo,
};

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use sluice_live::{
    AdmissionId, AppSpec, Engine, EngineOptions, FinishReason, Output, SessionId, StreamError,
    SubscriptionId,
};
use sluice_media::StreamKey;
use sluice_net::mailbox::Mailbox;
use sluice_sfu::LocalCandidate;

use crate::rooms::Rooms;
use crate::server::RegistryId;
use crate::shard::{LiveJob, Message};

use access::Waiting;
use bridge::Bridges;
use call::Calls;
use hall::{Hall, Turn};
use hls::Grant;
use packager::Packager;
use publisher::Publisher;
use record::Recorder;
use script::Scripts;
use wish::Wish;

/// Everything live of one shard, beside its rooms.
pub(crate) struct Live {
    shard: u16,
    engine: Engine,
    access: Access,
    /// Where clients of halls are told to send to.
    candidates: Vec<LocalCandidate>,
    /// Requests before the authorizer, and what follows when it consents.
    waiting: HashMap<AdmissionId, Waiting>,
    /// Those among them that the listener was asked about, by what it calls them.
    numbered: HashMap<u64, AdmissionId>,
    next_number: u64,
    /// Admissions that the application itself stands for.
    own: Vec<AdmissionId>,
    halls: HashMap<StreamKey, Hall>,
    hall_keys: HashMap<RegistryId, Arc<StreamKey>>,
    next_hall: u64,
    /// The turns of publishers that are clients of halls.
    turns: HashMap<SessionId, Turn>,
    /// Where the times of layers count from: one place for all publishers, so that renditions of a stream stay
    /// aligned over their comings and goings.
    origin: Option<Instant>,
    packagers: HashMap<StreamKey, Packager>,
    packagers_due: Option<Instant>,
    /// The packagers that are open, by the base of their stream.
    renditions: HashMap<StreamKey, Vec<StreamKey>>,
    recorders: HashMap<RecordingId, Recorder>,
    recorders_due: Option<Instant>,
    /// Players that were let in, and until when that holds.
    grants: HashMap<Grant, Instant>,
    readers: HashMap<SubscriptionId, Consumer>,
    scripts: Scripts,
    calls: Calls,
    wish: Wish,
    bridges: Bridges,
    /// For whoever listens; the shard takes them.
    pub(crate) events: Vec<LiveEvent>,
}

/// Who reads a subscription.
#[derive(Debug)]
enum Consumer {
    /// The application, batch by batch.
    Script(ReaderId),
    /// The stream's hall, where viewers get it as RTP.
    Hall(StreamKey),
    /// The stream's packager, which makes HLS of it.
    Packager(StreamKey),
    /// A recorder.
    Recorder(RecordingId),
    /// A room that the stream is shown in.
    Show(BridgeId),
}

impl Live {
    pub(crate) fn new(
        shard: u16,
        candidates: Vec<LocalCandidate>,
        mailboxes: Vec<Mailbox<Message>>,
    ) -> Self {
        let mut engine = Engine::new(EngineOptions::default());
        // The one application that is there without a word; a refusal would be a mistake of ours.
        let registered = engine.register(AppSpec::new(DEFAULT_APP));
        debug_assert!(registered.is_ok());
        Self {
            shard,
            engine,
            access: Access::default(),
            candidates,
            waiting: HashMap::new(),
            numbered: HashMap::new(),
            next_number: 0,
            own: Vec::new(),
            halls: HashMap::new(),
            hall_keys: HashMap::new(),
            next_hall: 1,
            turns: HashMap::new(),
            origin: None,
            packagers: HashMap::new(),
            packagers_due: None,
            renditions: HashMap::new(),
            recorders: HashMap::new(),
            recorders_due: None,
            grants: HashMap::new(),
            readers: HashMap::new(),
            scripts: Scripts::default(),
            calls: Calls::default(),
            wish: Wish::default(),
            bridges: Bridges::new(mailboxes),
            events: Vec::new(),
        }
    }

    /// When [`Self::turn`] must run if nothing else happens.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let halls = self.halls.values().filter_map(Hall::next_deadline);
        [
            self.engine.deadline(),
            self.wish.next_deadline(),
            self.packagers_due,
            self.recorders_due,
            self.bridges.next_deadline(),
            self.calls.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .chain(halls)
        .min()
    }

    /// Does what the shard's turn has brought: packets from halls become frames, frames reach their readers, requests
    /// their answers. Runs before the shard sends.
    pub(crate) fn turn(&mut self, now: Instant, rooms: &mut Rooms) {
        self.take_tapped(now, rooms);
        self.take_hall_events(now, rooms);
        self.take_bridge_events(now, rooms);
        self.sources_ask(now, rooms);
        if self.engine.deadline().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        self.halls_on_time(now, rooms);
        self.packagers_on_time(now, rooms);
        self.recorders_on_time(now, rooms);
        self.wish_on_time(now, rooms);
        self.bridges_on_time(now, rooms);
        self.calls_on_time(now, rooms);
        // What one output causes may cause others; the bound is against a loop of our own making.
        for _ in 0..MAX_OUTPUTS {
            match self.engine.poll_output() {
                Some(output) => self.on_output(now, rooms, output),
                None if self.cross(now, rooms) || self.open_sources(now, rooms) => {}
                None => break,
            }
        }
        self.tell_viewers();
        self.take_wish_outputs(now, rooms);
    }

    fn on_output(&mut self, now: Instant, rooms: &mut Rooms, output: Output) {
        match output {
            Output::Authorize {
                admission,
                action,
                request,
            } => self.authorize(now, admission, action, *request),
            Output::Admitted { admission, grant } => self.admitted(now, rooms, admission, grant),
            Output::Refused { admission, error } => self.refused(now, rooms, admission, error),
            Output::SessionEnded { session, reason } => {
                self.session_ended(now, rooms, session);
                self.cast_ended(session, reason);
            }
            Output::RequestKeyframe(session) => self.request_keyframe(now, rooms, session),
            Output::Event(event) => {
                self.on_stream_event(now, rooms, &event);
                self.events.push(LiveEvent::Stream(event));
            }
            Output::Ready(subscription) => match self.readers.get(&subscription) {
                Some(Consumer::Script(reader)) => {
                    let reader = *reader;
                    self.answer_reader(now, reader);
                }
                Some(Consumer::Hall(key)) => {
                    let key = key.clone();
                    if guarded(|| self.feed_hall(now, rooms, &key, subscription)).is_none() {
                        self.close_hall_source(now, rooms, &key, "its frames cannot be sent");
                    }
                }
                Some(Consumer::Packager(key)) => {
                    let key = key.clone();
                    if guarded(|| self.feed_packager(now, &key, subscription)).is_none() {
                        self.close_packager(now, &key);
                    }
                }
                Some(Consumer::Recorder(id)) => {
                    let id = *id;
                    guarded(|| self.feed_recorder(now, id, subscription));
                }
                Some(Consumer::Show(id)) => {
                    let id = *id;
                    self.feed_show(now, id, subscription);
                }
                None => {}
            },
            // New outputs of the engine are told by its compiler; what is not known is not for us.
            _ => {}
        }
    }

    /// Registers an application on this shard.
    pub(crate) fn register(&mut self, spec: AppSpec) -> Result<(), StreamError> {
        self.engine.register(spec)
    }

    /// Refuses new sessions of WHIP and WHEP, or no longer.
    pub(crate) const fn set_draining(&mut self, draining: bool) {
        self.wish.endpoint.set_draining(draining);
    }

    /// What there is of everything.
    pub(crate) fn counters(&self) -> LiveCounters {
        let viewers = self.halls.values().map(|hall| hall.viewers.len());
        LiveCounters {
            streams: self.engine.streams().count() as u64,
            publishers: self.engine.publishers() as u64,
            subscribers: self.engine.subscribers() as u64,
            viewers: viewers.sum::<usize>() as u64,
            calls: self.calls.len() as u64,
            playlists: self.packagers.len() as u64,
            waiting: self.waiting_requests() as u64,
            sessions: self.wish.sessions() as u64,
            ring_bytes: self.engine.ring_bytes() as u64,
            events_dropped: self.engine.dropped_events(),
        }
    }

    /// All streams of this shard.
    pub(crate) fn streams(&self, now: Instant) -> Vec<StreamInfo> {
        let streams = self.engine.streams();
        streams
            .map(|view| {
                let hall = self.halls.get(view.key().as_ref());
                let publisher = hall.and_then(|hall| hall.publisher.as_ref());
                let carries = publisher.and_then(Publisher::carries);
                StreamInfo::of(now, &self.engine, view, carries)
            })
            .collect()
    }

    /// Ends a stream, its publisher's turn and its readers.
    pub(crate) fn end_stream(&mut self, now: Instant, key: &StreamKey) -> Result<(), StreamError> {
        self.engine.end_stream(now, key)
    }

    /// Runs a caller's job; one that panics is not answered.
    pub(crate) fn run(&mut self, now: Instant, rooms: &mut Rooms, job: LiveJob) {
        guarded(|| job(self, rooms, now));
    }

    /// Ends all streams, as the server is closing. [`Self::turn`] then tells everybody who reads or listens.
    pub(crate) fn close(&mut self, now: Instant) {
        let keys: Vec<StreamKey> = self
            .engine
            .streams()
            .map(|view| view.key().as_ref().clone())
            .collect();
        for key in keys {
            // There it was just now.
            let _ = self.engine.end_stream(now, &key);
        }
    }

    /// Ends a publisher's turn, whoever it is.
    fn finish(&mut self, now: Instant, session: SessionId, reason: FinishReason) {
        // One that is over already has been told of.
        let _ = self.engine.finish(now, session, reason);
    }
}

/// Runs what reads the bytes of strangers: a panic of ours costs the stream concerned, not the shard.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(call));
    if outcome.is_err() {
        tracing::error!("a live stream panicked");
    }
    outcome.ok()
}

/// What every server has; the application adds others.
const DEFAULT_APP: &str = "live";
/// Far more than a turn causes; what is left is for the next one.
const MAX_OUTPUTS: usize = 65_536;
