//! Kernel receive times (wall clock) as `Instant`s.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks, read for each batch so that a stepped wall clock never lingers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    monotonic: Instant,
    since_epoch: Option<Duration>,
}

impl Anchor {
    pub(crate) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).ok(),
        }
    }

    pub(crate) fn monotonic(self) -> Instant {
        self.monotonic
    }

    /// When a datagram stamped `timestamp` (since the Unix epoch) arrived; the anchor where that
    /// is unknown or not believable. Never after the anchor.
    pub(crate) fn instant_of(self, timestamp: Option<Duration>) -> Instant {
        let age = match (self.since_epoch, timestamp) {
            (Some(now), Some(then)) => now.saturating_sub(then),
            _ => Duration::ZERO,
        };
        if age > MAX_AGE {
            return self.monotonic;
        }
        self.monotonic.checked_sub(age).unwrap_or(self.monotonic)
    }
}

/// A datagram that waited longer is taken for one stamped before the wall clock was set forward.
const MAX_AGE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor() -> Anchor {
        Anchor {
            monotonic: Instant::now() + Duration::from_secs(60),
            since_epoch: Some(Duration::from_secs(1_000_000)),
        }
    }

    #[test]
    fn datagram_that_waited_is_dated_back() {
        let anchor = anchor();
        let stamped = Duration::from_secs(1_000_000).checked_sub(Duration::from_millis(7));
        let received = anchor.instant_of(stamped);
        assert_eq!(anchor.monotonic() - received, Duration::from_millis(7));
    }

    #[test]
    fn stamp_from_the_future_or_a_stepped_clock_is_now() {
        let anchor = anchor();
        for seconds in [1_000_001, 900_000] {
            let received = anchor.instant_of(Some(Duration::from_secs(seconds)));
            assert_eq!(received, anchor.monotonic());
        }
        assert_eq!(anchor.instant_of(None), anchor.monotonic());
    }
}
