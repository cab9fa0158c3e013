//! How long parts and segments are, and what is bounded.

use std::time::Duration;

/// How a [`Segmenter`](super::Segmenter) cuts. Values out of range are moved to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmenterOptions {
    /// A segment ends at the first keyframe from here on (a sixteenth earlier counts, for clocks jitter). 500 ms to
    /// 60 s; default 1 s.
    pub segment_target: Duration,
    /// Parts come as close to this as the frames allow. 100 ms to 1 s, at most the segment target; default 200 ms.
    pub part_target: Duration,
    /// A segment this long ends without a keyframe. Twice the segment target to 5 min; default 30 s.
    pub max_segment: Duration,
    /// A jump of the clock by more is a discontinuity, a smaller one a long frame. 500 ms to 60 s; default 3 s.
    pub max_gap: Duration,
    /// How long parts wait for a track that falls behind the others. Up to 10 s; default 1.5 s.
    pub max_wait: Duration,
    /// A part ends before it would pass this; a larger frame makes a part of its own. At least 64 KiB; default 8 MiB.
    pub max_part_bytes: usize,
    /// Frames held over all tracks; beyond, parts go out without waiting. At least 64; default 4096.
    pub max_open_samples: usize,
    /// Writes the capture time into the first part of each segment (`prft`), which recordings need. Default false.
    pub reference_times: bool,
}

impl Default for SegmenterOptions {
    fn default() -> Self {
        Self {
            segment_target: Duration::from_secs(1),
            part_target: Duration::from_millis(200),
            max_segment: Duration::from_secs(30),
            max_gap: Duration::from_secs(3),
            max_wait: Duration::from_millis(1_500),
            max_part_bytes: 8 << 20,
            max_open_samples: 4096,
            reference_times: false,
        }
    }
}

impl SegmenterOptions {
    pub(super) fn within_bounds(self) -> Self {
        let ms = Duration::from_millis;
        let segment_target = self.segment_target.clamp(ms(500), ms(60_000));
        Self {
            segment_target,
            part_target: self
                .part_target
                .clamp(ms(100), segment_target.min(ms(1_000))),
            max_segment: self
                .max_segment
                .clamp(segment_target.saturating_mul(2), ms(300_000)),
            max_gap: self.max_gap.clamp(ms(500), ms(60_000)),
            max_wait: self.max_wait.min(ms(10_000)),
            max_part_bytes: self.max_part_bytes.max(64 << 10),
            max_open_samples: self.max_open_samples.max(64),
            reference_times: self.reference_times,
        }
    }
}
