//! Which client a datagram belongs to: by table, never by asking every client.
//!
//! STUN requests go by the local ufrag in their USERNAME (RFC 8445 §7.2.2), everything else by a
//! source address that proved it knows the ICE password. What fits neither is a stranger's.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use sluice_rtp::stun::Class;
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
    /// Checks of ours over UDP that a response may still come to.
    checks: HashMap<Check, u32>,
    clients: HashMap<u32, Known>,
}

/// Where a check went, and its transaction ID.
type Check = (SocketAddr, [u8; 12]);

#[derive(Debug, Default)]
struct Known {
    /// The newest two: during an ICE restart checks with the old one still arrive.
    ufrags: VecDeque<String>,
    /// Newest last.
    addresses: VecDeque<(SocketAddr, Transport)>,
    /// Newest last.
    checks: VecDeque<Check>,
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
            RouteChange::Checked {
                token,
                destination,
                transaction_id,
            } => self.learn_check(*token, (*destination, *transaction_id)),
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
        if let Some(username) = message.username() {
            return match self.ufrags.get(username.local) {
                Some(token) => Route::Client(*token),
                None => Route::ForeignUfrag(username.local),
            };
        }
        // A response or an indication, which carries no USERNAME.
        let check = (source, message.transaction_id());
        let is_response = matches!(message.class(), Class::Success | Class::Error);
        let asked = || self.checks.get(&check).filter(|_| is_response);
        match self.addresses.get(&(source, transport)).or_else(asked) {
            Some(token) => Route::Client(*token),
            None => Route::Drop(DropCause::MalformedStun),
        }
    }

    fn learn_check(&mut self, token: u32, check: Check) {
        let known = self.clients.entry(token).or_default();
        known.checks.push_back(check);
        if known.checks.len() > MAX_CHECKS
            && let Some(old) = known.checks.pop_front()
        {
            self.checks.remove(&old);
        }
        self.checks.insert(check, token);
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
        for check in known.checks {
            self.checks.remove(&check);
        }
    }
}

const MAX_UFRAGS: usize = 2;
const MAX_ADDRESSES: usize = 16;
/// Checks of one client that wait for their responses: every pair of candidates, a few times over.
const MAX_CHECKS: usize = 256;

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

    /// A binding success response without attributes.
    fn response(transaction: u8) -> Vec<u8> {
        let mut bytes = vec![0x01, 0x01, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        bytes.extend([transaction; 12]);
        bytes
    }

    fn checked(token: u32, transaction: u8) -> RouteChange {
        RouteChange::Checked {
            token,
            destination: address(1),
            transaction_id: [transaction; 12],
        }
    }

    #[test]
    fn a_response_goes_to_who_asked_that_address() {
        let mut router = Router::default();
        router.apply(&checked(7, 1));
        let route = |r: &Router, port, transaction| {
            let bytes = response(transaction);
            match r.route(address(port), Transport::Udp, &bytes) {
                Route::Client(token) => Some(token),
                _ => None,
            }
        };
        assert_eq!(route(&router, 1, 1), Some(7));
        assert_eq!(route(&router, 2, 1), None, "from elsewhere");
        assert_eq!(route(&router, 1, 2), None, "nobody asked");
        let dtls = router.route(address(1), Transport::Udp, DTLS);
        assert_eq!(dtls, Route::ForeignAddress, "a check proves nothing");
        router.apply(&RouteChange::Gone { token: 7 });
        assert_eq!(route(&router, 1, 1), None);
    }

    #[test]
    fn a_client_s_oldest_checks_are_forgotten() {
        let mut router = Router::default();
        for n in 0..=MAX_CHECKS {
            let mut transaction_id = [0; 12];
            transaction_id[..8].copy_from_slice(&n.to_be_bytes());
            router.apply(&RouteChange::Checked {
                token: 1,
                destination: address(1),
                transaction_id,
            });
        }
        assert_eq!(router.checks.len(), MAX_CHECKS);
        let oldest = response(0);
        let oldest = router.route(address(1), Transport::Udp, &oldest);
        assert_eq!(oldest, Route::Drop(DropCause::MalformedStun));
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
