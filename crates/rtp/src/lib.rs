//! RTP as bytes: RFC 7983 classification, STUN usernames, payload formats, reordering, media time, and the rewriting of
//! numbers.
//!
//! Does: tells what a datagram and a payload are, turns frames into payloads and packets into access units on one
//! timeline, and keeps a subscriber's numbers gapless over switches of source.
//! Refuses to know: sessions, SRTP, sockets, clocks, rooms.
//! Invariant: no input panics, and no input is read outside its bounds or allocated for.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod classify;
mod depacketize;
mod obu;
mod packetize;
pub mod payload;
mod reorder;
mod rewrite;
pub mod stun;
mod time;

pub use classify::{Protocol, classify};
pub use depacketize::{AccessUnit, Damage, Depacketized, Depacketizer, Packet};
pub use packetize::{PacketizeError, Packetizer, PacketizerOptions, RtpPayload};
pub use payload::{KeyframeStart, PayloadInfo};
pub use reorder::{Ordered, ReorderBuffer, ReorderLimits, ReorderStats, Reordered};
pub use rewrite::{PictureIdRewriter, PictureIds, SequenceRewriter, TimestampRewriter};
pub use time::{DecodeTimes, Moment, NtpTime, RtpClock, SenderInfo, Timeline, TimestampUnwrapper};
