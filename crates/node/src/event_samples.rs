//! One sample of every event, for the test that holds `ts/events.ts` to this side at run time.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use napi_derive::napi;
use sluice_server as server;
use sluice_server::room::{
    BindingTerm, ClientId, CloseReason, Codec, DtlsState, IceState, KeyframeKind, Lane, Layer,
    LayerCause, MediaKind, Propagated, PublishedTrack, SrtpProfile, SubscribedTrack,
    SubscriptionState, TrackCloseReason, TrackId,
};

use crate::errors::Fault;
use crate::events::{Delivery, Event, deliveries};
use crate::guard::guard;

/// One sample per variant, with every optional field present. For tests.
#[napi(js_name = "__eventSamples", catch_unwind)]
pub fn event_samples() -> Result<Vec<Delivery>, Fault> {
    guard(|| {
        let mut samples = deliveries(vec![server::Event::EventsDropped {
            lane: Lane::Telemetry,
            count: 7,
        }]);
        samples.push(Delivery {
            registry_id: Some(1.0),
            events: propagated().into_iter().map(Event::from).collect(),
            live_events: Vec::new(),
        });
        Ok(samples)
    })
}

fn propagated() -> Vec<Propagated> {
    let client_id = ClientId::new(1);
    let (track_id, rid) = (track_id(), Some("h".to_owned()));
    vec![
        Propagated::ClientConnected { client_id },
        Propagated::TrackOpen {
            client_id,
            track: published(),
        },
        Propagated::TrackMuted {
            client_id,
            track_id,
            muted: true,
        },
        Propagated::TrackChanged {
            client_id,
            track: published(),
        },
        Propagated::NegotiationNeeded { client_id },
        Propagated::SubscriptionsChanged {
            client_id,
            subscriptions: vec![subscribed()],
        },
        Propagated::LayerChanged {
            client_id,
            track_id,
            layer: Layer {
                rid: rid.clone(),
                spatial: 1,
                temporal: 2,
            },
            cause: LayerCause::SourceSilent,
        },
        Propagated::StreamPaused {
            client_id,
            track_id,
            rid: rid.clone(),
            paused: true,
        },
        Propagated::KeyframeRequest {
            client_id,
            source_client_id: ClientId::new(2),
            track_id,
            rid,
            kind: KeyframeKind::Pli,
            merged: true,
        },
        Propagated::BandwidthEstimate {
            client_id,
            bits_per_second: 1_500_000,
            binding_term: BindingTerm::Ceiling,
        },
        Propagated::RtcpStats {
            client_id,
            fraction_lost: 0.25,
            round_trip_time: Some(Duration::from_millis(40)),
            jitter: Duration::from_micros(1500),
        },
        Propagated::IceStateChanged {
            client_id,
            state: IceState::Completed,
            remote: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 5000))),
        },
        Propagated::DtlsStateChanged {
            client_id,
            state: DtlsState::Connected,
            srtp_profile: Some(SrtpProfile::AeadAes256Gcm),
        },
        Propagated::Error {
            client_id: Some(client_id),
            message: "a sample".to_owned(),
        },
        Propagated::TrackClose {
            client_id,
            track_id,
            reason: TrackCloseReason::ClientGone,
        },
        Propagated::ClientDisconnected {
            client_id,
            reason: CloseReason::Application("bye".to_owned()),
        },
        Propagated::Close {
            reason: CloseReason::Internal("a sample".to_owned()),
        },
    ]
}

fn published() -> PublishedTrack {
    PublishedTrack {
        id: track_id(),
        client_id: ClientId::new(1),
        mid: "0".to_owned(),
        kind: MediaKind::Video,
        codec: Some(Codec::Vp8),
        rids: vec!["q".to_owned(), "h".to_owned()],
        muted: false,
    }
}

fn subscribed() -> SubscribedTrack {
    SubscribedTrack {
        track_id: track_id(),
        source_client_id: ClientId::new(1),
        kind: MediaKind::Video,
        mid: Some("3".to_owned()),
        state: SubscriptionState::Active,
        rid: Some("h".to_owned()),
    }
}

/// The first track of client 1. Its text form is the only door in from outside `sfu`.
fn track_id() -> TrackId {
    "t10000"
        .parse()
        .unwrap_or_else(|_| unreachable!("the text form of a track id is fixed"))
}
