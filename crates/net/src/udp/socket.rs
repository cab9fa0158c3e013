use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use super::RecvBatch;
use crate::address;

/// How a [`UdpSocket`] is bound.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UdpOptions {
    /// Lets several sockets, one per shard, share the address; the kernel spreads the peers over
    /// them (Linux `SO_REUSEPORT`). Default `false`; ignored where the kernel does not spread.
    pub reuse_port: bool,
    /// Wanted receive buffer in bytes. Default 4 MiB; the kernel may grant less.
    pub recv_buffer_bytes: usize,
    /// Wanted send buffer in bytes. Default 4 MiB; the kernel may grant less.
    pub send_buffer_bytes: usize,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            reuse_port: false,
            recv_buffer_bytes: DEFAULT_BUFFER_BYTES,
            send_buffer_bytes: DEFAULT_BUFFER_BYTES,
        }
    }
}

/// A non-blocking UDP socket that sends and receives in batches.
///
/// Bound to an IPv6 wildcard it serves IPv4 too; callers only ever see and give plain IPv4
/// addresses, never IPv4-mapped ones.
#[derive(Debug)]
pub struct UdpSocket {
    inner: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    recv_buffer_bytes: usize,
    send_buffer_bytes: usize,
    max_segments: AtomicUsize,
}

impl UdpSocket {
    /// Binds to `address`; port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// The operating system's: address in use, not ours, no permission, no descriptor left.
    pub fn bind(address: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        #[cfg(target_os = "linux")]
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        ask_for(options.recv_buffer_bytes, |bytes| {
            socket.set_recv_buffer_size(bytes)
        });
        ask_for(options.send_buffer_bytes, |bytes| {
            socket.set_send_buffer_size(bytes)
        });
        let recv_buffer_bytes = granted(socket.recv_buffer_size()?);
        let send_buffer_bytes = granted(socket.send_buffer_size()?);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        let inner = mio::net::UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new(UdpSockRef::from(&inner))?;
        let local = inner.local_addr()?;
        let max_segments = AtomicUsize::new(if cfg!(target_os = "linux") {
            state.max_gso_segments()
        } else {
            1
        });
        Ok(Self {
            inner,
            state,
            local,
            recv_buffer_bytes,
            send_buffer_bytes,
            max_segments,
        })
    }

    /// The bound address, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        address::unmapped(self.local)
    }

    /// Receive buffer the kernel granted, in bytes; less than asked for means `net.core.rmem_max`
    /// is lower.
    pub fn recv_buffer_bytes(&self) -> usize {
        self.recv_buffer_bytes
    }

    /// Send buffer the kernel granted, in bytes; see `net.core.wmem_max`.
    pub fn send_buffer_bytes(&self) -> usize {
        self.send_buffer_bytes
    }

    /// Most datagrams one system call may carry: 64 where GSO works, else 1.
    pub fn max_segments(&self) -> usize {
        self.max_segments.load(Ordering::Relaxed)
    }

    /// Receives what waits, up to a batch, over what `batch` held; returns the number of datagrams
    /// after splitting, 0 when none waits.
    ///
    /// # Errors
    ///
    /// The operating system's, except those that tell of an earlier datagram's fate (a port
    /// unreachable), which are skipped.
    pub fn recv(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        batch.fill(self)
    }

    pub(crate) fn recv_slots(
        &self,
        slots: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> io::Result<usize> {
        self.inner
            .try_io(|| self.state.recv(UdpSockRef::from(&self.inner), slots, meta))
    }

    pub(crate) fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.inner
    }

    /// The refusal of one run says that no run will ever pass; `true` for the first to say so.
    pub(crate) fn disable_gso(&self) -> bool {
        self.max_segments.swap(1, Ordering::Relaxed) > 1
    }

    /// `destination` in the family of this socket.
    pub(crate) fn wire_address(&self, destination: SocketAddr) -> SocketAddr {
        if self.local.is_ipv6() {
            address::mapped(destination)
        } else {
            destination
        }
    }

    pub(crate) fn inner(&self) -> &mio::net::UdpSocket {
        &self.inner
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn state(&self) -> &UdpSocketState {
        &self.state
    }
}

/// Sets a buffer to `bytes`, or to half of it and so on: Linux grants what it may of any wish, others
/// refuse one that is too large. After the last refusal the system's default stays.
fn ask_for(bytes: usize, set: impl Fn(usize) -> io::Result<()>) {
    let halves = std::iter::successors(Some(bytes), |bytes| Some(bytes / 2));
    let granted = halves
        .take_while(|&bytes| bytes >= LEAST_BUFFER_BYTES)
        .any(|bytes| set(bytes).is_ok());
    if !granted {
        tracing::warn!(bytes, "the system keeps its default socket buffer");
    }
}

/// Linux doubles what it grants, for its own bookkeeping, and reports the double (socket(7)).
fn granted(reported: usize) -> usize {
    if cfg!(target_os = "linux") {
        reported / 2
    } else {
        reported
    }
}

const DEFAULT_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Every system's own default is larger.
const LEAST_BUFFER_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn largest_buffer_that_is_not_refused_is_set() {
        let asked = RefCell::new(Vec::new());
        ask_for(4_000_000, |bytes| {
            asked.borrow_mut().push(bytes);
            if bytes > 1_500_000 {
                Err(io::ErrorKind::OutOfMemory.into())
            } else {
                Ok(())
            }
        });
        assert_eq!(asked.into_inner(), [4_000_000, 2_000_000, 1_000_000]);
    }

    #[test]
    fn system_that_grants_no_buffer_is_asked_a_bounded_number_of_times() {
        let asked = RefCell::new(0);
        ask_for(usize::MAX, |_| {
            *asked.borrow_mut() += 1;
            Err(io::ErrorKind::OutOfMemory.into())
        });
        assert!(asked.into_inner() <= 64);
    }
}
