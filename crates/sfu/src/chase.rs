//! A viewer's way from the newest keyframe, which may be seconds old, to what is sent now.
//!
//! What lies between is not written at once: it would stand in the pacer's queue, in front of every later decision, and
//! a narrow path would lose it. It goes out frame by frame, faster than it was made, and RTP time runs slower by the
//! same factor, so that a player shows it as fast as it comes. The ring is the queue.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Chase {
    /// RTP time of the frame let through last.
    frame: u64,
    /// When that frame was due.
    let_at: Instant,
    /// When the next one is.
    pub(crate) due: Instant,
    /// The registry will come back to it in time.
    pub(crate) is_awaited: bool,
}

/// What may happen with the next packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is of the frame that is on its way.
    Frame,
    /// It begins the next frame: RTP time falls behind its source by this many ticks.
    Next(u64),
    /// Its time has not come.
    Later,
}

impl Chase {
    /// Begins with the frame of RTP time `frame`, which leaves now.
    pub(crate) fn new(now: Instant, frame: u64) -> Self {
        Self {
            frame,
            let_at: now,
            due: now,
            is_awaited: false,
        }
    }

    /// Asks for the next packet in order, at `speed` percent of the pace its source had.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        time: u64,
        clock_rate: u32,
        speed: u64,
    ) -> Admission {
        let Some(interval) = time.checked_sub(self.frame).filter(|ticks| *ticks > 0) else {
            return Admission::Frame;
        };
        let hurried = interval.saturating_mul(100) / speed.max(100);
        self.due = self.let_at + duration(hurried, clock_rate);
        if now < self.due {
            return Admission::Later;
        }
        self.frame = time;
        self.let_at = self.due;
        Admission::Next(interval - hurried)
    }

    /// Ends it at a newer keyframe: the ticks that RTP time falls behind its source so that the player sees no gap.
    pub(crate) fn leap(&self, now: Instant, time: u64, clock_rate: u32) -> u64 {
        let skipped = time.saturating_sub(self.frame);
        let waited = now.saturating_duration_since(self.let_at).as_micros();
        let waited = waited.saturating_mul(clock_rate.into()) / 1_000_000;
        skipped.saturating_sub(u64::try_from(waited).unwrap_or(u64::MAX))
    }
}

/// How fast to go, in percent: what the path has to spare, and at least so much that the end is near.
pub(crate) fn speed(budget: Option<u64>, bits_per_second: u64) -> u64 {
    let spare = budget.map(|budget| budget.saturating_mul(80) / bits_per_second.max(1));
    spare.unwrap_or(UNKNOWN).clamp(SLOWEST, FASTEST)
}

fn duration(ticks: u64, clock_rate: u32) -> Duration {
    let micros = ticks.saturating_mul(1_000_000) / u64::from(clock_rate.max(1));
    Duration::from_micros(micros)
}

/// Nobody estimates this path.
const UNKNOWN: u64 = 200;
const SLOWEST: u64 = 125;
/// Faster nobody can follow, and decoders come to their limits.
const FASTEST: u64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 90_000;
    const FRAME: u64 = 3000;

    #[test]
    fn at_twice_the_pace_frames_come_in_half_the_time_and_rtp_time_runs_at_half_speed() {
        let t0 = Instant::now(); // an arbitrary origin, read once
        let mut chase = Chase::new(t0, 0);
        assert_eq!(chase.admit(t0, 0, RATE, 200), Admission::Frame);
        assert_eq!(chase.admit(t0, FRAME, RATE, 200), Admission::Later);
        let half = Duration::from_micros(16_666);
        assert_eq!(chase.due, t0 + half);
        let next = Admission::Next(FRAME / 2);
        assert_eq!(chase.admit(t0 + half, FRAME, RATE, 200), next);
        assert_eq!(chase.admit(t0 + half, FRAME, RATE, 200), Admission::Frame);
        // A late turn lets through all that was due meanwhile.
        let late = t0 + half * 3;
        for frame in [2, 3] {
            let next = Admission::Next(FRAME / 2);
            assert_eq!(chase.admit(late, frame * FRAME, RATE, 200), next);
        }
        assert_eq!(chase.admit(late, 4 * FRAME, RATE, 200), Admission::Later);
    }

    #[test]
    fn the_leap_to_a_newer_keyframe_leaves_no_gap_but_the_time_that_passed() {
        let t0 = Instant::now(); // an arbitrary origin, read once
        let chase = Chase::new(t0, 1000);
        let later = t0 + Duration::from_millis(20);
        assert_eq!(chase.leap(later, 901_000, RATE), 900_000 - 1800);
    }

    #[test]
    fn a_narrow_path_is_taken_slowly_and_a_wide_one_fast() {
        assert_eq!(speed(Some(1_000_000), 1_000_000), SLOWEST);
        assert_eq!(speed(Some(2_500_000), 1_000_000), 200);
        assert_eq!(speed(Some(90_000_000), 1_000_000), FASTEST);
        assert_eq!(speed(None, 1_000_000), UNKNOWN);
    }
}
