//! RTP as bytes: RFC 7983 classification, STUN usernames, payload descriptors, and the rewriting of numbers.
//!
//! Does: tells what a datagram and a payload are, and keeps a subscriber's numbers gapless over switches of source.
//! Refuses to know: sessions, SRTP, sockets, clocks, rooms.
//! Invariant: no input panics, and no input is read outside its bounds or allocated for.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod classify;
pub mod payload;
mod rewrite;
pub mod stun;

pub use classify::{Protocol, classify};
pub use payload::{KeyframeStart, PayloadInfo};
pub use rewrite::{PictureIdRewriter, PictureIds, SequenceRewriter, TimestampRewriter};
