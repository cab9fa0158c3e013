//! One system call per packet, through `quinn-udp`.

use std::io;

use quinn_udp::UdpSockRef;

use super::UdpSocket;
use super::flush::Transmit;
use super::gso::Queued;

/// The portable stand-in for the tuned sender: it keeps nothing between runs.
pub(crate) struct Transmitter<'a> {
    socket: &'a UdpSocket,
}

impl<'a> Transmitter<'a> {
    pub(crate) fn new(socket: &'a UdpSocket) -> Self {
        Self { socket }
    }
}

impl<'a> Transmit<'a> for Transmitter<'a> {
    fn transmit(&mut self, run: &'a [Queued]) -> io::Result<()> {
        let socket = self.socket;
        for packet in run {
            let transmit = quinn_udp::Transmit {
                destination: socket.wire_address(packet.destination),
                ecn: None,
                contents: &packet.contents,
                segment_size: None,
                src_ip: packet.source,
            };
            socket.inner().try_io(|| {
                socket
                    .state()
                    .try_send(UdpSockRef::from(socket.inner()), &transmit)
            })?;
        }
        Ok(())
    }

    fn disable_gso(&mut self) -> bool {
        self.socket.disable_gso()
    }
}

/// There is no GSO here to blame.
pub(crate) fn may_blame_gso(_error: &io::Error) -> bool {
    false
}

/// Whether `error` means that the socket has no room now.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
