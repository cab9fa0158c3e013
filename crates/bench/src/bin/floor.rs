//! What sealing and sending alone cost: the most that any server could reach.
//!
//! `floor [--receivers 50] [--pps 1000] [--seconds 5] [--payload 1200] [--no-gso]` seals frames of
//! four packets with AES-256-GCM, as SRTP does (RFC 7714), under each receiver's own key, and sends
//! them in one GSO run, at the rate a publisher would have. The receivers are plain sockets of another process
//! that reads them every millisecond. Prints packets per CPU-second of the sending process.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use sluice_bench::{Arguments, Counted, FRAME_PACKETS, Outcome, Usage};

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    if Counted::is_other_process(&arguments)? {
        return Ok(());
    }
    let receivers = Counted::spawn(arguments.value("receivers", 50)?)?;
    let (sent, cpu) = send(&arguments, receivers.ports())?;
    receivers.report(sent, cpu)
}

fn send(arguments: &Arguments, ports: &[u16]) -> Outcome<(u64, Duration)> {
    let packets_per_second: u32 = arguments.value("pps", 1000)?;
    let seconds: u64 = arguments.value("seconds", 5)?;
    let payload: usize = arguments.value("payload", 1200)?;
    let gso = !arguments.has("no-gso");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    // As in WebRTC each receiver has its own.
    let keys = (0..ports.len())
        .map(|number| {
            let mut bytes = [7; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| "no key")?;
            Ok(LessSafeKey::new(key))
        })
        .collect::<Outcome<Vec<_>>>()?;
    let plain = vec![0x5a; payload];
    let segment = HEADER + payload + TAG;
    let mut frame = vec![0; segment * FRAME_PACKETS];
    let period = Duration::from_secs(1) * u32::try_from(FRAME_PACKETS)? / packets_per_second;
    let before = Usage::of("self")?;
    let begin = Instant::now();
    let mut next = begin;
    let mut sequence = 0_u64;
    let mut sent = 0;
    while next < begin + Duration::from_secs(seconds) {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += period;
        for ((number, port), key) in (0_u32..).zip(ports).zip(&keys) {
            for (packet, offset) in frame.chunks_exact_mut(segment).zip(0..) {
                seal(key, packet, &plain, number, sequence + offset)?;
            }
            let run = if gso { frame.len() } else { segment };
            for contents in frame.chunks(run) {
                let transmit = Transmit {
                    destination: SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
                    ecn: None,
                    contents,
                    segment_size: gso.then_some(segment),
                    src_ip: None,
                };
                state.try_send(UdpSockRef::from(&socket), &transmit)?;
                sent += (contents.len() / segment) as u64;
            }
        }
        sequence += FRAME_PACKETS as u64;
    }
    Ok((sent, (Usage::of("self")? - before).cpu))
}

/// One SRTP packet with header extensions, whose nonce is SSRC and sequence number.
fn seal(
    key: &LessSafeKey,
    packet: &mut [u8],
    plain: &[u8],
    ssrc: u32,
    sequence: u64,
) -> Outcome<()> {
    let (header, rest) = packet.split_at_mut_checked(HEADER).ok_or("too short")?;
    let (body, tag) = rest.split_at_mut_checked(plain.len()).ok_or("too short")?;
    header.fill(0x90);
    let mut nonce = [0; 12];
    for (to, from) in nonce
        .iter_mut()
        .zip(ssrc.to_be_bytes().into_iter().chain(sequence.to_be_bytes()))
    {
        *to = from;
    }
    body.copy_from_slice(plain);
    let made = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&*header),
            body,
        )
        .map_err(|_| "cannot seal")?;
    tag.copy_from_slice(made.as_ref());
    Ok(())
}

/// Fixed header and the extensions that a forwarded packet carries.
const HEADER: usize = 12 + 12;
const TAG: usize = 16;
