//! A shard: one OS thread with its sockets and its rooms, from wake-up to wake-up.
//!
//! A turn follows STR0M.md §11: commands, what other shards sent, due timers, a receive batch and
//! what it caused, and only then one flush. Nothing here waits for JavaScript.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_net::mailbox::{Inbox, Mailbox};
use sluice_net::tcp::{TcpEvent, TcpPeer, TcpPeers};
use sluice_net::{Driver, Ready, RecvBatch, SendQueue, UdpCounters, UdpSocket};
use sluice_sfu::{CloseReason, Datagram, RouteChange, Transmit, Transport};

use crate::addresses::Addresses;
use crate::lines::Lines;
use crate::live::Live;
use crate::rooms::{Rooms, Routed};
use crate::sink::{Event, EventSink};

/// What a shard can be asked to do with its rooms.
pub(crate) type Job = Box<dyn FnOnce(&mut Rooms, Instant) + Send>;

/// What a shard can be asked to do with its live streams.
pub(crate) type LiveJob = Box<dyn FnOnce(&mut Live, &mut Rooms, Instant) + Send>;

/// What to do once a call has its port; none, where no more are to be had.
pub(crate) type LineJob = Box<dyn FnOnce(&mut Live, &mut Rooms, Instant, Option<u16>) + Send>;

/// Reads a shard's counters.
pub(crate) type Look = Box<dyn FnOnce(&Rooms, &Live, &Io) + Send>;

/// What arrives in a shard's mailbox.
pub(crate) enum Message {
    Job(Job),
    Live(LiveJob),
    /// A foreign server is called, from this socket.
    Call(Box<UdpSocket>, LineJob),
    /// A TCP connection and its first frame, accepted by another shard.
    Connection(Box<TcpPeer>, Vec<u8>),
    /// Another shard learnt whose an address is.
    Address {
        address: (SocketAddr, Transport),
        shard: u16,
    },
    /// Reads the shard's own counters.
    Look(Look),
    Close(CloseReason),
}

/// A datagram the kernel gave to the wrong shard. These have a mailbox of their own: whoever forges
/// the ufrags of another shard must not be able to crowd out its commands.
pub(crate) struct Misrouted {
    received: Instant,
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    bytes: Vec<u8>,
}

impl Misrouted {
    fn as_datagram(&self) -> Datagram<'_> {
        Datagram {
            received: self.received,
            transport: self.transport,
            source: self.source,
            destination: self.destination,
            bytes: &self.bytes,
        }
    }
}

/// The sockets of a shard and their counters.
pub(crate) struct Io {
    driver: Driver,
    udp: UdpSocket,
    /// The port that all but calls share.
    port: u16,
    lines: Lines,
    tcp: TcpPeers,
    batch: RecvBatch,
    queue: SendQueue,
    addresses: Addresses,
    pub(crate) misrouted: u64,
}

impl Io {
    pub(crate) fn new(
        driver: Driver,
        udp: UdpSocket,
        tcp: TcpPeers,
        addresses: Addresses,
        gso: bool,
    ) -> Self {
        Self {
            driver,
            port: udp.local_addr().port(),
            udp,
            lines: Lines::new(gso),
            tcp,
            batch: RecvBatch::new(),
            queue: if gso {
                SendQueue::new()
            } else {
                SendQueue::without_gso()
            },
            addresses,
            misrouted: 0,
        }
    }

    pub(crate) fn udp_counters(&self) -> UdpCounters {
        let mut sum = self.batch.counters();
        sum += self.queue.counters();
        sum += self.lines.counters();
        sum
    }

    pub(crate) fn tcp_counters(&self) -> sluice_net::tcp::TcpCounters {
        self.tcp.counters()
    }

    fn push(&mut self, transmit: Transmit) {
        match transmit.transport {
            Transport::Tcp => {
                self.tcp.send(transmit.destination, &transmit.contents);
            }
            Transport::Udp if transmit.source.port() != self.port => {
                let from = self.addresses.reply_from(transmit.source);
                self.lines.push(from, transmit);
            }
            Transport::Udp => match self.addresses.reply_from(transmit.source) {
                Some(ip) => self
                    .queue
                    .push_from(ip, transmit.destination, transmit.contents),
                None => self.queue.push(transmit.destination, transmit.contents),
            },
        }
        if self.queue.wants_flush() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.queue.is_empty() {
            self.queue.flush(&self.udp);
        }
        self.lines.flush();
    }
}

/// A shard before its thread runs.
pub(crate) struct Shard {
    pub(crate) number: u16,
    pub(crate) io: Io,
    pub(crate) inbox: Inbox<Message>,
    pub(crate) strays: Inbox<Misrouted>,
    /// All shards' mailboxes by number, our own among them.
    pub(crate) mailboxes: Vec<Mailbox<Message>>,
    /// The same for misrouted datagrams.
    pub(crate) stray_mailboxes: Vec<Mailbox<Misrouted>>,
    pub(crate) sink: Arc<dyn EventSink>,
}

impl Shard {
    /// Runs until it is told to close.
    pub(crate) fn run(self) {
        let Self {
            number,
            mut io,
            mut inbox,
            mut strays,
            mailboxes,
            stray_mailboxes,
            sink,
        } = self;
        let mut rooms = Rooms::new(Instant::now(), number);
        let candidates = io.addresses.candidates().to_vec();
        let mut live = Live::new(number, candidates, mailboxes.clone());
        let mut neighbours = Neighbours {
            number,
            mailboxes,
            strays: stray_mailboxes,
            owners: HashMap::new(),
        };
        let mut open = true;
        while open {
            let deadlines = [
                rooms.next_deadline(),
                live.next_deadline(),
                io.tcp.next_deadline(),
            ];
            let wake_at = deadlines.into_iter().flatten().min();
            let timeout = wake_at.map(|at| at.saturating_duration_since(Instant::now()));
            let ready = match io.driver.wait(timeout) {
                Ok(ready) => ready,
                Err(error) => {
                    tracing::error!(%error, "waiting failed");
                    break;
                }
            };
            let now = Instant::now();
            // What was asked after the end is refused by nobody answering.
            while open && let Some(message) = inbox.try_recv() {
                open &= handle(
                    message,
                    &mut rooms,
                    &mut live,
                    &mut io,
                    &mut neighbours,
                    now,
                );
            }
            while let Some(stray) = strays.try_recv() {
                rooms.handle_datagram(now, stray.as_datagram());
            }
            rooms.handle_time(now);
            if ready.any_udp() {
                if rooms.is_quiet(now) {
                    std::thread::sleep(GATHER);
                }
                receive(&mut rooms, &mut io, &neighbours);
            }
            receive_calls(&mut rooms, &mut io, ready);
            receive_tcp(&mut rooms, &mut io, &neighbours, now);
            live.turn(now, &mut rooms);
            for event in live.events.drain(..) {
                rooms.events.push(now, Event::Live(event));
            }
            send(&mut rooms, &mut io, now);
            for port in rooms.hung_up.drain(..) {
                io.lines.close(&mut io.driver, port);
            }
            neighbours.tell(&mut rooms);
            if rooms.events.flush_due(now) {
                rooms.events.flush(now, &*sink);
            }
        }
        let now = Instant::now();
        live.end_recorders(now);
        rooms.close_all(now, &CloseReason::ServerClosed);
        send(&mut rooms, &mut io, now);
        tell_the_last(&mut rooms, &*sink);
    }
}

/// Delivers what is left, for as long as a listener that is merely busy may take.
fn tell_the_last(rooms: &mut Rooms, sink: &dyn EventSink) {
    let until = Instant::now() + LAST_WORDS;
    loop {
        let now = Instant::now();
        rooms.events.flush(now, sink);
        let Some(retry) = rooms.events.next_deadline().filter(|_| now < until) else {
            return;
        };
        std::thread::sleep(retry.saturating_duration_since(now).min(MAX_NAP));
    }
}

/// What the other shards know and are told.
struct Neighbours {
    number: u16,
    mailboxes: Vec<Mailbox<Message>>,
    strays: Vec<Mailbox<Misrouted>>,
    /// Addresses that other shards' clients proved. Bounded: the oldest half goes at the cap.
    owners: HashMap<(SocketAddr, Transport), u16>,
}

impl Neighbours {
    fn learn(&mut self, address: (SocketAddr, Transport), shard: u16) {
        if self.owners.len() >= MAX_OWNERS {
            // Which ones go hardly matters: their next STUN check brings them back.
            let mut keep = false;
            self.owners.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        self.owners.insert(address, shard);
    }

    /// Hands a datagram to a shard; a full mailbox drops it, as a full socket would.
    fn pass(&self, shard: u16, datagram: Misrouted) -> bool {
        self.strays
            .get(usize::from(shard))
            .is_some_and(|mailbox| mailbox.try_send(datagram).is_ok())
    }

    /// Tells the others whose addresses were won here since the last time.
    fn tell(&self, rooms: &mut Rooms) {
        if self.mailboxes.len() == 1 {
            rooms.address_changes.clear();
            return;
        }
        for change in rooms.address_changes.drain(..) {
            let RouteChange::Authenticated {
                source, transport, ..
            } = change
            else {
                continue;
            };
            for (other, mailbox) in self.mailboxes.iter().enumerate() {
                if other != usize::from(self.number) {
                    let address = (source, transport);
                    // Full: the peer's next check after that finds its way by ufrag again.
                    let _ = mailbox.try_send(Message::Address {
                        address,
                        shard: self.number,
                    });
                }
            }
        }
    }
}

/// False: the shard is to end.
fn handle(
    message: Message,
    rooms: &mut Rooms,
    live: &mut Live,
    io: &mut Io,
    neighbours: &mut Neighbours,
    now: Instant,
) -> bool {
    match message {
        Message::Job(job) => job(rooms, now),
        Message::Live(job) => live.run(now, rooms, job),
        Message::Call(socket, job) => {
            let port = io.lines.open(&mut io.driver, *socket).ok();
            let job: LiveJob = Box::new(move |live, rooms, now| job(live, rooms, now, port));
            live.run(now, rooms, job);
        }
        Message::Look(look) => look(rooms, live, io),
        Message::Connection(connection, frame) => {
            let (source, local) = (connection.peer(), connection.local());
            if io.tcp.attach(*connection).is_ok()
                && let Some(destination) =
                    io.addresses
                        .destination(Some(local.ip()), source, Transport::Tcp)
            {
                let transport = Transport::Tcp;
                let datagram = Datagram {
                    received: now,
                    transport,
                    source,
                    destination,
                    bytes: &frame,
                };
                rooms.handle_datagram(now, datagram);
            }
        }
        Message::Address { address, shard } => neighbours.learn(address, shard),
        Message::Close(reason) => {
            live.close(now);
            rooms.close_all(now, &reason);
            return false;
        }
    }
    true
}

/// Reads until the socket is empty or the turn's share is used up. What a batch causes leaves
/// before the next one is read: nobody's packet waits for somebody else's flood.
fn receive(rooms: &mut Rooms, io: &mut Io, neighbours: &Neighbours) {
    for _ in 0..MAX_BATCHES {
        match io.udp.recv(&mut io.batch) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "receive failed");
                return;
            }
        }
        let now = io.batch.read_at();
        for datagram in io.batch.datagrams() {
            let transport = Transport::Udp;
            let Some(destination) =
                io.addresses
                    .destination(datagram.destination_ip, datagram.source, transport)
            else {
                continue;
            };
            let (received, source, bytes) = (datagram.received, datagram.source, datagram.bytes);
            let datagram = Datagram {
                received,
                transport,
                source,
                destination,
                bytes,
            };
            let routed = rooms.handle_datagram(now, datagram);
            let shard = match routed {
                Routed::Here | Routed::Dropped => continue,
                Routed::Shard(shard) => Some(shard),
                Routed::Elsewhere => neighbours.owners.get(&(source, transport)).copied(),
            };
            let misrouted = Misrouted {
                received,
                transport,
                source,
                destination,
                bytes: bytes.to_vec(),
            };
            match shard {
                Some(shard) if neighbours.pass(shard, misrouted) => io.misrouted += 1,
                // Its ufrag names a shard that there is not, or that is flooded.
                _ if matches!(routed, Routed::Shard(_)) => rooms.strangers.unknown_ufrag += 1,
                _ => rooms.strangers.unknown_address += 1,
            }
        }
        send(rooms, io, now);
    }
    // More is waiting: come back at once, after timers and commands had their turn.
    io.driver.waker().wake();
}

/// Reads what the foreign servers say that are called.
fn receive_calls(rooms: &mut Rooms, io: &mut Io, ready: Ready) {
    for port in io.lines.ready(ready) {
        for round in 0.. {
            let Some(socket) = io.lines.socket(port) else {
                break;
            };
            if round == MAX_CALL_BATCHES {
                io.lines.leave(port);
                io.driver.waker().wake();
                break;
            }
            if !matches!(socket.recv(&mut io.batch), Ok(1..)) {
                break;
            }
            let now = io.batch.read_at();
            for datagram in io.batch.datagrams() {
                let (ip, transport) = (datagram.destination_ip, Transport::Udp);
                let Some(mut destination) =
                    io.addresses.destination(ip, datagram.source, transport)
                else {
                    continue;
                };
                destination.set_port(port);
                let datagram = Datagram {
                    received: datagram.received,
                    transport,
                    source: datagram.source,
                    destination,
                    bytes: datagram.bytes,
                };
                rooms.handle_answered(now, port, datagram);
            }
            send(rooms, io, now);
        }
    }
}

fn receive_tcp(rooms: &mut Rooms, io: &mut Io, neighbours: &Neighbours, now: Instant) {
    io.tcp.handle_ready(&mut io.driver);
    let mut strays = Vec::new();
    while let Some(event) = io.tcp.poll_event(now) {
        let TcpEvent::Frame { peer, local, bytes } = event else {
            continue;
        };
        let transport = Transport::Tcp;
        let Some(destination) = io.addresses.destination(Some(local.ip()), peer, transport) else {
            continue;
        };
        let datagram = Datagram {
            received: now,
            transport,
            source: peer,
            destination,
            bytes,
        };
        match rooms.handle_datagram(now, datagram) {
            Routed::Shard(shard) => strays.push((peer, shard, bytes.to_vec())),
            Routed::Elsewhere => rooms.strangers.unknown_address += 1,
            Routed::Here | Routed::Dropped => {}
        }
    }
    for (peer, shard, frame) in strays {
        let Some(mailbox) = neighbours.mailboxes.get(usize::from(shard)) else {
            continue;
        };
        if let Some(connection) = io.tcp.detach(peer) {
            // Full: the connection is dropped, the peer connects again.
            let _ = mailbox.try_send(Message::Connection(Box::new(connection), frame));
        }
    }
}

fn send(rooms: &mut Rooms, io: &mut Io, now: Instant) {
    for _ in 0..MAX_SETTLES {
        let more = rooms.settle(now);
        for transmit in rooms.transmits.drain(..) {
            io.push(transmit);
        }
        io.flush();
        if !more {
            return;
        }
    }
    io.driver.waker().wake();
}

/// Far more than all clients of a shard take; what is left is for the next turn.
const MAX_SETTLES: usize = 16_384;
/// 16 batches of 32 reads, each perhaps many datagrams by GRO.
const MAX_BATCHES: usize = 16;
/// The same of one foreign server that is called.
const MAX_CALL_BATCHES: usize = 4;
/// A shard without media collects reports and checks for so long, instead of waking for each: the
/// kernel notes when they came. The first packet of media waits once.
const GATHER: Duration = Duration::from_millis(4);
/// How long a closing shard keeps trying to deliver its last events.
const LAST_WORDS: Duration = Duration::from_secs(1);
const MAX_NAP: Duration = Duration::from_millis(5);
const MAX_OWNERS: usize = 65_536;
/// Messages a mailbox holds; a shard has one for commands and one for misrouted datagrams.
pub(crate) const MAILBOX: usize = 4096;
