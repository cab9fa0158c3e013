//! Media time: ticks and their rate.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::time::Duration;

/// A moment on a track's timeline, in ticks of the track's rate (90 kHz for video, the sample rate for audio).
///
/// 64 bit, so it never wraps: at 90 kHz they last three million years. Moments of different rates compare by the
/// time they mean.
#[derive(Debug, Clone, Copy)]
pub struct Timestamp {
    ticks: i64,
    rate: NonZeroU32,
}

impl Timestamp {
    /// A moment `ticks` after the timeline's origin, before it when negative.
    pub const fn new(ticks: i64, rate: NonZeroU32) -> Self {
        Self { ticks, rate }
    }

    /// Ticks since the timeline's origin.
    pub const fn ticks(self) -> i64 {
        self.ticks
    }

    /// Ticks per second.
    pub const fn rate(self) -> NonZeroU32 {
        self.rate
    }

    /// The same moment in ticks of another rate, rounded to the nearest, halves up.
    #[must_use]
    pub fn rescaled(self, rate: NonZeroU32) -> Self {
        let (to, from) = (i128::from(rate.get()), i128::from(self.rate.get()));
        let scaled = i128::from(self.ticks) * to + from / 2;
        Self::new(saturate(scaled.div_euclid(from)), rate)
    }

    /// Microseconds since the origin, rounded down.
    pub fn micros(self) -> i64 {
        saturate((i128::from(self.ticks) * MICROS).div_euclid(i128::from(self.rate.get())))
    }

    /// The moment this many ticks later, saturating.
    #[must_use]
    pub const fn plus_ticks(self, ticks: i64) -> Self {
        Self::new(self.ticks.saturating_add(ticks), self.rate)
    }

    /// How much later this is than `earlier`; zero when it is not.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        let difference = nanos(self) - nanos(earlier);
        Duration::from_nanos(u64::try_from(difference.max(0)).unwrap_or(u64::MAX))
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        let crossed = |a: Self, b: Self| i128::from(a.ticks) * i128::from(b.rate.get());
        crossed(*self, *other).cmp(&crossed(*other, *self))
    }
}

fn nanos(moment: Timestamp) -> i128 {
    (i128::from(moment.ticks) * NANOS).div_euclid(i128::from(moment.rate.get()))
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

const MICROS: i128 = 1_000_000;
const NANOS: i128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: i64, rate: u32) -> Timestamp {
        Timestamp::new(ticks, NonZeroU32::new(rate).unwrap())
    }

    #[test]
    fn moments_of_different_rates_compare_by_time() {
        assert_eq!(at(90_000, 90_000), at(48_000, 48_000));
        assert!(at(1, 90_000) < at(1, 48_000));
        assert!(at(-1, 48_000) < at(-1, 90_000));
    }

    #[test]
    fn rescaling_there_and_back_keeps_the_tick() {
        let rate = NonZeroU32::new(90_000).unwrap();
        for ticks in [-3_003, -1, 0, 1, 44_099, 3_003, i64::MAX / 4] {
            let there = at(ticks, 44_100).rescaled(rate);
            assert_eq!(
                there.rescaled(NonZeroU32::new(44_100).unwrap()).ticks(),
                ticks
            );
        }
    }

    #[test]
    fn nothing_wraps() {
        assert_eq!(at(i64::MAX, 1).plus_ticks(1).ticks(), i64::MAX);
        assert_eq!(at(i64::MAX, 1).micros(), i64::MAX);
        assert_eq!(at(i64::MIN, 1).micros(), i64::MIN);
        assert_eq!(
            at(i64::MAX, 1).saturating_since(at(i64::MIN, 1)),
            Duration::from_nanos(u64::MAX)
        );
        assert_eq!(at(1, 1).saturating_since(at(2, 1)), Duration::ZERO);
    }
}
