//! What a caller may choose: per room, per client, per subscription.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_media::{Codec, MediaKind};

/// A room's settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// The addresses a peer is told to reach us at; at least one. A datagram's `destination`
    /// must be one of them.
    pub candidates: Vec<LocalCandidate>,
    /// A client that has not connected by then is closed. Default 30 s.
    pub connect_timeout: Duration,
    /// A connected client that sends nothing at all for this long is closed. Default 30 s
    /// (RFC 7675 §5.1 ends consent after 30 s).
    pub idle_timeout: Duration,
    /// A client whose every ICE pair died may come back (RFC 8445 §9) for this long. Default 20 s.
    pub disconnect_timeout: Duration,
    /// A server offer unanswered for this long is given up. Default 10 s.
    pub offer_timeout: Duration,
    /// How much of a track a joiner is given at once. Default [`Replay::Short`].
    pub replay: Replay,
}

/// How much of a published layer is kept, and given to who joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replay {
    /// For conversation: at most 400 ms, else a keyframe is asked for. What comes in a burst delays what is said now.
    #[default]
    Short,
    /// For an audience: everything since the newest keyframe, up to 12 s and 16 MiB. The picture is there at once
    /// and the publisher is not asked.
    Whole,
}

impl RegistryOptions {
    /// The defaults, reachable at `candidates`.
    pub fn new(candidates: Vec<LocalCandidate>) -> Self {
        Self {
            candidates,
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            disconnect_timeout: Duration::from_secs(20),
            offer_timeout: Duration::from_secs(10),
            replay: Replay::default(),
        }
    }
}

/// An address we announce as a host candidate (RFC 8839 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LocalCandidate {
    /// Where.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
}

/// How a datagram travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// ICE-TCP, we being the passive side (RFC 6544).
    Tcp,
}

/// A client's settings, fixed at insertion.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Which way media may go. Default both.
    pub role: Role,
    /// Whether every track of the room is subscribed to by itself. Default true.
    pub auto_subscribe: bool,
    /// Most video m-lines we open towards this client. Default 8, at most 32.
    pub video_slots: u8,
    /// Most audio m-lines we open towards this client. Default 4, at most 32.
    pub audio_slots: u8,
    /// Upper bound of what is sent to this client, bits a second. Default none.
    pub max_outgoing_bitrate: Option<u64>,
    /// Set for a foreign server that we call, instead of being called by the peer. Default none.
    pub calling: Option<Calling>,
}

/// How a foreign server is called: we offer ([`Registry::create_offer`](crate::Registry::create_offer)), and we are the
/// controlling ICE agent that checks the way (RFC 8445 §2.4), as the server may be ICE-lite itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calling {
    /// Where this client alone is reached, in place of the room's addresses: two clients that call one server differ in
    /// nothing else.
    pub candidates: Vec<LocalCandidate>,
    /// What the offer lists; those that no browser takes are left out.
    pub codecs: Vec<Codec>,
    /// The m-lines on which the peer is to send, in this order.
    pub receive: Vec<MediaKind>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            role: Role::Both,
            auto_subscribe: true,
            video_slots: 8,
            audio_slots: 4,
            max_outgoing_bitrate: None,
            calling: None,
        }
    }
}

/// Which way a client's media may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Publishes and subscribes.
    Both,
    /// Only publishes: it gets no slots.
    Publish,
    /// Only subscribes: what it sends is not published.
    Subscribe,
}

/// How a subscription starts.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Start without forwarding until `resume`.
    pub paused: bool,
    /// Higher is served first when bandwidth or slots are short. Default 0.
    pub priority: u8,
    /// Upper bounds of what is forwarded.
    pub layers: PreferredLayers,
}

/// Upper bounds of what a subscriber gets of a track; `None` means no bound.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferredLayers {
    /// The highest simulcast layer wanted, by rid. One that is not sent stands for the highest
    /// that is.
    pub rid: Option<String>,
    /// The highest spatial layer wanted, 0 lowest: without `rid`, the index into the simulcast
    /// layers.
    pub spatial: Option<u8>,
    /// The highest temporal layer wanted, 0 lowest.
    pub temporal: Option<u8>,
}
