//! Frames of a stream into a room: cut into packets once, whatever the number of those who see them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Instant;

use bytes::Bytes;
use sluice_media::{Codec, CodecConfig, Frame, Timestamp, TrackId};
use sluice_rtp::{Packetizer, PacketizerOptions, RtpPayload};
use sluice_sfu::{ClientId, SourcePacket, TrackId as RoomTrack};

use crate::rooms::Rooms;
use crate::server::RegistryId;

/// A stream's tracks as those of a source in one room.
#[derive(Debug)]
pub(super) struct RoomWriter {
    room: RegistryId,
    client: ClientId,
    tracks: HashMap<TrackId, Lane>,
    clock: Clock,
}

/// The publishers' times on one that goes on over all of them.
#[derive(Debug, Default)]
struct Clock {
    shift_micros: i64,
    /// The newest moment given out, and when.
    last: Option<(i64, Instant)>,
    /// Times begin anew with the next frame.
    restarts: bool,
}

#[derive(Debug)]
struct Lane {
    room_track: RoomTrack,
    config: CodecConfig,
    packetizer: Packetizer,
    clock_rate: NonZeroU32,
    next_sequence: u64,
    last: Option<i64>,
}

impl RoomWriter {
    pub(super) fn new(room: RegistryId, client: ClientId) -> Self {
        Self {
            room,
            client,
            tracks: HashMap::new(),
            clock: Clock::default(),
        }
    }

    /// The source that sends.
    pub(super) const fn client(&self) -> ClientId {
        self.client
    }

    /// Frames of the track are coded like this from here on.
    ///
    /// # Errors
    /// The codec, when no browser takes it: the track is just not there.
    pub(super) fn configure(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        track: TrackId,
        config: &CodecConfig,
    ) -> Result<(), Codec> {
        if let Some(lane) = self.tracks.get_mut(&track)
            && lane.config.codec == config.codec
        {
            lane.set_config(config);
            return Ok(());
        }
        if let Some(lane) = self.tracks.remove(&track) {
            // Closed with its room, perhaps.
            let _ = rooms.room(now, self.room, |r, out| {
                r.close_source_track(now, lane.room_track, out)
            });
        }
        let codec = config.codec;
        let mut options = PacketizerOptions::default();
        options.overhead_bytes = OVERHEAD;
        let packetizer = Packetizer::new(codec, &options).ok_or(codec)?;
        let clock_rate = NonZeroU32::new(codec.clock_rate()).ok_or(codec)?;
        let client = self.client;
        let opened = rooms.room(now, self.room, |r, out| {
            r.open_source_track(now, client, codec, out)
        });
        let mut lane = Lane {
            room_track: opened.map_err(|_| codec)?,
            config: config.clone(),
            packetizer,
            clock_rate,
            next_sequence: 1,
            last: None,
        };
        lane.set_config(config);
        self.tracks.insert(track, lane);
        Ok(())
    }

    /// The stream's times begin anew with the next frame; those of the room go on.
    pub(super) fn restart_clock(&mut self) {
        self.clock.restarts = true;
    }

    pub(super) fn send(&mut self, now: Instant, rooms: &mut Rooms, frame: &Frame) {
        let Some(lane) = self.tracks.get_mut(&frame.track) else {
            return;
        };
        let Some(micros) = self.clock.place(now, frame.pts.micros()) else {
            return;
        };
        // A viewer shows pictures as they come: what belongs before the last one is too late (B-frames).
        if lane.last.is_some_and(|last| micros < last) {
            return;
        }
        lane.last = Some(micros);
        let mut payloads = Vec::new();
        if lane.packetizer.packetize(frame, &mut payloads).is_err() {
            return;
        }
        // Nothing to do for a track that has closed.
        let _ = rooms.room(now, self.room, |registry, out| {
            for payload in payloads {
                let (track, packet) = (lane.room_track, lane.packet(now, micros, payload));
                registry.write(now, track, packet, out)?;
            }
            Ok(())
        });
    }
}

impl Clock {
    /// Where a publisher's moment lies; `None` for a frame from before times began anew, which comes late.
    fn place(&mut self, now: Instant, micros: i64) -> Option<i64> {
        let goes_on = self.last.map(|(last, at)| {
            let passed = now.saturating_duration_since(at).as_micros();
            last.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX))
        });
        if std::mem::take(&mut self.restarts)
            && let Some(goes_on) = goes_on
        {
            self.shift_micros = goes_on.saturating_sub(micros);
        }
        let place = micros.saturating_add(self.shift_micros);
        if goes_on.is_some_and(|goes_on| place.saturating_sub(goes_on) > FAR_MICROS) {
            return None;
        }
        if self.last.is_none_or(|(last, _)| place >= last) {
            self.last = Some((place, now));
        }
        Some(place)
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

    fn packet(&mut self, now: Instant, micros: i64, payload: RtpPayload) -> SourcePacket {
        let ticks = Timestamp::new(micros, MICROS)
            .rescaled(self.clock_rate)
            .ticks();
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
const MICROS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
/// The kernel tells of a jump by half of this.
const FAR_MICROS: i64 = 10_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn times_of_the_next_publisher_go_on_where_those_before_ended() {
        let (now, mut clock) = (Instant::now(), Clock::default()); // an arbitrary origin, read once
        assert_eq!(clock.place(now, 500 * SECOND), Some(500 * SECOND));
        clock.restarts = true;
        let later = now + Duration::from_secs(3);
        assert_eq!(clock.place(later, 0), Some(503 * SECOND));
        assert_eq!(clock.place(later, SECOND), Some(504 * SECOND));
    }

    #[test]
    fn what_is_left_of_the_times_before_is_late() {
        let (now, mut clock) = (Instant::now(), Clock::default()); // an arbitrary origin, read once
        clock.place(now, 500 * SECOND);
        clock.restarts = true;
        clock.place(now, 0);
        assert_eq!(clock.place(now, 500 * SECOND), None);
        assert_eq!(clock.place(now, SECOND), Some(501 * SECOND));
    }
}
