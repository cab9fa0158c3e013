//! The doors between a room and the rest: tapped tracks and sources.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use sluice_media::Codec;
use sluice_sfu::{
    ClientId, ClientOptions, Replay, Role, SfuError, SourcePacket, TrackCloseReason, TrackId,
};
use sluice_sim::{Encoder, Format, Profile, Rng, World};

#[test]
fn a_tapped_track_gives_each_packet_once() {
    let mut world = World::new(1);
    let perfect = Profile::default;
    let peer = world.join(ClientOptions::default(), perfect(), perfect());
    let rids = ["q", "h", "f"];
    world.peers[peer]
        .browser
        .add_track(Format::Vp8(1), &rids, 30);
    world.negotiate(peer);
    assert!(world.run_until(s(5), |w| w.published(peer).len() == 1));
    let track = world.published(peer)[0];
    world.run_for(s(1));
    assert!(world.tapped.is_empty(), "nobody asked");
    world.with_registry(|r, _, _| r.tap(track, true)).unwrap();
    world.run_for(s(2));
    world.with_registry(|r, _, _| r.tap(track, false)).unwrap();
    for layer in 0..3 {
        let packets = world.tapped.iter().filter(|p| p.layer == layer);
        let numbers: Vec<u64> = packets.map(|p| p.seq).collect();
        assert!(numbers.len() >= 59, "{}", numbers.len());
        assert!(numbers.is_sorted_by(|a, b| *b == a + 1), "layer {layer}");
    }
    let all = world.tapped.len();
    world.run_for(s(1));
    assert_eq!(world.tapped.len(), all, "no more after the tap is closed");
}

#[test]
fn a_viewer_of_a_source_starts_at_once_and_nobody_is_asked() {
    for format in [Format::Vp8(1), Format::Vp9(1), Format::H264, Format::Av1] {
        let mut world = World::with_options(2, |options| options.replay = Replay::Whole);
        let mut source = Source::open(&mut world, format);
        source.run_for(&mut world, s(8));
        let late = viewer(&mut world);
        let joined = world.now;
        while world.peers[late].browser.frames() == 0 {
            assert!(world.now - joined < s(1), "{format:?}");
            source.run_for(&mut world, FRAME);
        }
        source.run_for(&mut world, s(12));
        let first = world.peers[late].browser.arrivals[0].stamp.unwrap();
        assert!(first.keyframe && first.frame == 0, "{format:?} {first:?}");
        let seen = world.peers[late].browser.frames();
        assert!(
            seen >= 19 * 25,
            "{format:?}: the pacer catches up, so not {seen} frames"
        );
        let asked = world.with_registry(|r, _, _| r.take_keyframe_request());
        assert_eq!(asked, None, "{format:?}");
        clean(world);
    }
}

#[test]
fn a_source_without_a_start_is_asked_once() {
    let mut world = World::new(3);
    let mut source = Source::open(&mut world, Format::Vp8(1));
    // Its keyframe is older than what is kept.
    source.run_for(&mut world, s(15));
    viewer(&mut world);
    viewer(&mut world);
    source.run_for(&mut world, s(1));
    let (first, second) = world.with_registry(|r, _, _| {
        let first = r.take_keyframe_request();
        (first, r.take_keyframe_request())
    });
    assert_eq!((first, second), (Some(source.track), None));
    clean(world);
}

#[test]
fn a_source_in_an_ordinary_room_begins_with_a_picture_too() {
    let mut world = World::new(6);
    let mut source = Source::open(&mut world, Format::H264);
    source.run_for(&mut world, s(8));
    let late = viewer(&mut world);
    let joined = world.now;
    while world.peers[late].browser.frames() == 0 {
        assert!(world.now - joined < s(1), "nobody could be asked");
        source.run_for(&mut world, FRAME);
    }
    let first = world.peers[late].browser.arrivals[0].stamp.unwrap();
    assert!(first.keyframe && first.index == 0, "{first:?}");
    clean(world);
}

#[test]
fn a_source_is_not_tapped() {
    let mut world = World::new(7);
    let source = Source::open(&mut world, Format::Vp8(1));
    let tapped = world.with_registry(|r, _, _| r.tap(source.track, true));
    assert_eq!(tapped, Err(SfuError::Role));
    let published = world.with_registry(|r, _, _| r.published().count());
    assert_eq!(published, 0, "it is nobody's camera");
    clean(world);
}

#[test]
fn the_best_layer_that_flows_is_found() {
    let mut world = World::new(8);
    let peer = world.join(
        ClientOptions::default(),
        Profile::default(),
        Profile::default(),
    );
    let rids = ["q", "h", "f"];
    world.peers[peer]
        .browser
        .add_track(Format::Vp8(1), &rids, 30);
    world.negotiate(peer);
    assert!(world.run_until(s(5), |w| w.published(peer).len() == 1));
    world.run_for(s(1));
    let track = world.published(peer)[0];
    let now = world.now;
    let best = world.with_registry(|r, _, _| r.best_layer(now, track));
    assert_eq!(best, Some(2));
    clean(world);
}

#[test]
fn a_room_that_is_followed_elects_who_makes_sound_and_forgets_who_left() {
    let mut world = World::new(9);
    for format in [Format::Vp8(1), Format::Opus] {
        let (up, down) = (Profile::default(), Profile::default());
        let peer = world.join(ClientOptions::default(), up, down);
        world.peers[peer].browser.add_track(format, &[], 50);
        world.negotiate(peer);
    }
    world.run_for(s(3));
    assert_eq!(world.registry.speaker(), None, "nobody follows");
    let now = world.now;
    world.with_registry(|r, _, _| r.follow_speaker(now, true));
    let id = world.peers[1].id;
    assert!(world.run_until(s(2), |w| w.registry.speaker() == Some(id)));
    world
        .with_registry(|r, now, out| r.close_client(now, id, sluice_sfu::CloseReason::Peer, out))
        .unwrap();
    assert_eq!(world.registry.speaker(), None);
    clean(world);
}

#[test]
fn a_source_neither_times_out_nor_outlives_its_closing() {
    let mut world = World::new(4);
    let mut source = Source::open(&mut world, Format::Vp8(1));
    world.run_for(s(120));
    source.run_for(&mut world, s(1));
    let track = source.track;
    world
        .with_registry(|r, now, out| r.close_source_track(now, track, out))
        .unwrap();
    let closed = world.events.iter().any(|(_, event)| {
        matches!(event, sluice_sfu::Propagated::TrackClose { track_id, reason, .. }
            if *track_id == track && *reason == TrackCloseReason::Stopped)
    });
    assert!(closed);
    let write = world.with_registry(|r, now, out| r.write(now, track, packet(now), out));
    assert_eq!(write, Err(SfuError::UnknownTrack(track)));
    clean(world);
}

#[test]
fn only_a_source_is_fed_from_inside() {
    let mut world = World::new(5);
    let perfect = Profile::default;
    let peer = world.join(ClientOptions::default(), perfect(), perfect());
    world.peers[peer].browser.add_track(Format::Vp8(1), &[], 30);
    world.negotiate(peer);
    assert!(world.run_until(s(5), |w| w.published(peer).len() == 1));
    let (id, track) = (world.peers[peer].id, world.published(peer)[0]);
    let opened = world.with_registry(|r, now, out| r.open_source_track(now, id, Codec::Vp8, out));
    assert_eq!(opened, Err(SfuError::Role));
    let written = world.with_registry(|r, now, out| r.write(now, track, packet(now), out));
    assert_eq!(written, Err(SfuError::UnknownTrack(track)));
    clean(world);
}

/// A stream whose packets come from inside the process, 25 frames a second.
struct Source {
    encoder: Encoder,
    track: TrackId,
    time: u64,
}

impl Source {
    fn open(world: &mut World, format: Format) -> Self {
        let id = ClientId::new(1 << 20);
        let codec = match format {
            Format::Vp9(_) => Codec::Vp9,
            Format::H264 => Codec::H264,
            Format::Av1 => Codec::Av1,
            _ => Codec::Vp8,
        };
        let track = world.with_registry(|r, now, out| {
            r.insert_source(now, id, u32::MAX, out).unwrap();
            r.open_source_track(now, id, codec, out).unwrap()
        });
        Self {
            encoder: Encoder::new(7_000, format, (640, 352), 4_000, Rng::new(9)),
            track,
            time: 0,
        }
    }

    fn run_for(&mut self, world: &mut World, time: Duration) {
        let until = world.now + time;
        while world.now < until {
            self.time += 3600;
            let frame = self.encoder.encode(3600);
            world.with_registry(|r, now, out| {
                for encoded in frame {
                    let packet = SourcePacket {
                        seq: encoded.sequence,
                        time: self.time,
                        marker: encoded.marker,
                        payload: encoded.payload.into(),
                        captured: now,
                    };
                    r.write(now, self.track, packet, out).unwrap();
                }
                r.settle(now, out);
            });
            world.run_for(FRAME);
        }
    }
}

fn packet(now: std::time::Instant) -> SourcePacket {
    SourcePacket {
        seq: 1,
        time: 0,
        marker: true,
        payload: [0x10, 0][..].into(),
        captured: now,
    }
}

fn viewer(world: &mut World) -> usize {
    let mut options = ClientOptions::default();
    options.role = Role::Subscribe;
    let peer = world.join(options, Profile::default(), Profile::default());
    world.peers[peer].browser.add_track(Format::Opus, &[], 0);
    world.negotiate(peer);
    peer
}

fn clean(mut world: World) {
    world.close();
    world.judge();
    assert!(world.violations.is_empty(), "{:#?}", world.violations);
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const FRAME: Duration = Duration::from_millis(40);
