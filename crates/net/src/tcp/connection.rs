use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use mio::net::TcpStream;

use super::framing::{Decoder, HEADER_BYTES};
use crate::address;

/// One accepted connection: a stream, its framing and the bytes it has not taken yet.
///
/// It is a value: it may be detached from the shard that accepted it and attached to the shard
/// that owns the peer, without loss.
#[derive(Debug)]
pub struct TcpPeer {
    pub(crate) stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    decoder: Decoder,
    unsent: VecDeque<u8>,
    pub(crate) last_frame: Instant,
    /// Whether a whole packet ever came.
    pub(crate) framed: bool,
    /// Whether it waits for its turn to be read.
    pub(crate) queued: bool,
}

impl TcpPeer {
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr, now: Instant) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let local = address::unmapped(stream.local_addr()?);
        Ok(Self {
            stream,
            peer: address::unmapped(peer),
            local,
            decoder: Decoder::new(),
            unsent: VecDeque::new(),
            last_frame: now,
            framed: false,
            queued: false,
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address the peer connected to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn next_frame(&mut self) -> Option<Range<usize>> {
        self.decoder.next_range()
    }

    pub(crate) fn bytes(&self, frame: Range<usize>) -> &[u8] {
        self.decoder.bytes(frame)
    }

    /// Reads once, through `scratch`.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<ReadOutcome> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Ok(ReadOutcome::EndOfStream),
                Ok(len) => {
                    self.decoder.push(scratch.get(..len).unwrap_or_default());
                    return Ok(ReadOutcome::Some);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(ReadOutcome::Drained),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Sends `packet` with its length, or as much as the stream takes and the rest later.
    /// `Ok(false)` when `cap` bytes of unsent data leave no room for all of it.
    pub(crate) fn send(&mut self, packet: &[u8], cap: usize) -> io::Result<bool> {
        let Ok(len) = u16::try_from(packet.len()) else {
            return Ok(false);
        };
        if self.unsent.len() + HEADER_BYTES + packet.len() > cap {
            return Ok(false);
        }
        let idle = self.unsent.is_empty();
        self.unsent.extend(len.to_be_bytes());
        self.unsent.extend(packet);
        if idle {
            self.flush()?;
        }
        Ok(true)
    }

    /// Gives the stream what it takes of the unsent bytes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            match self.stream.write(front) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// What one read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// Bytes, now in the decoder.
    Some,
    /// Nothing now; readiness will be told.
    Drained,
    /// The peer has sent its last byte.
    EndOfStream,
}
