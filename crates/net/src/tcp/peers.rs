use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};

use super::connection::ReadOutcome;
use super::connections::Connections;
use super::{CloseReason, TcpCounters, TcpEvent, TcpListener, TcpOptions, TcpPeer};
use crate::driver::{Driver, TCP};

/// The listeners and connections of one shard.
///
/// After each [`Driver::wait`]: [`handle_ready`](Self::handle_ready), then
/// [`poll_event`](Self::poll_event) until `None`.
#[derive(Debug)]
pub struct TcpPeers {
    registry: Registry,
    options: TcpOptions,
    counters: TcpCounters,
    listeners: Vec<Listening>,
    connections: Connections,
    /// Slots of connections that may have bytes or packets to give, each at most once.
    readable: VecDeque<usize>,
    /// Ends not told yet; no accept comes before they are, so at most one per connection.
    closed: VecDeque<(SocketAddr, CloseReason)>,
    scratch: Box<[u8]>,
    steps_left: usize,
    last_poll: Instant,
    next_sweep: Instant,
}

#[derive(Debug)]
struct Listening {
    listener: TcpListener,
    acceptable: bool,
    /// Accepting failed for a reason that time may cure, such as no descriptor left.
    stalled: bool,
}

impl TcpPeers {
    /// No listener and no connection yet; `driver` will wait for those to come.
    ///
    /// # Errors
    ///
    /// When the operating system gives no descriptor.
    pub fn new(driver: &Driver, options: TcpOptions) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            registry: driver.registry()?,
            connections: Connections::new(options.max_connections, options.max_per_source),
            options,
            counters: TcpCounters::default(),
            listeners: Vec::new(),
            readable: VecDeque::new(),
            closed: VecDeque::new(),
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            steps_left: STEPS_PER_TURN,
            last_poll: now,
            next_sweep: now,
        })
    }

    /// Accepts connections on `listener` from now on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::QuotaExceeded`] past 64 listeners, or the operating system's refusal.
    pub fn listen(&mut self, mut listener: TcpListener) -> io::Result<()> {
        let index = self.listeners.len();
        if index >= MAX_LISTENERS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.registry
            .register(listener.source(), Token(TCP + index), Interest::READABLE)?;
        self.listeners.push(Listening {
            listener,
            acceptable: true,
            stalled: false,
        });
        Ok(())
    }

    /// Takes note of what [`Driver::wait`] found ready, and writes what waited for it.
    pub fn handle_ready(&mut self, driver: &mut Driver) {
        for ready in driver.take_tcp_ready() {
            let index = ready.token.0.saturating_sub(TCP);
            if let Some(listening) = self.listeners.get_mut(index) {
                listening.acceptable = true;
                continue;
            }
            let slot = index.saturating_sub(MAX_LISTENERS);
            let Some(connection) = self.connections.at_mut(slot) else {
                continue;
            };
            if ready.writable
                && let Err(error) = connection.flush()
            {
                let peer = connection.peer();
                self.end(peer, CloseReason::Failed(error.kind()));
            } else if ready.readable {
                self.mark_readable(slot);
            }
        }
    }

    /// The next event, reading and accepting as needed; `None` ends the turn. A turn is bounded:
    /// with work left over, [`next_deadline`](Self::next_deadline) is over at once.
    pub fn poll_event(&mut self, now: Instant) -> Option<TcpEvent<'_>> {
        self.last_poll = now;
        self.sweep(now);
        if let Some((peer, reason)) = self.closed.pop_front() {
            return Some(TcpEvent::Closed { peer, reason });
        }
        self.accept(now);
        let Some((slot, frame)) = self.next_frame(now) else {
            if let Some((peer, reason)) = self.closed.pop_front() {
                return Some(TcpEvent::Closed { peer, reason });
            }
            self.steps_left = STEPS_PER_TURN;
            return None;
        };
        let connection = self.connections.at(slot)?;
        Some(TcpEvent::Frame {
            peer: connection.peer(),
            local: connection.local(),
            bytes: connection.bytes(frame),
        })
    }

    /// When to call [`poll_event`](Self::poll_event) next even if nothing is ready.
    pub fn next_deadline(&self) -> Option<Instant> {
        let pending = !self.readable.is_empty()
            || !self.closed.is_empty()
            || self.listeners.iter().any(|listening| listening.acceptable);
        if pending {
            return Some(self.last_poll);
        }
        let waiting = !self.connections.is_empty() || self.listeners.iter().any(|l| l.stalled);
        waiting.then_some(self.next_sweep)
    }

    /// Frames `packet` and sends it to `peer`, or holds it until the connection takes it. `false`
    /// when it was dropped: unknown peer, longer than 65 535 bytes, or no room in the buffer.
    pub fn send(&mut self, peer: SocketAddr, packet: &[u8]) -> bool {
        let Some(connection) = self.connections.of_mut(peer) else {
            self.counters.dropped += 1;
            return false;
        };
        let taken = match connection.send(packet, self.options.write_buffer_bytes) {
            Ok(taken) => taken,
            Err(error) => {
                self.end(peer, CloseReason::Failed(error.kind()));
                false
            }
        };
        self.counters.frames_out += u64::from(taken);
        self.counters.dropped += u64::from(!taken);
        taken
    }

    /// Whether `peer` has a connection here.
    pub fn contains(&self, peer: SocketAddr) -> bool {
        self.connections.contains(peer)
    }

    /// Ends the connection of `peer`; no event tells of it.
    pub fn close(&mut self, peer: SocketAddr) {
        drop(self.detach(peer));
    }

    /// Gives the connection of `peer` away, with the bytes it has read and not yet sent, to be
    /// [attached](Self::attach) to the shard that owns the peer. No event tells of it.
    pub fn detach(&mut self, peer: SocketAddr) -> Option<TcpPeer> {
        let (slot, mut connection) = self.connections.remove(peer)?;
        connection.queued = false;
        self.readable.retain(|&other| other != slot);
        if let Err(error) = self.registry.deregister(&mut connection.stream) {
            tracing::debug!(%error, %peer, "cannot deregister a connection");
        }
        Some(connection)
    }

    /// Takes over a connection that another shard [detached](Self::detach).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::QuotaExceeded`] at a cap, [`io::ErrorKind::AlreadyExists`] when the same
    /// peer has a connection here, or the operating system's refusal. The connection is closed.
    pub fn attach(&mut self, mut connection: TcpPeer) -> io::Result<()> {
        let peer = connection.peer();
        if self.connections.contains(peer) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !self.connections.has_room_for(peer) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let slot = self.connections.next_slot();
        // Readiness comes on its edge, in both directions, for the connection's whole life.
        self.registry.register(
            &mut connection.stream,
            Token(TCP + MAX_LISTENERS + slot),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        self.connections.insert(connection);
        self.mark_readable(slot);
        Ok(())
    }

    /// What passed so far.
    pub fn counters(&self) -> TcpCounters {
        self.counters
    }

    fn accept(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(listening) = self.listeners.get_mut(index) {
            if !listening.acceptable {
                index += 1;
                continue;
            }
            if self.steps_left == 0 {
                return;
            }
            self.steps_left -= 1;
            match listening.listener.accept() {
                Ok((stream, peer)) => {
                    let attached = TcpPeer::new(stream, peer, now)
                        .and_then(|connection| self.attach(connection));
                    self.counters.accepted += u64::from(attached.is_ok());
                    self.counters.refused += u64::from(attached.is_err());
                }
                Err(error) => {
                    listening.acceptable = false;
                    listening.stalled = error.kind() != io::ErrorKind::WouldBlock;
                    if listening.stalled {
                        tracing::warn!(%error, "cannot accept a connection");
                    }
                }
            }
        }
    }

    /// The next packet of any connection; a connection reads once, then the others have their turn
    /// before it gives what it read and reads again.
    fn next_frame(&mut self, now: Instant) -> Option<(usize, Range<usize>)> {
        while let Some(&slot) = self.readable.front() {
            let Some(connection) = self.connections.at_mut(slot) else {
                self.readable.pop_front();
                continue;
            };
            if let Some(frame) = connection.next_frame() {
                connection.last_frame = now;
                connection.framed = true;
                self.counters.frames_in += 1;
                return Some((slot, frame));
            }
            if self.steps_left == 0 {
                return None;
            }
            self.steps_left -= 1;
            let peer = connection.peer();
            match connection.read(&mut self.scratch) {
                Ok(ReadOutcome::Some) => self.readable.rotate_left(1),
                Ok(ReadOutcome::Drained) => {
                    connection.queued = false;
                    self.readable.pop_front();
                }
                Ok(ReadOutcome::EndOfStream) => self.end(peer, CloseReason::EndOfStream),
                Err(error) => self.end(peer, CloseReason::Failed(error.kind())),
            }
        }
        None
    }

    /// Ends connections that have been silent for too long and gives stalled listeners a chance.
    fn sweep(&mut self, now: Instant) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_INTERVAL;
        for listening in &mut self.listeners {
            listening.acceptable |= std::mem::take(&mut listening.stalled);
        }
        let silent: Vec<_> = self
            .connections
            .iter()
            .filter(|connection| {
                let patience = if connection.framed {
                    self.options.idle_timeout
                } else {
                    self.options.first_frame_timeout
                };
                now.saturating_duration_since(connection.last_frame) >= patience
            })
            .map(TcpPeer::peer)
            .collect();
        for peer in silent {
            self.counters.timed_out += 1;
            self.end(peer, CloseReason::Timeout);
        }
    }

    fn end(&mut self, peer: SocketAddr, reason: CloseReason) {
        if self.detach(peer).is_some() {
            self.closed.push_back((peer, reason));
        }
    }

    fn mark_readable(&mut self, slot: usize) {
        if let Some(connection) = self.connections.at_mut(slot)
            && !std::mem::replace(&mut connection.queued, true)
        {
            self.readable.push_back(slot);
        }
    }
}

const MAX_LISTENERS: usize = 64;
/// Reads and accepts in one turn, so that a flood of TCP cannot starve UDP.
const STEPS_PER_TURN: usize = 128;
/// What one connection may read before the next has its turn.
const READ_BYTES: usize = 16 * 1024;
/// Timeouts are this late at most.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
