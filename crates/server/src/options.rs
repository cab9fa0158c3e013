//! What a caller may choose when it starts a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::ServerError;

/// A server's settings.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Where the one UDP port (and the ICE-TCP port of the same number) is bound. `0.0.0.0` for
    /// IPv4, `::` for both families. Default `0.0.0.0`.
    pub bind_address: IpAddr,
    /// 0 lets the system choose. Default 3478.
    pub udp_port: u16,
    /// The addresses peers are told. Empty: those of the interfaces in use. Default empty.
    pub announced_addresses: Vec<IpAddr>,
    /// Whether ICE-TCP is listened for. Default true.
    pub tcp: bool,
    /// Shard threads; 0 means one less than there are cores, at least one. Default 0, at most 64.
    pub shards: u8,
    /// Whether UDP segmentation offload is used where the system has it. Default true.
    pub gso: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            bind_address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            udp_port: 3478,
            announced_addresses: Vec::new(),
            tcp: true,
            shards: 0,
            gso: true,
        }
    }
}

impl ServerOptions {
    /// The socket address to bind.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.udp_port)
    }
}

/// Reads `SFU_UDP_PORT`, `SFU_BIND_ADDRESS` and `SFU_ANNOUNCED_ADDRESSES` (comma-separated) through
/// `var`; what is absent keeps its default.
///
/// # Errors
/// [`ServerError::InvalidOption`] names the variable that does not parse.
pub fn options_from_env(
    var: impl Fn(&str) -> Option<String>,
) -> Result<ServerOptions, ServerError> {
    let mut options = ServerOptions::default();
    if let Some(port) = var("SFU_UDP_PORT") {
        options.udp_port = parse("SFU_UDP_PORT", &port)?;
    }
    if let Some(address) = var("SFU_BIND_ADDRESS") {
        options.bind_address = parse("SFU_BIND_ADDRESS", &address)?;
    }
    if let Some(addresses) = var("SFU_ANNOUNCED_ADDRESSES") {
        options.announced_addresses = addresses
            .split(',')
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .map(|a| parse("SFU_ANNOUNCED_ADDRESSES", a))
            .collect::<Result<_, _>>()?;
    }
    Ok(options)
}

fn parse<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ServerError> {
    value
        .parse()
        .map_err(|_| ServerError::InvalidOption(format!("{name}={value:?} does not parse")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_fills_only_what_it_names() {
        let options = options_from_env(|name| match name {
            "SFU_ANNOUNCED_ADDRESSES" => Some("203.0.113.7, 2001:db8::7".into()),
            _ => None,
        })
        .unwrap();
        assert_eq!(options.udp_port, 3478);
        assert_eq!(options.announced_addresses.len(), 2);
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let error =
            options_from_env(|name| (name == "SFU_UDP_PORT").then(|| "70000".into())).unwrap_err();
        assert!(error.to_string().contains("SFU_UDP_PORT"));
    }
}
