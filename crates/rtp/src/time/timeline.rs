//! The tracks of one sender on one timeline.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sluice_media::{Timestamp, TrackId};

use super::correction::Correction;
use super::{NtpTime, SenderInfo, TimestampUnwrapper, nanos, ticks};

/// Where the RTP times of one sender's tracks meet.
///
/// The origin is the arrival of the first packet of any track, or given. A track begins where its first packet arrives; that is
/// as good as the network. From then on RTP time counts. The first sender report of the first track ties the timeline
/// to the sender's wall clock and moves nothing. The reports of the other tracks tell by how much arrival was wrong,
/// and later ones how far the clocks of camera and sound card have run apart: the track heads for its right place
/// without ever going back, small errors by a sixteenth of the time that passes, large ones by a leap forward or at
/// half speed.
///
/// - A wall clock that is set (a step of more than a second from one report to the next) moves no track.
/// - A first report more than 10 s off its arrival is of another clock (cameras do that): the track stays by arrival
///   and follows its own reports alone.
/// - RTP time that leaps by more than 10 s without the arrival doing so is a restart: the track goes on by arrival,
///   and waits for its next report.
///
/// All tracks are of one sender (one CNAME, RFC 3550 §6.5.1). At most 32 tracks.
#[derive(Debug, Default)]
pub struct Timeline {
    origin: Option<Instant>,
    epoch: Option<Epoch>,
    tracks: Vec<(TrackId, Track)>,
}

/// Where a packet or an access unit lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// On the timeline, in ticks of the track's clock rate.
    pub pts: Timestamp,
    /// When it was captured, in microseconds since 1970 by the sender's clock; known from the track's first report on.
    pub captured_micros: Option<i64>,
    /// The track's RTP time began anew here.
    pub discontinuity: bool,
}

/// One moment by the sender's wall clock and on the timeline.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    ntp: NtpTime,
    nanos: i128,
}

#[derive(Debug)]
struct Track {
    rate: NonZeroU32,
    /// A report that came before the first packet.
    early: Option<SenderInfo>,
    /// The end of the sequence before a restart.
    resumes: Option<Last>,
    clock: Option<Clock>,
}

#[derive(Debug)]
struct Clock {
    rate: NonZeroU32,
    unwrapper: TimestampUnwrapper,
    highest: i64,
    last: i64,
    last_pts: i64,
    /// The highest given out.
    latest_pts: i64,
    last_arrival: Instant,
    correction: Correction,
    report: Option<Report>,
    /// Of a track whose reports are of another clock than those of the others.
    own_epoch: Option<Epoch>,
}

/// The newest sender report of a track.
#[derive(Debug, Clone, Copy)]
struct Report {
    ntp: NtpTime,
    ticks: i64,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    pts: i64,
    arrival: Instant,
}

impl Timeline {
    /// A timeline without tracks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the origin elsewhere, so that senders who follow each other share a timeline. Changes nothing once
    /// something has been located.
    pub fn set_origin(&mut self, origin: Instant) {
        self.origin.get_or_insert(origin);
    }

    /// Adds a track of `rate` ticks per second (that of its SDP), or makes it anew; `false` at the bound.
    pub fn add_track(&mut self, track: TrackId, rate: NonZeroU32) -> bool {
        self.remove_track(track);
        if self.tracks.len() >= MAX_TRACKS {
            return false;
        }
        self.tracks.push((
            track,
            Track {
                rate,
                early: None,
                resumes: None,
                clock: None,
            },
        ));
        true
    }

    /// Forgets a track.
    pub fn remove_track(&mut self, track: TrackId) {
        self.tracks.retain(|(id, _)| *id != track);
    }

    /// The track's next packet begins a new sequence (another SSRC): it goes on by arrival. Its reports count anew.
    pub fn restart_track(&mut self, track: TrackId) {
        if let Some(track) = self.track(track) {
            track.restart();
        }
    }

    /// Takes what a sender report of the track says; a report without a wall clock is ignored.
    pub fn handle_report(&mut self, track: TrackId, report: SenderInfo) {
        if report.ntp.is_unknown() {
            return;
        }
        let mut epoch = self.epoch;
        let Some(track) = self.track(track) else {
            return;
        };
        match &mut track.clock {
            None => track.early = Some(report),
            Some(clock) => clock.handle_report(report, &mut epoch),
        }
        self.epoch = epoch;
    }

    /// Where the RTP timestamp of a packet that came at `arrival` lies; `None` for a track that was not added.
    ///
    /// `pts` never decreases while `timestamp` does not.
    pub fn locate(&mut self, track: TrackId, timestamp: u32, arrival: Instant) -> Option<Moment> {
        let origin = *self.origin.get_or_insert(arrival);
        let mut epoch = self.epoch;
        let moment = self
            .track(track)?
            .locate(timestamp, arrival, origin, &mut epoch);
        self.epoch = epoch;
        Some(moment)
    }

    fn track(&mut self, track: TrackId) -> Option<&mut Track> {
        self.tracks
            .iter_mut()
            .find(|(id, _)| *id == track)
            .map(|(_, track)| track)
    }
}

impl Track {
    fn locate(
        &mut self,
        timestamp: u32,
        arrival: Instant,
        origin: Instant,
        epoch: &mut Option<Epoch>,
    ) -> Moment {
        let leaps = |clock: &Clock| clock.leaps(timestamp, arrival);
        if self.clock.as_ref().is_some_and(leaps) {
            self.restart();
        }
        if let Some(clock) = &mut self.clock {
            return clock.locate(timestamp, arrival);
        }
        let resumes = self.resumes.take();
        let pts = match resumes {
            Some(last) => {
                let passed = nanos_between(last.arrival, arrival);
                last.pts.saturating_add(ticks(passed, self.rate).max(1))
            }
            None => ticks(nanos_between(origin, arrival), self.rate),
        };
        let mut clock = Clock::new(timestamp, arrival, pts, self.rate);
        if let Some(report) = self.early.take() {
            clock.handle_report(report, epoch);
            if resumes.is_none() {
                clock.settle();
            }
        }
        let moment = clock.locate(timestamp, arrival);
        self.clock = Some(clock);
        Moment {
            discontinuity: resumes.is_some(),
            ..moment
        }
    }

    fn restart(&mut self) {
        self.early = None;
        if let Some(clock) = self.clock.take() {
            self.resumes = Some(Last {
                pts: clock.latest_pts,
                arrival: clock.last_arrival,
            });
        }
    }
}

impl Clock {
    fn new(timestamp: u32, arrival: Instant, pts: i64, rate: NonZeroU32) -> Self {
        let first = i64::from(timestamp);
        Self {
            rate,
            unwrapper: TimestampUnwrapper::starting_at(timestamp),
            highest: first,
            last: first,
            last_pts: i64::MIN,
            latest_pts: i64::MIN,
            last_arrival: arrival,
            correction: Correction::fixed(pts.saturating_sub(first), rate.get()),
            report: None,
            own_epoch: None,
        }
    }

    /// Takes the correction up at once: nothing has come out yet.
    fn settle(&mut self) {
        self.correction = Correction::fixed(self.correction.target(), self.rate.get());
    }

    /// RTP time goes elsewhere while the arrival goes on.
    fn leaps(&self, timestamp: u32, arrival: Instant) -> bool {
        let ahead = self.unwrapper.peek(timestamp).saturating_sub(self.last);
        let ahead = nanos(ahead, self.rate);
        let passed = nanos_between(self.last_arrival, arrival);
        ahead.abs() > FAR && ahead.saturating_sub(passed).abs() > FAR
    }

    fn locate(&mut self, timestamp: u32, arrival: Instant) -> Moment {
        let at = self.unwrapper.unwrap(timestamp);
        let place = at.saturating_add(self.correction.offset(at));
        // The correction remembers one turn: what comes late from before several keeps its order here.
        self.last_pts = if at >= self.last {
            place.max(self.last_pts)
        } else {
            place.min(self.last_pts)
        };
        self.last = at;
        self.latest_pts = self.latest_pts.max(self.last_pts);
        self.last_arrival = self.last_arrival.max(arrival);
        self.highest = self.highest.max(self.last);
        let captured_micros = self.report.and_then(|report| {
            let since = nanos(self.last.saturating_sub(report.ticks), self.rate).div_euclid(1_000);
            let micros = i128::from(report.ntp.unix_micros()?).saturating_add(since);
            i64::try_from(micros).ok()
        });
        Moment {
            pts: Timestamp::new(self.last_pts, self.rate),
            captured_micros,
            discontinuity: false,
        }
    }

    fn handle_report(&mut self, report: SenderInfo, shared: &mut Option<Epoch>) {
        let at = self.unwrapper.peek(report.rtp_timestamp);
        let heads_for = nanos(at.saturating_add(self.correction.target()), self.rate);
        let here = Epoch {
            ntp: report.ntp,
            nanos: heads_for,
        };
        let before = self.report.replace(Report {
            ntp: report.ntp,
            ticks: at,
        });
        let common = *shared.get_or_insert(here);
        let epoch = self.own_epoch.unwrap_or(common);
        let wanted = epoch
            .nanos
            .saturating_add(report.ntp.nanos_since(epoch.ntp));
        let error = wanted.saturating_sub(heads_for).abs();
        match before {
            None if error > FAR => self.own_epoch = Some(here),
            // Another track may have told of the step before: then there is no error.
            Some(before) if error > STEP && before.differs(report.ntp, at, self.rate) => {
                if self.own_epoch.is_some() {
                    self.own_epoch = Some(here);
                } else {
                    *shared = Some(here);
                }
            }
            // A report from before a step, overtaken by another track's from behind it.
            Some(_) if error > FAR => {}
            _ => {
                let target = ticks(wanted, self.rate).saturating_sub(at);
                self.correction.aim(self.highest, target);
            }
        }
    }
}

impl Report {
    /// The wall clock did not go on with RTP time from this report to the next.
    fn differs(self, ntp: NtpTime, at: i64, rate: NonZeroU32) -> bool {
        let by_wall = ntp.nanos_since(self.ntp);
        let by_rtp = nanos(at.saturating_sub(self.ticks), rate);
        by_wall.saturating_sub(by_rtp).abs() > STEP
    }
}

/// From one to the other, negative when the second is the earlier.
fn nanos_between(earlier: Instant, later: Instant) -> i128 {
    let nanos = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    nanos(later.saturating_duration_since(earlier))
        .saturating_sub(nanos(earlier.saturating_duration_since(later)))
}

const MAX_TRACKS: usize = 32;
/// Nanoseconds between two clocks that are not one.
const FAR: i128 = 10_000_000_000;
/// Nanoseconds by which a wall clock is set, not slewed.
const STEP: i128 = 1_000_000_000;
