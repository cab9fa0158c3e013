//! Cuts streams into the parts that playlists list, while somebody asks for them.

use std::time::{Duration, Instant};

use sluice_live::{
    AccessRequest, Action, AdmissionId, Next, Protocol, SubscribeOptions, SubscriptionId,
};
use sluice_media::{CodecConfig, Parameters, StreamKey};
use sluice_mux::hls::{
    MediaPlaylist, PlaylistAnswer, PlaylistOptions, ResourceAnswer, Variant, multivariant,
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
    run: String,
    subscription: Option<SubscriptionId>,
    segmenter: Segmenter,
    playlist: MediaPlaylist,
    gathered: Gathered,
    parked: Vec<Parked>,
    asked_at: Instant,
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

    pub(super) fn serve_hls(
        &mut self,
        now: Instant,
        key: &StreamKey,
        wanted: Wanted,
        reply: Reply,
    ) {
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
        match packager.answer(&wanted, Duration::ZERO) {
            Some(response) => say(reply, response),
            None if packager.parked.len() >= MAX_PARKED => {
                say(
                    reply,
                    problem(503, "too many requests wait").with("Retry-After", "1"),
                );
            }
            None => packager.parked.push(Parked {
                wanted,
                since: now,
                reply,
            }),
        }
    }

    fn open_packager(&mut self, now: Instant, key: &StreamKey) -> bool {
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
            parked: Vec::new(),
            asked_at: now,
        };
        self.packagers.insert(key.clone(), packager);
        self.packagers_due.get_or_insert(now + PACKAGER_TICK);
        let request = AccessRequest::new(key.clone(), Protocol::HLS);
        let asked = Asked::Packager(key.clone());
        if self.ask(now, Action::Play, request, asked, true).is_err() {
            self.packagers.remove(key);
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
        let Some(packager) = self.packagers.get_mut(key) else {
            return;
        };
        let wall = wall_micros();
        loop {
            match self.engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    let segmenter = &mut packager.segmenter;
                    let gathered = &mut packager.gathered;
                    warn_unfit(gathered.configure(now, track, config, wall, segmenter));
                }
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
        packager.answer_parked(now);
        if packager.lacks_keyframe(now) {
            self.packagers_due = Some(now);
        }
        if packager.subscription.is_none() {
            self.engine.unsubscribe(now, subscription);
        }
    }

    /// Refuses who waited too long, and lets go of playlists that nobody asks for.
    pub(super) fn packagers_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        if self.packagers_due.is_some_and(|due| due > now) {
            return;
        }
        self.packagers_due = (!self.packagers.is_empty()).then(|| now + PACKAGER_TICK);
        for packager in self.packagers.values_mut() {
            if packager.gathered.is_due(now) {
                packager.release(now, wall_micros());
                packager.collect();
            }
            packager.answer_parked(now);
        }
        // Browsers send no keyframe unasked, and segments begin with one.
        let wanting = self
            .packagers
            .iter()
            .filter(|(_, packager)| packager.lacks_keyframe(now));
        let sessions: Vec<_> = wanting
            .filter_map(|(key, _)| self.engine.stream(key)?.session())
            .collect();
        for session in sessions {
            self.request_keyframe(now, rooms, session);
        }
        let idle: Vec<StreamKey> = self
            .packagers
            .iter()
            .filter(|(_, packager)| now >= packager.asked_at + IDLE && packager.parked.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        for key in idle {
            self.close_packager(now, &key);
        }
    }
}

impl Packager {
    fn release(&mut self, now: Instant, wall: i64) {
        warn_unfit(self.gathered.release(now, wall, &mut self.segmenter));
    }

    fn collect(&mut self) {
        while let Some(output) = self.segmenter.poll_output() {
            self.playlist.push(&output);
        }
    }

    fn answer_parked(&mut self, now: Instant) {
        for parked in std::mem::take(&mut self.parked) {
            let waited = now.saturating_duration_since(parked.since);
            match self.answer(&parked.wanted, waited) {
                Some(response) => say(parked.reply, response),
                None => self.parked.push(parked),
            }
        }
    }

    /// `None`: not yet.
    fn answer(&mut self, what: &Wanted, waited: Duration) -> Option<LiveResponse> {
        let run = match what {
            Wanted::Index => return self.index(waited),
            Wanted::Playlist(run, _) | Wanted::Resource(run, _) => run,
        };
        if *run != self.run {
            return Some(not_found());
        }
        match what {
            Wanted::Index => None,
            // Players that know nothing of parts take an empty list for an error.
            Wanted::Playlist(_, query)
                if query.msn.is_none() && !self.has_segment() && waited < INDEX_WAIT =>
            {
                None
            }
            Wanted::Playlist(_, query) => match self.playlist.playlist(*query, waited) {
                PlaylistAnswer::Ready(text) => Some(playlist(text)),
                PlaylistAnswer::Wait => None,
                PlaylistAnswer::BadRequest(why) => Some(problem(400, &why.to_string())),
                PlaylistAnswer::TimedOut => Some(late()),
            },
            Wanted::Resource(_, resource) => match self.playlist.resource(*resource, waited) {
                ResourceAnswer::Ready(pieces) => Some(media(&pieces)),
                ResourceAnswer::Wait => None,
                ResourceAnswer::NotFound => Some(not_found()),
                ResourceAnswer::TimedOut => Some(late()),
            },
        }
    }

    /// Whether the segment that is being made has lasted long enough.
    fn lacks_keyframe(&self, now: Instant) -> bool {
        let at = self.gathered.keyframe_at();
        at.is_some_and(|at| now >= at + KEYFRAME_GRID) && self.subscription.is_some()
    }

    /// Whether a complete segment is listed.
    fn has_segment(&self) -> bool {
        let begun = self.playlist.position().is_some_and(|at| at.msn > 0);
        begun || self.playlist.is_ended()
    }

    fn index(&self, waited: Duration) -> Option<LiveResponse> {
        if self.playlist.position().is_none() {
            return (waited > INDEX_WAIT || self.playlist.is_ended()).then(late);
        }
        let codecs: Vec<String> = self
            .gathered
            .configs()
            .filter_map(CodecConfig::codec_string)
            .collect();
        let resolution = self.gathered.configs().find_map(|config| {
            let Parameters::Video(video) = config.parameters else {
                return None;
            };
            (video.width > 0).then_some((video.width, video.height))
        });
        let variant = Variant {
            uri: format!("{}/stream.m3u8", self.run),
            codecs: codecs.join(","),
            bandwidth: self.playlist.bandwidth(),
            resolution,
            frames_per_thousand_seconds: None,
            audio_group: None,
        };
        match multivariant(&[variant], &[]) {
            Ok(text) => Some(playlist(text)),
            Err(error) => {
                tracing::warn!(%error, "no multivariant playlist");
                Some(problem(500, "the stream cannot be listed"))
            }
        }
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
const INDEX_WAIT: Duration = Duration::from_secs(5);
/// How long after one keyframe the publisher is asked for the next, while somebody plays.
const KEYFRAME_GRID: Duration = Duration::from_millis(950);
/// A playlist that nobody has asked for that long is made no longer.
const IDLE: Duration = Duration::from_secs(30);
const PACKAGER_TICK: Duration = Duration::from_millis(100);
