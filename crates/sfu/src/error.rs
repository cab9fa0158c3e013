//! Why a call was refused.

use std::fmt;

use crate::id::TrackId;

/// The caller's fault, or the peer's SDP; a client is unchanged unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SfuError {
    /// No such client in this registry: it is closed.
    ClientClosed,
    /// No such track, or not subscribed to it.
    UnknownTrack(TrackId),
    /// The description does not parse or asks for what we refuse.
    Sdp(String),
    /// The description failed half-way: the client is closed with that reason.
    SdpFatal(String),
    /// An answer without an offer of ours in flight.
    NoPendingOffer,
    /// A candidate that does not parse (RFC 8839 §5.1).
    Candidate(String),
    /// The client's role forbids it.
    Role,
    /// A cap of this registry is reached.
    Full,
}

impl fmt::Display for SfuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientClosed => f.write_str("the client is closed"),
            Self::UnknownTrack(track) => write!(f, "no track {track} for this client"),
            Self::Sdp(why) => write!(f, "session description refused: {why}"),
            Self::SdpFatal(why) => {
                write!(
                    f,
                    "session description failed half-way, the client is closed: {why}"
                )
            }
            Self::NoPendingOffer => f.write_str("no offer of ours waits for an answer"),
            Self::Candidate(why) => write!(f, "ICE candidate refused: {why}"),
            Self::Role => f.write_str("the client's role forbids it"),
            Self::Full => f.write_str("the registry is full"),
        }
    }
}

impl std::error::Error for SfuError {}
