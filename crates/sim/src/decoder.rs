//! A strict receiver's view of one m-line: which frames it could have shown, and when it asks for help.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sluice_media::{Codec, MediaKind};
use sluice_rtp::PayloadInfo;

/// Takes packets in any order and shows frames in order, each complete and after the one before,
/// or from a keyframe on.
#[derive(Debug, Default)]
pub struct Decoder {
    packets: BTreeMap<u64, Piece>,
    keys: BTreeSet<u64>,
    /// Where the next frame begins.
    next: Option<u64>,
    /// Since when it has packets it cannot use.
    stuck: Option<Instant>,
    asked: Option<Instant>,
    /// Frames shown.
    pub frames: u64,
    /// When the newest was shown.
    pub shown: Option<Instant>,
    /// When the first was.
    pub first_shown: Option<Instant>,
    /// The size of the newest keyframe.
    pub size: Option<(u16, u16)>,
    /// Longest time between two frames.
    pub longest_freeze: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    time: u64,
    marker: bool,
    starts: bool,
    size: Option<(u16, u16)>,
}

impl Decoder {
    /// One packet.
    pub fn push(
        &mut self,
        now: Instant,
        codec: Codec,
        seq: u64,
        time: u64,
        marker: bool,
        info: &PayloadInfo,
    ) {
        if codec.kind() == MediaKind::Audio {
            self.show(now, None);
            return;
        }
        if self.next.is_some_and(|next| seq < next) {
            return;
        }
        let piece = Piece {
            time,
            marker,
            starts: info.starts_frame || codec == Codec::H264,
            size: info.resolution,
        };
        self.packets.insert(seq, piece);
        if info.starts_keyframe && (codec != Codec::H264 || info.resolution.is_some()) {
            self.keys.insert(seq);
        }
        while let Some((last, size)) = self.frame_at_hand() {
            self.next = Some(last + 1);
            self.packets = self.packets.split_off(&(last + 1));
            self.keys = self.keys.split_off(&(last + 1));
            self.show(now, size);
        }
        if self.packets.is_empty() {
            self.stuck = None;
        } else {
            self.stuck.get_or_insert(now);
        }
        while self.packets.len() > CAP {
            self.packets.pop_first();
        }
    }

    /// Whether it wants a keyframe now; asking is noted.
    pub fn wants_keyframe(&mut self, now: Instant) -> bool {
        let long = |at: Option<Instant>| at.is_none_or(|at| now >= at + PATIENCE);
        let wants = self.stuck.is_some_and(|at| now >= at + PATIENCE) && long(self.asked);
        if wants {
            self.asked = Some(now);
        }
        wants
    }

    fn frame_at_hand(&self) -> Option<(u64, Option<(u16, u16)>)> {
        if let Some(frame) = self.next.and_then(|next| self.complete(next)) {
            return Some(frame);
        }
        self.keys.iter().find_map(|key| self.complete(*key))
    }

    /// The last packet of the frame that begins at `first`, if all of it is here.
    fn complete(&self, first: u64) -> Option<(u64, Option<(u16, u16)>)> {
        let head = self.packets.get(&first).filter(|piece| piece.starts)?;
        for (expected, (seq, piece)) in (first..).zip(self.packets.range(first..)) {
            if *seq != expected || piece.time != head.time {
                return None;
            }
            if piece.marker {
                return Some((*seq, head.size));
            }
        }
        None
    }

    fn show(&mut self, now: Instant, size: Option<(u16, u16)>) {
        if let Some(before) = self.shown {
            self.longest_freeze = self.longest_freeze.max(now - before);
        }
        self.frames += 1;
        self.shown = Some(now);
        self.first_shown.get_or_insert(now);
        self.size = size.or(self.size);
    }
}

const CAP: usize = 2000;
/// libWebRTC waits 200 ms for a keyframe; NACK may well succeed in the meantime.
const PATIENCE: Duration = Duration::from_millis(300);
