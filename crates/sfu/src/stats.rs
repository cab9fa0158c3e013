//! Measurements of a client, as plain values.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use sluice_media::MediaKind;

use crate::id::ClientId;
use crate::propagated::{DtlsState, IceState, PublishedTrack, SrtpProfile, SubscribedTrack};

/// One client, measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientStats {
    /// Who.
    pub client_id: ClientId,
    /// ICE now.
    pub ice_state: IceState,
    /// DTLS now.
    pub dtls_state: DtlsState,
    /// What protects its media.
    pub srtp_profile: Option<SrtpProfile>,
    /// The address in use.
    pub remote: Option<SocketAddr>,
    /// Smoothed round trip.
    pub round_trip_time: Option<Duration>,
    /// Lost share of what we sent, 0..=1.
    pub fraction_lost: Option<f32>,
    /// Interarrival jitter of what it sends (RFC 3550 §6.4.1), the worst of its streams.
    pub jitter: Duration,
    /// What can be sent to it, bits a second.
    pub available_outgoing_bitrate: Option<u64>,
    /// RTP bytes received since the start.
    pub bytes_in: u64,
    /// RTP bytes sent since the start.
    pub bytes_out: u64,
    /// m-lines negotiated, in all states.
    pub media_lines: usize,
    /// What it publishes.
    pub tracks: Vec<TrackStats>,
    /// What it gets.
    pub subscriptions: Vec<SubscriptionStats>,
}

/// One published track, measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TrackStats {
    /// The track.
    pub track: PublishedTrack,
    /// Its layers, lowest first; one without rid when there is no simulcast.
    pub layers: Vec<LayerStats>,
    /// Subscribers in a slot.
    pub subscribers: usize,
}

/// One published layer, measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LayerStats {
    /// Simulcast rid.
    pub rid: Option<String>,
    /// Whether packets came lately.
    pub active: bool,
    /// Payload bits a second over the last second.
    pub bits_per_second: u64,
    /// Packets since the start.
    pub packets: u64,
    /// Payload bytes since the start.
    pub bytes: u64,
    /// Keyframes since the start.
    pub keyframes: u64,
    /// Keyframe requests sent to the publisher.
    pub keyframe_requests: u64,
    /// Picture size, where the codec tells it.
    pub resolution: Option<(u16, u16)>,
}

/// One subscription, measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// The subscription.
    pub subscription: SubscribedTrack,
    /// Its priority.
    pub priority: u8,
    /// Payload bits a second over the last second.
    pub bits_per_second: u64,
    /// Packets forwarded since it was bound.
    pub packets: u64,
    /// Payload bytes forwarded since it was bound.
    pub bytes: u64,
    /// Layer switches since it was bound.
    pub switches: u64,
}

/// Counters of a registry since its start: absolute, never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryCounters {
    /// Clients inserted.
    pub client_inserts: u64,
    /// Clients that connected.
    pub client_connects: u64,
    /// Clients gone.
    pub client_disconnects: u64,
    /// Forwarded packets: audio.
    pub forwarded_audio: u64,
    /// Forwarded packets: video.
    pub forwarded_video: u64,
    /// Payload bytes received: audio.
    pub bytes_in_audio: u64,
    /// Payload bytes received: video.
    pub bytes_in_video: u64,
    /// Payload bytes forwarded: audio.
    pub bytes_out_audio: u64,
    /// Payload bytes forwarded: video.
    pub bytes_out_video: u64,
    /// Keyframe requests from subscribers.
    pub pli_in: u64,
    /// Keyframe requests to publishers.
    pub pli_out: u64,
    /// Keyframe requests that rode on another.
    pub pli_merged: u64,
    /// Joins and switches served from a ring.
    pub ring_starts: u64,
    /// Layer selections by rank: lowest, middle, highest, other.
    pub layer_selections: [u64; 4],
    /// Payloads over the size str0m can forward, dropped at the door.
    pub oversized_dropped: u64,
    /// Inbound packets dropped for other causes (unknown stream, over a cap).
    pub inbound_dropped: u64,
    /// Clients closed because their state machine panicked.
    pub client_panics: u64,
    /// Clients by agreed SRTP profile: AES-CM, GCM-128, GCM-256.
    pub srtp_profiles: [u64; 3],
}

impl RegistryCounters {
    pub(crate) fn count_forwarded(&mut self, kind: MediaKind, bytes: usize) {
        match kind {
            MediaKind::Audio => {
                self.forwarded_audio += 1;
                self.bytes_out_audio += bytes as u64;
            }
            MediaKind::Video => {
                self.forwarded_video += 1;
                self.bytes_out_video += bytes as u64;
            }
        }
    }

    /// Notes that layer `index` of `count` was chosen.
    pub(crate) fn count_selection(&mut self, index: usize, count: usize) {
        let [lowest, middle, highest, other] = &mut self.layer_selections;
        *(match (count, index) {
            (3, 0) => lowest,
            (3, 1) => middle,
            (3, 2) => highest,
            _ => other,
        }) += 1;
    }
}

impl AddAssign for RegistryCounters {
    fn add_assign(&mut self, other: Self) {
        self.client_inserts += other.client_inserts;
        self.client_connects += other.client_connects;
        self.client_disconnects += other.client_disconnects;
        self.forwarded_audio += other.forwarded_audio;
        self.forwarded_video += other.forwarded_video;
        self.bytes_in_audio += other.bytes_in_audio;
        self.bytes_in_video += other.bytes_in_video;
        self.bytes_out_audio += other.bytes_out_audio;
        self.bytes_out_video += other.bytes_out_video;
        self.pli_in += other.pli_in;
        self.pli_out += other.pli_out;
        self.pli_merged += other.pli_merged;
        self.ring_starts += other.ring_starts;
        for (sum, n) in self.layer_selections.iter_mut().zip(other.layer_selections) {
            *sum += n;
        }
        self.oversized_dropped += other.oversized_dropped;
        self.inbound_dropped += other.inbound_dropped;
        self.client_panics += other.client_panics;
        for (sum, n) in self.srtp_profiles.iter_mut().zip(other.srtp_profiles) {
            *sum += n;
        }
    }
}
