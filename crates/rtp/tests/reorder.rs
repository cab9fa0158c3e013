//! What comes out of a reorder buffer, by number and by time.

mod seeded;

use std::time::{Duration, Instant};

use seeded::Seeded;
use sluice_rtp::{ReorderBuffer, ReorderLimits, Reordered};

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
fn any_instant() -> Instant {
    Instant::now()
}

const SSRC: u32 = 0xfeed;
const WAIT: Duration = Duration::from_millis(200);

struct Line {
    start: Instant,
    buffer: ReorderBuffer<u32>,
}

impl Line {
    fn new() -> Self {
        Self {
            start: any_instant(),
            buffer: ReorderBuffer::new(ReorderLimits::default()),
        }
    }

    fn at(&self, milliseconds: u64) -> Instant {
        self.start + Duration::from_millis(milliseconds)
    }

    fn put(&mut self, milliseconds: u64, sequence: u16) -> Reordered {
        let now = self.at(milliseconds);
        self.buffer
            .handle_packet(now, SSRC, sequence, u32::from(sequence))
    }

    fn take(&mut self, milliseconds: u64) -> Vec<u32> {
        let now = self.at(milliseconds);
        std::iter::from_fn(|| self.buffer.poll_packet(now))
            .map(|packet| packet.item)
            .collect()
    }
}

#[test]
fn packets_in_order_pass_at_once_over_the_wrap() {
    let mut line = Line::new();
    let mut last = None;
    for index in 0..70_000_u32 {
        let sequence = u16::try_from((index + 65_000) % 65_536).unwrap();
        assert_eq!(line.put(0, sequence), Reordered::Held);
        let packet = line.buffer.poll_packet(line.start).unwrap();
        assert_eq!(packet.item, u32::from(sequence));
        assert!(last.is_none_or(|last| packet.sequence == last + 1));
        last = Some(packet.sequence);
        assert_eq!(line.buffer.next_deadline(), None);
    }
    assert_eq!(line.buffer.stats().lost, 0);
}

#[test]
fn hole_is_waited_for_and_filled() {
    let mut line = Line::new();
    for sequence in [10, 12, 13] {
        line.put(0, sequence);
    }
    assert_eq!(line.take(0), [10]);
    assert_eq!(line.buffer.next_deadline(), Some(line.start + WAIT));
    line.put(199, 11);
    assert_eq!(line.take(199), [11, 12, 13]);
    assert_eq!(line.buffer.next_deadline(), None);
    assert_eq!(line.buffer.stats().reordered, 1);
    assert_eq!(line.buffer.stats().lost, 0);
}

#[test]
fn hole_is_given_up_at_its_deadline_and_what_comes_then_is_late() {
    let mut line = Line::new();
    line.put(0, 10);
    assert_eq!(line.take(0), [10]);
    line.put(50, 12);
    line.put(120, 15);
    assert_eq!(line.take(249), []);
    assert_eq!(line.take(250), [12]);
    // The second hole was seen when 15 came.
    assert_eq!(line.buffer.next_deadline(), Some(line.at(320)));
    assert_eq!(line.put(260, 11), Reordered::Late);
    assert_eq!(line.put(260, 15), Reordered::Duplicate);
    assert_eq!(line.take(320), [15]);
    let stats = line.buffer.stats();
    assert_eq!((stats.lost, stats.late, stats.duplicates), (3, 1, 1));
}

#[test]
fn full_buffer_gives_the_oldest_hole_up() {
    let mut line = Line::new();
    line.put(0, 0);
    line.take(0);
    for sequence in 2..=512 {
        line.put(1, sequence);
        assert_eq!(line.take(1), []);
    }
    line.put(1, 513);
    assert_eq!(line.take(1).len(), 512);
    assert_eq!(line.buffer.stats().lost, 1);
}

#[test]
fn nobody_polling_is_bounded_too() {
    let mut line = Line::new();
    for sequence in 0..5_000 {
        line.put(0, sequence);
        assert!(line.buffer.len() <= 512);
    }
}

#[test]
fn new_ssrc_and_jump_begin_anew_behind_the_old_numbers() {
    let mut line = Line::new();
    for sequence in [100, 101, 103] {
        line.put(0, sequence);
    }
    let now = line.start;
    assert_eq!(
        line.buffer.handle_packet(now, 7, 40_000, 1),
        Reordered::Suspect
    );
    assert_eq!(
        line.buffer.handle_packet(now, 7, 40_001, 2),
        Reordered::Restarted
    );
    let out: Vec<_> = std::iter::from_fn(|| line.buffer.poll_packet(now)).collect();
    let items: Vec<u32> = out.iter().map(|packet| packet.item).collect();
    assert_eq!(items, [100, 101, 103, 1, 2], "without waiting");
    assert!(out[3].sequence > out[2].sequence + 1, "a gap is seen");
    assert_eq!(out[4].sequence, out[3].sequence + 1);
    // The same source, elsewhere; the second packet overtakes the first.
    assert_eq!(
        line.buffer.handle_packet(now, 7, 9_001, 4),
        Reordered::Suspect
    );
    assert_eq!(
        line.buffer.handle_packet(now, 7, 9_000, 3),
        Reordered::Restarted
    );
    let items: Vec<u32> = std::iter::from_fn(|| line.buffer.poll_packet(now))
        .map(|packet| packet.item)
        .collect();
    assert_eq!(items, [3, 4]);
    let stats = line.buffer.stats();
    assert_eq!((stats.restarts, stats.lost), (2, 1));
}

#[test]
fn steps_within_the_bounds_are_loss_and_disorder_not_restarts() {
    let mut line = Line::new();
    line.put(0, 0);
    line.take(0);
    assert_eq!(line.put(0, 3_000), Reordered::Held);
    assert_eq!(line.put(0, 2_488), Reordered::Held);
    assert_eq!(line.put(0, 6_001), Reordered::Suspect);
    assert_eq!(
        line.put(0, 2_487),
        Reordered::Suspect,
        "too far from the other one"
    );
    assert_eq!(line.take(200), [2_488, 3_000]);
    assert_eq!(line.buffer.stats().lost, 2_487 + 511);
}

#[test]
fn strays_do_not_begin_anew() {
    let mut line = Line::new();
    line.put(0, 100);
    assert_eq!(line.put(0, 40_000), Reordered::Suspect);
    assert_eq!(
        line.put(0, 40_000),
        Reordered::Suspect,
        "its own copy agrees with nothing"
    );
    assert_eq!(line.put(0, 101), Reordered::Held);
    assert_eq!(line.put(0, 40_002), Reordered::Suspect);
    line.put(0, 102);
    assert_eq!(line.take(0), [100, 101, 102]);
    assert_eq!(line.buffer.stats().restarts, 0);
}

#[test]
fn seeded_disorder_gives_rising_numbers_each_once_and_all_that_came_in_time() {
    for seed in 1..=300 {
        let mut random = Seeded::new(seed);
        let mut line = Line::new();
        let loss = random.below(20);
        let mut arrivals = Vec::new();
        for index in 0..2_000_u64 {
            if index > 0 && random.below(100) < loss {
                continue;
            }
            let delay = if index == 0 { 0 } else { random.below(150) };
            arrivals.push((index * 3 + delay, index));
            if random.below(20) == 0 {
                arrivals.push((index * 3 + delay + random.below(400), index));
            }
        }
        arrivals.sort_unstable();
        let mut out: Vec<u32> = Vec::new();
        for (time, index) in &arrivals {
            let sequence = u16::try_from((65_000 + index) % 65_536).unwrap();
            let now = line.at(*time);
            if let Some(deadline) = line.buffer.next_deadline().filter(|due| *due < now) {
                out.extend(
                    std::iter::from_fn(|| line.buffer.poll_packet(deadline))
                        .map(|packet| packet.item),
                );
            }
            line.buffer
                .handle_packet(now, SSRC, sequence, u32::try_from(*index).unwrap());
            out.extend(line.take(*time));
        }
        out.extend(line.take(1_000_000));
        let mut expected: Vec<u32> = arrivals
            .iter()
            .map(|(_, index)| u32::try_from(*index).unwrap())
            .collect();
        expected.sort_unstable();
        expected.dedup();
        // No delay is longer than the wait, so nothing that came is missing.
        assert_eq!(out, expected, "seed {seed}");
        let stats = line.buffer.stats();
        let last = u64::from(*expected.last().unwrap());
        assert_eq!(
            stats.lost,
            last + 1 - u64::try_from(expected.len()).unwrap(),
            "seed {seed}"
        );
    }
}
