//! Where parts and segments end.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_media::Timestamp;

use super::options::SegmenterOptions;
use super::timeline::ticks;

/// A part ends here, and perhaps its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) at: Timestamp,
    pub(super) ends_segment: bool,
    /// However short the part is: it is at its cap of bytes.
    pub(super) heavy: bool,
}

/// Decides on arrival; the cuts are carried out when all tracks have come that far.
///
/// A part may last from 85 % to 100 % of the target that playlists state. Frames last far longer than that slack, so
/// the target follows from the frames: the first part ends at the first frame from `part_target` on, which gives the
/// length to aim at, and the stated target lies 8 % above it, so that jitter has room on both sides.
///
/// Where nothing comes for longer than that, a part is longer too. Such a part ends its segment, and playlists state
/// the target instead of its length: one breath of a network must not cost all later players latency. When it keeps
/// happening, frames come more slowly than before, and the target grows.
#[derive(Debug)]
pub(super) struct Cutter {
    segment_target: Duration,
    part_target: Duration,
    max_segment: Duration,
    max_wait: Duration,
    max_part_bytes: usize,
    part_start: Timestamp,
    segment_start: Timestamp,
    /// The newest frame of the cutting track.
    last: Timestamp,
    last_keyframe: Timestamp,
    aim: Option<Duration>,
    stated: Duration,
    /// Parts beyond the target, less one for each segment since.
    overlong: u32,
    bytes: usize,
}

impl Cutter {
    pub(super) fn new(options: &SegmenterOptions) -> Self {
        let origin = Timestamp::new(0, std::num::NonZeroU32::MIN);
        Self {
            segment_target: options.segment_target,
            part_target: options.part_target,
            max_segment: options.max_segment,
            max_wait: options.max_wait,
            max_part_bytes: options.max_part_bytes,
            part_start: origin,
            segment_start: origin,
            last: origin,
            last_keyframe: origin,
            aim: None,
            stated: stated(options.part_target),
            overlong: 0,
            bytes: 0,
        }
    }

    pub(super) fn start(&mut self, start: Timestamp) {
        self.part_start = start;
        self.segment_start = start;
        self.last = start;
        self.last_keyframe = start;
        self.bytes = 0;
    }

    /// The part target that playlists state from now on.
    pub(super) fn stated(&self) -> Duration {
        self.stated
    }

    /// Whether a part of this length must end its segment because it outlasts the target.
    pub(super) fn outlasts(&mut self, duration: Duration) -> bool {
        if duration <= self.stated {
            return false;
        }
        self.overlong = self.overlong.saturating_add(1);
        if self.overlong <= MAX_OVERLONG {
            return true;
        }
        self.overlong = 0;
        self.aim = Some(duration);
        self.stated = stated(duration);
        false
    }

    /// Whether a cut that was decided earlier would make a part too short for what is stated by now.
    pub(super) fn is_outdated(&self, cut: Cut, part: Duration) -> bool {
        !cut.ends_segment && !cut.heavy && part < least(self.stated)
    }

    pub(super) fn on_segment_end(&mut self) {
        self.overlong = self.overlong.saturating_sub(1);
    }

    /// A frame of the cutting track, of so many bytes; `alone` when no other track could fill a part instead.
    pub(super) fn on_cutting_frame(
        &mut self,
        at: Timestamp,
        (keyframe, bytes): (bool, usize),
        alone: bool,
        cuts: &mut VecDeque<Cut>,
    ) {
        let step = at.saturating_since(self.last);
        let before = std::mem::replace(&mut self.last, at);
        let segment = at.saturating_since(self.segment_start);
        let ends_segment =
            keyframe && self.may_begin_segment(at, segment) || segment >= self.max_segment;
        if keyframe {
            self.last_keyframe = at;
        }
        self.catch_up(at, before, alone, cuts);
        let part = at.saturating_since(self.part_start);
        let heavy = self.bytes.saturating_add(bytes) > self.max_part_bytes;
        // A part that has only just begun is that of the frame itself.
        if ends_segment || !part.is_zero() && (heavy || self.is_due(part, step)) {
            self.cut(at, ends_segment, heavy, cuts);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A frame of another track. It cuts only where the cutting one has been silent for so long that nobody waits.
    pub(super) fn on_other_frame(&mut self, at: Timestamp, bytes: usize, cuts: &mut VecDeque<Cut>) {
        while at.saturating_since(self.part_start) > self.stated.saturating_add(self.max_wait)
            && at.saturating_since(self.last) > self.max_wait
        {
            self.cut_at_aim(cuts);
        }
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The timeline ends at `end`.
    pub(super) fn finish(&mut self, end: Timestamp, cuts: &mut VecDeque<Cut>) {
        while end.saturating_since(self.part_start) > self.stated {
            self.cut_at_aim(cuts);
        }
        self.cut(end, true, false, cuts);
    }

    /// Ends parts that a long frame would stretch beyond the target.
    fn catch_up(
        &mut self,
        at: Timestamp,
        before: Timestamp,
        alone: bool,
        cuts: &mut VecDeque<Cut>,
    ) {
        if self.aim.is_none() || at.saturating_since(self.part_start) <= self.stated {
            return;
        }
        if before.saturating_since(self.part_start) >= least(self.stated) {
            self.cut(before, false, false, cuts);
        }
        while !alone && at.saturating_since(self.part_start) > self.stated {
            self.cut_at_aim(cuts);
        }
    }

    /// A keyframe that comes a little early is taken, unless the next one comes in time as well.
    fn may_begin_segment(&self, at: Timestamp, segment: Duration) -> bool {
        let early = self.segment_target.mul_f64(1.0 / 16.0);
        segment >= self.segment_target
            || segment.saturating_add(early) >= self.segment_target
                && at.saturating_since(self.last_keyframe) > early
    }

    fn is_due(&mut self, part: Duration, step: Duration) -> bool {
        let Some(aim) = self.aim else {
            if part < self.part_target {
                return false;
            }
            // A pause is no frame rate.
            if part <= self.part_target.mul_f64(1.25) {
                self.aim = Some(part);
                self.stated = self.stated.max(stated(part));
            }
            return true;
        };
        part >= least(self.stated)
            && (part.saturating_add(step.mul_f64(0.5)) >= aim
                || part.saturating_add(step) > self.stated)
    }

    fn cut_at_aim(&mut self, cuts: &mut VecDeque<Cut>) {
        let aim = self.aim.unwrap_or(self.part_target);
        let step = ticks(aim, self.part_start.rate()).max(1);
        self.cut(self.part_start.plus_ticks(step), false, false, cuts);
    }

    fn cut(&mut self, at: Timestamp, ends_segment: bool, heavy: bool, cuts: &mut VecDeque<Cut>) {
        cuts.push_back(Cut {
            at,
            ends_segment,
            heavy,
        });
        self.part_start = at.rescaled(self.part_start.rate());
        if ends_segment {
            self.segment_start = self.part_start;
        }
        self.bytes = 0;
    }
}

/// What playlists state of parts that aim at `aim`, in whole milliseconds.
fn stated(aim: Duration) -> Duration {
    let millis = aim.mul_f64(1.0 + JITTER).as_micros().div_ceil(1_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The shortest part in the midst of a segment: 85 % of the target.
fn least(stated: Duration) -> Duration {
    stated.mul_f64(0.85)
}

const JITTER: f64 = 0.08;
/// So many pauses, less one a segment, are pauses.
const MAX_OVERLONG: u32 = 3;
