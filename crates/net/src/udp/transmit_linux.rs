//! `sendmsg` with one I/O vector per packet: payloads are never copied together.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

use super::UdpSocket;
use super::flush::Transmit;
use super::gso::{MAX_SEGMENTS, Queued};

/// Space for the I/O vectors of one run, kept over a flush.
pub(crate) struct Transmitter<'a> {
    socket: &'a UdpSocket,
    slices: [IoSlice<'a>; MAX_SEGMENTS],
}

impl<'a> Transmitter<'a> {
    pub(crate) fn new(socket: &'a UdpSocket) -> Self {
        Self {
            socket,
            slices: [IoSlice::new(&[]); MAX_SEGMENTS],
        }
    }
}

impl<'a> Transmit<'a> for Transmitter<'a> {
    fn transmit(&mut self, run: &'a [Queued]) -> io::Result<()> {
        let Some(first) = run.first() else {
            return Ok(());
        };
        let mut filled = 0;
        for (slice, packet) in self.slices.iter_mut().zip(run) {
            *slice = IoSlice::new(&packet.contents);
            filled += 1;
        }
        let slices = self.slices.get(..filled).unwrap_or_default();
        let destination = SockaddrStorage::from(self.socket.wire_address(first.destination));
        let segment = u16::try_from(first.contents.len()).unwrap_or(u16::MAX);
        let pktinfo = first.source.map(SourceAddress::new);
        let run_control = ControlMessage::UdpGsoSegments(&segment);
        let source_control = pktinfo.as_ref().map(SourceAddress::control);
        let control: &[ControlMessage<'_>] = match (run.len() > 1, source_control) {
            (false, None) => &[],
            (true, None) => &[run_control],
            (false, Some(source)) => &[source],
            (true, Some(source)) => &[run_control, source],
        };
        let fd = self.socket.inner().as_raw_fd();
        loop {
            match sendmsg(
                fd,
                slices,
                control,
                MsgFlags::MSG_DONTWAIT,
                Some(&destination),
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn disable_gso(&mut self) -> bool {
        self.socket.disable_gso()
    }
}

/// The local address to send from, as the kernel wants it (ip(7), ipv6(7)).
enum SourceAddress {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl SourceAddress {
    fn new(source: IpAddr) -> Self {
        match source.to_canonical() {
            IpAddr::V4(ip) => Self::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(ip.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(ip) => Self::V6(in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: ip.octets(),
                },
                ipi6_ifindex: 0,
            }),
        }
    }

    fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

/// Whether `error` may mean that this kernel or network card cannot do GSO.
pub(crate) fn may_blame_gso(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EIO | Errno::EINVAL)
    )
}

/// Whether `error` means that the socket or the device has no room now.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error().map(Errno::from_raw) == Some(Errno::ENOBUFS)
}
