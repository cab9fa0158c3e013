//! Media time on its way out.

use std::num::NonZeroU32;

use sluice_media::Timestamp;

use super::{NtpTime, SenderInfo};

/// The RTP timestamps of one outgoing track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpClock {
    rate: NonZeroU32,
    offset: u32,
}

impl RtpClock {
    /// `rate` ticks per second; the timeline's origin gets the timestamp `offset`, which should be random (RFC 3550
    /// §5.1).
    pub const fn new(rate: NonZeroU32, offset: u32) -> Self {
        Self { rate, offset }
    }

    /// The timestamp of a frame shown at `pts`: of any rate, rounded to the nearest tick, wrapping.
    pub fn timestamp(&self, pts: Timestamp) -> u32 {
        let ticks = pts.rescaled(self.rate).ticks().rem_euclid(1 << 32);
        u32::try_from(ticks)
            .unwrap_or_default()
            .wrapping_add(self.offset)
    }

    /// What a sender report says when the wall clock shows `wall` and the timeline has come to `now`: the same `now`
    /// for all tracks of a stream, or lips move without sound.
    pub fn report(&self, now: Timestamp, wall: NtpTime, packets: u32, octets: u32) -> SenderInfo {
        SenderInfo {
            ntp: wall,
            rtp_timestamp: self.timestamp(now),
            packets,
            octets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_begin_at_the_offset_and_wrap() {
        let rate = NonZeroU32::new(90_000).unwrap();
        let clock = RtpClock::new(rate, u32::MAX - 89_999);
        let at = |ticks, rate| Timestamp::new(ticks, NonZeroU32::new(rate).unwrap());
        assert_eq!(clock.timestamp(at(0, 90_000)), u32::MAX - 89_999);
        assert_eq!(clock.timestamp(at(48_000, 48_000)), 0);
        assert_eq!(clock.timestamp(at(-1, 90_000)), u32::MAX - 90_000);
        assert_eq!(clock.timestamp(at(2 << 32, 90_000)), u32::MAX - 89_999);
    }
}
