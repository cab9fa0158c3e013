//! An RTP packet on its way from one publisher to many subscribers.

use std::sync::Arc;
use std::time::Instant;

use sluice_media::{Codec, Item, MediaKind};
use sluice_rtp::PayloadInfo;
use sluice_rtp::payload;
use str0m::media::Pt;
use str0m::rtp::{ExtensionValues, RtpPacket, Vp8Descriptor};

use crate::bridge::{SourcePacket, Tapped};
use crate::id::TrackId;

/// A copy of a publisher's packet for the bridge; it shares the payload.
pub(crate) fn tapped(packet: &RtpPacket, codec: Codec, track_id: TrackId, layer: usize) -> Tapped {
    Tapped {
        track_id,
        layer: u8::try_from(layer).unwrap_or(u8::MAX),
        ssrc: *packet.header.ssrc,
        codec,
        clock_rate: packet.time.frequency().get(),
        seq: *packet.seq_no,
        time: packet.time.numer(),
        marker: packet.header.marker,
        payload: Arc::clone(&packet.payload),
        arrived: packet.timestamp,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "RTP time is 32 bits on the wire"
        )]
        report: packet
            .last_sender_info
            .map(|report| (report.ntp_time, report.rtp_time.numer() as u32)),
    }
}

/// Parsed once at ingress, shared by reference with every subscriber, kept in the layer's ring.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) info: PayloadInfo,
    pub(crate) codec: Codec,
    /// The publisher's payload type.
    pub(crate) pt: Pt,
    /// Extended sequence number.
    pub(crate) seq: u64,
    /// Extended RTP timestamp.
    pub(crate) time: u64,
    pub(crate) marker: bool,
    /// What each subscriber gets of the header extensions; none for most packets.
    pub(crate) extensions: Option<Box<ExtensionValues>>,
    pub(crate) payload: Arc<[u8]>,
    /// When the kernel had it.
    pub(crate) arrived: Instant,
    /// When it was captured, on our clock.
    pub(crate) wallclock: Instant,
    pub(crate) vp8: Option<Vp8Descriptor>,
    /// A decoder may begin with this packet; the layer says so, which knows what came before.
    pub(crate) starts_chain: bool,
}

impl Packet {
    pub(crate) fn new(packet: RtpPacket, codec: Codec, wallclock: Instant) -> Self {
        let mut extensions = packet.header.ext_vals;
        // They name the publisher's stream and its way to us; the subscriber's own are written by
        // its `Rtc`.
        extensions.mid = None;
        extensions.rid = None;
        extensions.rid_repair = None;
        extensions.abs_send_time = None;
        extensions.transport_cc = None;
        extensions.tx_time_offs = None;
        Self {
            info: payload::inspect(codec, &packet.payload),
            codec,
            pt: packet.header.payload_type,
            seq: *packet.seq_no,
            time: packet.time.numer(),
            marker: packet.header.marker,
            extensions: (extensions != ExtensionValues::default()).then(|| Box::new(extensions)),
            vp8: vp8_descriptor(codec, &packet.payload),
            starts_chain: codec.kind() == MediaKind::Audio,
            payload: packet.payload,
            arrived: packet.timestamp,
            wallclock,
        }
    }

    /// A packet made in this process: nothing to learn of it, and no extensions.
    pub(crate) fn from_source(now: Instant, packet: SourcePacket, codec: Codec, pt: Pt) -> Self {
        Self {
            info: payload::inspect(codec, &packet.payload),
            codec,
            pt,
            seq: packet.seq,
            time: packet.time,
            marker: packet.marker,
            extensions: None,
            vp8: vp8_descriptor(codec, &packet.payload),
            starts_chain: codec.kind() == MediaKind::Audio,
            payload: packet.payload,
            arrived: now,
            wallclock: packet.captured.min(now),
        }
    }

    /// Whether the access unit ends here.
    pub(crate) fn ends_frame(&self) -> bool {
        self.info.ends_frame.unwrap_or(self.marker)
    }
}

fn vp8_descriptor(codec: Codec, payload: &[u8]) -> Option<Vp8Descriptor> {
    (codec == Codec::Vp8)
        .then(|| Vp8Descriptor::parse(payload).ok())
        .flatten()
}

impl Item for Packet {
    fn cost(&self) -> usize {
        self.payload.len() + size_of::<Self>()
    }

    fn starts_chain(&self) -> bool {
        self.starts_chain
    }
}
