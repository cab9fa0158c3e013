//! The doors of a room: a session description, and a datagram for each kind of sender.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_sfu::{
    Calling, ClientId, ClientOptions, ClientSeed, CloseReason, Codec, LocalCandidate, MediaKind,
    Output, Registry, RegistryOptions, Role, Transport,
};
use sluice_sim::{Format, Profile, World};

/// An offer is answered or refused; a refusal without `SdpFatal` leaves the client, no panic is contained.
pub fn sdp_offer(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let now = Instant::now();
    let address = SocketAddr::from(([10, 0, 0, 1], 3478));
    let transport = Transport::Udp;
    let options = RegistryOptions::new(vec![LocalCandidate { address, transport }]);
    let mut registry = Registry::new(now, options);
    let mut out = Output::default();
    let id = ClientId::new(1);
    let seed = ClientSeed {
        id,
        token: 0,
        ufrag: "ufrag00000000001".to_owned(),
        password: "password-of-000000000001".to_owned(),
    };
    registry
        .insert(now, seed, ClientOptions::default(), &mut out)
        .expect("an empty room has place");
    if let Ok(answer) = registry.accept_offer(now, id, &text, &mut out) {
        assert!(answer.starts_with("v=0"));
    }
    // Refused half-way it is gone already.
    let _ = registry.close_client(now, id, CloseReason::RegistryClosed, &mut out);
    assert!(registry.is_empty());
    assert_eq!(registry.counters().client_panics, 0);
}

/// What a foreign server answers to our offer, with `MID0` and `MID1` for the names of its m-lines: taken or refused,
/// and whoever wrote it has us send to few places, of which it returns the number; no panic is contained.
pub fn sdp_answer(data: &[u8]) -> usize {
    let mut text = String::from_utf8_lossy(data).into_owned();
    let now = Instant::now();
    let address = SocketAddr::from(([10, 0, 0, 1], 3478));
    let transport = Transport::Udp;
    let candidates = vec![LocalCandidate { address, transport }];
    let mut registry = Registry::new(now, RegistryOptions::new(candidates.clone()));
    let mut out = Output::default();
    let id = ClientId::new(1);
    let seed = ClientSeed {
        id,
        token: 0,
        ufrag: "ufrag00000000001".to_owned(),
        password: "password-of-000000000001".to_owned(),
    };
    let mut options = ClientOptions::default();
    options.role = Role::Publish;
    options.calling = Some(Calling {
        candidates,
        codecs: vec![Codec::Opus, Codec::Vp8, Codec::H264],
        receive: vec![MediaKind::Video, MediaKind::Audio],
    });
    let key = registry
        .insert(now, seed, options, &mut out)
        .expect("an empty room has place");
    let offer = registry
        .create_offer(now, id, &mut out)
        .expect("it is there")
        .expect("there is something to receive");
    let mids = offer.lines().filter_map(|line| line.strip_prefix("a=mid:"));
    for (mid, name) in mids.zip(["MID0", "MID1"]) {
        text = text.replace(name, mid);
    }
    let taken = registry.accept_answer(now, id, &text, &mut out);
    for n in 1..20 {
        let later = now + Duration::from_millis(50 * n);
        registry.handle_timeout(later, key, &mut out);
        registry.handle_tick(later, &mut out);
    }
    let called: HashSet<SocketAddr> = out.transmits.iter().map(|t| t.destination).collect();
    assert!(called.len() <= 16, "{} places are called", called.len());
    assert!(taken.is_ok() || called.is_empty(), "{taken:?}");
    // Refused half-way it is gone already.
    let _ = registry.close_client(now, id, CloseReason::RegistryClosed, &mut out);
    assert!(registry.is_empty());
    assert_eq!(registry.counters().client_panics, 0);
    called.len()
}

/// A byte that picks the sender and how far its handshake is, then the datagram: a connected pair
/// beside it stays, no panic is contained.
pub fn datagram(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else {
        return;
    };
    ROOM.with_borrow_mut(|room| {
        let mut world = room
            .take()
            .filter(|world| world.peers.len() < MAX_PEERS)
            .unwrap_or_else(connected_pair);
        let source = match selector & 3 {
            0 => SocketAddr::from(([10, 9, 9, 9], 9)),
            1 => {
                let peer = world.join(ClientOptions::default(), slow(), slow());
                world.with_browser(peer, |browser, _| browser.add_track(Format::Opus, &[], 0));
                world.negotiate(peer);
                // From before the first check to after the handshake.
                world.run_for(Duration::from_millis(u64::from(selector >> 2) * 5));
                world.peers[peer].browser.address
            }
            which => world.peers[usize::from(which) - 2].browser.address,
        };
        world.inject(source, bytes.to_vec());
        world.run_for(Duration::from_millis(1));
        assert_eq!(world.registry.counters().client_panics, 0);
        assert!(world.is_present(0) && world.is_present(1));
        for peer in 2..world.peers.len() {
            // Gone is as good.
            let _ = world.close_client(peer);
        }
        *room = Some(world);
    });
}

fn connected_pair() -> World {
    let mut world = World::new(1);
    for format in [Format::Vp8(1), Format::Opus] {
        let peer = world.join(
            ClientOptions::default(),
            Profile::default(),
            Profile::default(),
        );
        world.with_browser(peer, |browser, _| browser.add_track(format, &[], 15));
        world.negotiate(peer);
    }
    world.run_for(Duration::from_secs(1));
    assert!(world.peers.iter().all(|peer| peer.browser.connected));
    world
}

thread_local! {
    /// One pair serves many inputs: connecting costs a thousand times what a datagram does.
    static ROOM: RefCell<Option<World>> = const { RefCell::new(None) };
}

fn slow() -> Profile {
    Profile {
        delay: Duration::from_millis(10),
        ..Profile::default()
    }
}

/// The world remembers everyone who was ever in it.
const MAX_PEERS: usize = 64;
