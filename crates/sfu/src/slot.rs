//! A subscriber's outgoing m-line: one SSRC for the whole session, re-bound from track to track.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::{Codec, Cursor, MediaKind, Read, Ring};
use sluice_rtp::payload::vp9;
use sluice_rtp::{PictureIdRewriter, PictureIds, SequenceRewriter, TimestampRewriter};
use str0m::Rtc;
use str0m::format::PayloadParams;
use str0m::media::{Mid, Pt};
use str0m::rtp::{RtpWrite, SeqNo, Ssrc, Vp8Patch};

use crate::chase::{Admission, Chase};
use crate::formats;
use crate::layer::Layer;
use crate::packet::Packet;
use crate::propagated::LayerCause;
use crate::rate::RateMeter;
use crate::stats::RegistryCounters;

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    ssrc: Ssrc,
    rtx: Option<Ssrc>,
    stream: Stream,
    /// The m-line sends at present (RFC 9429 §4.2.5).
    pub(crate) enabled: bool,
    /// Dense index of the track that plays here.
    pub(crate) track: Option<u32>,
    /// The layer that flows.
    pub(crate) current: Option<usize>,
    /// How far it has got in that layer's ring.
    pub(crate) cursor: Option<Cursor>,
    /// The layer to switch to at its next chain start.
    pub(crate) target: Option<usize>,
    /// Why the target was chosen.
    pub(crate) cause: LayerCause,
    /// Highest temporal layer forwarded.
    max_temporal: u8,
    /// The bound from the next frame on: one half of a frame forwarded helps nobody.
    next_max_temporal: u8,
    /// Timestamp of the newest frame.
    newest_time: Option<u64>,
    /// The ring's chain start that was last replayed, so that a lost one is replayed once only.
    pub(crate) replayed: Option<u64>,
    /// Set while it goes from an old keyframe to what is sent now.
    pub(crate) chase: Option<Chase>,
    /// The newest packet forwarded did not end its frame.
    mid_frame: bool,
    sequence: SequenceRewriter,
    timestamp: TimestampRewriter,
    pictures: Option<PictureIdRewriter>,
    /// The first source keeps its own picture numbers: only after a switch must they be mapped.
    renumber: bool,
    /// The publisher's payload type and what stands for it here.
    payload_types: Option<(Pt, Option<Pt>)>,
    epoch: Instant,
    pub(crate) rate: RateMeter,
    pub(crate) switches: u64,
}

/// A slot's stream in its `Rtc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// Not declared: it never had a track, and str0m would keep buffers for it and send a report about
    /// nothing each second.
    Asleep,
    /// Declared, as while a session description is made, which is to name its SSRC. Nothing was sent.
    Fresh,
    /// It has had a track: from then on it has numbers to keep.
    Used,
}

impl Slot {
    pub(crate) fn new(
        now: Instant,
        mid: Mid,
        kind: MediaKind,
        ssrc: Ssrc,
        rtx: Option<Ssrc>,
    ) -> Self {
        // The SSRC is random: good enough for where numbers start (RFC 3550 §5.1).
        let seed = u64::from(*ssrc);
        Self {
            mid,
            kind,
            ssrc,
            rtx,
            stream: Stream::Fresh,
            enabled: true,
            track: None,
            current: None,
            cursor: None,
            target: None,
            cause: LayerCause::Start,
            max_temporal: u8::MAX,
            next_max_temporal: u8::MAX,
            newest_time: None,
            replayed: None,
            chase: None,
            mid_frame: false,
            sequence: SequenceRewriter::new(seed >> 16),
            timestamp: TimestampRewriter::new(seed),
            pictures: None,
            renumber: false,
            payload_types: None,
            epoch: now,
            rate: RateMeter::default(),
            switches: 0,
        }
    }

    /// Gives it a track to play.
    pub(crate) fn bind(&mut self, track: u32, max_temporal: Option<u8>) {
        self.track = Some(track);
        self.stream = Stream::Used;
        self.bound_temporal(max_temporal);
    }

    /// Declares its stream if it is not: before a track is bound, and before each negotiation.
    pub(crate) fn wake(&mut self, rtc: &mut Rtc) {
        if self.stream != Stream::Asleep || rtc.media(self.mid).is_none() {
            return;
        }
        self.stream = Stream::Fresh;
        rtc.direct_api()
            .declare_stream_tx(self.ssrc, self.rtx, self.mid, None);
        self.bound_rtx_cache(rtc);
    }

    /// Takes its stream back if it has never sent.
    pub(crate) fn sleep(&mut self, rtc: &mut Rtc) {
        if self.stream == Stream::Fresh {
            self.stream = Stream::Asleep;
            rtc.direct_api().remove_stream_tx(self.ssrc);
        }
    }

    /// Forgets the track it played; the outgoing numbers go on from where they are.
    pub(crate) fn unbind(&mut self) {
        self.track = None;
        self.current = None;
        self.cursor = None;
        self.target = None;
        self.replayed = None;
        self.chase = None;
        self.payload_types = None;
        self.mid_frame = false;
        self.rate = RateMeter::default();
        self.switches = 0;
    }

    /// Bounds the temporal layers forwarded, from the next frame on; none lifts the bound.
    pub(crate) fn bound_temporal(&mut self, most: Option<u8>) {
        self.next_max_temporal = most.unwrap_or(u8::MAX);
    }

    /// Whether a switch now would cut a frame in two.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.mid_frame && self.kind == MediaKind::Video
    }

    /// What follows comes from another source and begins with `first`.
    pub(crate) fn switch(&mut self, layer: &Layer, first: &Packet) {
        self.sequence.switch(first.seq);
        self.timestamp.switch(
            first.time,
            first.arrived.saturating_duration_since(self.epoch),
            first.codec.clock_rate(),
            layer.frame_interval,
        );
        match &mut self.pictures {
            Some(pictures) => {
                pictures.switch(&first.info);
                self.renumber = true;
            }
            None if first.info.picture_id.is_some() => {
                self.pictures = Some(PictureIdRewriter::continuing(&first.info));
            }
            None => {}
        }
        self.payload_types = None;
        self.newest_time = None;
        self.mid_frame = false;
        self.switches += 1;
    }

    /// Plays a layer from its newest start, where `cursor` stands behind `first`.
    pub(crate) fn begin(
        &mut self,
        rtc: &mut Rtc,
        now: Instant,
        source: Option<PayloadParams>,
        layer: &Layer,
        (first, cursor): (&Packet, Cursor),
        counters: &mut RegistryCounters,
    ) {
        self.replayed = layer.ring.start();
        self.switch(layer, first);
        self.chase = layer
            .is_behind(now, first)
            .then(|| Chase::new(now, first.time));
        let overtook = layer.ring.before_start().filter(|p| p.seq > first.seq);
        let head = std::iter::once(first).chain(overtook);
        self.write(rtc, now, source, head, counters);
        self.cursor = Some(cursor);
    }

    /// Writes what its cursor has not seen of the layer it plays. False: the ring went on without it.
    pub(crate) fn pull(
        &mut self,
        rtc: &mut Rtc,
        now: Instant,
        source: Option<PayloadParams>,
        ring: &Ring<Packet>,
        counters: &mut RegistryCounters,
    ) -> bool {
        let Some(mut cursor) = self.cursor.take() else {
            return true;
        };
        let mut in_step = true;
        let news = std::iter::from_fn(|| match ring.read(&mut cursor) {
            Read::Item(packet) => Some(packet),
            Read::Lagged { .. } => {
                in_step = false;
                None
            }
            Read::Empty => None,
        });
        self.write(rtc, now, source, news, counters);
        self.cursor = Some(cursor);
        in_step
    }

    /// Writes what is due of what its cursor has not seen, at `speed` percent of the layer's own pace. False: the
    /// ring went on without it.
    pub(crate) fn pull_chasing(
        &mut self,
        rtc: &mut Rtc,
        now: Instant,
        source: Option<PayloadParams>,
        (layer, speed): (&Layer, u64),
        counters: &mut RegistryCounters,
    ) -> bool {
        let (Some(mut chase), Some(mut cursor)) = (self.chase, self.cursor.take()) else {
            return true;
        };
        if layer.ring.start() != self.replayed && !self.mid_frame {
            let mut joined = layer.ring.join();
            if let Read::Item(first) = layer.ring.read(&mut joined) {
                let skipped = chase.leap(now, first.time, first.codec.clock_rate());
                self.timestamp.hold_back(skipped);
                self.begin(rtc, now, source, layer, (first, joined), counters);
                return true;
            }
        }
        loop {
            let mut ahead = cursor.clone();
            let packet = match layer.ring.read(&mut ahead) {
                Read::Item(packet) => packet,
                Read::Lagged { .. } => return false,
                Read::Empty => {
                    self.chase = None;
                    break;
                }
            };
            match chase.admit(now, packet.time, packet.codec.clock_rate(), speed) {
                Admission::Frame => {}
                Admission::Next(saved) => self.timestamp.hold_back(saved),
                Admission::Later => {
                    self.chase = Some(chase);
                    break;
                }
            }
            cursor = ahead;
            self.write(rtc, now, source, std::iter::once(packet), counters);
        }
        self.cursor = Some(cursor);
        true
    }

    /// Writes packets towards the subscriber.
    ///
    /// The payload is shared; only VP9 after a switch has to copy it, as str0m patches VP8 alone.
    pub(crate) fn write<'a>(
        &mut self,
        rtc: &mut Rtc,
        now: Instant,
        source: Option<PayloadParams>,
        packets: impl Iterator<Item = &'a Packet>,
        counters: &mut RegistryCounters,
    ) {
        let mut packets = packets.peekable();
        while let Some(first) = packets.peek() {
            let from = first.pt;
            let to = self.payload_type(rtc, from, source);
            let mut api = rtc.direct_api();
            let mut stream = api.stream_tx(&self.ssrc);
            while let Some(packet) = packets.next_if(|packet| packet.pt == from) {
                let Some(write) = self.prepare(to, now, packet) else {
                    continue;
                };
                let Some(stream) = stream.as_mut() else {
                    continue;
                };
                self.rate.add(now, packet.payload.len());
                counters.count_forwarded(self.kind, packet.payload.len());
                stream.write_rtp(write);
            }
        }
    }

    /// What of a packet is the subscriber's own. None: it does not get this one.
    fn prepare(&mut self, pt: Option<Pt>, now: Instant, packet: &Packet) -> Option<RtpWrite> {
        if packet.payload.is_empty() {
            // Padding alone (RFC 3550 §5.1), as the publisher's probes are.
            self.sequence.drop(packet.seq);
            return None;
        }
        if self.newest_time.is_none_or(|newest| packet.time > newest) {
            self.newest_time = Some(packet.time);
            self.max_temporal = self.next_max_temporal;
        }
        let info = &packet.info;
        if info.temporal > self.max_temporal {
            self.sequence.drop(packet.seq);
            if let Some(pictures) = &mut self.pictures {
                pictures.drop_frame(info);
                self.renumber = true;
            }
            return None;
        }
        let pt = pt?;
        let ids = match &mut self.pictures {
            Some(pictures) if info.picture_id.is_some() => {
                let Some(ids) = pictures.map(info) else {
                    // Of a picture already dropped, as when the bound was lifted in its middle, or
                    // from before the switch.
                    self.sequence.drop(packet.seq);
                    return None;
                };
                self.renumber.then_some(ids)
            }
            _ => None,
        };
        let seq = self.sequence.map(packet.seq)?;
        let time = self.timestamp.map(packet.time);
        let mut payload = Arc::clone(&packet.payload);
        let mut vp8_patch = None;
        match (packet.codec, ids) {
            (Codec::Vp8, Some(ids)) => vp8_patch = patch_vp8(packet, ids),
            (Codec::Vp9, Some(ids)) => {
                if let Some(patched) = patch_vp9(&payload, ids) {
                    payload = patched;
                }
            }
            _ => {}
        }
        self.mid_frame = !packet.ends_frame();
        // A report (RFC 3550 §6.4.1) that said how old a picture is would have the player hold back its sound.
        let wallclock = self.chase.map_or(packet.wallclock, |_| now);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "RTP time is 32 bits on the wire"
        )]
        let mut write = RtpWrite::new(pt, SeqNo::from(seq), time as u32, wallclock, payload)
            .marker(packet.marker)
            .nackable(self.kind == MediaKind::Video);
        if let Some(extensions) = &packet.extensions {
            write = write.ext_vals(extensions.as_ref().clone());
        }
        if let Some(patch) = vp8_patch {
            write = write.vp8_patch(patch);
        }
        Some(write)
    }

    /// The subscriber's payload type for the publisher's, found once per source.
    fn payload_type(&mut self, rtc: &Rtc, pt: Pt, source: Option<PayloadParams>) -> Option<Pt> {
        if let Some((from, to)) = self.payload_types
            && from == pt
        {
            return to;
        }
        let to = source.and_then(|source| {
            let remote = rtc.media(self.mid)?.remote_pts();
            let known = rtc.codec_config().params().iter().copied();
            formats::payload_type(known.filter(|p| remote.contains(&p.pt())), source)
        });
        self.payload_types = Some((pt, to));
        to
    }

    /// Once per negotiation: str0m's cache default would cost megabytes per slot (STR0M.md §8).
    pub(crate) fn bound_rtx_cache(&self, rtc: &mut Rtc) {
        if self.kind == MediaKind::Video
            && let Some(stream) = rtc.direct_api().stream_tx(&self.ssrc)
        {
            stream.set_rtx_cache(crate::engine::VIDEO_RTX_PACKETS, RTX_AGE, Some(RTX_RATIO));
        }
    }
}

fn patch_vp8(packet: &Packet, ids: PictureIds) -> Option<Vp8Patch> {
    let mut patch = packet.vp8.as_ref()?.patch();
    if let Some(id) = ids.picture_id {
        patch = patch.picture_id(id);
    }
    if let Some(index) = ids.tl0_picture_index {
        patch = patch.tl0_pic_idx(index);
    }
    if let Some(index) = ids.key_index {
        patch = patch.key_idx(index);
    }
    patch.build().ok()
}

fn patch_vp9(payload: &[u8], ids: PictureIds) -> Option<Arc<[u8]>> {
    let mut out = Vec::with_capacity(payload.len());
    vp9::patch_picture_id(payload, ids.picture_id?, ids.tl0_picture_index, &mut out)
        .then(|| out.into())
}

const RTX_AGE: Duration = Duration::from_secs(1);
/// Share of the bit rate that retransmissions may take before str0m clears its queue.
const RTX_RATIO: f32 = 0.5;
