//! Many receivers in one thread that reads them every millisecond.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sluice_bench::{Line, Outcome, Peer, Polled, bind_loopback, post_offer};

/// The receivers and their thread.
#[derive(Debug)]
pub(crate) struct Crowd {
    joins: Sender<Seat>,
    counts: Arc<Counts>,
    thread: JoinHandle<Outcome<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    media: AtomicU64,
    connected: AtomicUsize,
}

#[derive(Debug)]
struct Seat {
    socket: UdpSocket,
    peer: Peer,
}

impl Crowd {
    pub(crate) fn start(stop: Arc<AtomicBool>) -> Self {
        let (joins, seats) = channel();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::spawn(move || run(&seats, &shared, &stop));
        Self {
            joins,
            counts,
            thread,
        }
    }

    pub(crate) fn join(
        &self,
        host: &str,
        path: &str,
        lines: &[Line],
        transport_cc: bool,
    ) -> Outcome<()> {
        let socket = bind_loopback()?;
        let local = socket.local_addr()?;
        let (mut peer, offer) = Peer::offer(Instant::now(), local, lines, transport_cc)?;
        let resource = post_offer(host, path, &offer)?;
        peer.answer(Instant::now(), &resource.sdp)?;
        self.joins
            .send(Seat { socket, peer })
            .map_err(|_| "the receivers ended".into())
    }

    pub(crate) fn wait_connected(&self, count: usize, timeout: Duration) -> Outcome<()> {
        let begin = Instant::now();
        loop {
            let connected = self.counts.connected.load(Ordering::Relaxed);
            if connected == count {
                return Ok(());
            }
            if begin.elapsed() > timeout || self.thread.is_finished() {
                return Err(format!("{connected} of {count} receivers connected").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Media packets so far.
    pub(crate) fn received(&self) -> u64 {
        self.counts.media.load(Ordering::Relaxed)
    }

    pub(crate) fn finish(self) -> Outcome<()> {
        self.thread.join().map_err(|_| "the receivers panicked")?
    }
}

fn run(joins: &Receiver<Seat>, counts: &Counts, stop: &AtomicBool) -> Outcome<()> {
    let mut seats: Vec<Seat> = Vec::new();
    let mut polled = Polled::new();
    while !stop.load(Ordering::Relaxed) {
        polled.wait();
        seats.extend(joins.try_iter());
        for seat in &mut seats {
            let connected = seat.peer.connected;
            seat.turn(&mut polled, counts)?;
            if seat.peer.connected && !connected {
                counts.connected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

impl Seat {
    fn turn(&mut self, polled: &mut Polled, counts: &Counts) -> Outcome<()> {
        let Self { socket, peer } = self;
        polled.read(socket, |datagram| {
            peer.receive(datagram.at, datagram.source, datagram.bytes)
        })?;
        let now = Instant::now();
        if peer.deadline <= now {
            peer.tick(now)?;
        }
        for (destination, bytes) in peer.output.drain(..) {
            socket.send_to(&bytes, destination)?;
        }
        let media = peer.media.drain(..).count() as u64;
        if media > 0 {
            counts.media.fetch_add(media, Ordering::Relaxed);
        }
        if peer.is_alive() {
            Ok(())
        } else {
            Err("the server closed a receiver".into())
        }
    }
}
