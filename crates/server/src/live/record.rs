//! Recording a stream: the shard cuts its frames into parts and hands them to the writer, never waiting for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_live::{
    AccessRequest, Action, Activity, AdmissionId, Engine, Next, Protocol, StreamId,
    SubscribeOptions, SubscriptionId,
};
use sluice_media::{MediaKind, StreamKey, Timestamp};
use sluice_mux::{Output, Part, Segmenter, SegmenterOptions};
use tokio::sync::oneshot;

use super::access::Asked;
use super::gather::{Gathered, expected_tracks, wall_micros};
use super::values::{LiveEvent, RecordingEvent, RecordingEventKind};
use super::{Consumer, Live};
use crate::error::ServerError;
use crate::record::{Begin, RecordError, RecordedFile, Tape, Told};
use crate::rooms::Rooms;
use crate::shard_number::{on_shard, shard_of};

/// A recording of this server. Its shard is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(u64);

impl RecordingId {
    pub(crate) fn new(number: u64, shard: usize) -> Self {
        Self(on_shard(number, shard))
    }

    /// A number unique in the server, for maps on the other side of a language border.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The recording that has this number.
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The shard its stream is at home on.
    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

/// The application's wish to record.
#[derive(Debug)]
pub(crate) struct RecordWish {
    pub(crate) id: RecordingId,
    /// Where to; no stream is recorded twice to one place at once.
    pub(crate) place: String,
    /// How long a file becomes.
    pub(crate) segment: Duration,
    pub(crate) tape: Tape,
    pub(crate) reply: oneshot::Sender<Result<RecordingId, ServerError>>,
}

type StopReply = oneshot::Sender<Result<Option<Vec<RecordedFile>>, ServerError>>;

/// One stream on its way to a storage.
#[derive(Debug)]
pub(super) struct Recorder {
    key: StreamKey,
    place: String,
    stream: Option<StreamId>,
    subscription: Option<SubscriptionId>,
    gathered: Gathered,
    segmenter: Segmenter,
    reel: Reel,
    keyframe_at: Option<Instant>,
    /// Who waits for the end.
    stops: Vec<StopReply>,
}

/// Parts on their way to the tape, file by file.
#[derive(Debug)]
struct Reel {
    /// None when it is ending.
    tape: Option<Tape>,
    segment: Duration,
    init: Bytes,
    /// The next segment begins a file.
    turns: bool,
    file_start: Option<Timestamp>,
    segment_start: Option<(Timestamp, i64)>,
    gap: Option<Gap>,
    lost: Gap,
    /// To be told.
    told: Vec<Gap>,
}

/// Parts that the storage was too slow for.
#[derive(Debug, Clone, Copy, Default)]
struct Gap {
    parts: u64,
    time: Duration,
}

impl Live {
    /// Records a stream in the application's own name.
    pub(crate) fn record(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: StreamKey,
        wish: RecordWish,
    ) {
        let is_same = |other: &Recorder| {
            other.key == key && other.place == wish.place && other.reel.tape.is_some()
        };
        if self.recorders.len() >= MAX_RECORDERS {
            return drop(wish.reply.send(Err(ServerError::Busy)));
        }
        if self.recorders.values().any(is_same) {
            let why = format!("{key} is being recorded to {} already", wish.place);
            return drop(wish.reply.send(Err(ServerError::InvalidOption(why))));
        }
        let request = AccessRequest::new(key.clone(), Protocol::RECORD);
        let asked = Asked::Record(key, Box::new(wish));
        if let Err((asked, error)) = self.ask(now, Action::Play, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// The recorder may read.
    pub(super) fn start_recorder(
        &mut self,
        now: Instant,
        admission: AdmissionId,
        key: &StreamKey,
        wish: RecordWish,
    ) {
        let options = SubscribeOptions::default();
        let subscription = match self.engine.subscribe(now, admission, options) {
            Ok(subscription) => subscription,
            Err(error) => {
                self.engine.cancel(admission);
                return drop(wish.reply.send(Err(error.into())));
            }
        };
        let stream = self.engine.stream(key).map(sluice_live::StreamView::id);
        if let Some(stream) = stream {
            // It was there for the subscription a moment ago.
            let _ = self.engine.set_activity(stream, Activity::Recording, true);
        }
        let mut options = SegmenterOptions::default();
        options.part_target = PART;
        options.max_segment = MAX_SEGMENT;
        options.reference_times = true;
        let recorder = Recorder {
            key: key.clone(),
            place: wish.place,
            stream,
            subscription: Some(subscription),
            gathered: Gathered::default(),
            segmenter: Segmenter::new(options),
            reel: Reel::new(wish.tape, wish.segment),
            keyframe_at: None,
            stops: Vec::new(),
        };
        self.recorders.insert(wish.id, recorder);
        self.readers
            .insert(subscription, Consumer::Recorder(wish.id));
        self.recorders_due.get_or_insert(now + TICK);
        if wish.reply.send(Ok(wish.id)).is_err() {
            // A caller that no longer waits has no handle to stop it with.
            self.end_recorder(now, wish.id);
        }
    }

    /// Ends a recording; answered with its files when they are finished. `None`: it has ended before.
    pub(crate) fn stop_recording(&mut self, now: Instant, id: RecordingId, reply: StopReply) {
        let Some(recorder) = self.recorders.get_mut(&id) else {
            return drop(reply.send(Ok(None)));
        };
        recorder.stops.push(reply);
        self.end_recorder(now, id);
    }

    /// What has come since the last time goes to the writer.
    pub(super) fn feed_recorder(
        &mut self,
        now: Instant,
        id: RecordingId,
        subscription: SubscriptionId,
    ) {
        let Some(recorder) = self.recorders.get_mut(&id) else {
            return;
        };
        let expected = expected_tracks(&self.engine, now, &recorder.key);
        let (ended, mut released) = recorder.read(now, &mut self.engine, subscription);
        if released.is_ok() && !ended && recorder.gathered.is_ready(now, expected) {
            released = recorder.release(now);
        }
        self.after_release(now, id, released);
        if ended {
            self.end_recorder(now, id);
        }
    }

    /// Goes on where a track was waited for, and asks for keyframes: a recording can be sought by them, and its next
    /// file begins with one.
    pub(super) fn recorders_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        if self.recorders_due.is_none_or(|due| due > now) {
            return;
        }
        self.recorders_due = (!self.recorders.is_empty()).then(|| now + TICK);
        let released: Vec<_> = self
            .recorders
            .iter_mut()
            .filter(|(_, recorder)| {
                recorder.gathered.is_due(now) && recorder.subscription.is_some()
            })
            .map(|(id, recorder)| (*id, recorder.release(now)))
            .collect();
        for (id, released) in released {
            self.after_release(now, id, released);
        }
        let wanting = self.recorders.values_mut().filter(|recorder| {
            let at = recorder.keyframe_at;
            at.is_some_and(|at| now >= at + KEYFRAME_GRID) && recorder.subscription.is_some()
        });
        let sessions: Vec<_> = wanting
            .filter_map(|recorder| {
                recorder.keyframe_at = Some(now);
                self.engine.stream(&recorder.key)?.session()
            })
            .collect();
        for session in sessions {
            self.request_keyframe(now, rooms, session);
        }
    }

    fn after_release(&mut self, now: Instant, id: RecordingId, released: Result<(), RecordError>) {
        let Some(recorder) = self.recorders.get_mut(&id) else {
            return;
        };
        let key = recorder.key.clone();
        for gap in std::mem::take(&mut recorder.reel.told) {
            let kind = RecordingEventKind::Gap {
                parts: gap.parts,
                lost: gap.time,
            };
            self.tell_recording(id, key.clone(), kind);
        }
        if let Err(error) = released {
            self.recording_told(now, id, Told::Failed(error.into()));
        }
    }

    /// What the writer says.
    pub(crate) fn recording_told(&mut self, now: Instant, id: RecordingId, told: Told) {
        match told {
            Told::Failed(error) => {
                let Some(recorder) = self.recorders.get(&id) else {
                    return;
                };
                let key = recorder.key.clone();
                self.tell_recording(id, key, RecordingEventKind::Failed(error));
                self.end_recorder(now, id);
            }
            Told::Closed(files) => {
                let Some(recorder) = self.recorders.remove(&id) else {
                    return;
                };
                for stop in recorder.stops {
                    // Who no longer waits hears it by the event.
                    let _ = stop.send(Ok(Some(files.clone())));
                }
                let kind = RecordingEventKind::Ended {
                    files,
                    lost: recorder.reel.lost.time,
                };
                self.tell_recording(id, recorder.key, kind);
            }
        }
    }

    /// Lets go of the stream and of the tape; the writer says when it is done.
    fn end_recorder(&mut self, now: Instant, id: RecordingId) {
        let Some(recorder) = self.recorders.get_mut(&id) else {
            return;
        };
        if recorder.reel.tape.is_none() {
            return;
        }
        // Whatever does not fit any more: the tape is let go with what it has.
        if let Some(subscription) = recorder.subscription {
            let _ = recorder.read(now, &mut self.engine, subscription);
        }
        let _ = recorder.release(now);
        recorder.segmenter.end_segment();
        recorder.reel.take_from(&mut recorder.segmenter);
        recorder.reel.end();
        let (stream, subscription) = (recorder.stream.take(), recorder.subscription.take());
        self.after_release(now, id, Ok(()));
        if let Some(subscription) = subscription {
            self.readers.remove(&subscription);
            self.engine.unsubscribe(now, subscription);
        }
        if let Some(stream) = stream {
            // Where the stream is gone, its recorders are.
            let _ = self.engine.set_activity(stream, Activity::Recording, false);
        }
    }

    /// The shard closes: the files get what there is.
    pub(crate) fn end_recorders(&mut self, now: Instant) {
        let all: Vec<RecordingId> = self.recorders.keys().copied().collect();
        for id in all {
            self.end_recorder(now, id);
        }
    }

    fn tell_recording(&mut self, recording: RecordingId, key: StreamKey, kind: RecordingEventKind) {
        self.events.push(LiveEvent::Recording(RecordingEvent {
            key,
            recording,
            kind,
        }));
    }
}

impl Recorder {
    /// Takes all that has come. True: there will be no more.
    fn read(
        &mut self,
        now: Instant,
        engine: &mut Engine,
        subscription: SubscriptionId,
    ) -> (bool, Result<(), RecordError>) {
        let wall = wall_micros();
        let mut fits = Ok(());
        let ended = loop {
            let taken = match engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    let segmenter = &mut self.segmenter;
                    self.gathered.configure(now, track, config, wall, segmenter)
                }
                Next::Frame(frame) => {
                    if frame.keyframe && frame.codec.kind() == MediaKind::Video {
                        self.keyframe_at = Some(now);
                    }
                    let segmenter = &mut self.segmenter;
                    self.gathered.take(now, frame, wall, segmenter)
                }
                // The segmenter sees the jump in the next frame.
                Next::Lagged { .. } | Next::Discontinuity { .. } => Ok(()),
                Next::Ended(_) => break true,
                _ => break false,
            };
            fits = fits.and(taken.map_err(RecordError::from));
        };
        self.reel.take_from(&mut self.segmenter);
        (ended, fits)
    }

    fn release(&mut self, now: Instant) -> Result<(), RecordError> {
        let segmenter = &mut self.segmenter;
        let released = self.gathered.release(now, wall_micros(), segmenter);
        self.reel.take_from(&mut self.segmenter);
        Ok(released?)
    }
}

impl Reel {
    fn new(tape: Tape, segment: Duration) -> Self {
        Self {
            tape: Some(tape),
            segment,
            init: Bytes::new(),
            turns: true,
            file_start: None,
            segment_start: None,
            gap: None,
            lost: Gap::default(),
            told: Vec::new(),
        }
    }

    fn take_from(&mut self, segmenter: &mut Segmenter) {
        while let Some(output) = segmenter.poll_output() {
            match output {
                Output::Init(init) => {
                    self.init = init.bytes;
                    self.turns = true;
                }
                Output::Start(start) => {
                    self.segment_start = Some((start.start, start.wall_micros));
                    let lasts = |from| start.start.saturating_since(from) >= self.segment;
                    self.turns |= self.file_start.is_none_or(lasts);
                }
                Output::Part(part) => self.handle_part(&part),
                _ => {}
            }
        }
    }

    fn handle_part(&mut self, part: &Part) {
        let Some(tape) = &self.tape else { return };
        let begins = part.index == 0;
        // After a gap only a whole segment that begins with a keyframe can be shown; and it tells its time.
        if self.gap.is_some() && !(begins && part.independent) {
            return self.lose(part.duration);
        }
        let (start, wall) = self.segment_start.unwrap_or((part.start, 0));
        let begin = (self.turns && begins).then(|| Begin {
            init: self.init.clone(),
            start_ms: wall.div_euclid(1000),
        });
        if !tape.try_write(begin.as_ref(), &part.bytes) {
            return self.lose(part.duration);
        }
        if begin.is_some() {
            self.turns = false;
            self.file_start = Some(start);
        }
        self.told
            .extend(self.gap.take().filter(|gap| gap.parts > 0));
    }

    /// The first lost part is told at once, the others when the gap ends.
    fn lose(&mut self, time: Duration) {
        self.lost.parts += 1;
        self.lost.time += time;
        if let Some(gap) = &mut self.gap {
            gap.parts += 1;
            gap.time += time;
        } else {
            self.gap = Some(Gap::default());
            self.told.push(Gap { parts: 1, time });
        }
    }

    fn end(&mut self) {
        self.told
            .extend(self.gap.take().filter(|gap| gap.parts > 0));
        self.tape = None;
    }
}

/// A crash costs no more than one of these.
const PART: Duration = Duration::from_secs(1);
/// A publisher that sends no keyframe for so long gets files that do not begin with one.
const MAX_SEGMENT: Duration = Duration::from_secs(300);
/// How long after one keyframe the publisher is asked for the next.
const KEYFRAME_GRID: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
const MAX_RECORDERS: usize = 1000;
