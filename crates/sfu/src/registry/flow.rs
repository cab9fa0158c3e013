//! Who gets which layer: binding slots, choosing targets, switching at a chain start.

use std::time::Instant;

use sluice_media::{MediaKind, Read};
use str0m::media::{KeyframeRequestKind, Mid};

use super::Registry;
use crate::layer::Viewer;
use crate::output::Output;
use crate::propagated::{KeyframeKind, Layer as LayerPoint, LayerCause, Propagated};
use crate::selector::{best_fit, ceiling};

impl Registry {
    /// Gives free slots to waiting subscriptions, higher priority first, then the earlier wish.
    pub(super) fn bind(&mut self, now: Instant, key: u32, out: &mut Output) {
        self.unbind_disabled(key);
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let mut order: Vec<usize> = (0..client.subscriptions.len())
            .filter(|i| client.wants_slot(*i))
            .collect();
        order.sort_by_key(|i| {
            client
                .subscriptions
                .get(*i)
                .map(|s| std::cmp::Reverse(s.priority))
        });
        for place in order {
            let Some(client) = self.client_opt(key) else {
                return;
            };
            let Some(slot) = client.free_slot(place) else {
                continue;
            };
            let Some(subscription) = client.subscriptions.get_mut(place) else {
                continue;
            };
            subscription.slot = Some(slot);
            let (track, temporal) = (subscription.track, subscription.layers.temporal);
            if let Some((engine, slot)) = client.engine_and_slot(slot) {
                slot.wake(&mut engine.rtc);
                slot.bind(track, temporal);
            }
            client.subscriptions_changed = true;
            self.retarget(now, key, place, LayerCause::Start, out);
        }
        self.unsettle(key);
    }

    /// Starts every bound subscription of a client that has just connected.
    pub(super) fn start_all(&mut self, now: Instant, key: u32, out: &mut Output) {
        let count = self
            .client(key)
            .map_or(0, |client| client.subscriptions.len());
        for place in 0..count {
            self.retarget(now, key, place, LayerCause::Start, out);
        }
    }

    /// Chooses the layer a subscription should have and sets out for it.
    pub(super) fn retarget(
        &mut self,
        now: Instant,
        key: u32,
        place: usize,
        cause: LayerCause,
        out: &mut Output,
    ) {
        let Self {
            clients,
            tracks,
            rungs,
            ..
        } = self;
        let Some(client) = clients.get_mut(key as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        let Some(subscription) = client.subscriptions.get(place) else {
            return;
        };
        if subscription.paused || !client.connected {
            return;
        }
        let (Some(slot_index), index) = (subscription.slot, subscription.track) else {
            return;
        };
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        track.rungs(now, rungs);
        let top = ceiling(track, rungs, &subscription.layers);
        let desired = subscription.granted.map_or(top, |granted| granted.min(top));
        let Some(rung) = best_fit(rungs, desired) else {
            return;
        };
        let Some(slot) = client.slots.get_mut(usize::from(slot_index)) else {
            return;
        };
        let viewer = Viewer {
            client: key,
            slot: slot_index,
        };
        if slot.target == Some(rung.layer) {
            return;
        }
        if let Some(layer) = slot.target.take().and_then(|old| track.layers.get_mut(old)) {
            layer.waiting.retain(|v| *v != viewer);
        }
        if slot.current == Some(rung.layer) {
            return;
        }
        let silent = slot
            .current
            .is_some_and(|current| !rungs.iter().any(|r| r.layer == current && r.active));
        slot.cause = match slot.current {
            None => LayerCause::Start,
            Some(_) if silent => LayerCause::SourceSilent,
            Some(_) => cause,
        };
        slot.target = Some(rung.layer);
        let kind = track.kind;
        if let Some(layer) = track.layers.get_mut(rung.layer) {
            layer.waiting.push(viewer);
        }
        if kind == MediaKind::Video {
            if self.try_switch(now, index, rung.layer, viewer, out) {
                self.counters.ring_starts += 1;
            } else {
                self.ask_keyframe(now, index, rung.layer);
            }
        }
    }

    /// After a packet of a video layer: those who wait for it switch if they can.
    pub(super) fn switch_waiting(
        &mut self,
        now: Instant,
        track: u32,
        layer: usize,
        out: &mut Output,
    ) {
        let mut ready = std::mem::take(&mut self.ready);
        if let Some(layer) = self.layer(track, layer) {
            ready.extend_from_slice(&layer.waiting);
        }
        for viewer in ready.drain(..) {
            self.try_switch(now, track, layer, viewer, out);
        }
        self.ready = ready;
    }

    /// After the end of a frame: those who were held back so as not to cut it switch now.
    pub(super) fn switch_siblings(
        &mut self,
        now: Instant,
        track: u32,
        ended: usize,
        out: &mut Output,
    ) {
        let layers = self.track(track).map_or(0, |t| t.layers.len());
        for layer in (0..layers).filter(|layer| *layer != ended) {
            self.switch_waiting(now, track, layer, out);
        }
    }

    /// Audio starts with the newest packet: who began with a straggler would miss all that came
    /// between, and ask for it.
    pub(super) fn switch_audio(
        &mut self,
        now: Instant,
        index: u32,
        place: usize,
        out: &mut Output,
    ) {
        let Self {
            clients, tracks, ..
        } = self;
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let id = track.id;
        let Some(layer) = track.layers.get_mut(place) else {
            return;
        };
        let mut cursor = layer.ring.join();
        let joined = cursor.clone();
        let Read::Item(packet) = layer.ring.read(&mut cursor) else {
            return;
        };
        if layer.newest != Some(packet.seq) {
            return;
        }
        let waiting = std::mem::take(&mut layer.waiting);
        for viewer in &waiting {
            let Some(client) = clients
                .get_mut(viewer.client as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            let client_id = client.id;
            let Some(slot) = client.slots.get_mut(usize::from(viewer.slot)) else {
                continue;
            };
            slot.switch(layer, packet);
            slot.current = Some(place);
            slot.cursor = Some(joined.clone());
            slot.target = None;
            out.events.push(Propagated::LayerChanged {
                client_id,
                track_id: id,
                layer: LayerPoint::default(),
                cause: slot.cause,
            });
        }
        layer.viewers.extend_from_slice(&waiting);
        for viewer in waiting {
            self.pull_slot(now, viewer);
            self.soil(viewer.client);
        }
    }

    /// Switches a viewer to a layer if the layer's ring has a start fresh enough and no frame
    /// would be cut; the ring is replayed from there, so nothing is missed and nothing doubled.
    fn try_switch(
        &mut self,
        now: Instant,
        index: u32,
        target: usize,
        viewer: Viewer,
        out: &mut Output,
    ) -> bool {
        // What it has not taken yet of the layer it leaves tells whether that is in mid-frame.
        self.pull_slot(now, viewer);
        let Self {
            clients,
            tracks,
            counters,
            ..
        } = self;
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return false;
        };
        let (id, params) = (track.id, track.params);
        let Some(layer) = track.layers.get(target) else {
            return false;
        };
        let publisher = clients
            .get(track.publisher as usize)
            .and_then(Option::as_deref);
        let is_asked = publisher.is_some_and(|publisher| !publisher.is_source);
        let Some(client) = clients
            .get_mut(viewer.client as usize)
            .and_then(Option::as_deref_mut)
        else {
            return false;
        };
        let client_id = client.id;
        let Some((engine, slot)) = client.engine_and_slot(viewer.slot) else {
            return false;
        };
        let mut cursor = layer.join(now, slot.current.is_some() && is_asked);
        let Read::Item(first) = layer.ring.read(&mut cursor) else {
            return false;
        };
        let start = layer.ring.start().unwrap_or_default();
        let since = layer.ring.head().saturating_sub(start);
        if slot.current.is_some() && slot.is_mid_frame() && since < HOLD_PACKETS {
            return false;
        }
        let old = slot.current.replace(target);
        slot.target = None;
        let (cause, rid) = (slot.cause, layer.rid);
        let joined = (first, cursor);
        slot.begin(&mut engine.rtc, now, params, layer, joined, counters);
        if let Some(layer) = old.and_then(|old| track.layers.get_mut(old)) {
            layer.viewers.retain(|v| *v != viewer);
        }
        if let Some(layer) = track.layers.get_mut(target) {
            layer.waiting.retain(|v| *v != viewer);
            layer.viewers.push(viewer);
        }
        if old != Some(target) {
            counters.count_selection(target, track.layers.len());
            out.events.push(Propagated::LayerChanged {
                client_id,
                track_id: id,
                layer: LayerPoint {
                    rid: rid.map(|r| r.to_string()),
                    spatial: 0,
                    temporal: 0,
                },
                cause,
            });
        }
        self.pull_slot(now, viewer);
        self.soil(viewer.client);
        true
    }

    /// Asks the publisher for a keyframe of one layer, unless it was asked within the second.
    /// Returns whether the request rode on an earlier one.
    pub(super) fn ask_keyframe(&mut self, now: Instant, index: u32, place: usize) -> bool {
        let Some(track) = self.track(index) else {
            return true;
        };
        let (publisher, track_id) = (track.publisher, track.id);
        let is_source = self
            .client(publisher)
            .is_some_and(|client| client.is_source);
        let Some(layer) = self.layer_mut(index, place) else {
            return true;
        };
        let ssrc = layer.ssrc;
        if ssrc.is_none() && !is_source {
            // Nothing to address it to yet; the tick pays when its first packet was no keyframe.
            layer.throttle.owe();
            return true;
        }
        if !layer.throttle.request(now) {
            self.counters.pli_merged += 1;
            return true;
        }
        self.counters.pli_out += 1;
        if is_source {
            if !self.source_requests.contains(&track_id) {
                self.source_requests.push(track_id);
            }
            return false;
        }
        let engine = self
            .client_opt(publisher)
            .and_then(|client| client.existing_engine());
        if let (Some(engine), Some(ssrc)) = (engine, ssrc)
            && let Some(stream) = engine.rtc.direct_api().stream_rx(&ssrc)
        {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.soil(publisher);
        false
    }

    /// A subscriber lost its picture: once per chain start the ring can answer, else the source.
    pub(super) fn on_keyframe_request(
        &mut self,
        now: Instant,
        key: u32,
        mid: Mid,
        kind: KeyframeKind,
        out: &mut Output,
    ) {
        self.counters.pli_in += 1;
        let Some(client) = self.client(key) else {
            return;
        };
        let client_id = client.id;
        let Some(place) = client.slots.iter().position(|slot| slot.mid == mid) else {
            return;
        };
        let Some(slot) = client.slots.get(place) else {
            return;
        };
        let (Some(index), Some(layer)) = (slot.track, slot.target.or(slot.current)) else {
            return;
        };
        let (current, replayed) = (slot.current, slot.replayed);
        let Some(state) = self.layer(index, layer) else {
            return;
        };
        let (rid, start) = (state.rid, state.ring.start());
        let Some(track_id) = self.track(index).map(|t| t.id) else {
            return;
        };
        let viewer = Viewer {
            client: key,
            slot: u16::try_from(place).unwrap_or(u16::MAX),
        };
        let from_ring = current == Some(layer)
            && start != replayed
            && self.try_switch(now, index, layer, viewer, out);
        let merged = from_ring || self.ask_keyframe(now, index, layer);
        if from_ring {
            self.counters.ring_starts += 1;
        }
        out.events.push(Propagated::KeyframeRequest {
            client_id,
            source_client_id: track_id.client(),
            track_id,
            rid: rid.map(|rid| rid.to_string()),
            kind,
            merged,
        });
    }

    /// Takes a viewer off all lists of a track.
    pub(super) fn forget_viewer(&mut self, track: u32, viewer: Viewer) {
        let Some(track) = self.track_mut(track) else {
            return;
        };
        for layer in &mut track.layers {
            layer.viewers.retain(|v| *v != viewer);
            layer.waiting.retain(|v| *v != viewer);
        }
    }

    /// Frees the slots whose m-line no longer sends.
    fn unbind_disabled(&mut self, key: u32) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let mut freed = Vec::new();
        for subscription in &mut client.subscriptions {
            let Some(slot) = subscription.slot else {
                continue;
            };
            if client
                .slots
                .get(usize::from(slot))
                .is_some_and(|slot| !slot.enabled)
            {
                subscription.slot = None;
                freed.push((subscription.track, slot));
            }
        }
        for (track, slot) in freed {
            if let Some(client) = self.client_opt(key) {
                client.subscriptions_changed = true;
                if let Some(slot) = client.slots.get_mut(usize::from(slot)) {
                    slot.unbind();
                }
            }
            self.forget_viewer(track, Viewer { client: key, slot });
        }
    }
}

/// A switch waits this many packets of the new layer for the old one's frame to end.
const HOLD_PACKETS: u64 = 32;
