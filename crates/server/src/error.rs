//! Why the server refused.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use sluice_sfu::SfuError;

/// What went wrong, by whose fault.
#[derive(Debug)]
pub enum ServerError {
    /// The server, the registry or the client is closed.
    Closed,
    /// The shard's mailbox is full: try again later. Nothing happened.
    Busy,
    /// The call needs what the room refused.
    Sfu(SfuError),
    /// An option is out of range; the text names it.
    InvalidOption(String),
    /// A socket could not be bound.
    Bind {
        /// To where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Our own fault.
    Internal(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Busy => f.write_str("the shard's mailbox is full, try again later"),
            Self::Sfu(e) => e.fmt(f),
            Self::InvalidOption(what) => write!(f, "invalid option: {what}"),
            Self::Bind { address, .. } => write!(f, "cannot bind {address}"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
        }
    }
}

impl std::error::Error for ServerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sfu(e) => Some(e),
            Self::Bind { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<SfuError> for ServerError {
    fn from(e: SfuError) -> Self {
        match e {
            SfuError::ClientClosed => Self::Closed,
            e => Self::Sfu(e),
        }
    }
}
