//! What str0m alone costs: the most that a server can reach whose packets it seals.
//!
//! `bare [--receivers 50] [--pps 1000] [--seconds 5] [--payload 1200]` does what `floor` does, but each
//! receiver's frames are written to an `Rtc` of its own, drained and sent in one GSO run: no room, no
//! publisher, nothing read, no feedback, one thread, one m-line each. Prints packets per CPU-second.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use sluice_bench::{Arguments, Counted, FRAME_PACKETS, Line, Outcome, Peer, Usage};
use str0m::change::SdpOffer;
use str0m::media::{Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input, Output, Rtc};

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    if Counted::is_other_process(&arguments)? {
        return Ok(());
    }
    let receivers = Counted::spawn(arguments.value("receivers", 50)?)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let local = socket.local_addr()?;
    let mut senders = receivers
        .ports()
        .iter()
        .map(|port| Sender::connect(local, SocketAddr::from((Ipv4Addr::LOCALHOST, *port))))
        .collect::<Outcome<Vec<_>>>()?;
    let (sent, cpu) = send(&arguments, &socket, &mut senders)?;
    receivers.report(sent, cpu)
}

fn send(
    arguments: &Arguments,
    socket: &UdpSocket,
    senders: &mut [Sender],
) -> Outcome<(u64, Duration)> {
    let packets_per_second: u32 = arguments.value("pps", 1000)?;
    let seconds: u64 = arguments.value("seconds", 5)?;
    let payload: usize = arguments.value("payload", 1200)?;
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    socket.set_nonblocking(true)?;
    let plain: Arc<[u8]> = vec![0x5a; payload].into();
    let period = Duration::from_secs(1) * u32::try_from(FRAME_PACKETS)? / packets_per_second;
    let before = Usage::of("self")?;
    let begin = Instant::now();
    let mut next = begin;
    let mut run = Vec::new();
    let (mut sent, mut time) = (0, 0_u32);
    while next < begin + Duration::from_secs(seconds) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += period;
        time = time.wrapping_add(RTP_TICKS);
        let now = Instant::now();
        for sender in &mut *senders {
            run.clear();
            let segment = sender.frame(now, time, &plain, &mut run)?;
            if run.is_empty() {
                continue;
            }
            let transmit = Transmit {
                destination: sender.destination,
                ecn: None,
                contents: &run,
                segment_size: Some(segment),
                src_ip: None,
            };
            state.try_send(UdpSockRef::from(socket), &transmit)?;
            sent += (run.len() / segment) as u64;
        }
    }
    Ok((sent, (Usage::of("self")? - before).cpu))
}

/// One receiver's `Rtc`.
struct Sender {
    rtc: Rtc,
    mid: Mid,
    pt: Pt,
    sequence: u64,
    destination: SocketAddr,
}

impl Sender {
    /// Shakes hands in memory with a peer that then goes away; what is sent later finds only a socket.
    fn connect(local: SocketAddr, remote: SocketAddr) -> Outcome<Self> {
        let mut now = Instant::now();
        let (mut peer, offer) = Peer::offer(now, remote, &[Line::ReceiveVideo], false)?;
        let mut rtc = Rtc::builder()
            .set_rtp_mode(true)
            .set_ice_lite(true)
            .clear_codecs()
            .enable_vp8(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let answer = rtc
            .sdp_api()
            .accept_offer(SdpOffer::from_sdp_string(&offer)?)?;
        let (mut to_peer, mut mid) = (Vec::new(), None);
        drain(&mut rtc, &mut to_peer, &mut mid)?;
        peer.answer(now, &answer.to_sdp_string())?;
        for _ in 0..HANDSHAKE_STEPS {
            now += STEP;
            for (_, bytes) in std::mem::take(&mut peer.output) {
                let receive = Receive::new(Protocol::Udp, remote, local, &bytes)?;
                rtc.handle_input(Input::Receive(now, receive))?;
                drain(&mut rtc, &mut to_peer, &mut mid)?;
            }
            rtc.handle_input(Input::Timeout(now))?;
            drain(&mut rtc, &mut to_peer, &mut mid)?;
            for bytes in to_peer.drain(..) {
                peer.receive(now, local, &bytes)?;
            }
            peer.tick(now)?;
            if let (true, true, Some(mid)) = (peer.connected, rtc.is_connected(), mid) {
                let media = rtc.media(mid).ok_or("no m-line")?;
                let pt = *media.remote_pts().first().ok_or("no codec in common")?;
                return Ok(Self {
                    rtc,
                    mid,
                    pt,
                    sequence: 1,
                    destination: remote,
                });
            }
        }
        Err("no handshake".into())
    }

    /// Appends one frame's datagrams to `run` and returns the size of each but the last.
    fn frame(
        &mut self,
        now: Instant,
        time: u32,
        payload: &Arc<[u8]>,
        run: &mut Vec<u8>,
    ) -> Outcome<usize> {
        let mut api = self.rtc.direct_api();
        let stream = api
            .stream_tx_by_mid(self.mid, None)
            .ok_or("nothing to send on")?;
        for left in (0..FRAME_PACKETS).rev() {
            let sequence = self.sequence.into();
            let write = RtpWrite::new(self.pt, sequence, time, now, Arc::clone(payload));
            stream.write_rtp(write.marker(left == 0).nackable(true));
            self.sequence += 1;
        }
        self.rtc.handle_input(Input::Timeout(now))?;
        let mut segment = 0;
        loop {
            match self.rtc.poll_output()? {
                // Reports are shorter: left out, they would end the run.
                Output::Transmit(t) if t.contents.len() >= payload.len() => {
                    segment = t.contents.len();
                    run.extend_from_slice(&t.contents);
                }
                Output::Timeout(_) => return Ok(segment),
                Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    }
}

fn drain(rtc: &mut Rtc, transmits: &mut Vec<Vec<u8>>, mid: &mut Option<Mid>) -> Outcome<()> {
    loop {
        match rtc.poll_output()? {
            Output::Transmit(t) => transmits.push(t.contents.into()),
            Output::Event(Event::MediaAdded(added)) => *mid = Some(added.mid),
            Output::Event(_) => {}
            Output::Timeout(_) => return Ok(()),
        }
    }
}

/// 90 kHz at 25 frames a second; nothing reads it.
const RTP_TICKS: u32 = 3600;
const HANDSHAKE_STEPS: usize = 1000;
const STEP: Duration = Duration::from_millis(5);
