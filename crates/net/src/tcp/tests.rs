//! Over real connections on the loopback interface.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::framing::Decoder;
use super::{CloseReason, TcpEvent, TcpListener, TcpOptions, TcpPeer, TcpPeers};
use crate::Driver;

const fn is_sent<T: Send>() {}
const _: () = is_sent::<TcpPeer>();

/// A shard that does nothing but ICE-TCP.
struct Shard {
    driver: Driver,
    peers: TcpPeers,
    address: SocketAddr,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Frame(SocketAddr, Vec<u8>),
    Closed(SocketAddr, CloseReason),
}

impl Shard {
    fn new(options: TcpOptions) -> Self {
        let driver = Driver::new().unwrap();
        let mut peers = TcpPeers::new(&driver, options).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.local_addr();
        peers.listen(listener).unwrap();
        Self {
            driver,
            peers,
            address,
        }
    }

    /// Turns until `done` says so; fails when nothing happens for a second.
    fn run_until(&mut self, mut done: impl FnMut(&[Seen], &TcpPeers) -> bool) -> Vec<Seen> {
        let (mut seen, give_up) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        while !done(&seen, &self.peers) {
            assert!(
                Instant::now() < give_up,
                "nothing more came after {} events",
                seen.len()
            );
            let due = self
                .peers
                .next_deadline()
                .map(|at| at.saturating_duration_since(Instant::now()));
            let longest = Duration::from_millis(100);
            self.driver
                .wait(Some(due.map_or(longest, |due| due.min(longest))))
                .unwrap();
            self.turn(Instant::now(), &mut seen);
        }
        seen
    }

    fn turn(&mut self, now: Instant, seen: &mut Vec<Seen>) {
        self.peers.handle_ready(&mut self.driver);
        while let Some(event) = self.peers.poll_event(now) {
            seen.push(match event {
                TcpEvent::Frame { peer, local, bytes } => {
                    assert_eq!(local, self.address);
                    Seen::Frame(peer, bytes.to_vec())
                }
                TcpEvent::Closed { peer, reason } => Seen::Closed(peer, reason),
            });
        }
    }

    fn accepted(&mut self, connections: u64) {
        self.run_until(|_, peers| {
            peers.counters().accepted + peers.counters().refused == connections
        });
    }
}

fn framed(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for packet in packets {
        stream.extend(u16::try_from(packet.len()).unwrap().to_be_bytes());
        stream.extend(packet);
    }
    stream
}

fn packets(count: u8, len: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| vec![number; len]).collect()
}

#[test]
fn packets_come_whole_however_the_stream_is_cut() {
    let mut shard = Shard::new(TcpOptions::default());
    let mut client = TcpStream::connect(shard.address).unwrap();
    let sent = packets(40, 1111);
    client.set_nodelay(true).unwrap();
    for piece in framed(&sent).chunks(777) {
        client.write_all(piece).unwrap();
    }
    let peer = client.local_addr().unwrap();
    let seen = shard.run_until(|seen, _| seen.len() == 40);
    let expected: Vec<_> = sent
        .into_iter()
        .map(|packet| Seen::Frame(peer, packet))
        .collect();
    assert_eq!(seen, expected);
    drop(client);
    let seen = shard.run_until(|seen, _| !seen.is_empty());
    assert_eq!(seen, [Seen::Closed(peer, CloseReason::EndOfStream)]);
    assert!(!shard.peers.contains(peer));
    assert!(!shard.peers.send(peer, b"late"));
}

#[test]
fn last_packets_before_the_end_of_stream_are_not_lost() {
    let mut shard = Shard::new(TcpOptions::default());
    let mut client = TcpStream::connect(shard.address).unwrap();
    client.write_all(&framed(&packets(200, 900))).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let peer = client.local_addr().unwrap();
    let seen = shard.run_until(|seen, _| matches!(seen.last(), Some(Seen::Closed(..))));
    assert_eq!(seen.len(), 201);
    assert_eq!(
        seen.last(),
        Some(&Seen::Closed(peer, CloseReason::EndOfStream))
    );
}

#[test]
fn slow_reader_gets_whole_packets_and_the_rest_is_counted() {
    let cap = 64 * 1024;
    let options = TcpOptions {
        write_buffer_bytes: cap,
        ..TcpOptions::default()
    };
    let mut shard = Shard::new(options);
    let mut client = TcpStream::connect(shard.address).unwrap();
    let peer = client.local_addr().unwrap();
    shard.accepted(1);
    // More than any kernel buffers.
    let taken = (0..30_000_u32)
        .filter(|number| shard.peers.send(peer, &[number.to_le_bytes()[0]; 1000]))
        .count();
    let counters = shard.peers.counters();
    assert_eq!(counters.frames_out, taken as u64);
    assert_eq!(counters.dropped, 30_000 - taken as u64);
    assert!(counters.dropped > 0, "the kernel took 30 MB");

    let reader = crate::thread::spawn("reader", move || {
        let (mut decoder, mut scratch, mut frames) = (Decoder::new(), vec![0; 65_536], 0);
        while frames < taken {
            let len = client.read(&mut scratch).unwrap();
            assert!(len > 0, "closed after {frames} of {taken} packets");
            decoder.push(&scratch[..len]);
            while let Some(frame) = decoder.next_frame() {
                assert_eq!(frame, [frame[0]; 1000]);
                frames += 1;
            }
        }
        client
    })
    .unwrap();
    shard.run_until(|_, _| reader.is_finished());
    let client = reader.join().unwrap();
    assert!(shard.peers.send(peer, b"room again"));
    drop(client);
}

#[test]
fn connections_past_a_cap_are_refused() {
    let options = TcpOptions {
        max_per_source: 3,
        ..TcpOptions::default()
    };
    let mut shard = Shard::new(options);
    let clients: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(shard.address).unwrap())
        .collect();
    shard.accepted(5);
    assert_eq!(shard.peers.counters().refused, 2);
    drop(clients);
    shard.run_until(|seen, _| seen.len() == 3);
    let again = TcpStream::connect(shard.address).unwrap();
    shard.accepted(6);
    assert!(shard.peers.contains(again.local_addr().unwrap()));
}

#[test]
fn connection_without_a_whole_packet_is_closed_in_time() {
    let mut shard = Shard::new(TcpOptions::default());
    let mut idler = TcpStream::connect(shard.address).unwrap();
    let mut talker = TcpStream::connect(shard.address).unwrap();
    idler.write_all(&[0, 9, 1, 2]).unwrap();
    talker.write_all(&framed(&packets(1, 9))).unwrap();
    let (mut seen, start) = (shard.run_until(|seen, _| seen.len() == 1), Instant::now());
    seen.clear();
    shard.turn(start + Duration::from_secs(9), &mut seen);
    assert_eq!(seen, []);
    shard.turn(start + Duration::from_secs(11), &mut seen);
    let idler = idler.local_addr().unwrap();
    assert_eq!(seen, [Seen::Closed(idler, CloseReason::Timeout)]);
    seen.clear();
    shard.turn(start + Duration::from_secs(31), &mut seen);
    let talker = talker.local_addr().unwrap();
    assert_eq!(seen, [Seen::Closed(talker, CloseReason::Timeout)]);
    assert_eq!(shard.peers.next_deadline(), None);
}

#[test]
fn flood_on_one_connection_does_not_hold_the_turn() {
    let mut shard = Shard::new(TcpOptions::default());
    let mut flooder = TcpStream::connect(shard.address).unwrap();
    let mut modest = TcpStream::connect(shard.address).unwrap();
    let modest_address = modest.local_addr().unwrap();
    shard.accepted(2);
    let address = flooder.local_addr().unwrap();
    let flood = framed(&packets(255, 4000));
    let thread = crate::thread::spawn("flood", move || {
        for _ in 0..8 {
            flooder.write_all(&flood).unwrap();
        }
        flooder
    })
    .unwrap();
    modest.write_all(&framed(&packets(1, 10))).unwrap();
    let seen = shard.run_until(|seen, _| seen.len() == 8 * 255 + 1);
    let from_flooder = seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Frame(peer, _) if *peer == address));
    assert_eq!(from_flooder.count(), 8 * 255);
    assert!(
        seen.iter()
            .take(255)
            .any(|seen| matches!(seen, Seen::Frame(peer, _) if *peer == modest_address))
    );
    thread.join().unwrap();
}

#[test]
fn detached_connection_goes_on_at_another_shard() {
    let mut first = Shard::new(TcpOptions::default());
    let mut second = Shard::new(TcpOptions::default());
    second.address = first.address;
    let mut client = TcpStream::connect(first.address).unwrap();
    let peer = client.local_addr().unwrap();
    let sent = packets(3, 500);
    let stream = framed(&sent);
    // The first packet decides the owner; half of the third is on its way.
    client.write_all(&stream[..1300]).unwrap();
    let give_up = Instant::now() + Duration::from_secs(10);
    let event = loop {
        assert!(Instant::now() < give_up);
        first.driver.wait(Some(Duration::from_millis(100))).unwrap();
        first.peers.handle_ready(&mut first.driver);
        if let Some(TcpEvent::Frame { bytes, .. }) = first.peers.poll_event(Instant::now()) {
            break bytes.to_vec();
        }
    };
    assert_eq!(event, sent[0]);
    let connection = first.peers.detach(peer).unwrap();
    assert!(!first.peers.contains(peer));
    second.peers.attach(connection).unwrap();
    client.write_all(&stream[1300..]).unwrap();
    let seen = second.run_until(|seen, _| seen.len() == 2);
    assert_eq!(
        seen,
        [
            Seen::Frame(peer, sent[1].clone()),
            Seen::Frame(peer, sent[2].clone())
        ]
    );
    assert!(second.peers.send(peer, b"answer"));
    let mut answer = [0; 8];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\0\x06answer");
}
