//! Frames in front of a segmenter, until it is known which tracks there are.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_live::Engine;
use sluice_media::{CodecConfig, Frame, MediaKind, StreamKey, TrackId};
use sluice_mux::fmp4::Track;
use sluice_mux::{MuxError, Segmenter};

/// The tracks of a stream as they become known, and the first frames of them.
///
/// Bounded by what a stream brings within [`HOLD`].
#[derive(Debug, Default)]
pub(super) struct Gathered {
    tracks: BTreeMap<TrackId, (CodecConfig, Option<NonZeroU32>)>,
    changed: bool,
    held: VecDeque<Frame>,
    held_since: Option<Instant>,
    keyframe_at: Option<Instant>,
    picture_at: Option<Instant>,
    /// The date of the frames' time 0, microseconds since 1970, where siblings share it.
    anchor: Option<i64>,
}

impl Gathered {
    /// Says how a track is coded from here on. Frames that are held and coded otherwise go on before.
    pub(super) fn configure(
        &mut self,
        now: Instant,
        track: TrackId,
        config: &CodecConfig,
        wall: i64,
        segmenter: &mut Segmenter,
    ) -> Result<(), MuxError> {
        let known = self.tracks.get(&track);
        let rate = known.and_then(|(_, rate)| *rate);
        let mut fits = Ok(());
        if rate.is_some() && known.is_some_and(|(known, _)| known != config) {
            fits = self.release(now, wall, segmenter);
            self.changed = true;
        }
        self.tracks.insert(track, (config.clone(), rate));
        fits
    }

    pub(super) fn take(
        &mut self,
        now: Instant,
        frame: &Frame,
        wall: i64,
        segmenter: &mut Segmenter,
    ) -> Result<(), MuxError> {
        let given = frame.pts.rate();
        let known = self.tracks.get(&frame.track);
        let rate = known.map(|(_, rate)| *rate);
        let mut fits = Ok(());
        if rate.flatten().is_some_and(|known| known != given) {
            fits = self.release(now, wall, segmenter);
        }
        if let Some((_, rate)) = self.tracks.get_mut(&frame.track)
            && *rate != Some(given)
        {
            *rate = Some(given);
            self.changed = true;
        }
        self.held_since.get_or_insert(now);
        if frame.codec.kind() == MediaKind::Video {
            self.picture_at = Some(now);
        }
        // Players compare the dates of segments: all are by our clock, whatever the publisher's shows.
        self.held.push_back(Frame {
            captured_micros: None,
            ..frame.clone()
        });
        fits
    }

    /// Whether there is no use in waiting for more tracks than have come, of so many.
    ///
    /// An init segment that lacks the sound which begins a moment later would be followed by another.
    pub(super) fn is_ready(&self, now: Instant, expected: usize) -> bool {
        let known = self.tracks.values().filter(|(_, rate)| rate.is_some());
        !self.changed || known.count() >= expected || self.is_due(now)
    }

    /// Whether frames have waited long enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.held_since.is_some_and(|since| now >= since + HOLD)
    }

    /// Dates frames by their times, as those of a rendition's siblings are; `None`: by their arrival.
    pub(super) fn set_anchor(&mut self, anchor: Option<i64>) {
        self.anchor = anchor;
    }

    pub(super) fn anchor(&self) -> Option<i64> {
        self.anchor
    }

    /// Whether pictures have come.
    pub(super) fn has_pictures(&self) -> bool {
        self.tracks
            .values()
            .any(|(config, rate)| rate.is_some() && config.codec.kind() == MediaKind::Video)
    }

    /// When the newest picture came, of those handed on, that a segment may begin with.
    pub(super) fn keyframe_at(&self) -> Option<Instant> {
        self.keyframe_at
    }

    /// When the newest picture came.
    pub(super) fn picture_at(&self) -> Option<Instant> {
        self.picture_at
    }

    /// How the tracks are coded that have come or were announced.
    pub(super) fn configs(&self) -> impl Iterator<Item = &CodecConfig> {
        self.tracks.values().map(|(config, _)| config)
    }

    /// Hands on what is held; `wall` is the time now, microseconds since 1970.
    ///
    /// # Errors
    /// When the tracks do not fit into MP4; the frames go where those that do are.
    pub(super) fn release(
        &mut self,
        now: Instant,
        wall: i64,
        segmenter: &mut Segmenter,
    ) -> Result<(), MuxError> {
        self.held_since = None;
        let mut fits = Ok(());
        if std::mem::take(&mut self.changed) {
            let tracks: Vec<Track> = self
                .tracks
                .iter()
                .filter_map(|(id, (config, rate))| {
                    Some(Track {
                        id: *id,
                        config: config.clone(),
                        rate: (*rate)?,
                    })
                })
                .collect();
            fits = segmenter.set_tracks(&tracks);
        }
        // A backlog came earlier than now, each frame by as much as it lies before the newest.
        let newest = self.held.iter().map(|frame| frame.dts).max();
        for frame in std::mem::take(&mut self.held) {
            let age = newest.map(|newest| newest.saturating_since(frame.dts));
            let age = age.unwrap_or_default();
            if frame.keyframe && frame.codec.kind() == MediaKind::Video {
                self.keyframe_at = now.checked_sub(age);
            }
            let micros = i64::try_from(age.as_micros()).unwrap_or_default();
            let arrived = wall - micros;
            let dated = self.anchor.map(|anchor| anchor + frame.dts.micros());
            // What lies elsewhere is of another timeline.
            let dated = dated.filter(|dated| dated.abs_diff(arrived) < STRANGE);
            segmenter.handle_frame(&frame, dated.unwrap_or(arrived));
        }
        fits
    }
}

/// How many tracks a stream will have, as far as that can be told.
pub(super) fn expected_tracks(engine: &Engine, now: Instant, key: &StreamKey) -> usize {
    engine.stream(key).map_or(0, |view| {
        let announced = view.tracks(now).filter(|track| track.announced).count();
        let is_new = |at: Instant| now < at + NEW;
        // A publisher begins with its sound a moment before its picture, or the other way round.
        if view.metadata().started.is_none_or(is_new) {
            announced.max(2)
        } else {
            announced
        }
    })
}

/// The time now, microseconds since 1970.
pub(super) fn wall_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// Frames that are so far from where they should be, in microseconds, are of another timeline.
const STRANGE: u64 = 10_000_000;
/// How long the first frames wait for a track that was not announced yet.
const HOLD: Duration = Duration::from_millis(300);
/// How long a stream may still be expected to announce another track.
const NEW: Duration = Duration::from_secs(1);
