//! The wall clock of sender reports.

use super::NANOS;

/// An NTP timestamp: seconds since 1900 and a fraction, 32 bits each (RFC 3550 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtpTime(u64);

impl NtpTime {
    /// From the 64 bits of the wire.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the wire.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// From microseconds since 1970; the era is lost, as NTP has it.
    pub fn from_unix_micros(micros: i64) -> Self {
        let micros = i128::from(micros).saturating_add(UNIX_SECONDS.saturating_mul(MICROS));
        // Rounded up, so that the way back, which rounds down, gives the same microsecond.
        let scaled = (micros << 32)
            .saturating_add(MICROS.saturating_sub(1))
            .div_euclid(MICROS);
        Self(u64::try_from(scaled.rem_euclid(1 << 64)).unwrap_or_default())
    }

    /// Microseconds since 1970, rounded down, between 1968 and 2104 (RFC 4330 §3).
    ///
    /// `None` for what is no time of day: zero, and the first year of an era, since clocks that count from when the
    /// device was switched on are common in cameras.
    pub fn unix_micros(self) -> Option<i64> {
        let seconds = i128::from(self.0 >> 32);
        if seconds < YEAR_SECONDS {
            return None;
        }
        let era = if seconds < 1 << 31 { 1_i128 << 64 } else { 0 };
        let micros = i128::from(self.0)
            .saturating_add(era)
            .saturating_mul(MICROS)
            >> 32;
        i64::try_from(micros.saturating_sub(UNIX_SECONDS.saturating_mul(MICROS))).ok()
    }

    /// The sender has no clock (RFC 3550 §6.4.1).
    pub const fn is_unknown(self) -> bool {
        self.0 == 0
    }

    /// Nanoseconds from `earlier` to this, negative when it is later; over the end of an era too.
    pub(super) fn nanos_since(self, earlier: Self) -> i128 {
        let difference = self.0.wrapping_sub(earlier.0).cast_signed();
        i128::from(difference).saturating_mul(NANOS) >> 32
    }
}

const MICROS: i128 = 1_000_000;
/// From 1900 to 1970.
const UNIX_SECONDS: i128 = 2_208_988_800;
const YEAR_SECONDS: i128 = 31_536_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_time_round_trips_over_the_end_of_the_era() {
        // 2036-02-07T06:28:16Z begins era 1; the next year stands for clocks without a date.
        for micros in [
            0,
            1,
            1_700_000_000_123_457,
            2_085_978_495_999_999,
            2_200_000_000_000_001,
        ] {
            assert_eq!(
                NtpTime::from_unix_micros(micros).unix_micros(),
                Some(micros)
            );
        }
    }

    #[test]
    fn clock_that_counts_from_power_on_gives_no_date() {
        assert_eq!(NtpTime::from_bits(0).unix_micros(), None);
        assert_eq!(NtpTime::from_bits(86_400 << 32).unix_micros(), None);
    }

    #[test]
    fn differences_pass_the_end_of_the_era() {
        let before = NtpTime::from_bits(u64::MAX << 31);
        let after = NtpTime::from_bits(1 << 31);
        assert_eq!(after.nanos_since(before), 1_000_000_000);
        assert_eq!(before.nanos_since(after), -1_000_000_000);
    }
}
