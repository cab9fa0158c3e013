//! One reader's place in a ring, what it was told, and what it lost.

use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, Frame, MediaKind, Ring, Timestamp, TrackId};

use crate::event::EndReason;
use crate::options::{LagPolicy, Start, Tracks};
use crate::request::Protocol;
use crate::slot::{Slot, Stamp};
use crate::track::Track;
use crate::wake::Berth;
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

/// What every visit touches, kept small: ten thousand of them are visited for each frame.
#[derive(Debug)]
pub(crate) struct Place {
    next: u64,
    /// Tracks, by bit, whose frames need a second look.
    slow: u64,
    frames: u64,
    /// It has read what arrived until about then: from there on it has lost time, once it is overtaken.
    up_to: Instant,
    /// Stamp of the newest frame of each of the first tracks, by index.
    seen: [Stamp; NEAR_TRACKS],
    pub(crate) generation: u32,
    /// Index of its stream, which lives as long as it has readers.
    pub(crate) stream: u32,
    /// Where in the stream's lists.
    pub(crate) berth: Berth,
    /// Frames older than this need a second look.
    late_millis: u32,
    evicted: bool,
    /// Whether it passes over pictures for want of a keyframe.
    wants_keyframe: bool,
}

/// What only a visit with news touches.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) protocol: Protocol,
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

/// A reader on a visit to its ring.
#[derive(Debug)]
pub(crate) struct Visit<'v> {
    pub(crate) place: &'v mut Place,
    pub(crate) story: &'v mut Story,
    pub(crate) now: Instant,
    /// The frame at its place was not late at `now`, so none behind it is.
    pub(crate) in_time: bool,
}

impl Place {
    pub(crate) fn new(now: Instant, ring: &Ring<Slot>, start: Start, policy: LagPolicy) -> Self {
        let from = match start {
            Start::NewestKeyframe => ring.start(),
            Start::Live => None,
        };
        let late = match policy {
            LagPolicy::DropNonReference { max_lag } => max_lag / 2,
            LagPolicy::SkipToKeyframe { max_lag } | LagPolicy::Evict { max_lag, .. } => max_lag,
        };
        Self {
            next: from.unwrap_or(ring.head()),
            slow: ALL_TRACKS,
            frames: 0,
            up_to: now,
            seen: [Stamp::default(); NEAR_TRACKS],
            generation: 0,
            stream: 0,
            berth: Berth::NOWHERE,
            late_millis: u32::try_from(late.as_millis()).unwrap_or(u32::MAX),
            evicted: false,
            wants_keyframe: from.is_none(),
        }
    }

    /// Whether a visit would not find that all is read.
    #[inline]
    pub(crate) const fn has_news(&self, head: u64) -> bool {
        self.next < head || self.evicted
    }

    /// Whether it waits for a keyframe since it was last asked.
    #[inline]
    pub(crate) const fn take_wish(&mut self) -> bool {
        std::mem::replace(&mut self.wants_keyframe, false)
    }

    /// Age of the oldest frame it has not read.
    pub(crate) fn lag(&self, now: Instant, ring: &Ring<Slot>) -> Duration {
        let oldest = ring.at(self.next.max(ring.oldest()));
        oldest.map_or(Duration::ZERO, |(arrived, _)| {
            now.saturating_duration_since(arrived)
        })
    }

    pub(crate) const fn is_evicted(&self) -> bool {
        self.evicted
    }

    /// Frames it has read.
    pub(crate) const fn frames(&self) -> u64 {
        self.frames
    }
}

impl Story {
    pub(crate) fn new(now: Instant, protocol: Protocol, tracks: Tracks, policy: LagPolicy) -> Self {
        let losses = match policy {
            LagPolicy::Evict { window, .. } => Some(Box::new(Window::new(window))),
            LagPolicy::SkipToKeyframe { .. } | LagPolicy::DropNonReference { .. } => None,
        };
        Self {
            protocol,
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

    /// Frames lost, and frames it was spared.
    pub(crate) const fn losses(&self) -> (u64, u64) {
        (self.skipped, self.dropped)
    }

    /// Time lost within the window of its policy.
    pub(crate) fn recent_loss(&self, now: Instant) -> Duration {
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

    fn seen_further(&mut self, track: usize) -> &mut Stamp {
        let further = track.saturating_sub(NEAR_TRACKS);
        if self.seen_further.len() <= further {
            self.seen_further.resize(further + 1, Stamp::default());
        }
        &mut self.seen_further[further]
    }
}

impl Visit<'_> {
    /// The next thing this reader is to know. Replay and live are the same call.
    #[inline]
    pub(crate) fn next<'a>(&mut self, ring: &'a Ring<Slot>, tracks: &'a [Track]) -> Next<'a> {
        loop {
            let Some((arrived, slot)) = ring.at(self.place.next) else {
                if self.place.next == ring.head() {
                    return Next::Empty;
                }
                if self.place.evicted {
                    return Next::Ended(EndReason::Evicted);
                }
                if let Some(lagged) = self.skip(ring) {
                    return lagged;
                }
                continue;
            };
            if !self.in_time {
                match self.check_age(arrived, ring, slot) {
                    Age::Fine => {}
                    Age::Pass => continue,
                    Age::Tell(next) => return next,
                }
            }
            let track = usize::from(slot.track);
            let same = self.place.slow >> track & 1 == 0
                && self.place.seen.get(track) == Some(&slot.stamp);
            if !same {
                match self.second_look(arrived, slot, tracks) {
                    Look::Deliver => {}
                    Look::Pass => {
                        self.place.next += 1;
                        continue;
                    }
                    Look::Tell(next) => return next,
                }
            }
            self.place.next += 1;
            self.place.frames += 1;
            return Next::Frame(&slot.frame);
        }
    }

    /// Looks at the age of the frame at its place. The newest one is never late: with it the reader has them all.
    #[inline]
    fn check_age<'a>(&mut self, arrived: Instant, ring: &Ring<Slot>, slot: &Slot) -> Age<'a> {
        if self.place.next + 1 < ring.head() {
            let age = self.now.saturating_duration_since(arrived);
            if age > Duration::from_millis(u64::from(self.place.late_millis)) {
                return self.when_late(age, arrived, ring, slot);
            }
        }
        self.in_time = true;
        self.place.up_to = self.now;
        Age::Fine
    }

    #[cold]
    fn when_late<'a>(
        &mut self,
        age: Duration,
        arrived: Instant,
        ring: &Ring<Slot>,
        slot: &Slot,
    ) -> Age<'a> {
        let story = &mut *self.story;
        let here = self.now.saturating_duration_since(story.resumed);
        let lag = age.min(here);
        let max_lag = story.policy.max_lag();
        self.place.up_to = arrived;
        if lag > max_lag {
            return match self.skip(ring) {
                Some(lagged) => Age::Tell(lagged),
                None => Age::Fine,
            };
        }
        let thins = matches!(story.policy, LagPolicy::DropNonReference { .. });
        if thins && lag > max_lag / 2 && slot.frame.discardable {
            story.dropped += 1;
            self.place.next += 1;
            return Age::Pass;
        }
        Age::Fine
    }

    /// Gives up the backlog: goes on at the newest chain start not read yet, or with what comes next. `None`: it
    /// stands at that start, so nothing is lost.
    #[cold]
    fn skip<'a>(&mut self, ring: &Ring<Slot>) -> Option<Next<'a>> {
        let (place, story) = (&mut *self.place, &mut *self.story);
        let start = ring.start().filter(|start| *start >= place.next);
        let target = start.unwrap_or(ring.head());
        let skipped = target - place.next;
        story.resumed = self.now;
        if skipped == 0 && start.is_some() {
            return None;
        }
        let arrival = |number| ring.at(number).map(|(arrived, _)| arrived);
        let resumes = arrival(target).unwrap_or(self.now);
        let lost_from = arrival(place.next).unwrap_or(place.up_to);
        let lost = resumes.saturating_duration_since(lost_from);
        place.next = target;
        place.slow = ALL_TRACKS;
        place.wants_keyframe = start.is_none();
        story.started = 0;
        story.leading = None;
        place.up_to = resumes;
        let (_, passed) = story.skipping.unwrap_or((resumes, 0));
        story.skipping = Some((resumes, 0));
        Some(self.lose(skipped + passed, lost))
    }

    /// A frame of a track that it has not had a frame of, or none that is quite like it.
    #[cold]
    fn second_look<'a>(&mut self, arrived: Instant, slot: &Slot, tracks: &'a [Track]) -> Look<'a> {
        let (place, story) = (&mut *self.place, &mut *self.story);
        let index = usize::from(slot.track);
        let Some(track) = tracks.get(index) else {
            return Look::Pass;
        };
        let bit = 1 << (index % 64);
        if place.slow & bit != 0 {
            if !story.wants(track) {
                return Look::Pass;
            }
            if slot.audio {
                place.slow &= !bit;
            } else if story.started & bit == 0 {
                if !slot.frame.keyframe {
                    place.wants_keyframe = true;
                    if let Some((_, passed)) = &mut story.skipping {
                        *passed += 1;
                    }
                    return Look::Pass;
                }
                if let Some((since, passed)) = story.skipping.take()
                    && passed > 0
                {
                    let lost = arrived.saturating_duration_since(since);
                    return Look::Tell(self.lose(passed, lost));
                }
                story.started |= bit;
                story.leading = Some((slot.track, slot.frame.pts, place.next));
            } else {
                match leads(story.leading, place.next, slot) {
                    Leads::Start => {}
                    Leads::Picture => return Look::Pass,
                    Leads::No => place.slow &= !bit,
                }
            }
        }
        if slot.stamp.timeline > story.timeline {
            let first = story.timeline == 0;
            story.timeline = slot.stamp.timeline;
            if !first {
                return Look::Tell(Next::Discontinuity { epoch: slot.epoch });
            }
        }
        let seen = match place.seen.get_mut(index) {
            Some(seen) => seen,
            None => story.seen_further(index),
        };
        let before = std::mem::replace(seen, slot.stamp);
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

    fn lose<'a>(&mut self, skipped: u64, lost: Duration) -> Next<'a> {
        let story = &mut *self.story;
        story.skipped += skipped;
        if let (LagPolicy::Evict { budget, .. }, Some(losses)) = (story.policy, &mut story.losses) {
            let nanos = u64::try_from(lost.as_nanos()).unwrap_or(u64::MAX);
            losses.add(self.now, nanos, 1);
            if story.recent_loss(self.now) > budget {
                self.place.evicted = true;
                self.place.next = NEVER;
            }
        }
        Next::Lagged { skipped, lost }
    }
}

/// What a frame is to the keyframe that a reader began with.
fn leads(leading: Option<(u8, Timestamp, u64)>, number: u64, slot: &Slot) -> Leads {
    match leading {
        Some((track, ..)) if track != slot.track => Leads::No,
        Some((.., start)) if start == number => Leads::Start,
        Some((_, pts, _)) if !slot.frame.keyframe && slot.frame.pts < pts => Leads::Picture,
        _ => Leads::No,
    }
}

enum Leads {
    /// It is that keyframe.
    Start,
    /// It follows, is shown before it, and refers to what the reader does not have.
    Picture,
    No,
}

enum Age<'a> {
    Fine,
    Pass,
    Tell(Next<'a>),
}

enum Look<'a> {
    Deliver,
    Pass,
    Tell(Next<'a>),
}

/// Tracks that are compared without a second look: a picture and a sound.
const NEAR_TRACKS: usize = 2;
const ALL_TRACKS: u64 = u64::MAX;
/// The number that no frame will have.
const NEVER: u64 = u64::MAX;
