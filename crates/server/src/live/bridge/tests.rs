//! Two shards in virtual time, with nothing between them but their mailboxes.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;

use bytes::Bytes;
use sluice_media::{Codec, Frame, StreamKey, Timestamp, TrackId};
use sluice_net::Driver;
use sluice_net::mailbox::{self, Inbox};
use sluice_sfu::{ClientId, LocalCandidate, RegistryOptions, Transport};

use super::*;
use crate::live::{LiveEvent, PublishWish, PublisherId, TrackCoding};
use crate::server::RegistryId;

struct Shard {
    live: Live,
    rooms: Rooms,
    inbox: Inbox<Message>,
    events: Vec<LiveEvent>,
}

struct World {
    now: Instant,
    shards: [Shard; 2],
    _drivers: Vec<Driver>,
    next: i64,
}

/// Where the stream lives, and where the room does.
const STREAM: usize = 0;
const ROOM: usize = 1;

impl World {
    fn new() -> Self {
        let now = Instant::now(); // an arbitrary origin, read once
        let drivers = [Driver::new().unwrap(), Driver::new().unwrap()];
        let (first, one) = mailbox::channel(64, drivers[0].waker());
        let (second, two) = mailbox::channel(64, drivers[1].waker());
        let mailboxes = vec![first, second];
        let shard = |number: u16, inbox| Shard {
            live: Live::new(number, Vec::new(), mailboxes.clone()),
            rooms: Rooms::new(now, number),
            inbox,
            events: Vec::new(),
        };
        Self {
            now,
            shards: [shard(0, one), shard(1, two)],
            _drivers: drivers.into(),
            next: 0,
        }
    }

    /// One turn of a shard; how many messages it found.
    fn turn(&mut self, shard: usize) -> usize {
        let now = self.now;
        let Shard {
            live,
            rooms,
            inbox,
            events,
        } = &mut self.shards[shard];
        let mut messages = 0;
        while let Some(message) = inbox.try_recv() {
            messages += 1;
            if let Message::Live(job) = message {
                live.run(now, rooms, job);
            }
        }
        rooms.handle_time(now);
        live.turn(now, rooms);
        events.append(&mut live.events);
        while rooms.settle(now) {}
        messages
    }

    fn turns(&mut self) {
        for _ in 0..4 {
            self.turn(STREAM);
            self.turn(ROOM);
        }
    }

    fn room(&mut self) -> RegistryId {
        let id = RegistryId::for_tests(on_shard(1, ROOM));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let candidate = LocalCandidate {
            address,
            transport: Transport::Udp,
        };
        let options = RegistryOptions::new(vec![candidate]);
        let rooms = &mut self.shards[ROOM].rooms;
        rooms.open(self.now, id, options, false).unwrap();
        id
    }

    fn publish(&mut self) -> PublisherId {
        let (reply, mut published) = oneshot::channel();
        let wish = PublishWish::Own {
            key: key(),
            identity: None,
        };
        let Shard { live, rooms, .. } = &mut self.shards[STREAM];
        live.publish(self.now, rooms, wish, reply);
        self.turn(STREAM);
        let id = published.try_recv().unwrap().unwrap();
        let coding = TrackCoding::parse(Codec::Vp8, Bytes::new()).unwrap();
        let live = &mut self.shards[STREAM].live;
        live.configure(self.now, id, TrackId::VIDEO, coding)
            .unwrap();
        id
    }

    /// The next picture, of this size.
    fn push(&mut self, publisher: PublisherId, keyframe: bool, bytes: usize) {
        let at = Timestamp::new(self.next * 3600, NonZeroU32::new(90_000).unwrap());
        self.next += 1;
        self.now += Duration::from_millis(40);
        let mut data = vec![0; bytes];
        let head: &[u8] = if keyframe {
            &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0]
        } else {
            &[0x11, 0, 0]
        };
        data[..head.len()].copy_from_slice(head);
        let frame = Frame {
            track: TrackId::VIDEO,
            codec: Codec::Vp8,
            pts: at,
            dts: at,
            duration: None,
            keyframe,
            discardable: false,
            discontinuity: false,
            captured_micros: None,
            data: Bytes::from(data),
        };
        let live = &mut self.shards[STREAM].live;
        live.push(self.now, publisher, vec![frame]).unwrap();
        self.turn(STREAM);
    }

    fn show(&mut self, room: RegistryId) -> (BridgeId, ClientId) {
        let (reply, mut shown) = oneshot::channel();
        let wish = ShowWish {
            key: key(),
            room,
            reply,
        };
        let Shard { live, rooms, .. } = &mut self.shards[STREAM];
        live.show(self.now, rooms, wish);
        self.turns();
        shown.try_recv().unwrap().unwrap()
    }

    /// Packets of the picture that the room has got, and keyframes.
    fn shown(&self, room: RegistryId) -> (u64, u64) {
        let registry = self.shards[ROOM].rooms.registry(room).unwrap();
        let stats = registry.stats(self.now);
        let layers = stats.iter().flat_map(|client| &client.tracks);
        let layers = layers.flat_map(|track| &track.layers);
        layers.fold((0, 0), |(packets, keyframes), layer| {
            (packets + layer.packets, keyframes + layer.keyframes)
        })
    }

    fn ends(&self, shard: usize) -> Vec<BridgeEnd> {
        let events = self.shards[shard].events.iter();
        let ends = events.filter_map(|event| match event {
            LiveEvent::Bridge(BridgeEvent {
                kind: BridgeEventKind::Ended { reason },
                ..
            }) => Some(*reason),
            _ => None,
        });
        ends.collect()
    }

    fn dropped(&self) -> u64 {
        let events = self.shards[STREAM].events.iter();
        let dropped = events.map(|event| match event {
            LiveEvent::Bridge(BridgeEvent {
                kind: BridgeEventKind::Dropped { frames },
                ..
            }) => *frames,
            _ => 0,
        });
        dropped.sum()
    }

    fn cast(&mut self, room: RegistryId) -> oneshot::Receiver<Result<BridgeId, ServerError>> {
        let (reply, opened) = oneshot::channel();
        let wish = CastWish {
            room,
            key: key(),
            home: STREAM,
            picks: Picks {
                video: Some(Pick::Speaker),
                audio: Some(Pick::Speaker),
            },
            identity: None,
            reply,
        };
        let Shard { live, rooms, .. } = &mut self.shards[ROOM];
        live.cast(self.now, rooms, wish);
        opened
    }

    fn close_room(&mut self, room: RegistryId) {
        let reason = sluice_sfu::CloseReason::RegistryClosed;
        let rooms = &mut self.shards[ROOM].rooms;
        rooms.close(self.now, room, &reason).unwrap();
    }

    fn holds_the_key(&self) -> bool {
        let streams = self.shards[STREAM].live.streams(self.now);
        streams.iter().any(|stream| stream.protocol.is_some())
    }

    fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| {
            let bridges = &shard.live.bridges;
            bridges.pickups.is_empty()
                && bridges.casts.is_empty()
                && bridges.shows.is_empty()
                && bridges.screens.is_empty()
                && bridges.outbox.is_empty()
        })
    }
}

fn key() -> StreamKey {
    "live/show".parse().unwrap()
}

#[test]
fn a_stream_is_shown_in_a_room_of_another_shard() {
    let mut world = World::new();
    let (room, publisher) = (world.room(), world.publish());
    world.push(publisher, true, 2000);
    world.show(room);
    for _ in 0..10 {
        world.push(publisher, false, 2000);
        assert_eq!(world.turn(ROOM), 1, "a message a turn");
    }
    assert_eq!(world.shown(room), (22, 1));
    let live = &mut world.shards[STREAM].live;
    live.end_stream(world.now, &key()).unwrap();
    world.turns();
    assert_eq!(world.ends(STREAM), [BridgeEnd::StreamEnded]);
    assert!(world.is_empty());
    assert!(world.shards[ROOM].rooms.registry(room).unwrap().is_empty());
}

#[test]
fn a_room_that_stands_still_is_sent_no_more_than_fits_and_goes_on_at_a_keyframe() {
    let mut world = World::new();
    let (room, publisher) = (world.room(), world.publish());
    world.push(publisher, true, 2000);
    world.show(room);
    world.turns();
    let (before, _) = world.shown(room);
    for _ in 0..250 {
        world.push(publisher, false, 100_000);
    }
    assert!(world.dropped() > 200, "{}", world.dropped());
    assert!(world.turn(ROOM) <= 8, "its mailbox is for commands too");
    world.turns();
    let (after, keyframes) = world.shown(room);
    assert!(after > before && keyframes == 1);
    world.push(publisher, false, 2000);
    world.turns();
    assert_eq!(world.shown(room), (after, 1), "it refers to what is lost");
    world.push(publisher, true, 2000);
    world.push(publisher, false, 2000);
    world.turns();
    assert_eq!(world.shown(room), (after + 4, 2));
}

#[test]
fn a_room_that_closes_ends_what_is_shown_in_it() {
    let mut world = World::new();
    let (room, publisher) = (world.room(), world.publish());
    world.push(publisher, true, 2000);
    world.show(room);
    world.close_room(room);
    world.turns();
    assert_eq!(world.ends(STREAM), [BridgeEnd::RoomClosed]);
    assert!(world.is_empty());
}

#[test]
fn a_room_that_closes_before_its_key_is_granted_holds_it_no_longer() {
    let mut world = World::new();
    let room = world.room();
    let mut opened = world.cast(room);
    world.turn(ROOM);
    world.close_room(room);
    world.turns();
    assert!(opened.try_recv().unwrap().is_ok(), "it was, for a moment");
    assert_eq!(world.ends(ROOM), [BridgeEnd::RoomClosed]);
    assert!(world.is_empty());
    assert!(!world.holds_the_key());
}

#[test]
fn a_key_that_somebody_holds_is_refused_and_nothing_stays() {
    let mut world = World::new();
    let room = world.room();
    world.publish();
    let mut opened = world.cast(room);
    world.turns();
    assert!(matches!(
        opened.try_recv().unwrap(),
        Err(ServerError::Stream(_))
    ));
    assert!(world.is_empty());
    assert!(world.ends(ROOM).is_empty(), "it never began");
}

#[test]
fn who_does_not_wait_for_his_bridge_has_none() {
    let mut world = World::new();
    let room = world.room();
    drop(world.cast(room));
    world.turns();
    assert!(world.is_empty());
    assert!(!world.holds_the_key());
}
