//! A receiver that is woken by each datagram, to measure latency.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_bench::{Line, Outcome, Peer, post_offer, stamp_of};

/// One such receiver and its thread.
#[derive(Debug)]
pub(crate) struct Prompt {
    recording: Arc<AtomicBool>,
    thread: JoinHandle<Outcome<Vec<Duration>>>,
}

impl Prompt {
    pub(crate) fn join(
        host: &str,
        path: &str,
        lines: &[Line],
        transport_cc: bool,
        epoch: Instant,
        stop: Arc<AtomicBool>,
    ) -> Outcome<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let local = socket.local_addr()?;
        let (mut peer, offer) = Peer::offer(Instant::now(), local, lines, transport_cc)?;
        let resource = post_offer(host, path, &offer)?;
        peer.answer(Instant::now(), &resource.sdp)?;
        let recording = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&recording);
        let thread = std::thread::spawn(move || run(&socket, peer, epoch, &shared, &stop));
        Ok(Self { recording, thread })
    }

    pub(crate) fn record(&self, on: bool) {
        self.recording.store(on, Ordering::Relaxed);
    }

    /// What was recorded.
    pub(crate) fn finish(self) -> Outcome<Vec<Duration>> {
        self.thread.join().map_err(|_| "a receiver panicked")?
    }
}

fn run(
    socket: &UdpSocket,
    mut peer: Peer,
    epoch: Instant,
    recording: &AtomicBool,
    stop: &AtomicBool,
) -> Outcome<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let due = peer.deadline.saturating_duration_since(now);
        socket.set_read_timeout(Some(due.clamp(LEAST_WAIT, MOST_WAIT)))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, source)) => {
                let now = Instant::now();
                peer.receive(now, source, buffer.get(..len).unwrap_or_default())?;
                for packet in peer.media.drain(..) {
                    if recording.load(Ordering::Relaxed) {
                        latencies.extend(stamp_of(&packet.payload, epoch, now));
                    }
                }
            }
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(e) => return Err(e.into()),
        }
        let now = Instant::now();
        if peer.deadline <= now {
            peer.tick(now)?;
        }
        for (destination, bytes) in peer.output.drain(..) {
            socket.send_to(&bytes, destination)?;
        }
    }
    Ok(latencies)
}

const LEAST_WAIT: Duration = Duration::from_micros(100);
const MOST_WAIT: Duration = Duration::from_millis(20);
