//! Foreign servers that a room calls: it offers, and finds the way by full ICE.

use std::time::Duration;

use sluice_media::{Codec, MediaKind};
use sluice_sfu::{Calling, ClientOptions, CloseReason, Role};
use sluice_sim::{Format, Loss, Profile, World};

const ALL: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn a_server_that_is_called_gets_what_is_published() {
    for (lite, greets) in ALL {
        let mut world = World::new(1);
        publisher(&mut world, Format::Vp8(1), 30, 4000);
        let server = world.find_server(push(&[Codec::Vp8, Codec::Opus]), lite, Profile::default());
        world.call(server, greets);
        world.run_for(s(5));
        let browser = &world.peers[server].browser;
        assert!(
            browser.frames() > 100,
            "{lite} {greets}: {}",
            browser.frames()
        );
        assert_eq!(
            world.strangers, 0,
            "{lite} {greets}: all that comes is known"
        );
        clean(world);
    }
}

#[test]
fn a_server_that_is_called_gets_whatever_codec_the_stream_has() {
    for (format, codec) in [
        (Format::Vp9(1), Codec::Vp9),
        (Format::H264, Codec::H264),
        (Format::Av1, Codec::Av1),
    ] {
        let mut world = World::new(7);
        publisher(&mut world, format, 30, 4000);
        let codecs = [codec, Codec::Opus];
        let server = world.find_server(push(&codecs), true, Profile::default());
        world.call(server, false);
        world.run_for(s(5));
        let browser = &world.peers[server].browser;
        assert!(browser.frames() > 100, "{codec:?}: {}", browser.frames());
        clean(world);
    }
}

#[test]
fn a_server_that_is_called_publishes() {
    for (lite, greets) in ALL {
        let mut world = World::new(2);
        let server = world.find_server(pull(), lite, Profile::default());
        for format in [Format::Vp8(1), Format::Opus] {
            world.peers[server].browser.add_track(format, &[], 30);
        }
        world.call(server, greets);
        let viewer = viewer(&mut world);
        assert!(world.run_until(s(5), |w| w.published(server).len() == 2));
        world.run_for(s(4));
        let frames = world.peers[viewer].browser.frames();
        assert!(frames > 60, "{lite} {greets}: {frames}");
        assert_eq!(world.strangers, 0, "{lite} {greets}");
        clean(world);
    }
}

#[test]
fn a_call_comes_through_over_a_bad_way() {
    for seed in 0..8 {
        let mut world = World::new(seed);
        let bad = Profile {
            loss: Loss::Random(0.1),
            ..Profile::default()
        };
        let server = world.find_server(pull(), seed % 2 == 0, bad);
        world.peers[server]
            .browser
            .add_track(Format::Vp8(1), &[], 30);
        world.call(server, seed % 4 < 2);
        let there = world.run_until(s(20), |w| w.peers[server].connects == 1);
        assert!(there, "seed {seed}");
        clean(world);
    }
}

#[test]
fn an_offer_of_the_server_in_place_of_an_answer_is_answered() {
    let mut world = World::new(3);
    let server = world.find_server(pull(), false, Profile::default());
    let id = world.peers[server].id;
    let ours = world.with_registry(|r, now, out| r.create_offer(now, id, out));
    assert!(ours.unwrap().unwrap().contains("a=recvonly"));
    let browser = &mut world.peers[server].browser;
    browser.serves = false;
    browser.add_track(Format::Vp8(1), &[], 30);
    world.negotiate(server);
    assert!(world.run_until(s(5), |w| w.published(server).len() == 1));
    let viewer = viewer(&mut world);
    world.run_for(s(4));
    assert!(world.peers[viewer].browser.frames() > 60);
    clean(world);
}

#[test]
fn a_server_without_feedback_is_not_held_back_by_a_guess() {
    let mut world = World::new(4);
    // 120 frames a second of 20 kB are 19 Mbit/s, ten times what an estimate begins with.
    publisher(&mut world, Format::Vp8(1), 120, 20_000);
    let server = world.find_server(push(&[Codec::Vp8]), true, Profile::default());
    world.peers[server].browser.without_feedback = true;
    world.call(server, false);
    world.run_for(s(10));
    let [publisher, server] = [&world.peers[0].browser, &world.peers[server].browser];
    let mut pictures = server
        .arrivals
        .iter()
        .rev()
        .filter(|a| a.codec == Codec::Vp8);
    let shown = pictures.find_map(|a| a.stamp).unwrap();
    let made = publisher.made[&shown.encoder].last().unwrap();
    let behind = made.frame - shown.frame;
    assert!(behind < 12, "{behind} frames behind");
    clean(world);
}

#[test]
fn an_offer_lists_what_the_stream_has_and_nothing_else() {
    let mut world = World::new(5);
    publisher(&mut world, Format::Vp8(1), 30, 4000);
    let server = world.find_server(push(&[Codec::Vp8, Codec::Opus]), true, Profile::default());
    let id = world.peers[server].id;
    let offer = world.with_registry(|r, now, out| r.create_offer(now, id, out));
    let offer = offer.unwrap().unwrap();
    assert_eq!(offer.matches("a=sendonly").count(), 2, "{offer}");
    assert_eq!(offer.matches("a=bundle-only").count(), 1, "{offer}");
    assert_eq!(offer.matches("a=candidate:").count(), 1, "{offer}");
    assert!(offer.contains("VP8/90000") && offer.contains("opus/48000"));
    for other in ["H264", "VP9", "AV1", "ice-lite", "recvonly"] {
        assert!(!offer.contains(other), "{other} in {offer}");
    }
    let streams = offer
        .lines()
        .filter_map(|line| line.strip_prefix("a=msid:"));
    let mut streams: Vec<&str> = streams.filter_map(|m| m.split(' ').next()).collect();
    streams.dedup();
    assert_eq!(streams.len(), 1, "RFC 9725 §4.4.2: {offer}");
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let mut world = World::new(6);
    let server = world.find_server(pull(), true, Profile::default());
    world.call(server, false);
    world.peers[server].browser.closed = true;
    world.run_for(s(40));
    assert_eq!(world.peers[server].disconnects, [CloseReason::Ice]);
}

fn push(codecs: &[Codec]) -> Calling {
    Calling {
        codecs: codecs.to_vec(),
        ..Calling::default()
    }
}

fn pull() -> Calling {
    Calling {
        codecs: vec![Codec::Opus, Codec::Vp8, Codec::H264],
        receive: vec![MediaKind::Video, MediaKind::Audio],
        ..Calling::default()
    }
}

/// A browser that publishes so many pictures a second of so many bytes, and sound.
fn publisher(world: &mut World, format: Format, per_second: u32, frame_bytes: u64) {
    let perfect = Profile::default;
    let peer = world.join(ClientOptions::default(), perfect(), perfect());
    let browser = &mut world.peers[peer].browser;
    browser.add_sized_track(format, &[], per_second, frame_bytes);
    browser.add_track(Format::Opus, &[], 30);
    world.negotiate(peer);
    assert!(world.run_until(s(5), |w| w.published(peer).len() == 2));
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
