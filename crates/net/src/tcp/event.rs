use std::io;
use std::net::SocketAddr;

/// What a peer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpEvent<'a> {
    /// A whole packet came.
    Frame {
        /// Who sent it: the key for [`TcpPeers::send`](super::TcpPeers::send).
        peer: SocketAddr,
        /// The local address it came to.
        local: SocketAddr,
        /// The packet, without its length.
        bytes: &'a [u8],
    },
    /// The connection is gone.
    Closed {
        /// Whose it was.
        peer: SocketAddr,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed it.
    EndOfStream,
    /// No whole packet came in time.
    Timeout,
    /// Reading or writing failed.
    Failed(io::ErrorKind),
}

/// What the connections of one [`TcpPeers`](super::TcpPeers) did: absolute and cumulative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once, because of a cap or because the peer had gone already.
    pub refused: u64,
    /// Connections that ended for want of packets.
    pub timed_out: u64,
    /// Packets received.
    pub frames_in: u64,
    /// Packets taken for sending.
    pub frames_out: u64,
    /// Packets not taken: write buffer full, packet longer than 65 535 bytes, or peer unknown.
    pub dropped: u64,
}
