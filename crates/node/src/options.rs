//! Options as JavaScript gives them; what is absent keeps the default of the Rust side.

use std::net::IpAddr;
use std::str::FromStr;

use napi_derive::napi;
use sluice_server as server;
use sluice_server::room as sfu;

use crate::enums::{Role, Transport};
use crate::errors::{Code, Fault};

/// A server's settings.
#[napi(object)]
pub struct ServerOptions {
    /// UDP and ICE-TCP port; 0 lets the system choose.
    pub udp_port: Option<u32>,
    /// Where to bind.
    pub bind_address: Option<String>,
    /// What peers are told.
    pub announced_addresses: Option<Vec<String>>,
    /// Whether ICE-TCP is listened for.
    pub tcp: Option<bool>,
    /// Shard threads; 0 means one less than there are cores.
    pub shards: Option<u32>,
    /// Whether UDP segmentation offload is used.
    pub gso: Option<bool>,
}

/// A client's settings.
#[napi(object, object_to_js = false)]
pub struct ClientOptions {
    /// Which way media may go.
    pub role: Option<Role>,
    /// Whether every track of the room is subscribed to by itself.
    pub auto_subscribe: Option<bool>,
    /// Most video m-lines towards this client.
    pub video_slots: Option<u32>,
    /// Most audio m-lines towards this client.
    pub audio_slots: Option<u32>,
    /// Upper bound of what is sent to this client, bits a second.
    pub max_outgoing_bitrate: Option<f64>,
}

/// How a subscription starts.
#[napi(object, object_to_js = false)]
pub struct SubscribeOptions {
    /// Start without forwarding.
    pub paused: Option<bool>,
    /// Higher is served first, 0 to 255.
    pub priority: Option<u32>,
    /// Upper bounds of what is forwarded.
    pub layers: Option<PreferredLayers>,
}

/// Upper bounds of what a subscriber gets of a track.
#[napi(object, object_to_js = false)]
pub struct PreferredLayers {
    /// The highest simulcast layer wanted.
    pub rid: Option<String>,
    /// The highest spatial layer wanted.
    pub spatial: Option<u32>,
    /// The highest temporal layer wanted.
    pub temporal: Option<u32>,
}

/// An address that peers are told.
#[napi(object, object_from_js = false)]
pub struct LocalCandidate {
    /// IP address.
    pub address: String,
    /// Port.
    pub port: u32,
    /// UDP or TCP.
    pub protocol: Transport,
}

impl TryFrom<ServerOptions> for server::ServerOptions {
    type Error = Fault;

    fn try_from(given: ServerOptions) -> Result<Self, Fault> {
        let mut options = Self::default();
        if let Some(port) = given.udp_port {
            options.udp_port = narrow("udpPort", port)?;
        }
        if let Some(address) = given.bind_address {
            options.bind_address = parse("bindAddress", &address)?;
        }
        if let Some(addresses) = given.announced_addresses {
            options.announced_addresses = addresses
                .iter()
                .map(|address| parse::<IpAddr>("announcedAddresses", address))
                .collect::<Result<_, _>>()?;
        }
        options.tcp = given.tcp.unwrap_or(options.tcp);
        options.gso = given.gso.unwrap_or(options.gso);
        if let Some(shards) = given.shards {
            options.shards = narrow("shards", shards)?;
        }
        Ok(options)
    }
}

impl From<server::ServerOptions> for ServerOptions {
    fn from(options: server::ServerOptions) -> Self {
        Self {
            udp_port: Some(options.udp_port.into()),
            bind_address: Some(options.bind_address.to_string()),
            announced_addresses: Some(
                options
                    .announced_addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
            ),
            tcp: Some(options.tcp),
            shards: Some(options.shards.into()),
            gso: Some(options.gso),
        }
    }
}

impl TryFrom<ClientOptions> for sfu::ClientOptions {
    type Error = Fault;

    fn try_from(given: ClientOptions) -> Result<Self, Fault> {
        let mut options = Self::default();
        if let Some(role) = given.role {
            options.role = role.into();
        }
        options.auto_subscribe = given.auto_subscribe.unwrap_or(options.auto_subscribe);
        if let Some(slots) = given.video_slots {
            options.video_slots = narrow("slots.video", slots)?;
        }
        if let Some(slots) = given.audio_slots {
            options.audio_slots = narrow("slots.audio", slots)?;
        }
        options.max_outgoing_bitrate = given.max_outgoing_bitrate.map(bits).transpose()?;
        Ok(options)
    }
}

impl TryFrom<SubscribeOptions> for sfu::SubscribeOptions {
    type Error = Fault;

    fn try_from(given: SubscribeOptions) -> Result<Self, Fault> {
        let mut options = Self::default();
        options.paused = given.paused.unwrap_or(options.paused);
        if let Some(priority) = given.priority {
            options.priority = narrow("priority", priority)?;
        }
        if let Some(layers) = given.layers {
            options.layers = layers.try_into()?;
        }
        Ok(options)
    }
}

impl TryFrom<PreferredLayers> for sfu::PreferredLayers {
    type Error = Fault;

    fn try_from(given: PreferredLayers) -> Result<Self, Fault> {
        Ok(Self {
            rid: given.rid,
            spatial: given.spatial.map(|n| narrow("spatial", n)).transpose()?,
            temporal: given.temporal.map(|n| narrow("temporal", n)).transpose()?,
        })
    }
}

impl From<sfu::LocalCandidate> for LocalCandidate {
    fn from(candidate: sfu::LocalCandidate) -> Self {
        Self {
            address: candidate.address.ip().to_string(),
            port: candidate.address.port().into(),
            protocol: candidate.transport.into(),
        }
    }
}

/// A bit rate: JavaScript numbers are exact up to 2^53, far above any link.
pub(crate) fn bits(given: f64) -> Result<u64, Fault> {
    if given.is_finite() && (0.0..=MAX_SAFE_INTEGER).contains(&given) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in 0..=2^53 - 1 one line above"
        )]
        return Ok(given as u64);
    }
    Err(invalid("a bit rate", &given.to_string()))
}

/// A small number that the Rust side holds in fewer bits.
pub(crate) fn narrow<T: TryFrom<u32>>(name: &str, given: u32) -> Result<T, Fault> {
    T::try_from(given).map_err(|_| invalid(name, &given.to_string()))
}

fn parse<T: FromStr>(name: &str, given: &str) -> Result<T, Fault> {
    given.parse().map_err(|_| invalid(name, given))
}

fn invalid(name: &str, given: &str) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        format!("{name}: {given:?} is out of range"),
    )
}

const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;
