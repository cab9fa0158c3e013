//! A peer of the server: a full-ICE str0m client, sans I/O.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::{FRAME_PACKETS, Outcome};

/// An m-line to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// We send video.
    SendVideo,
    /// We receive video.
    ReceiveVideo,
    /// We receive audio.
    ReceiveAudio,
}

/// One peer and what it has to say.
#[derive(Debug)]
pub struct Peer {
    rtc: Rtc,
    local: SocketAddr,
    first: Mid,
    pending: Option<SdpPendingOffer>,
    sending: Option<(Ssrc, Pt)>,
    next_sequence: u64,
    /// When [`Peer::tick`] is due.
    pub deadline: Instant,
    /// Media may flow.
    pub connected: bool,
    /// The server asked for a keyframe since this was last looked at.
    pub keyframe_wanted: bool,
    /// Datagrams to send, and where.
    pub output: Vec<(SocketAddr, Vec<u8>)>,
    /// Media that came in.
    pub media: Vec<RtpPacket>,
}

impl Peer {
    /// A peer at `local` and its offer. Without `transport_cc` the server estimates nothing.
    ///
    /// # Errors
    /// When str0m refuses.
    pub fn offer(
        now: Instant,
        local: SocketAddr,
        lines: &[Line],
        transport_cc: bool,
    ) -> Outcome<(Self, String)> {
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let mut api = rtc.sdp_api();
        let mut first = None;
        for line in lines {
            let (kind, direction) = match line {
                Line::SendVideo => (MediaKind::Video, Direction::SendOnly),
                Line::ReceiveVideo => (MediaKind::Video, Direction::RecvOnly),
                Line::ReceiveAudio => (MediaKind::Audio, Direction::RecvOnly),
            };
            let mid = api.add_media(kind, direction, None, None, None);
            first.get_or_insert(mid);
        }
        let (offer, pending) = api.apply().ok_or("nothing to offer")?;
        let mut text = offer.to_sdp_string();
        if !transport_cc {
            text = text
                .split_inclusive('\n')
                .filter(|l| !l.contains("transport-cc") && !l.contains("transport-wide-cc"))
                .collect();
        }
        let peer = Self {
            rtc,
            local,
            first: first.ok_or("no m-line")?,
            pending: Some(pending),
            sending: None,
            next_sequence: 1,
            deadline: now,
            connected: false,
            keyframe_wanted: false,
            output: Vec::new(),
            media: Vec::new(),
        };
        Ok((peer, text))
    }

    /// Takes the server's answer.
    ///
    /// # Errors
    /// When it does not fit the offer.
    pub fn answer(&mut self, now: Instant, sdp: &str) -> Outcome<()> {
        let pending = self.pending.take().ok_or("answered already")?;
        let answer = SdpAnswer::from_sdp_string(sdp)?;
        self.rtc.sdp_api().accept_answer(pending, answer)?;
        self.tick(now)
    }

    /// A datagram came.
    ///
    /// # Errors
    /// When str0m gives up.
    pub fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) -> Outcome<()> {
        let receive = Receive::new(Protocol::Udp, source, self.local, bytes)?;
        self.rtc.handle_input(Input::Receive(now, receive))?;
        self.drain()
    }

    /// The deadline is due.
    ///
    /// # Errors
    /// When str0m gives up.
    pub fn tick(&mut self, now: Instant) -> Outcome<()> {
        self.rtc.handle_input(Input::Timeout(now))?;
        self.drain()
    }

    /// Sends one frame at RTP time `time`, in 90 kHz ticks.
    ///
    /// # Errors
    /// When nothing can be sent yet.
    pub fn send(
        &mut self,
        now: Instant,
        time: u32,
        frame: [Arc<[u8]>; FRAME_PACKETS],
    ) -> Outcome<()> {
        let (ssrc, pt) = self.sender()?;
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx(&ssrc).ok_or("the stream is gone")?;
        for (payload, left) in frame.into_iter().zip((0..FRAME_PACKETS).rev()) {
            let write = RtpWrite::new(pt, self.next_sequence.into(), time, now, payload)
                .marker(left == 0)
                .nackable(true);
            stream.write_rtp(write);
            self.next_sequence += 1;
        }
        self.tick(now)
    }

    /// Where the server sees it.
    pub fn address(&self) -> SocketAddr {
        self.local
    }

    /// Whether the server is still there.
    pub fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    fn sender(&mut self) -> Outcome<(Ssrc, Pt)> {
        if let Some(sending) = self.sending {
            return Ok(sending);
        }
        let media = self.rtc.media(self.first).ok_or("no m-line")?;
        let pt = *media.remote_pts().first().ok_or("no codec in common")?;
        let mut api = self.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(self.first, None)
            .ok_or("nothing to send on")?;
        Ok(*self.sending.insert((stream.ssrc(), pt)))
    }

    fn drain(&mut self) -> Outcome<()> {
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(t) => self.output.push((t.destination, t.contents.into())),
                Output::Event(Event::RtpPacket(packet)) => self.media.push(packet),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::KeyframeRequest(_)) => self.keyframe_wanted = true,
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.deadline = at;
                    return Ok(());
                }
            }
        }
    }
}
