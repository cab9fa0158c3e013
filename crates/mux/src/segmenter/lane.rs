//! One track's queue between arrival and part.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sluice_media::{Frame, MediaKind, Timestamp};

use super::output::Counters;
use super::timeline::ticks;
use crate::fmp4::{Sample, Track};

/// A track, its place on the timeline, and the samples that no part has taken.
#[derive(Debug)]
pub(super) struct Lane {
    track: Track,
    /// Ticks from the publisher's timeline to ours.
    shift: i64,
    /// A frame of the running timeline has come.
    joined: bool,
    stragglers: u32,
    queue: VecDeque<Held>,
    /// Decode time of the newest sample on our timeline, as long as it lies on the running one.
    newest: Option<i64>,
    /// Where the newest sample ends, or will by the last known duration.
    end: i64,
    /// The last distance between two samples.
    step: Option<u32>,
}

#[derive(Debug)]
struct Held {
    dts: i64,
    composition_offset: i32,
    /// Until the next sample, once that has come.
    duration: Option<u32>,
    /// What the frame said.
    own_duration: Option<u32>,
    keyframe: bool,
    discardable: bool,
    captured_micros: Option<i64>,
    data: Bytes,
}

/// Samples on their way into a part.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) decode_time: u64,
    pub(super) samples: Vec<Sample>,
}

impl Lane {
    pub(super) fn new(track: Track) -> Self {
        Self {
            track,
            shift: 0,
            joined: false,
            stragglers: 0,
            queue: VecDeque::new(),
            newest: None,
            end: 0,
            step: None,
        }
    }

    pub(super) fn track(&self) -> &Track {
        &self.track
    }

    pub(super) fn is_video(&self) -> bool {
        self.track.config.codec.kind() == MediaKind::Video
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// A new timeline begins; `shift` leads from the publisher's to ours.
    pub(super) fn join_later(&mut self, shift: Timestamp) {
        self.shift = shift.rescaled(self.track.rate).ticks();
        self.joined = false;
        self.stragglers = 0;
        self.newest = None;
    }

    pub(super) fn count_straggler(&mut self) -> u32 {
        self.stragglers = self.stragglers.saturating_add(1);
        self.stragglers
    }

    /// The frame's decode time on our timeline, before it is made to rise.
    pub(super) fn placed(&self, frame: &Frame) -> Timestamp {
        frame.dts.rescaled(self.track.rate).plus_ticks(self.shift)
    }

    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest.map(|ticks| self.at(ticks))
    }

    /// Where what has come ends.
    pub(super) fn end(&self) -> Timestamp {
        self.at(self.end)
    }

    /// Takes a frame in; gives its decode time, or nothing when it was dropped.
    pub(super) fn push(&mut self, frame: &Frame, counters: &mut Counters) -> Option<Timestamp> {
        self.joined = true;
        let wished = self.placed(frame).ticks();
        // Behind what has been given out, and behind the sample before.
        let floor = match (self.queue.back(), self.newest) {
            (Some(last), _) => last.dts.saturating_add(1),
            (None, Some(_)) => self.end,
            (None, None) => self.end.max(0),
        };
        let dts = wished.max(floor);
        if dts != wished {
            let overlap = floor.saturating_sub(wished);
            if !self.is_video() && overlap > ticks(MAX_MOVE, self.track.rate) {
                counters.overlapping = counters.overlapping.saturating_add(1);
                return None;
            }
            counters.moved = counters.moved.saturating_add(1);
        }
        if let Some(last) = self.queue.back_mut() {
            let distance = u32::try_from(dts.saturating_sub(last.dts)).unwrap_or(u32::MAX);
            last.duration = Some(distance);
            self.step = Some(distance);
        }
        let pts = frame.pts.rescaled(self.track.rate).plus_ticks(self.shift);
        let reach = ticks(MAX_COMPOSITION, self.track.rate);
        let offset = pts
            .ticks()
            .saturating_sub(dts)
            .clamp(reach.saturating_neg(), reach);
        self.queue.push_back(Held {
            dts,
            composition_offset: i32::try_from(offset).unwrap_or(0),
            duration: None,
            own_duration: frame.duration.filter(|duration| {
                *duration > 0 && i64::from(*duration) <= ticks(MAX_OWN, self.track.rate)
            }),
            keyframe: frame.keyframe,
            discardable: frame.discardable,
            captured_micros: frame.captured_micros,
            data: frame.data.clone(),
        });
        self.newest = Some(dts);
        self.end = dts.saturating_add(i64::from(self.last_duration()));
        Some(self.at(dts))
    }

    /// No sample before `at` can come any more, and all before it know how long they last.
    pub(super) fn reaches(&self, at: Timestamp) -> bool {
        self.newest().is_some_and(|newest| newest >= at)
    }

    /// The timeline ends: the newest sample lasts as long as it said, or as the one before it.
    pub(super) fn close(&mut self) {
        let duration = self.last_duration();
        if let Some(last) = self.queue.back_mut() {
            last.duration = Some(duration);
        }
    }

    /// The samples before `at` whose duration is known.
    pub(super) fn take_before(&mut self, at: Timestamp) -> Taken {
        let mut taken = Taken::default();
        while let Some(held) = self.queue.front() {
            let (Some(duration), true) = (held.duration, self.at(held.dts) < at) else {
                break;
            };
            if taken.samples.is_empty() {
                taken.decode_time = u64::try_from(held.dts).unwrap_or(0);
            }
            let Some(held) = self.queue.pop_front() else {
                break;
            };
            taken.samples.push(Sample {
                duration,
                composition_offset: held.composition_offset,
                keyframe: held.keyframe,
                discardable: held.discardable,
                data: held.data,
            });
        }
        taken
    }

    /// Whether a sample between the two moments may be taken.
    pub(super) fn has_complete_in(&self, from: Timestamp, to: Timestamp) -> bool {
        self.queue
            .iter()
            .filter(|held| held.duration.is_some())
            .map(|held| self.at(held.dts))
            .any(|at| at >= from && at < to)
    }

    /// When the capture time of the sample at `at` is known: that of the frame that begins a segment there.
    pub(super) fn captured_at(&self, at: Timestamp) -> Option<i64> {
        let first = self.queue.iter().find(|held| self.at(held.dts) >= at)?;
        (self.at(first.dts) == at).then_some(first.captured_micros)?
    }

    fn last_duration(&self) -> u32 {
        let own = self.queue.back().and_then(|last| last.own_duration);
        own.or(self.step).unwrap_or_else(|| {
            let guess = if self.is_video() {
                GUESS_VIDEO
            } else {
                GUESS_AUDIO
            };
            u32::try_from(ticks(guess, self.track.rate))
                .unwrap_or(1)
                .max(1)
        })
    }

    fn at(&self, ticks: i64) -> Timestamp {
        Timestamp::new(ticks, self.track.rate)
    }
}

/// A frame that claims to last longer is not believed.
const MAX_OWN: Duration = Duration::from_secs(3);
/// Sound that would have to be moved further is dropped.
const MAX_MOVE: Duration = Duration::from_millis(40);
/// Sixteen reordered pictures at two a second.
const MAX_COMPOSITION: Duration = Duration::from_secs(8);
/// How long a frame lasts when neither it nor its neighbours tell.
const GUESS_VIDEO: Duration = Duration::from_millis(33);
const GUESS_AUDIO: Duration = Duration::from_millis(20);
