//! The one publisher, in a thread of its own so that no receiver delays it.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_bench::{FRAME_PACKETS, Frames, Line, Outcome, Peer, Polled, bind_loopback, post_offer};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) packets_per_second: u32,
    pub(crate) payload_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Outcome<()>>,
}

impl Publisher {
    /// Connects and begins to send.
    pub(crate) fn start(
        host: &str,
        path: &str,
        options: Options,
        epoch: Instant,
        stop: Arc<AtomicBool>,
    ) -> Outcome<Self> {
        let socket = bind_loopback()?;
        let local = socket.local_addr()?;
        let (mut peer, offer) = Peer::offer(Instant::now(), local, &[Line::SendVideo], false)?;
        let resource = post_offer(host, path, &offer)?;
        peer.answer(Instant::now(), &resource.sdp)?;
        let sent = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&sent);
        let thread = std::thread::spawn(move || run(&socket, peer, options, epoch, &shared, &stop));
        Ok(Self { sent, thread })
    }

    /// Media packets so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn finish(self) -> Outcome<()> {
        self.thread.join().map_err(|_| "the publisher panicked")?
    }
}

fn run(
    socket: &UdpSocket,
    mut peer: Peer,
    options: Options,
    epoch: Instant,
    sent: &AtomicU64,
    stop: &AtomicBool,
) -> Outcome<()> {
    let mut polled = Polled::new();
    let mut frames = Frames::new(options.payload_bytes);
    let period =
        Duration::from_secs(1) * u32::try_from(FRAME_PACKETS)? / options.packets_per_second;
    let begin = Instant::now();
    let mut next = begin;
    let mut first = true;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        std::thread::sleep(next.min(now + TURN).saturating_duration_since(now));
        polled.read(socket, |datagram| {
            peer.receive(datagram.at, datagram.source, datagram.bytes)
        })?;
        let now = Instant::now();
        if peer.deadline <= now {
            peer.tick(now)?;
        }
        if !peer.connected {
            next = now;
        } else if next <= now {
            // Behind by much: skip, a burst would measure something else.
            next = (next + period).max(now.checked_sub(period).unwrap_or(now));
            let key = std::mem::take(&mut peer.keyframe_wanted) || first;
            first = false;
            let time = u32::try_from((now - begin).as_millis() * 90 % (1 << 32))?;
            let frame = frames.next(key, epoch.elapsed());
            peer.send(now, time, frame)?;
            sent.fetch_add(FRAME_PACKETS as u64, Ordering::Relaxed);
        }
        for (destination, bytes) in peer.output.drain(..) {
            socket.send_to(&bytes, destination)?;
        }
    }
    Ok(())
}

/// STUN and RTCP are answered this soon.
const TURN: Duration = Duration::from_millis(2);
