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
use crate::live_events::{LiveAction, LiveEvent, LiveFinishReason, LiveSourceState};
use crate::live_values::{LiveCodec, LiveEnd};

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
        samples.push(Delivery {
            registry_id: None,
            events: Vec::new(),
            live_events: live(),
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

fn live() -> Vec<LiveEvent> {
    let (key, protocol) = ("live/show".to_owned(), "whip".to_owned());
    let address = Some("192.0.2.1".to_owned());
    vec![
        LiveEvent::Authorize {
            number: 1.0,
            action: LiveAction::Publish,
            key: key.clone(),
            protocol: protocol.clone(),
            address: address.clone(),
            token: Some("a token".to_owned()),
            user: Some("a user".to_owned()),
            password: Some("a password".to_owned()),
            query: Some("a=query".to_owned()),
        },
        LiveEvent::PublishStarted {
            key: key.clone(),
            protocol: protocol.clone(),
            address,
            identity: Some("somebody".to_owned()),
        },
        LiveEvent::PublishEnded {
            key: key.clone(),
            reason: LiveFinishReason::RateLimited,
            frames: 250.0,
            bytes: 1_000_000.0,
        },
        LiveEvent::SourceState {
            key: key.clone(),
            state: LiveSourceState::Resuming,
            epoch: 2,
        },
        LiveEvent::StreamEnded {
            key: key.clone(),
            reason: LiveEnd::PublisherLost,
        },
        LiveEvent::SubscriberJoined {
            key: key.clone(),
            protocol: protocol.clone(),
        },
        LiveEvent::SubscriberLeft {
            key: key.clone(),
            protocol: protocol.clone(),
            frames: 100.0,
        },
        LiveEvent::SubscriberLagged {
            key: key.clone(),
            protocol: protocol.clone(),
            skipped: 30.0,
            lost_ms: 1200.5,
        },
        LiveEvent::SubscriberEvicted {
            key: key.clone(),
            protocol,
            lost_ms: 5000.0,
        },
        LiveEvent::Recording {
            key: key.clone(),
            active: true,
        },
        LiveEvent::Transcoding {
            key: key.clone(),
            active: false,
        },
        LiveEvent::CodecChanged {
            key: key.clone(),
            track: 1,
            codec: Some(LiveCodec::Opus),
            revision: 2,
        },
        LiveEvent::LayersChanged {
            key: key.clone(),
            layers: vec!["h".to_owned(), "q".to_owned()],
        },
        LiveEvent::RateLimited {
            key: key.clone(),
            bytes_per_second: 1_000_000.0,
        },
        LiveEvent::StreamReaped { key: key.clone() },
        LiveEvent::FrameRejected {
            key,
            message: "a sample".to_owned(),
            count: 3.0,
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
