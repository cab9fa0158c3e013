//! The rooms of one shard and the tables that lead to them: everything of a shard but its I/O.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sluice_net::timer::Wheel;
use sluice_sfu::{
    ClientId, ClientOptions, ClientSeed, CloseReason, Datagram, Deadline, DropCause, Output,
    Propagated, Registry, RegistryCounters, RegistryOptions, Route, RouteChange, Router, SfuError,
    Tapped, TrackId, Transmit, can_wait,
};

use crate::error::ServerError;
use crate::events::EventQueue;
use crate::server::RegistryId;
use crate::shard_number::on_shard;
use crate::sink::Event;
use crate::ufrag;

/// A client as the shard finds it.
#[derive(Debug, Clone, Copy)]
struct Peer {
    room: u32,
    key: u32,
    id: ClientId,
    /// The port that is its alone, where it is a foreign server that we call.
    line: Option<u16>,
}

#[derive(Debug)]
struct Room {
    id: RegistryId,
    registry: Registry,
    /// Touched since it was last settled.
    touched: bool,
    /// Of a live stream: its events are the live kernel's.
    is_hall: bool,
    /// How many bridges want to hear of its tracks.
    bridges: u32,
}

/// What was received and belonged to nobody, by cause. Absolute since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Strangers {
    pub(crate) unknown_protocol: u64,
    pub(crate) malformed_stun: u64,
    pub(crate) unknown_ufrag: u64,
    pub(crate) unknown_address: u64,
}

#[derive(Debug)]
pub(crate) struct Rooms {
    shard: u16,
    open: Vec<Option<Room>>,
    by_registry: HashMap<RegistryId, u32>,
    peers: Vec<Option<Peer>>,
    by_client: HashMap<ClientId, u32>,
    next_id: u64,
    router: Router,
    /// Who gets what comes in at the port of a call.
    lines: HashMap<u16, Router>,
    /// Ports of calls that are over, for the shard to close once their last words have left.
    pub(crate) hung_up: Vec<u16>,
    wheel: Wheel,
    due: Vec<u32>,
    /// The earliest tick of any room, so that a wake-up does not ask them all.
    next_tick: Option<Instant>,
    touched: Vec<u32>,
    output: Output,
    pub(crate) events: EventQueue,
    /// What happened in the halls of live streams.
    pub(crate) hall_events: Vec<(RegistryId, Propagated)>,
    /// Tracks that came and went in rooms with bridges, and the ends of those rooms.
    pub(crate) bridge_events: Vec<(RegistryId, Propagated)>,
    /// Tracks of sources that owe somebody in their room a keyframe, each once.
    pub(crate) keyframe_requests: Vec<(RegistryId, TrackId)>,
    /// Rooms whose speaker is another one now.
    pub(crate) speakers: Vec<RegistryId>,
    /// Packets of tapped tracks, with the room they are from.
    pub(crate) tapped: Vec<(RegistryId, Tapped)>,
    /// Datagrams to send, in the order the drains made them.
    pub(crate) transmits: Vec<Transmit>,
    /// Addresses that were won or lost since the last look, for the other shards.
    pub(crate) address_changes: Vec<RouteChange>,
    pub(crate) strangers: Strangers,
    /// When a client last sent media or shook hands.
    urgent_at: Option<Instant>,
    /// Of rooms that are gone.
    past: RegistryCounters,
    pub(crate) room_panics: u64,
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// A client here got it.
    Here,
    /// The shard that issued its ufrag may know.
    Shard(u16),
    /// Perhaps another shard knows the address.
    Elsewhere,
    /// Nobody's.
    Dropped,
}

impl Rooms {
    pub(crate) fn new(now: Instant, shard: u16) -> Self {
        Self {
            shard,
            open: Vec::new(),
            by_registry: HashMap::new(),
            peers: Vec::new(),
            by_client: HashMap::new(),
            next_id: 1,
            router: Router::default(),
            lines: HashMap::new(),
            hung_up: Vec::new(),
            wheel: Wheel::new(now),
            due: Vec::new(),
            next_tick: None,
            touched: Vec::new(),
            output: Output::default(),
            events: EventQueue::default(),
            hall_events: Vec::new(),
            bridge_events: Vec::new(),
            keyframe_requests: Vec::new(),
            speakers: Vec::new(),
            tapped: Vec::new(),
            transmits: Vec::new(),
            address_changes: Vec::new(),
            strangers: Strangers::default(),
            urgent_at: None,
            past: RegistryCounters::default(),
            room_panics: 0,
        }
    }

    pub(crate) fn open(
        &mut self,
        now: Instant,
        id: RegistryId,
        options: RegistryOptions,
        is_hall: bool,
    ) -> Result<(), ServerError> {
        let room = Room {
            id,
            registry: Registry::new(now, options),
            touched: false,
            is_hall,
            bridges: 0,
        };
        let index = place(&mut self.open, room)?;
        self.by_registry.insert(id, index);
        Ok(())
    }

    pub(crate) fn close(
        &mut self,
        now: Instant,
        id: RegistryId,
        reason: &CloseReason,
    ) -> Result<(), ServerError> {
        let index = self.by_registry.remove(&id).ok_or(ServerError::Closed)?;
        self.with(now, index, |registry, output| {
            registry.close(now, reason, output);
        });
        if let Some(room) = self.open.get_mut(index as usize).and_then(Option::take) {
            self.past += room.registry.counters();
        }
        Ok(())
    }

    pub(crate) fn close_all(&mut self, now: Instant, reason: &CloseReason) {
        let all: Vec<RegistryId> = self.by_registry.keys().copied().collect();
        for id in all {
            // Each id was just read from the table.
            let _ = self.close(now, id, reason);
        }
    }

    pub(crate) fn insert(
        &mut self,
        now: Instant,
        registry: RegistryId,
        options: ClientOptions,
    ) -> Result<ClientId, ServerError> {
        self.insert_on(now, registry, options, None)
    }

    /// Adds a foreign server that we call from a port of its own. The port is hung up when the client is gone.
    pub(crate) fn insert_called(
        &mut self,
        now: Instant,
        registry: RegistryId,
        options: ClientOptions,
        line: u16,
    ) -> Result<ClientId, ServerError> {
        self.insert_on(now, registry, options, Some(line))
    }

    fn insert_on(
        &mut self,
        now: Instant,
        registry: RegistryId,
        options: ClientOptions,
        line: Option<u16>,
    ) -> Result<ClientId, ServerError> {
        let index = *self.by_registry.get(&registry).ok_or(ServerError::Closed)?;
        let entropy = |e: getrandom::Error| ServerError::Internal(e.to_string());
        let (ufrag, password) = (
            ufrag::issue(self.shard).map_err(entropy)?,
            ufrag::password().map_err(entropy)?,
        );
        let (id, token) = self.enroll(index, line)?;
        let seed = ClientSeed {
            id,
            token,
            ufrag,
            password,
        };
        let key = self
            .with(now, index, |registry, output| {
                registry.insert(now, seed, options, output)
            })
            .ok_or(ServerError::Closed)?;
        match key {
            Ok(key) => {
                if let Some(Some(peer)) = self.peers.get_mut(token as usize) {
                    peer.key = key;
                }
                Ok(id)
            }
            Err(error) => {
                self.forget(token);
                Err(error.into())
            }
        }
    }

    /// A new client's names.
    fn enroll(&mut self, room: u32, line: Option<u16>) -> Result<(ClientId, u32), ServerError> {
        let id = ClientId::new(on_shard(self.next_id, usize::from(self.shard)));
        self.next_id += 1;
        let peer = Peer {
            room,
            key: u32::MAX,
            id,
            line,
        };
        let token = place(&mut self.peers, peer)?;
        self.by_client.insert(id, token);
        Ok((id, token))
    }

    /// Runs a call on the room of a client.
    pub(crate) fn client<T>(
        &mut self,
        now: Instant,
        id: ClientId,
        call: impl FnOnce(&mut Registry, &mut Output) -> Result<T, SfuError>,
    ) -> Result<T, ServerError> {
        let token = *self.by_client.get(&id).ok_or(ServerError::Closed)?;
        let room = self.peer(token).ok_or(ServerError::Closed)?.room;
        let outcome = self.with(now, room, call).ok_or(ServerError::Closed)?;
        Ok(outcome?)
    }

    /// Runs a call on a room; it is settled with the turn.
    pub(crate) fn room<T>(
        &mut self,
        now: Instant,
        id: RegistryId,
        call: impl FnOnce(&mut Registry, &mut Output) -> Result<T, SfuError>,
    ) -> Result<T, ServerError> {
        let index = *self.by_registry.get(&id).ok_or(ServerError::Closed)?;
        let outcome = self.with(now, index, call).ok_or(ServerError::Closed)?;
        self.touch(index);
        Ok(outcome?)
    }

    /// Adds a publisher that is no peer to a room.
    pub(crate) fn insert_source(
        &mut self,
        now: Instant,
        registry: RegistryId,
    ) -> Result<ClientId, ServerError> {
        let index = *self.by_registry.get(&registry).ok_or(ServerError::Closed)?;
        let (id, token) = self.enroll(index, None)?;
        let inserted = self.with(now, index, |registry, output| {
            registry.insert_source(now, id, token, output)
        });
        match inserted {
            Some(Ok(())) => Ok(id),
            refused => {
                self.forget(token);
                Err(refused.map_or(ServerError::Closed, |r| {
                    r.map_or_else(ServerError::from, |()| ServerError::Closed)
                }))
            }
        }
    }

    /// From now on, or no longer, one more bridge hears of a room's tracks. A room that is gone needs no telling.
    pub(crate) fn bridge(&mut self, id: RegistryId, bridged: bool) {
        let index = self.by_registry.get(&id);
        let room = index.and_then(|index| self.open.get_mut(*index as usize)?.as_mut());
        if let Some(room) = room {
            room.bridges = if bridged {
                room.bridges.saturating_add(1)
            } else {
                room.bridges.saturating_sub(1)
            };
        }
    }

    pub(crate) fn registry(&self, id: RegistryId) -> Result<&Registry, ServerError> {
        let index = *self.by_registry.get(&id).ok_or(ServerError::Closed)?;
        let room = self.open.get(index as usize).and_then(Option::as_ref);
        room.map(|room| &room.registry).ok_or(ServerError::Closed)
    }

    pub(crate) fn registries(&self) -> impl Iterator<Item = &Registry> {
        self.open.iter().flatten().map(|room| &room.registry)
    }

    /// Counters of all rooms that are or were.
    pub(crate) fn counters(&self) -> RegistryCounters {
        let mut sum = self.past;
        for registry in self.registries() {
            sum += registry.counters();
        }
        sum
    }

    /// Who gets this datagram; delivers it if that is here.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) -> Routed {
        match self
            .router
            .route(datagram.source, datagram.transport, datagram.bytes)
        {
            Route::Client(token) => {
                if !can_wait(datagram.bytes) {
                    self.urgent_at = Some(now);
                }
                self.deliver(now, token, datagram);
                Routed::Here
            }
            Route::ForeignUfrag(ufrag) => match ufrag::shard_of(ufrag) {
                Some(shard) if shard != self.shard => Routed::Shard(shard),
                _ => {
                    self.strangers.unknown_ufrag += 1;
                    Routed::Dropped
                }
            },
            Route::ForeignAddress => Routed::Elsewhere,
            Route::Drop(cause) => {
                match cause {
                    DropCause::MalformedStun => self.strangers.malformed_stun += 1,
                    DropCause::UnknownProtocol => self.strangers.unknown_protocol += 1,
                }
                Routed::Dropped
            }
        }
    }

    /// Delivers a datagram that came in at the port of a call.
    pub(crate) fn handle_answered(&mut self, now: Instant, line: u16, datagram: Datagram<'_>) {
        let router = self.lines.get(&line);
        let route = router.map(|r| r.route(datagram.source, datagram.transport, datagram.bytes));
        match route {
            Some(Route::Client(token)) => {
                if !can_wait(datagram.bytes) {
                    self.urgent_at = Some(now);
                }
                self.deliver(now, token, datagram);
            }
            Some(Route::ForeignUfrag(_)) => self.strangers.unknown_ufrag += 1,
            Some(Route::Drop(DropCause::MalformedStun)) => self.strangers.malformed_stun += 1,
            Some(Route::Drop(DropCause::UnknownProtocol)) => self.strangers.unknown_protocol += 1,
            Some(Route::ForeignAddress) | None => self.strangers.unknown_address += 1,
        }
    }

    /// Whether all that came lately can wait a few milliseconds for more of its kind.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.urgent_at
            .is_none_or(|at| now.saturating_duration_since(at) > QUIET)
    }

    /// Fires what is due, and the rooms' own ticks.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now, &mut due);
        for token in due.drain(..) {
            let Some(peer) = self.peer(token) else {
                continue;
            };
            self.with(now, peer.room, |registry, output| {
                registry.handle_timeout(now, peer.key, output);
            });
            self.touch(peer.room);
        }
        self.due = due;
        if self.next_tick.is_none_or(|at| at > now) {
            return;
        }
        for index in (0..).take(self.open.len()) {
            let room = self.open.get(index as usize).and_then(Option::as_ref);
            if room
                .and_then(|room| room.registry.next_tick())
                .is_some_and(|at| at <= now)
            {
                self.with(now, index, |registry, output| {
                    registry.handle_tick(now, output);
                });
            }
        }
        self.next_tick = self.registries().filter_map(Registry::next_tick).min();
    }

    /// Drains the rooms that were touched, a few clients at a time: what they say is to leave
    /// before the next are drained. True: more wait.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let Some(index) = self.touched.pop() else {
            return false;
        };
        let more = self
            .with(now, index, |registry, output| {
                registry.settle_some(now, output)
            })
            .unwrap_or_default();
        if more {
            self.touched.push(index);
        } else if let Some(room) = self.open.get_mut(index as usize).and_then(Option::as_mut) {
            room.touched = false;
        }
        !self.touched.is_empty()
    }

    /// When the shard must be awake.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [
            self.wheel.next_deadline(),
            self.next_tick,
            self.events.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn deliver(&mut self, now: Instant, token: u32, datagram: Datagram<'_>) {
        let Some(peer) = self.peer(token) else { return };
        let delivered = self.with(now, peer.room, |registry, output| {
            registry.handle_input(now, peer.key, datagram, output);
        });
        if delivered.is_none() {
            // The panic was this client's doing: it goes, the room stays.
            let reason = CloseReason::Internal("panic in its room".to_owned());
            self.with(now, peer.room, |registry, output| {
                registry.close_client(now, peer.id, reason, output)
            });
        }
        self.touch(peer.room);
    }

    /// Runs a call on a room and takes in what comes out. None: no such room, or it panicked,
    /// which is told as an error event and costs at most the client concerned.
    fn with<T>(
        &mut self,
        now: Instant,
        index: u32,
        call: impl FnOnce(&mut Registry, &mut Output) -> T,
    ) -> Option<T> {
        let room = self.open.get_mut(index as usize)?.as_mut()?;
        let output = &mut self.output;
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut room.registry, output)));
        let (id, tick, is_hall) = (room.id, room.registry.next_tick(), room.is_hall);
        let bridged = room.bridges > 0;
        while let Some(track) = room.registry.take_keyframe_request() {
            self.keyframe_requests.push((id, track));
        }
        self.next_tick = self.next_tick.into_iter().chain(tick).min();
        if outcome.is_err() {
            self.room_panics += 1;
            tracing::error!(registry = id.raw(), "a room panicked");
            let message = "a room panicked; the client concerned is closed".to_owned();
            self.output.events.push(Propagated::Error {
                client_id: None,
                message,
            });
        }
        self.take_in(now, id, is_hall, bridged);
        outcome.ok()
    }

    fn take_in(&mut self, now: Instant, registry: RegistryId, is_hall: bool, bridged: bool) {
        let mut output = std::mem::take(&mut self.output);
        self.transmits.append(&mut output.transmits);
        for Deadline { token, at, slack } in output.deadlines.drain(..) {
            self.wheel.arm_within(token, at, slack);
        }
        for change in output.routes.drain(..) {
            let token = change.token();
            if let Some(line) = self.peer(token).and_then(|peer| peer.line) {
                if matches!(change, RouteChange::Gone { .. }) {
                    self.lines.remove(&line);
                    self.hung_up.push(line);
                    self.forget(token);
                } else {
                    self.lines.entry(line).or_default().apply(&change);
                }
                continue;
            }
            self.router.apply(&change);
            match change {
                RouteChange::Gone { .. } => {
                    self.forget(token);
                    self.address_changes.push(change);
                }
                RouteChange::Authenticated { .. } => self.address_changes.push(change),
                RouteChange::Ufrag { .. } | RouteChange::Checked { .. } => {}
            }
        }
        let tapped = output.tapped.drain(..);
        self.tapped.extend(tapped.map(|packet| (registry, packet)));
        if is_hall {
            let events = output.events.drain(..);
            self.hall_events
                .extend(events.map(|event| (registry, event)));
        }
        if bridged {
            let told = output.events.iter().filter(|event| concerns_bridges(event));
            self.bridge_events
                .extend(told.map(|event| (registry, event.clone())));
        }
        if output.speaker.take().is_some() {
            self.speakers.push(registry);
        }
        for event in output.events.drain(..) {
            self.events.push(now, Event::Registry { registry, event });
        }
        self.output = output;
    }

    fn forget(&mut self, token: u32) {
        if let Some(peer) = self.peers.get_mut(token as usize).and_then(Option::take) {
            self.by_client.remove(&peer.id);
            self.wheel.cancel(token);
        }
    }

    fn touch(&mut self, index: u32) {
        if let Some(room) = self.open.get_mut(index as usize).and_then(Option::as_mut)
            && !std::mem::replace(&mut room.touched, true)
        {
            self.touched.push(index);
        }
    }

    fn peer(&self, token: u32) -> Option<Peer> {
        *self.peers.get(token as usize)?
    }
}

fn concerns_bridges(event: &Propagated) -> bool {
    matches!(
        event,
        Propagated::TrackOpen { .. } | Propagated::TrackClose { .. } | Propagated::Close { .. }
    )
}

fn place<T>(slots: &mut Vec<Option<T>>, value: T) -> Result<u32, ServerError> {
    let index = slots
        .iter()
        .position(Option::is_none)
        .unwrap_or(slots.len());
    let key = u32::try_from(index).map_err(|_| ServerError::Sfu(SfuError::Full))?;
    match slots.get_mut(index) {
        Some(hole) => *hole = Some(value),
        None => slots.push(Some(value)),
    }
    Ok(key)
}

/// Without media for this long a shard may be late by milliseconds.
const QUIET: Duration = Duration::from_millis(500);
