//! Events as JavaScript sees them: this enum is the truth that `binding.d.ts` and, through a
//! compile-time equality, `ts/events.ts` follow.

use napi_derive::napi;
use sluice_server as server;
use sluice_server::room as sfu;
use sluice_server::room::Propagated;

use crate::enums::{
    BindingTerm, CloseReason, DtlsState, IceState, KeyframeKind, Lane, LayerCause, SrtpProfile,
    TrackCloseReason,
};
use crate::live_events::{LiveEvent, live_event};
use crate::tracks::{PublishedTrack, SubscribedTrack, milliseconds, number};

/// Events of one registry, or of the server itself, in the order they happened.
#[napi(object, object_from_js = false)]
pub struct Delivery {
    /// Which registry; none for the server's own.
    pub registry_id: Option<f64>,
    /// What happened.
    pub events: Vec<Event>,
    /// What happened to live streams.
    pub live_events: Vec<LiveEvent>,
}

/// Something that happened.
#[napi(
    discriminant = "type",
    discriminant_case = "camelCase",
    object_from_js = false
)]
pub enum Event {
    /// Media can flow.
    ClientConnected {
        /// Who.
        client_id: String,
    },
    /// The client is gone.
    ClientDisconnected {
        /// Who.
        client_id: String,
        /// Why.
        reason: CloseReason,
        /// In whose words.
        message: Option<String>,
    },
    /// A track is published.
    TrackOpen {
        /// The publisher.
        client_id: String,
        /// What.
        track: PublishedTrack,
    },
    /// A published track ended.
    TrackClose {
        /// The publisher.
        client_id: String,
        /// Which.
        track_id: String,
        /// Why.
        reason: TrackCloseReason,
    },
    /// The publisher stopped or resumed sending.
    TrackMuted {
        /// The publisher.
        client_id: String,
        /// Which.
        track_id: String,
        /// Silent now.
        muted: bool,
    },
    /// Codec or layers changed.
    TrackChanged {
        /// The publisher.
        client_id: String,
        /// As it is now.
        track: PublishedTrack,
    },
    /// The server has something to offer.
    NegotiationNeeded {
        /// To whom.
        client_id: String,
    },
    /// Which tracks this client gets.
    SubscriptionsChanged {
        /// The subscriber.
        client_id: String,
        /// All of them.
        subscriptions: Vec<SubscribedTrack>,
    },
    /// A subscriber gets another layer.
    LayerChanged {
        /// The subscriber.
        client_id: String,
        /// Which track.
        track_id: String,
        /// The simulcast layer it gets now.
        rid: Option<String>,
        /// Spatial layer, 0 lowest.
        spatial: u32,
        /// Temporal layer, 0 lowest.
        temporal: u32,
        /// Why.
        cause: LayerCause,
    },
    /// A published layer fell silent or came back.
    StreamPaused {
        /// The publisher.
        client_id: String,
        /// Which track.
        track_id: String,
        /// Which layer.
        rid: Option<String>,
        /// Silent now.
        paused: bool,
    },
    /// A subscriber asked for a keyframe.
    KeyframeRequest {
        /// The subscriber.
        client_id: String,
        /// The publisher.
        source_client_id: String,
        /// Of which track.
        track_id: String,
        /// Of which layer.
        rid: Option<String>,
        /// How.
        kind: KeyframeKind,
        /// Nothing was sent to the publisher.
        merged: bool,
    },
    /// What can be sent to this client.
    BandwidthEstimate {
        /// The subscriber.
        client_id: String,
        /// The estimate.
        bits_per_second: f64,
        /// Its smallest term.
        binding_term: BindingTerm,
    },
    /// The receiver reports of one second, while media flows to or from the client.
    RtcpStats {
        /// The subscriber.
        client_id: String,
        /// Lost share, 0 to 1.
        fraction_lost: f64,
        /// Round trip, if known.
        round_trip_time_ms: Option<f64>,
        /// Of what the client sends.
        jitter_ms: f64,
    },
    /// ICE moved on.
    IceStateChanged {
        /// Who.
        client_id: String,
        /// To what.
        state: IceState,
        /// The peer's address in use.
        remote_address: Option<String>,
    },
    /// DTLS moved on.
    DtlsStateChanged {
        /// Who.
        client_id: String,
        /// To what.
        state: DtlsState,
        /// The profile agreed on.
        srtp_profile: Option<SrtpProfile>,
    },
    /// Something went wrong.
    Error {
        /// The client concerned.
        client_id: Option<String>,
        /// What.
        message: String,
    },
    /// The registry is closed.
    Close {
        /// Why.
        reason: CloseReason,
        /// In whose words.
        message: Option<String>,
    },
    /// Events were lost because JavaScript was slow.
    EventsDropped {
        /// Of which lane.
        lane: Lane,
        /// How many since the last such event.
        count: f64,
    },
}

/// Groups a batch into runs of one registry. Total: it runs where a panic ends the process.
pub(crate) fn deliveries(batch: Vec<server::Event>) -> Vec<Delivery> {
    let mut runs: Vec<Delivery> = Vec::new();
    for event in batch {
        let (registry_id, event) = match event {
            server::Event::Live(event) => {
                let Some(event) = live_event(event) else {
                    continue;
                };
                match runs.last_mut() {
                    Some(run) if run.events.is_empty() => run.live_events.push(event),
                    _ => runs.push(Delivery {
                        registry_id: None,
                        events: Vec::new(),
                        live_events: vec![event],
                    }),
                }
                continue;
            }
            server::Event::Registry { registry, event } => {
                (Some(number(registry.raw())), event.into())
            }
            server::Event::EventsDropped { lane, count } => (
                None,
                Event::EventsDropped {
                    lane: lane.into(),
                    count: number(count),
                },
            ),
        };
        match runs.last_mut() {
            Some(run) if run.registry_id == registry_id && run.live_events.is_empty() => {
                run.events.push(event);
            }
            _ => runs.push(Delivery {
                registry_id,
                events: vec![event],
                live_events: Vec::new(),
            }),
        }
    }
    runs
}

impl From<Propagated> for Event {
    #[expect(clippy::too_many_lines, reason = "one arm per variant")]
    fn from(event: Propagated) -> Self {
        match event {
            Propagated::ClientConnected { client_id } => Self::ClientConnected {
                client_id: client_id.to_string(),
            },
            Propagated::ClientDisconnected { client_id, reason } => {
                let (reason, message) = words(reason);
                Self::ClientDisconnected {
                    client_id: client_id.to_string(),
                    reason,
                    message,
                }
            }
            Propagated::TrackOpen { client_id, track } => Self::TrackOpen {
                client_id: client_id.to_string(),
                track: track.into(),
            },
            Propagated::TrackClose {
                client_id,
                track_id,
                reason,
            } => Self::TrackClose {
                client_id: client_id.to_string(),
                track_id: track_id.to_string(),
                reason: reason.into(),
            },
            Propagated::TrackMuted {
                client_id,
                track_id,
                muted,
            } => Self::TrackMuted {
                client_id: client_id.to_string(),
                track_id: track_id.to_string(),
                muted,
            },
            Propagated::TrackChanged { client_id, track } => Self::TrackChanged {
                client_id: client_id.to_string(),
                track: track.into(),
            },
            Propagated::NegotiationNeeded { client_id } => Self::NegotiationNeeded {
                client_id: client_id.to_string(),
            },
            Propagated::SubscriptionsChanged {
                client_id,
                subscriptions,
            } => Self::SubscriptionsChanged {
                client_id: client_id.to_string(),
                subscriptions: subscriptions.into_iter().map(Into::into).collect(),
            },
            Propagated::LayerChanged {
                client_id,
                track_id,
                layer,
                cause,
            } => Self::LayerChanged {
                client_id: client_id.to_string(),
                track_id: track_id.to_string(),
                rid: layer.rid,
                spatial: layer.spatial.into(),
                temporal: layer.temporal.into(),
                cause: cause.into(),
            },
            Propagated::StreamPaused {
                client_id,
                track_id,
                rid,
                paused,
            } => Self::StreamPaused {
                client_id: client_id.to_string(),
                track_id: track_id.to_string(),
                rid,
                paused,
            },
            Propagated::KeyframeRequest {
                client_id,
                source_client_id,
                track_id,
                rid,
                kind,
                merged,
            } => Self::KeyframeRequest {
                client_id: client_id.to_string(),
                source_client_id: source_client_id.to_string(),
                track_id: track_id.to_string(),
                rid,
                kind: kind.into(),
                merged,
            },
            Propagated::BandwidthEstimate {
                client_id,
                bits_per_second,
                binding_term,
            } => Self::BandwidthEstimate {
                client_id: client_id.to_string(),
                bits_per_second: number(bits_per_second),
                binding_term: binding_term.into(),
            },
            Propagated::RtcpStats {
                client_id,
                fraction_lost,
                round_trip_time,
                jitter,
            } => Self::RtcpStats {
                client_id: client_id.to_string(),
                fraction_lost: fraction_lost.into(),
                round_trip_time_ms: round_trip_time.map(milliseconds),
                jitter_ms: milliseconds(jitter),
            },
            Propagated::IceStateChanged {
                client_id,
                state,
                remote,
            } => Self::IceStateChanged {
                client_id: client_id.to_string(),
                state: state.into(),
                remote_address: remote.map(|address| address.to_string()),
            },
            Propagated::DtlsStateChanged {
                client_id,
                state,
                srtp_profile,
            } => Self::DtlsStateChanged {
                client_id: client_id.to_string(),
                state: state.into(),
                srtp_profile: srtp_profile.map(SrtpProfile::from),
            },
            Propagated::Error { client_id, message } => Self::Error {
                client_id: client_id.map(|client| client.to_string()),
                message,
            },
            Propagated::Close { reason } => {
                let (reason, message) = words(reason);
                Self::Close { reason, message }
            }
        }
    }
}

fn words(reason: sfu::CloseReason) -> (CloseReason, Option<String>) {
    let message = match &reason {
        sfu::CloseReason::Application(words)
        | sfu::CloseReason::Sdp(words)
        | sfu::CloseReason::Internal(words)
            if !words.is_empty() =>
        {
            Some(words.clone())
        }
        _ => None,
    };
    (reason.into(), message)
}
