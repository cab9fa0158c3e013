//! What a registry gives back: bytes to send, events, deadlines, routes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::bridge::Tapped;
use crate::engine::Transmit;
use crate::id::ClientId;
use crate::options::Transport;
use crate::propagated::Propagated;

/// Filled by every call into a [`Registry`](crate::Registry); the owner empties it and hands it
/// in again, so that nothing is allocated per call.
#[derive(Debug, Default)]
pub struct Output {
    /// Datagrams, those of one client together and in order.
    pub transmits: Vec<Transmit>,
    /// Events in order.
    pub events: Vec<Propagated>,
    /// When to call `handle_timeout` for a client; the latest one counts.
    pub deadlines: Vec<Deadline>,
    /// Changes of the routing table.
    pub routes: Vec<RouteChange>,
    /// Packets of the tracks that are tapped.
    pub tapped: Vec<Tapped>,
    /// Who speaks from now on, in a room whose speaker is followed.
    pub speaker: Option<ClientId>,
}

/// When a client wants to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// The client.
    pub token: u32,
    /// Not before.
    pub at: Instant,
    /// So much later will do: nothing is being sent to it, and a shard with a thousand such clients
    /// shall not wake for each of them.
    pub slack: Duration,
}

/// A change of who gets which datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// STUN requests for this ufrag belong to this client (RFC 8445 §7.2.2).
    Ufrag {
        /// The client.
        token: u32,
        /// Its local user name fragment.
        ufrag: String,
    },
    /// An address proved that it knows the client's ICE password.
    Authenticated {
        /// The client.
        token: u32,
        /// The peer's address.
        source: SocketAddr,
        /// Over what.
        transport: Transport,
    },
    /// A connectivity check left: its response carries no ufrag and is known by its transaction (RFC 8445 §7.2.5.2.1).
    Checked {
        /// The client.
        token: u32,
        /// Where it went, and whence the response must come.
        destination: SocketAddr,
        /// Its transaction ID (RFC 8489 §5).
        transaction_id: [u8; 12],
    },
    /// The client is gone.
    Gone {
        /// The client.
        token: u32,
    },
}

impl RouteChange {
    /// The client it is about.
    pub fn token(&self) -> u32 {
        match self {
            Self::Ufrag { token, .. }
            | Self::Authenticated { token, .. }
            | Self::Checked { token, .. }
            | Self::Gone { token } => *token,
        }
    }
}
