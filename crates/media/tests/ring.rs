//! What a reader of the ring notices: where it starts, what it misses, and that nothing else does.

use std::time::{Duration, Instant};

use sluice_media::{Cursor, Item, Read, Ring, RingLimits};

const MS: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    number: u64,
    start: bool,
    cost: usize,
}

impl Item for Packet {
    fn cost(&self) -> usize {
        self.cost
    }

    fn starts_chain(&self) -> bool {
        self.start
    }
}

/// A frame of a ring that sound and pictures share.
struct Mixed {
    audio: bool,
    start: bool,
}

impl Item for Mixed {
    fn cost(&self) -> usize {
        100
    }

    fn starts_chain(&self) -> bool {
        self.start
    }

    fn is_audio(&self) -> bool {
        self.audio
    }
}

/// A ring and its only writer.
struct Source {
    ring: Ring<Packet>,
    now: Instant,
    number: u64,
}

impl Source {
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
    fn new(limits: RingLimits) -> Self {
        Self {
            ring: Ring::new(limits),
            now: Instant::now(),
            number: 0,
        }
    }

    fn push(&mut self, start: bool, cost: usize) {
        self.ring.push(
            self.now,
            Packet {
                number: self.number,
                start,
                cost,
            },
        );
        self.number += 1;
    }

    /// A keyframe and `deltas` more packets, one each millisecond.
    fn group(&mut self, deltas: usize) {
        for index in 0..=deltas {
            self.now += MS;
            self.push(index == 0, 100);
        }
    }
}

/// A reader that knows what it has a right to: a start first, then consecutive numbers.
struct Viewer {
    cursor: Cursor,
    last: Option<u64>,
    skipped: Option<u64>,
    received: u64,
}

impl Viewer {
    fn new(cursor: Cursor) -> Self {
        Self {
            cursor,
            last: None,
            skipped: None,
            received: 0,
        }
    }

    fn read_up_to(&mut self, ring: &Ring<Packet>, limit: u64) {
        for _ in 0..limit {
            match ring.read(&mut self.cursor) {
                Read::Item(packet) => {
                    match (self.last, self.skipped.take()) {
                        (None, _) => assert!(packet.start),
                        (Some(last), None) => assert_eq!(packet.number, last + 1),
                        (Some(last), Some(skipped)) => {
                            assert!(packet.start);
                            assert_eq!(packet.number, last + 1 + skipped);
                        }
                    }
                    self.last = Some(packet.number);
                    self.received += 1;
                }
                Read::Lagged { skipped } => {
                    *self.skipped.get_or_insert(0) += skipped;
                }
                Read::Empty => return,
            }
        }
    }
}

/// xorshift64*: the seed decides the run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn limits(max_bytes: usize, max_age: Duration, lag_window: Duration) -> RingLimits {
    RingLimits {
        max_bytes,
        max_age,
        lag_window,
    }
}

#[test]
fn ten_thousand_joins_at_random_instants_start_on_a_keyframe_without_a_hole() {
    let (mut joins, mut received, mut lags) = (0, 0, 0);
    for seed in 1..=200 {
        let mut random = Seeded(seed);
        let bound = 2_000 + usize::try_from(random.below(20_000)).unwrap();
        let mut source = Source::new(limits(bound, 500 * MS, 100 * MS));
        let mut viewers = Vec::new();
        while viewers.len() < 50 {
            source.now += MS * u32::try_from(random.below(12)).unwrap();
            let start = random.below(30) == 0;
            let cost = 40 + usize::try_from(random.below(1_200)).unwrap();
            source.push(start, cost);
            assert!(source.ring.bytes() <= bound);
            if random.below(10) == 0 {
                let cursor = match random.below(3) {
                    0 => source.ring.join(),
                    1 => source
                        .ring
                        .join_within(source.now, random.below(40), 80 * MS),
                    _ => source.ring.join_live(),
                };
                viewers.push((Viewer::new(cursor), random.below(20)));
            }
            for (viewer, pace) in &mut viewers {
                let before = viewer.skipped;
                viewer.read_up_to(&source.ring, random.below(*pace + 1));
                lags += u64::from(viewer.skipped != before);
            }
        }
        for _ in 0..300 {
            source.now += MS;
            source.push(random.below(30) == 0, 100);
            for (viewer, _) in &mut viewers {
                viewer.read_up_to(&source.ring, u64::MAX);
            }
        }
        joins += viewers.len();
        received += viewers
            .iter()
            .map(|(viewer, _)| viewer.received)
            .sum::<u64>();
    }
    assert_eq!(joins, 10_000);
    assert!(received > 1_000_000, "{received}");
    assert!(
        lags > 100,
        "the slow readers must be overtaken for this to mean anything: {lags}"
    );
}

#[test]
fn group_longer_than_the_budget_gives_no_delta_without_its_keyframe() {
    let mut source = Source::new(limits(usize::MAX, 1_000 * MS, 1_000 * MS));
    source.group(999);
    assert!(source.ring.snapshot().is_some());
    let mut present = Viewer::new(source.ring.join());
    present.read_up_to(&source.ring, u64::MAX);
    for _ in 0..9_000 {
        source.now += MS;
        source.push(false, 100);
        present.read_up_to(&source.ring, u64::MAX);
    }
    assert_eq!(
        present.received, 10_000,
        "a present reader goes on untouched"
    );
    assert!(source.ring.snapshot().is_none());
    let mut joiner = Viewer::new(source.ring.join());
    joiner.read_up_to(&source.ring, u64::MAX);
    assert_eq!(joiner.received, 0);
    assert!(source.ring.is_waiting(&joiner.cursor));
    source.group(9);
    assert!(!source.ring.is_waiting(&joiner.cursor));
    joiner.read_up_to(&source.ring, u64::MAX);
    assert_eq!((joiner.received, joiner.last), (10, Some(10_009)));
}

#[test]
fn stalled_reader_costs_nobody_anything_and_goes_on_at_a_keyframe() {
    let mut source = Source::new(limits(100_000, 12_000 * MS, 2_000 * MS));
    source.group(10);
    let mut stalled = Viewer::new(source.ring.join());
    stalled.read_up_to(&source.ring, 3);
    let mut present = Viewer::new(source.ring.join());
    for _ in 0..600 {
        source.group(99);
        assert!(source.ring.bytes() <= 100_000);
        present.read_up_to(&source.ring, u64::MAX);
    }
    assert_eq!(present.received, source.number);
    assert!(source.ring.lag(&present.cursor, source.now).is_zero());
    assert!(source.ring.lag(&stalled.cursor, source.now) > 900 * MS);
    stalled.read_up_to(&source.ring, u64::MAX);
    assert_eq!(stalled.received, 3 + 100);
    assert_eq!(stalled.last, present.last);
}

#[test]
fn history_before_the_start_is_kept_only_for_the_lag_window() {
    let mut source = Source::new(limits(usize::MAX, 12_000 * MS, 50 * MS));
    source.group(199);
    assert_eq!(source.ring.len(), 200, "the newest chain stays whole");
    source.group(9);
    assert_eq!(
        source.ring.len(),
        51,
        "one each millisecond, the oldest 50 ms old"
    );
    assert_eq!(source.ring.head() - source.ring.start().unwrap(), 10);
}

#[test]
fn snapshot_is_the_newest_chain_and_what_a_joiner_reads() {
    let mut source = Source::new(RingLimits::default());
    source.group(4);
    source.group(2);
    let numbers: Vec<u64> = source
        .ring
        .snapshot()
        .unwrap()
        .map(|packet| packet.number)
        .collect();
    assert_eq!(numbers, [5, 6, 7]);
    let mut joiner = Viewer::new(source.ring.join());
    joiner.read_up_to(&source.ring, u64::MAX);
    assert_eq!((joiner.received, joiner.last), (3, Some(7)));
}

#[test]
fn bounded_join_waits_when_the_history_is_too_long_or_too_old() {
    let mut source = Source::new(RingLimits::default());
    source.group(9);
    let first = |source: &Source, items, age| match source
        .ring
        .read(&mut source.ring.join_within(source.now, items, age))
    {
        Read::Item(packet) => Some(packet.number),
        Read::Lagged { .. } | Read::Empty => None,
    };
    assert_eq!(first(&source, 10, 9 * MS), Some(0));
    assert_eq!(first(&source, 9, 9 * MS), None);
    assert_eq!(first(&source, 10, 8 * MS), None);
}

#[test]
fn skipping_reader_lands_on_the_next_start_and_never_goes_back() {
    let mut source = Source::new(RingLimits::default());
    source.group(9);
    let mut viewer = Viewer::new(source.ring.join());
    viewer.read_up_to(&source.ring, 5);
    viewer.cursor.skip_to_start();
    viewer.read_up_to(&source.ring, u64::MAX);
    assert_eq!(viewer.received, 5, "the only start is behind it");
    source.group(9);
    viewer.read_up_to(&source.ring, u64::MAX);
    assert_eq!((viewer.received, viewer.last), (15, Some(19)));
}

#[test]
fn waiting_joiner_is_not_told_of_a_loss_even_when_overtaken() {
    let mut source = Source::new(limits(1_000, 12_000 * MS, 2_000 * MS));
    let mut joiner = Viewer::new(source.ring.join());
    for _ in 0..500 {
        source.push(false, 100);
        joiner.read_up_to(&source.ring, u64::MAX);
    }
    source.group(3);
    joiner.read_up_to(&source.ring, u64::MAX);
    assert_eq!((joiner.received, joiner.skipped), (4, None));
}

#[test]
fn item_beyond_the_whole_bound_is_not_kept() {
    let mut source = Source::new(limits(1_000, 12_000 * MS, 2_000 * MS));
    source.group(3);
    source.push(true, 1_001);
    assert!(source.ring.is_empty());
    assert_eq!((source.ring.bytes(), source.ring.start()), (0, None));
    assert_eq!(source.ring.head(), 5);
}

#[test]
fn tick_frees_a_ring_that_fell_silent() {
    let mut source = Source::new(limits(usize::MAX, 1_000 * MS, 1_000 * MS));
    source.group(9);
    source.ring.evict(source.now + 2_000 * MS);
    assert!(source.ring.is_empty());
    assert_eq!(source.ring.bytes(), 0);
    assert_eq!(source.ring.head(), 10, "numbering goes on");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
fn sound_has_a_budget_of_its_own_and_either_one_evicts_the_oldest() {
    let now = Instant::now();
    let limits = limits(1_000, 12_000 * MS, 12_000 * MS);
    let mut ring = Ring::with_audio_budget(limits, 500);
    let push = |ring: &mut Ring<Mixed>, audio, start| ring.push(now, Mixed { audio, start });
    push(&mut ring, false, true);
    for _ in 0..9 {
        push(&mut ring, false, false);
    }
    for _ in 0..5 {
        push(&mut ring, true, false);
    }
    assert_eq!((ring.bytes(), ring.audio_bytes()), (1_000, 500));
    assert_eq!(
        (ring.oldest(), ring.start()),
        (0, Some(0)),
        "sound took nothing from the pictures"
    );
    push(&mut ring, true, false);
    assert_eq!((ring.bytes(), ring.audio_bytes()), (0, 500));
    assert_eq!((ring.oldest(), ring.start()), (11, None));
    assert!(ring.at(10).is_none());
    assert!(
        ring.at(11)
            .is_some_and(|(arrived, item)| arrived == now && item.audio)
    );
    while ring.evict_oldest() {}
    assert_eq!(
        (ring.audio_bytes(), ring.oldest(), ring.head()),
        (0, 16, 16)
    );
}
