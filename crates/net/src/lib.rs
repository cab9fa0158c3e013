//! Moves datagrams and bytes: batched UDP, ICE-TCP (RFC 6544), timers, mailboxes, shard threads.
//!
//! It refuses to know rooms, media, STUN or SDP: what a datagram means is the caller's business.
//! Linux is the tuned platform (`recvmmsg`, GRO, GSO, kernel receive times); elsewhere the same
//! API runs over what `quinn-udp` and `mio` offer.
//!
//! Invariant: no call blocks but [`Driver::wait`], and every queue here states its cap and counts
//! what it refuses.
//!
//! A shard's turn: [`Driver::wait`], drain the inboxes, [`timer::Wheel::expire`],
//! [`UdpSocket::recv`], [`tcp::TcpPeers::poll_event`], push to the [`SendQueue`],
//! [`SendQueue::flush`].

#![forbid(unsafe_code)]

mod address;
mod driver;
pub mod mailbox;
#[cfg(test)]
mod seeded;
pub mod tcp;
pub mod thread;
pub mod timer;
mod udp;
mod waker;

pub use driver::{Driver, Ready, UdpId};
pub use udp::{
    Datagram, Datagrams, FlushReport, RecvBatch, SendQueue, UdpCounters, UdpOptions, UdpSocket,
};
pub use waker::Waker;
