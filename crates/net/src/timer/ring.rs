//! Lists by time, and where the next one that is not empty lies.

/// 256 lists and a bit for each that is not empty.
#[derive(Debug)]
pub(crate) struct Ring {
    pub(crate) heads: Box<[u32; 256]>,
    occupied: [u64; 4],
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self {
            heads: Box::new([NONE; 256]),
            occupied: [0; 4],
        }
    }

    pub(crate) fn set(&mut self, slot: u8, occupied: bool) {
        let bit = 1 << (slot % 64);
        let word = &mut self.occupied[usize::from(slot / 64)];
        *word = if occupied { *word | bit } else { *word & !bit };
    }

    /// How far ahead of `from` the first list that is not empty lies, going round once.
    pub(crate) fn first_from(&self, from: u64) -> Option<u64> {
        let start = slot_of(from);
        let (word, bit) = (usize::from(start / 64), start % 64);
        let ahead = self.occupied[word] & (u64::MAX << bit);
        let words = (1..4).map(|step| (word + step) % 4);
        let behind = self.occupied[word] & !(u64::MAX << bit);
        let mut candidates = std::iter::once((word, ahead))
            .chain(words.map(|word| (word, self.occupied[word])))
            .chain(std::iter::once((word, behind)));
        let (word, bits) = candidates.find(|&(_, bits)| bits != 0)?;
        let found = word as u64 * 64 + u64::from(bits.trailing_zeros());
        Some((found + SLOTS - u64::from(start)) % SLOTS)
    }
}

/// Which list of a ring holds `tick`, or a block of that number.
pub(crate) fn slot_of(tick: u64) -> u8 {
    tick.to_le_bytes()[0]
}

/// Lists in a ring.
pub(crate) const SLOTS: u64 = 256;
/// No key: the end of a list. A key of this value cannot be armed.
pub(crate) const NONE: u32 = u32::MAX;
