//! Packets back into the order they were sent in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The bounds of a [`ReorderBuffer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReorderLimits {
    /// Packets held behind a hole; at the bound the oldest hole is given up. Default 512, at least 1.
    pub max_packets: usize,
    /// How long a hole is waited for, from the arrival of the first packet behind it. Default 200 ms.
    pub max_wait: Duration,
}

impl Default for ReorderLimits {
    fn default() -> Self {
        Self {
            max_packets: 512,
            max_wait: Duration::from_millis(200),
        }
    }
}

/// Gives the packets of one stream in the order of their sequence numbers, each once.
///
/// Packets without a hole before them pass at once. A hole is waited for, and then given up as lost: what arrives
/// for it afterwards is late and dropped. Sequence numbers are extended to 64 bits and never go back: a new SSRC or
/// a jump, once two packets agree on it (RFC 3550 §A.1), goes on behind the old numbers, with a gap between.
///
/// Call [`handle_packet`](Self::handle_packet), then [`poll_packet`](Self::poll_packet) until `None`; again at
/// [`next_deadline`](Self::next_deadline).
#[derive(Debug)]
pub struct ReorderBuffer<T> {
    limits: ReorderLimits,
    source: Option<Source>,
    /// By extended sequence number, all from `Source::next` on.
    held: BTreeMap<u64, Held<T>>,
    /// A packet far off the others, until the next one.
    suspect: Option<Suspect<T>>,
    /// When the first packet behind the hole at the front arrived; none without a hole.
    hole_since: Option<Instant>,
    stats: ReorderStats,
}

/// A packet whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered<T> {
    /// Extended sequence number: above that of the packet before, by more than one after a loss or a restart.
    pub sequence: u64,
    /// When it arrived.
    pub arrival: Instant,
    /// What was put in.
    pub item: T,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reordered {
    /// It has its place.
    Held,
    /// It was there already.
    Duplicate,
    /// Its turn is over: delivered or given up.
    Late,
    /// Of another SSRC or far off the others: held aside until a second one agrees with it.
    Suspect,
    /// The sequence began anew with it and the suspect before it.
    Restarted,
}

/// Counts since the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReorderStats {
    /// Packets put in.
    pub received: u64,
    /// Packets that came before one of a lower number.
    pub reordered: u64,
    /// Copies of packets still held.
    pub duplicates: u64,
    /// Packets, or copies of packets, whose turn was over.
    pub late: u64,
    /// Numbers given up, whether their packets came late or never.
    pub lost: u64,
    /// Times the sequence began anew.
    pub restarts: u64,
}

#[derive(Debug)]
struct Held<T> {
    arrival: Instant,
    item: T,
}

#[derive(Debug)]
struct Suspect<T> {
    ssrc: u32,
    sequence: u16,
    held: Held<T>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    /// Whose turn it is.
    next: u64,
    /// The highest number seen.
    highest: u64,
    /// Where the present sequence began: nothing up to here is waited for.
    barrier: u64,
}

impl<T> ReorderBuffer<T> {
    /// An empty buffer; the first packet begins the sequence.
    pub fn new(limits: ReorderLimits) -> Self {
        Self {
            limits,
            source: None,
            held: BTreeMap::new(),
            suspect: None,
            hole_since: None,
            stats: ReorderStats::default(),
        }
    }

    /// Takes a packet as it arrives at `now`.
    pub fn handle_packet(&mut self, now: Instant, ssrc: u32, sequence: u16, item: T) -> Reordered {
        self.stats.received = self.stats.received.saturating_add(1);
        let held = Held { arrival: now, item };
        let Some(source) = self.source else {
            let first = FIRST_CYCLE | u64::from(sequence);
            self.source = Some(Source::starting_at(ssrc, first, first));
            return self.hold(first, held);
        };
        let extended = extend(source.highest, sequence);
        let far = if extended > source.highest {
            extended.saturating_sub(source.highest) > MAX_DROPOUT
        } else {
            source.highest.saturating_sub(extended) > MAX_MISORDER
        };
        if far || ssrc != source.ssrc {
            let stray = Suspect {
                ssrc,
                sequence,
                held,
            };
            return self.jump(source, stray);
        }
        if self.suspect.take().is_some() {
            self.stats.late = self.stats.late.saturating_add(1);
        }
        if extended < source.next {
            self.stats.late = self.stats.late.saturating_add(1);
            return Reordered::Late;
        }
        self.hold(extended, held)
    }

    /// The next packet in order, if its turn has come by `now`.
    pub fn poll_packet(&mut self, now: Instant) -> Option<Ordered<T>> {
        let mut source = self.source?;
        let (&first, _) = self.held.first_key_value()?;
        let is_hole = first != source.next && first > source.barrier;
        if is_hole && !self.is_over(now) {
            return None;
        }
        if first != source.barrier {
            let lost = first.saturating_sub(source.next);
            self.stats.lost = self.stats.lost.saturating_add(lost);
        }
        let (sequence, held) = self.held.pop_first()?;
        source.next = sequence.saturating_add(1);
        self.source = Some(source);
        self.hole_since = None;
        self.find_hole();
        Some(Ordered {
            sequence,
            arrival: held.arrival,
            item: held.item,
        })
    }

    /// When a hole is given up; `None` while nothing waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.hole_since?.checked_add(self.limits.max_wait)
    }

    /// Counts since the beginning.
    pub const fn stats(&self) -> ReorderStats {
        self.stats
    }

    /// Packets held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The hole at the front has been waited for long enough.
    fn is_over(&self, now: Instant) -> bool {
        self.held.len() >= self.limits.max_packets.max(1)
            || self.next_deadline().is_some_and(|deadline| now >= deadline)
    }

    fn hold(&mut self, sequence: u64, held: Held<T>) -> Reordered {
        let Some(source) = &mut self.source else {
            return Reordered::Late;
        };
        if self.held.contains_key(&sequence) {
            self.stats.duplicates = self.stats.duplicates.saturating_add(1);
            return Reordered::Duplicate;
        }
        if sequence < source.highest {
            self.stats.reordered = self.stats.reordered.saturating_add(1);
        }
        source.highest = source.highest.max(sequence);
        if self.held.len() >= self.limits.max_packets.max(1) {
            // Only when nobody polls.
            self.held.pop_first();
        }
        self.held.insert(sequence, held);
        self.find_hole();
        Reordered::Held
    }

    /// Holds a packet by its number near the highest.
    fn hold_newest(&mut self, sequence: u16, held: Held<T>) -> Reordered {
        match self.source {
            Some(source) => self.hold(extend(source.highest, sequence), held),
            None => Reordered::Late,
        }
    }

    /// A packet far off the others: two that agree make a restart.
    fn jump(&mut self, source: Source, stray: Suspect<T>) -> Reordered {
        let Some(suspect) = self.suspect.take() else {
            self.suspect = Some(stray);
            return Reordered::Suspect;
        };
        let ahead = stray.sequence.wrapping_sub(suspect.sequence);
        let behind = ahead.wrapping_neg();
        if stray.ssrc != suspect.ssrc || ahead == 0 || ahead.min(behind) > MAX_AGREEING {
            self.stats.late = self.stats.late.saturating_add(1);
            self.suspect = Some(stray);
            return Reordered::Suspect;
        }
        let (first, second) = if ahead < behind {
            (suspect, stray)
        } else {
            (stray, suspect)
        };
        self.restart(source, first.ssrc, first.sequence);
        self.hold_newest(first.sequence, first.held);
        self.hold_newest(second.sequence, second.held);
        Reordered::Restarted
    }

    /// Begins anew with this number, behind all there was.
    fn restart(&mut self, before: Source, ssrc: u32, sequence: u16) {
        self.stats.restarts = self.stats.restarts.saturating_add(1);
        let mut first = before.highest & !0xffff | u64::from(sequence);
        while first <= before.highest.saturating_add(1) {
            first = first.saturating_add(1 << 16);
        }
        self.source = Some(Source::starting_at(ssrc, before.next, first));
    }

    /// Notes when the hole at the front, if there is one, was first seen.
    fn find_hole(&mut self) {
        let is_hole = match (self.source, self.held.first_key_value()) {
            (Some(source), Some((&first, _))) => first > source.next && first > source.barrier,
            _ => false,
        };
        self.hole_since = match self.hole_since {
            since @ Some(_) if is_hole => since,
            _ if is_hole => self.held.values().map(|held| held.arrival).min(),
            _ => None,
        };
    }
}

impl Source {
    const fn starting_at(ssrc: u32, next: u64, first: u64) -> Self {
        Self {
            ssrc,
            next,
            highest: first,
            barrier: first,
        }
    }
}

/// The number nearest to `highest` that ends in these 16 bits.
fn extend(highest: u64, sequence: u16) -> u64 {
    let low = u16::try_from(highest & 0xffff).unwrap_or_default();
    let ahead = sequence.wrapping_sub(low);
    if ahead < 0x8000 {
        highest.saturating_add(u64::from(ahead))
    } else {
        highest.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

/// So far up that no number before the first goes below zero.
const FIRST_CYCLE: u64 = 1 << 16;
/// RFC 3550 §A.1.
const MAX_DROPOUT: u64 = 3_000;
/// More than the 100 of RFC 3550 §A.1: a retransmission may come this late, and must not look like a restart.
const MAX_MISORDER: u64 = 512;
/// How far apart two packets of a new sequence may be.
const MAX_AGREEING: u16 = 64;
