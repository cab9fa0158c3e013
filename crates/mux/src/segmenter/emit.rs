//! From samples and cuts to parts and segments.

use std::time::Duration;

use sluice_media::Timestamp;

use super::cutter::Cut;
use super::lane::Taken;
use super::output::{Output, Part, Segment, SegmentStart};
use super::{Open, Segmenter};
use crate::fmp4::{PartHead, ReferenceTime, Run, media_part};

impl Segmenter {
    /// Gives out every part whose samples are complete; all that is cut when `forced`.
    pub(super) fn flush(&mut self, forced: bool) {
        while let Some(cut) = self.cuts.front().copied() {
            if !self.is_complete(cut.at, forced) {
                return;
            }
            self.cuts.pop_front();
            let mut cut = self.joined_with_empty_ones(cut, forced);
            let Some(era) = &self.era else { return };
            let part = cut.at.saturating_since(era.given());
            if self.cutter.is_outdated(cut, part) {
                continue;
            }
            if self.cutter.outlasts(part) {
                cut.ends_segment = true;
            } else if cut.ends_segment {
                self.cutter.on_segment_end();
            }
            self.emit(cut);
        }
    }

    pub(super) fn close_open(&mut self) {
        if let Some(open) = self.open.take() {
            self.outputs.push_back(Output::End(Segment {
                number: open.number,
                duration: open.duration,
                parts: open.parts,
                bytes: open.bytes,
                frames: open.frames,
                independent: open.independent,
            }));
        }
    }

    fn is_complete(&self, at: Timestamp, forced: bool) -> bool {
        let Some(era) = &self.era else { return false };
        forced
            || self
                .lanes
                .iter()
                .all(|lane| lane.reaches(at) || era.is_idle(lane, self.options.max_wait))
    }

    /// A part needs a sample. Where one lasts beyond the next cuts, its part lasts to the latest of them.
    fn joined_with_empty_ones(&mut self, mut cut: Cut, forced: bool) -> Cut {
        while let Some(next) = self.cuts.front().copied() {
            let filled = self
                .lanes
                .iter()
                .any(|lane| lane.has_complete_in(cut.at, next.at));
            if cut.ends_segment || filled || !self.is_complete(next.at, forced) {
                break;
            }
            self.cuts.pop_front();
            cut = next;
        }
        cut
    }

    fn emit(&mut self, cut: Cut) {
        let Some(era) = &mut self.era else { return };
        let start = era.given();
        if cut.at > start {
            let captured = self
                .lanes
                .get(self.cutting)
                .and_then(|lane| lane.captured_at(start));
            let wall_micros = era.wall_micros(start, captured);
            let taken: Vec<_> = self
                .lanes
                .iter_mut()
                .map(|lane| (lane.track().id, lane.take_before(cut.at)))
                .collect();
            if taken.iter().any(|(_, taken)| !taken.samples.is_empty()) {
                era.give(cut.at);
                self.put_out(start, cut, wall_micros, &taken);
            }
        }
        if cut.ends_segment {
            self.close_open();
        }
    }

    fn put_out(
        &mut self,
        start: Timestamp,
        cut: Cut,
        wall_micros: i64,
        taken: &[(sluice_media::TrackId, Taken)],
    ) {
        let video = self
            .lanes
            .get(self.cutting)
            .is_some_and(super::Lane::is_video);
        let cutting = taken
            .get(self.cutting)
            .map(|(_, taken)| taken.samples.as_slice())
            .unwrap_or_default();
        let independent = !video || cutting.iter().any(|sample| sample.keyframe);
        let begins_with_keyframe = !video || cutting.first().is_some_and(|first| first.keyframe);
        let frames = u32::try_from(cutting.len()).unwrap_or(u32::MAX);
        let runs: Vec<_> = taken
            .iter()
            .map(|(track, taken)| Run {
                track: *track,
                decode_time: taken.decode_time,
                samples: &taken.samples,
            })
            .collect();
        let reference = self.lanes.get(self.cutting).map(|lane| ReferenceTime {
            track: lane.track().id,
            media_time: u64::try_from(start.rescaled(lane.track().rate).ticks()).unwrap_or(0),
            wall_micros,
        });
        let head = PartHead {
            starts_segment: self.open.is_none(),
            reference: reference.filter(|_| self.open.is_none() && self.options.reference_times),
        };
        let Ok(bytes) = media_part(self.next_sequence, head, &runs) else {
            self.counters.oversized = self.counters.oversized.saturating_add(1);
            return;
        };
        self.next_sequence = self.next_sequence.saturating_add(1);
        let duration = cut.at.saturating_since(start);
        if self.open.is_none() {
            self.begin(start, wall_micros, begins_with_keyframe);
        }
        let Some(open) = &mut self.open else { return };
        let part = Part {
            segment: open.number,
            index: open.parts,
            start,
            duration,
            independent,
            last: cut.ends_segment,
            target: self.cutter.stated(),
            bytes,
        };
        open.parts = open.parts.saturating_add(1);
        open.frames = open.frames.saturating_add(frames);
        open.duration = open.duration.saturating_add(duration);
        open.bytes = open
            .bytes
            .saturating_add(u64::try_from(part.bytes.len()).unwrap_or(u64::MAX));
        self.outputs.push_back(Output::Part(part));
    }

    fn begin(&mut self, start: Timestamp, wall_micros: i64, independent: bool) {
        let discontinuity = std::mem::take(&mut self.breaks);
        if discontinuity {
            self.discontinuities = self.discontinuities.saturating_add(1);
        }
        let number = self.next_segment;
        self.next_segment = number.saturating_add(1);
        self.open = Some(Open {
            number,
            parts: 0,
            duration: Duration::ZERO,
            bytes: 0,
            frames: 0,
            independent,
        });
        self.outputs.push_back(Output::Start(SegmentStart {
            number,
            init: self.init,
            discontinuity,
            discontinuity_sequence: self.discontinuities,
            start,
            wall_micros,
        }));
    }
}
