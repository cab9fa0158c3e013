//! Measurements as values.

use napi_derive::napi;
use sluice_server::room as sfu;

use crate::enums::{DtlsState, IceState, SrtpProfile};
use crate::tracks::{PublishedTrack, SubscribedTrack, length, milliseconds, number};

/// One client, measured.
#[napi(object, object_from_js = false)]
pub struct ClientStats {
    /// Who.
    pub client_id: String,
    /// ICE now.
    pub ice_state: IceState,
    /// DTLS now.
    pub dtls_state: DtlsState,
    /// What protects its media.
    pub srtp_profile: Option<SrtpProfile>,
    /// The address in use.
    pub remote_address: Option<String>,
    /// Smoothed round trip.
    pub round_trip_time_ms: Option<f64>,
    /// Lost share of what we sent, 0 to 1.
    pub fraction_lost: Option<f64>,
    /// Interarrival jitter of what it sends.
    pub jitter_ms: f64,
    /// What can be sent to it.
    pub available_outgoing_bits_per_second: Option<f64>,
    /// RTP bytes received since the start.
    pub bytes_received: f64,
    /// RTP bytes sent since the start.
    pub bytes_sent: f64,
    /// m-lines negotiated, in all states.
    pub media_lines: f64,
    /// What it publishes.
    pub tracks: Vec<TrackStats>,
    /// What it gets.
    pub subscriptions: Vec<SubscriptionStats>,
}

/// One published track, measured.
#[napi(object, object_from_js = false)]
pub struct TrackStats {
    /// The track.
    pub track: PublishedTrack,
    /// Its layers, lowest first.
    pub layers: Vec<LayerStats>,
    /// Subscribers in a slot.
    pub subscribers: f64,
}

/// One published layer, measured.
#[napi(object, object_from_js = false)]
pub struct LayerStats {
    /// Simulcast rid.
    pub rid: Option<String>,
    /// Whether packets came lately.
    pub active: bool,
    /// Payload over the last second.
    pub bits_per_second: f64,
    /// Packets since the start.
    pub packets: f64,
    /// Payload bytes since the start.
    pub bytes: f64,
    /// Keyframes since the start.
    pub keyframes: f64,
    /// Keyframe requests sent to the publisher.
    pub keyframe_requests: f64,
    /// Picture width, where the codec tells it.
    pub width: Option<u32>,
    /// Picture height, where the codec tells it.
    pub height: Option<u32>,
}

/// One subscription, measured.
#[napi(object, object_from_js = false)]
pub struct SubscriptionStats {
    /// The subscription.
    pub subscription: SubscribedTrack,
    /// Its priority.
    pub priority: u32,
    /// Payload over the last second.
    pub bits_per_second: f64,
    /// Packets forwarded since it was bound.
    pub packets: f64,
    /// Payload bytes forwarded since it was bound.
    pub bytes: f64,
    /// Layer switches since it was bound.
    pub switches: f64,
}

impl From<sfu::ClientStats> for ClientStats {
    fn from(stats: sfu::ClientStats) -> Self {
        Self {
            client_id: stats.client_id.to_string(),
            ice_state: stats.ice_state.into(),
            dtls_state: stats.dtls_state.into(),
            srtp_profile: stats.srtp_profile.map(SrtpProfile::from),
            remote_address: stats.remote.map(|address| address.to_string()),
            round_trip_time_ms: stats.round_trip_time.map(milliseconds),
            fraction_lost: stats.fraction_lost.map(f64::from),
            jitter_ms: milliseconds(stats.jitter),
            available_outgoing_bits_per_second: stats.available_outgoing_bitrate.map(number),
            bytes_received: number(stats.bytes_in),
            bytes_sent: number(stats.bytes_out),
            media_lines: length(stats.media_lines),
            tracks: stats.tracks.into_iter().map(Into::into).collect(),
            subscriptions: stats.subscriptions.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<sfu::TrackStats> for TrackStats {
    fn from(stats: sfu::TrackStats) -> Self {
        Self {
            track: stats.track.into(),
            layers: stats.layers.into_iter().map(Into::into).collect(),
            subscribers: length(stats.subscribers),
        }
    }
}

impl From<sfu::LayerStats> for LayerStats {
    fn from(stats: sfu::LayerStats) -> Self {
        let (width, height) = stats.resolution.unzip();
        Self {
            rid: stats.rid,
            active: stats.active,
            bits_per_second: number(stats.bits_per_second),
            packets: number(stats.packets),
            bytes: number(stats.bytes),
            keyframes: number(stats.keyframes),
            keyframe_requests: number(stats.keyframe_requests),
            width: width.map(Into::into),
            height: height.map(Into::into),
        }
    }
}

impl From<sfu::SubscriptionStats> for SubscriptionStats {
    fn from(stats: sfu::SubscriptionStats) -> Self {
        Self {
            subscription: stats.subscription.into(),
            priority: stats.priority.into(),
            bits_per_second: number(stats.bits_per_second),
            packets: number(stats.packets),
            bytes: number(stats.bytes),
            switches: number(stats.switches),
        }
    }
}
