//! When the engine wants to be called.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::id::{AdmissionId, StreamId};

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A verdict has not come, or was not used.
    Admission(AdmissionId),
    /// A stream is idle, was not resumed, keeps old frames, waits for a keyframe, or has rejections to tell.
    Stream(StreamId),
}

/// Timers by time. One that is set anew is not taken out: whoever it wakes looks whether it still holds.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    /// Sets a stream's timer when `due` is before the one that is set.
    pub(crate) fn advance(
        &mut self,
        timer: &mut Option<Instant>,
        due: Option<Instant>,
        stream: StreamId,
    ) {
        if let Some(due) = due
            && timer.is_none_or(|timer| due < timer)
        {
            *timer = Some(due);
            self.set(due, Timer::Stream(stream));
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Timer)> {
        self.next().filter(|at| *at <= now)?;
        self.heap.pop().map(|Reverse(due)| due)
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn retain(&mut self, mut holds: impl FnMut(Instant, Timer) -> bool) {
        self.heap.retain(|Reverse((at, timer))| holds(*at, *timer));
    }
}
