//! Who gets an answer now, who waits, and who is refused. Nothing here knows a clock: callers say how long they waited.

use std::time::Duration;

use bytes::Bytes;

use super::playlist::{MediaPlaylist, Position, Stored};
use super::query::{BadRequest, Query};
use super::resource::Resource;

/// What a request for the playlist gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlaylistAnswer {
    /// 200 with this text.
    Ready(Bytes),
    /// Ask again after the next [`push`](MediaPlaylist::push).
    Wait,
    /// 400.
    BadRequest(BadRequest),
    /// 503: three target durations have passed in vain (RFC 8216bis §6.2.5.2).
    TimedOut,
}

/// What a request for an init segment, a segment or a part gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceAnswer {
    /// 200 with these bytes, one after the other. They never change.
    Ready(Vec<Bytes>),
    /// It is being made: ask again after the next [`push`](MediaPlaylist::push).
    Wait,
    /// 404: it is gone, or nobody has announced it.
    NotFound,
    /// 503: it was to be made, and was not for three target durations.
    TimedOut,
}

impl MediaPlaylist {
    /// Answers a request for the playlist that has waited for `waited`.
    pub fn playlist(&mut self, query: Query, waited: Duration) -> PlaylistAnswer {
        if query.part.is_some() && query.msn.is_none() {
            return PlaylistAnswer::BadRequest(BadRequest::PartWithoutMsn);
        }
        let Some(position) = self.position() else {
            return match self.patience(waited) {
                _ if self.ended => PlaylistAnswer::TimedOut,
                true => PlaylistAnswer::Wait,
                false => PlaylistAnswer::TimedOut,
            };
        };
        match query.msn {
            Some(msn) if !self.ended && self.is_too_far(position, msn, query.part) => {
                PlaylistAnswer::BadRequest(BadRequest::TooFarAhead)
            }
            Some(msn) if !self.ended && !self.has(position, msn, query.part) => {
                if self.patience(waited) {
                    PlaylistAnswer::Wait
                } else {
                    PlaylistAnswer::TimedOut
                }
            }
            _ => PlaylistAnswer::Ready(self.rendered(query.skip)),
        }
    }

    /// Answers a request for what the playlist names that has waited for `waited`.
    pub fn resource(&self, resource: Resource, waited: Duration) -> ResourceAnswer {
        let found = match resource {
            Resource::Init(number) => self
                .inits
                .iter()
                .find(|init| init.number == number)
                .map(|init| vec![init.bytes.clone()]),
            Resource::Segment(number) => self.complete(number).map(|segment| {
                segment
                    .parts
                    .iter()
                    .map(|part| part.bytes.clone())
                    .collect()
            }),
            Resource::Part { segment, index } => self
                .complete(segment)
                .or_else(|| self.open_as(segment))
                .and_then(|segment| segment.parts.get(usize::try_from(index).ok()?))
                .map(|part| vec![part.bytes.clone()]),
        };
        match found {
            Some(bytes) => ResourceAnswer::Ready(bytes),
            None if self.ended || !self.is_coming(resource) => ResourceAnswer::NotFound,
            None if self.patience(waited) => ResourceAnswer::Wait,
            None => ResourceAnswer::TimedOut,
        }
    }

    /// The part that will come next: what the playlist hints at.
    pub(super) fn hinted(&self) -> Resource {
        let (segment, index) = match &self.open {
            Some(open) if open.parts.last().is_none_or(|part| !part.last) => {
                (open.start.number, open.parts.len())
            }
            _ => (self.next, 0),
        };
        Resource::Part {
            segment,
            index: u32::try_from(index).unwrap_or(u32::MAX),
        }
    }

    fn is_coming(&self, resource: Resource) -> bool {
        match resource {
            Resource::Segment(number) => self.open_as(number).is_some(),
            Resource::Part { .. } => resource == self.hinted(),
            Resource::Init(_) => false,
        }
    }

    /// More than two segments ahead, or more parts than the advance part limit (§6.2.5.2).
    fn is_too_far(&self, position: Position, msn: u64, part: Option<u32>) -> bool {
        let target = self.part_target.as_micros().max(1);
        let limit = Duration::from_secs(3).as_micros().div_ceil(target).max(3);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        msn > position.msn.saturating_add(2)
            || msn == position.msn
                && self.open.is_some()
                && part.is_some_and(|part| part > position.part.saturating_add(limit))
    }

    /// Whether the playlist already holds what was asked for. A part beyond a complete segment's last means the first
    /// of the next (§6.2.5.2), so it is there when a later segment has a part.
    fn has(&self, position: Position, msn: u64, part: Option<u32>) -> bool {
        match part {
            None => msn < position.msn || msn == position.msn && self.open.is_none(),
            Some(part) => (msn, part) <= (position.msn, position.part),
        }
    }

    fn complete(&self, number: u64) -> Option<&Stored> {
        let first = self.segments.front()?.start.number;
        let index = usize::try_from(number.checked_sub(first)?).ok()?;
        self.segments
            .get(index)
            .filter(|segment| segment.start.number == number)
    }

    fn open_as(&self, number: u64) -> Option<&Stored> {
        self.open
            .as_ref()
            .filter(|open| open.start.number == number)
    }

    fn patience(&self, waited: Duration) -> bool {
        waited < self.target_duration().saturating_mul(3)
    }
}
