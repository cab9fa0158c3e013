//! Why the server refused.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use sluice_live::{FrameError, StreamError};
use sluice_sfu::SfuError;

use crate::record::RecordError;

/// What went wrong, by whose fault.
#[derive(Debug)]
pub enum ServerError {
    /// The server, the registry or the client is closed.
    Closed,
    /// The shard's mailbox is full: try again later. Nothing happened.
    Busy,
    /// The call needs what the room refused.
    Sfu(SfuError),
    /// The call needs what the live kernel refused.
    Stream(StreamError),
    /// A frame or a track's configuration was refused.
    Frame(FrameError),
    /// A storage of recordings cannot be read.
    Record(RecordError),
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
            Self::Stream(e) => e.fmt(f),
            Self::Frame(e) => e.fmt(f),
            Self::Record(e) => e.fmt(f),
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
            Self::Stream(e) => Some(e),
            Self::Frame(e) => Some(e),
            Self::Record(e) => Some(e),
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

impl From<StreamError> for ServerError {
    fn from(e: StreamError) -> Self {
        match e {
            StreamError::SessionEnded => Self::Closed,
            e => Self::Stream(e),
        }
    }
}

impl From<FrameError> for ServerError {
    fn from(e: FrameError) -> Self {
        match e {
            FrameError::SessionEnded => Self::Closed,
            e => Self::Frame(e),
        }
    }
}
