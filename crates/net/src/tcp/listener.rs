use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::address;

/// A bound and listening socket, to be given to [`TcpPeers::listen`](super::TcpPeers::listen).
#[derive(Debug)]
pub struct TcpListener {
    inner: mio::net::TcpListener,
    local: SocketAddr,
}

impl TcpListener {
    /// Listens on `address`; port 0 lets the system choose. An IPv6 wildcard takes IPv4 too.
    ///
    /// # Errors
    ///
    /// The operating system's: address in use, not ours, no permission, no descriptor left.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // Elsewhere the option means that two processes may share the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let inner = mio::net::TcpListener::from_std(socket.into());
        let local = address::unmapped(inner.local_addr()?);
        Ok(Self { inner, local })
    }

    /// The bound address, with the port the system chose.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn source(&mut self) -> &mut mio::net::TcpListener {
        &mut self.inner
    }

    /// The next waiting connection.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.inner.accept() {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                other => return other,
            }
        }
    }
}

/// Connections the system holds until they are accepted, for a burst of joins.
const BACKLOG: i32 = 1024;
