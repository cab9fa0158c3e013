//! A one-way path between two hosts, and what it does to datagrams.

use std::time::{Duration, Instant};

use crate::rng::Rng;

/// What a path does. The default is a perfect wire without delay.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Time on the way.
    pub delay: Duration,
    /// Up to this much more, drawn per datagram; order is kept.
    pub jitter: Duration,
    /// Losses.
    pub loss: Loss,
    /// Share of datagrams that arrive twice.
    pub duplicate: f64,
    /// Share of datagrams held back by up to [`Self::reorder_by`], so that later ones overtake.
    pub reorder: f64,
    /// See [`Self::reorder`].
    pub reorder_by: Duration,
    /// The bottleneck.
    pub rate: Option<Rate>,
}

/// How a path loses datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub enum Loss {
    /// Never.
    #[default]
    None,
    /// Each with this probability.
    Random(f64),
    /// Gilbert-Elliott: in the bad state everything is lost.
    Burst {
        /// Probability to turn bad, per datagram.
        enter: f64,
        /// Probability to turn good again, per datagram.
        leave: f64,
    },
}

/// A token bucket of one datagram with a queue bounded in bytes: what does not fit is dropped.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Drain of the queue.
    pub bits_per_second: u64,
    /// Most that waits.
    pub queue_bytes: u64,
}

/// A path with its state.
#[derive(Debug)]
pub struct Path {
    profile: Profile,
    seed: u64,
    origin: Instant,
    /// Of the datagram at hand.
    rng: Rng,
    /// Since when it loses everything.
    bad: Option<Instant>,
    /// When the queue will be empty.
    busy_until: Option<Instant>,
    last_arrival: Option<Instant>,
    blackhole: bool,
    /// Datagrams that did not arrive.
    pub lost: u64,
    /// Datagrams handed in.
    pub sent: u64,
}

impl Path {
    /// A path with its own chance.
    ///
    /// What befalls a datagram is drawn from what it is and when, not from how many came before: str0m walks hash
    /// maps whose order no seed decides, and two datagrams of one instant may change places from run to run.
    pub const fn new(profile: Profile, origin: Instant, mut rng: Rng) -> Self {
        Self {
            profile,
            seed: rng.next(),
            origin,
            rng,
            bad: None,
            busy_until: None,
            last_arrival: None,
            blackhole: false,
            lost: 0,
            sent: 0,
        }
    }

    /// Replaces what it does from now on.
    pub fn set_profile(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// What it does now.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Swallows everything while `on`.
    pub const fn blackhole(&mut self, on: bool) {
        self.blackhole = on;
    }

    /// When a datagram handed in at `now` arrives: not at all, once or twice.
    pub fn send(&mut self, now: Instant, bytes: &[u8]) -> [Option<Instant>; 2] {
        self.sent += 1;
        let at = u64::try_from((now - self.origin).as_nanos()).unwrap_or_default();
        self.rng = Rng::new(self.seed ^ at.rotate_left(20) ^ name(bytes));
        self.rng.next();
        let Some(leaves) = self.queue(now, bytes).filter(|_| !self.loses(now)) else {
            self.lost += 1;
            return [None, None];
        };
        let first = self.arrival(leaves);
        let second = self
            .rng
            .chance(self.profile.duplicate)
            .then(|| self.arrival(leaves));
        [Some(first), second]
    }

    fn arrival(&mut self, leaves: Instant) -> Instant {
        let mut at = leaves + self.profile.delay + self.part_of(self.profile.jitter);
        if self.rng.chance(self.profile.reorder) {
            return at + self.part_of(self.profile.reorder_by);
        }
        if let Some(last) = self.last_arrival {
            at = at.max(last);
        }
        self.last_arrival = Some(at);
        at
    }

    fn queue(&mut self, now: Instant, bytes: &[u8]) -> Option<Instant> {
        let Some(rate) = self.profile.rate else {
            return Some(now);
        };
        let from = self.busy_until.map_or(now, |at| at.max(now));
        let waiting = from.saturating_duration_since(now);
        let queued = u128::from(rate.bits_per_second) * waiting.as_micros() / 8_000_000;
        // A DTLS signature's length is left to chance that no seed decides: charge a flat size.
        let dtls = bytes.first().is_some_and(|b| (20..64).contains(b));
        let size = if dtls { 600 } else { bytes.len() as u64 };
        if queued + u128::from(size) > u128::from(rate.queue_bytes) {
            return None;
        }
        let until = from + Duration::from_nanos(size * 8_000_000_000 / rate.bits_per_second.max(1));
        self.busy_until = Some(until);
        Some(until)
    }

    fn loses(&mut self, now: Instant) -> bool {
        if self.blackhole {
            return true;
        }
        match self.profile.loss {
            Loss::None => false,
            Loss::Random(p) => self.rng.chance(p),
            Loss::Burst { enter, leave } => {
                let lasts = |since: &Instant| now < *since + LONGEST_BURST;
                self.bad = match self.bad.filter(lasts) {
                    Some(since) => (!self.rng.chance(leave)).then_some(since),
                    None => self.rng.chance(enter).then_some(now),
                };
                self.bad.is_some()
            }
        }
    }

    fn part_of(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_micros()).unwrap_or_default();
        Duration::from_micros(self.rng.range(0, most + 1))
    }
}

/// Counted in datagrams alone, a burst would last minutes for a peer that only sends checks.
const LONGEST_BURST: Duration = Duration::from_millis(300);

/// SSRC and sequence number of RTP; the length of anything else, but for DTLS, whose signatures vary.
fn name(bytes: &[u8]) -> u64 {
    match bytes {
        [first, ..] if (20..64).contains(first) => 1,
        [128..=191, kind, sequence @ .., _] if !(64..96).contains(&(kind & 0x7f)) => {
            sequence.first_chunk::<10>().map_or(2, |head| {
                head.iter()
                    .fold(3, |hash, byte| hash.wrapping_mul(31) + u64::from(*byte))
            })
        }
        other => other.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_whatever_is_pushed_in() {
        let t0 = Instant::now();
        let profile = Profile {
            rate: Some(Rate {
                bits_per_second: 1_000_000,
                queue_bytes: 20_000,
            }),
            ..Profile::default()
        };
        let mut path = Path::new(profile, t0, Rng::new(1));
        let arrived = (0..4000_u64)
            .filter_map(|i| path.send(t0 + Duration::from_micros(i * 500), &[200; 1000])[0])
            .filter(|at| *at <= t0 + Duration::from_secs(2))
            .count();
        assert!((245..=251).contains(&arrived), "{arrived} of 1000 B in 2 s");
    }

    #[test]
    fn the_same_seed_loses_the_same() {
        let t0 = Instant::now();
        let run = |seed| {
            let profile = Profile {
                loss: Loss::Burst {
                    enter: 0.02,
                    leave: 0.3,
                },
                duplicate: 0.1,
                jitter: Duration::from_millis(9),
                ..Profile::default()
            };
            let mut path = Path::new(profile, t0, Rng::new(seed));
            (0..500)
                .map(|i| path.send(t0 + Duration::from_micros(i), &[200; 50]))
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
