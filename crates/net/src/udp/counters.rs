use std::ops::AddAssign;

/// What one [`RecvBatch`](crate::RecvBatch) or [`SendQueue`](crate::SendQueue) has moved since it
/// was made: absolute and cumulative, so a reader replaces its last copy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpCounters {
    /// Datagrams received, after GRO runs are split.
    pub datagrams_in: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Datagrams the kernel took.
    pub datagrams_out: u64,
    /// Payload bytes the kernel took.
    pub bytes_out: u64,
    /// System calls that sent or tried to.
    pub send_calls: u64,
    /// Calls that carried two or more datagrams (Linux GSO).
    pub gso_runs: u64,
    /// Times GSO was switched off because the kernel or the network card refused it: 0 or 1 per
    /// socket.
    pub gso_disabled: u64,
    /// Datagrams dropped because the socket's send buffer was full.
    pub would_block_dropped: u64,
    /// Datagrams dropped because the [`SendQueue`](crate::SendQueue) was at its cap.
    pub queue_full_dropped: u64,
    /// Datagrams dropped because sending failed otherwise: no route, no permission, too long.
    pub send_errors: u64,
}

impl AddAssign for UdpCounters {
    fn add_assign(&mut self, other: Self) {
        self.datagrams_in += other.datagrams_in;
        self.bytes_in += other.bytes_in;
        self.datagrams_out += other.datagrams_out;
        self.bytes_out += other.bytes_out;
        self.send_calls += other.send_calls;
        self.gso_runs += other.gso_runs;
        self.gso_disabled += other.gso_disabled;
        self.would_block_dropped += other.would_block_dropped;
        self.queue_full_dropped += other.queue_full_dropped;
        self.send_errors += other.send_errors;
    }
}
