//! The doors to the bridge: copies of what a track carries, and tracks fed from inside the process.

use std::time::Instant;

use sluice_media::Codec;
use str0m::IceCreds;

use super::{Registry, place};
use crate::bridge::{SourcePacket, source_params};
use crate::client::Client;
use crate::error::SfuError;
use crate::id::{ClientId, TrackId};
use crate::options::{ClientOptions, Replay, Role, SubscribeOptions};
use crate::output::Output;
use crate::packet::Packet;
use crate::propagated::{Propagated, PublishedTrack, TrackCloseReason};
use crate::selector::best_fit;
use crate::speaker::SpeakerDetector;
use crate::track::Track;

impl Registry {
    /// Starts or stops copying a track's packets, of all its layers, into [`Output::tapped`]. The copy shares the
    /// payload; it costs subscribers nothing.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`]; [`SfuError::Role`] for a track of a source, whose packets the caller has.
    pub fn tap(&mut self, track: TrackId, tapped: bool) -> Result<(), SfuError> {
        let index = self
            .track_index(track)
            .ok_or(SfuError::UnknownTrack(track))?;
        if self.source_track(track).is_some() {
            return Err(SfuError::Role);
        }
        if let Some(track) = self.track_mut(index) {
            track.tapped = tapped;
        }
        Ok(())
    }

    /// Asks a track's publisher for a keyframe of one layer, merged and throttled: for who reads a tap and has lost
    /// the thread.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`].
    pub fn refresh(
        &mut self,
        now: Instant,
        track: TrackId,
        layer: u8,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let index = self
            .track_index(track)
            .ok_or(SfuError::UnknownTrack(track))?;
        self.ask_keyframe(now, index, usize::from(layer));
        self.settle(now, out);
        Ok(())
    }

    /// Begins or ends electing who speaks, by the levels that publishers send with their sound (RFC 6464). Changes come
    /// by [`Output::speaker`]; a room that is not followed spends nothing on it.
    pub fn follow_speaker(&mut self, now: Instant, followed: bool) {
        if !followed {
            self.speakers = None;
        } else if self.speakers.is_none() {
            self.speakers = Some(Box::new(SpeakerDetector::new(now)));
        }
    }

    /// Who was elected last and is still here.
    pub fn speaker(&self) -> Option<ClientId> {
        self.speakers.as_ref()?.speaker()
    }

    /// What peers publish, client by client in the order of their tracks; sources are not among them.
    pub fn published(&self) -> impl Iterator<Item = PublishedTrack> {
        let of_peer = |track: &&Track| {
            let publisher = self.client(track.publisher);
            publisher.is_some_and(|client| !client.is_source)
        };
        let mut tracks: Vec<&Track> = self.tracks.iter().flatten().map(Box::as_ref).collect();
        tracks.retain(of_peer);
        tracks.sort_by_key(|track| track.id);
        tracks.into_iter().map(Track::describe)
    }

    /// The best layer of a track that flows now, else the one that its publisher lists as its best.
    pub fn best_layer(&self, now: Instant, track: TrackId) -> Option<u8> {
        let track = self.track(self.track_index(track)?)?;
        let mut rungs = Vec::new();
        track.rungs(now, &mut rungs);
        let best = best_fit(&rungs, usize::MAX)?;
        u8::try_from(best.layer).ok()
    }

    /// Adds a publisher that is no peer: it has no connection and never times out. `token` is not used for it.
    ///
    /// # Errors
    /// [`SfuError::Full`].
    pub fn insert_source(
        &mut self,
        now: Instant,
        id: ClientId,
        token: u32,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let options = ClientOptions {
            role: Role::Publish,
            auto_subscribe: false,
            ..ClientOptions::default()
        };
        let creds = IceCreds {
            ufrag: String::new(),
            pass: String::new(),
        };
        let mut client = Client::new(now, id, token, creds, Vec::new(), options);
        client.is_source = true;
        let key = place(&mut self.clients, client).ok_or(SfuError::Full)?;
        self.by_id.insert(id, key);
        self.counters.client_inserts += 1;
        self.next_tick = self.next_tick.min(now + super::SLOW_TICK);
        self.settle(now, out);
        Ok(())
    }

    /// Opens a track of a source. Its packets come by [`Registry::write`]. They are kept since the newest keyframe, so
    /// that who comes later sees a picture at once: there may be nobody to ask for another one.
    ///
    /// # Errors
    /// [`SfuError::ClientClosed`]; [`SfuError::Role`] for a client that is no source, or a codec that no peer takes.
    pub fn open_source_track(
        &mut self,
        now: Instant,
        id: ClientId,
        codec: Codec,
        out: &mut Output,
    ) -> Result<TrackId, SfuError> {
        let key = self.key(id)?;
        let client = self.client_mut(key)?;
        let params = source_params(codec).filter(|_| client.is_source);
        let params = params.ok_or(SfuError::Role)?;
        let number = client.tracks_opened;
        client.tracks_opened = number.wrapping_add(1);
        let track_id = id.track(number);
        let mid = number.to_string().as_str().into();
        client.add_line(mid, codec.kind());
        let mut track = Track::new(track_id, key, mid, codec.kind(), &[], Replay::Whole);
        track.codec = Some(codec);
        track.params = Some(params);
        let described = track.describe();
        let index = place(&mut self.tracks, track).ok_or(SfuError::Full)?;
        let line = self
            .client_opt(key)
            .and_then(|client| client.lines.iter_mut().find(|line| line.mid == mid));
        if let Some(line) = line {
            line.track = Some(index);
        }
        self.next_tick = self.next_tick.min(now + super::TICK);
        out.events.push(Propagated::TrackOpen {
            client_id: id,
            track: described,
        });
        self.offer_track(now, key, index, out);
        self.settle(now, out);
        Ok(track_id)
    }

    /// Closes a track of a source.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`].
    pub fn close_source_track(
        &mut self,
        now: Instant,
        track: TrackId,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let index = self
            .source_track(track)
            .ok_or(SfuError::UnknownTrack(track))?;
        let publisher = self.track(index).map(|track| track.publisher);
        if let Some(client) = publisher.and_then(|key| self.client_opt(key)) {
            client.lines.retain(|line| line.track != Some(index));
        }
        self.close_track(now, index, TrackCloseReason::Stopped, out);
        self.settle(now, out);
        Ok(())
    }

    /// Sends a packet to everybody who gets this track of a source. The caller settles once per batch.
    ///
    /// # Errors
    /// [`SfuError::UnknownTrack`].
    pub fn write(
        &mut self,
        now: Instant,
        track: TrackId,
        packet: SourcePacket,
        out: &mut Output,
    ) -> Result<(), SfuError> {
        let unknown = SfuError::UnknownTrack(track);
        let index = self.source_track(track).ok_or(unknown.clone())?;
        let found = self.track(index).and_then(|t| Some((t.codec?, t.params?)));
        let (codec, params) = found.ok_or(unknown)?;
        let packet = Packet::from_source(now, packet, codec, params.pt());
        self.accept(now, index, 0, packet, out);
        Ok(())
    }

    /// A source's track was asked for a keyframe since this was last called.
    pub fn take_keyframe_request(&mut self) -> Option<TrackId> {
        self.source_requests.pop()
    }

    /// Everybody who takes all tracks by himself wishes for this one.
    pub(super) fn offer_track(&mut self, now: Instant, key: u32, index: u32, out: &mut Output) {
        for other in (0..).take(self.clients.len()) {
            let automatic = self
                .client(other)
                .is_some_and(|c| c.options.auto_subscribe && c.options.role != Role::Publish);
            if other != key && automatic {
                self.wish(now, other, index, SubscribeOptions::default(), out);
            }
        }
    }

    fn source_track(&self, id: TrackId) -> Option<u32> {
        let index = self.track_index(id)?;
        let publisher = self.track(index)?.publisher;
        self.client(publisher)?.is_source.then_some(index)
    }
}
