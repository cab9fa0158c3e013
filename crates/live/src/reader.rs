//! One reader's place in a ring, what it was told, and what it lost.

use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, Frame, MediaKind, Ring, Timestamp, TrackId};

use crate::event::EndReason;
use crate::options::{LagPolicy, Start, Tracks};
use crate::slot::{Slot, Stamp};
use crate::track::Track;
use crate::window::Window;

/// What [`Engine::read`](crate::Engine::read) found.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Next<'a> {
    /// Frames of this track are coded like this from here on.
    Config {
        /// Which track.
        track: TrackId,
        /// Its configuration.
        config: &'a CodecConfig,
        /// Its number: each reader gets each number of a track at most once in a row.
        revision: u32,
    },
    /// The next frame.
    Frame(&'a Frame),
    /// Frames were lost by a slow reader. Pictures go on at a keyframe; sound may go on before it, and what pictures
    /// are passed over until then is told by another one of these.
    Lagged {
        /// Frames it will never see, over all tracks.
        skipped: u64,
        /// How much time they are.
        lost: Duration,
    },
    /// Timestamps begin anew in front of the next frame: another publisher, or a jump. Told once per jump, also when
    /// the frame that is marked with it was lost.
    Discontinuity {
        /// The turn of the publisher that the next frame is from.
        epoch: u32,
    },
    /// Nothing to read now; `Output::Ready` tells when there is.
    Empty,
    /// Nothing to read any more. It goes on saying so until it is unsubscribed.
    Ended(EndReason),
}

#[derive(Debug)]
pub(crate) struct Reader {
    next: u64,
    /// Tracks, by bit, whose frames need a second look.
    slow: u64,
    /// Stamp of the newest frame of each track, by index.
    seen: [Stamp; NEAR_TRACKS],
    /// Where frames beyond that age need a second look.
    late: Duration,
    /// When the newest frame it has read arrived: from then on it has lost time, once that frame's successor is gone.
    last_arrival: Instant,
    frames: u64,
    evicted: bool,
    /// Whether it passes over pictures for want of a keyframe.
    wants_keyframe: bool,

    seen_further: Vec<Stamp>,
    /// Video tracks, by bit, of which it has had a keyframe since it joined or skipped.
    started: u64,
    /// Pictures of this track shown before this moment refer to what came before the keyframe of this number
    /// (leading pictures, ITU-T H.265 §3).
    leading: Option<(u8, Timestamp, u64)>,
    timeline: u32,
    policy: LagPolicy,
    tracks: Tracks,
    /// When it joined or last skipped.
    resumed: Instant,
    /// While it waits for a keyframe after a skip: since when, and what it has passed over.
    skipping: Option<(Instant, u64)>,
    losses: Option<Box<Window>>,
    skipped: u64,
    dropped: u64,
}

impl Reader {
    pub(crate) fn new(
        now: Instant,
        ring: &Ring<Slot>,
        start: Start,
        tracks: Tracks,
        policy: LagPolicy,
    ) -> Self {
        let from = match start {
            Start::NewestKeyframe => ring.start(),
            Start::Live => None,
        };
        let losses = match policy {
            LagPolicy::Evict { window, .. } => Some(Box::new(Window::new(window))),
            LagPolicy::SkipToKeyframe { .. } | LagPolicy::DropNonReference { .. } => None,
        };
        let late = match policy {
            LagPolicy::DropNonReference { max_lag } => max_lag / 2,
            LagPolicy::SkipToKeyframe { max_lag } | LagPolicy::Evict { max_lag, .. } => max_lag,
        };
        Self {
            next: from.unwrap_or(ring.head()),
            slow: ALL_TRACKS,
            seen: [Stamp::default(); NEAR_TRACKS],
            late,
            last_arrival: now,
            frames: 0,
            evicted: false,
            wants_keyframe: from.is_none(),
            seen_further: Vec::new(),
            started: 0,
            leading: None,
            timeline: 0,
            policy,
            tracks,
            resumed: now,
            skipping: None,
            losses,
            skipped: 0,
            dropped: 0,
        }
    }

    /// The next thing this reader is to know. Replay and live are the same call.
    #[inline]
    pub(crate) fn next<'a>(
        &mut self,
        now: Instant,
        ring: &'a Ring<Slot>,
        tracks: &'a [Track],
    ) -> Next<'a> {
        if self.evicted {
            return Next::Ended(EndReason::Evicted);
        }
        loop {
            let Some((arrived, slot)) = ring.at(self.next) else {
                if self.next >= ring.head() {
                    return Next::Empty;
                }
                if let Some(lagged) = self.skip(now, ring) {
                    return lagged;
                }
                continue;
            };
            if now.saturating_duration_since(arrived) > self.late {
                match self.when_late(now, arrived, ring, slot) {
                    Late::Go => {}
                    Late::Pass => continue,
                    Late::Tell(lagged) => return lagged,
                }
            }
            let track = usize::from(slot.track);
            let same = self.slow >> track & 1 == 0 && self.seen.get(track) == Some(&slot.stamp);
            if !same {
                match self.second_look(arrived, slot, tracks) {
                    Look::Deliver => {}
                    Look::Pass => {
                        self.next += 1;
                        continue;
                    }
                    Look::Tell(next) => return next,
                }
            }
            self.next += 1;
            self.frames += 1;
            self.last_arrival = arrived;
            return Next::Frame(&slot.frame);
        }
    }

    /// Whether `next` would not say that all is read.
    pub(crate) const fn has_news(&self, head: u64) -> bool {
        self.next < head || self.evicted
    }

    /// Whether it waits for a keyframe since it was last asked.
    pub(crate) const fn take_wish(&mut self) -> bool {
        std::mem::replace(&mut self.wants_keyframe, false)
    }

    /// Time lost within the window of its policy, once that is more than it may.
    pub(crate) fn evicted(&self, now: Instant) -> Option<Duration> {
        self.evicted.then(|| self.recent_loss(now))
    }

    /// Frames read, frames lost, frames dropped as nothing refers to them.
    pub(crate) const fn counts(&self) -> (u64, u64, u64) {
        (self.frames, self.skipped, self.dropped)
    }

    /// Age of the oldest frame it has not read.
    pub(crate) fn lag(&self, now: Instant, ring: &Ring<Slot>) -> Duration {
        let oldest = ring.at(self.next.max(ring.oldest()));
        oldest.map_or(Duration::ZERO, |(arrived, _)| {
            now.saturating_duration_since(arrived)
        })
    }

    #[cold]
    fn when_late<'a>(
        &mut self,
        now: Instant,
        arrived: Instant,
        ring: &Ring<Slot>,
        slot: &Slot,
    ) -> Late<'a> {
        let here = now.saturating_duration_since(self.resumed);
        let lag = now.saturating_duration_since(arrived).min(here);
        if lag > self.policy.max_lag() {
            return match self.skip(now, ring) {
                Some(lagged) => Late::Tell(lagged),
                None => Late::Go,
            };
        }
        let thins = matches!(self.policy, LagPolicy::DropNonReference { .. });
        if thins && lag > self.late && slot.frame.discardable {
            self.next += 1;
            self.dropped += 1;
            return Late::Pass;
        }
        Late::Go
    }

    /// Gives up the backlog: goes on at the newest chain start not read yet, or with what comes next. `None`: it
    /// stands at that start, so nothing is lost.
    fn skip<'a>(&mut self, now: Instant, ring: &Ring<Slot>) -> Option<Next<'a>> {
        let start = ring.start().filter(|start| *start >= self.next);
        let target = start.unwrap_or(ring.head());
        let skipped = target - self.next;
        self.resumed = now;
        if skipped == 0 && start.is_some() {
            return None;
        }
        let arrival = |number| ring.at(number).map(|(arrived, _)| arrived);
        let resumes = arrival(target).unwrap_or(now);
        let lost_from = arrival(self.next).unwrap_or(self.last_arrival);
        let lost = resumes.saturating_duration_since(lost_from);
        self.next = target;
        self.slow = ALL_TRACKS;
        self.started = 0;
        self.leading = None;
        self.wants_keyframe = start.is_none();
        self.last_arrival = resumes;
        let (_, passed) = self.skipping.unwrap_or((resumes, 0));
        self.skipping = Some((resumes, 0));
        Some(self.lose(now, skipped + passed, lost))
    }

    /// A frame of a track that it has not had a frame of, or none that is quite like it.
    #[cold]
    fn second_look<'a>(&mut self, arrived: Instant, slot: &Slot, tracks: &'a [Track]) -> Look<'a> {
        let index = usize::from(slot.track);
        let Some(track) = tracks.get(index) else {
            return Look::Pass;
        };
        let bit = 1 << (index % 64);
        if self.slow & bit != 0 {
            if !self.wants(track) {
                return Look::Pass;
            }
            if slot.audio {
                self.slow &= !bit;
            } else if self.started & bit == 0 {
                if !slot.frame.keyframe {
                    self.wants_keyframe = true;
                    if let Some((_, passed)) = &mut self.skipping {
                        *passed += 1;
                    }
                    return Look::Pass;
                }
                if let Some((since, passed)) = self.skipping.take()
                    && passed > 0
                {
                    let lost = arrived.saturating_duration_since(since);
                    return Look::Tell(self.lose(arrived, passed, lost));
                }
                self.started |= bit;
                self.leading = Some((slot.track, slot.frame.pts, self.next));
            } else if !self.is_leading(slot) {
                self.slow &= !bit;
            } else if self
                .leading
                .is_some_and(|(_, _, number)| number != self.next)
            {
                return Look::Pass;
            }
        }
        if slot.stamp.timeline > self.timeline {
            let first = self.timeline == 0;
            self.timeline = slot.stamp.timeline;
            if !first {
                return Look::Tell(Next::Discontinuity { epoch: slot.epoch });
            }
        }
        let before = std::mem::replace(self.seen_of(index), slot.stamp);
        if before.revision != slot.stamp.revision
            && let Some(config) = track.config_of(slot.stamp.revision)
        {
            return Look::Tell(Next::Config {
                track: track.id,
                config,
                revision: slot.stamp.revision,
            });
        }
        Look::Deliver
    }

    /// Whether this is the keyframe it began with, or a picture that follows it and is shown before it.
    fn is_leading(&self, slot: &Slot) -> bool {
        self.leading.is_some_and(|(track, pts, number)| {
            let follows = !slot.frame.keyframe && slot.frame.pts < pts;
            track == slot.track && (number == self.next || follows)
        })
    }

    fn lose<'a>(&mut self, now: Instant, skipped: u64, lost: Duration) -> Next<'a> {
        self.skipped += skipped;
        if let (LagPolicy::Evict { budget, .. }, Some(losses)) = (self.policy, &mut self.losses) {
            let nanos = u64::try_from(lost.as_nanos()).unwrap_or(u64::MAX);
            losses.add(now, nanos, 1);
            self.evicted = self.recent_loss(now) > budget;
        }
        Next::Lagged { skipped, lost }
    }

    fn recent_loss(&self, now: Instant) -> Duration {
        let losses = self.losses.as_ref();
        Duration::from_nanos(losses.map_or(0, |losses| losses.total(now).0))
    }

    fn wants(&self, track: &Track) -> bool {
        match &self.tracks {
            Tracks::All => true,
            Tracks::Video => track.kind == MediaKind::Video,
            Tracks::Audio => track.kind == MediaKind::Audio,
            Tracks::Only(tracks) => tracks.contains(&track.id),
        }
    }

    fn seen_of(&mut self, track: usize) -> &mut Stamp {
        if track < NEAR_TRACKS {
            return &mut self.seen[track];
        }
        let further = track - NEAR_TRACKS;
        if self.seen_further.len() <= further {
            self.seen_further.resize(further + 1, Stamp::default());
        }
        &mut self.seen_further[further]
    }
}

enum Late<'a> {
    Go,
    Pass,
    Tell(Next<'a>),
}

enum Look<'a> {
    Deliver,
    Pass,
    Tell(Next<'a>),
}

/// Tracks that are compared without a second look: streams with more are rare.
const NEAR_TRACKS: usize = 4;
const ALL_TRACKS: u64 = u64::MAX;
