//! A stream's frames into its room, for viewers there: cut into packets once, whatever their number.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use sluice_live::{
    AccessRequest, Action, AdmissionId, Next, Protocol, SubscribeOptions, SubscriptionId,
};
use sluice_media::{CodecConfig, Frame, StreamKey, Timestamp, TrackId};
use sluice_rtp::{Packetizer, PacketizerOptions, RtpPayload};
use sluice_sfu::{ClientId, SourcePacket, TrackId as RoomTrack};

use super::access::Asked;
use super::{Consumer, Live};
use crate::rooms::Rooms;
use crate::server::RegistryId;

/// The frames' way into one room.
#[derive(Debug)]
pub(super) struct Source {
    client: ClientId,
    subscription: Option<SubscriptionId>,
    tracks: HashMap<TrackId, Lane>,
}

#[derive(Debug)]
struct Lane {
    room_track: RoomTrack,
    config: CodecConfig,
    packetizer: Packetizer,
    clock_rate: std::num::NonZeroU32,
    next_sequence: u64,
    last: Option<Timestamp>,
}

impl Live {
    /// Makes sure that who joins the hall sees the stream: a publisher that is no client of it gets a source there.
    pub(super) fn open_source(&mut self, now: Instant, rooms: &mut Rooms, key: &StreamKey) {
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        if hall.publisher.is_some() || hall.source.is_some() {
            return;
        }
        let Ok(client) = rooms.insert_source(now, hall.id) else {
            return;
        };
        hall.source = Some(Source {
            client,
            subscription: None,
            tracks: HashMap::new(),
        });
        let request = AccessRequest::new(key.clone(), Protocol::ROOM);
        let asked = Asked::Hall(key.clone());
        if let Err((asked, error)) = self.ask(now, Action::Play, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// The source may read.
    pub(super) fn start_source(&mut self, now: Instant, admission: AdmissionId, key: &StreamKey) {
        let subscription = self
            .engine
            .subscribe(now, admission, SubscribeOptions::default());
        let hall = self.halls.get_mut(key);
        let source = hall.and_then(|hall| hall.source.as_mut());
        match (source, subscription) {
            (Some(source), Ok(subscription)) => {
                source.subscription = Some(subscription);
                self.readers
                    .insert(subscription, Consumer::Hall(key.clone()));
            }
            (None, Ok(subscription)) => self.engine.unsubscribe(now, subscription),
            (_, Err(_)) => self.engine.cancel(admission),
        }
    }

    pub(super) fn close_source(&mut self, now: Instant, source: &Source) {
        if let Some(subscription) = source.subscription {
            self.readers.remove(&subscription);
            self.engine.unsubscribe(now, subscription);
        }
    }

    /// Brings the room up to date with the stream.
    pub(super) fn feed_hall(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: &StreamKey,
        subscription: SubscriptionId,
    ) {
        let Some(hall) = self.halls.get_mut(key) else {
            return;
        };
        let Some(source) = &mut hall.source else {
            return;
        };
        let room = hall.id;
        loop {
            match self.engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    source.configure(now, rooms, room, track, config);
                }
                Next::Frame(frame) => source.send(now, rooms, room, frame),
                Next::Empty => return,
                Next::Ended(_) => break,
                // A picture after a gap begins with a keyframe, which is all that viewers need.
                _ => {}
            }
        }
        if let Some(source) = hall.source.take() {
            self.close_source(now, &source);
            super::hall::close(now, rooms, source.client, "the stream has ended");
        }
    }
}

impl Source {
    fn configure(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        room: RegistryId,
        track: TrackId,
        config: &CodecConfig,
    ) {
        if let Some(lane) = self.tracks.get_mut(&track)
            && lane.config.codec == config.codec
        {
            lane.set_config(config);
            return;
        }
        if let Some(lane) = self.tracks.remove(&track) {
            let _ = rooms.room(now, room, |r, out| {
                r.close_source_track(now, lane.room_track, out)
            });
        }
        let mut options = PacketizerOptions::default();
        options.overhead_bytes = OVERHEAD;
        let Some(packetizer) = Packetizer::new(config.codec, &options) else {
            return;
        };
        let Some(clock_rate) = std::num::NonZeroU32::new(config.codec.clock_rate()) else {
            return;
        };
        // Codecs that no browser takes stay out: their tracks are just not there.
        let client = self.client;
        let opened = rooms.room(now, room, |r, out| {
            r.open_source_track(now, client, config.codec, out)
        });
        let Ok(room_track) = opened else { return };
        let mut lane = Lane {
            room_track,
            config: config.clone(),
            packetizer,
            clock_rate,
            next_sequence: 1,
            last: None,
        };
        lane.set_config(config);
        self.tracks.insert(track, lane);
    }

    fn send(&mut self, now: Instant, rooms: &mut Rooms, room: RegistryId, frame: &Frame) {
        let Some(lane) = self.tracks.get_mut(&frame.track) else {
            return;
        };
        // A viewer shows pictures as they come: what belongs before the last one is too late (B-frames).
        if lane.last.is_some_and(|last| frame.pts < last) && !frame.discontinuity {
            return;
        }
        lane.last = Some(frame.pts);
        let mut payloads = Vec::new();
        if lane.packetizer.packetize(frame, &mut payloads).is_err() {
            return;
        }
        // Nothing to do for a track that has closed.
        let _ = rooms.room(now, room, |registry, out| {
            for payload in payloads {
                let (track, packet) = (lane.room_track, lane.packet(now, frame, payload));
                registry.write(now, track, packet, out)?;
            }
            Ok(())
        });
    }
}

impl Lane {
    fn set_config(&mut self, config: &CodecConfig) {
        let sets: Vec<Bytes> = config
            .parameter_sets()
            .map(Bytes::copy_from_slice)
            .collect();
        self.packetizer.set_parameter_sets(&sets);
        self.config = config.clone();
    }

    fn packet(&mut self, now: Instant, frame: &Frame, payload: RtpPayload) -> SourcePacket {
        let ticks = frame.pts.rescaled(self.clock_rate).ticks();
        // Before the origin only by a publisher's own count, which may begin anywhere.
        let time = u64::try_from(ticks.saturating_add(ORIGIN)).unwrap_or_default();
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        SourcePacket {
            seq: sequence,
            time: time + u64::from(payload.ticks()),
            marker: payload.marker(),
            payload: payload.into_bytes().as_ref().into(),
            captured: now,
        }
    }
}

/// RTP header with our extensions, the SRTP tag of AES-GCM, and the two bytes of RTX.
const OVERHEAD: usize = 12 + 24 + 16 + 2;
/// Keeps times above zero.
const ORIGIN: i64 = 1 << 40;
