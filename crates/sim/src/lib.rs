//! Seeded network, virtual clock and fake browsers, for tests and benches only.
//!
//! Does: runs rooms of the real `Registry` with real `Rtc`s over a simulated network, and judges what every
//! subscriber got. Refuses to know: sockets, threads, the wall clock.
//! Invariant: time only moves from one event to the next, and one seed decides the script, the network and its
//! losses. Hash order inside str0m and the keys of DTLS are the only chance it leaves.
#![forbid(unsafe_code)]

mod browser;
mod decoder;
mod encoder;
mod network;
mod oracle;
mod rng;
mod scenario;
mod stamp;
mod world;

pub use browser::{Arrival, Browser, LocalLayer, LocalTrack, RtpHead, Signal};
pub use decoder::Decoder;
pub use encoder::{Encoded, Encoder, Format};
pub use network::{Loss, Path, Profile, Rate};
pub use oracle::{Emitted, Violation};
pub use rng::Rng;
pub use scenario::{Report, run_seed};
pub use stamp::Stamp;
pub use world::{Peer, Way, World};
