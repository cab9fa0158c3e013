//! Errors, by whose fault they are.

use std::error::Error;
use std::fmt;

use crate::request::Denial;

/// Why a request was refused. The engine is as it was before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// No application of that name is registered.
    AppNotFound,
    /// One of that name is registered already.
    AppAlreadyRegistered,
    /// A value of the [`AppSpec`](crate::AppSpec) cannot work.
    InvalidSpec(SpecError),
    /// No stream has this key, or it has ended.
    StreamNotFound,
    /// No request of this name waits: it was answered too late, twice, or was given up.
    AdmissionNotFound,
    /// The request is not one that was allowed to play.
    NotAdmitted,
    /// The authorizer said no, or nothing.
    Unauthorized {
        /// Why.
        reason: Denial,
    },
    /// Another publisher holds the key and the takeover policy protects it, or too many wait for it.
    StreamAlreadyPublishing,
    /// As many publishers as [`EngineOptions::max_publishers`](crate::EngineOptions::max_publishers) allows.
    PublisherLimitReached {
        /// The limit.
        limit: usize,
    },
    /// As many streams as [`Limits::max_streams`](crate::Limits::max_streams) allows.
    StreamLimitReached {
        /// The limit.
        limit: usize,
    },
    /// As many readers as the stream, the application or the engine allows.
    ViewerLimitReached {
        /// The limit that was met first.
        limit: usize,
    },
    /// As many open requests as the engine, or one address, may have.
    AdmissionLimitReached {
        /// The limit that was met first.
        limit: usize,
    },
    /// The rings hold as much as [`EngineOptions::max_ring_bytes`](crate::EngineOptions::max_ring_bytes) allows.
    RingMemoryExhausted {
        /// The limit in bytes.
        limit: usize,
    },
    /// More than 8 KiB of credentials.
    CredentialsTooLong,
    /// The publisher's session is over.
    SessionEnded,
}

/// What is wrong with an [`AppSpec`](crate::AppSpec).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// The name cannot be the first part of a [`StreamKey`](sluice_media::StreamKey).
    Name,
    /// A ring's budget is less than twice its largest frame.
    RingSmallerThanFrames,
    /// No track, or more than 64.
    TrackCount,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppNotFound => f.write_str("no such application is registered"),
            Self::AppAlreadyRegistered => f.write_str("the application is registered already"),
            Self::InvalidSpec(_) => f.write_str("the application's settings cannot work"),
            Self::StreamNotFound => f.write_str("no such stream is live"),
            Self::AdmissionNotFound => f.write_str("no such request waits"),
            Self::NotAdmitted => f.write_str("the request was not allowed to play"),
            Self::Unauthorized { reason } => {
                write!(f, "the authorizer refused: {}", reason.text())
            }
            Self::StreamAlreadyPublishing => f.write_str("another publisher holds the key"),
            Self::PublisherLimitReached { limit } => write!(f, "{limit} publishers are the limit"),
            Self::StreamLimitReached { limit } => write!(f, "{limit} streams are the limit"),
            Self::ViewerLimitReached { limit } => write!(f, "{limit} readers are the limit"),
            Self::AdmissionLimitReached { limit } => {
                write!(f, "{limit} open requests are the limit")
            }
            Self::RingMemoryExhausted { limit } => {
                write!(f, "the rings hold {limit} bytes, their limit")
            }
            Self::CredentialsTooLong => f.write_str("the credentials are longer than 8 KiB"),
            Self::SessionEnded => f.write_str("the publisher's session is over"),
        }
    }
}

impl Error for StreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InvalidSpec(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name is no valid part of a stream key",
            Self::RingSmallerThanFrames => "the ring holds less than two of the largest frames",
            Self::TrackCount => "a stream has 1 to 64 tracks",
        })
    }
}

impl Error for SpecError {}

impl Denial {
    const fn text(self) -> &'static str {
        match self {
            Self::BadCredentials => "credentials are missing or wrong",
            Self::Expired => "the credentials have expired",
            Self::NotAllowed => "this is not allowed",
            Self::Unavailable => "it failed",
            Self::Silent => "it did not answer in time",
        }
    }
}

/// Why a frame or a configuration was not taken. The stream is as it was before it, except where it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The session is over: ended, replaced, or reaped.
    SessionEnded,
    /// The track was not announced by `set_config` in this session.
    UnknownTrack,
    /// As many tracks as [`Limits::max_tracks`](crate::Limits::max_tracks) allows.
    TrackLimitReached {
        /// The limit.
        limit: usize,
    },
    /// The frame's codec is not the one of its track's configuration.
    CodecMismatch,
    /// A track changed between audio and video.
    KindChanged,
    /// The frame has no bytes.
    Empty,
    /// The frame has more bytes than its kind may have.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The configuration's record has more than 64 KiB.
    ConfigTooLarge,
    /// The ring still holds frames of sixteen configurations of this track.
    ConfigChangesTooOften,
    /// `pts` and `dts` count at different rates.
    RateMismatch,
    /// It would be decoded before its predecessor: by up to a second; a larger step is a discontinuity.
    DtsRegressed,
    /// No keyframe of this track has come in this session. One was asked for.
    AwaitingKeyframe,
    /// The publisher sent more than it may; its session has ended.
    RateLimited,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionEnded => f.write_str("the publisher's session is over"),
            Self::UnknownTrack => f.write_str("the track was not announced"),
            Self::TrackLimitReached { limit } => write!(f, "{limit} tracks are the limit"),
            Self::CodecMismatch => f.write_str("the frame is not coded as its track"),
            Self::KindChanged => f.write_str("a track is either audio or video"),
            Self::Empty => f.write_str("the frame is empty"),
            Self::TooLarge { limit } => write!(f, "the frame exceeds {limit} bytes"),
            Self::ConfigTooLarge => f.write_str("the configuration exceeds 64 KiB"),
            Self::ConfigChangesTooOften => f.write_str("the configuration changes too often"),
            Self::RateMismatch => f.write_str("pts and dts count at different rates"),
            Self::DtsRegressed => f.write_str("the frame's dts is before its predecessor's"),
            Self::AwaitingKeyframe => f.write_str("the track begins with a keyframe"),
            Self::RateLimited => f.write_str("the publisher sent more than it may"),
        }
    }
}

impl Error for FrameError {}
