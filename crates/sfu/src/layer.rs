//! One encoding of a published track: what is kept, counted and asked for per layer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluice_media::{Codec, Cursor, Ring, RingLimits};
use sluice_rtp::KeyframeStart;
use str0m::media::Rid;
use str0m::rtp::Ssrc;

use crate::keyframe::KeyframeThrottle;
use crate::options::Replay;
use crate::packet::Packet;
use crate::rate::RateMeter;
use crate::stats::LayerStats;

/// A subscriber's slot, by dense indices into the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Viewer {
    pub(crate) client: u32,
    pub(crate) slot: u16,
}

#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) rid: Option<Rid>,
    /// Known from its first packet on.
    pub(crate) ssrc: Option<Ssrc>,
    /// Those who get this layer: the dense list the hot path walks.
    pub(crate) viewers: Vec<Viewer>,
    /// Those who will, from its next chain start on.
    pub(crate) waiting: Vec<Viewer>,
    /// Packets of the frame that comes in, not forwarded yet. Bounded by the forwarding loop.
    pub(crate) unsent: Vec<Packet>,
    pub(crate) ring: Ring<Packet>,
    pub(crate) throttle: KeyframeThrottle,
    pub(crate) rate: RateMeter,
    pub(crate) resolution: Option<(u16, u16)>,
    keyframe_start: KeyframeStart,
    /// Ticks between its last two frames, if they came in order.
    pub(crate) frame_interval: Option<u64>,
    last_frame_time: Option<u64>,
    /// Highest sequence number of its SSRC.
    pub(crate) newest: Option<u64>,
    /// Sequence number and timestamp of the packet before.
    previous: Option<(u64, u64)>,
    /// Timestamps of the newest frames and when the first packet of each came, newest last.
    frames: VecDeque<(u64, Instant)>,
    pub(crate) last_packet: Option<Instant>,
    /// Told to the application as paused.
    pub(crate) paused: bool,
    keyframes: u64,
    replay: Replay,
}

impl Layer {
    pub(crate) fn new(rid: Option<Rid>, replay: Replay) -> Self {
        Self {
            rid,
            ssrc: None,
            viewers: Vec::new(),
            waiting: Vec::new(),
            unsent: Vec::new(),
            ring: Ring::new(limits(replay)),
            throttle: KeyframeThrottle::default(),
            rate: RateMeter::default(),
            resolution: None,
            keyframe_start: KeyframeStart::default(),
            frame_interval: None,
            last_frame_time: None,
            newest: None,
            previous: None,
            frames: VecDeque::with_capacity(FRAMES),
            last_packet: None,
            paused: false,
            keyframes: 0,
            replay,
        }
    }

    /// Forgets what came from the SSRC before, and returns who was viewing it.
    pub(crate) fn restart(&mut self) -> Vec<Viewer> {
        self.unsent.clear();
        self.ring = Ring::new(limits(self.replay));
        self.newest = None;
        self.previous = None;
        self.last_frame_time = None;
        self.frame_interval = None;
        self.frames.clear();
        self.keyframe_start = KeyframeStart::default();
        self.throttle.owe();
        std::mem::take(&mut self.viewers)
    }

    /// Notes a packet that arrived at `now`, and tells it whether it starts a chain.
    pub(crate) fn note(&mut self, now: Instant, packet: &mut Packet) {
        self.last_packet = Some(now);
        self.rate.add(now, packet.payload.len());
        if let Some(resolution) = packet.info.resolution {
            self.resolution = Some(resolution);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "RTP time is 32 bits on the wire"
        )]
        let rtp_time = packet.time as u32;
        self.newest = self.newest.max(Some(packet.seq));
        let previous = self.previous.replace((packet.seq, packet.time));
        let whole = self.keeps_frame(now, packet.time);
        if whole
            && has_its_head(packet, previous)
            && self.keyframe_start.is_first(rtp_time, &packet.info)
        {
            packet.starts_chain = true;
            self.keyframes += 1;
            self.throttle.satisfied();
        }
        if packet.info.starts_frame {
            if let Some(last) = self.last_frame_time
                && packet.time > last
            {
                self.frame_interval = Some(packet.time - last);
            }
            self.last_frame_time = Some(packet.time);
        }
    }

    /// Whether the ring still has what came before of the frame with this timestamp. The first packet
    /// of a keyframe may be sent again so late that those behind it are gone.
    fn keeps_frame(&mut self, now: Instant, time: u64) -> bool {
        if let Some((_, began)) = self.frames.iter().find(|(known, _)| *known == time) {
            return now.saturating_duration_since(*began) < OVERTAKEN;
        }
        if self
            .frames
            .front()
            .is_some_and(|(oldest, _)| time < *oldest)
        {
            return self.frames.len() < FRAMES;
        }
        if self.frames.len() == FRAMES {
            self.frames.pop_front();
        }
        self.frames.push_back((time, now));
        true
    }

    /// A reader that begins at the newest start, if that is a good way to a picture now: for an audience however old
    /// it is, but for who `can_wait`, as it has a picture and a fresh keyframe is to be had.
    pub(crate) fn join(&self, now: Instant, can_wait: bool) -> Cursor {
        let (packets, age) = match self.replay {
            Replay::Whole if !can_wait => return self.ring.join(),
            _ if self.throttle.is_spent(now) => LATE_JOIN,
            _ => JOIN,
        };
        self.ring.join_within(now, packets, age)
    }

    /// Whether who begins with this packet has a way to go to what is sent now.
    pub(crate) fn is_behind(&self, now: Instant, first: &Packet) -> bool {
        let age = now.saturating_duration_since(first.arrived);
        self.replay == Replay::Whole && age > JOIN.1
    }

    /// Whether packets came lately.
    pub(crate) fn is_active(&self, now: Instant) -> bool {
        self.last_packet
            .is_some_and(|at| now.saturating_duration_since(at) < SILENCE)
    }

    pub(crate) fn stats(&self, now: Instant) -> LayerStats {
        LayerStats {
            rid: self.rid.map(|rid| rid.to_string()),
            active: self.is_active(now),
            bits_per_second: self.rate.bits_per_second(now),
            packets: self.rate.packets(),
            bytes: self.rate.bytes(),
            keyframes: self.keyframes,
            keyframe_requests: self.throttle.sent(),
            resolution: self.resolution,
        }
    }
}

/// Whether no packet of the frame is missing before this one. A picture of H.264 or H.265 claims to start a
/// keyframe like the parameter sets in front of it; without them no decoder can begin.
fn has_its_head(packet: &Packet, previous: Option<(u64, u64)>) -> bool {
    !matches!(packet.codec, Codec::H264 | Codec::H265)
        || packet.info.resolution.is_some()
        || previous.is_some_and(|(seq, time)| seq + 1 == packet.seq && time != packet.time)
}

fn limits(replay: Replay) -> RingLimits {
    match replay {
        Replay::Short => RING_LIMITS,
        Replay::Whole => RingLimits::default(),
    }
}

/// A layer without packets for this long is gone while a sibling flows.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);

/// How much of a layer a joiner is given at once (STR0M.md §12.4): more arrives as a burst the link
/// has to swallow, and a fresh keyframe is there sooner.
const JOIN: (u64, Duration) = (96, Duration::from_millis(400));
/// The same when no fresh keyframe is to be had: who joins while the throttle is shut finds the one
/// that shut it in the ring, instead of waiting a second.
const LATE_JOIN: (u64, Duration) = (256, Duration::from_millis(1200));

/// A keyframe's packets may overtake its first one by this much, as when that was sent again.
const OVERTAKEN: Duration = Duration::from_millis(300);
/// Frames whose beginning is remembered: more than [`OVERTAKEN`] at 60 a second.
const FRAMES: usize = 24;

/// A joiner never gets more than [`LATE_JOIN`], so older history is only memory; what overtook a start
/// that is fit for joining must be there as well.
const RING_LIMITS: RingLimits = RingLimits {
    max_bytes: 512 << 10,
    max_age: LATE_JOIN.1.saturating_add(OVERTAKEN),
    lag_window: LATE_JOIN.1.saturating_add(OVERTAKEN),
};
