//! Why a recording failed.

use std::fmt;
use std::io;

use sluice_mux::MuxError;

/// What ended a recording before its time. The stream is none the worse.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordError {
    /// The storage refused.
    Storage {
        /// Which.
        place: String,
        /// What it said.
        source: io::Error,
    },
    /// The stream does not fit into MP4.
    Mux(MuxError),
}

impl RecordError {
    /// The storage has no room left.
    pub fn is_full(&self) -> bool {
        self.is(&[io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded])
    }

    /// The storage did not answer in time. It is not asked again.
    pub(super) fn is_silent(&self) -> bool {
        self.is(&[io::ErrorKind::TimedOut])
    }

    /// The storage may not be written.
    pub fn is_denied(&self) -> bool {
        self.is(&[
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ])
    }

    fn is(&self, kinds: &[io::ErrorKind]) -> bool {
        matches!(self, Self::Storage { source, .. } if kinds.contains(&source.kind()))
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage { place, source } => write!(f, "recording to {place}: {source}"),
            Self::Mux(error) => write!(f, "recording: {error}"),
        }
    }
}

impl std::error::Error for RecordError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Storage { source, .. } => Some(source),
            Self::Mux(error) => Some(error),
        }
    }
}

impl From<MuxError> for RecordError {
    fn from(error: MuxError) -> Self {
        Self::Mux(error)
    }
}
