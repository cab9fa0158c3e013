//! Tracks and layers as values.

use std::time::Duration;

use napi_derive::napi;
use sluice_server::room as sfu;

use crate::enums::{Codec, MediaKind, SubscriptionState};

/// A track as its publisher sends it.
#[napi(object, object_from_js = false)]
pub struct PublishedTrack {
    /// Its id.
    pub id: String,
    /// Its publisher.
    pub client_id: String,
    /// The publisher's m-line.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Known from the first packet on.
    pub codec: Option<Codec>,
    /// Simulcast rids, lowest first.
    pub rids: Vec<String>,
    /// Silent by negotiation.
    pub muted: bool,
}

/// A track as one subscriber has it.
#[napi(object, object_from_js = false)]
pub struct SubscribedTrack {
    /// Which track.
    pub track_id: String,
    /// Its publisher.
    pub source_client_id: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// The subscriber's m-line; none while it waits.
    pub mid: Option<String>,
    /// Whether it flows.
    pub state: SubscriptionState,
    /// The simulcast layer that flows.
    pub rid: Option<String>,
}

impl From<sfu::PublishedTrack> for PublishedTrack {
    fn from(track: sfu::PublishedTrack) -> Self {
        Self {
            id: track.id.to_string(),
            client_id: track.client_id.to_string(),
            mid: track.mid,
            kind: track.kind.into(),
            codec: track.codec.and_then(Codec::known),
            rids: track.rids,
            muted: track.muted,
        }
    }
}

impl From<sfu::SubscribedTrack> for SubscribedTrack {
    fn from(track: sfu::SubscribedTrack) -> Self {
        Self {
            track_id: track.track_id.to_string(),
            source_client_id: track.source_client_id.to_string(),
            kind: track.kind.into(),
            mid: track.mid,
            state: track.state.into(),
            rid: track.rid,
        }
    }
}

/// A counter as a JavaScript number.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53, which no counter of ours reaches"
)]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

/// A number of live objects as a JavaScript number.
pub(crate) fn length(count: usize) -> f64 {
    number(u64::try_from(count).unwrap_or(u64::MAX))
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
