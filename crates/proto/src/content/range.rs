//! What of a file a request gets.

use std::ops::Range;

use super::date::parse_http_date;

/// A file as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Representation<'a> {
    /// Its length.
    pub bytes: u64,
    /// Its strong entity tag, in quotes (RFC 9110 §8.8.3).
    pub entity_tag: &'a str,
    /// When it was made, in seconds since 1970 (§8.8.2).
    pub modified: i64,
}

/// The header fields of a GET or HEAD that decide what it gets (RFC 9110 §13.1, §14.2).
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions<'a> {
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// `If-Range`.
    pub if_range: Option<&'a str>,
    /// `Range`; of a HEAD there is none (§14.2).
    pub range: Option<&'a str>,
}

/// What a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// All of it: 200.
    Whole,
    /// These bytes: 206.
    Part(Range<u64>),
    /// Nothing, for it has it already: 304.
    NotModified,
    /// Nothing, for it is not what it was thought to be: 412.
    PreconditionFailed,
    /// No byte of the range is there: 416.
    NotSatisfiable,
}

impl Representation<'_> {
    /// What of it a GET or HEAD gets, in the order of precedence of RFC 9110 §13.2.2.
    ///
    /// A request for several ranges gets all of it, as §14.2 lets a server choose: players ask for one, and what is
    /// assembled of many small ones is a way to make a server work for little.
    pub fn select(&self, conditions: &Conditions<'_>) -> Selected {
        match (conditions.if_match, conditions.if_unmodified_since) {
            (Some(tags), _) if !self.is_listed(tags, false) => return Selected::PreconditionFailed,
            (None, Some(date)) if parse_http_date(date).is_some_and(|at| self.modified > at) => {
                return Selected::PreconditionFailed;
            }
            _ => {}
        }
        match (conditions.if_none_match, conditions.if_modified_since) {
            (Some(tags), _) if self.is_listed(tags, true) => return Selected::NotModified,
            (None, Some(date)) if parse_http_date(date).is_some_and(|at| self.modified <= at) => {
                return Selected::NotModified;
            }
            _ => {}
        }
        match conditions.range {
            Some(range) if conditions.if_range.is_none_or(|known| self.is_known(known)) => {
                self.part(range)
            }
            _ => Selected::Whole,
        }
    }

    /// Whether a list of tags names this one (§13.1.1, §13.1.2): by the weak comparison, or the strong one.
    fn is_listed(&self, tags: &str, weak: bool) -> bool {
        tags.trim() == "*"
            || tags.split(',').take(MAX_TAGS).any(|tag| {
                let tag = tag.trim();
                let tag = if weak {
                    tag.strip_prefix("W/").unwrap_or(tag)
                } else {
                    tag
                };
                tag == self.entity_tag
            })
    }

    /// `If-Range` (§13.1.5): this very tag, or the exact date.
    fn is_known(&self, known: &str) -> bool {
        let known = known.trim();
        known == self.entity_tag || parse_http_date(known) == Some(self.modified)
    }

    /// A `Range` (§14.1.2). What is not one range of bytes is ignored, which gives all.
    fn part(&self, range: &str) -> Selected {
        let Some((unit, set)) = range.split_once('=') else {
            return Selected::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return Selected::Whole;
        }
        let Some((first, last)) = set.trim().split_once('-') else {
            return Selected::Whole;
        };
        let (first, last) = (first.trim(), last.trim());
        let (start, end) = match (position(first), position(last)) {
            (Some(first), Some(last)) if last >= first => {
                (first, last.saturating_add(1).min(self.bytes))
            }
            (Some(first), None) if last.is_empty() => (first, self.bytes),
            (None, Some(length)) if first.is_empty() => {
                (self.bytes.saturating_sub(length), self.bytes)
            }
            _ => return Selected::Whole,
        };
        if start < end {
            Selected::Part(start..end)
        } else {
            Selected::NotSatisfiable
        }
    }
}

/// Digits alone; more than there can be bytes is as far as bytes go.
fn position(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A cache knows a few versions of a file.
const MAX_TAGS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Representation<'_> = Representation {
        bytes: 1000,
        entity_tag: "\"v1\"",
        modified: 784_111_777,
    };
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

    fn ranged(range: &str) -> Selected {
        FILE.select(&Conditions {
            range: Some(range),
            ..Conditions::default()
        })
    }

    #[test]
    fn range_selects_what_rfc_9110_says() {
        for (range, selected) in [
            ("bytes=0-499", Selected::Part(0..500)),
            ("bytes=500-999", Selected::Part(500..1000)),
            ("bytes=500-", Selected::Part(500..1000)),
            ("bytes=-500", Selected::Part(500..1000)),
            ("bytes=-1", Selected::Part(999..1000)),
            ("bytes=-5000", Selected::Part(0..1000)),
            ("bytes=999-99999999999999999999", Selected::Part(999..1000)),
            ("Bytes=0-0", Selected::Part(0..1)),
            ("bytes=1000-", Selected::NotSatisfiable),
            ("bytes=1000-2000", Selected::NotSatisfiable),
            ("bytes=-0", Selected::NotSatisfiable),
            ("bytes=0-0,-1", Selected::Whole),
            ("bytes=5-4", Selected::Whole),
            ("bytes=-", Selected::Whole),
            ("bytes=a-b", Selected::Whole),
            ("bytes=+1-2", Selected::Whole),
            ("seconds=1-2", Selected::Whole),
            ("bytes", Selected::Whole),
            ("", Selected::Whole),
        ] {
            assert_eq!(ranged(range), selected, "{range}");
        }
    }

    #[test]
    fn an_empty_file_has_no_range() {
        let empty = Representation { bytes: 0, ..FILE };
        for range in ["bytes=0-", "bytes=-1"] {
            let conditions = Conditions {
                range: Some(range),
                ..Conditions::default()
            };
            assert_eq!(empty.select(&conditions), Selected::NotSatisfiable);
        }
    }

    #[test]
    fn if_range_lets_a_range_through_for_the_very_same_file() {
        for (if_range, whole) in [
            ("\"v1\"", false),
            (DATE, false),
            ("W/\"v1\"", true),
            ("\"v2\"", true),
            (LATER, true),
            ("", true),
        ] {
            let selected = FILE.select(&Conditions {
                range: Some("bytes=0-0"),
                if_range: Some(if_range),
                ..Conditions::default()
            });
            assert_eq!(selected == Selected::Whole, whole, "{if_range}");
        }
    }

    #[test]
    fn preconditions_go_before_the_range() {
        let with = |conditions: Conditions<'static>| {
            FILE.select(&Conditions {
                range: Some("bytes=0-0"),
                ..conditions
            })
        };
        let part = Selected::Part(0..1);
        let none = Conditions::default();
        for (conditions, selected) in [
            (
                Conditions {
                    if_match: Some("\"v1\""),
                    ..none
                },
                part.clone(),
            ),
            (
                Conditions {
                    if_match: Some("*"),
                    ..none
                },
                part.clone(),
            ),
            (
                Conditions {
                    if_match: Some("W/\"v1\""),
                    ..none
                },
                Selected::PreconditionFailed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(EARLIER),
                    ..none
                },
                Selected::PreconditionFailed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(DATE),
                    ..none
                },
                part.clone(),
            ),
            (
                Conditions {
                    if_none_match: Some("\"v0\", W/\"v1\""),
                    ..none
                },
                Selected::NotModified,
            ),
            (
                Conditions {
                    if_none_match: Some("*"),
                    ..none
                },
                Selected::NotModified,
            ),
            (
                Conditions {
                    if_none_match: Some("\"v2\""),
                    if_modified_since: Some(LATER),
                    ..none
                },
                part.clone(),
            ),
            (
                Conditions {
                    if_modified_since: Some(DATE),
                    ..none
                },
                Selected::NotModified,
            ),
            (
                Conditions {
                    if_modified_since: Some(EARLIER),
                    ..none
                },
                part.clone(),
            ),
            (
                Conditions {
                    if_modified_since: Some("yesterday"),
                    ..none
                },
                part,
            ),
        ] {
            assert_eq!(with(conditions), selected, "{conditions:?}");
        }
    }
}
