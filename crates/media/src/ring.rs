//! The items since the newest chain start, once per stream or layer, read through cursors.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a ring holds: a frame of a live stream, an RTP packet of a published layer.
pub trait Item {
    /// Bytes charged against [`RingLimits::max_bytes`]: payload plus a fixed cost per slot, so never zero.
    fn cost(&self) -> usize;

    /// A decoder may begin here: a keyframe, the first packet of one, any frame of an audio-only stream.
    fn starts_chain(&self) -> bool;

    /// Charged against the budget of [`Ring::with_audio_budget`] instead of [`RingLimits::max_bytes`]: sound that
    /// shares a ring with pictures. A ring of one track has no need of it.
    fn is_audio(&self) -> bool {
        false
    }
}

/// The bounds of a [`Ring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLimits {
    /// Sum of the items' costs. Default 16 MiB.
    pub max_bytes: usize,
    /// Age of the oldest item, by arrival and not by media time: no timestamp jump can empty or freeze the ring.
    /// Default 12 s.
    pub max_age: Duration,
    /// History before the newest chain start, kept only for readers that are behind. Default 2 s.
    pub lag_window: Duration,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            max_bytes: 16 << 20,
            max_age: Duration::from_secs(12),
            lag_window: Duration::from_secs(2),
        }
    }
}

/// Items in order of arrival, numbered for ever, bounded in bytes and age; it knows no readers.
///
/// At the bound the oldest item goes. When that is the newest chain start, the ring has no start until the next
/// one arrives: present readers go on, joiners wait. It never offers a chain with a hole.
#[derive(Debug)]
pub struct Ring<T> {
    slots: VecDeque<(Instant, T)>,
    base: u64,
    start: Option<u64>,
    bytes: usize,
    audio_bytes: usize,
    limits: RingLimits,
    max_audio_bytes: usize,
}

/// A reader's place in a [`Ring`]; it pins no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// Waits for its first chain start: what it passes over is no loss.
    Joining,
    /// Waits for a chain start to go on from: what it passes over is lost.
    Lagging,
}

impl Cursor {
    /// Gives up the backlog: the reader goes on at the newest chain start not yet read, or waits for one.
    pub const fn skip_to_start(&mut self) {
        if matches!(self.state, State::Reading) {
            self.state = State::Lagging;
        }
    }
}

/// What [`Ring::read`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<'a, T> {
    /// The next item.
    Item(&'a T),
    /// Items were lost by a slow reader; the next read gives a chain start.
    Lagged {
        /// How many items the reader will never see.
        skipped: u64,
    },
    /// Nothing to read now: the reader is up to date, or waits for a chain start.
    Empty,
}

impl<T: Item> Ring<T> {
    /// An empty ring; allocates on the first push.
    pub const fn new(limits: RingLimits) -> Self {
        Self {
            slots: VecDeque::new(),
            base: 0,
            start: None,
            bytes: 0,
            audio_bytes: 0,
            limits,
            max_audio_bytes: limits.max_bytes,
        }
    }

    /// An empty ring whose audio has a budget of its own, so that sound never shortens the window of the pictures.
    /// Beyond either budget the oldest item goes, whatever it is.
    pub const fn with_audio_budget(limits: RingLimits, max_audio_bytes: usize) -> Self {
        let mut ring = Self::new(limits);
        ring.max_audio_bytes = max_audio_bytes;
        ring
    }

    /// Appends an item that arrived at `now`, then evicts what is over the bounds.
    pub fn push(&mut self, now: Instant, item: T) {
        if item.starts_chain() {
            self.start = Some(self.head());
        }
        *self.budget(&item) += item.cost();
        self.slots.push_back((now, item));
        self.evict(now);
    }

    /// Evicts what is over the bounds at `now`: for the shard's tick, so that a silent stream frees its memory.
    pub fn evict(&mut self, now: Instant) {
        while self.front_is_due(now) {
            self.evict_oldest();
        }
    }

    /// Evicts the oldest item whatever the bounds say, as when many rings share the memory; false when there is none.
    pub fn evict_oldest(&mut self) -> bool {
        let Some((_, item)) = self.slots.pop_front() else {
            return false;
        };
        *self.budget(&item) -= item.cost();
        if self.start == Some(self.base) {
            self.start = None;
        }
        self.base += 1;
        true
    }

    /// A new reader: at the newest chain start, or waiting for the next one.
    pub fn join(&self) -> Cursor {
        match self.start {
            Some(start) => Cursor {
                next: start,
                state: State::Reading,
            },
            None => self.join_live(),
        }
    }

    /// A new reader that takes history only when it is short: at most `max_items` items and `max_age`, else it waits.
    pub fn join_within(&self, now: Instant, max_items: u64, max_age: Duration) -> Cursor {
        match self.start {
            Some(start) if self.head() - start <= max_items && self.age(start, now) <= max_age => {
                Cursor {
                    next: start,
                    state: State::Reading,
                }
            }
            _ => self.join_live(),
        }
    }

    /// A new reader that takes no history: it waits for the next chain start.
    pub fn join_live(&self) -> Cursor {
        Cursor {
            next: self.head(),
            state: State::Joining,
        }
    }

    /// The next item for this reader. Replay and live are the same call: no seam at which an item could be lost or
    /// doubled.
    pub fn read(&self, cursor: &mut Cursor) -> Read<'_, T> {
        if cursor.state == State::Reading && cursor.next < self.base {
            cursor.state = State::Lagging;
        }
        if cursor.state != State::Reading {
            let Some(start) = self.start.filter(|start| *start >= cursor.next) else {
                return Read::Empty;
            };
            let skipped = start - cursor.next;
            let lagged = cursor.state == State::Lagging && skipped > 0;
            *cursor = Cursor {
                next: start,
                state: State::Reading,
            };
            if lagged {
                return Read::Lagged { skipped };
            }
        }
        match self.slot(cursor.next) {
            Some((_, item)) => {
                cursor.next += 1;
                Read::Item(item)
            }
            None => Read::Empty,
        }
    }

    /// Whether this reader gets nothing before the next chain start: time to ask for a keyframe, throttled.
    pub fn is_waiting(&self, cursor: &Cursor) -> bool {
        let behind = cursor.state != State::Reading || cursor.next < self.base;
        behind && self.start.is_none_or(|start| start < cursor.next)
    }

    /// How long the oldest item this reader has not read has been here; zero when it is up to date.
    pub fn lag(&self, cursor: &Cursor, now: Instant) -> Duration {
        self.age(cursor.next.max(self.base), now)
    }

    /// Everything from the newest chain start on, in order; `None` while there is no start.
    pub fn snapshot(&self) -> Option<impl Iterator<Item = &T>> {
        let start = self.start?;
        Some((start..self.head()).filter_map(|number| self.slot(number).map(|(_, item)| item)))
    }

    /// What is still kept from before the newest chain start, in order: an item that arrived ahead of the start it
    /// belongs to is there. Bounded by [`RingLimits::lag_window`].
    pub fn before_start(&self) -> impl Iterator<Item = &T> {
        (self.base..self.start.unwrap_or(self.base))
            .filter_map(|number| self.slot(number).map(|(_, item)| item))
    }

    /// An item still here, with the time it arrived.
    #[inline]
    pub fn at(&self, number: u64) -> Option<(Instant, &T)> {
        self.slot(number).map(|(arrived, item)| (*arrived, item))
    }

    /// The number of the oldest item still here; [`Self::head`] when there is none.
    pub const fn oldest(&self) -> u64 {
        self.base
    }

    /// The number the next item will get; it only grows.
    pub fn head(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// The number of the newest chain start still here.
    pub const fn start(&self) -> Option<u64> {
        self.start
    }

    /// Items kept now.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no item is kept now.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Cost of the items kept now without what is charged to the audio budget, at most [`RingLimits::max_bytes`].
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cost of the items charged to the audio budget.
    pub const fn audio_bytes(&self) -> usize {
        self.audio_bytes
    }

    fn budget(&mut self, item: &T) -> &mut usize {
        if item.is_audio() {
            &mut self.audio_bytes
        } else {
            &mut self.bytes
        }
    }

    fn slot(&self, number: u64) -> Option<&(Instant, T)> {
        let index = usize::try_from(number.checked_sub(self.base)?).ok()?;
        self.slots.get(index)
    }

    fn age(&self, number: u64, now: Instant) -> Duration {
        self.slot(number).map_or(Duration::ZERO, |(arrived, _)| {
            now.saturating_duration_since(*arrived)
        })
    }

    fn front_is_due(&self, now: Instant) -> bool {
        let Some((arrived, _)) = self.slots.front() else {
            return false;
        };
        let age = now.saturating_duration_since(*arrived);
        let before_start = self.start.is_some_and(|start| self.base < start);
        self.bytes > self.limits.max_bytes
            || self.audio_bytes > self.max_audio_bytes
            || age > self.limits.max_age
            || (before_start && age > self.limits.lag_window)
    }
}
