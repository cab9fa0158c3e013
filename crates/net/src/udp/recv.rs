use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use quinn_udp::RecvMeta;

use super::receive_time::Anchor;
use super::{UdpCounters, UdpSocket};
use crate::address;

/// Room for the datagrams of one [`UdpSocket::recv`]: 32 slots of 64 KiB, kept for reuse (1 slot
/// where the system receives one at a time).
pub struct RecvBatch {
    bytes: Vec<u8>,
    meta: [RecvMeta; SLOTS],
    filled: usize,
    anchor: Anchor,
    counters: UdpCounters,
}

impl RecvBatch {
    /// An empty batch; its slots are its only allocation.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_BYTES],
            meta: [RecvMeta::default(); SLOTS],
            filled: 0,
            anchor: Anchor::now(),
            counters: UdpCounters::default(),
        }
    }

    /// The datagrams of the last [`UdpSocket::recv`], in the order the kernel gave them.
    pub fn datagrams(&self) -> Datagrams<'_> {
        Datagrams {
            batch: self,
            slot: 0,
            offset: 0,
        }
    }

    /// When the last [`UdpSocket::recv`] returned; no [`Datagram::received`] is later.
    pub fn read_at(&self) -> Instant {
        self.anchor.monotonic()
    }

    /// What passed through this batch so far (the `_in` counters).
    pub fn counters(&self) -> UdpCounters {
        self.counters
    }

    pub(crate) fn fill(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.filled = 0;
        let mut free = self.bytes.chunks_exact_mut(SLOT_BYTES);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(free.next().unwrap_or_default()));
        for _ in 0..MAX_STALE_ERRORS {
            match socket.recv_slots(&mut slots, &mut self.meta) {
                Ok(filled) => {
                    self.anchor = Anchor::now();
                    self.filled = filled.min(SLOTS);
                    return Ok(self.count());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(0),
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionRefused => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(0)
    }

    fn count(&mut self) -> usize {
        let mut datagrams = 0;
        for meta in self.meta.iter().take(self.filled) {
            datagrams += meta.len.div_ceil(meta.stride.max(1)).max(1);
            self.counters.bytes_in += meta.len as u64;
        }
        self.counters.datagrams_in += datagrams as u64;
        datagrams
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch")
            .field("filled", &self.filled)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// One received datagram, borrowed from its [`RecvBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it; IPv4 is plain IPv4 on a dual-stack socket too.
    pub source: SocketAddr,
    /// The local address it was sent to, where the system tells.
    pub destination_ip: Option<IpAddr>,
    /// When the kernel received it (Linux), else when we did; never in the future. A host's first
    /// socket to ask for it gets the former a moment later, when the kernel has switched it on.
    pub received: Instant,
    /// The payload.
    pub bytes: &'a [u8],
}

/// Iterator over a [`RecvBatch`], with GRO runs split into their datagrams.
#[derive(Debug, Clone)]
pub struct Datagrams<'a> {
    batch: &'a RecvBatch,
    slot: usize,
    offset: usize,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = Datagram<'a>;

    fn next(&mut self) -> Option<Datagram<'a>> {
        if self.slot >= self.batch.filled {
            return None;
        }
        let meta = self.batch.meta.get(self.slot)?;
        let slot = self.batch.bytes.chunks_exact(SLOT_BYTES).nth(self.slot)?;
        let len = meta.len.min(SLOT_BYTES);
        let end = (self.offset + meta.stride.max(1)).min(len);
        let bytes = slot.get(self.offset..end)?;
        if end == len {
            self.slot += 1;
            self.offset = 0;
        } else {
            self.offset = end;
        }
        Some(Datagram {
            source: address::unmapped(meta.addr),
            destination_ip: meta.dst_ip.map(|ip| ip.to_canonical()),
            received: self.batch.anchor.instant_of(meta.timestamp),
            bytes,
        })
    }
}

const SLOTS: usize = quinn_udp::BATCH_SIZE;
/// A GRO run never exceeds one IP packet's 65 535 bytes.
const SLOT_BYTES: usize = 64 * 1024;
/// Errors about datagrams sent earlier to skip in one call, lest a flood of them holds the shard.
const MAX_STALE_ERRORS: usize = 64;
