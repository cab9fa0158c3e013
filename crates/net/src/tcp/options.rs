use std::time::Duration;

/// Limits on ICE-TCP connections.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Connections held at a time; more are closed at once. Default 1024.
    pub max_connections: usize,
    /// Connections held per source (an IPv4 address or an IPv6 /64); more are closed at once.
    /// Default 64, for the many users behind one NAT.
    pub max_per_source: usize,
    /// How long a new connection may take to send one whole packet. Default 10 s.
    pub first_frame_timeout: Duration,
    /// How long a connection may stay without a whole packet later on. Default 30 s, the life of
    /// ICE consent (RFC 7675 §5.1).
    pub idle_timeout: Duration,
    /// Unsent bytes held per connection; a packet that does not fit as a whole is dropped.
    /// Default 256 KiB.
    pub write_buffer_bytes: usize,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_per_source: 64,
            first_frame_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            write_buffer_bytes: 256 * 1024,
        }
    }
}
