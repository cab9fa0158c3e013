//! Sockets read once a millisecond, so that waking a reader is never charged to the sender.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::Outcome;

/// A non-blocking socket on a loopback port of the system's choice.
///
/// # Errors
/// When the system gives none.
pub fn bind_loopback() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What a poll of a socket found.
#[derive(Debug)]
pub struct Received<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// When it was read.
    pub at: Instant,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The rhythm of the readers.
#[derive(Debug)]
pub struct Polled {
    next: Instant,
    buffer: Vec<u8>,
}

impl Polled {
    /// Begins now.
    pub fn new() -> Self {
        Self {
            next: Instant::now(),
            buffer: vec![0; 2048],
        }
    }

    /// Sleeps until the next millisecond.
    pub fn wait(&mut self) {
        let now = Instant::now();
        self.next = (self.next + PERIOD).max(now);
        std::thread::sleep(self.next - now);
    }

    /// Reads a socket until it is empty.
    ///
    /// # Errors
    /// The socket's or the callback's.
    pub fn read(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(Received<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        loop {
            match socket.recv_from(&mut self.buffer) {
                Ok((len, source)) => each(Received {
                    source,
                    at: Instant::now(),
                    bytes: self.buffer.get(..len).unwrap_or_default(),
                })?,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The server's port closed before ours did.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Default for Polled {
    fn default() -> Self {
        Self::new()
    }
}

const PERIOD: Duration = Duration::from_millis(1);
