//! One publisher to N subscribers through the room alone: no sockets, real DTLS and SRTP.
//!
//! `relay [--subscribers 1,10,50,500] [--payloads 160,1200] [--packets 4000] [--runs 5] [--bwe on|off]`
//! prints CPU ns (min/median/max over the runs) and allocations per forwarded packet. For instructions,
//! one case under callgrind, which counts [`measured`] alone:
//! `valgrind --tool=callgrind --toggle-collect='*measured*' relay --subscribers 50 --payloads 1200
//! --packets 400 --runs 1 --bwe off`.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use sluice_bench::{Arguments, FRAME_PACKETS, Frames, Line, Outcome, Peer, Spread};
use sluice_sfu::{
    ClientId, ClientOptions, ClientSeed, Datagram, LocalCandidate, Output, Registry,
    RegistryOptions, Role, Route, RouteChange, Router, Transport,
};

fn main() -> Outcome<()> {
    let arguments = Arguments::read();
    let subscribers = arguments.list("subscribers", &[1, 10, 50, 500])?;
    let payloads = arguments.list("payloads", &[160, 1200])?;
    let packets: usize = arguments.value("packets", 4000)?;
    let runs: usize = arguments.value("runs", 5)?;
    let bwe: String = arguments.value("bwe", "both".to_owned())?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "subscribers  payload  bwe  ns/forwarded min/median/max  allocations/forwarded"
    )?;
    for &count in &subscribers {
        for &payload in &payloads {
            for (name, on) in [("off", false), ("on", true)] {
                if bwe != "both" && bwe != name {
                    continue;
                }
                let mut nanos = Vec::new();
                let mut allocations = 0.0;
                for _ in 0..runs {
                    let frames = (packets / FRAME_PACKETS / count.div_ceil(50)).max(10);
                    let run = Room::new(count, payload, on)?.run(frames)?;
                    nanos.push(run.nanos);
                    allocations = run.allocations;
                }
                let spread = Spread::of(nanos);
                writeln!(
                    out,
                    "{count:>11}  {payload:>7}  {name:>3}  {:>27}  {allocations:>21.2}",
                    spread.to_string()
                )?;
            }
        }
    }
    Ok(())
}

/// Per forwarded packet.
struct Run {
    nanos: f64,
    allocations: f64,
}

/// The server's room and everybody in it.
struct Room {
    registry: Registry,
    router: Router,
    out: Output,
    keys: Vec<u32>,
    deadlines: BTreeMap<u32, Instant>,
    /// The first one publishes.
    peers: Vec<Peer>,
    places: BTreeMap<SocketAddr, usize>,
    now: Instant,
    epoch: Instant,
    frames: Frames,
    time: u32,
}

impl Room {
    fn new(subscribers: usize, payload: usize, bwe: bool) -> Outcome<Self> {
        let now = Instant::now();
        let candidate = LocalCandidate {
            address: server(),
            transport: Transport::Udp,
        };
        let mut options = RegistryOptions::new(vec![candidate]);
        options.idle_timeout = Duration::from_secs(3600);
        let mut room = Self {
            registry: Registry::new(now, options),
            router: Router::default(),
            out: Output::default(),
            keys: Vec::new(),
            deadlines: BTreeMap::new(),
            peers: Vec::new(),
            places: BTreeMap::new(),
            now,
            epoch: now,
            frames: Frames::new(payload),
            time: 0,
        };
        for index in 0..=subscribers {
            room.join(index, bwe)?;
        }
        let (mut connected, mut forwarded) = (0, 0);
        for _ in 0..MAX_STEPS {
            room.now += STEP;
            room.exchange()?;
            connected = room.peers.iter().filter(|peer| peer.connected).count();
            if connected == room.peers.len() {
                forwarded = room.forwarded()?;
                if forwarded == subscribers * FRAME_PACKETS {
                    return Ok(room);
                }
            }
        }
        let all = room.peers.len();
        Err(format!("{connected} of {all} connected, {forwarded} packets forwarded").into())
    }

    fn join(&mut self, index: usize, bwe: bool) -> Outcome<()> {
        let (line, role) = if index == 0 {
            (Line::SendVideo, Role::Publish)
        } else {
            (Line::ReceiveVideo, Role::Subscribe)
        };
        let number = u32::try_from(index)?;
        let [_, _, high, low] = number.to_be_bytes();
        let address = SocketAddr::from(([10, 1, high, low], 5000));
        let (mut peer, offer) = Peer::offer(self.now, address, &[line], bwe)?;
        let id = ClientId::new(u64::from(number) + 1);
        let seed = ClientSeed {
            id,
            token: number,
            ufrag: format!("ufrag{number:011}"),
            password: format!("{number:024}"),
        };
        let mut options = ClientOptions::default();
        options.role = role;
        let key = self
            .registry
            .insert(self.now, seed, options, &mut self.out)?;
        let answer = self
            .registry
            .accept_offer(self.now, id, &offer, &mut self.out)?;
        peer.answer(self.now, &answer)?;
        self.keys.push(key);
        self.places.insert(address, index);
        self.peers.push(peer);
        Ok(())
    }

    /// Lets everybody say what they have to say, until nobody has.
    fn exchange(&mut self) -> Outcome<()> {
        for peer in &mut self.peers {
            if peer.deadline <= self.now {
                peer.tick(self.now)?;
            }
        }
        for _ in 0..MAX_STEPS {
            let mut quiet = true;
            for index in 0..self.peers.len() {
                let Some(peer) = self.peers.get_mut(index) else {
                    continue;
                };
                for (_, bytes) in std::mem::take(&mut peer.output) {
                    quiet = false;
                    self.deliver(index, &bytes);
                }
            }
            self.fire();
            self.registry.settle(self.now, &mut self.out);
            self.take_in();
            for transmit in std::mem::take(&mut self.out.transmits) {
                let place = self.places.get(&transmit.destination).copied();
                if let Some(peer) = place.and_then(|place| self.peers.get_mut(place)) {
                    quiet = false;
                    peer.receive(self.now, transmit.source, &transmit.contents)?;
                    peer.media.clear();
                }
            }
            if quiet {
                break;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, index: usize, bytes: &[u8]) {
        let Some(peer) = self.peers.get(index) else {
            return;
        };
        let source = peer.address();
        let datagram = Datagram {
            received: self.now,
            transport: Transport::Udp,
            source,
            destination: server(),
            bytes,
        };
        if let Route::Client(token) = self.router.route(source, Transport::Udp, bytes)
            && let Some(key) = self.keys.get(token as usize)
        {
            self.registry
                .handle_input(self.now, *key, datagram, &mut self.out);
        }
    }

    fn take_in(&mut self) {
        for change in self.out.routes.drain(..) {
            if !matches!(change, RouteChange::Gone { .. }) {
                self.router.apply(&change);
            }
        }
        let due = self.out.deadlines.drain(..);
        self.deadlines.extend(due.map(|due| (due.token, due.at)));
        self.out.events.clear();
    }

    /// What is due by time alone.
    fn fire(&mut self) {
        let due: Vec<u32> = self
            .deadlines
            .iter()
            .filter(|(_, at)| **at <= self.now)
            .map(|(token, _)| *token)
            .collect();
        for token in due {
            self.deadlines.remove(&token);
            if let Some(key) = self.keys.get(token as usize) {
                self.registry.handle_timeout(self.now, *key, &mut self.out);
            }
        }
        if self.registry.next_tick().is_some_and(|at| at <= self.now) {
            self.registry.handle_tick(self.now, &mut self.out);
        }
    }

    /// The datagrams of the publisher's next frame.
    fn frame(&mut self) -> Outcome<Vec<Vec<u8>>> {
        let publisher = self.peers.first_mut().ok_or("no publisher")?;
        let key = std::mem::take(&mut publisher.keyframe_wanted) || self.time == 0;
        let frame = self.frames.next(key, self.now - self.epoch);
        self.time = self.time.wrapping_add(3000);
        publisher.send(self.now, self.time, frame)?;
        let output = std::mem::take(&mut publisher.output);
        Ok(output.into_iter().map(|(_, bytes)| bytes).collect())
    }

    /// Sends a frame and says how many media packets came out.
    fn forwarded(&mut self) -> Outcome<usize> {
        let datagrams = self.frame()?;
        let count = self.measured(&datagrams);
        self.take_in();
        Ok(count)
    }

    fn run(mut self, frames: usize) -> Outcome<Run> {
        let (mut spent, mut allocations, mut packets) = (Duration::ZERO, 0, 0);
        for number in 0..frames {
            self.now += FRAME_INTERVAL;
            if number % FRAMES_PER_EXCHANGE == 0 {
                self.exchange()?;
            }
            let datagrams = self.frame()?;
            let begin = thread_time()?;
            let info = allocation_counter::measure(|| packets += self.measured(&datagrams));
            spent += thread_time()?.saturating_sub(begin);
            allocations += info.count_total;
            self.take_in();
        }
        let expected = (self.peers.len() - 1) * frames * FRAME_PACKETS;
        if packets < expected * 99 / 100 {
            return Err(format!("{packets} of {expected} packets came out").into());
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        Ok(Run {
            nanos: spent.as_nanos() as f64 / packets as f64,
            allocations: allocations as f64 / packets as f64,
        })
    }

    /// What a shard does with one receive batch; how many media packets came out.
    #[inline(never)]
    fn measured(&mut self, datagrams: &[Vec<u8>]) -> usize {
        self.fire();
        for datagram in datagrams {
            self.deliver(0, datagram);
        }
        let mut media = 0;
        loop {
            let more = self.registry.settle_some(self.now, &mut self.out);
            // Sent and dropped here, as a shard does.
            for transmit in self.out.transmits.drain(..) {
                let bytes = &transmit.contents;
                media += usize::from(bytes.len() > LEAST_MEDIA && is_rtp(bytes));
            }
            if !more {
                return media;
            }
        }
    }
}

/// CPU time of this thread: what others do on the machine is not counted.
fn thread_time() -> Outcome<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

fn server() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 3478))
}

/// RTP and not RTCP (RFC 5761 §4).
fn is_rtp(bytes: &[u8]) -> bool {
    matches!(bytes, [128..=191, pt, ..] if !(192..=223).contains(pt))
}

/// 30 frames a second: 1.2 Mbit/s at 1200 B, which the estimator starts above.
const FRAME_INTERVAL: Duration = Duration::from_micros(33_333);
/// Consent, reports and feedback flow this often, outside of the measurement.
const FRAMES_PER_EXCHANGE: usize = 15;
const STEP: Duration = Duration::from_millis(20);
const MAX_STEPS: usize = 500;
const LEAST_MEDIA: usize = 100;
