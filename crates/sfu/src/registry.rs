//! A room: its clients, the tracks they publish, and who gets what.
//!
//! The work is spread over this folder by what sets it off: [`membership`] a client coming or
//! going, [`input`] a datagram or a deadline, [`forward`] a media packet, [`flow`] a change of
//! who gets which layer, [`subscribe`] a wish, [`tick`] the passing of time, [`source`] the bridge.

mod flow;
mod forward;
mod input;
mod membership;
mod source;
mod subscribe;
mod tick;

pub use membership::ClientSeed;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::SfuError;
use crate::id::{ClientId, TrackId};
use crate::layer::Layer;
use crate::options::RegistryOptions;
use crate::output::Output;
use crate::propagated::{CloseReason, Propagated};
use crate::selector::Rung;
use crate::speaker::SpeakerDetector;
use crate::stats::{ClientStats, RegistryCounters};
use crate::track::Track;

/// A room. See the crate's documentation for the contract.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    /// Dense, so that the hot path reaches a subscriber by index.
    clients: Vec<Option<Box<Client>>>,
    by_id: HashMap<ClientId, u32>,
    tracks: Vec<Option<Box<Track>>>,
    /// Clients with output to drain, each listed once.
    dirty: VecDeque<u32>,
    /// Tracks and layers with packets of a frame that has not ended: forwarded with its end, or
    /// at `held_until`.
    held: Vec<(u32, usize)>,
    held_until: Option<Instant>,
    /// Viewers on their way from an old keyframe, each listed once, and when the first of them goes on.
    chasing: Vec<crate::layer::Viewer>,
    chase_at: Option<Instant>,
    /// Clients with something to report, each listed once.
    unsettled: Vec<u32>,
    counters: RegistryCounters,
    next_tick: Instant,
    rungs: Vec<Rung>,
    /// Who is to be switched by the packet at hand: scratch of the forwarding loop.
    ready: Vec<crate::layer::Viewer>,
    /// Tracks of sources that owe a keyframe, each listed once.
    source_requests: Vec<TrackId>,
    /// Only while somebody wants to know who speaks.
    speakers: Option<Box<SpeakerDetector>>,
}

impl Registry {
    /// An empty room.
    pub fn new(now: Instant, options: RegistryOptions) -> Self {
        Self {
            options,
            clients: Vec::new(),
            by_id: HashMap::new(),
            tracks: Vec::new(),
            dirty: VecDeque::new(),
            held: Vec::new(),
            held_until: None,
            chasing: Vec::new(),
            chase_at: None,
            unsettled: Vec::new(),
            counters: RegistryCounters::default(),
            next_tick: now,
            rungs: Vec::new(),
            ready: Vec::new(),
            source_requests: Vec::new(),
            speakers: None,
        }
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Counters since the start.
    pub fn counters(&self) -> RegistryCounters {
        self.counters
    }

    /// When [`Self::handle_tick`] wants to be called; none while the room is empty.
    pub fn next_tick(&self) -> Option<Instant> {
        let sooner = [self.held_until, self.chase_at];
        let tick = sooner.into_iter().flatten().min();
        let tick = tick.map_or(self.next_tick, |at| at.min(self.next_tick));
        (!self.is_empty()).then_some(tick)
    }

    /// Applies a remote offer and returns the answer (RFC 9429 §5.3).
    ///
    /// # Errors
    /// [`SfuError::Sdp`] leaves the client as it was; [`SfuError::SdpFatal`] closes it.
    pub fn accept_offer(
        &mut self,
        now: Instant,
        id: ClientId,
        sdp: &str,
        out: &mut Output,
    ) -> Result<String, SfuError> {
        let key = self.key(id)?;
        let answer = self.client_mut(key)?.accept_offer(now, sdp);
        self.negotiated(now, key, answer, out)
    }

    /// Makes an offer if there is something to negotiate and none is in flight.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`].
    pub fn create_offer(
        &mut self,
        now: Instant,
        id: ClientId,
        out: &mut Output,
    ) -> Result<Option<String>, SfuError> {
        let key = self.key(id)?;
        let offer = self.client_mut(key)?.create_offer(now);
        self.negotiated(now, key, offer, out)
    }

    /// Applies the answer to our offer in flight.
    ///
    /// # Errors
    /// [`SfuError::NoPendingOffer`] and [`SfuError::Sdp`] leave the client as it was;
    /// [`SfuError::SdpFatal`] closes it.
    pub fn accept_answer(
        &mut self,
        now: Instant,
        id: ClientId,
        sdp: &str,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        let outcome = self.client_mut(key)?.accept_answer(sdp);
        self.negotiated(now, key, outcome, out)
    }

    /// Adds a trickled candidate.
    ///
    /// # Errors
    /// [`SfuError::Candidate`] if it does not parse; the client is as before.
    pub fn add_ice_candidate(
        &mut self,
        now: Instant,
        id: ClientId,
        candidate: &str,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        let outcome = self.client_mut(key)?.add_ice_candidate(now, candidate);
        self.negotiated(now, key, outcome, out)
    }

    /// Makes the next offer an ICE restart and asks for it.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`].
    pub fn restart_ice(
        &mut self,
        now: Instant,
        id: ClientId,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        self.client_mut(key)?.negotiation.restart_ice = true;
        self.unsettle(key);
        self.settle(now, out);
        Ok(())
    }

    /// Measures one client.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`].
    pub fn client_stats(&self, now: Instant, id: ClientId) -> Result<ClientStats, SfuError> {
        let key = self.key(id)?;
        let client = self.client(key).ok_or(SfuError::ClientClosed)?;
        Ok(client.stats(now, &self.tracks))
    }

    /// Measures all clients, in order of insertion.
    pub fn stats(&self, now: Instant) -> Vec<ClientStats> {
        let mut all: Vec<_> = self
            .clients
            .iter()
            .flatten()
            .map(|client| (client.inserted_at, client.stats(now, &self.tracks)))
            .collect();
        all.sort_by_key(|(at, stats)| (*at, stats.client_id));
        all.into_iter().map(|(_, stats)| stats).collect()
    }

    /// Drains whatever is to be drained, then reports what is to be reported. Every call into a
    /// registry ends with it, except [`Self::handle_input`]: its caller does it once per batch.
    pub fn settle(&mut self, now: Instant, out: &mut Output) {
        // A drain may dirty others (a keyframe request its publisher), so go on until quiet. The
        // bound is against a loop of our own making; what is left is drained at the next call.
        let clients = self.dirty.len() + self.by_id.len();
        for _ in 0..=MAX_ROUNDS * (1 + clients / SETTLED_AT_ONCE) {
            if !self.settle_some(now, out) {
                break;
            }
        }
    }

    /// As [`Self::settle`], but returns after a few clients so that what they had to say can leave
    /// while it is in the processor's caches. True: more wait, call again.
    pub fn settle_some(&mut self, now: Instant, out: &mut Output) -> bool {
        if self.held_until.is_some_and(|at| at <= now) {
            for (track, layer) in std::mem::take(&mut self.held) {
                self.send_unsent(now, track, layer, out);
            }
            self.held_until = None;
        }
        if self.chase_at.is_some_and(|at| at <= now) {
            self.chase_at = None;
            self.go_on_chasing();
        }
        let mut drained = 0;
        while drained < SETTLED_AT_ONCE
            && let Some(key) = self.dirty.pop_front()
        {
            self.drain_dirty(now, key, out);
            drained += 1;
        }
        if !self.dirty.is_empty() {
            return true;
        }
        while let Some(key) = self.unsettled.pop() {
            self.report(now, key, out);
        }
        false
    }

    /// After a negotiation: a failure half-way closes the client, everything else is drained.
    fn negotiated<T>(
        &mut self,
        now: Instant,
        key: u32,
        outcome: Result<T, SfuError>,
        out: &mut Output,
    ) -> Result<T, SfuError> {
        if let Err(SfuError::SdpFatal(why)) = &outcome
            && let Some(client) = self.client_opt(key)
        {
            client.closing = Some(CloseReason::Sdp(why.clone()));
        } else if let Some(client) = self.client_opt(key) {
            let (token, ufrag) = (client.token, client.ufrag());
            out.routes
                .push(crate::output::RouteChange::Ufrag { token, ufrag });
        }
        self.drain(now, key, out);
        self.unsettle(key);
        self.settle(now, out);
        outcome
    }

    /// Reports a client's state where it differs from what was last told.
    fn report(&mut self, now: Instant, key: u32, out: &mut Output) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        client.marks.unsettled = false;
        if let Some(reason) = client.closing.take() {
            self.remove(now, key, reason, out);
            return;
        }
        let client_id = client.id;
        if std::mem::take(&mut client.subscriptions_changed) {
            let Some(client) = self.client(key) else {
                return;
            };
            let subscriptions = client
                .subscriptions
                .iter()
                .filter_map(|s| Some(client.describe(s, self.track(s.track)?)))
                .collect();
            out.events.push(Propagated::SubscriptionsChanged {
                client_id,
                subscriptions,
            });
        }
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let negotiation = &client.negotiation;
        if !negotiation.announced && !negotiation.is_pending() && client.wants_negotiation() {
            client.negotiation.announced = true;
            out.events.push(Propagated::NegotiationNeeded { client_id });
        }
    }

    fn key(&self, id: ClientId) -> Result<u32, SfuError> {
        self.by_id.get(&id).copied().ok_or(SfuError::ClientClosed)
    }

    fn client(&self, key: u32) -> Option<&Client> {
        self.clients.get(key as usize)?.as_deref()
    }

    fn client_opt(&mut self, key: u32) -> Option<&mut Client> {
        self.clients.get_mut(key as usize)?.as_deref_mut()
    }

    fn client_mut(&mut self, key: u32) -> Result<&mut Client, SfuError> {
        self.client_opt(key).ok_or(SfuError::ClientClosed)
    }

    fn track(&self, index: u32) -> Option<&Track> {
        self.tracks.get(index as usize)?.as_deref()
    }

    fn track_mut(&mut self, index: u32) -> Option<&mut Track> {
        self.tracks.get_mut(index as usize)?.as_deref_mut()
    }

    fn layer(&self, track: u32, place: usize) -> Option<&Layer> {
        self.track(track)?.layers.get(place)
    }

    fn layer_mut(&mut self, track: u32, place: usize) -> Option<&mut Layer> {
        self.track_mut(track)?.layers.get_mut(place)
    }

    fn track_index(&self, id: TrackId) -> Option<u32> {
        let index = self
            .tracks
            .iter()
            .position(|track| track.as_ref().is_some_and(|track| track.id == id))?;
        u32::try_from(index).ok()
    }

    fn soil(&mut self, key: u32) {
        if let Some(client) = self.client_opt(key)
            && !std::mem::replace(&mut client.marks.dirty, true)
        {
            self.dirty.push_back(key);
        }
    }

    fn unsettle(&mut self, key: u32) {
        if let Some(client) = self.client_opt(key)
            && !std::mem::replace(&mut client.marks.unsettled, true)
        {
            self.unsettled.push(key);
        }
    }
}

/// Puts `value` into the first hole and returns its index.
fn place<T>(slots: &mut Vec<Option<Box<T>>>, value: T) -> Option<u32> {
    let index = slots
        .iter()
        .position(Option::is_none)
        .unwrap_or(slots.len());
    let key = u32::try_from(index).ok()?;
    match slots.get_mut(index) {
        Some(hole) => *hole = Some(Box::new(value)),
        None => slots.push(Some(Box::new(value))),
    }
    Some(key)
}

const MAX_ROUNDS: usize = 16;
/// A frame for this many is a few tens of kilobytes, which the kernel then copies from near caches.
const SETTLED_AT_ONCE: usize = 8;
/// How long a frame's first packets wait for its last, to leave in one run.
const HOLD: Duration = Duration::from_millis(1);
/// Steps of one drain: a peer with more output than this waits for its next turn.
const DRAIN_BUDGET: usize = 256;
/// How often a room with media looks at silence, owed keyframes and estimates.
const TICK: Duration = Duration::from_millis(100);
/// How often a room without media does.
const SLOW_TICK: Duration = Duration::from_secs(1);
