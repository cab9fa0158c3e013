//! Why something could not be written or read.

use sluice_media::{Codec, TrackId};

/// Why muxing, or reading a recording back, failed. The object it came from is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MuxError {
    /// No MP4 sample entry is written for this codec.
    UnsupportedCodec {
        /// The codec.
        codec: Codec,
    },
    /// The configuration's record is empty although the sample entry carries one, or speaks of the other kind.
    BadConfig {
        /// The track it was given for.
        track: TrackId,
    },
    /// No tracks, or more than [`MAX_TRACKS`](crate::fmp4::MAX_TRACKS).
    TrackCount {
        /// How many there were.
        count: usize,
    },
    /// A track is named twice.
    DuplicateTrack {
        /// Which one.
        track: TrackId,
    },
    /// A part of more than 4 GiB, or a sample of which MP4 cannot tell the size or time.
    TooLarge,
    /// A box is cut off or its size contradicts what surrounds it.
    BrokenBox {
        /// Where it begins, from the start of what was read.
        offset: u64,
    },
    /// A box is missing or says what our writer never says.
    ForeignBox {
        /// Where the box that was looked into begins.
        offset: u64,
    },
    /// A budget of bytes or samples is spent.
    OverBudget,
    /// A text that cannot stand in a playlist: empty, too long, or with quotes or control characters.
    BadText,
    /// The recording is finished: a plain MP4, no journal any more.
    Finished,
    /// There is nothing to finish: no whole part.
    Empty,
}

impl std::fmt::Display for MuxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnsupportedCodec { codec } => write!(f, "MP4 does not carry {}", codec.name()),
            Self::BadConfig { track } => {
                write!(f, "track {} has no usable configuration", track.number())
            }
            Self::TrackCount { count } => write!(f, "{count} tracks do not make a file"),
            Self::DuplicateTrack { track } => {
                write!(f, "track {} is there twice", track.number())
            }
            Self::TooLarge => write!(f, "a part or sample is larger than MP4 can say"),
            Self::BrokenBox { offset } => write!(f, "broken box at byte {offset}"),
            Self::ForeignBox { offset } => write!(f, "unexpected box at byte {offset}"),
            Self::OverBudget => write!(f, "the budget of the reader is spent"),
            Self::BadText => write!(f, "a text cannot stand in a playlist"),
            Self::Finished => write!(f, "the recording is finished already"),
            Self::Empty => write!(f, "no whole part"),
        }
    }
}

impl std::error::Error for MuxError {}
