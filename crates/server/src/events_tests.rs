//! Facts about the queue, in virtual time; `ids` are seeded by a small linear generator.

use std::sync::Mutex;

use sluice_sfu::{BindingTerm, KeyframeKind, Propagated};

use super::*;
use crate::server::RegistryId;

/// A sink with room for `room` batches.
#[derive(Default)]
struct Sink {
    taken: Mutex<Vec<Vec<Event>>>,
    room: Mutex<usize>,
    closed: bool,
}

impl Sink {
    fn with_room(room: usize) -> Self {
        Self {
            room: Mutex::new(room),
            ..Self::default()
        }
    }

    fn events(&self) -> Vec<Event> {
        self.taken.lock().unwrap().concat()
    }
}

impl EventSink for Sink {
    fn try_deliver(&self, batch: Vec<Event>) -> Result<(), Undelivered> {
        if self.closed {
            return Err(Undelivered::Closed);
        }
        let mut room = self.room.lock().unwrap();
        if *room == 0 {
            return Err(Undelivered::Full(batch));
        }
        *room -= 1;
        self.taken.lock().unwrap().push(batch);
        Ok(())
    }
}

fn connected(client: u64) -> Event {
    in_a_room(Propagated::ClientConnected {
        client_id: ClientId::new(client),
    })
}

fn estimate(client: u64, bits_per_second: u64) -> Event {
    in_a_room(Propagated::BandwidthEstimate {
        client_id: ClientId::new(client),
        bits_per_second,
        binding_term: BindingTerm::Native,
    })
}

fn keyframe_request(client: u64) -> Event {
    in_a_room(Propagated::KeyframeRequest {
        client_id: ClientId::new(client),
        source_client_id: ClientId::new(0),
        track_id: "t1".parse().unwrap(),
        rid: None,
        kind: KeyframeKind::Pli,
        merged: true,
    })
}

fn in_a_room(event: Propagated) -> Event {
    Event::Registry {
        registry: RegistryId::for_tests(1),
        event,
    }
}

/// Client numbers of lifecycle events, bit rates of estimates: enough to tell events apart.
fn marks(events: &[Event]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Registry {
                event: Propagated::ClientConnected { client_id },
                ..
            } => Some(client_id.raw()),
            Event::Registry {
                event:
                    Propagated::BandwidthEstimate {
                        bits_per_second, ..
                    },
                ..
            } => Some(*bits_per_second),
            _ => None,
        })
        .collect()
}

#[test]
fn a_lifecycle_event_leaves_at_once_and_a_state_waits_two_milliseconds() {
    let (t0, mut queue) = (Instant::now(), EventQueue::default());
    assert_eq!(queue.next_deadline(), None);
    queue.push(t0, estimate(1, 1));
    assert!(!queue.flush_due(t0));
    assert_eq!(queue.next_deadline(), Some(t0 + LINGER));
    queue.push(t0, connected(1));
    assert!(queue.flush_due(t0));
}

#[test]
fn sixty_four_states_leave_at_once() {
    let (t0, mut queue) = (Instant::now(), EventQueue::default());
    for client in 0..63 {
        queue.push(t0, estimate(client, 1));
    }
    assert!(!queue.flush_due(t0));
    queue.push(t0, estimate(63, 1));
    assert!(queue.flush_due(t0));
}

#[test]
fn order_across_lanes_is_kept_and_only_the_latest_state_of_a_key_stays() {
    let (t0, mut queue, sink) = (Instant::now(), EventQueue::default(), Sink::with_room(9));
    queue.push(t0, estimate(1, 500));
    queue.push(t0, connected(10));
    queue.push(t0, estimate(2, 600));
    queue.push(t0, estimate(1, 700));
    queue.push(t0, connected(11));
    queue.flush(t0, &sink);
    assert_eq!(marks(&sink.events()), [10, 600, 700, 11]);
    assert_eq!(queue.next_deadline(), None);
}

#[test]
fn a_delivered_state_is_not_replaced_by_a_later_one() {
    let (t0, mut queue, sink) = (Instant::now(), EventQueue::default(), Sink::with_room(9));
    queue.push(t0, estimate(1, 500));
    queue.flush(t0, &sink);
    queue.push(t0, estimate(1, 700));
    queue.flush(t0, &sink);
    assert_eq!(marks(&sink.events()), [500, 700]);
}

#[test]
fn a_full_sink_loses_no_lifecycle_event_and_is_left_alone_for_two_milliseconds() {
    let (t0, mut queue, sink) = (Instant::now(), EventQueue::default(), Sink::with_room(1));
    for client in 0..200 {
        queue.push(t0, connected(client));
    }
    queue.flush(t0, &sink);
    assert_eq!(sink.events().len(), BATCH);
    *sink.room.lock().unwrap() = 9;
    queue.flush(t0 + RETRY / 2, &sink);
    assert_eq!(sink.events().len(), BATCH, "the retry came too soon");
    assert_eq!(queue.next_deadline(), Some(t0 + RETRY));
    queue.flush(t0 + RETRY, &sink);
    assert_eq!(marks(&sink.events()), (0..200).collect::<Vec<_>>());
}

#[test]
fn telemetry_over_the_cap_is_counted_and_told_first() {
    let (t0, mut queue) = (Instant::now(), EventQueue::default());
    for _ in 0..LANE_CAP + 10 {
        queue.push(t0, keyframe_request(1));
    }
    let sink = Sink::with_room(usize::MAX);
    queue.flush(t0, &sink);
    let events = sink.events();
    assert_eq!(events.len(), LANE_CAP + 1);
    assert!(matches!(
        events[0],
        Event::EventsDropped {
            lane: Lane::Telemetry,
            count: 10
        }
    ));
}

#[test]
fn states_over_the_cap_lose_the_oldest_key() {
    let (t0, mut queue) = (Instant::now(), EventQueue::default());
    let cap = LANE_CAP as u64;
    for client in 0..cap + 3 {
        queue.push(t0, estimate(client, client));
    }
    let sink = Sink::with_room(usize::MAX);
    queue.flush(t0, &sink);
    assert_eq!(marks(&sink.events()), (3..cap + 3).collect::<Vec<_>>());
    assert!(matches!(
        sink.events()[0],
        Event::EventsDropped {
            lane: Lane::State,
            count: 3
        }
    ));
}

#[test]
fn a_closed_sink_ends_the_queue() {
    let (t0, mut queue) = (Instant::now(), EventQueue::default());
    let sink = Sink {
        closed: true,
        ..Sink::default()
    };
    queue.push(t0, connected(1));
    queue.flush(t0, &sink);
    queue.push(t0, connected(2));
    assert_eq!(queue.next_deadline(), None);
    assert!(queue.waiting.is_empty());
}

#[test]
fn any_mix_keeps_every_lifecycle_event_in_order_and_the_books_balanced() {
    for seed in 1..=200_u64 {
        let (mut random, mut now) = (seed, Instant::now());
        let (mut queue, sink) = (EventQueue::default(), Sink::default());
        let mut told = Vec::new();
        for step in 0..500_u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match (random >> 33) % 5 {
                0 => {
                    queue.push(now, connected(1_000_000 + step));
                    told.push(1_000_000 + step);
                }
                1 | 2 => queue.push(now, estimate((random >> 40) % 7, step)),
                3 => queue.push(now, keyframe_request(1)),
                _ => {
                    *sink.room.lock().unwrap() = usize::try_from((random >> 50) % 2).unwrap();
                    now += Duration::from_millis((random >> 45) % 4);
                    queue.flush(now, &sink);
                }
            }
            assert!(queue.waiting.len() >= queue.states.len() + queue.telemetry);
            assert_eq!(queue.latest.len(), queue.states.len());
            assert!(queue.latest.len() <= 7);
        }
        *sink.room.lock().unwrap() = usize::MAX;
        queue.flush(now + RETRY, &sink);
        let kept: Vec<_> = marks(&sink.events())
            .into_iter()
            .filter(|mark| *mark >= 1_000_000)
            .collect();
        assert_eq!(kept, told, "seed {seed}");
        assert!(queue.waiting.is_empty() && queue.latest.is_empty() && queue.telemetry == 0);
        assert_eq!(queue.next_deadline(), None, "seed {seed}");
    }
}
