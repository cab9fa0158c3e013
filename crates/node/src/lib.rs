//! The N-API conversion: handles, options, event batches, error codes.
//!
//! It converts and never decides: what a call means is `server`'s, what an argument may be is the
//! facade's in `ts/`.
//!
//! It refuses to know media, rooms and threads.
//!
//! Invariant: nothing here panics into Node, and nothing here calls JavaScript after its
//! environment began to end.
#![deny(unsafe_code)]
#![expect(
    unreachable_pub,
    reason = "napi asks for `pub` on what only JavaScript reaches"
)]
#![expect(
    clippy::needless_pass_by_value,
    clippy::trivially_copy_pass_by_ref,
    reason = "napi decides how arguments arrive"
)]

mod enums;
mod errors;
mod event_samples;
mod events;
mod guard;
mod live;
mod live_bridges;
mod live_calls;
mod live_events;
mod live_playback;
mod live_recordings;
mod live_storage;
mod live_tokens;
mod live_values;
mod options;
mod registry;
mod server;
mod sink;
mod stats;
mod teardown;
mod tracks;
