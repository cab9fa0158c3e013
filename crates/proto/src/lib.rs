//! Live protocols as machines without I/O.
//!
//! Does: WHIP and WHEP as HTTP semantics ([`wish`]): requests and outcomes go in, responses and actions come out;
//! which bytes of a recording a request gets ([`content`]); and reads the tokens that say who may publish or play
//! ([`token`]).
//! Refuses to know: sockets, clocks, ciphers, HTTP framing, the SDP engine, whom an application trusts.
//! Invariant: every request is answered exactly once, and every session the caller made is answered for or told to close.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

pub mod content;
mod permission;
pub mod token;
pub mod wish;

pub use permission::Permission;

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test adds to an arbitrary origin"
)]
fn origin() -> std::time::Instant {
    std::time::Instant::now()
}
