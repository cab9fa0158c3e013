//! A stream's own room: its WHIP publisher and its WHEP viewers are clients there like any others.
//!
//! Packets go from publisher to viewers as in every room. Beside that the publisher's tracks are tapped, and become
//! frames for everybody who reads the stream otherwise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use sluice_live::{FinishReason, SessionId, StreamEvent, StreamEventKind};
use sluice_media::StreamKey;
use sluice_sfu::{ClientId, CloseReason, Propagated, RegistryOptions, Replay};

use super::event_bodies::Watch;
use super::ingest::Fed;
use super::publisher::{Consequences, Publisher};
use super::source::Source;
use super::{Live, guarded};
use crate::error::ServerError;
use crate::rooms::Rooms;
use crate::server::RegistryId;

#[derive(Debug)]
pub(super) struct Hall {
    pub(super) id: RegistryId,
    pub(super) publisher: Option<Publisher>,
    pub(super) viewers: Vec<ClientId>,
    /// Foreign servers that are to publish and have not answered.
    pub(super) callers: Vec<ClientId>,
    /// Brings frames into the room when the publisher is no client of it.
    pub(super) source: Option<Source>,
    /// What those who watch were told last, by the key they watch.
    pub(super) watched: HashMap<StreamKey, Watch>,
}

/// A publisher's turn in a hall: of the stream itself, or of a layer by the publisher's number.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) key: Arc<StreamKey>,
    pub(super) layer: Option<u8>,
}

impl Hall {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.publisher.as_ref().and_then(Publisher::next_deadline)
    }

    fn is_empty(&self) -> bool {
        self.publisher.is_none() && self.viewers.is_empty() && self.callers.is_empty()
    }
}

impl Live {
    /// The stream's room, opened when it is needed first.
    pub(super) fn hall(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
    ) -> Result<RegistryId, ServerError> {
        if let Some(hall) = self.halls.get(key) {
            return Ok(hall.id);
        }
        let id = RegistryId::of_hall(self.next_hall, self.shard);
        self.next_hall += 1;
        let mut options = RegistryOptions::new(self.candidates.clone());
        options.replay = Replay::Whole;
        rooms.open(now, id, options, true)?;
        self.hall_keys.insert(id, Arc::new(key.clone()));
        let hall = Hall {
            id,
            publisher: None,
            viewers: Vec::new(),
            callers: Vec::new(),
            source: None,
            watched: HashMap::new(),
        };
        self.halls.insert(key.clone(), hall);
        Ok(id)
    }

    /// Packets of publishers become frames.
    pub(super) fn take_tapped(&mut self, now: Instant, rooms: &mut Rooms) {
        for (room, packet) in std::mem::take(&mut rooms.tapped) {
            let Some(key) = self.hall_keys.get(&room).cloned() else {
                self.pick_up(now, rooms, &packet);
                continue;
            };
            self.feed_from(now, rooms, &key, |publisher, fed| {
                publisher.handle_packet(now, packet, fed);
            });
        }
    }

    /// What waited too long for a lost packet goes on without it.
    pub(super) fn halls_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        let due: Vec<Arc<StreamKey>> = self
            .halls
            .values()
            .filter(|hall| hall.next_deadline().is_some_and(|at| at <= now))
            .filter_map(|hall| self.hall_keys.get(&hall.id).cloned())
            .collect();
        for key in due {
            self.feed_from(now, rooms, &key, |publisher, fed| {
                publisher.handle_timeout(now, fed);
            });
        }
    }

    /// Lets a publisher bring what it has into its streams. A panic costs that publisher.
    fn feed_from(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &Arc<StreamKey>,
        bring: impl FnOnce(&mut Publisher, &mut Vec<Fed>),
    ) {
        let Some(hall) = self.halls.get_mut(key.as_ref()) else {
            return;
        };
        let Some(publisher) = &mut hall.publisher else {
            return;
        };
        let (room, client) = (hall.id, publisher.client);
        let engine = &mut self.engine;
        let fed = guarded(|| {
            let mut fed = Vec::new();
            let mut led_to = Consequences::default();
            bring(publisher, &mut fed);
            publisher.feed(now, engine, key, &mut fed, &mut led_to);
            led_to
        });
        let Some(led_to) = fed else {
            return close(now, rooms, client, "its media cannot be read");
        };
        for (session, layer) in led_to.begun {
            let (key, layer) = (Arc::clone(key), Some(layer));
            self.turns.insert(session, Turn { key, layer });
        }
        for (track, layer) in led_to.asks {
            // A track that is gone has nobody to ask.
            let _ = rooms.room(now, room, |r, out| r.refresh(now, track, layer, out));
        }
    }

    pub(super) fn take_hall_events(&mut self, now: Instant, rooms: &mut Rooms) {
        for (room, event) in std::mem::take(&mut rooms.hall_events) {
            let Some(key) = self.hall_keys.get(&room).cloned() else {
                continue;
            };
            match event {
                Propagated::TrackOpen { client_id, track } => {
                    let hall = self.halls.get_mut(key.as_ref());
                    let publisher = hall.and_then(|hall| hall.publisher.as_mut());
                    let origin = *self.origin.get_or_insert(now);
                    if let Some(publisher) = publisher.filter(|p| p.client == client_id)
                        && publisher.add(&track, origin)
                    {
                        // A track that closed meanwhile has nothing to tap.
                        let _ = rooms.room(now, room, |r, _| r.tap(track.id, true));
                        self.share_timeline(now, &key);
                        self.wish.untold.push(key.as_ref().clone());
                    }
                }
                Propagated::TrackClose { track_id, .. } => {
                    let hall = self.halls.get_mut(key.as_ref());
                    let publisher = hall.and_then(|hall| hall.publisher.as_mut());
                    let layers = publisher.map(|publisher| publisher.remove(track_id));
                    for layer in layers.into_iter().flatten() {
                        self.turns.remove(&layer);
                        self.finish(now, layer, FinishReason::Completed);
                    }
                }
                Propagated::ClientConnected { client_id } => self.call_connected(client_id),
                Propagated::ClientDisconnected { client_id, reason } => {
                    self.client_gone(now, rooms, &key, client_id, &reason);
                }
                _ => {}
            }
        }
    }

    /// A publisher has a turn, as a client of the stream's hall: viewers there need nobody who makes packets of frames.
    pub(super) fn begin_turn(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        client: ClientId,
        session: SessionId,
    ) {
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        let before = hall.publisher.replace(Publisher::new(client, session));
        let shared = self.hall_keys.get(&hall.id).cloned();
        if let Some(before) = before {
            self.forget_turns(&before);
        }
        if let Some(key) = shared {
            self.turns.insert(session, Turn { key, layer: None });
        }
        self.close_hall_source(now, rooms, key, "there is a publisher");
    }

    /// The engine ended a turn: the publisher has lost its key, or one of its layers.
    pub(super) fn session_ended(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) {
        self.forget_publisher(session);
        let Some(turn) = self.turns.remove(&session) else {
            return;
        };
        let hall = self.halls.get_mut(turn.key.as_ref());
        let Some(publisher) = hall.and_then(|hall| hall.publisher.as_mut()) else {
            return;
        };
        match (turn.layer, &mut publisher.ladder) {
            (Some(_), Some(ladder)) => ladder.session_ended(session),
            (Some(_), None) => {}
            (None, _) => {
                let client = publisher.client;
                close(now, rooms, client, "its stream was taken over or has ended");
            }
        }
    }

    /// Asks whoever publishes for a keyframe, where there is somebody to ask.
    pub(super) fn request_keyframe(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) {
        let Some(turn) = self.turns.get(&session) else {
            return self.refresh_cast(session);
        };
        let Some(hall) = self.halls.get(turn.key.as_ref()) else {
            return;
        };
        let Some(publisher) = &hall.publisher else {
            return;
        };
        for (track, layer) in publisher.sources(turn.layer) {
            let _ = rooms.room(now, hall.id, |r, out| r.refresh(now, track, layer, out));
        }
    }

    fn forget_turns(&mut self, publisher: &Publisher) {
        for session in publisher.sessions() {
            self.turns.remove(&session);
        }
    }

    pub(super) fn on_stream_event(&mut self, now: Instant, rooms: &mut Rooms, event: &StreamEvent) {
        if matches!(
            event.kind,
            StreamEventKind::PublishStarted { .. } | StreamEventKind::SourceState { .. }
        ) {
            self.wish.untold.push(event.key.as_ref().clone());
        }
        if !matches!(event.kind, StreamEventKind::StreamEnded { .. }) {
            return;
        }
        let Some(hall) = self.halls.get(event.key.as_ref()) else {
            return;
        };
        for viewer in hall.viewers.clone() {
            let why = "the stream has ended";
            if !self.calls.is_told(viewer, why) {
                close(now, rooms, viewer, why);
            }
        }
    }

    /// A client of a hall is gone, however that came.
    fn client_gone(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        client: ClientId,
        reason: &CloseReason,
    ) {
        self.wish_gone(client);
        self.call_gone(client, reason);
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        hall.viewers.retain(|viewer| *viewer != client);
        hall.callers.retain(|caller| *caller != client);
        self.wish.untold.push(key.clone());
        let left = hall.publisher.take_if(|p| p.client == client);
        if hall.is_empty() {
            self.close_hall(now, rooms, key);
        }
        if let Some(publisher) = left {
            self.forget_turns(&publisher);
            let reason = match reason {
                CloseReason::Application(_) => FinishReason::Completed,
                _ => FinishReason::Disconnected,
            };
            self.finish(now, publisher.session, reason);
        }
    }

    /// Nobody could enter a hall that was opened for it.
    pub(super) fn close_empty_hall(&mut self, now: Instant, rooms: &mut Rooms, key: &StreamKey) {
        if self.halls.get(key).is_some_and(Hall::is_empty) {
            self.close_hall(now, rooms, key);
        }
    }

    fn close_hall(&mut self, now: Instant, rooms: &mut Rooms, key: &StreamKey) {
        let Some(hall) = self.halls.remove(key) else {
            return;
        };
        self.hall_keys.remove(&hall.id);
        if let Some(source) = hall.source {
            self.close_source(now, &source);
        }
        // It is empty: there is nobody to tell.
        let _ = rooms.close(now, hall.id, &CloseReason::RegistryClosed);
    }
}

/// Closes a client in the application's name; one that is gone already is no error.
pub(super) fn close(now: Instant, rooms: &mut Rooms, client: ClientId, why: &str) {
    let reason = CloseReason::Application(why.to_owned());
    let _ = rooms.client(now, client, |room, out| {
        room.close_client(now, client, reason, out)
    });
}
