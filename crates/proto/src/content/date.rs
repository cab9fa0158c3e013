//! Dates as header fields and timestamps write them.

use std::time::Duration;

use sluice_media::civil;

/// Seconds since 1970 as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
pub fn http_date(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let weekday = index(days.saturating_add(3).rem_euclid(7));
    let weekday = WEEKDAYS.get(weekday).copied().unwrap_or_default();
    let month = index(month.saturating_sub(1));
    let month = MONTHS.get(month).copied().unwrap_or_default();
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Seconds since 1970 of such a date. The two obsolete forms, which nobody has sent for decades, are none.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let rest = text.get(5..)?;
    let mut words = rest.split(' ');
    let day = number(words.next()?, 2)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let month = i64::try_from(month).ok()?.saturating_add(1);
    let year = number(words.next()?, 4)?;
    let seconds = clock(words.next()?)?;
    let whole = words.next() == Some("GMT") && words.next().is_none();
    whole.then_some(())?;
    Some(
        days(year, month, day)?
            .saturating_mul(DAY)
            .saturating_add(seconds),
    )
}

/// Milliseconds since 1970 as `2026-11-21T19:16:54.123Z` (RFC 3339).
pub fn rfc3339(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let (of_day, milli) = (seconds.rem_euclid(DAY), millis.rem_euclid(1000));
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Milliseconds since 1970 of an RFC 3339 timestamp (§5.6); what is finer is cut off.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    parts.next().is_none().then_some(())?;
    let at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(at)?;
    let (time, millis) = match time.split_once('.') {
        Some((time, fraction)) => (time, millis_of(fraction)?),
        None => (time, 0),
    };
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign, zone) => {
            let minutes = zone_minutes(zone)?;
            if sign == "-" {
                minutes.saturating_neg()
            } else {
                minutes
            }
        }
    };
    let seconds = days(year, month, day)?
        .saturating_mul(DAY)
        .saturating_add(clock(time)?)
        .saturating_sub(offset.saturating_mul(60));
    Some(seconds.saturating_mul(1000).saturating_add(millis))
}

fn zone_minutes(zone: &str) -> Option<i64> {
    let (hours, minutes) = zone.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| hours.saturating_mul(60).saturating_add(minutes))
}

fn millis_of(fraction: &str) -> Option<i64> {
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(())?;
    let millis = fraction.bytes().chain(*b"00").take(3);
    Some(millis.fold(0, |sum: i64, digit| {
        sum.saturating_mul(10)
            .saturating_add(i64::from(digit.saturating_sub(b'0')))
    }))
}

/// `hh:mm:ss` in seconds; a leap second is the one before it.
fn clock(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let fits = parts.next().is_none() && hour < 24 && minute < 60 && second < 61;
    fits.then(|| {
        hour.saturating_mul(3600)
            .saturating_add(minute.saturating_mul(60))
            .saturating_add(second.min(59))
    })
}

/// So many digits, and nothing else.
fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// Days since 1970 of a day that there is.
///
/// Years are counted from the first of March, so that the leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let (year_from, month_from) = if month > 2 {
        (year, month.saturating_sub(3))
    } else {
        (year.saturating_sub(1), month.saturating_add(9))
    };
    let leaps = year_from
        .div_euclid(4)
        .saturating_sub(year_from.div_euclid(100))
        .saturating_add(year_from.div_euclid(400));
    let of_year = month_from.saturating_mul(153).saturating_add(2) / 5;
    let days = year_from
        .saturating_mul(365)
        .saturating_add(leaps)
        .saturating_add(of_year)
        .saturating_add(day)
        .saturating_sub(719_469);
    (civil(days) == (year, month, day)).then_some(days)
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A point of time as a query gives it: seconds from a beginning, or a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long after the beginning.
    After(Duration),
    /// Milliseconds since 1970.
    At(i64),
}

impl Moment {
    /// `12`, `12.5` or an RFC 3339 timestamp.
    pub fn parse(text: &str) -> Option<Self> {
        seconds(text)
            .map(Self::After)
            .or_else(|| parse_rfc3339(text).map(Self::At))
    }
}

/// `12` or `12.5` seconds; a year at most.
pub fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || whole.len() > 8 {
        return None;
    }
    let millis = u64::try_from(millis_of(fraction)?).ok()?;
    Some(Duration::from_secs(whole.parse().ok()?).saturating_add(Duration::from_millis(millis)))
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_reads_back_in_both_forms() {
        for day in (-200_000..200_000).step_by(13) {
            let seconds = day * DAY + 30_000 + day % 100;
            let written = http_date(seconds);
            if (1000..10_000).contains(&civil(day).0) {
                assert_eq!(parse_http_date(&written), Some(seconds), "{written}");
                let stamp = rfc3339(seconds * 1000 + 7);
                assert_eq!(parse_rfc3339(&stamp), Some(seconds * 1000 + 7), "{stamp}");
            }
        }
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777)
        );
    }

    #[test]
    fn timestamps_have_zones_and_fractions() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1985-04-12T23:20:50.52Z", Some(482_196_050_520)),
            ("1996-12-19T16:39:57-08:00", Some(851_042_397_000)),
            ("1990-12-31T23:59:60Z", Some(662_687_999_000)),
            ("2026-11-21t19:16:54.123456z", Some(1_795_288_614_123)),
            ("2026-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-21T19:16:54", None),
            ("2026-11-21T25:16:54Z", None),
            ("2026-11-21", None),
            ("2026-11-21T19:16:54.Z", None),
            ("2026-11-21T19:16:54+0100", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), millis, "{text}");
        }
    }

    #[test]
    fn a_moment_is_seconds_or_a_date() {
        let ms = Duration::from_millis;
        assert_eq!(Moment::parse("12"), Some(Moment::After(ms(12_000))));
        assert_eq!(Moment::parse("0.25"), Some(Moment::After(ms(250))));
        assert_eq!(
            Moment::parse("1970-01-01T00:00:01Z"),
            Some(Moment::At(1000))
        );
        for text in ["", "-1", "1e3", "1.", ".5", "999999999", "now", "1.5s"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }
}
