//! The room's half of a cast: which of its tracks are read, and by which layer.

use std::time::{Duration, Instant};

use sluice_live::Identity;
use sluice_media::{MediaKind, StreamKey};
use sluice_sfu::{Propagated, PublishedTrack, SfuError, Tapped, TrackId as RoomTrack};
use tokio::sync::oneshot;

use super::crossing::Crossing;
use super::splice::{Splice, Spliced};
use super::{BridgeEnd, BridgeEvent, BridgeEventKind, BridgeId, StopReply};
use crate::error::ServerError;
use crate::live::values::LiveEvent;
use crate::live::{Live, guarded};
use crate::rooms::Rooms;
use crate::server::RegistryId;

/// What of a room is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// This track.
    Track(RoomTrack),
    /// That of whoever speaks; until somebody has spoken, of who came first. One without such a track leaves it as it
    /// is.
    Speaker,
}

/// What a stream's picture and sound are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Picks {
    /// Its picture.
    pub video: Option<Pick>,
    /// Its sound.
    pub audio: Option<Pick>,
}

impl Picks {
    fn of(self, kind: MediaKind) -> Option<Pick> {
        match kind {
            MediaKind::Video => self.video,
            MediaKind::Audio => self.audio,
        }
    }

    fn follow_speaker(self) -> bool {
        self.video == Some(Pick::Speaker) || self.audio == Some(Pick::Speaker)
    }
}

/// The application's wish to publish what a room has.
#[derive(Debug)]
pub(crate) struct CastWish {
    pub(crate) room: RegistryId,
    pub(crate) key: StreamKey,
    /// The shard that the stream lives on.
    pub(crate) home: usize,
    pub(crate) picks: Picks,
    pub(crate) identity: Option<Identity>,
    pub(crate) reply: oneshot::Sender<Result<BridgeId, ServerError>>,
}

#[derive(Debug)]
pub(super) struct Pickup {
    room: RegistryId,
    key: StreamKey,
    home: usize,
    picks: Picks,
    /// The stream is ours.
    granted: bool,
    splice: Splice,
    /// When a layer was last chosen in place of another.
    layer_at: Instant,
    crossing: Crossing,
}

impl Pickup {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.splice.next_deadline()
    }

    pub(super) const fn home(&self) -> usize {
        self.home
    }

    pub(super) const fn key(&self) -> &StreamKey {
        &self.key
    }

    pub(super) const fn crossing(&mut self) -> &mut Crossing {
        &mut self.crossing
    }

    /// The track that is read for a kind, or will be.
    fn tuned(&self, kind: MediaKind) -> Option<(RoomTrack, u8)> {
        let reader = self.splice.next(kind).or(self.splice.current(kind))?;
        Some((reader.track, reader.layer))
    }

    /// The track that a pick means now.
    fn wanted(
        &self,
        kind: MediaKind,
        tracks: &[PublishedTrack],
        rooms: &Rooms,
    ) -> Option<RoomTrack> {
        let is_there = |id: RoomTrack| tracks.iter().any(|track| track.id == id);
        match self.picks.of(kind)? {
            Pick::Track(track) => Some(track).filter(|track| is_there(*track)),
            Pick::Speaker => {
                let elected = rooms.registry(self.room).ok()?.speaker();
                let speaker = elected.or_else(|| tracks.first().map(|track| track.client_id));
                let of_speaker = |track: &&PublishedTrack| {
                    track.kind == kind && Some(track.client_id) == speaker
                };
                let found = tracks.iter().find(of_speaker).map(|track| track.id);
                let present = || self.tuned(kind).map(|(track, _)| track);
                found.or_else(|| present().filter(|track| is_there(*track)))
            }
        }
    }
}

impl Live {
    /// Publishes what a room has, in the application's own name.
    pub(crate) fn cast(&mut self, now: Instant, rooms: &mut Rooms, wish: CastWish) {
        let CastWish {
            room,
            key,
            home,
            picks,
            identity,
            reply,
        } = wish;
        if self.bridges.is_full() {
            return drop(reply.send(Err(ServerError::Busy)));
        }
        if let Err(error) = check(rooms, room, picks) {
            return drop(reply.send(Err(error)));
        }
        let id = self.bridges.number(self.shard);
        let pickup = Pickup {
            room,
            key: key.clone(),
            home,
            picks,
            granted: false,
            splice: Splice::new(),
            layer_at: now,
            crossing: Crossing::default(),
        };
        self.bridges.pickups.insert(id, pickup);
        self.bridges.tick_at.get_or_insert(now);
        rooms.bridge(room, true);
        self.send_across(home, move |live, rooms, now| {
            live.open_cast(now, rooms, id, key, identity, reply);
        });
    }

    /// Publishes other tracks of the room from now on.
    pub(crate) fn set_picks(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        picks: Picks,
    ) -> Result<(), ServerError> {
        let pickup = self.bridges.pickups.get_mut(&id);
        let pickup = pickup.ok_or(ServerError::Closed)?;
        check(rooms, pickup.room, picks)?;
        pickup.picks = picks;
        let room = pickup.room;
        self.follow_speaker(now, rooms, room);
        self.aim(now, rooms, id);
        Ok(())
    }

    /// The stream is ours: it begins. False: it has ended before.
    pub(super) fn begin_pickup(&mut self, now: Instant, rooms: &mut Rooms, id: BridgeId) -> bool {
        let Some(pickup) = self.bridges.pickups.get_mut(&id) else {
            return false;
        };
        pickup.granted = true;
        let room = pickup.room;
        self.follow_speaker(now, rooms, room);
        self.aim(now, rooms, id);
        true
    }

    /// A packet of a room's track.
    pub(in crate::live) fn pick_up(&mut self, now: Instant, rooms: &mut Rooms, packet: &Tapped) {
        let mut n = 0;
        while let Some(id) = self.bridges.taps.reader(packet.track_id, n) {
            n += 1;
            let Some(pickup) = self.bridges.pickups.get_mut(&id) else {
                continue;
            };
            let mut spliced = Vec::new();
            let (splice, packet) = (&mut pickup.splice, packet.clone());
            if guarded(|| splice.handle_packet(now, packet, &mut spliced)).is_none() {
                self.end_pickup(now, rooms, id, BridgeEnd::Internal, None);
                return;
            }
            self.take_spliced(now, rooms, id, spliced);
        }
    }

    /// What waited too long for a lost packet goes on without it.
    pub(super) fn pickups_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        let pickups = self.bridges.pickups.iter();
        let due = pickups.filter(|(_, p)| p.next_deadline().is_some_and(|at| at <= now));
        let due: Vec<BridgeId> = due.map(|(id, _)| *id).collect();
        for id in due {
            let mut spliced = Vec::new();
            if let Some(pickup) = self.bridges.pickups.get_mut(&id) {
                pickup.splice.handle_timeout(now, &mut spliced);
            }
            self.take_spliced(now, rooms, id, spliced);
        }
    }

    /// Asks again for keyframes that have not come, leaves layers that have fallen silent and turns to better ones.
    pub(super) fn tick_pickups(&mut self, now: Instant, rooms: &mut Rooms) {
        let all: Vec<BridgeId> = self.bridges.pickups.keys().copied().collect();
        for id in all {
            let Some(pickup) = self.bridges.pickups.get(&id) else {
                continue;
            };
            let video = MediaKind::Video;
            let splice = &pickup.splice;
            if let Some(reader) = splice.next(video) {
                refresh(now, rooms, pickup.room, reader.track, reader.layer);
            }
            let newest = splice.next(video).or(splice.current(video));
            let Some(reader) = newest.filter(|reader| {
                now > reader.heard + SILENCE || now >= pickup.layer_at + BETTER_AFTER
            }) else {
                continue;
            };
            let (track, layer) = (reader.track, reader.layer);
            let best = rooms.registry(pickup.room).ok();
            let best = best.and_then(|registry| registry.best_layer(now, track));
            if let Some(best) = best.filter(|best| *best != layer) {
                self.tune(now, rooms, id, video, Some((track, best)));
                if let Some(pickup) = self.bridges.pickups.get_mut(&id) {
                    pickup.layer_at = now;
                }
            }
        }
    }

    /// The stream's readers need a keyframe.
    pub(super) fn refresh_pickup(&self, now: Instant, rooms: &mut Rooms, id: BridgeId) {
        if let Some(pickup) = self.bridges.pickups.get(&id)
            && let Some(reader) = pickup.splice.current(MediaKind::Video)
        {
            refresh(now, rooms, pickup.room, reader.track, reader.layer);
        }
    }

    /// What happened in rooms with bridges.
    pub(in crate::live) fn take_bridge_events(&mut self, now: Instant, rooms: &mut Rooms) {
        for room in std::mem::take(&mut rooms.speakers) {
            self.aim_all(now, rooms, room);
        }
        for (room, event) in std::mem::take(&mut rooms.bridge_events) {
            if !matches!(event, Propagated::Close { .. }) {
                self.aim_all(now, rooms, room);
                continue;
            }
            self.screens_closed(room);
            for id in self.pickups_of(room) {
                self.end_pickup(now, rooms, id, BridgeEnd::RoomClosed, None);
            }
        }
    }

    /// Ends it, and the stream with it.
    pub(super) fn end_pickup(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        reason: BridgeEnd,
        reply: Option<StopReply>,
    ) {
        self.load_batches();
        let Some(pickup) = self.forget_pickup(now, rooms, id) else {
            return;
        };
        self.send_across(pickup.home, move |live, _, now| {
            live.close_cast(now, id, reply);
        });
        self.tell_pickup(pickup.key, id, BridgeEventKind::Ended { reason });
    }

    /// Lets go of the room, without a word.
    pub(super) fn forget_pickup(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
    ) -> Option<Pickup> {
        let mut pickup = self.bridges.pickups.remove(&id)?;
        let mut spliced = Vec::new();
        for kind in KINDS {
            pickup.splice.tune(now, kind, None, &mut spliced);
        }
        for spliced in spliced {
            if let Spliced::Released(track) = spliced {
                let taps = &mut self.bridges.taps;
                taps.close(now, rooms, pickup.room, track, id);
            }
        }
        rooms.bridge(pickup.room, false);
        self.follow_speaker(now, rooms, pickup.room);
        Some(pickup)
    }

    fn aim_all(&mut self, now: Instant, rooms: &mut Rooms, room: RegistryId) {
        for id in self.pickups_of(room) {
            self.aim(now, rooms, id);
        }
    }

    /// Turns to the tracks that are wanted now.
    fn aim(&mut self, now: Instant, rooms: &mut Rooms, id: BridgeId) {
        let Some(pickup) = self.bridges.pickups.get(&id).filter(|p| p.granted) else {
            return;
        };
        let Ok(registry) = rooms.registry(pickup.room) else {
            return;
        };
        let tracks: Vec<PublishedTrack> = registry.published().collect();
        let aims = KINDS.map(|kind| {
            let track = pickup.wanted(kind, &tracks, rooms)?;
            // Which layer is best is for the tick to say, once it is read.
            let tuned = pickup.tuned(kind).filter(|(tuned, _)| *tuned == track);
            tuned.or_else(|| Some((track, registry.best_layer(now, track)?)))
        });
        let is_over = !pickup.picks.follow_speaker() && aims.iter().all(Option::is_none);
        for (kind, aim) in KINDS.into_iter().zip(aims) {
            self.tune(now, rooms, id, kind, aim);
        }
        if is_over {
            self.end_pickup(now, rooms, id, BridgeEnd::TrackClosed, None);
        }
    }

    fn tune(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        kind: MediaKind,
        aim: Option<(RoomTrack, u8)>,
    ) {
        let Some(pickup) = self.bridges.pickups.get_mut(&id) else {
            return;
        };
        let mut spliced = Vec::new();
        let opened = pickup.splice.tune(now, kind, aim, &mut spliced);
        let room = pickup.room;
        if let Some((track, layer)) = aim.filter(|_| opened) {
            self.bridges.taps.open(now, rooms, room, track, id);
            if kind == MediaKind::Video {
                refresh(now, rooms, room, track, layer);
            }
        }
        self.take_spliced(now, rooms, id, spliced);
    }

    fn take_spliced(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        spliced: Vec<Spliced>,
    ) {
        let Some(pickup) = self.bridges.pickups.get_mut(&id) else {
            return;
        };
        let room = pickup.room;
        let mut is_cut = false;
        for spliced in spliced {
            match spliced {
                Spliced::Config(track, config) => pickup.crossing.configure(track, config),
                Spliced::Frame(frame) => {
                    let kind = frame.codec.kind();
                    let reader = pickup.splice.current(kind);
                    if !pickup.crossing.push(frame)
                        && let Some(reader) = reader.filter(|_| kind == MediaKind::Video)
                    {
                        refresh(now, rooms, room, reader.track, reader.layer);
                    }
                }
                Spliced::Lost(track, layer) => refresh(now, rooms, room, track, layer),
                Spliced::Released(track) => {
                    self.bridges.taps.close(now, rooms, room, track, id);
                }
                Spliced::Cut => is_cut = true,
            }
        }
        if !pickup.crossing.is_empty() && !self.bridges.loaded.contains(&id) {
            self.bridges.loaded.push(id);
        }
        if is_cut {
            let seen = |kind| pickup.splice.current(kind).map(|reader| reader.track);
            let kind = BridgeEventKind::SourceChanged {
                video: seen(MediaKind::Video),
                audio: seen(MediaKind::Audio),
            };
            let key = pickup.key.clone();
            self.tell_pickup(key, id, kind);
        }
    }

    /// A room elects its speaker while somebody follows him.
    fn follow_speaker(&self, now: Instant, rooms: &mut Rooms, room: RegistryId) {
        let mut pickups = self.bridges.pickups.values();
        let followed = pickups.any(|p| p.room == room && p.picks.follow_speaker());
        // A room that is closed has none.
        let _ = rooms.room(now, room, |r, _| {
            r.follow_speaker(now, followed);
            Ok(())
        });
    }

    fn pickups_of(&self, room: RegistryId) -> Vec<BridgeId> {
        let pickups = self.bridges.pickups.iter();
        let of_room = pickups.filter(|(_, pickup)| pickup.room == room);
        of_room.map(|(id, _)| *id).collect()
    }

    fn tell_pickup(&mut self, key: StreamKey, bridge: BridgeId, kind: BridgeEventKind) {
        let event = BridgeEvent { key, bridge, kind };
        self.events.push(LiveEvent::Bridge(event));
    }
}

/// Whether a room has what is picked.
fn check(rooms: &Rooms, room: RegistryId, picks: Picks) -> Result<(), ServerError> {
    let registry = rooms.registry(room)?;
    if picks == Picks::default() {
        let why = "neither a picture nor a sound is named".to_owned();
        return Err(ServerError::InvalidOption(why));
    }
    for kind in KINDS {
        if let Some(Pick::Track(id)) = picks.of(kind)
            && !registry.published().any(|t| t.id == id && t.kind == kind)
        {
            return Err(SfuError::UnknownTrack(id).into());
        }
    }
    Ok(())
}

/// Asks for a keyframe; a track that is gone needs none.
fn refresh(now: Instant, rooms: &mut Rooms, room: RegistryId, track: RoomTrack, layer: u8) {
    let _ = rooms.room(now, room, |r, out| r.refresh(now, track, layer, out));
}

const KINDS: [MediaKind; 2] = [MediaKind::Video, MediaKind::Audio];
/// A layer without packets for so long has been given up by its publisher.
const SILENCE: Duration = Duration::from_millis(750);
/// A better layer that comes and goes is not run after: each time costs a keyframe.
const BETTER_AFTER: Duration = Duration::from_secs(5);
