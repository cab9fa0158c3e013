//! One stream: its ring, its tracks, who writes it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, Frame, MediaKind, Ring, StreamKey, TrackId};

use crate::error::FrameError;
use crate::event::EndReason;
use crate::id::{AdmissionId, SessionId, StreamId};
use crate::keyframe::KeyframeRequests;
use crate::options::{AppSpec, Limits};
use crate::qos::Meter;
use crate::request::{Identity, Protocol};
use crate::slot::{Slot, Stamp};
use crate::track::{Step, Track};
use crate::view::Metadata;
use crate::wake::Wake;
use crate::window::Window;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) key: Arc<StreamKey>,
    /// Index of its application.
    pub(crate) app: usize,
    pub(crate) ring: Ring<Slot>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) phase: Phase,
    pub(crate) epoch: u32,
    pub(crate) session: Option<Session>,
    /// Of a layer: the stream whose publisher's it is or was, and with which it ends.
    pub(crate) base: Option<StreamId>,
    /// Publishers that wait for the key, the longest first.
    pub(crate) queue: VecDeque<AdmissionId>,
    pub(crate) wake: Wake,
    pub(crate) readers: usize,
    pub(crate) keyframes: KeyframeRequests,
    pub(crate) meter: Meter,
    pub(crate) metadata: Metadata,
    pub(crate) recorders: u32,
    pub(crate) transcoders: u32,
    pub(crate) rejections: Rejections,
    /// When its first frame came.
    pub(crate) started: Option<Instant>,
    /// The earliest timer set for it.
    pub(crate) timer: Option<Instant>,
    timeline: u32,
    timeline_since: Instant,
    /// The next frame is marked with a discontinuity.
    marks_next: bool,
    /// Index of the track whose keyframes joiners begin at.
    lead: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Claimed; no frame has come yet.
    Idle,
    /// Frames come.
    Publishing,
    /// The publisher is gone; without another one it ends then.
    Resuming { until: Instant },
    /// Another publisher has come and has not sent a frame yet.
    Resumed,
    /// Only readers that have not read all are left.
    Ended(EndReason),
}

/// A publisher's turn.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) identity: Option<Identity>,
    pub(crate) protocol: Protocol,
    pub(crate) address: Option<std::net::SocketAddr>,
    /// When the newest frame came, or the session.
    pub(crate) active: Instant,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    /// Bytes of late, for the rate limit.
    pub(crate) rate: Option<Window>,
    /// Of a layer: the turn it is a part of.
    pub(crate) of: Option<SessionId>,
    /// Nobody else publishes layers of the stream.
    pub(crate) reserves_layers: bool,
}

/// Frames that were not taken, told at most once a second.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    pub(crate) total: u64,
    /// Not told yet: how many, and the newest cause.
    pub(crate) untold: Option<(u64, FrameError)>,
    pub(crate) told: Option<Instant>,
}

impl Stream {
    pub(crate) fn new(
        now: Instant,
        id: StreamId,
        key: Arc<StreamKey>,
        app: usize,
        spec: &AppSpec,
    ) -> Self {
        Self {
            id,
            key,
            app,
            ring: Ring::with_audio_budget(spec.ring, spec.max_audio_bytes),
            tracks: Vec::new(),
            phase: Phase::Idle,
            epoch: 0,
            session: None,
            base: None,
            queue: VecDeque::new(),
            wake: Wake::default(),
            readers: 0,
            keyframes: KeyframeRequests::default(),
            meter: Meter::default(),
            metadata: Metadata::default(),
            recorders: 0,
            transcoders: 0,
            rejections: Rejections::default(),
            started: None,
            timer: None,
            timeline: 0,
            timeline_since: now,
            marks_next: false,
            lead: None,
        }
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// The present publisher's turn, if `id` names it.
    pub(crate) fn holds(&self, id: SessionId) -> bool {
        self.session.is_some() && self.epoch == id.epoch
    }

    pub(crate) fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|_| SessionId {
            stream: self.id,
            epoch: self.epoch,
        })
    }

    /// Bytes its ring keeps.
    pub(crate) const fn bytes(&self) -> usize {
        self.ring.bytes() + self.ring.audio_bytes()
    }

    /// A publisher takes the key: numbering goes on, timestamps begin anew.
    pub(crate) fn begin_session(&mut self, now: Instant, session: Session) -> SessionId {
        self.epoch += 1;
        self.base = session.of.map(SessionId::stream);
        self.session = Some(session);
        self.timeline += 1;
        self.timeline_since = now;
        self.marks_next = self.ring.head() > 0;
        self.lead = None;
        self.metadata = Metadata::default();
        for track in &mut self.tracks {
            track.begin_session();
        }
        if self.phase != Phase::Idle {
            self.phase = Phase::Resumed;
        }
        SessionId {
            stream: self.id,
            epoch: self.epoch,
        }
    }

    /// Announces a track or changes how it is coded; its number when that is news.
    pub(crate) fn configure(
        &mut self,
        id: TrackId,
        config: CodecConfig,
        limits: &Limits,
    ) -> Result<Option<u32>, FrameError> {
        if config.record.len() > MAX_RECORD {
            return Err(FrameError::ConfigTooLarge);
        }
        let oldest = self.ring.oldest();
        let kind = config.codec.kind();
        let index = self.tracks.iter().position(|track| track.id == id);
        let (index, news) = if let Some(index) = index
            && let Some(track) = self.tracks.get_mut(index)
        {
            let changed = track.configure(config, oldest)?;
            (index, changed.then(|| track.revision()))
        } else {
            let limit = limits.max_tracks;
            if self.tracks.len() >= limit {
                return Err(FrameError::TrackLimitReached { limit });
            }
            self.tracks.push(Track::new(id, config));
            (self.tracks.len() - 1, Some(1))
        };
        if kind == MediaKind::Video && self.lead.is_none() {
            self.lead = u8::try_from(index).ok();
        }
        Ok(news)
    }

    /// Takes a frame in; true when it is a keyframe that joiners may begin at.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        mut frame: Frame,
        limits: &Limits,
    ) -> Result<bool, FrameError> {
        let index = self.tracks.iter().position(|track| track.id == frame.track);
        let index = index.ok_or(FrameError::UnknownTrack)?;
        let track = self
            .tracks
            .get_mut(index)
            .filter(|track| track.announced)
            .ok_or(FrameError::UnknownTrack)?;
        let audio = track.kind == MediaKind::Audio;
        check(&frame, track, limits)?;
        let step = track.step(now, &frame)?;
        if track.awaits_keyframe && !frame.keyframe {
            return Err(FrameError::AwaitingKeyframe);
        }
        match step {
            Step::Begins => track.timeline = self.timeline,
            Step::Jumps if track.timeline < self.timeline => track.timeline = self.timeline,
            Step::Jumps => {
                self.timeline += 1;
                self.timeline_since = now;
                self.marks_next = true;
                track.timeline = self.timeline;
            }
            // Tracks of one publisher jump together. One that did not for so long will not.
            Step::Continues if now.saturating_duration_since(self.timeline_since) > TOGETHER => {
                track.timeline = self.timeline;
            }
            Step::Continues => {}
        }
        frame.discontinuity = std::mem::take(&mut self.marks_next);
        frame.duration = frame.duration.filter(|duration| {
            u64::from(*duration) <= MAX_DURATION.as_secs() * u64::from(frame.pts.rate().get())
        });
        track.accept(now, &frame, self.ring.head());
        let leads = self.lead.is_some_and(|lead| usize::from(lead) == index);
        let starts_chain = match self.lead {
            Some(_) => leads && frame.keyframe,
            None => true,
        };
        let stamp = Stamp {
            revision: track.revision(),
            timeline: track.timeline,
        };
        self.meter.count(now, frame.data.len());
        self.ring.push(
            now,
            Slot {
                frame,
                track: u8::try_from(index).unwrap_or(u8::MAX),
                audio,
                starts_chain,
                epoch: self.epoch,
                stamp,
            },
        );
        Ok(leads && starts_chain)
    }

    /// Whether joiners wait for a keyframe that this publisher could be asked for.
    pub(crate) const fn lacks_start(&self) -> bool {
        self.lead.is_some() && self.session.is_some()
    }

    /// When its publisher has been silent for too long. A layer may be: it lasts as long as its publisher's turn.
    pub(crate) fn idles_at(&self, idle: Duration) -> Option<Instant> {
        let session = self.session.as_ref();
        let session = session.filter(|session| session.of.is_none());
        session.map(|session| session.active + idle)
    }

    /// When something is to be done for it next.
    pub(crate) fn due(&self, idle: Duration, max_age: Duration) -> Option<Instant> {
        let times = [
            self.idles_at(idle),
            match self.phase {
                Phase::Resuming { until } => Some(until),
                _ => None,
            },
            self.ring
                .at(self.ring.oldest())
                .map(|(arrived, _)| arrived + max_age + BEYOND),
            self.keyframes.due().filter(|_| self.keyframes.is_wanted()),
            self.rejections.due(),
        ];
        times.into_iter().flatten().min()
    }
}

impl Rejections {
    pub(crate) fn due(&self) -> Option<Instant> {
        self.untold?;
        self.told.map(|told| told + TELL_EVERY)
    }
}

fn check(frame: &Frame, track: &Track, limits: &Limits) -> Result<(), FrameError> {
    if frame.codec != track.config().codec {
        return Err(FrameError::CodecMismatch);
    }
    let limit = match track.kind {
        MediaKind::Video => limits.max_video_frame,
        MediaKind::Audio => limits.max_audio_frame,
    };
    if frame.data.is_empty() {
        return Err(FrameError::Empty);
    }
    if frame.data.len() > limit {
        return Err(FrameError::TooLarge { limit });
    }
    if frame.pts.rate() != frame.dts.rate() {
        return Err(FrameError::RateMismatch);
    }
    Ok(())
}

/// A longer duration is an error of the publisher: it would become an hour of one picture in a recording.
const MAX_DURATION: Duration = Duration::from_secs(10);
/// Tracks that jump within this time jump for the same reason.
const TOGETHER: Duration = Duration::from_secs(2);
/// Past the bound, so that the ring finds its oldest frame due.
const BEYOND: Duration = Duration::from_millis(1);
/// Parameter sets of the largest pictures take a few hundred bytes.
const MAX_RECORD: usize = 64 << 10;
/// How often rejected frames are told.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(1);
