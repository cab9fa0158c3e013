//! Which addresses peers are told, and which of them a datagram was sent to.

use std::net::{IpAddr, SocketAddr};

use sluice_sfu::{LocalCandidate, Transport};

use crate::options::ServerOptions;

/// The announced addresses of a server.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    candidates: Vec<LocalCandidate>,
    /// Those a reply can be sent from, where the system would have to choose.
    own: Vec<IpAddr>,
}

impl Addresses {
    /// What to announce for sockets bound as `udp` and `tcp`.
    pub(crate) fn new(options: &ServerOptions, udp: SocketAddr, tcp: Option<SocketAddr>) -> Self {
        let own = if udp.ip().is_unspecified() {
            interfaces(udp.ip())
        } else {
            vec![udp.ip()]
        };
        let announced = if options.announced_addresses.is_empty() {
            &own
        } else {
            &options.announced_addresses
        };
        let mut candidates = Vec::new();
        for ip in announced {
            candidates.push(LocalCandidate {
                address: SocketAddr::new(*ip, udp.port()),
                transport: Transport::Udp,
            });
        }
        for (ip, tcp) in announced.iter().zip(std::iter::repeat(tcp)) {
            let Some(tcp) = tcp else { break };
            candidates.push(LocalCandidate {
                address: SocketAddr::new(*ip, tcp.port()),
                transport: Transport::Tcp,
            });
        }
        let own = if udp.ip().is_unspecified() {
            own
        } else {
            Vec::new()
        };
        Self { candidates, own }
    }

    pub(crate) fn candidates(&self) -> &[LocalCandidate] {
        &self.candidates
    }

    /// The candidate a datagram was sent to: the one of that address, or, behind a NAT that
    /// translated it, the first of its family.
    pub(crate) fn destination(
        &self,
        local: Option<IpAddr>,
        source: SocketAddr,
        transport: Transport,
    ) -> Option<SocketAddr> {
        let of_transport = || self.candidates.iter().filter(|c| c.transport == transport);
        of_transport()
            .find(|candidate| Some(candidate.address.ip()) == local)
            .or_else(|| of_transport().find(|c| c.address.is_ipv4() == source.is_ipv4()))
            .map(|candidate| candidate.address)
    }

    /// The address to send from, where several of ours would do and the peer expects this one.
    pub(crate) fn reply_from(&self, source: SocketAddr) -> Option<IpAddr> {
        let ip = source.ip();
        (self.own.len() > 1 && self.own.contains(&ip)).then_some(ip)
    }
}

/// The addresses of the interfaces in use, of the families a socket bound to `any` hears. The
/// loopback address comes last: it serves only programs of this host.
fn interfaces(any: IpAddr) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = if_addrs::get_if_addrs()
        .unwrap_or_default()
        .into_iter()
        .filter(if_addrs::Interface::is_oper_up)
        .map(|interface| interface.ip())
        .filter(|ip| ip.is_ipv4() || any.is_ipv6())
        .filter(|ip| !is_link_local(*ip))
        .collect();
    found.sort_by_key(IpAddr::is_loopback);
    found.dedup();
    found.truncate(MAX_CANDIDATES);
    found
}

/// Scoped addresses cannot be written into a candidate (RFC 8839 §5.1).
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

const MAX_CANDIDATES: usize = 16;
