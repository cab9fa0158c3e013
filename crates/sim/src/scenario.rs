//! From a seed to a room, a network and a script, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_sfu::{ClientOptions, PreferredLayers, SubscribeOptions, SubscriptionState, TrackId};
use str0m::media::{KeyframeRequestKind, Mid};

use crate::encoder::Format;
use crate::network::{Loss, Profile, Rate};
use crate::oracle::Violation;
use crate::rng::Rng;
use crate::world::{Peer, World};

/// What came out of one run.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// What was done, in order.
    pub script: Vec<String>,
    /// Frames shown by all browsers.
    pub frames: u64,
    /// Packets received by all browsers.
    pub packets: u64,
    /// The same for the same seed, if chance is all seeded.
    pub trace: u64,
    /// The room's measurements at the end.
    pub state: String,
}

/// Runs one seed from beginning to end.
pub fn run_seed(seed: u64) -> Report {
    let mut scenario = Scenario::new(seed);
    scenario.run();
    let Scenario {
        mut world, script, ..
    } = scenario;
    let frames = world.peers.iter().map(|p| p.browser.frames()).sum();
    let packets = world.peers.iter().map(|p| p.browser.arrivals.len() as u64);
    let packets = packets.sum();
    let trace = world.peers.iter().fold(seed, |hash, peer| {
        let arrivals = peer.browser.arrivals.iter();
        arrivals.fold(hash, |hash, a| {
            let at = u64::try_from((a.at - world.origin).as_nanos()).unwrap_or_default();
            (hash ^ at ^ a.stamp.map_or(0, |s| u64::from(s.packet) << 32))
                .wrapping_mul(0x100_0000_01b3)
        })
    });
    let state = format!(
        "{:#?}\n{:#?}",
        world.registry.counters(),
        world.registry.stats(world.now)
    );
    world.close();
    world.judge();
    Report {
        seed,
        violations: world.violations,
        script,
        frames,
        packets,
        trace,
        state,
    }
}

struct Scenario {
    world: World,
    rng: Rng,
    script: Vec<String>,
    kind: u64,
    later: Vec<(Duration, Undo)>,
    unsubscribed: Vec<(usize, TrackId)>,
}

#[derive(Debug, Clone, Copy)]
enum Undo {
    Unmute(usize, usize),
    Unsilence(usize, usize, usize),
    Resume(usize, TrackId),
    Subscribe(usize, TrackId),
    Activate(usize, usize),
    Light(usize),
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = World::with_options(seed, |options| {
            options.idle_timeout = Duration::from_secs(5);
            options.disconnect_timeout = Duration::from_secs(5);
            options.connect_timeout = Duration::from_secs(12);
        });
        if rng.chance(0.5) {
            world.batch = Duration::from_micros(rng.range(200, 4000));
        }
        let kind = rng.range(0, 7);
        Self {
            world,
            rng,
            script: Vec::new(),
            kind,
            later: Vec::new(),
            unsubscribed: Vec::new(),
        }
    }

    fn run(&mut self) {
        let peers = self.rng.range(2, 6);
        for _ in 0..peers {
            self.join();
            let wait = self.rng.range(0, 400);
            self.pass(Duration::from_millis(wait));
        }
        let actions = self.rng.range(4, 14);
        for _ in 0..actions {
            let wait = self.rng.range(20, 700);
            self.pass(Duration::from_millis(wait));
            self.act();
        }
        for (_, undo) in std::mem::take(&mut self.later) {
            self.undo(undo);
        }
        let (kind, batch) = (self.kind, self.world.batch);
        self.note(format!("settle, network {kind}, batches of {batch:?}"));
        self.pass(SETTLE);
        self.settle();
        // What is on its way arrives, or would pass for left out.
        for peer in &mut self.world.peers {
            for track in &mut peer.browser.tracks {
                track.muted = true;
            }
        }
        self.pass(Duration::from_millis(500));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.world.elapsed() + time;
        loop {
            let now = self.world.elapsed();
            self.later.sort_by_key(|(at, _)| *at);
            let next = self.later.first().map(|(at, _)| *at).filter(|at| *at < end);
            self.world.run_for(next.unwrap_or(end).saturating_sub(now));
            if next.is_none() {
                return;
            }
            let (_, undo) = self.later.remove(0);
            self.undo(undo);
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        let at = self.world.elapsed();
        self.script.push(format!("{at:?} {}", what.into()));
    }

    fn profile(&mut self) -> Profile {
        let rng = &mut self.rng;
        let mut profile = Profile {
            delay: Duration::from_millis(rng.range(0, 60)),
            ..Profile::default()
        };
        match self.kind {
            0 => profile.delay = Duration::ZERO,
            1 => {}
            2 => profile.loss = Loss::Random(rng.unit() * 0.05),
            3 => {
                profile.loss = Loss::Burst {
                    enter: 0.01,
                    leave: 0.3,
                }
            }
            4 => {
                profile.jitter = Duration::from_millis(rng.range(1, 20));
                profile.reorder = rng.unit() * 0.1;
                profile.reorder_by = Duration::from_millis(rng.range(1, 30));
                profile.duplicate = rng.unit() * 0.05;
            }
            LOSSIEST => {
                profile.loss = Loss::Random(rng.unit() * 0.1);
                profile.jitter = Duration::from_millis(rng.range(1, 10));
                profile.reorder = 0.02;
                profile.reorder_by = Duration::from_millis(10);
            }
            _ => {
                profile.rate = Some(Rate {
                    bits_per_second: rng.range(6_000_000, 12_000_000),
                    queue_bytes: 200_000,
                });
            }
        }
        profile
    }

    fn join(&mut self) {
        let (up, down) = (self.profile(), self.profile());
        let peer = self.world.join(ClientOptions::default(), up, down);
        let rng = &mut self.rng;
        let audio = rng.chance(0.7);
        let video = !audio || rng.chance(0.85);
        let browser = &mut self.world.peers[peer].browser;
        browser.trickle = rng.chance(0.3);
        if audio {
            browser.add_track(Format::Opus, &[], 0);
        }
        let mut described = format!("{peer} joins");
        if video {
            let format = *rng.pick(&[
                Format::Vp8(1),
                Format::Vp8(3),
                Format::Vp9(1),
                Format::Vp9(3),
                Format::H264,
                Format::Av1,
            ]);
            let rids = *rng.pick::<&[&str]>(&[&[], &["q", "h", "f"], &["lo", "hi"]]);
            let rate = *rng.pick(&[8, 12, 15]);
            let bytes = rng.range(800, 4000);
            browser.add_sized_track(format, rids, rate, bytes);
            described = format!("{described} with {format:?} {rids:?} at {rate}");
        }
        self.note(described);
        self.world.negotiate(peer);
    }

    /// One action. What it draws does not shift what later ones draw: a room that differs by a millisecond is
    /// still given the same script.
    fn act(&mut self) {
        let next = self.rng.fork();
        self.act_now();
        self.rng = next;
    }

    fn act_now(&mut self) {
        let present: Vec<usize> = (0..self.world.peers.len())
            .filter(|p| self.world.is_present(*p) && !self.world.peers[*p].browser.closed)
            .collect();
        if present.len() < 2 {
            return self.join();
        }
        let peer = *self.rng.pick(&present);
        let back = self.world.elapsed() + Duration::from_millis(self.rng.range(50, 1500));
        match self.rng.range(0, 19) {
            0 if present.len() < 6 => self.join(),
            1 => self.leave(peer),
            2 => {
                if let Some(track) = self.any_track(peer) {
                    self.note(format!("{peer} mutes {track}"));
                    self.world.peers[peer].browser.tracks[track].muted = true;
                    self.later.push((back, Undo::Unmute(peer, track)));
                }
            }
            3 | 4 => self.silence(peer, back),
            5 | 6 => {
                if let Some(track) = self.any_subscription(peer) {
                    self.note(format!("{peer} pauses {track}"));
                    let id = self.world.peers[peer].id;
                    let _ = self
                        .world
                        .with_registry(|r, now, out| r.set_paused(now, id, track, true, out));
                    self.later.push((back, Undo::Resume(peer, track)));
                }
            }
            7..=9 => self.prefer(peer),
            10 => {
                if let Some(track) = self.any_subscription(peer) {
                    self.note(format!("{peer} unsubscribes {track}"));
                    let id = self.world.peers[peer].id;
                    let _ = self
                        .world
                        .with_registry(|r, now, out| r.unsubscribe(now, id, track, out));
                    self.unsubscribed.push((peer, track));
                    self.later.push((back, Undo::Subscribe(peer, track)));
                }
            }
            11 => {
                if let Some(track) = self.any_track(peer) {
                    self.note(format!("{peer} stops {track}"));
                    self.world.peers[peer].browser.set_inactive(track, true);
                    self.world.negotiate(peer);
                    self.later.push((back, Undo::Activate(peer, track)));
                }
            }
            12 => {
                self.note(format!("{peer} restarts ICE"));
                self.world.peers[peer].browser.restart_ice();
                self.world.negotiate(peer);
            }
            13 => {
                self.note(format!("the server restarts ICE of {peer}"));
                let id = self.world.peers[peer].id;
                let _ = self
                    .world
                    .with_registry(|r, now, out| r.restart_ice(now, id, out));
            }
            14 => self.glare(&present),
            15 => self.hostile(peer),
            16 => {
                self.note(format!("{peer} storms with keyframe requests"));
                let mids: Vec<Mid> = self.world.peers[peer]
                    .browser
                    .decoders
                    .keys()
                    .copied()
                    .collect();
                for mid in mids {
                    let kind = *self
                        .rng
                        .pick(&[KeyframeRequestKind::Pli, KeyframeRequestKind::Fir]);
                    self.world
                        .with_browser(peer, |b, now| b.ask_keyframe(now, mid, kind));
                }
            }
            17 => {
                self.note(format!("{peer} in the dark"));
                self.world.peers[peer].up.blackhole(true);
                self.world.peers[peer].down.blackhole(true);
                self.later.push((back, Undo::Light(peer)));
            }
            _ => {
                let most = self
                    .rng
                    .chance(0.7)
                    .then(|| self.rng.range(100_000, 2_000_000));
                self.note(format!("{peer} bounded to {most:?}"));
                let id = self.world.peers[peer].id;
                let _ = self
                    .world
                    .with_registry(|r, now, out| r.set_max_outgoing_bitrate(now, id, most, out));
            }
        }
    }

    fn leave(&mut self, peer: usize) {
        match self.rng.range(0, 3) {
            0 => {
                self.note(format!("{peer} leaves"));
                self.world
                    .with_browser(peer, crate::browser::Browser::leave);
            }
            1 => {
                self.note(format!("{peer} vanishes"));
                self.world.peers[peer].browser.closed = true;
            }
            _ => {
                self.note(format!("{peer} is closed"));
                let _ = self.world.close_client(peer);
            }
        }
    }

    fn silence(&mut self, peer: usize, back: Duration) {
        let Some(track) = self.any_track(peer) else {
            return;
        };
        let count = self.world.peers[peer].browser.tracks[track].layers.len();
        let layer = usize::try_from(self.rng.range(0, count as u64)).unwrap_or_default();
        self.note(format!("{peer} silences layer {layer} of {track}"));
        self.world.peers[peer].browser.tracks[track].layers[layer].silent = true;
        self.later.push((back, Undo::Unsilence(peer, track, layer)));
    }

    fn prefer(&mut self, peer: usize) {
        let Some(track) = self.any_subscription(peer) else {
            return;
        };
        let rng = &mut self.rng;
        let mut layers = PreferredLayers::default();
        if rng.chance(0.6) {
            let rid = *rng.pick::<&str>(&["q", "h", "f", "lo", "hi", "none"]);
            layers.rid = Some(rid.to_owned());
        } else if rng.chance(0.5) {
            layers.spatial = Some(u8::try_from(rng.range(0, 4)).unwrap_or_default());
        }
        if rng.chance(0.4) {
            layers.temporal = Some(u8::try_from(rng.range(0, 3)).unwrap_or_default());
        }
        let id = self.world.peers[peer].id;
        self.note(format!("{peer} prefers {layers:?} of {track}"));
        let _ = self
            .world
            .with_registry(|r, now, out| r.set_preferred_layers(now, id, track, layers, out));
    }

    /// Two clients add tracks and so does each other's server side, all at once.
    fn glare(&mut self, present: &[usize]) {
        self.note("glare");
        for peer in present.iter().take(2) {
            let room = self.world.peers[*peer].browser.tracks.len() < 4;
            if room {
                self.world.peers[*peer]
                    .browser
                    .add_track(Format::Vp8(1), &[], 5);
            } else {
                self.world.peers[*peer].browser.restart_ice();
            }
        }
        for peer in present.iter().take(2) {
            self.world.negotiate(*peer);
        }
    }

    fn hostile(&mut self, peer: usize) {
        self.note(format!("junk, also from {peer}'s address"));
        let own = self.world.peers[peer].browser.address;
        let stranger = SocketAddr::from(([192, 0, 2, 1], 9));
        for _ in 0..40 {
            let source = *self.rng.pick(&[own, stranger]);
            let last = self.world.peers[peer].browser.last_datagram();
            let mut bytes = match last {
                Some(last) if self.rng.chance(0.6) => last.to_vec(),
                _ => {
                    let length = self.rng.range(0, 200);
                    (0..length)
                        .map(|_| u8::try_from(self.rng.range(0, 256)).unwrap_or_default())
                        .collect()
                }
            };
            if self.rng.chance(0.5) && !bytes.is_empty() {
                let at = usize::try_from(self.rng.range(0, bytes.len() as u64)).unwrap_or_default();
                bytes[at] ^= 1 << self.rng.range(0, 8);
            }
            if self.rng.chance(0.3) {
                let keep = self.rng.range(0, bytes.len() as u64 + 1);
                bytes.truncate(usize::try_from(keep).unwrap_or_default());
            }
            // SRTCP and DTLS too: all that a first byte can mean.
            if self.rng.chance(0.1) && bytes.len() > 1 {
                bytes[1] = u8::try_from(self.rng.range(192, 224)).unwrap_or_default();
            }
            self.world.inject(source, bytes);
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Unmute(peer, track) => {
                self.world.peers[peer].browser.tracks[track].muted = false;
            }
            Undo::Unsilence(peer, track, layer) => {
                self.world.peers[peer].browser.tracks[track].layers[layer].silent = false;
            }
            Undo::Resume(peer, track) => {
                let id = self.world.peers[peer].id;
                let _ = self
                    .world
                    .with_registry(|r, now, out| r.set_paused(now, id, track, false, out));
            }
            Undo::Subscribe(peer, track) => {
                let id = self.world.peers[peer].id;
                let _ = self.world.with_registry(|r, now, out| {
                    r.subscribe(now, id, track, SubscribeOptions::default(), out)
                });
                self.unsubscribed.retain(|u| *u != (peer, track));
            }
            Undo::Activate(peer, track) => {
                self.world.peers[peer].browser.set_inactive(track, false);
                self.world.negotiate(peer);
            }
            Undo::Light(peer) => {
                self.world.peers[peer].up.blackhole(false);
                self.world.peers[peer].down.blackhole(false);
            }
        }
        self.note(format!("{undo:?}"));
    }

    /// How a peer's datagrams fared.
    fn way(&self, peer: usize) -> String {
        let Peer { up, down, .. } = &self.world.peers[peer];
        let into = self.world.stats(peer).map_or(0, |stats| stats.bytes_in);
        let strangers = self.world.strangers;
        format!(
            "of {} up {} were lost and {into} bytes taken, of {} down {} were lost, {strangers} strangers",
            up.sent, up.lost, down.sent, down.lost
        )
    }

    fn any_track(&mut self, peer: usize) -> Option<usize> {
        let count = self.world.peers[peer].browser.tracks.len() as u64;
        (count > 0).then(|| usize::try_from(self.rng.range(0, count)).unwrap_or_default())
    }

    fn any_subscription(&mut self, peer: usize) -> Option<TrackId> {
        let all = &self.world.peers[peer].subscriptions;
        (!all.is_empty()).then(|| self.rng.pick(all).track_id)
    }

    /// Everyone who can get something gets it.
    /// Everything lives after [`SETTLE`]; where datagrams get lost, a handshake may need some more tries.
    fn settle(&mut self) {
        let patience = match self.kind {
            2 | 3 | LOSSIEST => LOSSY_SETTLE,
            _ => SETTLE,
        };
        let (mut dead, mut waited) = (self.dead(), SETTLE);
        while !dead.is_empty() && waited < patience {
            self.pass(Duration::from_secs(1));
            waited += Duration::from_secs(1);
            dead = self.dead();
        }
        for what in dead {
            self.world.find(|| what);
        }
    }

    /// What ought to flow and does not.
    fn dead(&self) -> Vec<String> {
        let now = self.world.now;
        let mut found = Vec::new();
        for (index, peer) in self.world.peers.iter().enumerate() {
            if !self.world.is_present(index) || peer.browser.closed {
                continue;
            }
            if !peer.browser.connected || peer.connects != 1 {
                found.push(format!(
                    "peer {index} connected {} times, itself {}, {}",
                    peer.connects,
                    peer.browser.connected,
                    self.way(index)
                ));
                continue;
            }
            for subscription in &peer.subscriptions {
                let (track, source) = (subscription.track_id, subscription.source_client_id);
                let Some(publisher) = self.world.peers.iter().position(|p| p.id == source) else {
                    continue;
                };
                let Some(stats) = self.world.stats(publisher) else {
                    continue;
                };
                let sends = stats.tracks.iter().find(|t| t.track.id == track);
                let sends = sends.is_some_and(|t| {
                    let browser = &self.world.peers[publisher].browser;
                    browser.is_sending(&t.track.mid) && !browser.closed && browser.connected
                });
                match (&subscription.state, &subscription.mid) {
                    (SubscriptionState::Active, Some(mid)) if sends => {
                        let shown = peer.browser.decoder(mid).and_then(|d| d.shown);
                        if shown.is_none_or(|at| now - at > LIVE) {
                            let ago = shown.map(|at| now - at);
                            found.push(format!(
                                "peer {index} sees nothing of {track} of peer {publisher} in {mid}, last {ago:?} ago, {}",
                                self.way(publisher)
                            ));
                        }
                    }
                    (SubscriptionState::Waiting, _) => {
                        let kind = subscription.kind;
                        let cap = if kind == sluice_sfu::MediaKind::Audio {
                            4
                        } else {
                            8
                        };
                        let active = peer.subscriptions.iter();
                        let active = active.filter(|s| s.kind == kind && s.mid.is_some()).count();
                        if active < cap {
                            found.push(format!(
                                "peer {index} waits for {track} with {active} slots in use"
                            ));
                        }
                    }
                    _ => {}
                }
            }
            for (other, publisher) in self.world.peers.iter().enumerate() {
                if other == index || !self.world.is_present(other) || publisher.browser.closed {
                    continue;
                }
                for track in self.world.published(other) {
                    let wished = peer.subscriptions.iter().any(|s| s.track_id == track);
                    if !wished && !self.unsubscribed.contains(&(index, track)) {
                        found.push(format!("peer {index} was never given {track}"));
                    }
                }
                let sent = publisher
                    .browser
                    .tracks
                    .iter()
                    .filter(|t| !t.inactive)
                    .count();
                let known = self.world.published(other).len();
                if sent != known {
                    found.push(format!(
                        "peer {other} has {sent} tracks, the room knows {known}"
                    ));
                }
            }
        }
        found
    }
}

/// The kind of network that loses up to a tenth of everything, both ways.
const LOSSIEST: u64 = 5;
/// After the last disturbance: time for two rounds of lost DTLS flights, then for a keyframe.
const SETTLE: Duration = Duration::from_secs(6);
/// Lost flights are sent again after 1, 2, 4, 8 s; whoever needs longer is closed by then.
const LOSSY_SETTLE: Duration = Duration::from_secs(20);
/// A subscriber sees a new frame within this time.
const LIVE: Duration = Duration::from_secs(2);
