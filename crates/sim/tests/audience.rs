//! Rooms that replay whole: an audience that joins at once, and changes layers without a flood.

use std::time::Duration;

use sluice_sfu::{ClientOptions, PreferredLayers, Replay, Role};
use sluice_sim::{Format, Profile, World};

#[test]
fn who_joins_gets_the_old_keyframe_and_who_changes_layer_a_fresh_one() {
    for format in [Format::Vp8(1), Format::H264] {
        let mut world = World::with_options(31, |options| options.replay = Replay::Whole);
        let source = world.join(
            ClientOptions::default(),
            Profile::default(),
            Profile::default(),
        );
        let browser = &mut world.peers[source].browser;
        browser.add_track(format, &["q", "h", "f"], FRAMES_PER_SECOND);
        world.negotiate(source);
        world.run_for(s(8));

        let mut options = ClientOptions::default();
        options.role = Role::Subscribe;
        let watcher = world.join(options, Profile::default(), Profile::default());
        world.peers[watcher].browser.add_track(Format::Opus, &[], 0);
        world.negotiate(watcher);
        world.run_for(s(8));
        let joined = world.peers[watcher].browser.arrivals[0].stamp.unwrap();
        assert!(
            joined.keyframe && joined.frame == 0,
            "{format:?} {joined:?}"
        );

        let newest = world.peers[watcher].browser.arrivals.last().unwrap();
        let newest = newest.stamp.unwrap();
        assert!(newest.frame > 15 * FRAMES_PER_SECOND, "live: {newest:?}");

        let (id, track) = (world.peers[watcher].id, world.published(source)[0]);
        let before = world.peers[watcher].browser.arrivals.len();
        let layers = PreferredLayers {
            rid: Some("q".to_owned()),
            ..PreferredLayers::default()
        };
        world
            .with_registry(|r, now, out| r.set_preferred_layers(now, id, track, layers, out))
            .unwrap();
        world.run_for(s(2));
        let arrivals = &world.peers[watcher].browser.arrivals[before..];
        let encoder = |i: usize| arrivals[i].stamp.map(|stamp| stamp.encoder);
        let switch = (0..arrivals.len())
            .find(|i| encoder(*i) != Some(newest.encoder))
            .expect("the layer changed");
        let first = arrivals[switch].stamp.unwrap();
        assert!(first.keyframe, "{format:?} {first:?}");
        assert!(first.frame > 15 * FRAMES_PER_SECOND, "{format:?} {first:?}");
        world.close();
        world.judge();
        assert!(world.violations.is_empty(), "{:#?}", world.violations);
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const FRAMES_PER_SECOND: u32 = 30;
