//! The passing of time: silence, owed keyframes, estimates, and peers that are gone.

use std::time::Instant;

use sluice_media::MediaKind;
use str0m::bwe::Bitrate;

use super::{Registry, SLOW_TICK, TICK};
use crate::allocator::{Claim, allocate};
use crate::client::Client;
use crate::options::RegistryOptions;
use crate::output::Output;
use crate::propagated::{CloseReason, IceState, LayerCause, Propagated};
use crate::selector::ceiling;

impl Registry {
    /// Does what is due by time alone; see [`Registry::next_tick`].
    pub fn handle_tick(&mut self, now: Instant, out: &mut Output) {
        if now < self.next_tick {
            self.settle(now, out);
            return;
        }
        let busy = self.tracks.iter().any(Option::is_some);
        self.next_tick = now + if busy { TICK } else { SLOW_TICK };
        for track in (0..).take(self.tracks.len()) {
            self.tick_track(now, track, out);
        }
        for key in (0..).take(self.clients.len()) {
            self.tick_client(now, key, out);
        }
        if let Some(speakers) = &mut self.speakers {
            out.speaker = speakers.elect(now).or(out.speaker);
        }
        self.settle(now, out);
    }

    fn tick_track(&mut self, now: Instant, index: u32, out: &mut Output) {
        let Some(track) = self.track_mut(index) else {
            return;
        };
        let (client_id, track_id) = (track.id.client(), track.id);
        let mut owed = Vec::new();
        let mut flowing = false;
        for (place, layer) in track.layers.iter_mut().enumerate() {
            layer.ring.evict(now);
            let active = layer.is_active(now);
            flowing |= active;
            // A layer that never sent is not paused, it has not begun.
            if layer.last_packet.is_some() && layer.paused == active {
                layer.paused = !active;
                out.events.push(Propagated::StreamPaused {
                    client_id,
                    track_id,
                    rid: layer.rid.map(|rid| rid.to_string()),
                    paused: !active,
                });
            }
            let (waits, views) = (!layer.waiting.is_empty(), !layer.viewers.is_empty());
            if active && (waits || views) && layer.throttle.retry_due(now, waits) {
                owed.push(place);
            }
        }
        let begun = track.layers.iter().any(|layer| layer.last_packet.is_some());
        if begun && track.muted == flowing {
            track.muted = !flowing;
            let muted = track.muted;
            out.events.push(Propagated::TrackMuted {
                client_id,
                track_id,
                muted,
            });
        }
        for layer in owed {
            self.ask_keyframe(now, index, layer);
        }
    }

    fn tick_client(&mut self, now: Instant, key: u32, out: &mut Output) {
        let Self {
            clients, options, ..
        } = self;
        let Some(client) = clients.get_mut(key as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        if let Some(reason) = client.overdue(now, options) {
            client.closing = Some(reason);
            self.unsettle(key);
            return;
        }
        if client.negotiation.expire(now, options.offer_timeout) {
            self.unsettle(key);
        }
        if self.client(key).is_some_and(|client| client.connected) {
            self.allocate(now, key);
            self.retarget_all(now, key, out);
        }
    }

    /// Looks at every subscription again: an estimate moved, or a layer came or went.
    pub(super) fn retarget_all(&mut self, now: Instant, key: u32, out: &mut Output) {
        let count = self
            .client(key)
            .map_or(0, |client| client.subscriptions.len());
        for place in 0..count {
            self.retarget(now, key, place, LayerCause::Bandwidth, out);
        }
    }

    /// Divides a client's estimate over its video subscriptions.
    pub(super) fn allocate(&mut self, now: Instant, key: u32) {
        let Some(client) = self.client(key) else {
            return;
        };
        let Some(budget) = client.budget() else {
            return;
        };
        let mut audio = 0;
        let mut claims = Vec::new();
        let mut places = Vec::new();
        for (place, subscription) in client.subscriptions.iter().enumerate() {
            let Some(slot) = subscription
                .slot
                .and_then(|s| client.slots.get(usize::from(s)))
            else {
                continue;
            };
            if subscription.paused {
                continue;
            }
            if slot.kind == MediaKind::Audio {
                audio += slot.rate.bits_per_second(now);
                continue;
            }
            let Some(track) = self.track(subscription.track) else {
                continue;
            };
            let mut rungs = Vec::new();
            track.rungs(now, &mut rungs);
            let ceiling = ceiling(track, &rungs, &subscription.layers);
            let current = slot
                .current
                .and_then(|layer| rungs.iter().position(|r| r.layer == layer));
            claims.push(Claim {
                priority: subscription.priority,
                rungs,
                ceiling,
                current,
                trial: subscription.is_on_trial(now),
                granted: 0,
            });
            places.push(place);
        }
        let wanted = allocate(&mut claims, budget.saturating_sub(audio)) + audio;
        let Some(client) = self.client_opt(key) else {
            return;
        };
        for (place, claim) in places.into_iter().zip(claims) {
            if let Some(subscription) = client.subscriptions.get_mut(place) {
                subscription.grant(now, claim.granted);
            }
        }
        if client.aim(wanted) {
            self.soil(key);
        }
    }
}

impl Client {
    /// Why this client has to go, if it has to.
    fn overdue(&self, now: Instant, options: &RegistryOptions) -> Option<CloseReason> {
        let since = |at: Instant| now.saturating_duration_since(at);
        if self.is_source {
            return None;
        }
        if !self.connected {
            return (since(self.inserted_at) > options.connect_timeout).then_some(
                match self.ice_state {
                    IceState::Connected | IceState::Completed => CloseReason::Dtls,
                    _ => CloseReason::Ice,
                },
            );
        }
        if self
            .disconnected_since
            .is_some_and(|at| since(at) > options.disconnect_timeout)
        {
            return Some(CloseReason::Ice);
        }
        (since(self.last_input) > options.idle_timeout).then_some(CloseReason::Timeout)
    }

    /// Tells the estimator what there would be to send, in steps: each change makes str0m probe.
    fn aim(&mut self, wanted: u64) -> bool {
        let desired = wanted + wanted / 10;
        let (old, step) = (self.link.desired, self.link.desired / 5);
        if self.link.estimate.is_none() || desired.abs_diff(old) <= step {
            return false;
        }
        let Some(engine) = self.existing_engine() else {
            return false;
        };
        engine
            .rtc
            .bwe()
            .set_bitrate(Bitrate::ZERO, Bitrate::bps(desired));
        self.link.desired = desired;
        true
    }
}
