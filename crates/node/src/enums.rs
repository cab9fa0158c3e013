//! The words of the API: each mirrors an enum of `sfu` and travels as a string.

use napi_derive::napi;
use sluice_server::room as sfu;

/// Audio or video.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// ICE, as the W3C names its states.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceState {
    /// Nothing tried.
    New,
    /// Checks run.
    Checking,
    /// A pair works.
    Connected,
    /// The checks are over.
    Completed,
    /// No pair works.
    Disconnected,
}

/// DTLS, as the W3C names its states.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsState {
    /// Shaking hands.
    Connecting,
    /// Keys are agreed on.
    Connected,
    /// Over.
    Closed,
}

/// Why a subscriber's layer changed.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCause {
    /// The first one.
    Start,
    /// The application asked.
    Preference,
    /// The estimate changed.
    Bandwidth,
    /// The layer fell silent.
    SourceSilent,
}

/// How a subscriber asked for a keyframe.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyframeKind {
    /// RFC 4585 §6.3.1.
    Pli,
    /// RFC 5104 §4.3.1.
    Fir,
}

/// Which term bounds an estimate.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingTerm {
    /// The estimate itself.
    Native,
    /// The receiver's REMB.
    Remb,
    /// The application's ceiling.
    Ceiling,
}

/// Whether a subscription flows.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Forwarded.
    Active,
    /// No slot is free.
    Waiting,
    /// Held back.
    Paused,
}

/// Why a published track ended.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackCloseReason {
    /// Stopped by the publisher.
    Stopped,
    /// The publisher is gone.
    ClientGone,
}

/// UDP or TCP.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// ICE-TCP, passive.
    Tcp,
}

/// Which events are dropped when JavaScript is slow.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Never dropped.
    Lifecycle,
    /// The latest per key stays.
    State,
    /// Dropped and counted.
    Telemetry,
}

/// Why a client, or a room, is gone.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// `close()`.
    Application,
    /// The peer said goodbye.
    Peer,
    /// ICE failed.
    Ice,
    /// The handshake failed.
    Dtls,
    /// Nothing came for too long.
    Timeout,
    /// A negotiation could not be undone.
    Sdp,
    /// The registry was closed.
    RegistryClosed,
    /// The server was closed.
    ServerClosed,
    /// Our own fault.
    Internal,
}

/// SRTP protection profiles, by their IANA names.
#[napi(string_enum)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrtpProfile {
    /// RFC 5764 §4.1.2.
    #[napi(value = "SRTP_AES128_CM_HMAC_SHA1_80")]
    Aes128CmSha1,
    /// RFC 7714 §14.2.
    #[napi(value = "SRTP_AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// RFC 7714 §14.2.
    #[napi(value = "SRTP_AEAD_AES_256_GCM")]
    AeadAes256Gcm,
}

impl From<sfu::SrtpProfile> for SrtpProfile {
    fn from(profile: sfu::SrtpProfile) -> Self {
        match profile {
            sfu::SrtpProfile::Aes128CmSha1_80 => Self::Aes128CmSha1,
            sfu::SrtpProfile::AeadAes128Gcm => Self::AeadAes128Gcm,
            sfu::SrtpProfile::AeadAes256Gcm => Self::AeadAes256Gcm,
        }
    }
}

/// Codecs, by the encoding names of SDP.
#[napi(string_enum)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// RFC 6716.
    #[napi(value = "opus")]
    Opus,
    /// RFC 6386.
    #[napi(value = "VP8")]
    Vp8,
    /// VP9.
    #[napi(value = "VP9")]
    Vp9,
    /// ITU-T H.264.
    #[napi(value = "H264")]
    H264,
    /// ITU-T H.265.
    #[napi(value = "H265")]
    H265,
    /// AV1.
    #[napi(value = "AV1")]
    Av1,
}

impl Codec {
    /// None for a codec this binding has no word for yet.
    pub(crate) fn known(codec: sfu::Codec) -> Option<Self> {
        match codec {
            sfu::Codec::Opus => Some(Self::Opus),
            sfu::Codec::Vp8 => Some(Self::Vp8),
            sfu::Codec::Vp9 => Some(Self::Vp9),
            sfu::Codec::H264 => Some(Self::H264),
            sfu::Codec::H265 => Some(Self::H265),
            sfu::Codec::Av1 => Some(Self::Av1),
            _ => None,
        }
    }
}

/// Which way a client's media may go.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Publishes and subscribes.
    Both,
    /// Only publishes.
    Publish,
    /// Only subscribes.
    Subscribe,
}

impl From<Role> for sfu::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Both => Self::Both,
            Role::Publish => Self::Publish,
            Role::Subscribe => Self::Subscribe,
        }
    }
}

/// The conversion from the enum of the same name, exhaustive as that one is.
macro_rules! mirror {
    ($name:ident { $($variant:ident),+ }) => {
        impl From<sfu::$name> for $name {
            fn from(origin: sfu::$name) -> Self {
                match origin {
                    $(sfu::$name::$variant { .. } => Self::$variant,)+
                }
            }
        }
    };
}

mirror!(MediaKind { Audio, Video });
mirror!(IceState {
    New,
    Checking,
    Connected,
    Completed,
    Disconnected
});
mirror!(DtlsState {
    Connecting,
    Connected,
    Closed
});
mirror!(LayerCause {
    Start,
    Preference,
    Bandwidth,
    SourceSilent
});
mirror!(KeyframeKind { Pli, Fir });
mirror!(BindingTerm {
    Native,
    Remb,
    Ceiling
});
mirror!(SubscriptionState {
    Active,
    Waiting,
    Paused
});
mirror!(TrackCloseReason {
    Stopped,
    ClientGone
});
mirror!(Transport { Udp, Tcp });
mirror!(Lane {
    Lifecycle,
    State,
    Telemetry
});
mirror!(CloseReason {
    Application,
    Peer,
    Ice,
    Dtls,
    Timeout,
    Sdp,
    RegistryClosed,
    ServerClosed,
    Internal
});
