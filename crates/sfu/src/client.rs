//! A peer of the room: its engine, its m-lines, its slots and wishes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_media::MediaKind;
use str0m::media::{Mid, Rid};
use str0m::rtp::Ssrc;
use str0m::{IceCreds, Rtc};

use crate::clock::SenderClock;
use crate::engine::{Engine, Failure, Setup};
use crate::error::SfuError;
use crate::id::ClientId;
use crate::negotiation::Negotiation;
use crate::options::{ClientOptions, LocalCandidate, Role};
use crate::propagated::{
    CloseReason, DtlsState, IceState, SrtpProfile, SubscribedTrack, SubscriptionState,
};
use crate::slot::Slot;
use crate::stats::{ClientStats, SubscriptionStats};
use crate::subscription::Subscription;
use crate::track::Track;

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, each read alone"
)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    /// What the registry's owner calls it.
    pub(crate) token: u32,
    pub(crate) options: ClientOptions,
    engine: Option<Box<Engine>>,
    creds: IceCreds,
    candidates: Vec<LocalCandidate>,
    pub(crate) negotiation: Negotiation,
    pub(crate) lines: Vec<Line>,
    /// A negotiation ended: the lines are to be looked through.
    pub(crate) lines_changed: bool,
    pub(crate) slots: Vec<Slot>,
    pub(crate) subscriptions: Vec<Subscription>,
    /// The subscriptions differ from what was last reported.
    pub(crate) subscriptions_changed: bool,
    /// Which published layer an SSRC feeds.
    pub(crate) ingress: Vec<(Ssrc, Ingress)>,
    pub(crate) clock: SenderClock,
    pub(crate) tracks_opened: u16,
    pub(crate) connected: bool,
    pub(crate) ice_state: IceState,
    pub(crate) inserted_at: Instant,
    pub(crate) last_input: Instant,
    pub(crate) disconnected_since: Option<Instant>,
    /// Addresses that proved they know the ICE password, newest last.
    pub(crate) remotes: Vec<SocketAddr>,
    pub(crate) closing: Option<CloseReason>,
    /// Its engine panicked, which is counted when it goes.
    pub(crate) panicked: bool,
    /// No peer: its tracks are fed from inside the process.
    pub(crate) is_source: bool,
    pub(crate) marks: Marks,
    pub(crate) link: Link,
}

/// What others left for a client to do, side by side: the forwarding loop touches nothing else of it.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Slots whose layer has packets they have not taken.
    pub(crate) news: u64,
    /// On the registry's dirty list.
    pub(crate) dirty: bool,
    /// On the registry's list of clients with something to report.
    pub(crate) unsettled: bool,
}

/// What is known of the way to the peer.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// The estimator's word, bits a second.
    pub(crate) estimate: Option<u64>,
    /// The receiver's own word.
    pub(crate) remb: Option<u64>,
    /// What str0m was last told to aim at.
    pub(crate) desired: u64,
    pub(crate) round_trip_time: Option<Duration>,
    pub(crate) fraction_lost: Option<f32>,
    pub(crate) jitter: Duration,
    /// When a packet last was forwarded from or to it.
    pub(crate) media_at: Option<Instant>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// An m-line, in the order of the session description.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) mid: Mid,
    pub(crate) kind: MediaKind,
    /// Dense index of the track the peer publishes on it.
    pub(crate) track: Option<u32>,
    /// The slot that sends on it.
    pub(crate) slot: Option<u16>,
}

/// Where an SSRC's packets go, and the stream they were authenticated on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingress {
    pub(crate) track: u32,
    pub(crate) layer: usize,
    pub(crate) mid: Mid,
    pub(crate) rid: Option<Rid>,
}

impl Client {
    pub(crate) fn new(
        now: Instant,
        id: ClientId,
        token: u32,
        creds: IceCreds,
        candidates: Vec<LocalCandidate>,
        options: ClientOptions,
    ) -> Self {
        Self {
            id,
            token,
            options,
            engine: None,
            creds,
            candidates,
            negotiation: Negotiation::default(),
            lines: Vec::new(),
            lines_changed: false,
            slots: Vec::new(),
            subscriptions: Vec::new(),
            subscriptions_changed: false,
            ingress: Vec::new(),
            clock: SenderClock::default(),
            tracks_opened: 0,
            connected: false,
            ice_state: IceState::New,
            inserted_at: now,
            last_input: now,
            disconnected_since: None,
            remotes: Vec::new(),
            closing: None,
            panicked: false,
            is_source: false,
            marks: Marks::default(),
            link: Link::default(),
        }
    }

    /// The engine, made at the first negotiation: only then is it known whether the peer gives
    /// the feedback that an estimator lives on.
    pub(crate) fn engine(&mut self, now: Instant, feedback: bool) -> Result<&mut Engine, SfuError> {
        if self.engine.is_none() {
            let setup = Setup {
                creds: &self.creds,
                candidates: &self.candidates,
                estimate: feedback && self.options.role != Role::Publish,
                calling: self.options.calling.as_ref(),
            };
            let engine = Engine::new(now, &setup).map_err(|e| SfuError::SdpFatal(e.text()))?;
            self.engine = Some(Box::new(engine));
        }
        self.existing_engine().ok_or(SfuError::ClientClosed)
    }

    pub(crate) fn existing_engine(&mut self) -> Option<&mut Engine> {
        self.engine.as_deref_mut()
    }

    /// The engine cannot go on: the client is closed once it is settled.
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.panicked |= failure.is_panic();
        self.closing = Some(failure.into_reason());
    }

    pub(crate) fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.engine.as_deref().and_then(Engine::srtp_profile)
    }

    pub(crate) fn has_engine(&self) -> bool {
        self.engine.is_some()
    }

    /// Engine and slot at once, for a write.
    pub(crate) fn engine_and_slot(&mut self, slot: u16) -> Option<(&mut Engine, &mut Slot)> {
        Some((
            self.engine.as_deref_mut()?,
            self.slots.get_mut(usize::from(slot))?,
        ))
    }

    /// Puts all streams to sleep, or wakes them.
    pub(crate) fn for_each_slot(&mut self, f: impl Fn(&mut Slot, &mut Rtc)) {
        if let Some(engine) = self.engine.as_deref_mut() {
            for slot in &mut self.slots {
                f(slot, &mut engine.rtc);
            }
        }
    }

    pub(crate) fn ufrag(&mut self) -> String {
        match self.engine.as_deref_mut() {
            Some(engine) => engine.rtc.direct_api().local_ice_credentials().ufrag,
            None => self.creds.ufrag.clone(),
        }
    }

    pub(crate) fn add_line(&mut self, mid: Mid, kind: MediaKind) {
        if !self.lines.iter().any(|line| line.mid == mid) {
            self.lines.push(Line {
                mid,
                kind,
                track: None,
                slot: None,
            });
        }
    }

    pub(crate) fn slots_of(&self, kind: MediaKind) -> usize {
        self.slots
            .iter()
            .filter(|slot| slot.kind == kind && slot.enabled)
            .count()
    }

    /// How many more slots of this kind would be put to use.
    pub(crate) fn missing(&self, kind: MediaKind) -> usize {
        if self.options.role == Role::Publish {
            return 0;
        }
        let cap = match kind {
            MediaKind::Audio => self.options.audio_slots,
            MediaKind::Video => self.options.video_slots,
        };
        let wanted = self.subscriptions.iter().filter(|s| s.kind == kind).count();
        wanted
            .min(usize::from(cap))
            .saturating_sub(self.slots_of(kind))
    }

    /// The m-lines on which the peer is still to be asked to send.
    pub(crate) fn unasked(&self) -> Vec<MediaKind> {
        let calling = self.options.calling.as_ref();
        let wanted = calling.map_or(&[][..], |calling| &calling.receive);
        if self.lines.is_empty() {
            wanted.to_vec()
        } else {
            Vec::new()
        }
    }

    pub(crate) fn dtls_state(&self) -> DtlsState {
        if self.connected {
            DtlsState::Connected
        } else {
            DtlsState::Connecting
        }
    }

    /// The most that may be sent, and none when nobody knows.
    pub(crate) fn budget(&self) -> Option<u64> {
        [
            self.link.estimate.or(self.link.remb),
            self.options.max_outgoing_bitrate,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(crate) fn describe(&self, subscription: &Subscription, track: &Track) -> SubscribedTrack {
        let slot = subscription
            .slot
            .and_then(|slot| self.slots.get(usize::from(slot)));
        SubscribedTrack {
            track_id: subscription.track_id,
            source_client_id: subscription.track_id.client(),
            kind: track.kind,
            mid: slot.map(|slot| slot.mid.to_string()),
            state: match slot {
                None => SubscriptionState::Waiting,
                Some(_) if subscription.paused => SubscriptionState::Paused,
                Some(_) => SubscriptionState::Active,
            },
            rid: slot
                .and_then(|slot| track.layers.get(slot.current?))
                .and_then(|layer| layer.rid.map(|rid| rid.to_string())),
        }
    }

    /// Everything but the tracks, which the registry owns.
    pub(crate) fn stats(&self, now: Instant, tracks: &[Option<Box<Track>>]) -> ClientStats {
        let track = |index: u32| tracks.get(index as usize).and_then(Option::as_deref);
        let subscriptions = self
            .subscriptions
            .iter()
            .filter_map(|subscription| {
                let slot = subscription
                    .slot
                    .and_then(|slot| self.slots.get(usize::from(slot)));
                Some(SubscriptionStats {
                    subscription: self.describe(subscription, track(subscription.track)?),
                    priority: subscription.priority,
                    bits_per_second: slot.map_or(0, |slot| slot.rate.bits_per_second(now)),
                    packets: slot.map_or(0, |slot| slot.rate.packets()),
                    bytes: slot.map_or(0, |slot| slot.rate.bytes()),
                    switches: slot.map_or(0, |slot| slot.switches),
                })
            })
            .collect();
        ClientStats {
            client_id: self.id,
            ice_state: self.ice_state,
            dtls_state: self.dtls_state(),
            srtp_profile: self.srtp_profile(),
            remote: self.remotes.last().copied(),
            round_trip_time: self.link.round_trip_time,
            fraction_lost: self.link.fraction_lost,
            jitter: self.link.jitter,
            available_outgoing_bitrate: self.budget(),
            bytes_in: self.link.bytes_in,
            bytes_out: self.link.bytes_out,
            media_lines: self.lines.len(),
            tracks: self
                .lines
                .iter()
                .filter_map(|line| Some(track(line.track?)?.stats(now)))
                .collect(),
            subscriptions,
        }
    }
}
