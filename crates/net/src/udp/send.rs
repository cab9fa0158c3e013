use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::flush::Flush;
use super::gso::{Queued, run_len};
use super::transmit::Transmitter;
use super::{UdpCounters, UdpSocket};

/// Packets on their way out, sent together by [`flush`](Self::flush).
///
/// Push all packets of one destination one after the other: consecutive packets of equal size to
/// one destination leave in one system call (GSO). Order per destination is kept. Holds at most
/// 8192 packets; what comes on top is dropped and counted.
#[derive(Debug)]
pub struct SendQueue {
    packets: Vec<Queued>,
    bytes: usize,
    gso: bool,
    counters: UdpCounters,
    last_logged: Option<Instant>,
}

impl SendQueue {
    /// An empty queue that uses GSO where the socket can.
    pub fn new() -> Self {
        Self {
            packets: Vec::new(),
            bytes: 0,
            gso: true,
            counters: UdpCounters::default(),
            last_logged: None,
        }
    }

    /// An empty queue that sends each packet alone, to measure what GSO gives.
    pub fn without_gso() -> Self {
        Self {
            gso: false,
            ..Self::new()
        }
    }

    /// Queues `contents` for `destination`.
    pub fn push(&mut self, destination: SocketAddr, contents: Vec<u8>) {
        self.enqueue(Queued {
            destination,
            source: None,
            contents,
        });
    }

    /// Queues `contents` to leave from the local address `source`: on a host with several
    /// addresses a peer only takes answers from the one it wrote to.
    pub fn push_from(&mut self, source: IpAddr, destination: SocketAddr, contents: Vec<u8>) {
        self.enqueue(Queued {
            destination,
            source: Some(source),
            contents,
        });
    }

    /// Whether enough waits that a flush now costs no batching: 128 KiB.
    pub fn wants_flush(&self) -> bool {
        self.bytes >= FLUSH_BYTES
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether no packet waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// What passed through this queue so far (the `_out` side of the counters).
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    /// Sends everything that waits and leaves the queue empty. Never blocks: what the socket does
    /// not take after one retry is dropped and counted.
    pub fn flush(&mut self, socket: &UdpSocket) -> FlushReport {
        let packets = std::mem::take(&mut self.packets);
        let mut flush = Flush::new(Transmitter::new(socket));
        let mut rest = packets.as_slice();
        while !rest.is_empty() {
            let max_segments = if self.gso { socket.max_segments() } else { 1 };
            let (run, after) = rest.split_at(run_len(rest, max_segments));
            flush.send(run);
            rest = after;
        }
        let Flush {
            counters,
            last_error,
            ..
        } = flush;
        if let Some((error, destination)) = last_error {
            self.log(&error, destination);
        }
        self.counters += counters;
        self.packets = packets;
        self.packets.clear();
        self.bytes = 0;
        FlushReport {
            sent: counters.datagrams_out,
            would_block_dropped: counters.would_block_dropped,
            send_errors: counters.send_errors,
        }
    }

    fn enqueue(&mut self, packet: Queued) {
        if self.packets.len() >= MAX_QUEUED {
            self.counters.queue_full_dropped += 1;
            return;
        }
        self.bytes += packet.contents.len();
        self.packets.push(packet);
    }

    fn log(&mut self, error: &io::Error, destination: SocketAddr) {
        let now = Instant::now();
        let due = self
            .last_logged
            .is_none_or(|last| now.saturating_duration_since(last) >= LOG_INTERVAL);
        if due {
            self.last_logged = Some(now);
            tracing::warn!(%error, %destination, "cannot send a datagram");
        }
    }
}

impl Default for SendQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of the packets of one [`SendQueue::flush`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushReport {
    /// Datagrams the kernel took.
    pub sent: u64,
    /// Datagrams dropped because the send buffer was full: lower the rate.
    pub would_block_dropped: u64,
    /// Datagrams dropped because of any other error.
    pub send_errors: u64,
}

/// One burst of keyframes to a few hundred viewers; a shard flushes long before.
const MAX_QUEUED: usize = 8192;
/// Larger bursts leave the processor's caches before the kernel reads them.
const FLUSH_BYTES: usize = 128 * 1024;
const LOG_INTERVAL: Duration = Duration::from_secs(10);
