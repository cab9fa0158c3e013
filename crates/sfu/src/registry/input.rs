//! A datagram or a deadline for one client, and the drain that follows at once.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_media::MediaKind;
use sluice_rtp::{Protocol, classify, stun};
use str0m::bwe::BweKind;
use str0m::media::KeyframeRequestKind;
use str0m::rtp::Ssrc;
use str0m::{Event, IceConnectionState};

use super::{DRAIN_BUDGET, Registry};
use crate::client::Client;
use crate::engine::{Datagram, Step, Transmit};
use crate::options::Transport;
use crate::output::{Deadline, Output, RouteChange};
use crate::propagated::{
    BindingTerm, CloseReason, DtlsState, IceState, KeyframeKind, Propagated, SrtpProfile,
};

impl Registry {
    /// One datagram for the client with this key. What it causes towards others is only marked:
    /// call [`Registry::settle`] after the batch.
    pub fn handle_input(
        &mut self,
        now: Instant,
        key: u32,
        datagram: Datagram<'_>,
        out: &mut Output,
    ) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        client.last_input = now;
        client.link.bytes_in += datagram.bytes.len() as u64;
        let Some(engine) = client.existing_engine() else {
            return;
        };
        if let Err(failure) = engine.receive(now, datagram) {
            client.fail(failure);
            self.unsettle(key);
            return;
        }
        let was_reachable = client.is_reachable();
        self.drain(now, key, out);
        if let Some(client) = self.client_opt(key)
            && client.options.calling.is_some()
            && !was_reachable
            && client.is_reachable()
        {
            // The response that completes a pair is one whose integrity was checked. An ICE-lite peer sends no checks of
            // its own, and may shake hands before we do.
            let (address, routes) = ((datagram.source, datagram.transport), &mut out.routes);
            client.authenticate(address, routes);
        }
        if let Some(client) = self.client_opt(key)
            && let Some(stranger) = client.unknown_source(datagram.bytes)
        {
            client.dismiss(stranger);
        }
    }

    /// The deadline of the client with this key is due.
    pub fn handle_timeout(&mut self, now: Instant, key: u32, out: &mut Output) {
        self.hand_in_time(now, key, out);
    }

    /// Drains a client to which something was written.
    pub(super) fn drain_dirty(&mut self, now: Instant, key: u32, out: &mut Output) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        client.marks.dirty = false;
        client.link.media_at = Some(now);
        let news = std::mem::take(&mut client.marks.news);
        self.pull(now, key, news);
        let Some(client) = self.client_opt(key) else {
            return;
        };
        if let Some(engine) = client.existing_engine() {
            engine.note_write(now);
        }
        self.hand_in_time(now, key, out);
    }

    fn hand_in_time(&mut self, now: Instant, key: u32, out: &mut Output) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let Some(engine) = client.existing_engine() else {
            return;
        };
        if let Err(failure) = engine.timeout(now) {
            client.fail(failure);
            self.unsettle(key);
            return;
        }
        self.drain(now, key, out);
    }

    /// Polls a client's engine until it is idle, forwarding media as it comes out.
    pub(super) fn drain(&mut self, now: Instant, key: u32, out: &mut Output) {
        for _ in 0..DRAIN_BUDGET {
            let Some(client) = self.client_opt(key) else {
                return;
            };
            let Some(engine) = client.existing_engine() else {
                return;
            };
            let before = out.transmits.len();
            let step = engine.step(now, &mut out.transmits);
            client.sent(before, out);
            match step {
                Ok(Step::More) => {}
                Ok(Step::Packet(packet)) => self.forward(now, key, packet, out),
                Ok(Step::Event(event)) => self.on_event(now, key, event, out),
                Ok(Step::Idle { at, slack }) => {
                    let token = client.token;
                    out.deadlines.push(Deadline { token, at, slack });
                    if client.lines_changed {
                        self.review_lines(now, key, out);
                    }
                    return;
                }
                Err(failure) => {
                    client.fail(failure);
                    self.unsettle(key);
                    return;
                }
            }
        }
        // Over budget: its next turn goes on from here.
        if let Some(client) = self.client(key) {
            out.deadlines.push(Deadline {
                token: client.token,
                at: now,
                slack: Duration::ZERO,
            });
        }
    }

    fn on_event(&mut self, now: Instant, key: u32, event: Event, out: &mut Output) {
        let Some(client) = self.client_opt(key) else {
            return;
        };
        let client_id = client.id;
        match event {
            Event::Connected => {
                client.connected = true;
                let srtp_profile = client.srtp_profile();
                out.events.push(Propagated::DtlsStateChanged {
                    client_id,
                    state: DtlsState::Connected,
                    srtp_profile,
                });
                out.events.push(Propagated::ClientConnected { client_id });
                self.counters.client_connects += 1;
                if let Some(profile) = srtp_profile {
                    count_profile(&mut self.counters.srtp_profiles, profile);
                }
                self.start_all(now, key, out);
            }
            Event::IceConnectionStateChange(state) => {
                let state = ice_state(state);
                client.ice_state = state;
                client.disconnected_since = (state == IceState::Disconnected).then_some(now);
                let remote = client.remotes.last().copied();
                out.events.push(Propagated::IceStateChanged {
                    client_id,
                    state,
                    remote,
                });
            }
            Event::MediaAdded(added) => {
                let kind = if added.kind.is_audio() {
                    MediaKind::Audio
                } else {
                    MediaKind::Video
                };
                client.add_line(added.mid, kind);
                client.lines_changed = true;
            }
            Event::MediaChanged(_) => client.lines_changed = true,
            Event::KeyframeRequest(request) => {
                let kind = match request.kind {
                    KeyframeRequestKind::Pli => KeyframeKind::Pli,
                    KeyframeRequestKind::Fir => KeyframeKind::Fir,
                };
                self.on_keyframe_request(now, key, request.mid, kind, out);
            }
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                client.link.estimate = Some(estimate.as_u64());
                let (bits_per_second, binding_term) = client.bound(BindingTerm::Native);
                out.events.push(Propagated::BandwidthEstimate {
                    client_id,
                    bits_per_second,
                    binding_term,
                });
            }
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                client.link.remb = Some(estimate.as_u64());
                if client.link.estimate.is_none() {
                    let (bits_per_second, binding_term) = client.bound(BindingTerm::Remb);
                    out.events.push(Propagated::BandwidthEstimate {
                        client_id,
                        bits_per_second,
                        binding_term,
                    });
                }
            }
            Event::PeerStats(stats) => {
                let link = &mut client.link;
                link.round_trip_time = stats
                    .rtt
                    .or_else(|| stats.selected_candidate_pair?.current_round_trip_time)
                    .or(link.round_trip_time);
                link.fraction_lost = stats.egress_loss_fraction.or(link.fraction_lost);
                let flows = |at| now.saturating_duration_since(at) < FLOWING;
                if link.media_at.is_some_and(flows) {
                    out.events.push(Propagated::RtcpStats {
                        client_id,
                        fraction_lost: link.fraction_lost.unwrap_or_default(),
                        round_trip_time: link.round_trip_time,
                        jitter: link.jitter,
                    });
                }
            }
            Event::MediaIngressStats(stats) => {
                let rate = match client.lines.iter().find(|line| line.mid == stats.mid) {
                    Some(line) if line.kind == MediaKind::Audio => AUDIO_CLOCK,
                    _ => VIDEO_CLOCK,
                };
                let jitter = Duration::from_secs(stats.jitter.into()) / rate;
                client.link.jitter = jitter;
            }
            Event::Closed => {
                client.closing.get_or_insert(CloseReason::Peer);
                self.unsettle(key);
            }
            _ => {}
        }
    }
}

impl Client {
    /// The SSRC of an RTP packet, if nothing authenticated has come from it.
    fn unknown_source(&self, datagram: &[u8]) -> Option<Ssrc> {
        if classify(datagram) != Some(Protocol::Rtp) {
            return None;
        }
        let bytes = datagram.get(8..)?.first_chunk()?;
        let ssrc = Ssrc::from(u32::from_be_bytes(*bytes));
        let known = self.ingress.iter().any(|(known, _)| *known == ssrc);
        (!known).then_some(ssrc)
    }

    /// str0m believes the MID extension (RFC 9143 §9.2) of a packet before SRTP has vouched for it:
    /// a forged one moves the stream to an SSRC that nobody sends. This puts it back.
    fn dismiss(&mut self, stranger: Ssrc) {
        let Some(engine) = self.existing_engine() else {
            return;
        };
        let mut api = engine.rtc.direct_api();
        let Some(stream) = api.stream_rx(&stranger) else {
            return;
        };
        let (mid, rid, rtx) = (stream.mid(), stream.rid(), stream.rtx());
        let known = self.ingress.iter().rev();
        let mut known = known.filter(|(_, ingress)| ingress.mid == mid && ingress.rid == rid);
        let Some((ssrc, _)) = known.next().copied() else {
            return; // nothing has come on this line yet: it may be the first
        };
        let Some(engine) = self.existing_engine() else {
            return;
        };
        let mut api = engine.rtc.direct_api();
        api.remove_stream_rx(stranger);
        api.expect_stream_rx(ssrc, rtx, mid, rid)
            .suppress_nack(rtx.is_none());
    }

    /// Looks at what was written from this place on.
    fn sent(&mut self, before: usize, out: &mut Output) {
        let Output {
            transmits, routes, ..
        } = out;
        for transmit in transmits.iter().skip(before) {
            self.link.bytes_out += transmit.contents.len() as u64;
            // str0m answers no STUN request whose integrity check fails, so a success response
            // (RFC 8489 §5: class 10, method Binding) vouches for the address it goes to.
            let remote = (transmit.destination, transmit.transport);
            if transmit.contents.starts_with(&[0x01, 0x01]) {
                self.authenticate(remote, routes);
            } else if self.options.calling.is_some() {
                self.called(transmit, remote, routes);
            }
        }
    }

    /// To somebody we call checks leave, whose responses are to find us, and then, on the pair that the checks have
    /// proved, all the rest.
    fn called(
        &mut self,
        transmit: &Transmit,
        remote: (SocketAddr, Transport),
        routes: &mut Vec<RouteChange>,
    ) {
        match classify(&transmit.contents) {
            Some(Protocol::Stun) if !self.remotes.contains(&remote.0) => {
                let Some(check) = stun::Message::parse(&transmit.contents) else {
                    return;
                };
                routes.push(RouteChange::Checked {
                    token: self.token,
                    destination: remote.0,
                    transaction_id: check.transaction_id(),
                });
            }
            Some(Protocol::Stun) | None => {}
            Some(_) => self.authenticate(remote, routes),
        }
    }

    fn is_reachable(&self) -> bool {
        matches!(self.ice_state, IceState::Connected | IceState::Completed)
    }

    fn authenticate(
        &mut self,
        (source, transport): (SocketAddr, Transport),
        routes: &mut Vec<RouteChange>,
    ) {
        if self.remotes.last() == Some(&source) {
            return;
        }
        self.remotes.retain(|known| *known != source);
        if self.remotes.len() == MAX_REMOTES {
            self.remotes.remove(0);
        }
        self.remotes.push(source);
        routes.push(RouteChange::Authenticated {
            token: self.token,
            source,
            transport,
        });
    }

    /// The estimate in force, and which term it is.
    fn bound(&self, native: BindingTerm) -> (u64, BindingTerm) {
        let budget = self.budget().unwrap_or_default();
        let ceiling = self.options.max_outgoing_bitrate == Some(budget);
        (
            budget,
            if ceiling {
                BindingTerm::Ceiling
            } else {
                native
            },
        )
    }
}

fn ice_state(state: IceConnectionState) -> IceState {
    match state {
        IceConnectionState::New => IceState::New,
        IceConnectionState::Checking => IceState::Checking,
        IceConnectionState::Connected => IceState::Connected,
        IceConnectionState::Completed => IceState::Completed,
        IceConnectionState::Disconnected => IceState::Disconnected,
    }
}

fn count_profile(counters: &mut [u64; 3], profile: SrtpProfile) {
    let [cm, gcm128, gcm256] = counters;
    match profile {
        SrtpProfile::Aes128CmSha1_80 => *cm += 1,
        SrtpProfile::AeadAes128Gcm => *gcm128 += 1,
        SrtpProfile::AeadAes256Gcm => *gcm256 += 1,
    }
}

/// Ticks a second of all audio we negotiate (RFC 7587 §4.1).
const AUDIO_CLOCK: u32 = 48_000;
/// Ticks a second of all video we negotiate.
const VIDEO_CLOCK: u32 = 90_000;
/// A client without media for this long is not reported on: its numbers stand still.
const FLOWING: Duration = Duration::from_secs(2);
/// Addresses of one client, oldest out (STR0M.md §9).
const MAX_REMOTES: usize = 16;
