//! What a stranger's datagram costs the table in front of the rooms: nanoseconds by number of clients.
//!
//! `cargo run --release -p sluice-sim --example strangers`
#![expect(clippy::print_stdout, reason = "a program that prints its figures")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use sluice_sfu::{Route, RouteChange, Router, Transport};
use sluice_sim::Rng;

fn main() {
    println!(
        "{:<18} {:>8} {:>8} {:>8} {:>8}",
        "ns per datagram", 1, 10, 100, 1000
    );
    let tables: Vec<Router> = [1, 10, 100, 1000].map(table).into();
    for (name, datagrams) in strangers() {
        let cells: Vec<String> = tables
            .iter()
            .map(|table| format!("{:>8.0}", cost(table, &datagrams)))
            .collect();
        println!("{name:<18} {}", cells.join(" "));
    }
}

/// A table of so many connected clients.
fn table(clients: u32) -> Router {
    let mut router = Router::default();
    for token in 0..clients {
        let ufrag = format!("{token:016}");
        router.apply(&RouteChange::Ufrag { token, ufrag });
        router.apply(&RouteChange::Authenticated {
            token,
            source: address(token),
            transport: Transport::Udp,
        });
    }
    router
}

/// The median of several rounds over all datagrams.
fn cost(router: &Router, datagrams: &[Vec<u8>]) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for (number, bytes) in (0..).zip(datagrams) {
                let source = address(1_000_000 + number);
                let route = router.route(black_box(source), Transport::Udp, black_box(bytes));
                assert!(
                    !matches!(route, Route::Client(_)),
                    "a stranger found a client"
                );
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(DATAGRAMS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// By what the table has to look at.
fn strangers() -> [(&'static str, Vec<Vec<u8>>); 5] {
    let mut rng = Rng::new(1);
    let mut many = |make: &mut dyn FnMut(&mut Rng) -> Vec<u8>| -> Vec<Vec<u8>> {
        (0..DATAGRAMS).map(|_| make(&mut rng)).collect()
    };
    [
        ("noise", many(&mut |rng| noise(rng, &[100], 1200))),
        ("DTLS", many(&mut |rng| noise(rng, &[22, 254, 253], 1200))),
        ("RTP", many(&mut |rng| noise(rng, &[0x80, 96], 1200))),
        (
            "STUN, unparsable",
            many(&mut |rng| noise(rng, &[0, 1], 100)),
        ),
        ("STUN, unknown", many(&mut request)),
    ]
}

fn noise(rng: &mut Rng, head: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    while bytes.len() < len {
        bytes.extend(rng.next().to_be_bytes());
    }
    bytes
}

/// A Binding request (RFC 8489 §5) for a ufrag nobody issued.
fn request(rng: &mut Rng) -> Vec<u8> {
    let username = format!("{:016x}:remote12", rng.next()); // 25 bytes, padded to 28
    let mut bytes = vec![0, 1, 0, 32, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend([7; 12]);
    bytes.extend([0, 6, 0, 25]);
    bytes.extend(username.bytes());
    bytes.extend([0; 3]);
    bytes
}

fn address(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 5000))
}

const DATAGRAMS: u32 = 20_000;
const ROUNDS: usize = 15;
