//! The segmenter: frames in, CMAF parts and segments out.
//!
//! Parts and segments are measured on one track, the cutting one: the video where there is one. The others are cut at
//! the same moments. A sample's duration is the distance to the next one, so each track holds back its newest frame.

mod cutter;
mod emit;
mod lane;
mod options;
mod output;
mod timeline;

pub use options::SegmenterOptions;
pub use output::{Counters, Init, Output, Part, Segment, SegmentStart};

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use sluice_media::{Codec, Frame, MediaKind, Timestamp, TrackId};

use crate::MuxError;
use crate::fmp4::{Track, init_segment};
use cutter::{Cut, Cutter};
use lane::Lane;
use timeline::Era;

/// Cuts the frames of one stream into parts and segments that HLS lists and recordings keep.
///
/// Lives as long as the stream, over any number of publishers: segment numbers, the timeline and `mfhd` sequence go
/// on. The timeline given out starts at 0 and has no holes at discontinuities: what comes after one begins where the
/// longest track before it ended; [`keep_times`](Self::keep_times) says otherwise. Drain [`poll_output`](Self::poll_output) after each call: nothing is dropped there.
#[derive(Debug)]
pub struct Segmenter {
    options: SegmenterOptions,
    lanes: Vec<Lane>,
    /// Index of the cutting track in `lanes`.
    cutting: usize,
    era: Option<Era>,
    /// Other tracks' frames that came before the first keyframe.
    early: VecDeque<Frame>,
    cutter: Cutter,
    cuts: VecDeque<Cut>,
    /// Where the timeline goes on after a discontinuity.
    resume: Timestamp,
    /// The next segment does not continue the one before.
    breaks: bool,
    /// Decode times are the frames' own.
    keeps_times: bool,
    open: Option<Open>,
    init: u32,
    next_segment: u64,
    next_sequence: u32,
    discontinuities: u64,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// The segment that is being given out.
#[derive(Debug)]
struct Open {
    number: u64,
    parts: u32,
    duration: Duration,
    bytes: u64,
    frames: u32,
    independent: bool,
}

impl Segmenter {
    /// A segmenter without tracks: frames are counted and dropped until [`set_tracks`](Self::set_tracks).
    pub fn new(options: SegmenterOptions) -> Self {
        let options = options.within_bounds();
        Self {
            options,
            lanes: Vec::new(),
            cutting: 0,
            era: None,
            early: VecDeque::new(),
            cutter: Cutter::new(&options),
            cuts: VecDeque::new(),
            resume: Timestamp::new(0, NonZeroU32::MIN),
            breaks: false,
            keeps_times: false,
            open: None,
            init: 0,
            next_segment: 0,
            next_sequence: 1,
            discontinuities: 0,
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Gives frames their own decode times from the next beginning on, so that the renditions of one stream share a
    /// timeline (RFC 8216 §6.2.4). Frames that go back behind what was given out are moved all the same. A picture that
    /// is coded otherwise from some keyframe on, another layer of the same stream, then is no discontinuity: times and
    /// tracks go on, and the siblings have none there.
    pub const fn keep_times(&mut self) {
        self.keeps_times = true;
    }

    /// Says which tracks there are from the next frame on, and how they are coded.
    ///
    /// The same tracks again change nothing. Others end the open segment; the next one begins on a keyframe behind a
    /// new [`Init`], as a discontinuity (RFC 8216 §4.3.2.3). Without a video track the first one cuts.
    ///
    /// # Errors
    ///
    /// Those of [`init_segment`]; the segmenter then goes on with the tracks it had.
    pub fn set_tracks(&mut self, tracks: &[Track]) -> Result<(), MuxError> {
        if self.lanes.iter().map(Lane::track).eq(tracks) {
            return Ok(());
        }
        let bytes = init_segment(tracks)?;
        let breaks = self.breaks;
        let before = self.lanes.iter().map(Lane::track);
        let goes_on = self.keeps_times && before.map(kind).eq(tracks.iter().map(kind));
        self.end_era();
        if goes_on {
            self.breaks = breaks;
        }
        if !self.lanes.is_empty() {
            self.init = self.init.saturating_add(1);
        }
        self.lanes = tracks.iter().cloned().map(Lane::new).collect();
        self.cutting = tracks
            .iter()
            .position(|track| track.config.codec.kind() == MediaKind::Video)
            .unwrap_or(0);
        self.drop_early();
        self.outputs.push_back(Output::Init(Init {
            number: self.init,
            bytes,
        }));
        Ok(())
    }

    /// Takes the next frame in order of arrival. `wall_micros` is the wall-clock time of its arrival, microseconds
    /// since 1970; it dates segments whose frames do not tell when they were captured.
    pub fn handle_frame(&mut self, frame: &Frame, wall_micros: i64) {
        let Some(index) = self
            .lanes
            .iter()
            .position(|lane| lane.track().id == frame.track)
        else {
            self.counters.unknown_track = self.counters.unknown_track.saturating_add(1);
            return;
        };
        if self.era.is_some() && self.jumps(index, frame) {
            self.end_era();
        }
        if self.era.is_none() {
            self.try_start(index, frame, wall_micros);
        } else {
            self.accept(index, frame);
        }
        self.flush(false);
    }

    /// Gives out what is held back and ends the open segment: the publisher is gone, or pauses. Frames may follow;
    /// they begin with a keyframe, behind a discontinuity.
    pub fn end_segment(&mut self) {
        self.end_era();
        self.drop_early();
    }

    /// The next thing to hand out, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What has been dropped or bent so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether this frame ends the timeline that is going on.
    fn jumps(&mut self, index: usize, frame: &Frame) -> bool {
        let (Some(era), Some(lane)) = (&self.era, self.lanes.get_mut(index)) else {
            return false;
        };
        let strange = era.is_strange(lane, frame, &self.options);
        if lane.is_joined() {
            return frame.discontinuity || strange;
        }
        // The first frame of this track on the new timeline, or one of the old that was still under way.
        strange && lane.count_straggler() > MAX_STRAGGLERS
    }

    fn try_start(&mut self, index: usize, frame: &Frame, wall_micros: i64) {
        if frame.discontinuity {
            self.drop_early();
        }
        if index != self.cutting {
            if self.early.len() >= MAX_EARLY {
                self.early.pop_front();
                self.counters.before_keyframe = self.counters.before_keyframe.saturating_add(1);
            }
            self.early.push_back(frame.clone());
            return;
        }
        let Some(lane) = self.lanes.get(index) else {
            return;
        };
        if !frame.keyframe {
            self.counters.before_keyframe = self.counters.before_keyframe.saturating_add(1);
            return;
        }
        let era = if self.keeps_times {
            Era::of_its_own(lane, frame, self.resume, wall_micros)
        } else {
            Era::new(lane, frame, self.resume, wall_micros)
        };
        let leaps = era.start().saturating_since(self.resume) > self.options.max_gap;
        self.breaks |= self.keeps_times && self.next_segment > 0 && leaps;
        self.cutter.start(era.start());
        for lane in &mut self.lanes {
            lane.join_later(era.shift());
        }
        self.era = Some(era);
        self.accept(index, frame);
        for early in std::mem::take(&mut self.early) {
            let place = self
                .lanes
                .iter()
                .position(|lane| lane.track().id == early.track);
            match place {
                Some(place) if early.pts >= frame.pts && !self.jumps(place, &early) => {
                    self.accept(place, &early);
                }
                _ => {
                    self.counters.before_keyframe = self.counters.before_keyframe.saturating_add(1);
                }
            }
        }
    }

    /// Puts a frame of the running timeline into its queue and lets it cut.
    fn accept(&mut self, index: usize, frame: &Frame) {
        let alone = self.lanes.len() == 1;
        let (Some(era), Some(lane)) = (&mut self.era, self.lanes.get_mut(index)) else {
            return;
        };
        if !lane.is_joined() && era.is_strange(lane, frame, &self.options) {
            self.counters.stragglers = self.counters.stragglers.saturating_add(1);
            return;
        }
        let Some(moment) = lane.push(frame, &mut self.counters) else {
            return;
        };
        era.advance(moment);
        let bytes = frame.data.len();
        if index == self.cutting {
            self.cutter
                .on_cutting_frame(moment, (frame.keyframe, bytes), alone, &mut self.cuts);
        } else {
            self.cutter.on_other_frame(moment, bytes, &mut self.cuts);
        }
        let open: usize = self.lanes.iter().map(Lane::len).sum();
        if open > self.options.max_open_samples {
            self.flush(true);
            if self.lanes.iter().map(Lane::len).sum::<usize>() > self.options.max_open_samples {
                self.end_era();
            }
        }
    }

    fn drop_early(&mut self) {
        let dropped = u64::try_from(self.early.len()).unwrap_or(u64::MAX);
        self.counters.before_keyframe = self.counters.before_keyframe.saturating_add(dropped);
        self.early.clear();
    }

    fn end_era(&mut self) {
        let Some(_) = self.era else {
            return;
        };
        for lane in &mut self.lanes {
            lane.close();
        }
        let end = self.lanes.iter().map(Lane::end).max();
        if let Some(end) = end {
            self.cutter.finish(end, &mut self.cuts);
            self.flush(true);
            self.resume = end;
        }
        self.close_open();
        self.cuts.clear();
        self.era = None;
        // Nothing to break with before the first segment.
        self.breaks = self.next_segment > 0;
    }
}

/// What of a track players notice when it changes in the midst of a timeline.
fn kind(track: &Track) -> (TrackId, Codec, NonZeroU32) {
    (track.id, track.config.codec, track.rate)
}

/// Other tracks' frames kept while the first keyframe is awaited; the oldest goes first. Ten seconds of sound.
const MAX_EARLY: usize = 512;
/// Frames of a timeline that has ended; more of them are no leftovers but a jump.
const MAX_STRAGGLERS: u32 = 64;
