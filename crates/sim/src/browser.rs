//! A fake browser: a real `Rtc` with full ICE that publishes made-up media and keeps what it gets.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use sluice_media::Codec;
use sluice_rtp::{PayloadInfo, payload};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::config::DtlsCert;
use str0m::media::{
    Direction, KeyframeRequestKind, MediaKind, Mid, Pt, Rid, Simulcast, SimulcastLayer,
};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcError};

use crate::decoder::Decoder;
use crate::encoder::{Encoder, Format};
use crate::rng::Rng;
use crate::stamp::Stamp;

/// What a browser says to its server over the application's channel.
#[derive(Debug, Clone)]
pub enum Signal {
    /// A session description of type offer.
    Offer(String),
    /// One of type answer.
    Answer(String),
    /// A trickled candidate.
    Candidate(String),
}

/// A published track as a browser has it.
#[derive(Debug)]
pub struct LocalTrack {
    /// Its m-line, once offered.
    pub mid: Option<Mid>,
    /// Its encodings, lowest first; one without rid when there is no simulcast.
    pub layers: Vec<LocalLayer>,
    /// Nothing is sent while set, as a disabled camera does.
    pub muted: bool,
    /// The m-line is to be inactive.
    pub inactive: bool,
    /// How often it was let send again: each time it is another track to the room.
    life: u32,
    format: Format,
    interval: Duration,
    next: Option<Instant>,
    /// Its direction is in an offer that is not answered: nothing is sent before.
    offered: bool,
}

/// One encoding.
#[derive(Debug)]
pub struct LocalLayer {
    /// Its rid.
    pub rid: Option<Rid>,
    /// Makes its packets.
    pub encoder: Encoder,
    /// This layer alone is not sent, as a browser short of bandwidth does.
    pub silent: bool,
    ssrc: Option<Ssrc>,
}

/// A received packet, kept for the oracles.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// When.
    pub at: Instant,
    /// The slot's SSRC.
    pub ssrc: u32,
    /// The m-line.
    pub mid: String,
    /// Extended sequence number.
    pub seq: u64,
    /// Extended timestamp.
    pub time: u64,
    /// Marker.
    pub marker: bool,
    /// By payload type.
    pub codec: Codec,
    /// What the payload says on the wire.
    pub info: PayloadInfo,
    /// What it truly is.
    pub stamp: Option<Stamp>,
}

/// A peer of a room.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent marks, each read alone"
)]
pub struct Browser {
    /// Its address.
    pub address: SocketAddr,
    /// When it wants to be called.
    pub deadline: Instant,
    /// ICE and DTLS are up.
    pub connected: bool,
    /// It has left, or was told to.
    pub closed: bool,
    /// What it publishes.
    pub tracks: Vec<LocalTrack>,
    /// All it received.
    pub arrivals: Vec<Arrival>,
    /// What it could show, by m-line.
    pub decoders: BTreeMap<Mid, Decoder>,
    /// Keyframe requests it got: when, for which encoder, in which life of its track.
    pub keyframe_requests: Vec<(Instant, u32, u32)>,
    /// Every packet it made, by encoder, in order.
    pub made: HashMap<u32, Vec<Stamp>>,
    /// Datagrams to send; the world empties it.
    pub outbox: Vec<(SocketAddr, Vec<u8>)>,
    /// Signals to send; the world empties it.
    pub signals: Vec<Signal>,
    /// Whether offers carry the candidate, or it is trickled after them.
    pub trickle: bool,
    /// What it does when it is not able to decode; off for a plain recorder.
    pub asks_keyframes: bool,
    /// It is a foreign server that is called: it makes no offers, and its tracks go onto the m-lines it is offered.
    pub serves: bool,
    /// It answers that it gives no transport-wide feedback.
    pub without_feedback: bool,
    /// Errors of its own `Rtc`, none of which a run may have.
    pub errors: Vec<String>,
    rtc: Rtc,
    last_sent: Option<Vec<u8>>,
    recent: Option<(Instant, Vec<u8>)>,
    pending: Option<SdpPendingOffer>,
    wants_offer: bool,
    wants_restart: bool,
    sources: HashMap<u32, (u32, u64)>,
    codecs: HashMap<Pt, Codec>,
    rng: Rng,
    next_encoder: u32,
}

impl Browser {
    /// A browser at `address`; its encoders are numbered from `first_encoder` on.
    ///
    /// # Panics
    /// If str0m refuses the address.
    pub fn new(now: Instant, address: SocketAddr, first_encoder: u32, rng: Rng) -> Self {
        Self::with_ice(now, address, first_encoder, rng, false)
    }

    /// A server in a browser's place, perhaps one that is ICE-lite.
    ///
    /// # Panics
    /// If str0m refuses the address.
    pub fn server(
        now: Instant,
        address: SocketAddr,
        first_encoder: u32,
        rng: Rng,
        lite: bool,
    ) -> Self {
        Self {
            serves: true,
            ..Self::with_ice(now, address, first_encoder, rng, lite)
        }
    }

    fn with_ice(
        now: Instant,
        address: SocketAddr,
        first_encoder: u32,
        rng: Rng,
        lite: bool,
    ) -> Self {
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(lite)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_h264(true)
            .enable_vp9(true)
            .enable_av1(true);
        if let Some(certificate) = CERTIFICATE.clone() {
            config = config.set_dtls_cert(certificate);
        }
        let mut rtc = config.build(now);
        if let Ok(candidate) = Candidate::host(address, "udp") {
            rtc.add_local_candidate(candidate);
        }
        let codecs = rtc
            .codec_config()
            .params()
            .iter()
            .filter_map(|p| Some((p.pt(), Codec::from_name(&p.spec().codec.to_string())?)))
            .collect();
        Self {
            address,
            deadline: now,
            connected: false,
            closed: false,
            tracks: Vec::new(),
            arrivals: Vec::new(),
            decoders: BTreeMap::new(),
            keyframe_requests: Vec::new(),
            made: HashMap::new(),
            outbox: Vec::new(),
            signals: Vec::new(),
            trickle: false,
            asks_keyframes: true,
            serves: false,
            without_feedback: false,
            errors: Vec::new(),
            rtc,
            last_sent: None,
            recent: None,
            pending: None,
            wants_offer: false,
            wants_restart: false,
            sources: HashMap::new(),
            codecs,
            rng,
            next_encoder: first_encoder,
        }
    }

    /// Adds a track; `rids` empty means no simulcast. It is offered at the next [`Self::negotiate`].
    pub fn add_track(&mut self, format: Format, rids: &[&str], frames_per_second: u32) -> usize {
        self.add_sized_track(format, rids, frames_per_second, 4000)
    }

    /// Adds a track whose highest layer has delta frames of so many bytes on average.
    pub fn add_sized_track(
        &mut self,
        format: Format,
        rids: &[&str],
        frames_per_second: u32,
        top_frame_bytes: u64,
    ) -> usize {
        let audio = format == Format::Opus;
        let count = rids.len().max(1);
        let mut layers = Vec::new();
        for rank in 0..count {
            // Each layer halves the one above it in both directions.
            let down = count - 1 - rank;
            let size = (1280 >> down, 704 >> down);
            let bytes = (top_frame_bytes >> (2 * down)).max(300);
            let encoder = Encoder::new(self.next_encoder, format, size, bytes, self.rng.fork());
            self.next_encoder += 1;
            layers.push(LocalLayer {
                rid: rids.get(rank).map(|rid| Rid::from(*rid)),
                encoder,
                silent: false,
                ssrc: None,
            });
        }
        self.tracks.push(LocalTrack {
            mid: None,
            layers,
            muted: false,
            inactive: false,
            life: 0,
            format,
            interval: if audio {
                Duration::from_millis(20)
            } else {
                Duration::from_secs(1) / frames_per_second
            },
            next: None,
            offered: true,
        });
        self.wants_offer = true;
        self.tracks.len() - 1
    }

    /// Each layer goes on from another encoder, under another SSRC (RFC 3550 §8.2 lets it).
    pub fn replace_encoder(&mut self, track: usize) {
        let Some(track) = self.tracks.get_mut(track) else {
            return;
        };
        let Some(mid) = track.mid else { return };
        for layer in &mut track.layers {
            let mut api = self.rtc.direct_api();
            let Some(stream) = api.stream_tx_by_mid(mid, layer.rid) else {
                continue;
            };
            let (old, repaired) = (stream.ssrc(), stream.rtx().is_some());
            api.remove_stream_tx(old);
            let ssrc = api.new_ssrc();
            let rtx = repaired.then(|| api.new_ssrc());
            api.declare_stream_tx(ssrc, rtx, mid, layer.rid);
            layer.encoder = layer.encoder.successor(self.next_encoder, self.rng.fork());
            self.next_encoder += 1;
        }
    }

    /// Stops a track (`inactive`) or lets it send again, at the next [`Self::negotiate`].
    pub fn set_inactive(&mut self, track: usize, inactive: bool) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.inactive = inactive;
            track.life += 1;
            track.offered = true;
            self.wants_offer = true;
        }
    }

    /// The next offer restarts ICE.
    pub const fn restart_ice(&mut self) {
        self.wants_restart = true;
    }

    /// Offers what there is to offer, unless an offer of ours is in flight.
    pub fn negotiate(&mut self, now: Instant) {
        if self.serves
            || self.pending.is_some()
            || self.closed
            || !(self.wants_offer || self.wants_restart)
        {
            return;
        }
        let mut api = self.rtc.sdp_api();
        for track in &mut self.tracks {
            match track.mid {
                None if !track.inactive => {
                    let kind = match track.format {
                        Format::Opus => MediaKind::Audio,
                        _ => MediaKind::Video,
                    };
                    let mut simulcast = Simulcast::new();
                    for rid in track.layers.iter().filter_map(|layer| layer.rid) {
                        simulcast.add_send_layer(SimulcastLayer::new(&rid));
                    }
                    let simulcast = (track.layers.len() > 1).then_some(simulcast);
                    let mid = api.add_media(kind, Direction::SendOnly, None, None, simulcast);
                    track.mid = Some(mid);
                }
                None => {}
                Some(mid) => {
                    let direction = if track.inactive {
                        Direction::Inactive
                    } else {
                        Direction::SendOnly
                    };
                    api.set_direction(mid, direction);
                }
            }
        }
        if std::mem::take(&mut self.wants_restart) {
            api.ice_restart(true);
        }
        self.wants_offer = false;
        if let Some((offer, pending)) = api.apply() {
            self.pending = Some(pending);
            let text = self.trickled(offer.to_sdp_string());
            self.signals.insert(0, Signal::Offer(text));
        } else {
            // Stopped and started again before anybody was told.
            for track in &mut self.tracks {
                track.offered = false;
            }
        }
        self.drain(now);
    }

    /// Leaves out the candidates, to send them on their own.
    fn trickled(&mut self, sdp: String) -> String {
        if !self.trickle {
            return sdp;
        }
        let (own, rest): (Vec<&str>, Vec<&str>) = sdp
            .lines()
            .partition(|line| line.starts_with("a=candidate:"));
        for line in own {
            self.signals.push(Signal::Candidate(line.to_owned()));
        }
        rest.join("\r\n") + "\r\n"
    }

    /// Takes what the server says. We are the impolite side: with an offer of our own in flight,
    /// the server's is ignored.
    pub fn handle_signal(&mut self, now: Instant, signal: &Signal) {
        if self.closed {
            return;
        }
        match signal {
            Signal::Offer(_) if self.pending.is_some() => {}
            Signal::Offer(text) => {
                let answer = SdpOffer::from_sdp_string(text)
                    .map_err(|e| e.to_string())
                    .and_then(|offer| {
                        let answer = self.rtc.sdp_api().accept_offer(offer);
                        answer.map_err(|e| e.to_string())
                    });
                match answer {
                    Ok(answer) => {
                        let mut text = answer.to_sdp_string();
                        if self.without_feedback {
                            let kept = text.lines().filter(|line| !is_feedback(line));
                            text = kept.collect::<Vec<_>>().join("\r\n") + "\r\n";
                        }
                        self.signals.push(Signal::Answer(text));
                    }
                    Err(why) => self.errors.push(format!("offer refused: {why}\n{text}")),
                }
            }
            Signal::Answer(text) => {
                let Some(pending) = self.pending.take() else {
                    self.errors.push("an answer without an offer".to_owned());
                    return;
                };
                let outcome = SdpAnswer::from_sdp_string(text)
                    .map_err(|e| e.to_string())
                    .and_then(|answer| {
                        let done = self.rtc.sdp_api().accept_answer(pending, answer);
                        done.map_err(|e| e.to_string())
                    });
                for track in &mut self.tracks {
                    track.offered = self.wants_offer && track.offered;
                }
                if let Err(why) = outcome {
                    self.errors.push(format!("answer refused: {why}\n{text}"));
                }
            }
            Signal::Candidate(text) => {
                if let Ok(candidate) = Candidate::from_sdp_string(text) {
                    self.rtc.add_remote_candidate(candidate);
                }
            }
        }
        self.drain(now);
        self.negotiate(now);
    }

    /// The server could not use our offer: it is void, and wanted again.
    pub fn rollback(&mut self) {
        self.pending = None;
    }

    /// A datagram from the server.
    pub fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if self.closed {
            return;
        }
        let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, bytes) else {
            return;
        };
        let outcome = self.rtc.handle_input(Input::Receive(now, receive));
        self.note(outcome);
        self.drain(now);
    }

    /// Time passes: timers, and frames that are due.
    pub fn advance(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        let outcome = self.rtc.handle_input(Input::Timeout(now));
        self.note(outcome);
        self.drain(now);
        if self.connected {
            self.publish(now);
        }
        if self.asks_keyframes {
            self.ask_keyframes(now);
        }
    }

    /// Leaves with `close_notify` and BYE.
    pub fn leave(&mut self, now: Instant) {
        let outcome = self.rtc.close();
        self.note(outcome);
        self.drain(now);
        self.closed = true;
    }

    /// Asks for a keyframe on an m-line, needed or not.
    pub fn ask_keyframe(&mut self, now: Instant, mid: Mid, kind: KeyframeRequestKind) {
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(kind);
        }
        self.drain(now);
    }

    /// The encoder and the packet number of an RTP datagram of ours; none for anything else.
    pub fn identify(&self, bytes: &[u8]) -> Option<(u32, u32)> {
        let header = RtpHead::read(bytes)?;
        let (encoder, first) = *self.sources.get(&header.ssrc)?;
        let made = self.made.get(&encoder)?.len() as u64;
        let newest = first + made.saturating_sub(1);
        let behind = u64::from(
            u16::try_from(newest & 0xffff)
                .unwrap_or_default()
                .wrapping_sub(header.sequence),
        );
        let sequence = newest.checked_sub(behind)?;
        Some((encoder, u32::try_from(sequence.checked_sub(first)?).ok()?))
    }

    /// A recent datagram of media that has arrived by now, for whoever wants to replay or mutate it.
    pub fn last_datagram(&self) -> Option<&[u8]> {
        self.last_sent.as_deref()
    }

    /// Frames shown, of all m-lines.
    pub fn frames(&self) -> u64 {
        self.decoders.values().map(|d| d.frames).sum()
    }

    /// What it could show of an m-line.
    pub fn decoder(&self, mid: &str) -> Option<&Decoder> {
        self.decoders.get(&Mid::from(mid))
    }

    /// Whether the track is sent at present, at least one layer of it.
    pub fn is_sending(&self, mid: &str) -> bool {
        self.tracks.iter().any(|track| {
            track.mid == Some(Mid::from(mid))
                && !track.muted
                && !track.inactive
                && track.layers.iter().any(|layer| !layer.silent)
        })
    }

    /// Whether an offer of ours is in flight.
    pub const fn is_offering(&self) -> bool {
        self.pending.is_some()
    }

    fn publish(&mut self, now: Instant) {
        let mut wrote = false;
        for track in &mut self.tracks {
            let Some(mid) = track.mid else { continue };
            let Some(media) = self.rtc.media(mid) else {
                continue;
            };
            if track.offered
                || track.inactive
                || !media.direction().is_sending()
                || media.disabled()
            {
                track.next = None;
                continue;
            }
            let codec = track.format.codec();
            let pts = media.remote_pts();
            let pt = self
                .rtc
                .codec_config()
                .params()
                .iter()
                .find(|p| p.spec().codec == codec && pts.contains(&p.pt()))
                .map(str0m::format::PayloadParams::pt);
            let Some(pt) = pt else { continue };
            let due = *track.next.get_or_insert(now);
            if now < due {
                continue;
            }
            track.next = Some((due + track.interval).max(now));
            let ticks = u32::try_from(
                track.interval.as_nanos() * u128::from(track.format.clock_rate()) / 1_000_000_000,
            )
            .unwrap_or_default();
            for layer in &mut track.layers {
                if track.muted || layer.silent {
                    layer.encoder.skip(ticks);
                    continue;
                }
                let Self {
                    rtc, made, sources, ..
                } = self;
                let mut api = rtc.direct_api();
                let Some(stream) = api.stream_tx_by_mid(mid, layer.rid) else {
                    continue;
                };
                layer.ssrc = Some(stream.ssrc());
                for packet in layer.encoder.encode(ticks) {
                    let first = packet.sequence - u64::from(packet.stamp.packet);
                    sources.insert(*stream.ssrc(), (layer.encoder.id, first));
                    made.entry(layer.encoder.id).or_default().push(packet.stamp);
                    // str0m writes the one only with the other.
                    let is_sound = track.format == Format::Opus;
                    let extensions = ExtensionValues {
                        audio_level: is_sound.then_some(-30),
                        voice_activity: is_sound.then_some(true),
                        ..ExtensionValues::default()
                    };
                    let seq = SeqNo::from(packet.sequence);
                    let rtp = RtpWrite::new(pt, seq, packet.time, now, packet.payload)
                        .marker(packet.marker)
                        .ext_vals(extensions)
                        .nackable(track.format != Format::Opus);
                    stream.write_rtp(rtp);
                    wrote = true;
                }
            }
        }
        if wrote {
            let outcome = self.rtc.handle_input(Input::Timeout(now));
            self.note(outcome);
            self.drain(now);
        }
        for next in self.tracks.iter().filter_map(|track| track.next) {
            self.deadline = self.deadline.min(next);
        }
    }

    fn ask_keyframes(&mut self, now: Instant) {
        let wanting: Vec<Mid> = self
            .decoders
            .iter_mut()
            .filter_map(|(mid, decoder)| decoder.wants_keyframe(now).then_some(*mid))
            .collect();
        for mid in wanting {
            self.ask_keyframe(now, mid, KeyframeRequestKind::Pli);
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let bytes: Vec<u8> = transmit.contents.into();
                    if RtpHead::read(&bytes).is_some() {
                        self.keep(now, &bytes);
                    }
                    self.outbox.push((transmit.destination, bytes));
                }
                Ok(Output::Event(event)) => self.on_event(now, event),
                Ok(Output::Timeout(at)) => {
                    self.deadline = at.max(now + LEAST).min(now + MOST);
                    break;
                }
                Err(error) => {
                    self.errors.push(error.to_string());
                    self.closed = true;
                    break;
                }
            }
        }
        for next in self.tracks.iter().filter_map(|track| track.next) {
            self.deadline = self.deadline.min(next.max(now + LEAST));
        }
    }

    /// Keeps one in a while: whoever mutates it shall not overtake the original on its way.
    fn keep(&mut self, now: Instant, bytes: &[u8]) {
        let due = |(at, _): &(Instant, Vec<u8>)| now >= *at + KEPT_FOR;
        if self.recent.as_ref().is_none_or(due) {
            self.last_sent = self.recent.replace((now, bytes.to_vec())).map(|(_, b)| b);
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::MediaAdded(added) if self.serves => {
                let fits = |track: &&mut LocalTrack| {
                    track.mid.is_none()
                        && (track.format == Format::Opus) == (added.kind == MediaKind::Audio)
                };
                if let Some(track) = self.tracks.iter_mut().find(fits) {
                    track.mid = Some(added.mid);
                    track.offered = false;
                }
            }
            Event::RtpPacket(packet) => self.on_packet(now, &packet),
            Event::KeyframeRequest(request) => {
                for track in &mut self.tracks {
                    if track.mid != Some(request.mid) {
                        continue;
                    }
                    for layer in &mut track.layers {
                        if layer.rid == request.rid || request.rid.is_none() {
                            layer.encoder.request_keyframe();
                            self.keyframe_requests
                                .push((now, layer.encoder.id, track.life));
                        }
                    }
                }
            }
            Event::Closed => self.closed = true,
            _ => {}
        }
    }

    fn on_packet(&mut self, now: Instant, packet: &RtpPacket) {
        let ssrc = packet.header.ssrc;
        let Some(mid) = self.rtc.direct_api().stream_rx(&ssrc).map(|s| s.mid()) else {
            return;
        };
        let Some(codec) = self.codecs.get(&packet.header.payload_type).copied() else {
            self.errors.push(format!(
                "unknown payload type {}",
                packet.header.payload_type
            ));
            return;
        };
        let info = payload::inspect(codec, &packet.payload);
        let arrival = Arrival {
            at: now,
            ssrc: *ssrc,
            mid: mid.to_string(),
            seq: *packet.seq_no,
            time: packet.time.numer(),
            marker: packet.header.marker,
            codec,
            info,
            stamp: Stamp::read(&packet.payload),
        };
        self.decoders.entry(mid).or_default().push(
            now,
            codec,
            arrival.seq,
            arrival.time,
            arrival.marker,
            &info,
        );
        self.arrivals.push(arrival);
    }

    fn note(&mut self, outcome: Result<(), RtcError>) {
        if let Err(error) = outcome {
            self.errors.push(error.to_string());
        }
    }
}

fn is_feedback(line: &str) -> bool {
    line.ends_with("transport-cc") || line.contains("transport-wide-cc")
}

/// The part of an RTP header that SRTP leaves in the clear (RFC 3711 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHead {
    /// Synchronization source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub time: u32,
    /// Marker.
    pub marker: bool,
}

impl RtpHead {
    /// Reads it; none for RTCP, STUN and DTLS.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<12>()?;
        let kind = head[1] & 0x7f;
        if head[0] >> 6 != 2 || (64..96).contains(&kind) {
            return None;
        }
        Some(Self {
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            sequence: u16::from_be_bytes([head[2], head[3]]),
            time: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            marker: head[1] & 0x80 != 0,
        })
    }
}

/// Making a key pair for each of a thousand browsers would be most of a run.
static CERTIFICATE: LazyLock<Option<DtlsCert>> = LazyLock::new(|| {
    str0m::crypto::from_feature_flags()
        .dtls_provider
        .generate_certificate()
});

const KEPT_FOR: Duration = Duration::from_millis(300);
const LEAST: Duration = Duration::from_millis(1);
/// Often enough to notice that a decoder is stuck.
const MOST: Duration = Duration::from_millis(100);
