//! The wheel against a map that does the same the slow way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Wheel;
use crate::seeded::Seeded;

/// Whole milliseconds since the origin, rounded up: the deadline the wheel promises.
#[derive(Default)]
struct Model {
    deadlines: BTreeMap<u32, u64>,
}

impl Model {
    fn expire(&mut self, now_ms: u64) -> Vec<u32> {
        let due: Vec<u32> = self
            .deadlines
            .iter()
            .filter(|&(_, &at)| at <= now_ms)
            .map(|(&key, _)| key)
            .collect();
        self.deadlines.retain(|_, at| *at > now_ms);
        due
    }
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Deadlines from the past to minutes ahead, most of them near.
fn some_delay_micros(random: &mut Seeded) -> u64 {
    let bits = 1 + random.below(28);
    random.below(1 << bits)
}

fn agrees_with_the_model(seed: u64, jump_bits: u64) {
    let origin = Instant::now();
    let (mut random, mut wheel, mut model) =
        (Seeded::new(seed), Wheel::new(origin), Model::default());
    let mut now = 0;
    let mut fired = 0;
    for _ in 0..20_000 {
        let key = u32::try_from(random.below(300)).unwrap();
        match random.below(10) {
            0..6 => {
                let at = (now + some_delay_micros(&mut random)).saturating_sub(2_000);
                wheel.arm(key, origin + micros(at));
                model.deadlines.insert(key, at.div_ceil(1000));
            }
            6 => {
                wheel.cancel(key);
                model.deadlines.remove(&key);
            }
            _ => {
                now += random.below(1 << jump_bits);
                let mut expired = Vec::new();
                wheel.expire(origin + micros(now), &mut expired);
                expired.sort_unstable();
                assert_eq!(expired, model.expire(now / 1000), "seed {seed} at {now} µs");
                fired += expired.len();
            }
        }
        assert_eq!(wheel.is_armed(key), model.deadlines.contains_key(&key));
        let earliest = model.deadlines.values().min().copied();
        match (wheel.next_deadline(), earliest) {
            (None, None) => {}
            (Some(next), Some(earliest)) => {
                let next = u64::try_from((next - origin).as_micros()).unwrap();
                assert!(
                    next <= now.max(earliest * 1000),
                    "seed {seed}: told too late"
                );
                assert!(
                    next > now || earliest * 1000 <= now,
                    "seed {seed}: told for nothing"
                );
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!(fired > 1000, "seed {seed} exercised nothing");
}

#[test]
fn wheel_fires_what_a_map_would_fire() {
    for seed in 0..8 {
        // Turns of up to 4 ms, 0.3 s, 17 s and 4 min.
        for jump_bits in [12, 18, 24, 28] {
            agrees_with_the_model(seed, jump_bits);
        }
    }
}

#[test]
fn sleeping_until_next_deadline_reaches_every_deadline_in_time() {
    let origin = Instant::now();
    let mut random = Seeded::new(7);
    let mut wheel = Wheel::new(origin);
    let mut deadlines = BTreeMap::new();
    for key in 0..500 {
        let at = origin + micros(some_delay_micros(&mut random));
        wheel.arm(key, at);
        deadlines.insert(key, at);
    }
    let (mut wakes, mut expired) = (0, Vec::new());
    while let Some(now) = wheel.next_deadline() {
        wakes += 1;
        wheel.expire(now, &mut expired);
        for key in expired.drain(..) {
            let late = now.checked_duration_since(deadlines.remove(&key).unwrap());
            assert!(
                late.is_some_and(|late| late < Duration::from_millis(1)),
                "key {key}"
            );
        }
    }
    assert!(deadlines.is_empty());
    assert!(wakes < 2000, "{wakes} wakes for 500 deadlines");
}

#[test]
fn deadline_never_fires_early() {
    let origin = Instant::now();
    let mut wheel = Wheel::new(origin);
    let mut expired = Vec::new();
    wheel.arm(0, origin + micros(10_001));
    wheel.expire(origin + micros(10_999), &mut expired);
    assert_eq!(expired, []);
    wheel.expire(origin + micros(11_000), &mut expired);
    assert_eq!(expired, [0]);
}

#[test]
fn moved_deadline_fires_once_and_at_its_last_place() {
    let origin = Instant::now();
    let mut wheel = Wheel::new(origin);
    let mut expired = Vec::new();
    for at in [5, 700, 90_000, 40] {
        wheel.arm(3, origin + Duration::from_millis(at));
    }
    wheel.expire(origin + Duration::from_millis(39), &mut expired);
    assert_eq!(expired, []);
    wheel.expire(origin + Duration::from_secs(200), &mut expired);
    assert_eq!(expired, [3]);
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn deadlines_that_can_wait_fall_together() {
    let origin = Instant::now();
    let mut random = Seeded::new(5);
    let mut wheel = Wheel::new(origin);
    let (slack, mut wanted) = (micros(64_000), BTreeMap::new());
    for key in 0..500 {
        let at = origin + micros(random.below(2_000_000));
        wheel.arm_within(key, at, slack);
        wanted.insert(key, at);
    }
    let (mut wakes, mut expired) = (0, Vec::new());
    while let Some(now) = wheel.next_deadline() {
        wheel.expire(now, &mut expired);
        wakes += usize::from(!expired.is_empty());
        for key in expired.drain(..) {
            let at = wanted[&key];
            assert!(now >= at, "early");
            assert!(now < at + slack + micros(1000), "{:?} late", now - at);
        }
    }
    assert!(wakes <= 32, "{wakes} wakes for 500 deadlines in 2 s");
}
