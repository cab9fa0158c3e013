//! Numbers that say which shard what they name is on.

/// A number of a shard's own, unique in the server.
pub(crate) const fn on_shard(number: u64, shard: usize) -> u64 {
    (number << SHARD_BITS) | shard as u64
}

/// The shard that such a number names.
pub(crate) const fn shard_of(number: u64) -> usize {
    (number & ((1 << SHARD_BITS) - 1)) as usize
}

const SHARD_BITS: u32 = 8;
