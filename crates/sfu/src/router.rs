//! Which client a datagram belongs to: by table, never by asking every client.
//!
//! STUN requests go by the local ufrag in their USERNAME (RFC 8445 §7.2.2), everything else by a
//! source address that proved it knows the ICE password. What fits neither is a stranger's.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use sluice_rtp::{Protocol, classify, stun};

use crate::options::Transport;
use crate::output::RouteChange;

/// Where a datagram goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route<'a> {
    /// To the client with this token.
    Client(u32),
    /// A STUN request for this ufrag, which is none of ours here: another shard's, perhaps.
    ForeignUfrag(&'a str),
    /// From an address that proved nothing here: another shard's, perhaps.
    ForeignAddress,
    /// To nobody.
    Drop(DropCause),
}

/// Why a datagram is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// Its first byte is outside every range of RFC 7983 §7.
    UnknownProtocol,
    /// STUN that does not parse, or no request with a USERNAME.
    MalformedStun,
}

/// The table of one shard.
#[derive(Debug, Default)]
pub struct Router {
    ufrags: HashMap<String, u32>,
    addresses: HashMap<(SocketAddr, Transport), u32>,
    clients: HashMap<u32, Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The newest two: during an ICE restart checks with the old one still arrive.
    ufrags: VecDeque<String>,
    /// Newest last.
    addresses: VecDeque<(SocketAddr, Transport)>,
}

/// Whether a datagram is a report or a check (RTCP, STUN), which a few milliseconds more do not hurt,
/// as they would media and handshakes.
pub fn can_wait(datagram: &[u8]) -> bool {
    !matches!(classify(datagram), Some(Protocol::Dtls | Protocol::Rtp))
}

impl Router {
    /// Looks up who gets a datagram.
    pub fn route<'a>(
        &self,
        source: SocketAddr,
        transport: Transport,
        bytes: &'a [u8],
    ) -> Route<'a> {
        match classify(bytes) {
            None => Route::Drop(DropCause::UnknownProtocol),
            Some(Protocol::Stun) => self.route_stun(source, transport, bytes),
            Some(_) => match self.addresses.get(&(source, transport)) {
                Some(token) => Route::Client(*token),
                None => Route::ForeignAddress,
            },
        }
    }

    /// Applies a change that a registry reported.
    pub fn apply(&mut self, change: &RouteChange) {
        match change {
            RouteChange::Ufrag { token, ufrag } => self.learn_ufrag(*token, ufrag),
            RouteChange::Authenticated {
                token,
                source,
                transport,
            } => {
                self.learn_address(*token, (*source, *transport));
            }
            RouteChange::Gone { token } => self.forget(*token),
        }
    }

    /// How many addresses are known.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    fn route_stun<'a>(
        &self,
        source: SocketAddr,
        transport: Transport,
        bytes: &'a [u8],
    ) -> Route<'a> {
        let Some(message) = stun::Message::parse(bytes) else {
            return Route::Drop(DropCause::MalformedStun);
        };
        match message.username() {
            Some(username) => match self.ufrags.get(username.local) {
                Some(token) => Route::Client(*token),
                None => Route::ForeignUfrag(username.local),
            },
            // A response or an indication, which carries no USERNAME.
            None => match self.addresses.get(&(source, transport)) {
                Some(token) => Route::Client(*token),
                None => Route::Drop(DropCause::MalformedStun),
            },
        }
    }

    fn learn_ufrag(&mut self, token: u32, ufrag: &str) {
        let known = self.clients.entry(token).or_default();
        if known.ufrags.iter().any(|u| u == ufrag) {
            return;
        }
        known.ufrags.push_back(ufrag.to_owned());
        if known.ufrags.len() > MAX_UFRAGS
            && let Some(old) = known.ufrags.pop_front()
        {
            self.ufrags.remove(&old);
        }
        self.ufrags.insert(ufrag.to_owned(), token);
    }

    fn learn_address(&mut self, token: u32, address: (SocketAddr, Transport)) {
        if let Some(owner) = self.addresses.insert(address, token)
            && owner != token
            && let Some(known) = self.clients.get_mut(&owner)
        {
            // A NAT gave the address to somebody else.
            known.addresses.retain(|a| *a != address);
        }
        let known = self.clients.entry(token).or_default();
        known.addresses.retain(|a| *a != address);
        known.addresses.push_back(address);
        if known.addresses.len() > MAX_ADDRESSES
            && let Some(old) = known.addresses.pop_front()
        {
            self.addresses.remove(&old);
        }
    }

    fn forget(&mut self, token: u32) {
        let Some(known) = self.clients.remove(&token) else {
            return;
        };
        for ufrag in known.ufrags {
            self.ufrags.remove(&ufrag);
        }
        for address in known.addresses {
            self.addresses.remove(&address);
        }
    }
}

const MAX_UFRAGS: usize = 2;
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const DTLS: &[u8] = &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn authenticated(token: u32, port: u16) -> RouteChange {
        RouteChange::Authenticated {
            token,
            source: address(port),
            transport: Transport::Udp,
        }
    }

    #[test]
    fn an_address_is_nobody_s_before_it_proved_itself() {
        let mut router = Router::default();
        let route = |r: &Router| r.route(address(1), Transport::Udp, DTLS);
        assert_eq!(route(&router), Route::ForeignAddress);
        router.apply(&authenticated(7, 1));
        assert_eq!(route(&router), Route::Client(7));
        assert_eq!(
            router.route(address(1), Transport::Tcp, DTLS),
            Route::ForeignAddress
        );
        router.apply(&RouteChange::Gone { token: 7 });
        assert_eq!(route(&router), Route::ForeignAddress);
    }

    #[test]
    fn a_reused_nat_port_belongs_to_who_proved_it_last() {
        let mut router = Router::default();
        router.apply(&authenticated(1, 9));
        router.apply(&authenticated(2, 9));
        router.apply(&RouteChange::Gone { token: 1 });
        assert_eq!(
            router.route(address(9), Transport::Udp, DTLS),
            Route::Client(2)
        );
    }

    #[test]
    fn a_client_keeps_its_newest_sixteen_addresses() {
        let mut router = Router::default();
        for port in 1..=40 {
            router.apply(&authenticated(1, port));
        }
        assert_eq!(router.addresses(), MAX_ADDRESSES);
        assert_eq!(
            router.route(address(40), Transport::Udp, DTLS),
            Route::Client(1)
        );
        assert_eq!(
            router.route(address(1), Transport::Udp, DTLS),
            Route::ForeignAddress
        );
    }

    #[test]
    fn unknown_first_bytes_are_dropped_by_name() {
        let router = Router::default();
        for first in [4, 19, 64, 127, 192, 255] {
            let bytes = [first; 20];
            let route = router.route(address(1), Transport::Udp, &bytes);
            assert_eq!(route, Route::Drop(DropCause::UnknownProtocol), "{first}");
        }
    }
}
