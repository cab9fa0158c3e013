//! A subscriber's wish for one track.

use std::time::{Duration, Instant};

use sluice_media::MediaKind;

use crate::client::Client;
use crate::id::TrackId;
use crate::options::{PreferredLayers, SubscribeOptions};

#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) track_id: TrackId,
    /// Dense index of the track.
    pub(crate) track: u32,
    pub(crate) kind: MediaKind,
    pub(crate) priority: u8,
    pub(crate) paused: bool,
    pub(crate) layers: PreferredLayers,
    /// The slot it plays in; none while it waits for one.
    pub(crate) slot: Option<u16>,
    /// The highest rung the allocator grants; none before its first verdict.
    pub(crate) granted: Option<usize>,
    /// When the estimate last took a layer away.
    lowered: Option<Instant>,
    /// Until when a layer asked for by name may overdraw the estimate.
    trial_until: Option<Instant>,
}

impl Subscription {
    pub(crate) fn new(
        track_id: TrackId,
        track: u32,
        kind: MediaKind,
        options: SubscribeOptions,
    ) -> Self {
        Self {
            track_id,
            track,
            kind,
            priority: options.priority,
            paused: options.paused,
            layers: options.layers,
            slot: None,
            granted: None,
            lowered: None,
            trial_until: None,
        }
    }

    /// Sets new bounds; the estimate's verdict was made under the old ones.
    pub(crate) fn prefer(&mut self, now: Instant, layers: PreferredLayers) {
        let by_name = layers.rid.is_some() || layers.spatial.is_some();
        self.trial_until = by_name.then(|| now + TRIAL);
        self.layers = layers;
        self.granted = None;
        self.lowered = None;
    }

    pub(crate) fn is_on_trial(&self, now: Instant) -> bool {
        self.trial_until.is_some_and(|until| now < until)
    }

    /// Takes the allocator's verdict: down at once, up only after the estimate has held for a
    /// while, or a link at the border of two layers would flap between them.
    pub(crate) fn grant(&mut self, now: Instant, rung: usize) {
        match self.granted {
            Some(old) if rung < old => self.lowered = Some(now),
            Some(old) if rung > old => {
                let recently = |at| now.saturating_duration_since(at) < UP_DELAY;
                if self.lowered.is_some_and(recently) {
                    return;
                }
            }
            _ => {}
        }
        self.granted = Some(rung);
    }
}

impl Client {
    pub(crate) fn subscription_to(&self, track: u32) -> Option<usize> {
        self.subscriptions.iter().position(|s| s.track == track)
    }

    pub(crate) fn wants_slot(&self, place: usize) -> bool {
        self.subscriptions
            .get(place)
            .is_some_and(|s| s.slot.is_none())
    }

    /// A free slot for this subscription; by preference the one whose number another track of
    /// the same publisher has among its kind, as the two share a stream id.
    pub(crate) fn free_slot(&self, place: usize) -> Option<u16> {
        let wish = self.subscriptions.get(place)?;
        let partner = self
            .subscriptions
            .iter()
            .filter(|s| s.kind != wish.kind && s.track_id.client() == wish.track_id.client())
            .find_map(|s| self.number_among_kind(s.slot?));
        let free = |index: &usize| {
            self.slots
                .get(*index)
                .is_some_and(|slot| slot.enabled && slot.kind == wish.kind && slot.track.is_none())
        };
        let mut candidates = (0..self.slots.len()).filter(free);
        let first = candidates.clone().next()?;
        let chosen = candidates
            .find(|index| {
                let number = u16::try_from(*index)
                    .ok()
                    .and_then(|i| self.number_among_kind(i));
                number.is_some() && number == partner
            })
            .unwrap_or(first);
        u16::try_from(chosen).ok()
    }

    fn number_among_kind(&self, slot: u16) -> Option<usize> {
        let kind = self.slots.get(usize::from(slot))?.kind;
        Some(
            self.slots
                .iter()
                .take(usize::from(slot))
                .filter(|s| s.kind == kind)
                .count(),
        )
    }
}

/// How long after a step down the next step up may come.
const UP_DELAY: Duration = Duration::from_secs(3);
/// Long enough for the estimator to see what the layer takes.
const TRIAL: Duration = Duration::from_secs(4);
