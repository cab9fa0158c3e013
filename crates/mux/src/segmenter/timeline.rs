//! One run of a publisher's clock, and its place on ours.

use std::num::NonZeroU32;
use std::time::Duration;

use sluice_media::{Frame, Timestamp};

use super::lane::Lane;
use super::options::SegmenterOptions;

/// From one discontinuity to the next.
#[derive(Debug)]
pub(super) struct Era {
    start: Timestamp,
    /// From the publisher's timeline to ours, in ticks of the cutting track.
    shift: Timestamp,
    /// The furthest decode time of any track.
    position: Timestamp,
    /// Where what has been given out ends.
    given: Timestamp,
    /// A moment of ours and the wall-clock time it has.
    anchor: (Timestamp, i64),
}

impl Era {
    /// Begins with `frame` of the cutting track, at `resume` on our timeline.
    pub(super) fn new(lane: &Lane, frame: &Frame, resume: Timestamp, wall_micros: i64) -> Self {
        let rate = lane.track().rate;
        let start = at_or_after(resume, rate);
        let shift = start
            .ticks()
            .saturating_sub(frame.dts.rescaled(rate).ticks());
        Self {
            start,
            shift: Timestamp::new(shift, rate),
            position: start,
            given: start,
            anchor: (start, frame.captured_micros.unwrap_or(wall_micros)),
        }
    }

    /// Begins with `frame` of the cutting track where it lies by itself, unless that is far behind `resume`: small
    /// overlaps are those of tracks that end at different times.
    pub(super) fn of_its_own(
        lane: &Lane,
        frame: &Frame,
        resume: Timestamp,
        wall_micros: i64,
    ) -> Self {
        let rate = lane.track().rate;
        let own = frame.dts.rescaled(rate);
        if own.ticks() < 0 || resume.saturating_since(own) > MAX_STEP_BACK {
            return Self::new(lane, frame, resume, wall_micros);
        }
        let start = at_or_after(resume, rate).max(own);
        Self {
            start,
            shift: Timestamp::new(0, rate),
            position: start,
            given: start,
            anchor: (own, frame.captured_micros.unwrap_or(wall_micros)),
        }
    }

    pub(super) fn start(&self) -> Timestamp {
        self.start
    }

    pub(super) fn shift(&self) -> Timestamp {
        self.shift
    }

    pub(super) fn given(&self) -> Timestamp {
        self.given
    }

    pub(super) fn give(&mut self, end: Timestamp) {
        self.given = end;
    }

    pub(super) fn advance(&mut self, moment: Timestamp) {
        self.position = self.position.max(moment);
    }

    /// Whether a frame of this lane lies off the timeline: too far ahead of all tracks, or too far behind its own.
    pub(super) fn is_strange(
        &self,
        lane: &Lane,
        frame: &Frame,
        options: &SegmenterOptions,
    ) -> bool {
        let placed = lane.placed(frame);
        let (before, slack) = match lane.newest() {
            Some(newest) => (newest, MAX_STEP_BACK),
            None => (self.start, options.max_gap),
        };
        placed.saturating_since(self.position) > options.max_gap
            || before.saturating_since(placed) > slack
    }

    /// Whether a lane is so far behind the others that parts go on without it.
    pub(super) fn is_idle(&self, lane: &Lane, max_wait: Duration) -> bool {
        self.position
            .saturating_since(lane.newest().unwrap_or(self.start))
            > max_wait
    }

    /// Wall-clock time of a segment's start; `captured` moves the anchor where a publisher tells it.
    pub(super) fn wall_micros(&mut self, start: Timestamp, captured: Option<i64>) -> i64 {
        if let Some(captured) = captured {
            self.anchor = (start, captured);
        }
        let (moment, wall) = self.anchor;
        wall.saturating_add(start.micros().saturating_sub(moment.micros()))
    }
}

/// The first moment of this rate that is not before `moment`.
pub(super) fn at_or_after(moment: Timestamp, rate: NonZeroU32) -> Timestamp {
    let rounded = moment.rescaled(rate);
    if rounded < moment {
        rounded.plus_ticks(1)
    } else {
        rounded
    }
}

/// A span in ticks, rounded down.
pub(super) fn ticks(span: Duration, rate: NonZeroU32) -> i64 {
    let nanos = span.as_nanos().saturating_mul(u128::from(rate.get()));
    i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX)
}

/// Decode times fall back this far by jitter; further is another clock.
const MAX_STEP_BACK: Duration = Duration::from_secs(1);
