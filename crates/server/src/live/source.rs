//! A stream's frames into its hall, for viewers there of a publisher that is no client of it.

use std::time::Instant;

use sluice_live::{
    AccessRequest, Action, AdmissionId, Next, Protocol, StreamView, SubscribeOptions,
    SubscriptionId,
};
use sluice_media::StreamKey;

use super::access::Asked;
use super::hall::Hall;
use super::room_writer::RoomWriter;
use super::{Consumer, Live};
use crate::rooms::Rooms;

/// The frames' way into one hall.
#[derive(Debug)]
pub(super) struct Source {
    subscription: Option<SubscriptionId>,
    writer: RoomWriter,
}

impl Live {
    /// Makes sure that who joins the hall sees the stream: a publisher that is no client of it gets a source there.
    pub(super) fn open_source(&mut self, now: Instant, rooms: &mut Rooms, key: &StreamKey) {
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        if hall.publisher.is_some() || hall.source.is_some() {
            return;
        }
        let Ok(client) = rooms.insert_source(now, hall.id) else {
            return;
        };
        hall.source = Some(Source {
            subscription: None,
            writer: RoomWriter::new(hall.id, client),
        });
        let request = AccessRequest::new(key.clone(), Protocol::ROOM);
        let asked = Asked::Hall(key.clone());
        if let Err((asked, error)) = self.ask(now, Action::Play, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// The same for those who are there already, when a publisher that is no client of the hall came in the place of
    /// one that was. Whether there were any.
    pub(super) fn open_sources(&mut self, now: Instant, rooms: &mut Rooms) -> bool {
        let lacks = |key: &&StreamKey| {
            let is_held = |view: StreamView<'_>| view.session().is_some();
            let lacks = |hall: &Hall| {
                let is_seen = !hall.viewers.is_empty() || !hall.callers.is_empty();
                is_seen && hall.publisher.is_none() && hall.source.is_none()
            };
            self.halls.get(*key).is_some_and(lacks) && self.engine.stream(key).is_some_and(is_held)
        };
        let keys: Vec<StreamKey> = self.wish.untold.iter().filter(lacks).cloned().collect();
        for key in &keys {
            self.open_source(now, rooms, key);
        }
        let has_source = |hall: &Hall| hall.source.is_some();
        keys.iter()
            .any(|key| self.halls.get(key).is_some_and(has_source))
    }

    /// The source may read.
    pub(super) fn start_source(&mut self, now: Instant, admission: AdmissionId, key: &StreamKey) {
        let subscription = self
            .engine
            .subscribe(now, admission, SubscribeOptions::default());
        let hall = self.halls.get_mut(key);
        let source = hall.and_then(|hall| hall.source.as_mut());
        match (source, subscription) {
            (Some(source), Ok(subscription)) => {
                source.subscription = Some(subscription);
                self.readers
                    .insert(subscription, Consumer::Hall(key.clone()));
            }
            (None, Ok(subscription)) => self.engine.unsubscribe(now, subscription),
            (_, Err(_)) => self.engine.cancel(admission),
        }
    }

    pub(super) fn close_source(&mut self, now: Instant, source: &Source) {
        if let Some(subscription) = source.subscription {
            self.readers.remove(&subscription);
            self.engine.unsubscribe(now, subscription);
        }
    }

    /// Closes a hall's source; viewers see its tracks end.
    pub(super) fn close_hall_source(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        why: &str,
    ) {
        let hall = self.halls.get_mut(key);
        if let Some(source) = hall.and_then(|hall| hall.source.take()) {
            self.close_source(now, &source);
            super::hall::close(now, rooms, source.writer.client(), why);
        }
    }

    /// Passes on that somebody in a room needs a keyframe of what a source sends there.
    pub(super) fn sources_ask(&mut self, now: Instant, rooms: &mut Rooms) {
        for (room, track) in std::mem::take(&mut rooms.keyframe_requests) {
            let Some(key) = self.hall_keys.get(&room) else {
                self.refresh_screen(track.client());
                continue;
            };
            let hall = self.halls.get(key);
            let source = hall.and_then(|hall| hall.source.as_ref());
            if let Some(subscription) = source.and_then(|source| source.subscription) {
                self.engine.request_keyframe(now, subscription);
            }
        }
    }

    /// Brings the hall up to date with the stream.
    pub(super) fn feed_hall(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        subscription: SubscriptionId,
    ) {
        let hall = self.halls.get_mut(key);
        let Some(source) = hall.and_then(|hall| hall.source.as_mut()) else {
            return;
        };
        let writer = &mut source.writer;
        loop {
            match self.engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    // What no browser takes stays out.
                    let _ = writer.configure(now, rooms, track, config);
                }
                Next::Frame(frame) => writer.send(now, rooms, frame),
                Next::Discontinuity { .. } => writer.restart_clock(),
                Next::Empty => return,
                Next::Ended(_) => break,
                // A picture after a gap begins with a keyframe, which is all that viewers need.
                _ => {}
            }
        }
        self.close_hall_source(now, rooms, key, "the stream has ended");
    }
}
