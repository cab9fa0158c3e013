//! What a room tells the world: one enum, its lanes, and the values its variants carry.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_media::{Codec, MediaKind};

use crate::id::{ClientId, TrackId};

/// Everything a registry reports, in the order it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Propagated {
    /// ICE and DTLS are up: media can flow.
    ClientConnected {
        /// Who.
        client_id: ClientId,
    },
    /// The client is gone and everything it held is freed. Comes exactly once per client.
    ClientDisconnected {
        /// Who.
        client_id: ClientId,
        /// Why.
        reason: CloseReason,
    },
    /// A client began to publish a track.
    TrackOpen {
        /// The publisher.
        client_id: ClientId,
        /// What it publishes.
        track: PublishedTrack,
    },
    /// A published track ended.
    TrackClose {
        /// The publisher.
        client_id: ClientId,
        /// Which.
        track_id: TrackId,
        /// Why.
        reason: TrackCloseReason,
    },
    /// The publisher stopped or resumed sending by negotiation (`a=inactive`, `a=sendonly`).
    TrackMuted {
        /// The publisher.
        client_id: ClientId,
        /// Which.
        track_id: TrackId,
        /// Whether it is silent now.
        muted: bool,
    },
    /// Codec or layers of a published track are known, or differ from before.
    TrackChanged {
        /// The publisher.
        client_id: ClientId,
        /// The track as it is now.
        track: PublishedTrack,
    },
    /// The server has something to offer to this client: call `create_offer`.
    NegotiationNeeded {
        /// Who.
        client_id: ClientId,
    },
    /// Which tracks this client gets, and in which m-line. Always the complete list.
    SubscriptionsChanged {
        /// The subscriber.
        client_id: ClientId,
        /// All its subscriptions.
        subscriptions: Vec<SubscribedTrack>,
    },
    /// A subscriber now gets another layer of a track.
    LayerChanged {
        /// The subscriber.
        client_id: ClientId,
        /// Which track.
        track_id: TrackId,
        /// What it gets now.
        layer: Layer,
        /// Why it changed.
        cause: LayerCause,
    },
    /// A published layer fell silent or came back.
    StreamPaused {
        /// The publisher.
        client_id: ClientId,
        /// Which track.
        track_id: TrackId,
        /// Which simulcast layer; none without simulcast.
        rid: Option<String>,
        /// Whether it is silent now.
        paused: bool,
    },
    /// A subscriber asked for a keyframe (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
    KeyframeRequest {
        /// The subscriber.
        client_id: ClientId,
        /// The publisher it was meant for.
        source_client_id: ClientId,
        /// Of which track.
        track_id: TrackId,
        /// Of which simulcast layer.
        rid: Option<String>,
        /// How it asked.
        kind: KeyframeKind,
        /// It rode on an earlier request: nothing was sent to the publisher.
        merged: bool,
    },
    /// What can be sent to this client.
    BandwidthEstimate {
        /// The subscriber.
        client_id: ClientId,
        /// Bits a second, payload and overhead.
        bits_per_second: u64,
        /// Which term of the estimate was the smallest.
        binding_term: BindingTerm,
    },
    /// The receiver reports of one second (RFC 3550 §6.4), while media flows to or from the client.
    RtcpStats {
        /// The subscriber.
        client_id: ClientId,
        /// Lost share of what was sent, 0..=1.
        fraction_lost: f32,
        /// Round trip, if known.
        round_trip_time: Option<Duration>,
        /// Interarrival jitter of what the client sends us.
        jitter: Duration,
    },
    /// ICE moved on.
    IceStateChanged {
        /// Who.
        client_id: ClientId,
        /// To what.
        state: IceState,
        /// The peer's address in use, once there is one.
        remote: Option<SocketAddr>,
    },
    /// DTLS moved on.
    DtlsStateChanged {
        /// Who.
        client_id: ClientId,
        /// To what.
        state: DtlsState,
        /// The SRTP profile agreed on (RFC 5764 §4.1.2), when connected.
        srtp_profile: Option<SrtpProfile>,
    },
    /// Something went wrong that ended no more than what it names.
    Error {
        /// The client concerned, if it is one.
        client_id: Option<ClientId>,
        /// What.
        message: String,
    },
    /// The room itself is closed; the last event of a registry.
    Close {
        /// Why.
        reason: CloseReason,
    },
}

/// How an event is treated when JavaScript is slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Never dropped; bounded by the number of live objects.
    Lifecycle,
    /// The latest per key is kept.
    State,
    /// Dropped and counted.
    Telemetry,
}

impl Propagated {
    /// The lane of this event (DESIGN.md decision 11).
    pub fn lane(&self) -> Lane {
        match self {
            Self::ClientConnected { .. }
            | Self::ClientDisconnected { .. }
            | Self::TrackOpen { .. }
            | Self::TrackClose { .. }
            | Self::NegotiationNeeded { .. }
            | Self::Error { .. }
            | Self::Close { .. } => Lane::Lifecycle,
            Self::KeyframeRequest { .. } => Lane::Telemetry,
            _ => Lane::State,
        }
    }

    /// What a newer event of the state lane replaces: same variant, same subject.
    pub fn state_key(&self) -> Option<(u8, ClientId, Option<TrackId>, Option<String>)> {
        match self {
            Self::TrackMuted {
                client_id,
                track_id,
                ..
            } => Some((0, *client_id, Some(*track_id), None)),
            Self::TrackChanged { client_id, track } => Some((1, *client_id, Some(track.id), None)),
            Self::SubscriptionsChanged { client_id, .. } => Some((2, *client_id, None, None)),
            Self::LayerChanged {
                client_id,
                track_id,
                ..
            } => Some((3, *client_id, Some(*track_id), None)),
            Self::StreamPaused {
                client_id,
                track_id,
                rid,
                ..
            } => Some((4, *client_id, Some(*track_id), rid.clone())),
            Self::BandwidthEstimate { client_id, .. } => Some((5, *client_id, None, None)),
            Self::RtcpStats { client_id, .. } => Some((6, *client_id, None, None)),
            Self::IceStateChanged { client_id, .. } => Some((7, *client_id, None, None)),
            Self::DtlsStateChanged { client_id, .. } => Some((8, *client_id, None, None)),
            _ => None,
        }
    }
}

/// A track as its publisher sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTrack {
    /// Its id.
    pub id: TrackId,
    /// Its publisher.
    pub client_id: ClientId,
    /// The publisher's m-line (RFC 8843 §15).
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Known from the first packet on.
    pub codec: Option<Codec>,
    /// Simulcast rids in the publisher's order, lowest first; empty without simulcast.
    pub rids: Vec<String>,
    /// Silent by negotiation.
    pub muted: bool,
}

/// A track as one subscriber has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedTrack {
    /// Which track.
    pub track_id: TrackId,
    /// Its publisher.
    pub source_client_id: ClientId,
    /// Audio or video.
    pub kind: MediaKind,
    /// The subscriber's m-line it plays in; none while it waits.
    pub mid: Option<String>,
    /// Whether it flows.
    pub state: SubscriptionState,
    /// The simulcast layer that flows.
    pub rid: Option<String>,
}

/// Whether a subscription flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionState {
    /// In a slot, forwarded.
    Active,
    /// No slot is free: it moves up when one is.
    Waiting,
    /// In a slot, held back by the application.
    Paused,
}

/// One point of a publisher's layers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer {
    /// The simulcast rid; none without simulcast.
    pub rid: Option<String>,
    /// Spatial layer inside the encoding, 0 lowest.
    pub spatial: u8,
    /// Temporal layer, 0 lowest.
    pub temporal: u8,
}

/// Why a subscriber's layer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayerCause {
    /// The first one after subscribing or resuming.
    Start,
    /// `set_preferred_layers`.
    Preference,
    /// The estimate allows more or less.
    Bandwidth,
    /// The layer it had fell silent.
    SourceSilent,
}

/// How a subscriber asked for a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyframeKind {
    /// Picture loss indication, RFC 4585 §6.3.1.
    Pli,
    /// Full intra request, RFC 5104 §4.3.1.
    Fir,
}

/// Which term bounds an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BindingTerm {
    /// The transport-wide estimate itself.
    Native,
    /// The receiver's REMB.
    Remb,
    /// `set_max_outgoing_bitrate`.
    Ceiling,
}

/// ICE, as RFC 8445 §6.1.2.6 and the W3C name its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IceState {
    /// Nothing tried.
    New,
    /// Checks run.
    Checking,
    /// A pair works.
    Connected,
    /// A pair works and the checks are over.
    Completed,
    /// No pair works at the moment.
    Disconnected,
}

/// DTLS, as the W3C names its states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtlsState {
    /// Waiting for ICE or shaking hands.
    Connecting,
    /// Keys are agreed on.
    Connected,
    /// Over.
    Closed,
}

/// SRTP protection profiles we agree to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// RFC 5764 §4.1.2.
    Aes128CmSha1_80,
    /// RFC 7714 §14.2.
    AeadAes128Gcm,
    /// RFC 7714 §14.2.
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// The IANA name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80",
            Self::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
        }
    }
}

/// Why a client, or a room, is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// `close()` by the application, with its own words.
    Application(String),
    /// The peer said goodbye: `close_notify` or BYE.
    Peer,
    /// ICE never connected, or every pair died.
    Ice,
    /// The DTLS handshake failed.
    Dtls,
    /// Consent or media stopped for too long (RFC 7675 §5.1).
    Timeout,
    /// A negotiation could not be undone.
    Sdp(String),
    /// The registry was closed.
    RegistryClosed,
    /// The server was closed.
    ServerClosed,
    /// Our own fault.
    Internal(String),
}

impl CloseReason {
    /// The word that events, metrics and documents use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Application(_) => "application",
            Self::Peer => "peer",
            Self::Ice => "ice",
            Self::Dtls => "dtls",
            Self::Timeout => "timeout",
            Self::Sdp(_) => "sdp",
            Self::RegistryClosed => "registryClosed",
            Self::ServerClosed => "serverClosed",
            Self::Internal(_) => "internal",
        }
    }
}

/// Why a published track ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackCloseReason {
    /// Its m-line was stopped or rejected by the publisher.
    Stopped,
    /// Its publisher is gone.
    ClientGone,
}
