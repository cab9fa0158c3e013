use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::TcpPeer;

/// The connections of a shard by slot and by peer, counted per source.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    max_per_source: usize,
    slots: Vec<Option<TcpPeer>>,
    free: Vec<usize>,
    by_peer: HashMap<SocketAddr, usize>,
    per_source: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_source: usize) -> Self {
        Self {
            max,
            max_per_source,
            slots: Vec::new(),
            free: Vec::new(),
            by_peer: HashMap::new(),
            per_source: HashMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_peer.is_empty()
    }

    pub(crate) fn contains(&self, peer: SocketAddr) -> bool {
        self.by_peer.contains_key(&peer)
    }

    /// Whether the caps leave room for one more connection of `peer`'s source.
    pub(crate) fn has_room_for(&self, peer: SocketAddr) -> bool {
        let held = self.per_source.get(&source_of(peer)).copied();
        self.by_peer.len() < self.max && held.unwrap_or(0) < self.max_per_source
    }

    /// The slot that the next [`insert`](Self::insert) takes.
    pub(crate) fn next_slot(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// Takes `connection`, whose peer has none here and for whom there is room.
    pub(crate) fn insert(&mut self, connection: TcpPeer) {
        let (peer, slot) = (connection.peer(), self.next_slot());
        self.free.pop();
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(connection);
        self.by_peer.insert(peer, slot);
        *self.per_source.entry(source_of(peer)).or_default() += 1;
    }

    /// Gives the connection of `peer` out again, with the slot it had.
    pub(crate) fn remove(&mut self, peer: SocketAddr) -> Option<(usize, TcpPeer)> {
        let slot = self.by_peer.remove(&peer)?;
        let connection = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        let source = source_of(peer);
        if let Some(held) = self.per_source.get_mut(&source) {
            *held -= 1;
            if *held == 0 {
                self.per_source.remove(&source);
            }
        }
        Some((slot, connection))
    }

    pub(crate) fn at(&self, slot: usize) -> Option<&TcpPeer> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn at_mut(&mut self, slot: usize) -> Option<&mut TcpPeer> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(crate) fn of_mut(&mut self, peer: SocketAddr) -> Option<&mut TcpPeer> {
        let slot = self.by_peer.get(&peer).copied()?;
        self.at_mut(slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TcpPeer> {
        self.slots.iter().flatten()
    }
}

/// What `max_per_source` counts by: an IPv6 host owns at least a /64 (RFC 4291 §2.5.4).
fn source_of(peer: SocketAddr) -> IpAddr {
    match peer.ip() {
        ip @ IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_one_ipv6_network_are_one_source() {
        let source = |text: &str| source_of(text.parse().unwrap());
        assert_eq!(
            source("[2001:db8:1:2::1]:1"),
            source("[2001:db8:1:2:ffff::9]:2")
        );
        assert_ne!(source("[2001:db8:1:2::1]:1"), source("[2001:db8:1:3::1]:1"));
        assert_ne!(source("192.0.2.1:1"), source("192.0.2.2:1"));
    }
}
