//! The one place where a shard waits.

use std::io;
use std::time::Duration;

use mio::{Events, Interest, Poll, Registry, Token};

use crate::{UdpSocket, Waker};

/// Waits for datagrams, TCP events, wake-ups and deadlines on behalf of one shard.
#[derive(Debug)]
pub struct Driver {
    poll: Poll,
    events: Events,
    waker: Waker,
    /// One bit for each id that is taken.
    udp_sockets: u128,
    tcp: Vec<TcpReady>,
}

impl Driver {
    /// A driver with its [`Waker`] and nothing else to wait for.
    ///
    /// # Errors
    ///
    /// When the operating system gives no poll or wake-up descriptor.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_WAIT),
            waker,
            udp_sockets: 0,
            tcp: Vec::with_capacity(EVENTS_PER_WAIT),
        })
    }

    /// A handle that ends [`wait`](Self::wait) from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits for `socket` too; the id says in [`Ready::udp`] which socket has datagrams.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::QuotaExceeded`] past 128 sockets, or the operating system's refusal.
    pub fn register_udp(&mut self, socket: &mut UdpSocket) -> io::Result<UdpId> {
        let id = UdpId(self.udp_sockets.trailing_ones() as usize);
        if id.0 >= MAX_UDP_SOCKETS {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        self.poll
            .registry()
            .register(socket.source(), Token(UDP + id.0), Interest::READABLE)?;
        self.udp_sockets |= 1 << id.0;
        Ok(id)
    }

    /// Waits for `socket` no longer; its id goes to another.
    ///
    /// # Errors
    ///
    /// The operating system's refusal; the id is free all the same.
    pub fn deregister_udp(&mut self, socket: &mut UdpSocket, id: UdpId) -> io::Result<()> {
        self.udp_sockets &= !(1 << id.0);
        self.poll.registry().deregister(socket.source())
    }

    /// Sleeps until something is ready, the waker is used or `timeout` is over; `None` is for ever.
    ///
    /// Readiness is told on its edge: receive until [`UdpSocket::recv`] says 0, or come back
    /// without waiting for it to be told again. TCP readiness goes through
    /// [`tcp::TcpPeers::handle_ready`](crate::tcp::TcpPeers::handle_ready). Timeouts are rounded
    /// up to whole milliseconds, except zero. A signal may end the wait early with nothing ready.
    ///
    /// # Errors
    ///
    /// What the operating system's poll says; none is expected in normal work.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Ready> {
        let timeout = if self.waker.fall_asleep() {
            timeout
        } else {
            Some(Duration::ZERO)
        };
        let polled = self.poll.poll(&mut self.events, timeout);
        let mut ready = Ready {
            woken: self.waker.wake_up(),
            ..Ready::default()
        };
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(ready),
            other => other?,
        }
        for event in &self.events {
            match event.token() {
                WAKER => {}
                Token(token) if token < TCP => ready.udp |= 1 << (token - UDP),
                token => {
                    ready.tcp = true;
                    self.tcp.push(TcpReady {
                        token,
                        readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                        writable: event.is_writable(),
                    });
                }
            }
        }
        Ok(ready)
    }

    pub(crate) fn registry(&self) -> io::Result<Registry> {
        self.poll.registry().try_clone()
    }

    pub(crate) fn take_tcp_ready(&mut self) -> std::vec::Drain<'_, TcpReady> {
        self.tcp.drain(..)
    }
}

/// What ended a [`Driver::wait`]; nothing set means the timeout, rarely a wake-up told before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// The [`Waker`] was used: drain the inboxes.
    pub woken: bool,
    /// TCP sockets are ready: call [`TcpPeers::handle_ready`](crate::tcp::TcpPeers::handle_ready).
    pub tcp: bool,
    udp: u128,
}

impl Ready {
    /// Whether the socket has datagrams to receive.
    pub fn udp(self, id: UdpId) -> bool {
        self.udp & (1 << id.0) != 0
    }

    /// Whether any socket has datagrams to receive.
    pub fn any_udp(self) -> bool {
        self.udp != 0
    }
}

/// A UDP socket as its [`Driver`] knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpId(usize);

#[derive(Debug, Clone, Copy)]
pub(crate) struct TcpReady {
    pub(crate) token: Token,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

const WAKER: Token = Token(0);
const UDP: usize = 1;
/// One bit each in [`Ready`].
const MAX_UDP_SOCKETS: usize = 128;
/// First token of listeners and connections.
pub(crate) const TCP: usize = UDP + MAX_UDP_SOCKETS;
/// More than this many ready sockets are told by the next wait.
const EVENTS_PER_WAIT: usize = 256;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;
    use crate::{RecvBatch, SendQueue, UdpOptions, thread};

    fn loopback() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &UdpOptions::default()).unwrap()
    }

    #[test]
    fn ready_names_the_socket_that_has_datagrams() {
        let mut driver = Driver::new().unwrap();
        let mut sockets = [loopback(), loopback(), loopback()];
        let ids: Vec<_> = sockets
            .iter_mut()
            .map(|socket| driver.register_udp(socket).unwrap())
            .collect();
        driver.wait(Some(Duration::ZERO)).unwrap();
        let mut queue = SendQueue::new();
        queue.push(sockets[1].local_addr(), vec![1]);
        queue.flush(&sockets[0]);
        let ready = driver.wait(Some(Duration::from_secs(5))).unwrap();
        let told: Vec<_> = ids.iter().map(|&id| ready.udp(id)).collect();
        assert_eq!(told, [false, true, false]);
        assert!(ready.any_udp() && !ready.woken && !ready.tcp);
        assert_eq!(sockets[1].recv(&mut RecvBatch::new()).unwrap(), 1);
        let quiet = driver.wait(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(quiet, Ready::default());
    }

    #[test]
    fn id_of_a_socket_that_has_left_goes_to_another() {
        let mut driver = Driver::new().unwrap();
        let mut sockets: Vec<_> = (0..128).map(|_| loopback()).collect();
        let ids: Vec<_> = sockets
            .iter_mut()
            .map(|socket| driver.register_udp(socket).unwrap())
            .collect();
        let mut late = loopback();
        assert!(driver.register_udp(&mut late).is_err(), "all are taken");
        driver.deregister_udp(&mut sockets[5], ids[5]).unwrap();
        assert_eq!(driver.register_udp(&mut late).unwrap(), ids[5]);
        let mut queue = SendQueue::new();
        queue.push(late.local_addr(), vec![1]);
        queue.push(sockets[5].local_addr(), vec![1]);
        queue.flush(&sockets[0]);
        let ready = driver.wait(Some(Duration::from_secs(5))).unwrap();
        assert!(ready.udp(ids[5]) && !ready.udp(ids[0]));
        assert_eq!(late.recv(&mut RecvBatch::new()).unwrap(), 1);
    }

    #[test]
    fn waker_ends_a_wait_that_has_no_timeout() {
        let mut driver = Driver::new().unwrap();
        let waker = driver.waker();
        let thread = thread::spawn("waker", move || {
            std::thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        let start = Instant::now();
        let mut woken = false;
        while !woken && start.elapsed() < Duration::from_secs(10) {
            woken = driver.wait(None).unwrap().woken;
        }
        assert!(woken);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn wait_never_ends_before_its_timeout() {
        let mut driver = Driver::new().unwrap();
        for timeout in [1, 300, 1500].map(Duration::from_micros) {
            let start = Instant::now();
            driver.wait(Some(timeout)).unwrap();
            assert!(start.elapsed() >= timeout);
        }
    }
}
