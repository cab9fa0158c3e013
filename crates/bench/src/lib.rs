//! What the benches share: a str0m peer, its media, CPU readings and spreads.
//!
//! Development only, never shipped. The programs are `relay` (the room alone, in memory), `floor`
//! (what sealing and sending alone cost), `bare` (the same by str0m, without a room) and `load` (drives a server over HTTP and UDP).
//!
//! It refuses to know Node.js: a server is a URL and a process id.
//!
//! Invariant: what is measured is the server's side only; peers are never charged to it.
#![forbid(unsafe_code)]

mod arguments;
mod counted;
mod frames;
mod peer;
mod process;
mod receivers;
mod spread;
mod whip;

pub use arguments::Arguments;
pub use counted::Counted;
pub use frames::{Frames, stamp_of};
pub use peer::{Line, Peer};
pub use process::Usage;
pub use receivers::{Polled, Received, bind_loopback};
pub use spread::{Spread, percentile};
pub use whip::{Resource, post_offer};

/// Errors end a bench; nobody handles them.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Packets of one video frame.
pub const FRAME_PACKETS: usize = 4;
