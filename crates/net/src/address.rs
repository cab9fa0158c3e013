//! IPv4 addresses as a dual-stack socket shows them (RFC 4291 §2.5.5.2), and back.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// The address as callers know it: an IPv4-mapped IPv6 address becomes IPv4.
pub(crate) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        // A real IPv6 address keeps its scope, which `SocketAddr::new` would lose.
        IpAddr::V6(_) => address,
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
    }
}

/// The address as a socket of family IPv6 wants it: IPv4 becomes IPv4-mapped IPv6.
pub(crate) fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => {
            SocketAddr::V6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
        }
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapping_there_and_back_is_the_identity() {
        for text in ["192.0.2.1:9", "[2001:db8::1]:9", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert!(mapped(address).is_ipv6());
            assert_eq!(unmapped(mapped(address)), address);
        }
    }
}
