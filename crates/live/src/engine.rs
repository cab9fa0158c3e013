//! All streams whose home is one shard. See the crate's documentation for the contract.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use sluice_media::StreamKey;

use crate::admission::Admission;
use crate::error::{SpecError, StreamError};
use crate::event::{EndReason, FinishReason, SourceState, StreamEventKind};
use crate::id::{AdmissionId, SessionId, StreamId};
use crate::options::{AppSpec, EngineOptions};
use crate::output::{Output, Outputs};
use crate::slab::Slab;
use crate::stream::{Phase, Rejections, Session, Stream, TELL_EVERY};
use crate::timer::{Timer, Timers};
use crate::view::{Activity, StreamView};
use crate::visit::Readers;

/// The streams of one shard, their publishers and their readers.
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: EngineOptions,
    pub(crate) apps: Vec<App>,
    pub(crate) app_names: HashMap<Box<str>, usize>,
    pub(crate) keys: HashMap<Arc<StreamKey>, u32>,
    /// The live layers of each base, by name.
    pub(crate) layers: HashMap<StreamKey, BTreeMap<Box<str>, u32>>,
    pub(crate) streams: Slab<Box<Stream>>,
    pub(crate) readers: Readers,
    pub(crate) admissions: HashMap<AdmissionId, Admission>,
    pub(crate) admissions_by_address: HashMap<IpAddr, usize>,
    pub(crate) next_admission: u64,
    pub(crate) timers: Timers,
    pub(crate) outputs: Outputs,
    /// Streams with readers to tell, each listed once.
    pub(crate) telling: VecDeque<u32>,
    pub(crate) publishers: usize,
    pub(crate) ring_bytes: usize,
}

/// An application and what it holds.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) spec: AppSpec,
    pub(crate) streams: usize,
    pub(crate) viewers: usize,
}

impl Engine {
    /// An engine without applications: everything is refused until one is registered.
    pub fn new(options: EngineOptions) -> Self {
        Self {
            outputs: Outputs::new(options.max_telemetry),
            options,
            apps: Vec::new(),
            app_names: HashMap::new(),
            keys: HashMap::new(),
            layers: HashMap::new(),
            streams: Slab::new(),
            readers: Readers::default(),
            admissions: HashMap::new(),
            admissions_by_address: HashMap::new(),
            next_admission: 0,
            timers: Timers::default(),
            telling: VecDeque::new(),
            publishers: 0,
            ring_bytes: 0,
        }
    }

    /// Opens a namespace of streams, for as long as the engine lives.
    ///
    /// # Errors
    /// When the name is taken, or a setting cannot work.
    pub fn register(&mut self, spec: AppSpec) -> Result<(), StreamError> {
        let limits = &spec.limits;
        let holds_two = |budget: usize, frame: usize| budget / 2 >= frame;
        let error = if StreamKey::new(&spec.name, "stream").is_err() {
            Some(SpecError::Name)
        } else if !holds_two(spec.ring.max_bytes, limits.max_video_frame)
            || !holds_two(spec.max_audio_bytes, limits.max_audio_frame)
        {
            Some(SpecError::RingSmallerThanFrames)
        } else if limits.max_tracks == 0 || limits.max_tracks > 64 {
            Some(SpecError::TrackCount)
        } else {
            None
        };
        if let Some(error) = error {
            return Err(StreamError::InvalidSpec(error));
        }
        if self.app_names.contains_key(&spec.name) {
            return Err(StreamError::AppAlreadyRegistered);
        }
        self.app_names.insert(spec.name.clone(), self.apps.len());
        self.apps.push(App {
            spec,
            streams: 0,
            viewers: 0,
        });
        Ok(())
    }

    /// The applications, in the order they were registered.
    pub fn applications(&self) -> impl Iterator<Item = &AppSpec> {
        self.apps.iter().map(|app| &app.spec)
    }

    /// The live stream of a key.
    pub fn stream(&self, key: &StreamKey) -> Option<StreamView<'_>> {
        let stream = self.streams.at(*self.keys.get(key)?)?;
        Some(StreamView { stream })
    }

    /// A stream by its name in the engine: also one that has ended, while it has readers.
    pub fn stream_by_id(&self, id: StreamId) -> Option<StreamView<'_>> {
        let stream = self.streams.named(id.index, id.generation)?;
        Some(StreamView { stream })
    }

    /// All live streams.
    pub fn streams(&self) -> impl Iterator<Item = StreamView<'_>> {
        self.streams
            .iter()
            .filter(|stream| !stream.is_ended())
            .map(|stream| StreamView { stream })
    }

    /// Publishers now.
    pub const fn publishers(&self) -> usize {
        self.publishers
    }

    /// Readers now.
    pub const fn subscribers(&self) -> usize {
        self.readers.len()
    }

    /// Bytes that all rings together keep.
    pub const fn ring_bytes(&self) -> usize {
        self.ring_bytes
    }

    /// Telemetry events dropped because nobody polled.
    pub const fn dropped_events(&self) -> u64 {
        self.outputs.dropped()
    }

    /// What is to be done or known next. After each call into the engine, poll until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop();
        output.or_else(|| self.poll_ready().map(Output::Ready))
    }

    /// When to call `handle_timeout` if nothing else is called before.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, timer)) = self.timers.pop_due(now) {
            match timer {
                Timer::Admission(id) => self.admission_due(at, id),
                Timer::Stream(id) => self.stream_due(now, at, id),
            }
        }
    }

    /// Tells of a recorder or transcoder that begins or ends. Each beginning has its end; those that are left when the
    /// stream is gone end with it.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn set_activity(
        &mut self,
        stream: StreamId,
        activity: Activity,
        begins: bool,
    ) -> Result<(), StreamError> {
        let stream = self.streams.named_mut(stream.index, stream.generation);
        let stream = stream.ok_or(StreamError::StreamNotFound)?;
        let (count, started, ended) = match activity {
            Activity::Recording => (
                &mut stream.recorders,
                StreamEventKind::RecordingStarted,
                StreamEventKind::RecordingEnded,
            ),
            Activity::Transcoding => (
                &mut stream.transcoders,
                StreamEventKind::TranscodeStarted,
                StreamEventKind::TranscodeEnded,
            ),
        };
        let before = *count;
        *count = if begins {
            before.saturating_add(1)
        } else {
            before.saturating_sub(1)
        };
        match (before, *count) {
            (0, 1) => self.outputs.event(&stream.key, started),
            (1, 0) => self.outputs.event(&stream.key, ended),
            _ => {}
        }
        Ok(())
    }

    /// Ends a stream: its publisher's session, and its readers once they have read what is left.
    ///
    /// # Errors
    /// When no live stream has this key.
    pub fn end_stream(&mut self, now: Instant, key: &StreamKey) -> Result<(), StreamError> {
        let index = *self.keys.get(key).ok_or(StreamError::StreamNotFound)?;
        let has_session = self
            .streams
            .at(index)
            .is_some_and(|stream| stream.session.is_some());
        if has_session {
            self.end_session(now, index, FinishReason::Closed, true);
        } else {
            self.conclude(index, EndReason::Closed);
        }
        Ok(())
    }

    /// Gives a publisher the key of a stream that has none.
    pub(crate) fn begin_session(
        &mut self,
        now: Instant,
        index: u32,
        session: Session,
    ) -> Option<SessionId> {
        let stream = self.streams.at_mut(index)?;
        let kind = |id| StreamEventKind::PublishStarted {
            session: id,
            protocol: session.protocol.clone(),
            address: session.address,
            identity: session.identity.clone(),
        };
        let id = SessionId {
            stream: stream.id,
            epoch: stream.epoch + 1,
        };
        let started = kind(id);
        stream.begin_session(now, session);
        self.publishers += 1;
        self.outputs.event(&stream.key, started);
        self.schedule(index);
        Some(id)
    }

    /// Takes the key from a publisher, and its layers with it. The key goes to the one that waits longest for it; else
    /// the stream ends or waits, as `reason` says. After `Replaced` the caller gives it to somebody.
    pub(crate) fn end_session(
        &mut self,
        now: Instant,
        index: u32,
        reason: FinishReason,
        tell_owner: bool,
    ) {
        let layers = self.layers_of_turn(index);
        if !self.take_session(index, reason, tell_owner) {
            return;
        }
        for layer in &layers {
            self.take_session(*layer, reason, false);
        }
        let passes_on = match reason {
            FinishReason::Replaced => true,
            FinishReason::Closed => false,
            _ => self.admit_next(now, index),
        };
        if !passes_on {
            self.go_without(now, index, reason);
        }
        for layer in layers {
            self.await_publisher(now, layer);
        }
    }

    /// Ends a publisher's turn and leaves the stream as it is; false when there was none.
    pub(crate) fn take_session(
        &mut self,
        index: u32,
        reason: FinishReason,
        tell_owner: bool,
    ) -> bool {
        let Some(stream) = self.streams.at_mut(index) else {
            return false;
        };
        let (Some(id), Some(session)) = (stream.session_id(), stream.session.take()) else {
            return false;
        };
        stream.keyframes.settle();
        self.publishers -= 1;
        self.outputs.event(
            &stream.key,
            StreamEventKind::PublishEnded {
                session: id,
                reason,
                frames: session.frames,
                bytes: session.bytes,
            },
        );
        if tell_owner {
            self.outputs.push(Output::SessionEnded {
                session: id,
                reason,
            });
        }
        true
    }

    /// Nobody takes the key of a publisher that ended so: the stream is over, or waits.
    fn go_without(&mut self, now: Instant, index: u32, reason: FinishReason) {
        let Some(stream) = self.streams.at(index) else {
            return;
        };
        // Who was turned away at the door leaves nothing behind.
        let never_came = reason == FinishReason::Malformed && stream.phase == Phase::Idle;
        match reason.ends() {
            Some(reason) => self.conclude(index, reason),
            None if never_came => self.conclude(index, EndReason::PublisherLost),
            None => self.await_publisher(now, index),
        }
    }

    /// Keeps a stream without publisher for the resume window.
    pub(crate) fn await_publisher(&mut self, now: Instant, index: u32) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        if stream.is_ended() || stream.session.is_some() {
            return;
        }
        let window = self
            .apps
            .get(stream.app)
            .map(|app| app.spec.resume_window)
            .unwrap_or_default();
        if window.is_zero() {
            self.conclude(index, EndReason::PublisherLost);
            return;
        }
        stream.phase = Phase::Resuming {
            until: now + window,
        };
        self.outputs.event(
            &stream.key,
            StreamEventKind::SourceState {
                state: SourceState::Resuming,
                epoch: stream.epoch,
            },
        );
        self.schedule(index);
    }

    /// Ends a stream that has no publisher, and the layers that were its publisher's. Its key is free; its readers get
    /// what is left and then its end.
    pub(crate) fn conclude(&mut self, index: u32, reason: EndReason) {
        for layer in self.layers_of(index) {
            self.conclude(layer, reason);
        }
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        stream.phase = Phase::Ended(reason);
        let (key, epoch) = (Arc::clone(&stream.key), stream.epoch);
        let waiting = std::mem::take(&mut stream.queue);
        let readers = stream.readers;
        if let Some(app) = self.apps.get_mut(stream.app) {
            app.streams -= 1;
        }
        self.keys.remove(&key);
        self.forget_layer(&key);
        for admission in waiting {
            self.refuse(admission, StreamError::StreamNotFound);
        }
        self.outputs.event(
            &key,
            StreamEventKind::SourceState {
                state: SourceState::Ended,
                epoch,
            },
        );
        self.outputs
            .event(&key, StreamEventKind::StreamEnded { reason });
        self.tell_layers(&key);
        if readers == 0 {
            self.forget(index);
        } else {
            self.mark(index);
            self.schedule(index);
        }
    }

    /// Frees a stream that has ended and has no readers.
    pub(crate) fn forget(&mut self, index: u32) {
        let Some(stream) = self.streams.remove(index) else {
            return;
        };
        self.ring_bytes -= stream.bytes();
        if stream.wake.listed {
            self.telling.retain(|listed| *listed != index);
        }
        if stream.recorders > 0 {
            self.outputs
                .event(&stream.key, StreamEventKind::RecordingEnded);
        }
        if stream.transcoders > 0 {
            self.outputs
                .event(&stream.key, StreamEventKind::TranscodeEnded);
        }
    }

    /// Something came that all readers of a stream may want to know.
    pub(crate) fn mark(&mut self, index: u32) {
        if let Some(stream) = self.streams.at_mut(index) {
            stream.wake.mark();
            if !stream.wake.listed {
                stream.wake.listed = true;
                self.telling.push_back(index);
            }
        }
    }

    /// Sets the stream's timer when what is due next is due before it.
    pub(crate) fn schedule(&mut self, index: u32) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        let Some(app) = self.apps.get(stream.app) else {
            return;
        };
        let due = stream.due(self.options.idle_timeout, app.spec.ring.max_age);
        self.timers.advance(&mut stream.timer, due, stream.id);
        self.sweep_timers();
    }

    /// Asks for a keyframe when one is wanted, there is somebody to ask, and the last request is a second old.
    pub(crate) fn ask_keyframe(&mut self, now: Instant, index: u32) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        if let Some(session) = stream.session_id()
            && stream.keyframes.allow(now)
        {
            self.outputs.push(Output::RequestKeyframe(session));
            self.schedule(index);
        }
    }

    /// Counts a frame that was not taken and tells of it, seldom enough.
    pub(crate) fn tell_rejections(&mut self, now: Instant, index: u32) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        let rejections: &mut Rejections = &mut stream.rejections;
        let due = rejections.told.is_none_or(|told| now >= told + TELL_EVERY);
        if due && let Some((count, error)) = rejections.untold.take() {
            rejections.told = Some(now);
            self.outputs
                .event(&stream.key, StreamEventKind::FrameRejected { error, count });
        }
        self.schedule(index);
    }

    fn stream_due(&mut self, now: Instant, at: Instant, id: StreamId) {
        let Some(stream) = self.streams.named_mut(id.index, id.generation) else {
            return;
        };
        if stream.timer != Some(at) {
            return;
        }
        stream.timer = None;
        let before = stream.bytes();
        stream.ring.evict(now);
        self.ring_bytes = self.ring_bytes - before + stream.bytes();
        let idle = stream.idles_at(self.options.idle_timeout);
        let idle = idle.is_some_and(|at| now >= at);
        match stream.phase {
            Phase::Resuming { until } if now >= until => {
                self.conclude(id.index, EndReason::PublisherLost);
            }
            _ if idle => {
                self.outputs
                    .event(&stream.key, StreamEventKind::StreamReaped);
                self.end_session(now, id.index, FinishReason::Idle, true);
            }
            _ => {}
        }
        if self.streams.named(id.index, id.generation).is_some() {
            self.tell_rejections(now, id.index);
            self.ask_keyframe(now, id.index);
            self.schedule(id.index);
        }
    }

    /// Forgets timers that no longer hold, once they are the greater part.
    pub(crate) fn sweep_timers(&mut self) {
        let live = self.streams.len() + 2 * self.admissions.len();
        if self.timers.len() <= 2 * live + 1024 {
            return;
        }
        let (streams, admissions) = (&self.streams, &self.admissions);
        self.timers.retain(|at, timer| match timer {
            Timer::Admission(id) => admissions
                .get(&id)
                .is_some_and(|admission| admission.deadline == Some(at)),
            Timer::Stream(id) => streams
                .named(id.index, id.generation)
                .is_some_and(|stream| stream.timer == Some(at)),
        });
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(EngineOptions::default())
    }
}
