//! Bit rates over the last second.

use std::time::Instant;

/// Counts bytes into ten buckets of 100 ms and adds up the last ten.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    origin: Option<Instant>,
    buckets: [u64; BUCKETS],
    /// Number of the newest bucket since the origin.
    newest: u64,
    bytes: u64,
    packets: u64,
}

impl RateMeter {
    pub(crate) fn add(&mut self, now: Instant, bytes: usize) {
        self.advance(now);
        let bytes = bytes as u64;
        self.bytes += bytes;
        self.packets += 1;
        if let Some(bucket) = self.buckets.get_mut(index(self.newest)) {
            *bucket += bytes;
        }
    }

    /// Over the last second; over the time since the first packet while that is shorter.
    pub(crate) fn bits_per_second(&self, now: Instant) -> u64 {
        let Some(origin) = self.origin else { return 0 };
        let number = number(origin, now).max(self.newest);
        let gone = number - self.newest;
        let sum: u64 = (0..BUCKETS as u64)
            .filter(|age| *age + gone < BUCKETS as u64 && *age <= self.newest)
            .filter_map(|age| self.buckets.get(index(self.newest - age)))
            .sum();
        let span = (number + 1).min(BUCKETS as u64).max(MIN_SPAN);
        sum * 8 * BUCKETS as u64 / span
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    fn advance(&mut self, now: Instant) {
        let origin = *self.origin.get_or_insert(now);
        let number = number(origin, now);
        let steps = number.saturating_sub(self.newest).min(BUCKETS as u64);
        for step in 1..=steps {
            if let Some(bucket) = self.buckets.get_mut(index(self.newest + step)) {
                *bucket = 0;
            }
        }
        if number.saturating_sub(self.newest) > BUCKETS as u64 {
            self.buckets = [0; BUCKETS];
        }
        self.newest = self.newest.max(number);
    }
}

fn number(origin: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(origin);
    since.as_secs() * BUCKETS as u64 + u64::from(since.subsec_millis() / BUCKET_MILLIS)
}

#[expect(clippy::cast_possible_truncation, reason = "below BUCKETS")]
fn index(number: u64) -> usize {
    (number % BUCKETS as u64) as usize
}

const BUCKETS: usize = 10;
const BUCKET_MILLIS: u32 = 100;
/// Fewer buckets than this would turn one frame into a rate.
const MIN_SPAN: u64 = 3;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_steady_stream_has_its_rate_and_a_stopped_one_none() {
        let t0 = Instant::now();
        let mut meter = RateMeter::default();
        for ms in (0..3000).step_by(10) {
            meter.add(t0 + Duration::from_millis(ms), 1250);
        }
        let rate = meter.bits_per_second(t0 + Duration::from_millis(2995));
        assert!((950_000..=1_000_000).contains(&rate), "{rate}");
        assert_eq!(meter.bits_per_second(t0 + Duration::from_millis(4100)), 0);
    }

    #[test]
    fn a_long_pause_leaves_nothing_behind() {
        let t0 = Instant::now();
        let mut meter = RateMeter::default();
        meter.add(t0, 100_000);
        meter.add(t0 + Duration::from_secs(60), 10);
        assert_eq!(meter.bits_per_second(t0 + Duration::from_secs(60)), 80);
    }
}
