//! ICE-TCP, the passive side (RFC 6544): connections that carry framed packets (RFC 4571).

mod connection;
mod connections;
mod event;
pub mod framing;
mod listener;
mod options;
mod peers;

pub use connection::TcpPeer;
pub use event::{CloseReason, TcpCounters, TcpEvent};
pub use listener::TcpListener;
pub use options::TcpOptions;
pub use peers::TcpPeers;

#[cfg(test)]
mod tests;
