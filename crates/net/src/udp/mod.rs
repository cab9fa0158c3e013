//! UDP in batches: one system call moves many datagrams in each direction.

mod counters;
mod flush;
mod gso;
mod receive_time;
mod recv;
mod send;
mod socket;
#[cfg_attr(not(target_os = "linux"), path = "transmit_portable.rs")]
#[cfg_attr(target_os = "linux", path = "transmit_linux.rs")]
mod transmit;

pub use counters::UdpCounters;
pub use recv::{Datagram, Datagrams, RecvBatch};
pub use send::{FlushReport, SendQueue};
pub use socket::{UdpOptions, UdpSocket};

#[cfg(test)]
mod tests;
