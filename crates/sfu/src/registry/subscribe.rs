//! What a subscriber wishes, by call.

use std::time::Instant;

use super::Registry;
use crate::error::SfuError;
use crate::id::{ClientId, TrackId};
use crate::layer::Viewer;
use crate::options::{PreferredLayers, Role, SubscribeOptions};
use crate::output::Output;
use crate::propagated::LayerCause;
use crate::subscription::Subscription;

impl Registry {
    /// Subscribes to a track, or changes the options of a subscription. While no slot is free it
    /// waits and moves up later.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`]: no such track in this room, or the client's own;
    /// [`SfuError::Role`] for one that only publishes.
    pub fn subscribe(
        &mut self,
        now: Instant,
        id: ClientId,
        track: TrackId,
        options: SubscribeOptions,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        if self.client_mut(key)?.options.role == Role::Publish {
            return Err(SfuError::Role);
        }
        let index = self
            .track_index(track)
            .filter(|_| track.client() != id)
            .ok_or(SfuError::UnknownTrack(track))?;
        self.wish(now, key, index, options, out);
        self.unsettle(key);
        self.settle(now, out);
        Ok(())
    }

    /// Ends a subscription; its slot is free for the next waiting one.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`] if there is no such subscription.
    pub fn unsubscribe(
        &mut self,
        now: Instant,
        id: ClientId,
        track: TrackId,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let (key, place) = self.subscription(id, track)?;
        let client = self.client_mut(key)?;
        let subscription = client.subscriptions.remove(place);
        client.subscriptions_changed = true;
        if let Some(slot) = subscription.slot {
            if let Some(slot) = client.slots.get_mut(usize::from(slot)) {
                slot.unbind();
            }
            self.forget_viewer(subscription.track, Viewer { client: key, slot });
        }
        self.bind(now, key, out);
        self.settle(now, out);
        Ok(())
    }

    /// Bounds the layers of a subscription.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`] if there is no such subscription.
    pub fn set_preferred_layers(
        &mut self,
        now: Instant,
        id: ClientId,
        track: TrackId,
        layers: PreferredLayers,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let (key, place) = self.subscription(id, track)?;
        let client = self.client_mut(key)?;
        if let Some(subscription) = client.subscriptions.get_mut(place) {
            let (slot, temporal) = (subscription.slot, layers.temporal);
            subscription.prefer(now, layers);
            if let Some(slot) = slot.and_then(|s| client.slots.get_mut(usize::from(s))) {
                slot.bound_temporal(temporal);
            }
        }
        self.allocate(now, key);
        self.retarget(now, key, place, LayerCause::Preference, out);
        self.settle(now, out);
        Ok(())
    }

    /// Holds a subscription back, or lets it flow again from a keyframe. It keeps its slot.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`] if there is no such subscription.
    pub fn set_paused(
        &mut self,
        now: Instant,
        id: ClientId,
        track: TrackId,
        paused: bool,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let (key, place) = self.subscription(id, track)?;
        let client = self.client_mut(key)?;
        let Some(subscription) = client.subscriptions.get_mut(place) else {
            return Ok(());
        };
        if std::mem::replace(&mut subscription.paused, paused) == paused {
            return Ok(());
        }
        client.subscriptions_changed = true;
        let (index, slot) = (subscription.track, subscription.slot);
        if paused {
            self.hold(key, index, slot);
        } else {
            self.retarget(now, key, place, LayerCause::Start, out);
        }
        self.unsettle(key);
        self.settle(now, out);
        Ok(())
    }

    /// Orders subscriptions when bandwidth or slots are short.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`] if there is no such subscription.
    pub fn set_priority(
        &mut self,
        id: ClientId,
        track: TrackId,
        priority: u8,
    ) -> Result<(), SfuError> {
        let (key, place) = self.subscription(id, track)?;
        if let Some(subscription) = self.client_mut(key)?.subscriptions.get_mut(place) {
            subscription.priority = priority;
        }
        Ok(())
    }

    /// Asks the publisher of a subscribed track for a keyframe, merged and throttled.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`] if there is no such subscription.
    pub fn request_key_frame(
        &mut self,
        now: Instant,
        id: ClientId,
        track: TrackId,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let (key, place) = self.subscription(id, track)?;
        let client = self.client_mut(key)?;
        let Some(subscription) = client.subscriptions.get(place) else {
            return Ok(());
        };
        let index = subscription.track;
        let slot = subscription
            .slot
            .and_then(|slot| client.slots.get(usize::from(slot)));
        if let Some(layer) = slot.and_then(|slot| slot.target.or(slot.current)) {
            self.ask_keyframe(now, index, layer);
        }
        self.settle(now, out);
        Ok(())
    }

    /// Bounds what is sent to a client; none lifts the bound.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`].
    pub fn set_max_outgoing_bitrate(
        &mut self,
        now: Instant,
        id: ClientId,
        bits_per_second: Option<u64>,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let key = self.key(id)?;
        self.client_mut(key)?.options.max_outgoing_bitrate = bits_per_second;
        self.allocate(now, key);
        self.retarget_all(now, key, out);
        self.settle(now, out);
        Ok(())
    }

    /// Notes a wish and serves it if a slot is free.
    pub(super) fn wish(
        &mut self,
        now: Instant,
        key: u32,
        track: u32,
        options: SubscribeOptions,
        out: &mut Output,
    ) {
        let Some((id, kind)) = self.track(track).map(|track| (track.id, track.kind)) else {
            return;
        };
        let Some(client) = self.client_opt(key) else {
            return;
        };
        client.subscriptions_changed = true;
        match client.subscription_to(track) {
            None => {
                client
                    .subscriptions
                    .push(Subscription::new(id, track, kind, options));
                self.bind(now, key, out);
            }
            Some(place) => {
                let Some(subscription) = client.subscriptions.get_mut(place) else {
                    return;
                };
                let slot = subscription.slot;
                let temporal = options.layers.temporal;
                let paused = options.paused;
                *subscription = Subscription::new(id, track, kind, options);
                subscription.slot = slot;
                if let Some(slot) = slot.and_then(|s| client.slots.get_mut(usize::from(s))) {
                    slot.bound_temporal(temporal);
                }
                if paused {
                    self.hold(key, track, slot);
                } else {
                    self.retarget(now, key, place, LayerCause::Preference, out);
                }
            }
        }
    }

    /// Stops forwarding to a bound slot.
    fn hold(&mut self, key: u32, track: u32, slot: Option<u16>) {
        let Some(index) = slot else { return };
        self.forget_viewer(
            track,
            Viewer {
                client: key,
                slot: index,
            },
        );
        let slot = self
            .client_opt(key)
            .and_then(|c| c.slots.get_mut(usize::from(index)));
        if let Some(slot) = slot {
            slot.current = None;
            slot.target = None;
        }
    }

    fn subscription(&self, id: ClientId, track: TrackId) -> Result<(u32, usize), SfuError> {
        let key = self.key(id)?;
        let client = self.client(key).ok_or(SfuError::ClientClosed)?;
        let place = client
            .subscriptions
            .iter()
            .position(|s| s.track_id == track)
            .ok_or(SfuError::UnknownTrack(track))?;
        Ok((key, place))
    }
}
