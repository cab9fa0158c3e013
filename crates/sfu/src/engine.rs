//! One `Rtc` and the rules of driving it (str0m's contract, and the traps beside it).

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sluice_media::Codec;
use str0m::bwe::Bitrate;
use str0m::media::{Mid, Rid};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{RtpPacket, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Output, Reason, Rtc};

use crate::crypto::{self, AgreedProfile};
use crate::options::{Calling, LocalCandidate, Transport};
use crate::propagated::{CloseReason, SrtpProfile};

/// A datagram as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// When the kernel had it.
    pub received: Instant,
    /// Over what.
    pub transport: Transport,
    /// The peer's address.
    pub source: SocketAddr,
    /// The announced candidate it was sent to; never a wildcard.
    pub destination: SocketAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A datagram to send.
#[derive(Debug)]
pub struct Transmit {
    /// Over what.
    pub transport: Transport,
    /// The announced candidate it leaves from.
    pub source: SocketAddr,
    /// The peer's address.
    pub destination: SocketAddr,
    /// Its bytes.
    pub contents: Vec<u8>,
}

/// What a client's `Rtc` is built with.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    pub(crate) creds: &'a IceCreds,
    pub(crate) candidates: &'a [LocalCandidate],
    /// Whether somebody reads a send-side estimate. Without, the pacer never holds anything back.
    pub(crate) estimate: bool,
    /// Set when we call the peer.
    pub(crate) calling: Option<&'a Calling>,
}

/// Why [`Engine::step`] stopped.
#[derive(Debug)]
pub(crate) enum Step {
    /// There may be more to send.
    More,
    Packet(RtpPacket),
    Event(Event),
    /// Drained: nothing to do before this time, nor for `slack` after it.
    Idle {
        at: Instant,
        slack: Duration,
    },
}

/// The `Rtc` cannot go on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The handshake or a record was refused.
    Dtls(String),
    /// str0m panicked.
    Panic(String),
    /// Anything else it could not bear.
    Other(String),
}

impl Failure {
    pub(crate) fn into_reason(self) -> CloseReason {
        match self {
            Self::Dtls(_) => CloseReason::Dtls,
            Self::Panic(why) | Self::Other(why) => CloseReason::Internal(why),
        }
    }

    pub(crate) const fn is_panic(&self) -> bool {
        matches!(self, Self::Panic(_))
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::Dtls(why) | Self::Panic(why) | Self::Other(why) => why,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) rtc: Rtc,
    profile: AgreedProfile,
    /// How far this drain has pushed str0m's clock.
    clock: Instant,
    /// When media last went out: an idle peer is woken seldom.
    last_write: Option<Instant>,
    /// When media last came in: feedback about it is not to wait.
    last_read: Option<Instant>,
}

impl Engine {
    pub(crate) fn new(now: Instant, setup: &Setup<'_>) -> Result<Self, Failure> {
        let offers = |codec| {
            setup
                .calling
                .is_none_or(|calling| calling.codecs.contains(&codec))
        };
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(setup.calling.is_none())
            .set_crypto_provider(crypto::provider())
            .set_local_ice_credentials(setup.creds.clone())
            .set_stats_interval(Some(STATS_INTERVAL))
            .set_send_buffer_audio(AUDIO_RTX_PACKETS)
            .set_send_buffer_video(VIDEO_RTX_PACKETS)
            .clear_codecs()
            .enable_opus(offers(Codec::Opus), false)
            .enable_vp8(offers(Codec::Vp8))
            .enable_h264(offers(Codec::H264))
            .enable_vp9(offers(Codec::Vp9))
            .enable_av1(offers(Codec::Av1));
        if let Some(certificate) = crypto::certificate() {
            config = config.set_dtls_cert(certificate);
        }
        if setup.estimate {
            config = config.enable_bwe(Some(Bitrate::bps(INITIAL_ESTIMATE)));
        }
        let (rtc, profile) = crypto::observed(|| guarded(|| config.build(now)));
        let mut engine = Self {
            rtc: rtc?,
            profile,
            clock: now,
            last_write: None,
            last_read: None,
        };
        for candidate in setup.candidates {
            if let Some(candidate) = host(*candidate) {
                engine.rtc.add_local_candidate(candidate);
            }
        }
        Ok(engine)
    }

    pub(crate) fn srtp_profile(&self) -> Option<SrtpProfile> {
        self.profile.get().copied()
    }

    /// One datagram in. The caller drains before anything else happens to this engine.
    pub(crate) fn receive(&mut self, now: Instant, datagram: Datagram<'_>) -> Result<(), Failure> {
        self.clock = self.clock.max(now);
        let proto = match datagram.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        // What does not parse is the peer's fault and costs it this datagram.
        let Ok(receive) =
            Receive::new(proto, datagram.source, datagram.destination, datagram.bytes)
        else {
            return Ok(());
        };
        let input = Input::Receive(datagram.received.min(now), receive);
        guarded(|| self.rtc.handle_input(input))?.or_else(fatal)
    }

    /// Hands in the time: after writes, or when a deadline is due.
    pub(crate) fn timeout(&mut self, now: Instant) -> Result<(), Failure> {
        self.clock = self.clock.max(now);
        let clock = self.clock;
        guarded(|| self.rtc.handle_input(Input::Timeout(clock)))?.or_else(fatal)
    }

    /// Marks that media was written, which makes the pacer's deadlines matter.
    pub(crate) fn note_write(&mut self, now: Instant) {
        self.last_write = Some(now);
    }

    /// Polls until something other than a datagram comes out; the datagrams are appended to
    /// `transmits`, at most [`RUN`] of them. Repeat until [`Step::Idle`].
    pub(crate) fn step(
        &mut self,
        now: Instant,
        transmits: &mut Vec<Transmit>,
    ) -> Result<Step, Failure> {
        guarded(|| self.poll(now, transmits))?
    }

    /// With an estimator the pacer lets one packet out per timeout, a microsecond apart: those
    /// timeouts are chased here, up to [`SLACK`] into the future, so that a frame leaves in one
    /// drain. Other timeouts are not: at a round trip of nothing the delay controller is due
    /// again at once, for ever.
    fn poll(&mut self, now: Instant, transmits: &mut Vec<Transmit>) -> Result<Step, Failure> {
        let full = transmits.len() + RUN;
        while transmits.len() < full {
            match self.rtc.poll_output().map_err(failure)? {
                Output::Transmit(transmit) => transmits.push(Transmit {
                    transport: match transmit.proto {
                        Protocol::Udp => Transport::Udp,
                        _ => Transport::Tcp,
                    },
                    source: transmit.source,
                    destination: transmit.destination,
                    contents: transmit.contents.into(),
                }),
                Output::Event(Event::RtpPacket(packet)) => {
                    self.last_read = Some(now);
                    return Ok(Step::Packet(packet));
                }
                Output::Event(event) => return Ok(Step::Event(event)),
                Output::Timeout(at) => {
                    let reason = self.rtc.last_timeout_reason();
                    let horizon = now + SLACK;
                    let chase = matches!(reason, Reason::Pacer(_))
                        && at <= horizon
                        && self.clock <= horizon
                        && self.is_sending(now);
                    if !chase {
                        return Ok(Step::Idle {
                            at: at.max(now + self.floor(reason, now)),
                            slack: self.slack(now),
                        });
                    }
                    // Always forward, or it spins.
                    self.clock = at.max(self.clock + Duration::from_micros(1));
                    let input = Input::Timeout(self.clock);
                    self.rtc.handle_input(input).or_else(fatal)?;
                }
            }
        }
        Ok(Step::More)
    }

    /// The peer gives no feedback after all: nothing corrects the estimate, so nothing is held back by it.
    pub(crate) fn drop_estimate(&mut self) {
        self.rtc.bwe().reset(Bitrate::bps(NO_ESTIMATE));
    }

    /// The SSRC's stream, if str0m knows it by now.
    pub(crate) fn stream_names(&mut self, ssrc: Ssrc) -> Option<(Mid, Option<Rid>)> {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_rx(&ssrc)?;
        Some((stream.mid(), stream.rid()))
    }

    fn is_sending(&self, now: Instant) -> bool {
        self.last_write.is_some_and(|at| is_recent(at, now))
    }

    /// How late a wake-up may be: media waits for nothing, reports and checks do not mind.
    fn slack(&self, now: Instant) -> Duration {
        let is_receiving = self.last_read.is_some_and(|at| is_recent(at, now));
        if self.is_sending(now) || is_receiving || !self.rtc.is_connected() {
            Duration::ZERO
        } else {
            IDLE_SLACK
        }
    }

    /// The least time before the next wake-up, by what asks for it.
    fn floor(&self, reason: Reason, now: Instant) -> Duration {
        match reason {
            Reason::Pacer(_)
            | Reason::BweDelayControl
            | Reason::BweProbeControl
            | Reason::BweProbeEstimator
                if !self.is_sending(now) =>
            {
                IDLE_TICK
            }
            Reason::BweDelayControl => BWE_TICK,
            _ => MIN_TICK,
        }
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) < QUIET
}

/// Our announced address as a candidate (RFC 8839 §5.1, RFC 6544 §4.5).
fn host(candidate: LocalCandidate) -> Option<Candidate> {
    match candidate.transport {
        Transport::Udp => Candidate::host(candidate.address, "udp").ok(),
        Transport::Tcp => Candidate::builder()
            .tcp()
            .host(candidate.address)
            .tcptype(TcpType::Passive)
            .build()
            .ok(),
    }
}

/// A panic inside str0m ends the peer that caused it, never its neighbours.
pub(crate) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Failure::Panic(text)
    })
}

fn failure(error: str0m::RtcError) -> Failure {
    match error {
        str0m::RtcError::Dtls(e) => Failure::Dtls(e.to_string()),
        // What comes up while driving is the certificate that fits no fingerprint (RFC 8122 §6.2).
        str0m::RtcError::RemoteSdp(why) => Failure::Dtls(why),
        e => Failure::Other(e.to_string()),
    }
}

/// Which errors on input end the peer. Undecodable media does not.
fn fatal(error: str0m::RtcError) -> Result<(), Failure> {
    match failure(error) {
        Failure::Other(why) => {
            tracing::debug!(why, "input refused");
            Ok(())
        }
        failure => Err(failure),
    }
}

/// Datagrams of one step, so that a peer with much to send leaves the others their turn.
const RUN: usize = 64;
/// How far into the future a drain may push str0m's clock.
const SLACK: Duration = Duration::from_micros(200);
/// The wheel's resolution.
const MIN_TICK: Duration = Duration::from_millis(1);
/// str0m asks for the smoothed round trip, which is nothing on a LAN.
const BWE_TICK: Duration = Duration::from_millis(25);
/// A peer to whom no media goes is woken this seldom for pacing and estimation.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// See [`Deadline::slack`](crate::Deadline::slack).
const IDLE_SLACK: Duration = Duration::from_millis(64);
/// Without media for this long a peer counts as idle.
const QUIET: Duration = Duration::from_millis(500);
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// Where the estimate starts. Probing corrects it within the first second.
const INITIAL_ESTIMATE: u64 = 1_500_000;
/// More than one peer is ever sent.
const NO_ESTIMATE: u64 = 1_000_000_000;
pub(crate) const VIDEO_RTX_PACKETS: usize = 256;
const AUDIO_RTX_PACKETS: usize = 16;
