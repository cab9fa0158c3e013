//! What a stream's folder tells of its files: names by time, and one JSON line each.

use std::fmt::Write as _;

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedFile {
    /// Where it lies in the storage: `app/stream/<time>.mp4`.
    pub name: String,
    /// Wall-clock time of its first frame, milliseconds since 1970.
    pub start_ms: i64,
    /// Wall-clock time at which its last frame ends, milliseconds since 1970.
    pub end_ms: i64,
    /// How long it plays, in milliseconds: less than from start to end where the publisher was away.
    pub duration_ms: u64,
    /// Its length.
    pub bytes: u64,
    /// How its tracks are coded (RFC 6381): `avc1.42e01f,opus`. Empty where that is not known.
    pub codecs: String,
}

impl RecordedFile {
    /// Its line in the index of `folder`.
    pub(super) fn line(&self) -> String {
        let file = plain(&self.name);
        let (start, end) = (self.start_ms, self.end_ms);
        let (duration, bytes, codecs) = (self.duration_ms, self.bytes, &self.codecs);
        format!(
            "{{\"file\":\"{file}\",\"startMs\":{start},\"endMs\":{end},\"durationMs\":{duration},\"bytes\":{bytes},\"codecs\":\"{codecs}\"}}\n"
        )
    }

    /// Reads a line of ours; anything else is nothing.
    pub(super) fn parse(folder: &str, line: &str) -> Option<Self> {
        let rest = line.trim_end().strip_prefix("{\"file\":\"")?;
        let (file, rest) = rest.split_once("\",\"startMs\":")?;
        let (start, rest) = rest.split_once(",\"endMs\":")?;
        let (end, rest) = rest.split_once(",\"durationMs\":")?;
        let (duration, rest) = rest.split_once(",\"bytes\":")?;
        let (bytes, rest) = rest.split_once(",\"codecs\":\"")?;
        let codecs = rest.strip_suffix("\"}")?;
        let ours = |c: char| c.is_ascii_alphanumeric() || c == '.';
        if !file.ends_with(FINISHED) || file.starts_with('.') || !file.chars().all(ours) {
            return None;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | '-');
        if !codecs.chars().all(word) {
            return None;
        }
        Some(Self {
            name: format!("{folder}/{file}"),
            start_ms: start.parse().ok()?,
            end_ms: end.parse().ok()?,
            duration_ms: duration.parse().ok()?,
            bytes: bytes.parse().ok()?,
            codecs: codecs.to_owned(),
        })
    }
}

/// The name without its folder.
pub(crate) fn plain(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// `20261121T191654.123Z`: names that sort by time.
pub(super) fn stamp(wall_ms: i64) -> String {
    let (mut days, millis) = (wall_ms.max(0) / DAY_MS, wall_ms.max(0) % DAY_MS);
    let mut year = 1970;
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 0;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    let seconds = millis / 1000;
    let mut text = String::with_capacity(20);
    let _ = write!(
        text,
        "{year:04}{:02}{:02}T{:02}{:02}{:02}.{:03}Z",
        month + 1,
        days + 1,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        millis % 1000
    );
    text
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn year_days(year: i64) -> i64 {
    365 + i64::from(is_leap(year))
}

/// `month` from 0.
fn month_days(year: i64, month: i64) -> i64 {
    match month {
        1 => 28 + i64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

const DAY_MS: i64 = 86_400_000;
/// How a finished file's name ends.
pub(super) const FINISHED: &str = ".mp4";
/// How the name of one ends that is being written, or was when the process died.
pub(super) const JOURNAL: &str = ".mp4.part";
/// The list of a folder's finished files.
pub(super) const INDEX: &str = "index.jsonl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_calendar_time() {
        assert_eq!(stamp(0), "19700101T000000.000Z");
        assert_eq!(stamp(951_782_399_999), "20000228T235959.999Z");
        assert_eq!(stamp(951_782_400_000), "20000229T000000.000Z");
        assert_eq!(stamp(1_795_288_614_123), "20261121T191654.123Z");
    }

    #[test]
    fn a_line_reads_back_and_nothing_else_does() {
        let file = RecordedFile {
            name: "live/show/20261121T191654.123Z.mp4".to_owned(),
            start_ms: 1_795_288_614_123,
            end_ms: 1_795_288_624_123,
            duration_ms: 10_000,
            bytes: 77,
            codecs: "avc1.42e01f,opus".to_owned(),
        };
        let line = file.line();
        assert_eq!(RecordedFile::parse("live/show", &line), Some(file));
        for end in 0..line.len() - 2 {
            assert_eq!(RecordedFile::parse("live/show", &line[..end]), None);
        }
        let outside = line.replace("20261121T191654.123Z", "../../x");
        assert_eq!(RecordedFile::parse("live/show", &outside), None);
    }
}
