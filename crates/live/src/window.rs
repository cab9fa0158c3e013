//! Sums over the recent past.

use std::time::{Duration, Instant};

/// What was counted in about the last `span`, in a tenth of it at a time; two numbers in step (bytes and frames,
/// nanoseconds and times). Nothing is allocated and nothing has to tick: what is too old is left out when read.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    slice: Duration,
    origin: Option<Instant>,
    /// The slice counted into last, from `origin`.
    newest: u64,
    slices: [(u64, u64); SLICES],
}

impl Window {
    pub(crate) fn new(span: Duration) -> Self {
        Self {
            slice: (span / COMPLETE).max(Duration::from_nanos(1)),
            origin: None,
            newest: 0,
            slices: [(0, 0); SLICES],
        }
    }

    pub(crate) fn add(&mut self, now: Instant, first: u64, second: u64) {
        let at = self.slice_at(now);
        self.origin.get_or_insert(now);
        let steps = at.saturating_sub(self.newest).min(SLICES as u64);
        for step in 1..=steps {
            *self.slot(at.saturating_sub(steps).saturating_add(step)) = (0, 0);
        }
        self.newest = self.newest.max(at);
        let slot = self.slot(self.newest);
        slot.0 = slot.0.saturating_add(first);
        slot.1 = slot.1.saturating_add(second);
    }

    /// The sums over the `span` before the slice that `now` is in, and that slice.
    pub(crate) fn total(&self, now: Instant) -> (u64, u64) {
        let oldest = self.slice_at(now).saturating_sub(u64::from(COMPLETE));
        self.sum(oldest, self.newest)
    }

    /// The sums per second over the complete slices of the `span` before `now`; less than a span after the first
    /// count, over what there is.
    pub(crate) fn rate(&self, now: Instant) -> (f64, f64) {
        let at = self.slice_at(now);
        let oldest = at.saturating_sub(u64::from(COMPLETE));
        let Some(complete) = at.checked_sub(1) else {
            return (0.0, 0.0);
        };
        let (first, second) = self.sum(oldest, complete.min(self.newest));
        #[expect(clippy::cast_precision_loss, reason = "a measure, not a count")]
        let per_second =
            |count: u64| count as f64 / (self.slice.as_secs_f64() * (at - oldest) as f64);
        (per_second(first), per_second(second))
    }

    fn sum(&self, oldest: u64, newest: u64) -> (u64, u64) {
        let oldest = oldest.max(self.newest.saturating_sub(SLICES as u64 - 1));
        let mut sums = (0_u64, 0_u64);
        for slice in oldest..=newest {
            let (first, second) = self.slices[Self::index(slice)];
            sums = (sums.0.saturating_add(first), sums.1.saturating_add(second));
        }
        sums
    }

    fn slice_at(&self, now: Instant) -> u64 {
        let since = self.origin.map_or(Duration::ZERO, |origin| {
            now.saturating_duration_since(origin)
        });
        u64::try_from(since.as_nanos() / self.slice.as_nanos()).unwrap_or(u64::MAX)
    }

    fn slot(&mut self, slice: u64) -> &mut (u64, u64) {
        &mut self.slices[Self::index(slice)]
    }

    #[expect(clippy::cast_possible_truncation, reason = "less than SLICES")]
    const fn index(slice: u64) -> usize {
        (slice % SLICES as u64) as usize
    }
}

/// Complete slices in a span.
const COMPLETE: u32 = 10;
/// And the one that is being counted into.
const SLICES: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
    fn origin() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_steady_rate_reads_as_it_is_and_silence_as_nothing() {
        let (t0, mut window) = (origin(), Window::new(1000 * MS));
        for index in 0..300 {
            window.add(t0 + index * 10 * MS, 1_000, 1);
        }
        assert_eq!(window.rate(t0 + 3_000 * MS), (100_000.0, 100.0));
        assert_eq!(window.total(t0 + 2_999 * MS), (110_000, 110));
        assert_eq!(window.rate(t0 + 3_500 * MS), (50_000.0, 50.0));
        assert_eq!(window.rate(t0 + 4_100 * MS), (0.0, 0.0));
        assert_eq!(window.total(t0 + 86_400_000 * MS), (0, 0));
    }

    #[test]
    fn time_that_stands_still_or_goes_back_is_counted_as_now() {
        let (t0, mut window) = (origin() + 5_000 * MS, Window::new(1000 * MS));
        assert_eq!(window.rate(t0), (0.0, 0.0));
        window.add(t0, 1, 1);
        window.add(t0 + 700 * MS, 1, 1);
        window.add(t0.checked_sub(3_000 * MS).unwrap(), 1, 1);
        assert_eq!(window.total(t0 + 700 * MS), (3, 3));
        window.add(t0 + 100_000 * MS, 1, 1);
        assert_eq!(window.total(t0 + 100_000 * MS), (1, 1));
    }
}
