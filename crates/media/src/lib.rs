//! Media values without I/O: codecs, and the ring with cursors.
//!
//! Does: names codecs, and keeps the items since the newest chain start for readers that come late.
//! Refuses to know: sockets, clocks, RTP, rooms, protocols.
//! Invariant: a reader of a [`Ring`] sees consecutive items from a chain start, or is told what it missed.

#![forbid(unsafe_code)]

mod codec;
mod ring;

pub use codec::{Codec, MediaKind};
pub use ring::{Cursor, Item, Read, Ring, RingLimits};
