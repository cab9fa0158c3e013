//! A publisher's RTP tracks into frames on one timeline.

use std::num::NonZeroU32;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sluice_media::{
    Codec, CodecConfig, Frame, ParameterSets, TrackId, inspect_access_unit, opus_packet_samples,
};
use sluice_rtp::{
    AccessUnit, Depacketized, Depacketizer, Moment, NtpTime, Packet, ReorderBuffer, ReorderLimits,
    Reordered, SenderInfo, Timeline,
};
use sluice_sfu::{Tapped, TrackId as RoomTrack};

/// Where packets of a publisher belong: a track of the stream, and its layer in the publisher's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) track: TrackId,
    pub(crate) layer: u8,
}

/// What the packets of one publisher amount to.
#[derive(Debug)]
pub(crate) enum Fed {
    /// Frames of this place are coded like this from here on.
    Config(Place, CodecConfig),
    /// The next frame, and its layer.
    Frame(u8, Frame),
    /// Something is missing, and nothing decodes before the next keyframe.
    Lost(RoomTrack, u8),
}

/// All tracks of one publisher and their layers, on one timeline.
#[derive(Debug, Default)]
pub(crate) struct Ingest {
    timeline: Timeline,
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    room_track: RoomTrack,
    place: Place,
    /// What the timeline calls it.
    clock: TrackId,
    codec: Codec,
    ssrc: u32,
    report: Option<(SystemTime, u32)>,
    reorder: ReorderBuffer<Tapped>,
    depacketizer: Depacketizer,
    parameter_sets: ParameterSets,
    config: Option<CodecConfig>,
    last_dts: Option<i64>,
}

impl Ingest {
    /// Lets the timeline count from there, before the first packet.
    pub(crate) fn set_origin(&mut self, origin: Instant) {
        self.timeline.set_origin(origin);
    }

    /// Takes a packet of a tapped track, whose place is `place` from its first one on. What no payload format is known
    /// of is passed over.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        place: Place,
        packet: Tapped,
        out: &mut Vec<Fed>,
    ) {
        let index = match self.lanes.iter().position(|lane| lane.place == place) {
            Some(index) if self.lanes.get(index).is_some_and(|l| l.continues(&packet)) => index,
            other => match self.open(place, &packet, other) {
                Some(index) => index,
                None => return,
            },
        };
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        if packet.ssrc != lane.ssrc {
            lane.ssrc = packet.ssrc;
            lane.report = None;
            self.timeline.restart_track(lane.clock);
        }
        if let Some(report) = packet.report
            && lane.report.replace(report) != Some(report)
        {
            self.timeline.handle_report(lane.clock, sender_info(report));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the buffer extends the 16 bits of the wire by itself"
        )]
        let sequence = packet.seq as u16;
        let (ssrc, arrived) = (packet.ssrc, packet.arrived.min(now));
        if lane.reorder.handle_packet(arrived, ssrc, sequence, packet) == Reordered::Late {
            return;
        }
        lane.drain(now, &mut self.timeline, out);
    }

    /// Gives up what was waited for too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Fed>) {
        for lane in &mut self.lanes {
            lane.drain(now, &mut self.timeline, out);
        }
    }

    /// When [`Self::handle_timeout`] is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.lanes.iter().map(|lane| lane.reorder.next_deadline());
        deadlines.flatten().min()
    }

    fn open(&mut self, place: Place, packet: &Tapped, replaced: Option<usize>) -> Option<usize> {
        // Each layer has a clock of its own: its RTP times begin anywhere (RFC 3550 §5.1).
        let clock = match place.layer {
            0 => place.track,
            layer => TrackId::new(CLOCKS + u16::from(layer) * CLOCKS + place.track.number()),
        };
        let lane = Lane {
            room_track: packet.track_id,
            place,
            clock,
            codec: packet.codec,
            ssrc: packet.ssrc,
            report: None,
            reorder: ReorderBuffer::new(ReorderLimits::default()),
            depacketizer: Depacketizer::new(packet.codec)?,
            parameter_sets: ParameterSets::new(packet.codec),
            config: None,
            last_dts: None,
        };
        if !self
            .timeline
            .add_track(clock, NonZeroU32::new(packet.clock_rate)?)
        {
            return None;
        }
        if let Some(index) = replaced {
            self.lanes.remove(index);
        }
        self.lanes.push(lane);
        self.lanes.len().checked_sub(1)
    }
}

impl Lane {
    fn continues(&self, packet: &Tapped) -> bool {
        self.room_track == packet.track_id
            && self.place.layer == packet.layer
            && self.codec == packet.codec
    }

    fn drain(&mut self, now: Instant, timeline: &mut Timeline, out: &mut Vec<Fed>) {
        let mut units = Vec::new();
        while let Some(ordered) = self.reorder.poll_packet(now) {
            let Tapped {
                time,
                marker,
                payload,
                ..
            } = ordered.item;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "RTP time is 32 bits on the wire"
            )]
            let packet = Packet {
                sequence: ordered.sequence,
                timestamp: time as u32,
                marker,
                payload: Bytes::from_owner(payload),
            };
            self.depacketizer.handle_packet(packet, &mut units);
            for unit in units.drain(..) {
                match unit {
                    Depacketized::Unit(unit) => {
                        let place = timeline.locate(self.clock, unit.timestamp, ordered.arrival);
                        if let Some(moment) = place {
                            self.take(unit, moment, out);
                        }
                    }
                    Depacketized::Damaged(_) if self.depacketizer.awaits_keyframe() => {
                        out.push(Fed::Lost(self.room_track, self.place.layer));
                    }
                    Depacketized::Damaged(_) => {}
                }
            }
        }
    }

    fn take(&mut self, unit: AccessUnit, moment: Moment, out: &mut Vec<Fed>) {
        if let Some(config) = self.new_config(&unit) {
            out.push(Fed::Config(self.place, config.clone()));
            self.config = Some(config);
        }
        if self.config.is_none() {
            // A picture without its parameter sets: of no use to anybody.
            out.push(Fed::Lost(self.room_track, self.place.layer));
            return;
        }
        let duration = match self.codec {
            Codec::Opus => opus_packet_samples(&unit.data),
            _ => None,
        };
        let mut frame = unit.into_frame(self.place.track, self.codec, moment.pts);
        frame.duration = duration;
        frame.captured_micros = moment.captured_micros;
        frame.discontinuity = moment.discontinuity;
        // Pictures that are shown before one that was decoded earlier have no decoding time of their own in RTP.
        let dts = self
            .last_dts
            .map_or(frame.dts.ticks(), |last| frame.dts.ticks().max(last + 1));
        frame.dts = frame.dts.plus_ticks(dts - frame.dts.ticks());
        self.last_dts = Some(dts);
        out.push(Fed::Frame(self.place.layer, frame));
    }

    /// The unit's configuration, if it differs from the one that holds.
    fn new_config(&mut self, unit: &AccessUnit) -> Option<CodecConfig> {
        let config = match self.codec {
            Codec::H264 | Codec::H265 => self.parameter_sets.update(&unit.parameter_sets)?,
            _ if !unit.keyframe => return None,
            Codec::Opus | Codec::Pcmu | Codec::Pcma | Codec::G722 if self.config.is_some() => {
                return None;
            }
            Codec::Opus => CodecConfig::opus(OPUS_RATE, OPUS_CHANNELS).ok()?,
            Codec::Pcmu | Codec::Pcma | Codec::G722 => {
                CodecConfig::parse(self.codec, Bytes::new()).ok()?
            }
            codec => inspect_access_unit(codec, &unit.data).config?,
        };
        (self.config.as_ref() != Some(&config)).then_some(config)
    }
}

fn sender_info((wall, rtp_timestamp): (SystemTime, u32)) -> SenderInfo {
    let micros = wall
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    SenderInfo {
        ntp: NtpTime::from_unix_micros(i64::try_from(micros).unwrap_or(i64::MAX)),
        rtp_timestamp,
        packets: 0,
        octets: 0,
    }
}

/// RTP's Opus is always two channels at 48 kHz (RFC 7587 §4.1, §7).
const OPUS_RATE: u32 = 48_000;
const OPUS_CHANNELS: u8 = 2;
/// Names of clocks, beyond those of tracks.
const CLOCKS: u16 = 1024;
