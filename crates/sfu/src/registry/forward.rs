//! The hot path: a publisher's packet into the layer's ring, and out of it to each subscriber.
//!
//! No lock, no await, no search per subscriber, no copy of the payload.

use std::time::Instant;

use sluice_media::{Codec, MediaKind};
use str0m::rtp::{RtpPacket, Ssrc};

use super::{HOLD, Registry};
use crate::chase::speed;
use crate::client::{Client, Ingress};
use crate::layer::Viewer;
use crate::output::Output;
use crate::packet::{Packet, tapped};
use crate::propagated::{LayerCause, Propagated};
use crate::track::Track;

impl Registry {
    pub(super) fn forward(&mut self, now: Instant, key: u32, packet: RtpPacket, out: &mut Output) {
        if packet.payload.len() > MAX_PAYLOAD {
            self.counters.oversized_dropped += 1;
            return;
        }
        let Some(Ingress {
            track: index,
            layer,
            ..
        }) = self.ingress(key, packet.header.ssrc)
        else {
            self.counters.inbound_dropped += 1;
            return;
        };
        if self.is_replaced(now, index, layer, packet.header.ssrc) {
            self.counters.inbound_dropped += 1;
            return;
        }
        let Self {
            clients,
            tracks,
            speakers,
            ..
        } = self;
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let Some(publisher) = clients.get_mut(key as usize).and_then(Option::as_deref_mut) else {
            return;
        };
        publisher.link.media_at = Some(now);
        let wallclock = publisher.clock.wallclock(&packet);
        if track
            .params
            .is_none_or(|params| params.pt() != packet.header.payload_type)
        {
            learn_codec(track, publisher, &packet, out);
        }
        let codec = track.codec.unwrap_or(Codec::Other {
            kind: track.kind,
            clock_rate: packet.time.frequency().get(),
        });
        if let Some(speakers) = speakers
            && let Some(level) = packet.header.ext_vals.audio_level
        {
            speakers.hear(now, key, publisher.id, level);
        }
        if track.tapped {
            out.tapped.push(tapped(&packet, codec, track.id, layer));
        }
        let packet = Packet::new(packet, codec, wallclock);
        self.accept(now, index, layer, packet, out);
    }

    /// Takes a packet into its layer: forwarded with the rest of its frame.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        index: u32,
        layer: usize,
        mut packet: Packet,
        out: &mut Output,
    ) {
        let Self {
            tracks,
            held,
            held_until,
            counters,
            ..
        } = self;
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let kind = track.kind;
        let Some(layer_state) = track.layers.get_mut(layer) else {
            return;
        };
        layer_state.note(now, &mut packet);
        match kind {
            MediaKind::Audio => counters.bytes_in_audio += packet.payload.len() as u64,
            MediaKind::Video => counters.bytes_in_video += packet.payload.len() as u64,
        }

        let done = kind == MediaKind::Audio
            || packet.ends_frame()
            || layer_state.unsent.len() + 1 >= MAX_HELD;
        if layer_state.unsent.is_empty() && !done {
            held.push((index, layer));
            held_until.get_or_insert(now + HOLD);
        }
        layer_state.unsent.push(packet);
        if done {
            self.send_unsent(now, index, layer, out);
        }
    }

    /// Puts what a layer holds, a frame as a rule, into its ring and tells its viewers of it: each
    /// takes it out when its turn to be drained comes ([`Registry::pull`]), so that a subscriber's
    /// state is fetched once a frame and its packets leave in one run.
    pub(super) fn send_unsent(&mut self, now: Instant, index: u32, layer: usize, out: &mut Output) {
        self.held.retain(|held| *held != (index, layer));
        if self.held.is_empty() {
            self.held_until = None;
        }
        let Self {
            clients,
            tracks,
            dirty,
            ..
        } = self;
        let Some(track) = tracks
            .get_mut(index as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let kind = track.kind;
        let Some(layer_state) = track.layers.get_mut(layer) else {
            return;
        };
        let ends_frame = layer_state.unsent.last().is_some_and(Packet::ends_frame);
        for packet in layer_state.unsent.drain(..) {
            layer_state.ring.push(packet.arrived.min(now), packet);
        }
        for viewer in &layer_state.viewers {
            let Some(client) = clients
                .get_mut(viewer.client as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            client.marks.news |= bit(viewer.slot);
            if !std::mem::replace(&mut client.marks.dirty, true) {
                dirty.push_back(viewer.client);
            }
        }
        if !layer_state.waiting.is_empty() {
            match kind {
                MediaKind::Audio => self.switch_audio(now, index, layer, out),
                MediaKind::Video => self.switch_waiting(now, index, layer, out),
            }
        }
        if ends_frame && track_has_waiting(self.track(index), layer) {
            self.switch_siblings(now, index, layer, out);
        }
    }

    /// Brings these slots of a client up to date with the rings of what they play.
    pub(super) fn pull(&mut self, now: Instant, key: u32, mut slots: u64) {
        while slots != 0 {
            let number = u16::try_from(slots.trailing_zeros()).unwrap_or_default();
            slots &= slots - 1;
            self.pull_slot(
                now,
                Viewer {
                    client: key,
                    slot: number,
                },
            );
        }
    }

    pub(super) fn pull_slot(&mut self, now: Instant, viewer: Viewer) {
        let Self {
            clients,
            tracks,
            counters,
            ..
        } = self;
        let Some(client) = clients
            .get_mut(viewer.client as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        let budget = client.budget();
        let Some((engine, slot)) = client.engine_and_slot(viewer.slot) else {
            return;
        };
        let (Some(index), Some(place)) = (slot.track, slot.current) else {
            return;
        };
        let Some(track) = tracks.get(index as usize).and_then(Option::as_deref) else {
            return;
        };
        let Some(layer) = track.layers.get(place) else {
            return;
        };
        let rtc = &mut engine.rtc;
        let is_in_step = if slot.chase.is_none() {
            slot.pull(rtc, now, track.params, &layer.ring, counters)
        } else {
            let speed = speed(budget, layer.rate.bits_per_second(now));
            slot.pull_chasing(rtc, now, track.params, (layer, speed), counters)
        };
        if let Some(chase) = &mut slot.chase {
            let due = self.chase_at.map_or(chase.due, |at| at.min(chase.due));
            self.chase_at = Some(due);
            if !std::mem::replace(&mut chase.is_awaited, true) {
                self.chasing.push(viewer);
            }
        }
        if is_in_step {
            return;
        }
        // More came at once than a ring holds. It goes on from the next chain start.
        if let Some(layer) = self.layer_mut(index, place) {
            layer.viewers.retain(|v| *v != viewer);
        }
        self.begin_anew(index, place, viewer);
        self.ask_keyframe(now, index, place);
    }

    /// Has those who are on their way from an old keyframe look for what is due.
    pub(super) fn go_on_chasing(&mut self) {
        for viewer in std::mem::take(&mut self.chasing) {
            let Some(client) = self.client_opt(viewer.client) else {
                continue;
            };
            let slot = client.slots.get_mut(usize::from(viewer.slot));
            let Some(chase) = slot.and_then(|slot| slot.chase.as_mut()) else {
                continue;
            };
            chase.is_awaited = false;
            client.marks.news |= bit(viewer.slot);
            self.soil(viewer.client);
        }
    }

    /// Where this SSRC's packets go; learned at its first packet, then a short scan.
    fn ingress(&mut self, key: u32, ssrc: Ssrc) -> Option<Ingress> {
        let client = self.client_opt(key)?;
        if let Some((_, ingress)) = client.ingress.iter().find(|(known, _)| *known == ssrc) {
            return Some(*ingress);
        }
        let (mid, rid) = client.existing_engine()?.stream_names(ssrc)?;
        let track = client.lines.iter().find(|line| line.mid == mid)?.track?;
        let layer = self.track(track)?.layer_of(rid)?;
        let client = self.client_opt(key)?;
        // An SSRC replaced by its publisher leaves its entry behind: the oldest goes.
        if client.ingress.len() >= MAX_INGRESS {
            client.ingress.remove(0);
        }
        let ingress = Ingress {
            track,
            layer,
            mid,
            rid,
        };
        client.ingress.push((ssrc, ingress));
        self.change_source(track, layer, ssrc);
        Some(ingress)
    }

    /// Whether this is a straggler of an SSRC another one has taken the layer over from. One that
    /// comes back when the other has fallen silent takes over again.
    fn is_replaced(&mut self, now: Instant, index: u32, place: usize, ssrc: Ssrc) -> bool {
        let Some(layer) = self.layer(index, place) else {
            return true;
        };
        if layer.ssrc == Some(ssrc) {
            return false;
        }
        if layer.is_active(now) {
            return true;
        }
        self.change_source(index, place, ssrc);
        false
    }

    /// From now on the layer comes from this SSRC. If it came from another before, its viewers
    /// begin anew: the numbers of the two have nothing in common (RFC 3550 §5.1).
    fn change_source(&mut self, index: u32, place: usize, ssrc: Ssrc) {
        let Some(layer) = self.layer_mut(index, place) else {
            return;
        };
        if layer.ssrc.replace(ssrc).is_none_or(|old| old == ssrc) {
            return;
        }
        let viewers = layer.restart();
        self.held.retain(|held| *held != (index, place));
        for viewer in viewers {
            self.begin_anew(index, place, viewer);
        }
    }

    /// A viewer of a layer waits for its next chain start, unless it is on its way to a sibling.
    fn begin_anew(&mut self, index: u32, place: usize, viewer: Viewer) {
        let slot = self
            .client_opt(viewer.client)
            .and_then(|client| client.slots.get_mut(usize::from(viewer.slot)));
        let Some(slot) = slot else { return };
        slot.current = None;
        slot.cursor = None;
        slot.chase = None;
        if slot.target.is_some() {
            return;
        }
        slot.target = Some(place);
        slot.cause = LayerCause::Start;
        if let Some(layer) = self.layer_mut(index, place) {
            layer.waiting.push(viewer);
        }
    }
}

/// A slot in a set of slots.
const fn bit(slot: u16) -> u64 {
    // Slots are fewer than 64.
    1 << (slot & 63)
}

/// Notes the codec of a new payload type and tells the world.
fn learn_codec(track: &mut Track, publisher: &mut Client, packet: &RtpPacket, out: &mut Output) {
    let Some(engine) = publisher.existing_engine() else {
        return;
    };
    let pt = packet.header.payload_type;
    let found = engine
        .rtc
        .codec_config()
        .params()
        .iter()
        .find(|p| p.pt() == pt)
        .copied();
    let Some(params) = found else { return };
    track.params = Some(params);
    let codec = Codec::from_name(&params.spec().codec.to_string());
    if track.codec != codec {
        track.codec = codec;
        let client_id = publisher.id;
        out.events.push(Propagated::TrackChanged {
            client_id,
            track: track.describe(),
        });
    }
}

fn track_has_waiting(track: Option<&Track>, except: usize) -> bool {
    track.is_some_and(|track| {
        track
            .layers
            .iter()
            .enumerate()
            .any(|(i, layer)| i != except && !layer.waiting.is_empty())
    })
}

/// A frame of more leaves in parts: a GSO run has 64 kB at most.
const MAX_HELD: usize = 48;
/// Above this a subscriber's `Rtc` would panic in its scratch buffer (STR0M.md §14).
const MAX_PAYLOAD: usize = 1460;
/// SSRCs of one publisher that are told apart.
const MAX_INGRESS: usize = 64;
