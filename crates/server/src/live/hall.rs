//! A stream's own room: its WHIP publisher and its WHEP viewers are clients there like any others.
//!
//! Packets go from publisher to viewers as in every room. Beside that the publisher's tracks are tapped, and become
//! frames for everybody who reads the stream otherwise.

use std::collections::HashMap;
use std::time::Instant;

use sluice_live::{FinishReason, SessionId, StreamEvent, StreamEventKind};
use sluice_media::{MediaKind, StreamKey, TrackId};
use sluice_sfu::{
    ClientId, CloseReason, Propagated, PublishedTrack, RegistryOptions, Replay,
    TrackId as RoomTrack,
};

use super::event_bodies::Watch;
use super::ingest::{Fed, Ingest};
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

/// The client that publishes the stream.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) client: ClientId,
    pub(super) session: SessionId,
    ingest: Ingest,
    lanes: HashMap<RoomTrack, Lane>,
    /// The names of its picture's layers, best first; none without simulcast.
    pub(super) rids: Vec<String>,
}

/// Which of a room track's layers becomes which track of the stream.
#[derive(Debug, Clone, Copy)]
struct Lane {
    track: TrackId,
    kind: MediaKind,
    layer: u8,
}

impl Hall {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.publisher
            .as_ref()
            .and_then(|publisher| publisher.ingest.next_deadline())
    }

    fn is_empty(&self) -> bool {
        self.publisher.is_none() && self.viewers.is_empty() && self.callers.is_empty()
    }
}

impl Publisher {
    pub(super) fn new(client: ClientId, session: SessionId) -> Self {
        Self {
            client,
            session,
            ingest: Ingest::default(),
            lanes: HashMap::new(),
            rids: Vec::new(),
        }
    }

    /// Finds a place for a track of the room: pictures are 0, sound is 1, what comes on top counts on.
    fn add(&mut self, track: &PublishedTrack) -> bool {
        let taken = |id: TrackId| self.lanes.values().any(|lane| lane.track == id);
        let first = match track.kind {
            MediaKind::Video => TrackId::VIDEO,
            MediaKind::Audio => TrackId::AUDIO,
        };
        let more = (2..MAX_TRACKS).map(TrackId::new);
        let Some(id) = std::iter::once(first).chain(more).find(|id| !taken(*id)) else {
            return false;
        };
        // The publisher lists its layers with the highest last, as browsers do.
        let layer = u8::try_from(track.rids.len().saturating_sub(1)).unwrap_or_default();
        let lane = Lane {
            track: id,
            kind: track.kind,
            layer,
        };
        self.lanes.insert(track.id, lane);
        if id == TrackId::VIDEO {
            self.rids = track.rids.iter().rev().cloned().collect();
        }
        true
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
        self.hall_keys.insert(id, key.clone());
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

    /// The stream's packets come from a client from now on: viewers need nobody who makes packets of its frames.
    pub(super) fn enter_publisher(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        publisher: Publisher,
    ) {
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        hall.publisher = Some(publisher);
        self.close_hall_source(now, rooms, key, "there is a publisher");
    }

    /// Packets of publishers become frames.
    pub(super) fn take_tapped(&mut self, now: Instant, rooms: &mut Rooms) {
        if rooms.tapped.is_empty() {
            return;
        }
        let mut fed = Vec::new();
        for (room, packet) in std::mem::take(&mut rooms.tapped) {
            let Some(key) = self.hall_keys.get(&room) else {
                self.pick_up(now, rooms, &packet);
                continue;
            };
            let hall = self.halls.get_mut(key);
            let Some(publisher) = hall.and_then(|hall| hall.publisher.as_mut()) else {
                continue;
            };
            let Some(lane) = publisher.lanes.get(&packet.track_id).copied() else {
                continue;
            };
            if lane.layer != packet.layer {
                continue;
            }
            let (session, client) = (publisher.session, publisher.client);
            let ingest = &mut publisher.ingest;
            let taken = guarded(|| ingest.handle_packet(now, lane.track, packet, &mut fed));
            if taken.is_none() {
                // The packet was this publisher's.
                fed.clear();
                close(now, rooms, client, "its media cannot be read");
            }
            self.take_fed(now, rooms, room, session, &mut fed);
        }
    }

    /// What waited too long for a lost packet goes on without it.
    pub(super) fn halls_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        let due: Vec<StreamKey> = self
            .halls
            .iter()
            .filter(|(_, hall)| hall.next_deadline().is_some_and(|at| at <= now))
            .map(|(key, _)| key.clone())
            .collect();
        let mut fed = Vec::new();
        for key in due {
            let Some(hall) = self.halls.get_mut(&key) else {
                continue;
            };
            let Some(publisher) = &mut hall.publisher else {
                continue;
            };
            publisher.ingest.handle_timeout(now, &mut fed);
            let (room, session) = (hall.id, publisher.session);
            self.take_fed(now, rooms, room, session, &mut fed);
        }
    }

    pub(super) fn take_hall_events(&mut self, now: Instant, rooms: &mut Rooms) {
        for (room, event) in std::mem::take(&mut rooms.hall_events) {
            let Some(key) = self.hall_keys.get(&room).cloned() else {
                continue;
            };
            match event {
                Propagated::TrackOpen { client_id, track } => {
                    let hall = self.halls.get_mut(&key);
                    let publisher = hall.and_then(|hall| hall.publisher.as_mut());
                    if let Some(publisher) = publisher.filter(|p| p.client == client_id)
                        && publisher.add(&track)
                    {
                        // A track that closed meanwhile has nothing to tap.
                        let _ = rooms.room(now, room, |r, _| r.tap(track.id, true));
                        self.wish.untold.push(key);
                    }
                }
                Propagated::TrackClose { track_id, .. } => {
                    let hall = self.halls.get_mut(&key);
                    if let Some(publisher) = hall.and_then(|hall| hall.publisher.as_mut()) {
                        publisher.lanes.remove(&track_id);
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

    /// The engine took the key from a publisher.
    pub(super) fn session_ended(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) {
        self.forget_publisher(session);
        let found = self
            .halls
            .values()
            .filter_map(|hall| hall.publisher.as_ref())
            .find(|publisher| publisher.session == session)
            .map(|publisher| publisher.client);
        if let Some(client) = found {
            close(now, rooms, client, "its stream was taken over or has ended");
        }
    }

    /// Asks whoever publishes for a keyframe, where there is somebody to ask.
    pub(super) fn request_keyframe(&mut self, now: Instant, rooms: &mut Rooms, session: SessionId) {
        let hall = self.halls.values().find(|hall| {
            let publisher = hall.publisher.as_ref();
            publisher.is_some_and(|publisher| publisher.session == session)
        });
        let Some((room, publisher)) =
            hall.and_then(|hall| Some((hall.id, hall.publisher.as_ref()?)))
        else {
            return self.refresh_cast(session);
        };
        for (track, lane) in &publisher.lanes {
            if lane.kind == MediaKind::Video {
                let (track, layer) = (*track, lane.layer);
                let _ = rooms.room(now, room, |r, out| r.refresh(now, track, layer, out));
            }
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
            let reason = match reason {
                CloseReason::Application(_) => FinishReason::Completed,
                _ => FinishReason::Disconnected,
            };
            self.finish(now, publisher.session, reason);
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

    fn take_fed(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        room: RegistryId,
        session: SessionId,
        fed: &mut Vec<Fed>,
    ) {
        for fed in fed.drain(..) {
            match fed {
                // What the kernel refuses it counts and tells.
                Fed::Config(track, config) => {
                    let _ = self.engine.set_config(now, session, track, config);
                }
                Fed::Frame(frame) => {
                    let _ = self.engine.push(now, session, frame);
                }
                Fed::Lost(track, layer) => {
                    let _ = rooms.room(now, room, |r, out| r.refresh(now, track, layer, out));
                }
            }
        }
    }
}

/// Closes a client in the application's name; one that is gone already is no error.
pub(super) fn close(now: Instant, rooms: &mut Rooms, client: ClientId, why: &str) {
    let reason = CloseReason::Application(why.to_owned());
    let _ = rooms.client(now, client, |room, out| {
        room.close_client(now, client, reason, out)
    });
}

/// Tracks of one publisher.
const MAX_TRACKS: u16 = 16;
