//! Rooms of real clients over a simulated network: two hundred seeds, and facts by name.
//!
//! More seeds: `cargo run -p sluice-sim --release --example seeds -- 10000`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_sfu::{
    ClientOptions, CloseReason, PreferredLayers, Propagated, Role, SfuError, TrackId,
};
use str0m::Rtc;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind};

use sluice_sim::{Format, Loss, Profile, Rate, Rng, Signal, World, run_seed};

/// Runs them on two threads; a seed that fails becomes a test of its own.
#[test]
fn two_hundred_seeds() {
    let next = AtomicU64::new(0);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= 200 {
                            return failures;
                        }
                        let report = run_seed(seed);
                        if !report.violations.is_empty() {
                            let (script, found) = (report.script.join("\n"), report.violations);
                            failures.push(format!("seed {seed}\n{script}\n{found:#?}"));
                        }
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|t| t.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn late_joiner_starts_on_a_keyframe() {
    for format in [Format::Vp8(1), Format::Vp9(1), Format::H264, Format::Av1] {
        let mut world = World::new(1);
        publisher(&mut world, format, &["q", "h", "f"]);
        world.run_for(s(3));
        let late = viewer(&mut world);
        let joined = world.now;
        assert!(
            world.run_until(s(3), |w| w.peers[late].browser.frames() > 0),
            "{format:?}"
        );
        let first = world.peers[late].browser.arrivals[0].stamp.unwrap();
        assert!(first.keyframe && first.index == 0, "{format:?} {first:?}");
        assert!(
            world.now - joined < s(1),
            "{format:?}: {:?}",
            world.now - joined
        );
        clean(world);
    }
}

#[test]
fn fifty_plis_make_one() {
    let mut world = World::new(2);
    let source = publisher(&mut world, Format::Vp8(1), &[]);
    let viewers: Vec<usize> = (0..10).map(|_| viewer(&mut world)).collect();
    world.run_for(s(4));
    let before = world.registry.counters();
    let asked = world.peers[source].browser.keyframe_requests.len();
    for _ in 0..5 {
        for viewer in &viewers {
            let mids: Vec<_> = world.peers[*viewer]
                .browser
                .decoders
                .keys()
                .copied()
                .collect();
            for mid in mids {
                let kind = str0m::media::KeyframeRequestKind::Pli;
                world.with_browser(*viewer, |b, now| b.ask_keyframe(now, mid, kind));
            }
        }
        world.run_for(ms(150));
    }
    let after = world.registry.counters();
    assert_eq!(after.pli_in - before.pli_in, 50);
    assert_eq!(after.pli_out - before.pli_out, 1);
    assert_eq!(
        world.peers[source].browser.keyframe_requests.len() - asked,
        1
    );
    clean(world);
}

#[test]
fn a_silent_layer_is_left_within_a_second() {
    let mut world = World::new(3);
    let source = publisher(&mut world, Format::Vp8(1), &["q", "h", "f"]);
    let viewer = viewer(&mut world);
    assert!(world.run_until(s(5), |w| size(w, viewer) == Some((1280, 704))));
    world.run_for(s(1));
    world.peers[source].browser.tracks[0].layers[2].silent = true;
    let silenced = world.now;
    assert!(world.run_until(s(1), |w| size(w, viewer) == Some((640, 352))));
    assert!(world.now - silenced < s(1));
    world.peers[source].browser.tracks[0].layers[2].silent = false;
    assert!(
        world.run_until(s(5), |w| size(w, viewer) == Some((1280, 704))),
        "and back"
    );
    clean(world);
}

#[test]
fn a_switch_lands_on_a_keyframe_and_leaves_no_gap() {
    for format in [Format::Vp8(3), Format::Vp9(3), Format::H264, Format::Av1] {
        let mut world = World::new(4);
        let source = publisher(&mut world, format, &["q", "h", "f"]);
        let viewer = viewer(&mut world);
        world.run_for(s(2));
        let track = world.published(source)[0];
        for (rid, width) in [("q", 320), ("f", 1280), ("h", 640), ("q", 320), ("h", 640)] {
            prefer(&mut world, viewer, track, rid);
            let is = |w: &World| size(w, viewer).is_some_and(|(w, _)| w == width);
            assert!(world.run_until(ms(1500), is), "{format:?} to {rid}");
        }
        let decoder = world.peers[viewer]
            .browser
            .decoders
            .values()
            .next()
            .unwrap();
        assert!(
            decoder.longest_freeze < ms(500),
            "{format:?} {:?}",
            decoder.longest_freeze
        );
        // Of a perfect network nothing may be missing at all.
        let arrivals = &world.peers[viewer].browser.arrivals;
        let gapless = arrivals
            .windows(2)
            .all(|pair| pair[1].seq == pair[0].seq + 1);
        assert!(gapless, "{format:?}");
        clean(world);
    }
}

#[test]
fn an_audio_joiner_starts_with_the_newest_packet() {
    let mut world = World::new(12);
    let late = Profile {
        reorder: 0.3,
        reorder_by: ms(400),
        ..Profile::default()
    };
    let talker = world.join(ClientOptions::default(), late, Profile::default());
    world.peers[talker].browser.add_track(Format::Opus, &[], 0);
    world.negotiate(talker);
    let listener = viewer(&mut world);
    world.run_for(s(3));
    let (id, track) = (world.peers[listener].id, world.published(talker)[0]);
    for _ in 0..40 {
        for paused in [true, false] {
            world
                .with_registry(|r, now, out| r.set_paused(now, id, track, paused, out))
                .unwrap();
            world.run_for(ms(130));
        }
    }
    assert!(world.peers[listener].browser.arrivals.len() > 200);
    clean(world);
}

#[test]
fn a_temporal_bound_begins_with_a_frame() {
    let mut world = World::new(15);
    let shuffled = Profile {
        jitter: ms(4),
        reorder: 0.3,
        reorder_by: ms(12),
        ..Profile::default()
    };
    let source = world.join(ClientOptions::default(), shuffled, Profile::default());
    let browser = &mut world.peers[source].browser;
    browser.add_sized_track(Format::Vp9(3), &[], 30, 9000);
    world.negotiate(source);
    let watcher = viewer(&mut world);
    world.run_for(s(3));
    let (id, track) = (world.peers[watcher].id, world.published(source)[0]);
    for turn in 0..400 {
        let layers = PreferredLayers {
            temporal: (turn % 2 == 0).then_some(0),
            ..PreferredLayers::default()
        };
        world
            .with_registry(|r, now, out| r.set_preferred_layers(now, id, track, layers, out))
            .unwrap();
        world.run_for(ms(37));
    }
    assert!(world.peers[watcher].browser.frames() > 100);
    clean(world);
}

#[test]
fn a_forged_ssrc_takes_no_stream_over() {
    let mut world = World::new(13);
    let source = publisher(&mut world, Format::Opus, &[]);
    let watcher = viewer(&mut world);
    // One of its first, from before the first receiver report: it still names its line.
    let sent = |w: &World| w.peers[source].browser.last_datagram().is_some();
    assert!(world.run_until(s(3), sent));
    let early = world.peers[source]
        .browser
        .last_datagram()
        .unwrap()
        .to_vec();
    world.run_for(s(3));
    let before = world.peers[watcher].browser.frames();
    let address = world.peers[source].browser.address;
    for bit in 0..8 {
        let mut forged = early.clone();
        forged[8] ^= 1 << bit;
        world.inject(address, forged);
        world.run_for(ms(100));
    }
    world.run_for(s(2));
    let shown = world.peers[watcher].browser.frames() - before;
    assert!(shown > 130, "{shown} frames in 2.8 s at 50 a second");
    clean(world);
}

#[test]
fn a_publisher_may_change_its_ssrc() {
    for format in [Format::Opus, Format::Vp8(3), Format::Vp9(1), Format::H264] {
        let mut world = World::new(14);
        let source = publisher(&mut world, format, &[]);
        let watcher = viewer(&mut world);
        world.run_for(s(3));
        let before = world.peers[watcher].browser.frames();
        world.peers[source].browser.replace_encoder(0);
        world.run_for(s(3));
        let shown = world.peers[watcher].browser.frames() - before;
        assert!(shown > 30, "{format:?}: {shown} frames in 3 s");
        clean(world);
    }
}

#[test]
fn an_idle_slot_keeps_its_ssrc() {
    let mut world = World::new(16);
    let peer = world.join(receive_only(), Profile::default(), Profile::default());
    let id = world.peers[peer].id;
    let mut page = Rtc::builder().build(world.now);
    let mut ssrcs = |kind| {
        let mut api = page.sdp_api();
        for _ in 0..3 {
            api.add_media(kind, Direction::RecvOnly, None, None, None);
        }
        let (offer, pending) = api.apply().unwrap();
        let offer = offer.to_sdp_string();
        let answer = world
            .with_registry(|r, now, out| r.accept_offer(now, id, &offer, out))
            .unwrap();
        let parsed = SdpAnswer::from_sdp_string(&answer).unwrap();
        page.sdp_api().accept_answer(pending, parsed).unwrap();
        let lines = answer.lines().filter(|line| line.starts_with("a=ssrc"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = ssrcs(MediaKind::Video);
    let second = ssrcs(MediaKind::Audio);
    assert!(
        first.len() >= 9,
        "SSRC, its repair and their group, thrice: {first:?}"
    );
    assert!(second.starts_with(&first), "{first:?} then {second:?}");
    assert!(second.len() > first.len());
}

#[test]
fn glare_never_deadlocks() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let a = publisher(&mut world, Format::Vp8(1), &[]);
        let b = publisher(&mut world, Format::Vp9(1), &[]);
        for round in 0..4 {
            for peer in [a, b] {
                world.peers[peer].browser.add_track(Format::H264, &[], 5);
                world.negotiate(peer);
                if round % 2 == 1 {
                    world.run_for(ms(seed * 7));
                }
            }
            world.run_for(ms(100 + seed * 11));
        }
        world.run_for(s(3));
        for peer in [a, b] {
            let active = world.peers[peer]
                .subscriptions
                .iter()
                .filter(|s| s.mid.is_some());
            assert_eq!(
                active.count(),
                5,
                "seed {seed}: all tracks of the other play"
            );
            for decoder in world.peers[peer].browser.decoders.values() {
                assert!(world.now - decoder.shown.unwrap() < ms(500), "seed {seed}");
            }
            assert_eq!(world.peers[peer].browser.decoders.len(), 5);
        }
        clean(world);
    }
}

#[test]
fn an_idle_client_wakes_its_shard_less_than_fifty_times_a_second() {
    let mut world = World::new(6);
    let peers = [(); 3].map(|()| publisher(&mut world, Format::Vp8(1), &["q", "h", "f"]));
    for peer in peers {
        // Round trip 0: the delay controller would be due again at once, for ever.
        world.peers[peer].signal_delay = Duration::ZERO;
    }
    world.run_for(s(3));
    for peer in peers {
        assert!(world.peers[peer].browser.frames() > 0);
        world.peers[peer].browser.tracks[0].muted = true;
    }
    world.run_for(s(3));
    let before = peers.map(|peer| world.peers[peer].wakeups);
    world.run_for(s(10));
    for (peer, before) in peers.into_iter().zip(before) {
        let woken = (world.peers[peer].wakeups - before) / 10;
        assert!(woken < 50, "{woken} a second");
    }
    clean(world);
}

#[test]
fn closing_is_told_exactly_once() {
    let mut world = World::with_options(7, |o| {
        o.idle_timeout = s(3);
        o.connect_timeout = s(4);
    });
    let ways = [(); 6].map(|()| publisher(&mut world, Format::Vp8(1), &[]));
    let never = world.join(
        ClientOptions::default(),
        Profile::default(),
        Profile::default(),
    );
    world.peers[never].browser.closed = true;
    world.run_for(s(2));
    let [leaves, vanishes, closed, twice, cut, stays] = ways;
    world.with_browser(leaves, sluice_sim::Browser::leave);
    world.peers[vanishes].browser.closed = true;
    world.close_client(closed).unwrap();
    world.close_client(twice).unwrap();
    assert_eq!(world.close_client(twice), Err(SfuError::ClientClosed));
    world.peers[cut].up.blackhole(true);
    world.run_for(s(8));
    let reason = |w: &World, peer: usize| w.peers[peer].disconnects.clone();
    assert_eq!(reason(&world, leaves), [CloseReason::Peer]);
    assert_eq!(reason(&world, vanishes), [CloseReason::Timeout]);
    assert_eq!(reason(&world, cut), [CloseReason::Timeout]);
    assert!(matches!(
        reason(&world, closed)[..],
        [CloseReason::Application(_)]
    ));
    assert!(matches!(
        reason(&world, twice)[..],
        [CloseReason::Application(_)]
    ));
    assert_eq!(reason(&world, never), [CloseReason::Ice], "never connected");
    assert_eq!(reason(&world, stays), []);
    world.close();
    assert_eq!(reason(&world, stays), [CloseReason::RegistryClosed]);
    assert!(world.peers.iter().all(|peer| peer.disconnects.len() == 1));
    let last = world.events.last().map(|(_, event)| event);
    assert!(matches!(last, Some(Propagated::Close { .. })));
    assert!(world.violations.is_empty(), "{:?}", world.violations);
}

#[test]
fn twenty_join_leave_cycles_do_not_grow_m_lines() {
    let mut world = World::new(8);
    let stays = publisher(&mut world, Format::Vp8(1), &[]);
    let mut lines = Vec::new();
    for _ in 0..20 {
        let guest = publisher(&mut world, Format::Vp8(1), &[]);
        assert!(
            world.run_until(s(3), |w| {
                let latest = w.peers[stays]
                    .browser
                    .decoders
                    .values()
                    .filter_map(|d| d.shown)
                    .max();
                latest.is_some_and(|at| w.now - at < ms(50)) && w.peers[guest].browser.frames() > 0
            }),
            "cycle {}",
            lines.len()
        );
        lines.push(world.stats(stays).unwrap().media_lines);
        world.close_client(guest).unwrap();
        world.run_for(ms(300));
    }
    assert!(lines.iter().all(|n| *n == lines[0]), "{lines:?}");
    clean(world);
}

#[test]
fn estimate_rises_from_cold() {
    let mut world = World::new(9);
    let link = Profile {
        delay: ms(20),
        rate: Some(Rate {
            bits_per_second: 3_000_000,
            queue_bytes: 150_000,
        }),
        ..Profile::default()
    };
    let source = world.join(
        ClientOptions::default(),
        Profile::default(),
        Profile::default(),
    );
    // 1.8 Mbit/s at the top, a quarter of it at each step down.
    let rids = ["q", "h", "f"];
    world.peers[source]
        .browser
        .add_sized_track(Format::Vp8(1), &rids, 30, 7500);
    world.negotiate(source);
    world.run_for(s(2));
    let viewer = world.join(receive_only(), Profile::default(), link);
    world.peers[viewer].browser.add_track(Format::Opus, &[], 0);
    world.negotiate(viewer);
    let top = world.run_until(s(10), |w| size(w, viewer) == Some((1280, 704)));
    let estimate = world.stats(viewer).unwrap().available_outgoing_bitrate;
    assert!(top, "estimate {estimate:?}");
    world.run_for(s(5));
    assert_eq!(size(&world, viewer), Some((1280, 704)), "and stays");
    clean(world);
}

#[test]
fn a_disconnect_frees_everything() {
    let mut world = World::with_options(10, |o| o.idle_timeout = s(2));
    for round in 0..3 {
        let peers = [(); 4].map(|()| publisher(&mut world, Format::Vp8(1), &["q", "h", "f"]));
        world.run_for(s(2));
        assert!(world.router.addresses() >= 4, "round {round}");
        for peer in peers {
            world.peers[peer].browser.closed = true;
        }
        world.run_for(s(4));
        assert!(world.registry.is_empty());
        assert!(world.registry.stats(world.now).is_empty());
        assert_eq!(world.registry.next_tick(), None);
        assert_eq!(world.router.addresses(), 0);
        let opened = world
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Propagated::TrackOpen { .. }));
        let closed = world
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Propagated::TrackClose { .. }));
        assert_eq!(opened.count(), closed.count());
    }
    clean(world);
}

#[test]
fn bad_sdp_leaves_the_client_as_it_was() {
    let mut world = World::new(11);
    let a = publisher(&mut world, Format::Vp8(1), &[]);
    let b = publisher(&mut world, Format::Vp8(1), &[]);
    world.run_for(s(2));
    let id = world.peers[a].id;
    for bad in [
        "",
        "v=0",
        "v=0\r\n",
        "junk",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
    ] {
        let before = format!("{:?}", world.stats(a).unwrap());
        let refused = world.with_registry(|r, now, out| r.accept_offer(now, id, bad, out));
        assert!(
            matches!(refused, Err(SfuError::Sdp(_))),
            "{bad:?}: {refused:?}"
        );
        let refused = world.with_registry(|r, now, out| r.accept_answer(now, id, bad, out));
        assert_eq!(refused, Err(SfuError::NoPendingOffer));
        let refused = world.with_registry(|r, now, out| r.add_ice_candidate(now, id, "x", out));
        assert!(
            matches!(refused, Err(SfuError::Candidate(_))),
            "{refused:?}"
        );
        assert_eq!(format!("{:?}", world.stats(a).unwrap()), before);
    }
    let frames = world.peers[b].browser.frames();
    world.run_for(s(1));
    assert!(world.peers[b].browser.frames() > frames + 10);
    clean(world);
}

#[test]
fn a_hostile_offer_never_panics() {
    thread_local! {
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }
    std::panic::set_hook(Box::new(|_| PANICS.with(|n| n.set(n.get() + 1))));
    let mut world = World::new(12);
    let a = publisher(&mut world, Format::Vp8(1), &["q", "h", "f"]);
    let b = publisher(&mut world, Format::Opus, &[]);
    world.run_for(s(2));
    let (good, mut rng) = (offer(), Rng::new(12));
    let mut panicked = Vec::new();
    for round in 0..600 {
        let bad = tortured(&good, &mut rng);
        let peer = world.join(
            ClientOptions::default(),
            Profile::default(),
            Profile::default(),
        );
        let id = world.peers[peer].id;
        let before = PANICS.with(Cell::get);
        let outcome = world.with_registry(|r, now, out| r.accept_offer(now, id, &bad, out));
        if PANICS.with(Cell::get) != before {
            panicked.push(format!("round {round}: {outcome:?}\n{bad}"));
        }
        let _ = world.close_client(peer);
        let id = world.peers[b].id;
        let _ = world.with_registry(|r, now, out| r.accept_answer(now, id, &bad, out));
    }
    let _ = std::panic::take_hook();
    assert!(
        panicked.is_empty(),
        "{} panics, e.g. {}",
        panicked.len(),
        panicked[0]
    );
    let frames = world.peers[b].browser.frames();
    world.run_for(s(1));
    assert!(
        world.peers[b].browser.frames() > frames + 10,
        "the good go on"
    );
    assert!(world.is_present(a) && world.is_present(b));
}

#[test]
fn a_viewer_sees_through_ten_percent_of_loss() {
    let mut world = World::new(13);
    let lossy = || Profile {
        delay: ms(30),
        loss: Loss::Random(0.1),
        ..Profile::default()
    };
    let source = world.join(ClientOptions::default(), lossy(), Profile::default());
    world.peers[source]
        .browser
        .add_track(Format::Vp8(1), &[], 15);
    world.negotiate(source);
    let viewer = world.join(receive_only(), Profile::default(), lossy());
    world.peers[viewer].browser.add_track(Format::Opus, &[], 0);
    world.negotiate(viewer);
    world.run_for(s(15));
    let frames = world.peers[viewer].browser.frames();
    assert!(frames > 150, "{frames} of about 210");
    clean(world);
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn receive_only() -> ClientOptions {
    let mut options = ClientOptions::default();
    options.role = Role::Subscribe;
    options
}

fn publisher(world: &mut World, format: Format, rids: &[&str]) -> usize {
    let perfect = Profile::default;
    let peer = world.join(ClientOptions::default(), perfect(), perfect());
    world.peers[peer].browser.add_track(format, rids, 15);
    world.negotiate(peer);
    peer
}

/// Somebody who offers a microphone nobody hears, because an offer has to have something.
fn viewer(world: &mut World) -> usize {
    let peer = world.join(receive_only(), Profile::default(), Profile::default());
    world.peers[peer].browser.add_track(Format::Opus, &[], 0);
    world.negotiate(peer);
    peer
}

fn size(world: &World, peer: usize) -> Option<(u16, u16)> {
    world.peers[peer]
        .browser
        .decoders
        .values()
        .find_map(|d| d.size)
}

fn prefer(world: &mut World, peer: usize, track: TrackId, rid: &str) {
    let id = world.peers[peer].id;
    let layers = PreferredLayers {
        rid: Some(rid.to_owned()),
        ..PreferredLayers::default()
    };
    world
        .with_registry(|r, now, out| r.set_preferred_layers(now, id, track, layers, out))
        .unwrap();
}

fn clean(mut world: World) {
    world.close();
    world.judge();
    assert!(world.violations.is_empty(), "{:#?}", world.violations);
}

/// A browser's offer of audio and simulcast video.
fn offer() -> String {
    let mut world = World::new(99);
    let peer = world.join(
        ClientOptions::default(),
        Profile::default(),
        Profile::default(),
    );
    let browser = &mut world.peers[peer].browser;
    browser.add_track(Format::Opus, &[], 0);
    browser.add_track(Format::Vp8(1), &["q", "h", "f"], 15);
    browser.negotiate(world.now);
    match &browser.signals[0] {
        Signal::Offer(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// The offer with something wrong in it: lines lost, doubled, swapped, cut, numbers and words changed.
fn tortured(good: &str, rng: &mut Rng) -> String {
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    for _ in 0..rng.range(1, 6) {
        let count = lines.len() as u64;
        let at = usize::try_from(rng.range(0, count)).unwrap();
        let other = usize::try_from(rng.range(0, count)).unwrap();
        match rng.range(0, 8) {
            0 if lines.len() > 2 => {
                lines.remove(at);
            }
            1 => {
                let line = lines[at].clone();
                lines.insert(other, line);
            }
            2 => lines.swap(at, other),
            3 => {
                let keep = usize::try_from(rng.range(0, lines[at].len() as u64 + 1)).unwrap();
                lines[at].truncate(keep);
            }
            4 => {
                let odd = [
                    "0",
                    "-1",
                    "65536",
                    "99999999999999999999",
                    "",
                    "\u{fffd}",
                    "127",
                    "96",
                ];
                let word = *rng.pick(&odd);
                let line = &lines[at];
                let digits: Vec<usize> = line
                    .match_indices(|c: char| c.is_ascii_digit())
                    .map(|d| d.0)
                    .collect();
                if !digits.is_empty() {
                    let digit = *rng.pick(&digits);
                    lines[at] = format!("{}{word}{}", &line[..digit], &line[digit + 1..]);
                }
            }
            5 => {
                let words: Vec<&str> = lines[other].split(' ').collect();
                let word = (*rng.pick(&words)).to_owned();
                lines[at] = format!("{} {word}", lines[at]);
            }
            6 => {
                let pt = rng.range(0, 128);
                let codec =
                    *rng.pick(&["VP8/90000", "opus/48000/2", "rtx/90000", "H264/0", "x/y/z"]);
                lines.insert(at, format!("a=rtpmap:{pt} {codec}"));
                lines.insert(other, format!("a=fmtp:{pt} apt={}", rng.range(0, 128)));
            }
            _ => {
                let extra = *rng.pick(&[
                    "m=video 9 UDP/TLS/RTP/SAVPF 96",
                    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
                    "a=ice-lite",
                    "a=setup:passive",
                    "a=sctp-port:5000",
                    "a=rid:q recv",
                    "a=simulcast:send q;h;f recv x",
                    "a=extmap:15 urn:ietf:params:rtp-hdrext:sdes:mid",
                    "a=ssrc-group:FID 1 1",
                    "a=candidate:1 1 udp 1 ::1 0 typ relay",
                    "a=group:BUNDLE",
                    "a=rtcp-fb:* nack pli",
                ]);
                lines.insert(at, extra.to_owned());
            }
        }
    }
    lines.join("\r\n") + "\r\n"
}
