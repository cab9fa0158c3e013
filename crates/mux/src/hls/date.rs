//! Dates as playlists write them.

use std::fmt;

use sluice_media::civil;

/// Microseconds since 1970 as ISO 8601 in UTC with milliseconds, e.g. `2026-03-01T12:00:00.040Z`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Date(pub(super) i64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.div_euclid(1_000);
        let (days, rest) = (millis.div_euclid(DAY_MILLIS), millis.rem_euclid(DAY_MILLIS));
        let (year, month, day) = civil(days);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
        )
    }
}

const DAY_MILLIS: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_iso_8601() {
        assert_eq!(Date(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Date(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(
            Date(1_709_210_096_789_999).to_string(),
            "2024-02-29T12:34:56.789Z"
        );
    }
}
