//! Cuts streams into the parts that playlists list, while somebody asks for them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sluice_live::{
    AccessRequest, Action, AdmissionId, Next, Protocol, SubscribeOptions, SubscriptionId,
};
use sluice_media::{Frame, MediaKind, StreamKey};
use sluice_mux::hls::{
    MediaPlaylist, PlaylistAnswer, PlaylistOptions, Query, Resource, ResourceAnswer,
};
use sluice_mux::{MuxError, Segmenter, SegmenterOptions};

use super::access::Asked;
use super::gather::{Gathered, expected_tracks, wall_micros};
use super::hls::{Wanted, late, media, not_found, playlist, problem, say};
use super::http::{LiveResponse, Reply};
use super::{Consumer, Live};
use crate::rooms::Rooms;

/// Cuts one stream into parts for as long as it is asked for, and a while longer.
#[derive(Debug)]
pub(super) struct Packager {
    /// Stands in the path of everything it lists: names of another run of the stream are not taken for these.
    pub(super) run: String,
    subscription: Option<SubscriptionId>,
    pub(super) segmenter: Segmenter,
    pub(super) playlist: MediaPlaylist,
    pub(super) gathered: Gathered,
    /// It is one of several renditions of a stream.
    pub(super) shares: bool,
    /// It has sound alone while its siblings have pictures: nothing is listed before its next one.
    pub(super) silent: bool,
    parked: Vec<Parked>,
    pub(super) asked_at: Instant,
}

/// A request that waits for a part.
#[derive(Debug)]
struct Parked {
    wanted: Wanted,
    since: Instant,
    reply: Reply,
}

impl Live {
    /// Requests that wait for a part.
    pub(super) fn waiting_requests(&self) -> usize {
        let parked = self
            .packagers
            .values()
            .map(|packager| packager.parked.len());
        parked.sum()
    }

    /// Answers a player that is let in to `of`, now or when there is something to answer.
    pub(super) fn serve_hls(&mut self, now: Instant, of: &StreamKey, wanted: Wanted, reply: Reply) {
        let Some(key) = &wanted.rendition(of) else {
            return say(reply, not_found());
        };
        if key != of && !self.packagers.contains_key(key) {
            // A layer is packaged once its stream's index was asked for.
            return say(reply, not_found());
        }
        let lives = self.engine.stream(key).is_some();
        let is_over = |packager: &Packager| packager.playlist.is_ended();
        if lives && self.packagers.get(key).is_some_and(is_over) {
            self.close_packager(now, key);
        }
        if !self.packagers.contains_key(key) && !self.open_packager(now, key) {
            return say(reply, not_found());
        }
        let Some(packager) = self.packagers.get_mut(key) else {
            return say(reply, not_found());
        };
        packager.asked_at = now;
        let is_crowded = packager.parked.len() >= MAX_PARKED;
        // Who plays one rendition may go to any other of them.
        if let Some(base) = self.packagers.get_mut(of) {
            base.asked_at = now;
        }
        match self.answer_hls(now, key, &wanted, Duration::ZERO) {
            Some(response) => say(reply, response),
            None if is_crowded => {
                say(
                    reply,
                    problem(503, "too many requests wait").with("Retry-After", "1"),
                );
            }
            None => {
                if let Some(packager) = self.packagers.get_mut(key) {
                    packager.parked.push(Parked {
                        wanted,
                        since: now,
                        reply,
                    });
                }
            }
        }
    }

    /// `None`: not yet.
    fn answer_hls(
        &mut self,
        now: Instant,
        key: &StreamKey,
        what: &Wanted,
        waited: Duration,
    ) -> Option<LiveResponse> {
        match what {
            Wanted::Index => self.index(now, key, waited),
            Wanted::Playlist(directory, query, segments) => {
                let packager = self.packagers.get_mut(key)?;
                if directory.run == packager.run {
                    packager.playlist(*query, *segments, waited)
                } else {
                    Some(not_found())
                }
            }
            Wanted::Resource(directory, resource) => {
                let packager = self.packagers.get(key)?;
                if directory.run == packager.run {
                    packager.resource(*resource, waited)
                } else {
                    Some(not_found())
                }
            }
        }
    }

    fn answer_parked(&mut self, now: Instant, key: &StreamKey) {
        let Some(packager) = self.packagers.get_mut(key) else {
            return;
        };
        let mut waiting = Vec::new();
        for parked in std::mem::take(&mut packager.parked) {
            let waited = now.saturating_duration_since(parked.since);
            match self.answer_hls(now, key, &parked.wanted, waited) {
                Some(response) => say(parked.reply, response),
                None => waiting.push(parked),
            }
        }
        if let Some(packager) = self.packagers.get_mut(key) {
            packager.parked = waiting;
        }
    }

    pub(super) fn open_packager(&mut self, now: Instant, key: &StreamKey) -> bool {
        if self.engine.stream(key).is_none() || self.packagers.len() >= MAX_PACKAGERS {
            return false;
        }
        let run = format!("{:x}", wall_micros() / 1000);
        let packager = Packager {
            run,
            subscription: None,
            segmenter: Segmenter::new(SegmenterOptions::default()),
            playlist: MediaPlaylist::new(PlaylistOptions::default()),
            gathered: Gathered::default(),
            shares: false,
            silent: false,
            parked: Vec::new(),
            asked_at: now,
        };
        self.packagers.insert(key.clone(), packager);
        self.join_renditions(now, key);
        self.packagers_due.get_or_insert(now + PACKAGER_TICK);
        let request = AccessRequest::new(key.clone(), Protocol::HLS);
        let asked = Asked::Packager(key.clone());
        if self.ask(now, Action::Play, request, asked, true).is_err() {
            self.close_packager(now, key);
            return false;
        }
        true
    }

    /// The packager may read.
    pub(super) fn start_packager(&mut self, now: Instant, admission: AdmissionId, key: &StreamKey) {
        let options = SubscribeOptions::default();
        let Ok(subscription) = self.engine.subscribe(now, admission, options) else {
            self.engine.cancel(admission);
            self.close_packager(now, key);
            return;
        };
        if let Some(packager) = self.packagers.get_mut(key) {
            packager.subscription = Some(subscription);
            self.readers
                .insert(subscription, Consumer::Packager(key.clone()));
        } else {
            self.engine.unsubscribe(now, subscription);
        }
    }

    pub(super) fn close_packager(&mut self, now: Instant, key: &StreamKey) {
        let Some(packager) = self.packagers.remove(key) else {
            return;
        };
        self.leave_renditions(key, &packager);
        if let Some(subscription) = packager.subscription {
            self.readers.remove(&subscription);
            self.engine.unsubscribe(now, subscription);
        }
        for parked in packager.parked {
            say(parked.reply, not_found());
        }
    }

    /// Brings a playlist up to date with its stream, and answers who waited for that.
    pub(super) fn feed_packager(
        &mut self,
        now: Instant,
        key: &StreamKey,
        subscription: SubscriptionId,
    ) {
        let expected = expected_tracks(&self.engine, now, key);
        let has_pictures = self.has_pictures(now, key);
        let Some(packager) = self.packagers.get_mut(key) else {
            return;
        };
        let before = packager.playlist.position();
        let wall = wall_micros();
        loop {
            match self.engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    let segmenter = &mut packager.segmenter;
                    let gathered = &mut packager.gathered;
                    warn_unfit(gathered.configure(now, track, config, wall, segmenter));
                }
                Next::Frame(frame) if has_pictures && packager.leaves_out(frame) => {}
                Next::Frame(frame) => {
                    let segmenter = &mut packager.segmenter;
                    warn_unfit(packager.gathered.take(now, frame, wall, segmenter));
                }
                // The segmenter sees the jump in the next frame.
                Next::Lagged { .. } | Next::Discontinuity { .. } => {}
                Next::Ended(_) => {
                    packager.release(now, wall);
                    packager.segmenter.end_segment();
                    packager.collect();
                    packager.playlist.end();
                    packager.subscription = None;
                    self.readers.remove(&subscription);
                    break;
                }
                _ => break,
            }
        }
        if packager.gathered.is_ready(now, expected) {
            packager.release(now, wall);
        }
        packager.collect();
        if packager.lacks_keyframe(now) {
            self.packagers_due = Some(now);
        }
        if packager.subscription.is_none() {
            self.engine.unsubscribe(now, subscription);
        }
        if packager.playlist.position() != before {
            self.report_rendition(key);
        }
        self.answer_parked(now, key);
    }

    /// Refuses who waited too long, and lets go of playlists that nobody asks for.
    pub(super) fn packagers_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        if self.packagers_due.is_some_and(|due| due > now) {
            return;
        }
        self.packagers_due = (!self.packagers.is_empty()).then(|| now + PACKAGER_TICK);
        let keys: Vec<StreamKey> = self.packagers.keys().cloned().collect();
        for key in &keys {
            if let Some(packager) = self.packagers.get_mut(key)
                && packager.gathered.is_due(now)
            {
                packager.release(now, wall_micros());
                packager.collect();
            }
            self.silence_rendition(now, key);
            self.answer_parked(now, key);
        }
        // Browsers send no keyframe unasked, and segments begin with one.
        let wanting = self
            .packagers
            .iter()
            .filter(|(_, packager)| packager.lacks_keyframe(now));
        let bases: HashSet<StreamKey> = wanting.map(|(key, _)| key.layer_base()).collect();
        for base in bases {
            self.request_renditions(now, rooms, &base);
        }
        let idle: Vec<StreamKey> = self
            .packagers
            .iter()
            .filter(|(key, packager)| {
                packager.parked.is_empty() && now >= self.asked_at(key, packager) + IDLE
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in idle {
            self.close_packager(now, &key);
        }
    }
}

impl Packager {
    /// Whether a frame is sound that has to wait for pictures: a rendition has the same tracks as its siblings.
    fn leaves_out(&mut self, frame: &Frame) -> bool {
        if frame.codec.kind() == MediaKind::Video {
            self.silent = false;
            return false;
        }
        self.shares && (self.silent || !self.gathered.has_pictures())
    }

    pub(super) fn fall_silent(&mut self) {
        self.silent = true;
        self.segmenter.end_segment();
        self.collect();
    }

    fn release(&mut self, now: Instant, wall: i64) {
        warn_unfit(self.gathered.release(now, wall, &mut self.segmenter));
    }

    fn collect(&mut self) {
        while let Some(output) = self.segmenter.poll_output() {
            self.playlist.push(&output);
        }
    }

    /// `None`: not yet.
    fn playlist(&mut self, query: Query, least: u64, waited: Duration) -> Option<LiveResponse> {
        // Players that know nothing of parts take a short list for an error.
        if query.msn.is_none() && !self.has_segments(least) && waited < INDEX_WAIT {
            return None;
        }
        match self.playlist.playlist(query, waited) {
            PlaylistAnswer::Ready(text) => Some(playlist(text)),
            PlaylistAnswer::Wait => None,
            PlaylistAnswer::BadRequest(why) => Some(problem(400, &why.to_string())),
            PlaylistAnswer::TimedOut => Some(late()),
        }
    }

    /// `None`: not yet.
    fn resource(&self, resource: Resource, waited: Duration) -> Option<LiveResponse> {
        match self.playlist.resource(resource, waited) {
            ResourceAnswer::Ready(pieces) => Some(media(&pieces)),
            ResourceAnswer::Wait => None,
            ResourceAnswer::NotFound => Some(not_found()),
            ResourceAnswer::TimedOut => Some(late()),
        }
    }

    /// Whether the segment that is being made has lasted long enough.
    fn lacks_keyframe(&self, now: Instant) -> bool {
        let at = self.gathered.keyframe_at();
        at.is_some_and(|at| now >= at + KEYFRAME_GRID) && self.subscription.is_some()
    }

    /// Whether so many complete segments are listed, or were.
    fn has_segments(&self, least: u64) -> bool {
        let position = self.playlist.position();
        position.is_some_and(|at| at.msn >= least) || self.playlist.is_ended()
    }
}

/// The frames go where those tracks are that do fit.
fn warn_unfit(fits: Result<(), MuxError>) {
    if let Err(error) = fits {
        tracing::warn!(%error, "a stream cannot be packaged");
    }
}

const MAX_PACKAGERS: usize = 10_000;
/// Requests that wait on one playlist.
const MAX_PARKED: usize = 10_000;
/// How long the first playlist of a stream may take to come.
pub(super) const INDEX_WAIT: Duration = Duration::from_secs(5);
/// How long after one keyframe the publisher is asked for the next, while somebody plays.
const KEYFRAME_GRID: Duration = Duration::from_millis(950);
/// A playlist that nobody has asked for that long is made no longer.
const IDLE: Duration = Duration::from_secs(30);
const PACKAGER_TICK: Duration = Duration::from_millis(100);
