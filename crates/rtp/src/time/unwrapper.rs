//! 32 bits of RTP time made 64.

/// Extends RTP timestamps, which wrap every 13 h at 90 kHz, to ticks that do not.
///
/// A timestamp is taken as the nearest to the one before, so it may also lie before it (pictures that are sent in
/// decoding order). Only a leap of more than 2^31 ticks, 6.6 h at 90 kHz, is misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampUnwrapper {
    last: i64,
}

impl TimestampUnwrapper {
    /// Begins at this timestamp, which extends to itself.
    pub fn starting_at(timestamp: u32) -> Self {
        Self {
            last: i64::from(timestamp),
        }
    }

    /// The extended timestamp, which the next one is then compared with.
    pub fn unwrap(&mut self, timestamp: u32) -> i64 {
        self.last = self.peek(timestamp);
        self.last
    }

    /// The extended timestamp.
    pub fn peek(&self, timestamp: u32) -> i64 {
        // The remainder lies in 32 bits.
        let low = u32::try_from(self.last.rem_euclid(1 << 32)).unwrap_or_default();
        let ahead = timestamp.wrapping_sub(low);
        if ahead < 1 << 31 {
            self.last.saturating_add(i64::from(ahead))
        } else {
            self.last.saturating_sub(i64::from(ahead.wrapping_neg()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_forwards_and_backwards_keep_the_distance() {
        let mut unwrapper = TimestampUnwrapper::starting_at(u32::MAX - 2_999);
        let first = i64::from(u32::MAX - 2_999);
        assert_eq!(unwrapper.unwrap(6_000), first + 9_000);
        assert_eq!(unwrapper.unwrap(u32::MAX), first + 2_999);
        assert_eq!(unwrapper.unwrap(0), first + 3_000);
        let mut early = TimestampUnwrapper::starting_at(10);
        assert_eq!(early.unwrap(u32::MAX), -1);
        assert_eq!(early.unwrap(9), 9);
    }

    #[test]
    fn ten_wraps_are_monotonic() {
        let mut unwrapper = TimestampUnwrapper::starting_at(5);
        let mut last = 5;
        for step in 1..=100_u32 {
            let next = unwrapper.unwrap(5_u32.wrapping_add(step.wrapping_mul(0x2000_0000)));
            assert_eq!(next - last, 0x2000_0000);
            last = next;
        }
    }
}
