//! A port of its own for each foreign server that is called: two calls to one server from one port would look the same
//! to it, and its media to us.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use sluice_net::{Driver, Ready, SendQueue, UdpCounters, UdpId, UdpSocket};
use sluice_sfu::Transmit;

/// The ports of one shard's calls. The driver bounds how many there are.
#[derive(Debug)]
pub(crate) struct Lines {
    open: HashMap<u16, Line>,
    /// For the socket of one port at a time: what a client says comes in a row.
    queue: SendQueue,
    queued_for: Option<u16>,
    /// Ports where more waits than one turn's share.
    unread: Vec<u16>,
}

#[derive(Debug)]
struct Line {
    socket: UdpSocket,
    id: UdpId,
}

impl Lines {
    pub(crate) fn new(gso: bool) -> Self {
        Self {
            open: HashMap::new(),
            queue: if gso {
                SendQueue::new()
            } else {
                SendQueue::without_gso()
            },
            queued_for: None,
            unread: Vec::new(),
        }
    }

    /// Opens a line; its port.
    pub(crate) fn open(&mut self, driver: &mut Driver, mut socket: UdpSocket) -> io::Result<u16> {
        let id = driver.register_udp(&mut socket)?;
        let port = socket.local_addr().port();
        self.open.insert(port, Line { socket, id });
        Ok(port)
    }

    /// Closes a line after what waits has left.
    pub(crate) fn close(&mut self, driver: &mut Driver, port: u16) {
        if self.queued_for == Some(port) {
            self.flush();
        }
        if let Some(mut line) = self.open.remove(&port) {
            // One that the system has forgotten already needs no forgetting.
            let _ = driver.deregister_udp(&mut line.socket, line.id);
        }
        self.unread.retain(|unread| *unread != port);
    }

    /// The ports with something to receive.
    pub(crate) fn ready(&mut self, ready: Ready) -> Vec<u16> {
        let mut ports = std::mem::take(&mut self.unread);
        if ready.any_udp() {
            let told = self.open.iter().filter(|(_, line)| ready.udp(line.id));
            for (port, _) in told {
                if !ports.contains(port) {
                    ports.push(*port);
                }
            }
        }
        ports
    }

    pub(crate) fn socket(&self, port: u16) -> Option<&UdpSocket> {
        self.open.get(&port).map(|line| &line.socket)
    }

    /// More waits at this port than this turn had time for.
    pub(crate) fn leave(&mut self, port: u16) {
        self.unread.push(port);
    }

    /// Queues a datagram for the socket it is to leave from; a line that has closed drops it.
    pub(crate) fn push(&mut self, from: Option<IpAddr>, transmit: Transmit) {
        let port = transmit.source.port();
        if !self.open.contains_key(&port) {
            return;
        }
        if self.queued_for != Some(port) {
            self.flush();
            self.queued_for = Some(port);
        }
        match from {
            Some(ip) => self
                .queue
                .push_from(ip, transmit.destination, transmit.contents),
            None => self.queue.push(transmit.destination, transmit.contents),
        }
        if self.queue.wants_flush() {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        let line = self.queued_for.and_then(|port| self.open.get(&port));
        if let Some(line) = line
            && !self.queue.is_empty()
        {
            self.queue.flush(&line.socket);
        }
    }

    /// What was sent; what was received the shard's batch counts.
    pub(crate) fn counters(&self) -> UdpCounters {
        self.queue.counters()
    }
}
