//! One deadline per client slot, cheap enough to move at each packet.

mod ring;

use std::time::{Duration, Instant};

use ring::{NONE, Ring, SLOTS, slot_of};

/// A timer wheel for keys that are dense `u32` slots; each key has at most one deadline.
///
/// Deadlines are rounded up to whole milliseconds since `origin` and never fire early. Arming,
/// moving and cancelling cost O(1) and touch no other key. Memory is 24 bytes per key up to the
/// largest one ever armed, so keys must be slots of a bounded pool.
///
/// It reads no clock: time only comes in through [`expire`](Self::expire).
#[derive(Debug)]
pub struct Wheel {
    origin: Instant,
    /// All deadlines at or before this tick have fired.
    current: u64,
    entries: Vec<Entry>,
    /// Deadlines that were over when armed.
    due: u32,
    /// The next 256 ticks.
    near: Ring,
    /// The next 256 blocks of 256 ticks (65 s).
    far: Ring,
    /// Everything later.
    beyond: u32,
}

impl Wheel {
    /// An empty wheel whose first tick is at `origin`; deadlines before it are over.
    pub fn new(origin: Instant) -> Self {
        Self {
            origin,
            current: 0,
            entries: Vec::new(),
            due: NONE,
            near: Ring::new(),
            far: Ring::new(),
            beyond: NONE,
        }
    }

    /// Sets the deadline of `key`, in place of the one it may have; a deadline that is over fires
    /// at the next [`expire`](Self::expire).
    pub fn arm(&mut self, key: u32, at: Instant) {
        let tick = self.tick_at_or_after(at);
        let index = key as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::IDLE);
        }
        if self.entries[index].home != Home::Idle {
            if self.entries[index].tick == tick {
                return;
            }
            self.unlink(key);
        }
        self.entries[index].tick = tick;
        self.place(key);
    }

    /// As [`arm`](Self::arm), at the roundest tick up to `slack` later: deadlines that can wait fall
    /// together, and one wake-up serves them all.
    pub fn arm_within(&mut self, key: u32, at: Instant, slack: Duration) {
        let first = self.tick_at_or_after(at);
        let last = first.saturating_add(ticks(slack));
        // The highest bit in which the two differ is the largest power of two with a multiple between.
        let differing = (first.saturating_sub(1) ^ last)
            .checked_ilog2()
            .unwrap_or(0);
        let tick = last >> differing << differing;
        self.arm(key, self.origin + Duration::from_millis(tick));
    }

    /// Forgets the deadline of `key`, if it has one.
    pub fn cancel(&mut self, key: u32) {
        if self.is_armed(key) {
            self.unlink(key);
        }
    }

    /// Whether `key` has a deadline that has not fired.
    pub fn is_armed(&self, key: u32) -> bool {
        self.entries
            .get(key as usize)
            .is_some_and(|entry| entry.home != Home::Idle)
    }

    /// Appends each key whose deadline is at or before `now` to `expired`, in no particular order;
    /// their deadlines are gone afterwards. Time that goes back is taken for standing still.
    pub fn expire(&mut self, now: Instant, expired: &mut Vec<u32>) {
        self.fire(Home::Due, expired);
        let now = ticks(now.saturating_duration_since(self.origin));
        while let Some(next) = self.next_tick().filter(|&next| next <= now) {
            self.current = next;
            if next.is_multiple_of(SLOTS) {
                self.cascade();
            }
            self.fire(Home::Near(slot_of(next)), expired);
            self.fire(Home::Due, expired);
        }
        self.current = self.current.max(now);
    }

    /// When to call [`expire`](Self::expire) next; `None` when no key is armed.
    ///
    /// Never later than the earliest deadline, except that one already over gives the time of the
    /// last call. Earlier than that deadline, for housekeeping, when it was armed more than 256 ms
    /// ahead: at most once per 256 ms.
    pub fn next_deadline(&self) -> Option<Instant> {
        let tick = if self.due == NONE {
            self.next_tick()?
        } else {
            self.current
        };
        self.origin.checked_add(Duration::from_millis(tick))
    }

    fn tick_at_or_after(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        let whole = ticks(since);
        let late = Duration::from_millis(whole) < since;
        whole.saturating_add(u64::from(late))
    }

    /// The next tick at which something fires or moves inwards.
    fn next_tick(&self) -> Option<u64> {
        let near = self
            .near
            .first_from(self.current + 1)
            .map(|ahead| self.current + 1 + ahead);
        let block = self.current / SLOTS + 1;
        let far = self
            .far
            .first_from(block)
            .map(|ahead| (block + ahead) * SLOTS);
        let beyond =
            (self.beyond != NONE).then(|| (self.current / SLOTS / SLOTS + 1) * SLOTS * SLOTS);
        near.into_iter().chain(far).chain(beyond).min()
    }
}

impl Wheel {
    fn place(&mut self, key: u32) {
        let tick = self.entries[key as usize].tick;
        let home = if tick <= self.current {
            Home::Due
        } else if tick - self.current < SLOTS {
            Home::Near(slot_of(tick))
        } else if tick / SLOTS - self.current / SLOTS < SLOTS {
            Home::Far(slot_of(tick / SLOTS))
        } else {
            Home::Beyond
        };
        let head = self.head(home);
        let next = std::mem::replace(head, key);
        self.note_occupied(home, true);
        if let Some(entry) = self.entries.get_mut(next as usize) {
            entry.prev = key;
        }
        let entry = &mut self.entries[key as usize];
        (entry.home, entry.prev, entry.next) = (home, NONE, next);
    }

    fn unlink(&mut self, key: u32) {
        let Entry {
            home, prev, next, ..
        } = self.entries[key as usize];
        self.entries[key as usize].home = Home::Idle;
        if let Some(entry) = self.entries.get_mut(next as usize) {
            entry.prev = prev;
        }
        if let Some(entry) = self.entries.get_mut(prev as usize) {
            entry.next = next;
        } else {
            *self.head(home) = next;
            self.note_occupied(home, next != NONE);
        }
    }

    /// At the first tick of a block: its deadlines move to their exact ticks.
    fn cascade(&mut self) {
        let block = self.current / SLOTS;
        if block.is_multiple_of(SLOTS) {
            self.replace_all(Home::Beyond);
        }
        self.replace_all(Home::Far(slot_of(block)));
    }

    fn replace_all(&mut self, home: Home) {
        let mut key = self.detach(home);
        while let Some(entry) = self.entries.get(key as usize) {
            let next = entry.next;
            self.place(key);
            key = next;
        }
    }

    fn fire(&mut self, home: Home, expired: &mut Vec<u32>) {
        let mut key = self.detach(home);
        while let Some(entry) = self.entries.get_mut(key as usize) {
            entry.home = Home::Idle;
            expired.push(key);
            key = entry.next;
        }
    }

    fn detach(&mut self, home: Home) -> u32 {
        self.note_occupied(home, false);
        std::mem::replace(self.head(home), NONE)
    }

    fn head(&mut self, home: Home) -> &mut u32 {
        match home {
            Home::Near(slot) => &mut self.near.heads[usize::from(slot)],
            Home::Far(slot) => &mut self.far.heads[usize::from(slot)],
            Home::Beyond => &mut self.beyond,
            Home::Due | Home::Idle => &mut self.due,
        }
    }

    fn note_occupied(&mut self, home: Home, occupied: bool) {
        match home {
            Home::Near(slot) => self.near.set(slot, occupied),
            Home::Far(slot) => self.far.set(slot, occupied),
            Home::Beyond | Home::Due | Home::Idle => {}
        }
    }
}

/// A key's deadline and its neighbours in the list it is in.
#[derive(Debug, Clone, Copy)]
struct Entry {
    tick: u64,
    prev: u32,
    next: u32,
    home: Home,
}

impl Entry {
    const IDLE: Self = Self {
        tick: 0,
        prev: NONE,
        next: NONE,
        home: Home::Idle,
    };
}

/// The list a key is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    Idle,
    Due,
    Near(u8),
    Far(u8),
    Beyond,
}

fn ticks(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
