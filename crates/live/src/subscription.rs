//! What a reader does.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::StreamError;
use crate::event::{EndReason, StreamEventKind};
use crate::id::{AdmissionId, StreamId, SubscriptionId};
use crate::options::SubscribeOptions;
use crate::reader::{Next, Place, Story, Visit};
use crate::request::{Action, Protocol};
use crate::visit::Reader;
use crate::wake::Berth;

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
            (self.readers.len(), self.options.max_subscriptions),
        ] {
            if count >= limit {
                return Err(StreamError::ViewerLimitReached { limit });
            }
        }
        let policy = options.lag_policy.unwrap_or(app.spec.lag_policy);
        let mut wishes = false;
        let story = Story::new(now, protocol.clone(), options.tracks, policy);
        let id = self.readers.insert(story, |id| {
            let berth = stream.wake.tell(id.index);
            let mut place = Place::new(now, &stream.ring, options.start, policy);
            (place.generation, place.stream, place.berth) = (id.generation, index, berth);
            wishes = place.take_wish() && stream.lacks_start();
            place
        });
        stream.readers += 1;
        app.viewers += 1;
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
        match self.reader(now, id) {
            Some(reader) => reader.into_next(),
            None => Next::Ended(EndReason::Unsubscribed),
        }
    }

    /// A reader to read much from at once; `None` when there is no such subscription.
    #[inline]
    pub fn reader(&mut self, now: Instant, id: SubscriptionId) -> Option<Reader<'_>> {
        let (place, story) = self.readers.named_mut(id)?;
        let stream = self.streams.at_mut(place.stream)?;
        Some(Reader {
            id,
            visit: Visit {
                place,
                story,
                now,
                in_time: false,
            },
            stream,
            outputs: &mut self.outputs,
            timers: &mut self.timers,
        })
    }

    /// The next reader that has something to read: whom `Output::Ready` would name, for owners with so many readers
    /// that the way through outputs is felt.
    #[inline]
    pub fn next_ready(&mut self, now: Instant) -> Option<Reader<'_>> {
        let id = self.poll_ready()?;
        self.reader(now, id)
    }

    /// Ends a subscription; one that is gone already is no error.
    pub fn unsubscribe(&mut self, _now: Instant, id: SubscriptionId) {
        let Some((place, story)) = self.readers.named(id) else {
            return;
        };
        let (index, berth, frames) = (place.stream, place.berth, place.frames());
        let protocol = story.protocol.clone();
        self.readers.remove(id);
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        if let Some(moved) = stream.wake.remove(berth)
            && let Some(moved) = self.readers.place_at(moved)
        {
            moved.berth = berth;
        }
        stream.readers -= 1;
        if let Some(app) = self.apps.get_mut(stream.app) {
            app.viewers -= 1;
        }
        let kind = StreamEventKind::SubscriberLeft {
            subscription: id,
            protocol,
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
        if let Some((place, _)) = self.readers.named(id)
            && let index = place.stream
            && let Some(stream) = self.streams.at(index)
            && stream.lacks_start()
        {
            self.want_keyframe(now, index);
        }
    }

    /// A subscription as it is now.
    pub fn subscription(&self, now: Instant, id: SubscriptionId) -> Option<SubscriptionView> {
        let (place, story) = self.readers.named(id)?;
        let stream = self.streams.at(place.stream)?;
        let (skipped, dropped) = story.losses();
        Some(SubscriptionView {
            stream: stream.id,
            protocol: story.protocol.clone(),
            frames: place.frames(),
            skipped,
            dropped,
            lag: place.lag(now, &stream.ring),
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
    #[inline]
    pub(crate) fn poll_ready(&mut self) -> Option<SubscriptionId> {
        loop {
            let index = *self.telling.front()?;
            let Some(stream) = self.streams.at_mut(index) else {
                self.telling.pop_front();
                continue;
            };
            if let Some(at) = stream.wake.next() {
                let Some(place) = self.readers.place_at(at) else {
                    continue;
                };
                place.berth = Berth::NOWHERE;
                if stream.is_ended() || place.has_news(stream.ring.head()) {
                    return Some(SubscriptionId {
                        index: at,
                        generation: place.generation,
                    });
                }
                place.berth = stream.wake.wait(at);
            } else if !stream.wake.turn() {
                stream.wake.listed = false;
                self.telling.pop_front();
            } else if self.telling.len() > 1 {
                self.telling.rotate_left(1);
            }
        }
    }
}
