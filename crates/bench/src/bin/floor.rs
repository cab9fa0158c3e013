//! What sealing and sending alone cost: the most that any server could reach.
//!
//! `floor [--receivers 50] [--pps 1000] [--seconds 5] [--payload 1200] [--no-gso]` seals frames of
//! four packets with AES-256-GCM, as SRTP does (RFC 7714), under each receiver's own key, and sends
//! them in one GSO run, at the rate a publisher would have. The receivers are plain sockets of another process
//! that reads them every millisecond. Prints packets per CPU-second of the sending process.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use sluice_bench::{Arguments, FRAME_PACKETS, Outcome, Polled, Usage, bind_loopback};

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    let count: usize = arguments.value("receive", 0)?;
    if count > 0 {
        return receive(count);
    }
    let receivers: usize = arguments.value("receivers", 50)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--receive", &receivers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut ports = Vec::with_capacity(receivers);
    for _ in 0..receivers {
        ports.push(lines.next().ok_or("the receivers ended")??.parse::<u16>()?);
    }
    let (sent, cpu) = send(&arguments, &ports)?;
    std::thread::sleep(LAST_DATAGRAMS);
    drop(child.stdin.take());
    let received: u64 = lines.next().ok_or("the receivers ended")??.parse()?;
    child.wait()?;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (rate, lost) = (
        sent as f64 / cpu.as_secs_f64(),
        sent.saturating_sub(received) as f64 / sent as f64,
    );
    writeln!(
        std::io::stdout(),
        "{{\"sent\":{sent},\"received\":{received},\"lost\":{lost:.6},\"cpuSeconds\":{:.2},\
         \"packetsPerCpuSecond\":{rate:.0}}}",
        cpu.as_secs_f64()
    )?;
    Ok(())
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

/// The other process: prints its ports, reads until stdin ends, prints how many datagrams came.
fn receive(count: usize) -> Outcome<()> {
    let mut sockets = Vec::with_capacity(count);
    let mut out = std::io::stdout();
    for _ in 0..count {
        let socket = bind_loopback()?;
        writeln!(out, "{}", socket.local_addr()?.port())?;
        sockets.push(socket);
    }
    let ended = std::thread::spawn(|| std::io::stdin().lock().lines().count());
    let mut polled = Polled::new();
    let mut received = 0_u64;
    while !ended.is_finished() {
        polled.wait();
        for socket in &sockets {
            polled.read(socket, |_| {
                received += 1;
                Ok(())
            })?;
        }
    }
    writeln!(out, "{received}")?;
    Ok(())
}

/// Fixed header and the extensions that a forwarded packet carries.
const HEADER: usize = 12 + 12;
const TAG: usize = 16;
const LAST_DATAGRAMS: Duration = Duration::from_millis(50);
