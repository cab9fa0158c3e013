//! The window of segments a media playlist lists, and those that were listed a moment ago.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::multivariant::is_attribute_text;
use crate::{Init, MuxError, Output, Part, Segment, SegmentStart};

/// How much a [`MediaPlaylist`] holds. Values out of range are moved to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaylistOptions {
    /// Complete segments listed, at least; more while they last less than three target durations together. 3 to 600;
    /// default 7.
    pub window: usize,
    /// Bytes held, with the segments no longer listed but still fetchable. At the cap the oldest go, listed or not,
    /// but never the newest complete one or the open one. At least 1 MiB; default 64 MiB.
    pub max_bytes: usize,
    /// The target duration stated from the start, in whole seconds. It grows where a GOP outlasts it, which the
    /// specification does not like to see (RFC 8216 §6.2.1): state the longest GOP here to keep it still. 1 to 60 s;
    /// default 1 s.
    pub target_duration: Duration,
}

impl Default for PlaylistOptions {
    fn default() -> Self {
        Self {
            window: 7,
            max_bytes: 64 << 20,
            target_duration: Duration::from_secs(1),
        }
    }
}

/// Where a playlist ends (RFC 8216bis §4.4.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The last segment that is listed, complete or not.
    pub msn: u64,
    /// Its last part.
    pub part: u32,
}

/// What a playlist's segments need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// Of the heaviest segment listed.
    pub peak_bits_per_second: u64,
    /// Over all segments listed.
    pub average_bits_per_second: u64,
}

/// One rendition's media playlist and the bytes it names.
#[derive(Debug)]
pub struct MediaPlaylist {
    pub(super) options: PlaylistOptions,
    pub(super) inits: VecDeque<Init>,
    /// Complete segments, oldest first; the last `listed` of them are listed.
    pub(super) segments: VecDeque<Stored>,
    pub(super) listed: usize,
    pub(super) open: Option<Stored>,
    /// The number of the segment after the newest.
    pub(super) next: u64,
    pub(super) target_seconds: u64,
    pub(super) part_target: Duration,
    pub(super) reports: Vec<(String, Position)>,
    pub(super) ended: bool,
    pub(super) full: Option<Bytes>,
    pub(super) delta: Option<Bytes>,
    bytes: usize,
}

/// A segment and its parts.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) start: SegmentStart,
    pub(super) parts: Vec<Part>,
    pub(super) duration: Duration,
    pub(super) bytes: usize,
}

impl MediaPlaylist {
    /// A playlist without segments. It answers nobody before its first part.
    pub fn new(options: PlaylistOptions) -> Self {
        let options = PlaylistOptions {
            window: options.window.clamp(3, 600),
            max_bytes: options.max_bytes.max(1 << 20),
            target_duration: options
                .target_duration
                .clamp(Duration::from_secs(1), Duration::from_secs(60)),
        };
        Self {
            options,
            inits: VecDeque::new(),
            segments: VecDeque::new(),
            listed: 0,
            open: None,
            next: 0,
            target_seconds: rounded(options.target_duration),
            part_target: Duration::ZERO,
            reports: Vec::new(),
            ended: false,
            full: None,
            delta: None,
            bytes: 0,
        }
    }

    /// Takes what the segmenter gave out. After a part and after an end the playlist has changed: who waits asks anew.
    pub fn push(&mut self, output: &Output) {
        match output {
            Output::Init(init) => self.inits.push_back(init.clone()),
            Output::Start(start) => {
                self.open = Some(Stored {
                    start: *start,
                    parts: Vec::new(),
                    duration: Duration::ZERO,
                    bytes: 0,
                });
                self.next = start.number.saturating_add(1);
            }
            Output::Part(part) => self.push_part(part),
            Output::End(segment) => self.end_segment(segment),
        }
        self.full = None;
        self.delta = None;
    }

    /// The stream is over: no part will follow (`EXT-X-ENDLIST`), and nobody waits any more.
    pub fn end(&mut self) {
        self.ended = true;
        self.full = None;
        self.delta = None;
    }

    /// Whether [`end`](Self::end) was called.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Says how far a sibling rendition is (`EXT-X-RENDITION-REPORT`), by the URI of its playlist relative to ours. A
    /// sibling that is `None` is gone. At most 32 siblings; more are not reported.
    ///
    /// # Errors
    ///
    /// [`MuxError::BadText`] when the URI cannot stand in a playlist.
    pub fn set_report(&mut self, uri: &str, position: Option<Position>) -> Result<(), MuxError> {
        if !is_attribute_text(uri) {
            return Err(MuxError::BadText);
        }
        let place = self.reports.iter().position(|(known, _)| known == uri);
        match (place, position) {
            (Some(place), Some(position)) => {
                if let Some((_, known)) = self.reports.get_mut(place) {
                    if *known == position {
                        return Ok(());
                    }
                    *known = position;
                }
            }
            (Some(place), None) => drop(self.reports.remove(place)),
            (None, Some(position)) if self.reports.len() < MAX_REPORTS => {
                self.reports.push((uri.to_owned(), position));
            }
            (None, _) => return Ok(()),
        }
        self.full = None;
        self.delta = None;
        Ok(())
    }

    /// Where the playlist ends; `None` before the first part.
    pub fn position(&self) -> Option<Position> {
        let newest = self.open.as_ref().or_else(|| self.segments.back())?;
        Some(Position {
            msn: newest.start.number,
            part: newest.parts.last()?.index,
        })
    }

    /// The stated target duration; requests wait for three of them at most.
    pub const fn target_duration(&self) -> Duration {
        Duration::from_secs(self.target_seconds)
    }

    /// Bytes held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the listed segments need; of the open one while there is no other.
    pub fn bandwidth(&self) -> Bandwidth {
        let mut peak = 0_u64;
        let (mut bytes, mut duration) = (0_usize, Duration::ZERO);
        for segment in self
            .listed()
            .chain(self.open.iter().filter(|_| self.listed == 0))
        {
            peak = peak.max(bits_per_second(segment.bytes, segment.duration));
            bytes = bytes.saturating_add(segment.bytes);
            duration = duration.saturating_add(segment.duration);
        }
        Bandwidth {
            peak_bits_per_second: peak,
            average_bits_per_second: bits_per_second(bytes, duration),
        }
    }

    pub(super) fn listed(&self) -> impl DoubleEndedIterator<Item = &Stored> {
        self.segments
            .iter()
            .skip(self.segments.len().saturating_sub(self.listed))
    }

    fn push_part(&mut self, part: &Part) {
        let Some(open) = &mut self.open else { return };
        open.duration = open.duration.saturating_add(part.duration);
        open.bytes = open.bytes.saturating_add(part.bytes.len());
        self.bytes = self.bytes.saturating_add(part.bytes.len());
        self.part_target = self.part_target.max(part.target);
        self.target_seconds = self.target_seconds.max(rounded(open.duration));
        open.parts.push(part.clone());
        self.trim();
    }

    fn end_segment(&mut self, segment: &Segment) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.duration = segment.duration;
        self.target_seconds = self.target_seconds.max(rounded(open.duration));
        self.segments.push_back(open);
        self.listed = self.listed.saturating_add(1);
        self.trim();
    }

    /// Takes off the list what is too old, and lets go what has been off it for as long as the list lasts (RFC 8216
    /// §6.2.2), or sooner at the cap.
    fn trim(&mut self) {
        let least = self.target_duration().saturating_mul(3);
        let mut lasts: Duration = self.listed().map(|segment| segment.duration).sum();
        let crowd = self.options.window.saturating_mul(8);
        while self.listed > self.options.window {
            let Some(oldest) = self.listed().next() else {
                break;
            };
            let rest = lasts.saturating_sub(oldest.duration);
            if rest < least && self.listed <= crowd {
                break;
            }
            lasts = rest;
            self.listed = self.listed.saturating_sub(1);
        }
        let mut retired: Duration = self
            .segments
            .iter()
            .take(self.segments.len().saturating_sub(self.listed))
            .map(|segment| segment.duration)
            .sum();
        while let Some(oldest) = self.segments.front() {
            let off_list = self.segments.len() > self.listed;
            let rest = retired.saturating_sub(oldest.duration);
            let old = off_list && (rest > lasts || self.segments.len() > crowd.saturating_mul(2));
            let heavy = self.bytes > self.options.max_bytes && self.segments.len() > 1;
            if !(old || heavy) {
                break;
            }
            retired = rest;
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
            self.segments.pop_front();
            self.listed = self.listed.min(self.segments.len());
        }
        let needed = self
            .segments
            .front()
            .or(self.open.as_ref())
            .map_or(0, |oldest| oldest.start.init);
        while self.inits.len() > 1 && self.inits.front().is_some_and(|init| init.number < needed) {
            self.inits.pop_front();
        }
    }
}

/// Seconds to the nearest (RFC 8216 §4.3.3.1), at least 1.
fn rounded(duration: Duration) -> u64 {
    duration
        .saturating_add(Duration::from_millis(500))
        .as_secs()
        .max(1)
}

fn bits_per_second(bytes: usize, duration: Duration) -> u64 {
    let bits = u128::try_from(bytes).unwrap_or(0).saturating_mul(8);
    let micros = duration.as_micros().max(1);
    u64::try_from(bits.saturating_mul(1_000_000).div_ceil(micros)).unwrap_or(u64::MAX)
}

const MAX_REPORTS: usize = 32;
