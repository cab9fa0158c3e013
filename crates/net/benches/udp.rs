//! Nanoseconds per datagram sent over the loopback interface, in GSO runs and singly.
//!
//! `cargo bench -p sluice-net --bench udp`. Each receiver is a bound socket that nobody reads, its
//! buffer full after the first rounds: only the cost of sending is measured.

use std::hint::black_box;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use sluice_net::{SendQueue, UdpOptions, UdpSocket};

fn main() -> io::Result<()> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sender = UdpSocket::bind(loopback, &UdpOptions::default())?;
    let mut small = UdpOptions::default();
    small.recv_buffer_bytes = 4096;
    let receivers = (0..PEERS)
        .map(|_| UdpSocket::bind(loopback, &small))
        .collect::<io::Result<Vec<_>>>()?;
    let peers: Vec<SocketAddr> = receivers.iter().map(UdpSocket::local_addr).collect();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "payload  per peer  way     ns/datagram  calls/datagram"
    )?;
    for payload_bytes in [160, 1200] {
        for per_peer in [1, 4, 16] {
            for (way, queue) in [
                ("gso", SendQueue::new()),
                ("single", SendQueue::without_gso()),
            ] {
                let (nanos, calls) = measure(queue, &sender, &peers, per_peer, payload_bytes);
                writeln!(
                    out,
                    "{payload_bytes:>7}  {per_peer:>8}  {way:<6}  {nanos:>11.0}  {calls:>14.2}"
                )?;
            }
        }
    }
    Ok(())
}

/// Nanoseconds and system calls per datagram in the best of several rounds; making the payloads is
/// not measured.
fn measure(
    mut queue: SendQueue,
    sender: &UdpSocket,
    peers: &[SocketAddr],
    per_peer: usize,
    payload_bytes: usize,
) -> (f64, f64) {
    let flushes = DATAGRAMS_PER_ROUND / (peers.len() * per_peer);
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (mut nanos, mut sent) = (0.0, 0);
        for _ in 0..flushes {
            for &peer in peers {
                for _ in 0..per_peer {
                    queue.push(peer, vec![0xa5; payload_bytes]);
                }
            }
            let start = Instant::now();
            let report = black_box(queue.flush(sender));
            nanos += start.elapsed().as_secs_f64() * 1e9;
            sent += report.sent;
        }
        best = best.min(nanos / count(sent));
    }
    let counters = queue.counters();
    (
        best,
        count(counters.send_calls) / count(counters.datagrams_out),
    )
}

fn count(value: u64) -> f64 {
    u32::try_from(value).map_or(f64::NAN, f64::from)
}

const PEERS: usize = 32;
const DATAGRAMS_PER_ROUND: usize = 32 * 1024;
const ROUNDS: usize = 5;
