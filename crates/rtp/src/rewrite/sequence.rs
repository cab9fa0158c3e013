//! Sequence numbers of a subscriber slot: gaps of the network stay, gaps of our making close.

/// Maps the extended sequence numbers of changing sources onto one gapless outgoing sequence.
///
/// `out = in + base`: a packet lost upstream leaves its gap, so that the subscriber's NACK still means something.
/// A packet we do not forward on purpose shifts what follows. The last 512 input numbers are remembered, so packets
/// that come late within that window still get their own number; older ones get none.
#[derive(Debug, Clone)]
pub struct SequenceRewriter {
    next_out: u64,
    source: Option<Source>,
}

/// What is known of the present source. Numbers are relative to its first packet, which is 0.
#[derive(Debug, Clone)]
struct Source {
    first_in: u64,
    first_out: u64,
    /// Highest number seen, mapped or dropped.
    newest: u64,
    /// One above the highest number mapped.
    sent: u64,
    /// How many numbers were closed up, all of them at or below `newest`.
    closed_count: u64,
    /// Numbers that shift those above them.
    closed: Window,
    /// Numbers dropped too late to close up: their gap is already on the wire.
    left_open: Window,
    mapped: Window,
}

impl SequenceRewriter {
    /// Starts at the low 15 bits of `first_out`: SRTP needs the first number in the lower half of roll-over 0
    /// (RFC 3711 §3.3.1), or reordering at the start would look like a roll-over.
    pub const fn new(first_out: u64) -> Self {
        Self {
            next_out: first_out & 0x7fff,
            source: None,
        }
    }

    /// The next source begins with `first_in`, which becomes the number after the highest one given out.
    pub const fn switch(&mut self, first_in: u64) {
        self.source = Some(Source {
            first_in,
            first_out: self.next_out,
            newest: 0,
            sent: 0,
            closed_count: 0,
            closed: Window::new(),
            left_open: Window::new(),
            mapped: Window::new(),
        });
    }

    /// The packet `seq_in` is not forwarded, on purpose: the gap closes, unless a later packet already went out.
    ///
    /// A number already mapped, older than the switch or older than the window is left as it is.
    pub fn drop(&mut self, seq_in: u64) {
        let Some(source) = &mut self.source else {
            return;
        };
        let Some(number) = seq_in.checked_sub(source.first_in) else {
            return;
        };
        let newest = source.see(number);
        if newest.saturating_sub(number) >= WINDOW || source.is_dropped(number) {
            return;
        }
        if number >= source.sent {
            source.closed.insert(number);
            source.closed_count = source.closed_count.saturating_add(1);
        } else if !source.mapped.contains(number) {
            source.left_open.insert(number);
        }
    }

    /// The outgoing number of `seq_in`, the same one each time it is asked.
    ///
    /// `None` for what is older than the switch point or the window, and for what was dropped. Without a switch
    /// before it, the first number asked for is the first of the source.
    pub fn map(&mut self, seq_in: u64) -> Option<u64> {
        if self.source.is_none() {
            self.switch(seq_in);
        }
        let source = self.source.as_mut()?;
        let number = seq_in.checked_sub(source.first_in)?;
        let newest = source.see(number);
        if newest.saturating_sub(number) >= WINDOW || source.is_dropped(number) {
            return None;
        }
        let closed_above = source.closed.count_between(number, newest);
        let closed_below = source.closed_count.checked_sub(closed_above)?;
        let out = source
            .first_out
            .checked_add(number)?
            .checked_sub(closed_below)?;
        source.mapped.insert(number);
        source.sent = source.sent.max(number.checked_add(1)?);
        self.next_out = self.next_out.max(out.checked_add(1)?);
        Some(out)
    }

    /// The number after the highest one given out.
    pub const fn next_out(&self) -> u64 {
        self.next_out
    }
}

impl Source {
    /// Moves the windows up to `number` when it is new, and returns the newest number.
    fn see(&mut self, number: u64) -> u64 {
        if number > self.newest {
            self.closed.advance(self.newest, number);
            self.left_open.advance(self.newest, number);
            self.mapped.advance(self.newest, number);
            self.newest = number;
        }
        self.newest
    }

    fn is_dropped(&self, number: u64) -> bool {
        self.closed.contains(number) || self.left_open.contains(number)
    }
}

/// A set of numbers out of the newest [`WINDOW`], as bits at the number modulo the window.
#[derive(Debug, Clone)]
struct Window {
    words: [u64; WORDS],
}

impl Window {
    const fn new() -> Self {
        Self { words: [0; WORDS] }
    }

    fn insert(&mut self, number: u64) {
        if let Some(word) = self.words.get_mut(word_of(number)) {
            *word |= bit_of(number);
        }
    }

    fn contains(&self, number: u64) -> bool {
        self.words
            .get(word_of(number))
            .is_some_and(|word| word & bit_of(number) != 0)
    }

    /// Forgets the numbers whose places `(newest, number]` take.
    fn advance(&mut self, newest: u64, number: u64) {
        if number.saturating_sub(newest) >= WINDOW {
            *self = Self::new();
            return;
        }
        for place in newest.saturating_add(1)..=number {
            if let Some(word) = self.words.get_mut(word_of(place)) {
                *word &= !bit_of(place);
            }
        }
    }

    /// How many members lie in `(number, newest]`.
    fn count_between(&self, number: u64, newest: u64) -> u64 {
        let mut count = 0_u64;
        let mut place = number.saturating_add(1);
        while place <= newest {
            let word = self.words.get(word_of(place)).copied().unwrap_or_default();
            let from = place % 64;
            let upto = newest.saturating_sub(place).saturating_add(from).min(63);
            let mask = (u64::MAX << from) & (u64::MAX >> 63_u64.saturating_sub(upto));
            count = count.saturating_add(u64::from((word & mask).count_ones()));
            place = place.saturating_add(64_u64.saturating_sub(from));
        }
        count
    }
}

const fn word_of(number: u64) -> usize {
    // Below WORDS, so it fits every usize.
    (number >> 6 & WORD_MASK) as usize
}

const fn bit_of(number: u64) -> u64 {
    1 << (number % 64)
}

const WORDS: usize = 8;
const WORD_MASK: u64 = WORDS as u64 - 1;

/// Half a second of a 10 Mbit/s layer, far beyond the reordering a jitter buffer would accept.
const WINDOW: u64 = WORDS as u64 * 64;
