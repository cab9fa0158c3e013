//! What an authorizer decides on.

/// What a client wants of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To be the stream's publisher.
    Publish,
    /// To watch the stream.
    Play,
    /// To watch recordings of the stream.
    Playback,
}
