//! Clients come and go, and their tracks with them.

use std::time::Instant;

use sluice_media::MediaKind;
use str0m::IceCreds;
use str0m::media::{Direction, Rid, Rids};

use super::{Registry, place};
use crate::client::{Client, Line};
use crate::engine::{Step, guarded};
use crate::error::SfuError;
use crate::id::ClientId;
use crate::layer::Viewer;
use crate::options::{ClientOptions, Role, SubscribeOptions};
use crate::output::{Output, RouteChange};
use crate::propagated::{CloseReason, Propagated, TrackCloseReason};
use crate::slot::Slot;
use crate::track::Track;

/// What makes a client besides its options.
#[derive(Debug, Clone)]
pub struct ClientSeed {
    /// Unique in the process, at most 48 bits.
    pub id: ClientId,
    /// What the output calls this client; the caller's own dense number.
    pub token: u32,
    /// Its ICE user name fragment (RFC 8445 §5.3), which the caller makes routable.
    pub ufrag: String,
    /// Its ICE password: at least 22 characters, random.
    pub password: String,
}

impl Registry {
    /// Adds a client and returns its key for [`Registry::handle_input`].
    ///
    /// # Errors
    /// [`SfuError::Full`] at 65 536 clients.
    pub fn insert(
        &mut self,
        now: Instant,
        seed: ClientSeed,
        options: ClientOptions,
        out: &mut Output,
    ) -> Result<u32, SfuError> {
        if self.by_id.len() >= MAX_CLIENTS {
            return Err(SfuError::Full);
        }
        let (token, ufrag) = (seed.token, seed.ufrag.clone());
        let creds = IceCreds {
            ufrag: seed.ufrag,
            pass: seed.password,
        };
        let calling = options.calling.as_ref();
        let candidates = calling.map_or(&self.options.candidates, |calling| &calling.candidates);
        let candidates = candidates.clone();
        let automatic = options.auto_subscribe && options.role != Role::Publish;
        let client = Client::new(now, seed.id, token, creds, candidates, options);
        let key = place(&mut self.clients, client).ok_or(SfuError::Full)?;
        self.by_id.insert(seed.id, key);
        self.counters.client_inserts += 1;
        if self.by_id.len() == 1 {
            self.next_tick = now + super::SLOW_TICK;
        }
        out.routes.push(RouteChange::Ufrag { token, ufrag });
        if automatic {
            let tracks: Vec<u32> = (0..).take(self.tracks.len()).collect();
            for track in tracks {
                self.wish(now, key, track, SubscribeOptions::default(), out);
            }
        }
        self.unsettle(key);
        self.settle(now, out);
        Ok(key)
    }

    /// Closes one client: BYE and `close_notify` leave with this call's output.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`] if it is closed already.
    pub fn close_client(
        &mut self,
        now: Instant,
        id: ClientId,
        reason: CloseReason,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        self.remove(now, key, reason, out);
        self.settle(now, out);
        Ok(())
    }

    /// Closes every client, then reports `Close`.
    pub fn close(&mut self, now: Instant, reason: &CloseReason, out: &mut Output) {
        for key in (0..).take(self.clients.len()) {
            self.remove(now, key, reason.clone(), out);
        }
        self.settle(now, out);
        out.events.push(Propagated::Close {
            reason: reason.clone(),
        });
    }

    /// Frees everything a client holds. Its last datagrams go out, its events come out.
    pub(super) fn remove(&mut self, now: Instant, key: u32, reason: CloseReason, out: &mut Output) {
        let Some(mut client) = self.clients.get_mut(key as usize).and_then(Option::take) else {
            return;
        };
        say_goodbye(&mut client, now, out);
        self.by_id.remove(&client.id);
        if let Some(speakers) = &mut self.speakers {
            speakers.forget(key, client.id);
        }
        let viewed: Vec<(u32, u16)> = client
            .subscriptions
            .iter()
            .filter_map(|s| Some((s.track, s.slot?)))
            .collect();
        for (track, slot) in viewed {
            self.forget_viewer(track, Viewer { client: key, slot });
        }
        for track in client.lines.iter().filter_map(|line| line.track) {
            self.close_track(now, track, TrackCloseReason::ClientGone, out);
        }
        out.routes.push(RouteChange::Gone {
            token: client.token,
        });
        self.counters.client_disconnects += 1;
        if client.panicked {
            self.counters.client_panics += 1;
        }
        out.events.push(Propagated::ClientDisconnected {
            client_id: client.id,
            reason,
        });
    }

    /// Looks through a client's m-lines after a negotiation: opens and closes tracks and slots.
    pub(super) fn review_lines(&mut self, now: Instant, key: u32, out: &mut Output) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        client.lines_changed = false;
        let (publishes, subscribes) = (
            client.options.role != Role::Subscribe,
            client.options.role != Role::Publish,
        );
        let mut opened: Vec<(usize, Vec<Rid>)> = Vec::new();
        let mut closed = Vec::new();
        for index in 0..client.lines.len() {
            let Some(line) = client.lines.get(index) else {
                continue;
            };
            let (mid, kind, track, slot) = (line.mid, line.kind, line.track, line.slot);
            let Some(engine) = client.existing_engine() else {
                return;
            };
            let Some(media) = engine.rtc.media(mid) else {
                continue;
            };
            let direction = if media.disabled() {
                Direction::Inactive
            } else {
                media.direction()
            };
            let rids = match media.rids_rx() {
                Rids::Specific(rids) => rids.clone(),
                Rids::None | Rids::Any => Vec::new(),
            };
            match (direction.is_receiving() && publishes, track) {
                (true, None) => opened.push((index, rids)),
                (false, Some(track)) => {
                    closed.push(track);
                    if let Some(line) = client.lines.get_mut(index) {
                        line.track = None;
                    }
                }
                _ => {}
            }
            client.review_slot(
                now,
                index,
                mid,
                kind,
                slot,
                direction.is_sending() && subscribes,
            );
        }
        for track in closed {
            self.close_track(now, track, TrackCloseReason::Stopped, out);
        }
        for (line, rids) in opened {
            self.open_track(now, key, line, &rids, out);
        }
        self.bind(now, key, out);
        if let Some(client) = self.client_opt(key) {
            client.for_each_slot(Slot::sleep);
        }
        self.unsettle(key);
    }

    fn open_track(&mut self, now: Instant, key: u32, line: usize, rids: &[Rid], out: &mut Output) {
        let replay = self.options.replay;
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let (client_id, number) = (client.id, client.tracks_opened);
        let Some(Line { mid, kind, .. }) = client.lines.get(line) else {
            return;
        };
        let track = Track::new(client_id.track(number), key, *mid, *kind, rids, replay);
        client.tracks_opened = number.wrapping_add(1);
        let described = track.describe();
        let Some(index) = place(&mut self.tracks, track) else {
            return;
        };
        if let Some(line) = self.client_opt(key).and_then(|c| c.lines.get_mut(line)) {
            line.track = Some(index);
        }
        self.next_tick = self.next_tick.min(now + super::TICK);
        out.events.push(Propagated::TrackOpen {
            client_id,
            track: described,
        });
        self.offer_track(now, key, index, out);
    }

    pub(super) fn close_track(
        &mut self,
        now: Instant,
        index: u32,
        reason: TrackCloseReason,
        out: &mut Output,
    ) {
        let Some(track) = self.tracks.get_mut(index as usize).and_then(Option::take) else {
            return;
        };
        if let Some(publisher) = self.client_opt(track.publisher) {
            publisher
                .ingress
                .retain(|(_, ingress)| ingress.track != index);
        }
        out.events.push(Propagated::TrackClose {
            client_id: track.id.client(),
            track_id: track.id,
            reason,
        });
        for key in (0..).take(self.clients.len()) {
            let Some(client) = self.client_opt(key) else {
                continue;
            };
            let Some(place) = client.subscriptions.iter().position(|s| s.track == index) else {
                continue;
            };
            let subscription = client.subscriptions.remove(place);
            if let Some(slot) = subscription
                .slot
                .and_then(|s| client.slots.get_mut(usize::from(s)))
            {
                slot.unbind();
            }
            client.subscriptions_changed = true;
            self.bind(now, key, out);
            self.unsettle(key);
        }
    }
}

impl Client {
    /// Keeps a slot for an m-line that sends.
    fn review_slot(
        &mut self,
        now: Instant,
        line: usize,
        mid: str0m::media::Mid,
        kind: MediaKind,
        slot: Option<u16>,
        sends: bool,
    ) {
        match slot {
            Some(slot) => {
                if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
                    slot.enabled = sends;
                }
            }
            None if sends && self.slots.len() < MAX_SLOTS => {
                let Some(engine) = self.existing_engine() else {
                    return;
                };
                let mut api = engine.rtc.direct_api();
                let Some(stream) = api.stream_tx_by_mid(mid, None) else {
                    return;
                };
                let slot = Slot::new(now, mid, kind, stream.ssrc(), stream.rtx());
                slot.bound_rtx_cache(&mut engine.rtc);
                let index = u16::try_from(self.slots.len()).ok();
                self.slots.push(slot);
                if let Some(line) = self.lines.get_mut(line) {
                    line.slot = index;
                }
            }
            None => {}
        }
    }
}

/// BYE (RFC 3550 §6.6) and `close_notify` (RFC 8446 §6.1), as far as one drain brings them out.
fn say_goodbye(client: &mut Client, now: Instant, out: &mut Output) {
    let Some(engine) = client.existing_engine() else {
        return;
    };
    if !matches!(guarded(|| engine.rtc.close()), Ok(Ok(()))) {
        return;
    }
    for _ in 0..GOODBYE_BUDGET {
        match engine.step(now, &mut out.transmits) {
            Ok(Step::More | Step::Packet(_) | Step::Event(_)) => {}
            Ok(Step::Idle { .. }) | Err(_) => return,
        }
    }
}

const MAX_CLIENTS: usize = 65_536;
/// m-lines of one client that we send on.
const MAX_SLOTS: usize = 64;
const GOODBYE_BUDGET: usize = 256;
