//! One track of a stream: its configurations, its timeline, its measure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, Frame, MediaKind, Timestamp, TrackId};

use crate::error::FrameError;
use crate::qos::Meter;

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) kind: MediaKind,
    /// Those that frames in the ring may name, the newest last; never empty.
    revisions: VecDeque<Revision>,
    /// Whether the present session announced it.
    pub(crate) announced: bool,
    /// Whether a keyframe of the present session is still to come; sound has none to wait for.
    pub(crate) awaits_keyframe: bool,
    /// Its newest frame of the present session: when decoded, when arrived.
    last: Option<(Timestamp, Instant)>,
    /// Which of the stream's timelines its frames are on.
    pub(crate) timeline: u32,
    pub(crate) meter: Meter,
}

#[derive(Debug)]
struct Revision {
    number: u32,
    config: CodecConfig,
    /// Number of the newest frame coded under it.
    newest: Option<u64>,
}

/// How a frame follows its predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// On the same timeline.
    Continues,
    /// It is the session's first of its track.
    Begins,
    /// On another timeline.
    Jumps,
}

impl Track {
    pub(crate) fn new(id: TrackId, config: CodecConfig) -> Self {
        let kind = config.codec.kind();
        Self {
            id,
            kind,
            revisions: VecDeque::from([Revision {
                number: 1,
                config,
                newest: None,
            }]),
            announced: true,
            awaits_keyframe: kind == MediaKind::Video,
            last: None,
            timeline: 0,
            meter: Meter::default(),
        }
    }

    /// Makes `config` the one that further frames are coded under. True: it differs from the one before.
    ///
    /// `oldest` is the ring's oldest frame: configurations that only older ones name are forgotten.
    pub(crate) fn configure(
        &mut self,
        config: CodecConfig,
        oldest: u64,
    ) -> Result<bool, FrameError> {
        if config.codec.kind() != self.kind {
            return Err(FrameError::KindChanged);
        }
        if *self.config() == config {
            self.announced = true;
            return Ok(false);
        }
        let number = self.revision().wrapping_add(1).max(1);
        self.revisions
            .retain(|revision| revision.newest.is_some_and(|newest| newest >= oldest));
        if self.revisions.len() >= MAX_REVISIONS {
            return Err(FrameError::ConfigChangesTooOften);
        }
        self.revisions.push_back(Revision {
            number,
            config,
            newest: None,
        });
        self.announced = true;
        Ok(true)
    }

    /// A session begins: everything is to be said again.
    pub(crate) fn begin_session(&mut self) {
        self.announced = false;
        self.awaits_keyframe = self.kind == MediaKind::Video;
        self.last = None;
    }

    /// How `frame` follows; the track is as it was.
    pub(crate) fn step(&self, now: Instant, frame: &Frame) -> Result<Step, FrameError> {
        let Some((last, arrived)) = self.last else {
            return Ok(Step::Begins);
        };
        if frame.discontinuity {
            return Ok(Step::Jumps);
        }
        if frame.dts < last {
            if last.saturating_since(frame.dts) <= MAX_REGRESS {
                return Err(FrameError::DtsRegressed);
            }
            return Ok(Step::Jumps);
        }
        let passed = now.saturating_duration_since(arrived);
        if frame.dts.saturating_since(last) > passed + MAX_JUMP {
            return Ok(Step::Jumps);
        }
        Ok(Step::Continues)
    }

    /// `frame` becomes number `number` of the ring.
    pub(crate) fn accept(&mut self, now: Instant, frame: &Frame, number: u64) {
        self.last = Some((frame.dts, now));
        if frame.keyframe {
            self.awaits_keyframe = false;
        }
        if let Some(revision) = self.revisions.back_mut() {
            revision.newest = Some(number);
        }
        self.meter.count(now, frame.data.len());
    }

    /// The newest configuration.
    pub(crate) fn config(&self) -> &CodecConfig {
        &self.newest().config
    }

    /// Its number, from 1.
    pub(crate) fn revision(&self) -> u32 {
        self.newest().number
    }

    /// The configuration of a number that a frame in the ring names.
    pub(crate) fn config_of(&self, number: u32) -> Option<&CodecConfig> {
        let mut revisions = self.revisions.iter();
        Some(&revisions.find(|revision| revision.number == number)?.config)
    }

    fn newest(&self) -> &Revision {
        &self.revisions[self.revisions.len() - 1]
    }
}

/// Configurations that frames in one ring may name.
const MAX_REVISIONS: usize = 16;
/// A step back by up to this much is a frame too late; by more, another timeline.
const MAX_REGRESS: Duration = Duration::from_secs(1);
/// A step forward that exceeds the time that passed by more than this is another timeline.
const MAX_JUMP: Duration = Duration::from_secs(5);
