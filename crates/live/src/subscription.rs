//! What a reader does.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::StreamError;
use crate::event::{EndReason, StreamEventKind};
use crate::id::{AdmissionId, StreamId, SubscriptionId};
use crate::options::SubscribeOptions;
use crate::output::Output;
use crate::reader::{Next, Reader};
use crate::request::{Action, Protocol};
use crate::stream::Phase;
use crate::wake::Place;

/// A reader and where it is.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    /// Index of its stream, which lives as long as it has readers.
    pub(crate) stream: u32,
    /// Where in the stream's lists; nowhere between being told and reading to `Empty`.
    pub(crate) place: Option<Place>,
    pub(crate) reader: Reader,
    pub(crate) protocol: Protocol,
    /// Its eviction was told.
    eviction_told: bool,
}

/// A subscription as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionView {
    /// What it reads.
    pub stream: StreamId,
    /// Over what its reader came.
    pub protocol: Protocol,
    /// Frames it has read.
    pub frames: u64,
    /// Frames it has lost, over all tracks.
    pub skipped: u64,
    /// Frames it was spared under [`LagPolicy::DropNonReference`](crate::LagPolicy::DropNonReference).
    pub dropped: u64,
    /// Age of the oldest frame it has not read.
    pub lag: Duration,
}

impl Engine {
    /// Begins to read the stream that the admission was allowed to play. `Output::Ready` follows as soon as
    /// there is something to read.
    ///
    /// # Errors
    /// When the admission was not granted, or there is no such stream now, or too many readers; the admission stays
    /// valid until its deadline.
    pub fn subscribe(
        &mut self,
        now: Instant,
        admission: AdmissionId,
        options: SubscribeOptions,
    ) -> Result<SubscriptionId, StreamError> {
        let granted = self.admissions.get(&admission);
        let granted = granted.ok_or(StreamError::AdmissionNotFound)?;
        if granted.action != Action::Play || granted.stage != crate::admission::Stage::Granted {
            return Err(StreamError::NotAdmitted);
        }
        let index = self.keys.get(&granted.request.key);
        let index = *index.ok_or(StreamError::StreamNotFound)?;
        let protocol = granted.request.protocol.clone();
        let stream = self.streams.at_mut(index);
        let stream = stream.ok_or(StreamError::StreamNotFound)?;
        let app = self.apps.get_mut(stream.app);
        let app = app.ok_or(StreamError::AppNotFound)?;
        for (count, limit) in [
            (stream.readers, app.spec.limits.max_viewers_per_stream),
            (app.viewers, app.spec.limits.max_viewers),
            (self.subscriptions.len(), self.options.max_subscriptions),
        ] {
            if count >= limit {
                return Err(StreamError::ViewerLimitReached { limit });
            }
        }
        let policy = options.lag_policy.unwrap_or(app.spec.lag_policy);
        let mut reader = Reader::new(now, &stream.ring, options.start, options.tracks, policy);
        let wishes = reader.take_wish() && stream.lacks_start();
        stream.readers += 1;
        app.viewers += 1;
        let (at, generation) = self.subscriptions.insert(|at, generation| Subscription {
            id: SubscriptionId {
                index: at,
                generation,
            },
            stream: index,
            place: Some(stream.wake.tell(at)),
            reader,
            protocol: protocol.clone(),
            eviction_told: false,
        });
        let id = SubscriptionId {
            index: at,
            generation,
        };
        let kind = StreamEventKind::SubscriberJoined {
            subscription: id,
            protocol,
        };
        self.outputs.event(&stream.key, kind);
        if !stream.wake.listed {
            stream.wake.listed = true;
            self.telling.push_back(index);
        }
        self.take_admission(admission);
        if wishes {
            self.want_keyframe(now, index);
        }
        Ok(id)
    }

    /// The next thing a reader is to know: what was in the ring when it came and what came since are the same call.
    ///
    /// After [`Next::Empty`] the reader is told by `Output::Ready` when there is more; until it has read that far it is
    /// not told again. A reader that cannot take more just reads later.
    #[inline]
    pub fn read(&mut self, now: Instant, id: SubscriptionId) -> Next<'_> {
        let unsubscribed = Next::Ended(EndReason::Unsubscribed);
        let Some(subscription) = self.subscriptions.named_mut(id.index, id.generation) else {
            return unsubscribed;
        };
        let Some(stream) = self.streams.at_mut(subscription.stream) else {
            return unsubscribed;
        };
        let stream = &mut **stream;
        match subscription.reader.next(now, &stream.ring, &stream.tracks) {
            Next::Empty => {
                if let Phase::Ended(reason) = stream.phase {
                    return Next::Ended(reason);
                }
                if subscription.place.is_none() {
                    subscription.place = Some(stream.wake.wait(id.index));
                }
                if subscription.reader.take_wish() && stream.lacks_start() {
                    stream.keyframes.want();
                    if stream.keyframes.allow(now) {
                        let session = stream.session_id();
                        self.outputs.extend(session.map(Output::RequestKeyframe));
                    }
                    let due = stream.keyframes.due();
                    self.timers.advance(&mut stream.timer, due, stream.id);
                }
                Next::Empty
            }
            Next::Lagged { skipped, lost } => {
                let protocol = subscription.protocol.clone();
                let kind = StreamEventKind::SubscriberLagged {
                    subscription: id,
                    protocol: protocol.clone(),
                    skipped,
                    lost,
                };
                self.outputs.event(&stream.key, kind);
                if let Some(lost) = subscription.reader.evicted(now)
                    && !std::mem::replace(&mut subscription.eviction_told, true)
                {
                    let kind = StreamEventKind::SubscriberEvicted {
                        subscription: id,
                        protocol,
                        lost,
                    };
                    self.outputs.event(&stream.key, kind);
                }
                Next::Lagged { skipped, lost }
            }
            next => next,
        }
    }

    /// Ends a subscription; one that is gone already is no error.
    pub fn unsubscribe(&mut self, _now: Instant, id: SubscriptionId) {
        if self.subscriptions.named(id.index, id.generation).is_none() {
            return;
        }
        let Some(subscription) = self.subscriptions.remove(id.index) else {
            return;
        };
        let index = subscription.stream;
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        if let Some(place) = subscription.place
            && let Some(moved) = stream.wake.remove(place)
            && let Some(moved) = self.subscriptions.at_mut(moved)
        {
            moved.place = Some(place);
        }
        stream.readers -= 1;
        if let Some(app) = self.apps.get_mut(stream.app) {
            app.viewers -= 1;
        }
        let (frames, ..) = subscription.reader.counts();
        let kind = StreamEventKind::SubscriberLeft {
            subscription: id,
            protocol: subscription.protocol,
            frames,
        };
        self.outputs.event(&stream.key, kind);
        if stream.readers == 0 && stream.is_ended() {
            self.forget(index);
        }
    }

    /// Asks the publisher for a keyframe on behalf of a reader whose decoder needs one. At most one request a second
    /// leaves per stream, whoever asks, and they go on until a keyframe comes.
    pub fn request_keyframe(&mut self, now: Instant, id: SubscriptionId) {
        let subscription = self.subscriptions.named(id.index, id.generation);
        if let Some(index) = subscription.map(|subscription| subscription.stream)
            && let Some(stream) = self.streams.at(index)
            && stream.lacks_start()
        {
            self.want_keyframe(now, index);
        }
    }

    /// A subscription as it is now.
    pub fn subscription(&self, now: Instant, id: SubscriptionId) -> Option<SubscriptionView> {
        let subscription = self.subscriptions.named(id.index, id.generation)?;
        let stream = self.streams.at(subscription.stream)?;
        let (frames, skipped, dropped) = subscription.reader.counts();
        Some(SubscriptionView {
            stream: stream.id,
            protocol: subscription.protocol.clone(),
            frames,
            skipped,
            dropped,
            lag: subscription.reader.lag(now, &stream.ring),
        })
    }

    pub(crate) fn want_keyframe(&mut self, now: Instant, index: u32) {
        if let Some(stream) = self.streams.at_mut(index) {
            stream.keyframes.want();
        }
        self.ask_keyframe(now, index);
        self.schedule(index);
    }

    /// The next reader that has something to read, each once.
    pub(crate) fn poll_ready(&mut self) -> Option<SubscriptionId> {
        loop {
            let index = *self.telling.front()?;
            let Some(stream) = self.streams.at_mut(index) else {
                self.telling.pop_front();
                continue;
            };
            if let Some(at) = stream.wake.next() {
                let Some(subscription) = self.subscriptions.at_mut(at) else {
                    continue;
                };
                subscription.place = None;
                if stream.is_ended() || subscription.reader.has_news(stream.ring.head()) {
                    return Some(subscription.id);
                }
                subscription.place = Some(stream.wake.wait(at));
            } else if !stream.wake.turn() {
                stream.wake.listed = false;
                self.telling.pop_front();
            } else if self.telling.len() > 1 {
                self.telling.rotate_left(1);
            }
        }
    }
}
