//! Offers and answers on a live client (RFC 9429), one in flight.
//!
//! The server is the polite side of perfect negotiation: an offer of the peer always wins, ours
//! is dropped and announced again once the peer's is answered. So glare never deadlocks.

use std::time::Instant;

use sluice_media::MediaKind;
use str0m::Candidate;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, Mid};

use crate::client::Client;
use crate::engine::{Failure, guarded};
use crate::error::SfuError;
use crate::sdp;
use crate::slot::Slot;

/// Where a client's negotiation stands.
#[derive(Default)]
pub(crate) struct Negotiation {
    pending: Option<Pending>,
    /// `NegotiationNeeded` was reported and nobody has asked for the offer since.
    pub(crate) announced: bool,
    pub(crate) restart_ice: bool,
}

struct Pending {
    offer: SdpPendingOffer,
    since: Instant,
    added: Vec<(Mid, MediaKind)>,
}

impl std::fmt::Debug for Negotiation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Negotiation")
            .field("pending", &self.pending.is_some())
            .field("announced", &self.announced)
            .finish_non_exhaustive()
    }
}

impl Negotiation {
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Gives up an offer that nobody answered.
    pub(crate) fn expire(&mut self, now: Instant, timeout: std::time::Duration) -> bool {
        let expired = self
            .pending
            .as_ref()
            .is_some_and(|p| now.saturating_duration_since(p.since) > timeout);
        if expired {
            self.pending = None;
        }
        expired
    }
}

impl Client {
    pub(crate) fn accept_offer(&mut self, now: Instant, text: &str) -> Result<String, SfuError> {
        let mut text = sdp::checked(text)?;
        if self.options.calling.is_some() {
            text = sdp::few_candidates(&text).into();
        }
        let offer = SdpOffer::from_sdp_string(&text).map_err(|e| SfuError::Sdp(e.to_string()))?;
        self.for_each_slot(Slot::wake);
        let engine = self.engine(now, sdp::offers_transport_cc(&text))?;
        let outcome = guarded(|| engine.rtc.sdp_api().accept_offer(offer));
        let answer = self
            .survived(outcome)?
            .map_err(|e| SfuError::SdpFatal(e.to_string()))?;
        // Void since `accept_offer`; what it wanted is wanted again.
        self.negotiation.pending = None;
        self.negotiation.announced = false;
        self.lines_changed = true;
        Ok(sdp::in_order_of_offer(&text, &answer.to_sdp_string()))
    }

    /// An offer for the m-lines that are missing, or an ICE restart; none when all is well.
    pub(crate) fn create_offer(&mut self, now: Instant) -> Result<Option<String>, SfuError> {
        if self.negotiation.is_pending() {
            return Ok(None);
        }
        let (audio, video) = (
            self.missing(MediaKind::Audio),
            self.missing(MediaKind::Video),
        );
        let asked = self.unasked();
        // Without an engine there is nothing to restart.
        let restart = self.negotiation.restart_ice && self.has_engine();
        self.negotiation.announced = false;
        if audio + video + asked.len() == 0 && !restart {
            return Ok(None);
        }
        let first = (
            self.slots_of(MediaKind::Audio),
            self.slots_of(MediaKind::Video),
        );
        self.for_each_slot(Slot::wake);
        let calling = self.options.calling.is_some();
        let engine = self.engine(now, true)?;
        let mut api = engine.rtc.sdp_api();
        let mut added = Vec::new();
        for (kind, from, count) in [
            (MediaKind::Audio, first.0, audio),
            (MediaKind::Video, first.1, video),
        ] {
            for n in from..from + count {
                // Slots of one number share a stream id: browsers keep a stream's audio and
                // video in step, and the registry binds a publisher's pair to such slots.
                // What goes to a foreign server is one MediaStream (RFC 9725 §4.4.2).
                let stream = Some(format!("slot{}", if calling { 0 } else { n }));
                let mid = api.add_media(to_str0m(kind), Direction::SendOnly, stream, None, None);
                added.push((mid, kind));
            }
        }
        for kind in asked {
            let mid = api.add_media(to_str0m(kind), Direction::RecvOnly, None, None, None);
            added.push((mid, kind));
        }
        if restart {
            api.ice_restart(true);
        }
        let Some((offer, pending)) = api.apply() else {
            return Ok(None);
        };
        let mut text = offer.to_sdp_string();
        if calling {
            text = sdp::calling_offer(&text);
        }
        self.negotiation.restart_ice = false;
        self.negotiation.pending = Some(Pending {
            offer: pending,
            since: now,
            added,
        });
        Ok(Some(text))
    }

    pub(crate) fn accept_answer(&mut self, text: &str) -> Result<(), SfuError> {
        if !self.negotiation.is_pending() {
            return Err(SfuError::NoPendingOffer);
        }
        let mut text = sdp::checked(text)?;
        let calling = self.options.calling.is_some();
        if calling {
            text = sdp::few_candidates(&text).into();
        }
        let answer = SdpAnswer::from_sdp_string(&text).map_err(|e| SfuError::Sdp(e.to_string()))?;
        self.for_each_slot(Slot::wake);
        let (Some(pending), Some(engine)) =
            (self.negotiation.pending.take(), self.existing_engine())
        else {
            return Err(SfuError::NoPendingOffer);
        };
        let outcome = guarded(|| engine.rtc.sdp_api().accept_answer(pending.offer, answer));
        self.survived(outcome)?
            .map_err(|e| SfuError::SdpFatal(e.to_string()))?;
        for (mid, kind) in pending.added {
            self.add_line(mid, kind);
        }
        if calling
            && !sdp::offers_transport_cc(&text)
            && let Some(engine) = self.existing_engine()
        {
            engine.drop_estimate();
        }
        self.lines_changed = true;
        Ok(())
    }

    /// Adds a trickled candidate (RFC 8840 §4); the end-of-candidates mark and names only mDNS
    /// could resolve are taken and ignored.
    pub(crate) fn add_ice_candidate(&mut self, now: Instant, text: &str) -> Result<(), SfuError> {
        let text = text.trim();
        let text = text.strip_prefix("a=").unwrap_or(text);
        if text.is_empty() || text == "end-of-candidates" || sdp::is_local_name(text) {
            return Ok(());
        }
        let candidate =
            Candidate::from_sdp_string(text).map_err(|e| SfuError::Candidate(e.to_string()))?;
        self.engine(now, true)?.rtc.add_remote_candidate(candidate);
        Ok(())
    }

    /// What a negotiation gave, unless it panicked.
    fn survived<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, SfuError> {
        outcome.map_err(|failure| {
            self.panicked = true;
            SfuError::SdpFatal(failure.text())
        })
    }

    /// Whether there is something to offer.
    pub(crate) fn wants_negotiation(&self) -> bool {
        // Who is called has taken an offer once: WHIP and WHEP know no other (RFC 9725 §4.4.1).
        self.options.calling.is_none()
            && (self.negotiation.restart_ice
                || self.missing(MediaKind::Audio) + self.missing(MediaKind::Video) > 0)
    }
}

fn to_str0m(kind: MediaKind) -> str0m::media::MediaKind {
    match kind {
        MediaKind::Audio => str0m::media::MediaKind::Audio,
        MediaKind::Video => str0m::media::MediaKind::Video,
    }
}
