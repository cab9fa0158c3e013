//! Over real sockets on the loopback interface.

use std::collections::HashMap;
use std::io;
#[cfg(target_os = "linux")]
use std::net::IpAddr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::time::Instant;

use super::{RecvBatch, SendQueue, UdpOptions, UdpSocket};
use crate::Driver;
use crate::seeded::Seeded;

fn loopback() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &UdpOptions::default()).unwrap()
}

/// Receives until `socket` has been quiet for a moment or `expected` datagrams came.
fn receive(socket: &mut UdpSocket, expected: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut driver = Driver::new().unwrap();
    let id = driver.register_udp(socket).unwrap();
    let (mut batch, mut received) = (RecvBatch::new(), Vec::new());
    while received.len() < expected {
        if !driver
            .wait(Some(Duration::from_millis(300)))
            .unwrap()
            .udp(id)
        {
            break;
        }
        while socket.recv(&mut batch).unwrap() > 0 {
            received.extend(batch.datagrams().map(|d| (d.source, d.bytes.to_vec())));
        }
    }
    received
}

/// Where one shard receives for all, the others send through its socket.
const fn is_shared<T: Send + Sync>() {}
const _: () = is_shared::<UdpSocket>();

fn every_packet_arrives_in_order(mut queue: SendQueue, seed: u64) -> SendQueue {
    let mut random = Seeded::new(seed);
    let sender = loopback();
    let mut receivers: Vec<_> = (0..3).map(|_| loopback()).collect();
    let mut expected: HashMap<SocketAddr, Vec<(SocketAddr, Vec<u8>)>> = HashMap::new();
    for _ in 0..20 {
        let destination = receivers[random.index(3)].local_addr();
        let usual = 1 + random.index(1400);
        for _ in 0..random.index(100) {
            let len = if random.below(8) == 0 {
                random.index(1500)
            } else {
                usual
            };
            let contents = random.bytes(len);
            expected
                .entry(destination)
                .or_default()
                .push((sender.local_addr(), contents.clone()));
            queue.push(destination, contents);
        }
    }
    let pushed = queue.len() as u64;
    let report = queue.flush(&sender);
    assert_eq!(report.sent, pushed, "{report:?}");
    assert!(queue.is_empty());
    for receiver in &mut receivers {
        let expected = expected.remove(&receiver.local_addr()).unwrap_or_default();
        assert!(receive(receiver, expected.len()) == expected, "seed {seed}");
    }
    queue
}

#[test]
fn packets_of_unequal_sizes_arrive_intact_and_in_order() {
    for seed in 0..10 {
        let queue = every_packet_arrives_in_order(SendQueue::new(), seed);
        if cfg!(target_os = "linux") {
            assert!(queue.counters().gso_runs > 0);
            assert!(queue.counters().send_calls < queue.counters().datagrams_out / 2);
        }
    }
}

#[test]
fn without_gso_each_packet_is_one_call() {
    let queue = every_packet_arrives_in_order(SendQueue::without_gso(), 1);
    assert_eq!(queue.counters().gso_runs, 0);
    assert_eq!(queue.counters().send_calls, queue.counters().datagrams_out);
}

#[test]
fn dual_stack_socket_shows_and_takes_plain_ipv4_addresses() {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let mut dual = match UdpSocket::bind(any, &UdpOptions::default()) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return,
        bound => bound.unwrap(),
    };
    let mut client = loopback();
    let mut queue = SendQueue::new();
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, dual.local_addr().port()));
    queue.push(server, b"question".to_vec());
    queue.flush(&client);
    let questions = receive(&mut dual, 1);
    assert_eq!(questions, [(client.local_addr(), b"question".to_vec())]);
    queue.push(client.local_addr(), b"answer".to_vec());
    assert_eq!(queue.flush(&dual).sent, 1);
    assert_eq!(receive(&mut client, 1), [(server, b"answer".to_vec())]);
}

#[cfg(target_os = "linux")]
#[test]
fn answer_leaves_from_the_address_that_was_addressed() {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut server = UdpSocket::bind(any, &UdpOptions::default()).unwrap();
    let mut client = loopback();
    let addressed = IpAddr::from([127, 0, 0, 7]);
    let mut queue = SendQueue::new();
    queue.push((addressed, server.local_addr().port()).into(), vec![1]);
    queue.flush(&client);

    let mut batch = RecvBatch::new();
    let mut driver = Driver::new().unwrap();
    driver.register_udp(&mut server).unwrap();
    driver.wait(Some(Duration::from_secs(1))).unwrap();
    assert_eq!(server.recv(&mut batch).unwrap(), 1);
    let question = batch.datagrams().next().unwrap();
    assert_eq!(question.destination_ip, Some(addressed));
    for _ in 0..3 {
        queue.push_from(addressed, question.source, vec![2; 100]);
    }
    assert_eq!(queue.flush(&server).sent, 3);
    assert_eq!(queue.counters().gso_runs, 1);
    let from: Vec<_> = receive(&mut client, 3)
        .into_iter()
        .map(|(source, _)| source.ip())
        .collect();
    assert_eq!(from, [addressed; 3]);
}

/// How long before it was read a datagram was dated, when it waited 30 ms to be read.
#[cfg(target_os = "linux")]
fn dated_before_read() -> Duration {
    let (sender, reader) = (loopback(), loopback());
    let (mut queue, mut batch) = (SendQueue::new(), RecvBatch::new());
    let before = Instant::now();
    queue.push(reader.local_addr(), vec![0; 10]);
    queue.flush(&sender);
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(reader.recv(&mut batch).unwrap(), 1);
    let received = batch.datagrams().next().unwrap().received;
    // Two clocks are read some nanoseconds apart and may be slewed against each other.
    assert!(received + Duration::from_millis(2) >= before);
    assert!(received <= batch.read_at());
    batch.read_at() - received
}

#[cfg(target_os = "linux")]
#[test]
fn datagram_is_dated_when_the_kernel_received_it() {
    // The kernel starts to stamp a moment after the first socket of the host asks for it; until
    // then it stamps when a datagram is read.
    let dated = (0..20)
        .map(|_| dated_before_read())
        .find(|age| age.as_millis() >= 25);
    assert!(dated.is_some(), "dated when read, not when received");
}

#[test]
fn empty_datagram_is_a_datagram() {
    let (sender, mut receiver) = (loopback(), loopback());
    let mut queue = SendQueue::new();
    for len in [0, 3, 0] {
        queue.push(receiver.local_addr(), vec![9; len]);
    }
    queue.flush(&sender);
    let lens: Vec<_> = receive(&mut receiver, 3)
        .iter()
        .map(|(_, bytes)| bytes.len())
        .collect();
    assert_eq!(lens, [0, 3, 0]);
}

#[test]
fn batch_that_received_nothing_is_empty() {
    let (sender, receiver) = (loopback(), loopback());
    let (mut queue, mut batch) = (SendQueue::new(), RecvBatch::new());
    queue.push(receiver.local_addr(), vec![1]);
    queue.flush(&sender);
    assert_eq!(receiver.recv(&mut batch).unwrap(), 1);
    assert_eq!(receiver.recv(&mut batch).unwrap(), 0);
    assert_eq!(batch.datagrams().count(), 0);
    assert_eq!(batch.counters().datagrams_in, 1);
}

#[test]
fn packet_the_kernel_refuses_is_counted_and_costs_no_other() {
    let (sender, mut receiver) = (loopback(), loopback());
    let mut queue = SendQueue::new();
    queue.push(receiver.local_addr(), vec![1; 50]);
    // No datagram is that long.
    queue.push(receiver.local_addr(), vec![2; 70_000]);
    queue.push(receiver.local_addr(), vec![3; 50]);
    let report = queue.flush(&sender);
    assert_eq!((report.sent, report.send_errors), (2, 1));
    assert_eq!(receive(&mut receiver, 2).len(), 2);
}

#[test]
fn queue_refuses_packets_at_its_cap() {
    let mut queue = SendQueue::new();
    for _ in 0..8200 {
        queue.push((Ipv4Addr::LOCALHOST, 9).into(), Vec::new());
    }
    assert_eq!(queue.len(), 8192);
    assert_eq!(queue.counters().queue_full_dropped, 8);
}

#[cfg(target_os = "linux")]
#[test]
fn sockets_of_several_shards_share_a_port() {
    let options = UdpOptions {
        reuse_port: true,
        ..UdpOptions::default()
    };
    let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
    let second = UdpSocket::bind(first.local_addr(), &options).unwrap();
    assert_eq!(first.local_addr(), second.local_addr());
    let refused = UdpSocket::bind(first.local_addr(), &UdpOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
}

#[cfg(target_os = "linux")]
#[test]
fn granted_buffer_never_exceeds_the_wanted_one() {
    let options = UdpOptions {
        recv_buffer_bytes: 100_000,
        ..UdpOptions::default()
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options).unwrap();
    assert_eq!(socket.recv_buffer_bytes(), 100_000);
    assert!(socket.send_buffer_bytes() <= UdpOptions::default().send_buffer_bytes);
}
