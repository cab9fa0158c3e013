//! Hostile input at the doors of a room: what strangers, half-open and connected clients can send.
//!
//! The datagrams of real handshakes are mutated on their way, by seed; the room must take them, no
//! panic may be contained on the way, and a good pair beside them must keep its picture.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

// The fuzz crate is a workspace of its own and wants libFuzzer; its targets are plain functions.
#[expect(unreachable_pub, reason = "public for the targets of the fuzz crate")]
#[path = "../../../fuzz/src/room.rs"]
mod room;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use sluice_sfu::{
    ClientId, ClientOptions, ClientSeed, CloseReason, Datagram, Deadline, LocalCandidate, Output,
    Propagated, Registry, RegistryOptions, Role, Route, Router, Transport,
};
use sluice_sim::{Browser, Format, Rng, Signal};

/// A room with its table, on a network without delay whose every datagram can be got at.
struct Hall {
    now: Instant,
    registry: Registry,
    router: Router,
    out: Output,
    guests: Vec<Guest>,
    strangers: u64,
    /// What clients sent, for the mutator to draw from.
    captured: Vec<Vec<u8>>,
    /// What becomes of a client's offer on its way.
    offers: fn(&str) -> String,
    seed: u64,
    rng: Rng,
}

struct Guest {
    browser: Browser,
    id: ClientId,
    key: u32,
    deadline: Option<Instant>,
    gone: Option<CloseReason>,
}

impl Hall {
    fn new(seed: u64) -> Self {
        let now = Instant::now(); // an arbitrary origin, read once
        Self {
            now,
            registry: Registry::new(now, RegistryOptions::new(vec![SERVER])),
            router: Router::default(),
            out: Output::default(),
            guests: Vec::new(),
            strangers: 0,
            captured: Vec::new(),
            offers: str::to_owned,
            seed,
            rng: Rng::new(seed),
        }
    }

    /// A client that has its answer and has sent nothing yet.
    fn enter(&mut self, role: Role, format: Option<Format>) -> usize {
        let index = self.guests.len();
        let number = u16::try_from(index).unwrap();
        let address = SocketAddr::from(([10, 1, 0, 1], 5000 + number));
        let mut browser = Browser::new(self.now, address, u32::from(number) * 100, self.rng.fork());
        let id = ClientId::new(index as u64 + 1);
        let seed = ClientSeed {
            id,
            token: u32::from(number),
            ufrag: format!("ufrag{index:011}"),
            password: format!("password{:08}of{index:08}", self.seed),
        };
        let mut options = ClientOptions::default();
        options.role = role;
        // Something to offer: a track of its own for a publisher, a muted one for a viewer.
        browser.add_track(format.unwrap_or(Format::Opus), &[], 15);
        let key = self
            .registry
            .insert(self.now, seed, options, &mut self.out)
            .unwrap();
        browser.negotiate(self.now);
        self.guests.push(Guest {
            browser,
            id,
            key,
            deadline: None,
            gone: None,
        });
        self.absorb();
        self.signal();
        index
    }

    /// Lets time pass in steps of 5 ms; `meddle` sees each of a client's datagrams on its way and
    /// says what arrives in its place.
    fn run(&mut self, time: Duration, mut meddle: impl FnMut(&mut Self, usize, &[u8]) -> bool) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            let now = self.now;
            for index in 0..self.guests.len() {
                if self.guests[index].deadline.is_some_and(|at| at <= now) {
                    self.guests[index].deadline = None;
                    let key = self.guests[index].key;
                    self.registry.handle_timeout(now, key, &mut self.out);
                    self.settle();
                }
                let browser = &mut self.guests[index].browser;
                if browser.deadline <= now {
                    browser.advance(now);
                }
                let source = browser.address;
                for (_, bytes) in std::mem::take(&mut browser.outbox) {
                    if meddle(self, index, &bytes) {
                        self.send(source, &bytes);
                    }
                }
            }
            if self.registry.next_tick().is_some_and(|at| at <= now) {
                self.registry.handle_tick(now, &mut self.out);
                self.absorb();
            }
            self.signal();
        }
    }

    /// One datagram to the server.
    fn send(&mut self, source: SocketAddr, bytes: &[u8]) {
        match self.router.route(source, Transport::Udp, bytes) {
            Route::Client(token) => {
                let datagram = Datagram {
                    received: self.now,
                    transport: Transport::Udp,
                    source,
                    destination: SERVER.address,
                    bytes,
                };
                let key = self.guests[token as usize].key;
                self.registry
                    .handle_input(self.now, key, datagram, &mut self.out);
                self.settle();
            }
            _ => self.strangers += 1,
        }
    }

    fn settle(&mut self) {
        self.registry.settle(self.now, &mut self.out);
        self.absorb();
    }

    fn absorb(&mut self) {
        for change in self.out.routes.drain(..) {
            self.router.apply(&change);
        }
        for Deadline { token, at, .. } in self.out.deadlines.drain(..) {
            self.guests[token as usize].deadline = Some(at);
        }
        for transmit in std::mem::take(&mut self.out.transmits) {
            let found = self
                .guests
                .iter_mut()
                .find(|g| g.browser.address == transmit.destination);
            if let Some(guest) = found {
                guest
                    .browser
                    .receive(self.now, SERVER.address, &transmit.contents);
            }
        }
        for event in std::mem::take(&mut self.out.events) {
            match event {
                Propagated::NegotiationNeeded { client_id } => {
                    let offer = self
                        .registry
                        .create_offer(self.now, client_id, &mut self.out);
                    if let Ok(Some(sdp)) = offer {
                        let guest = self.guests.iter_mut().find(|g| g.id == client_id).unwrap();
                        guest.browser.handle_signal(self.now, &Signal::Offer(sdp));
                    }
                }
                Propagated::ClientDisconnected { client_id, reason } => {
                    let guest = self.guests.iter_mut().find(|g| g.id == client_id).unwrap();
                    assert!(guest.gone.replace(reason).is_none(), "told twice");
                    guest.deadline = None;
                }
                _ => {}
            }
        }
        if !(self.out.transmits.is_empty() && self.out.events.is_empty()) {
            self.absorb();
        }
    }

    fn signal(&mut self) {
        for index in 0..self.guests.len() {
            let id = self.guests[index].id;
            for signal in std::mem::take(&mut self.guests[index].browser.signals) {
                let (registry, out) = (&mut self.registry, &mut self.out);
                // A mutated client may be closed already.
                let answer = match signal {
                    Signal::Offer(sdp) => registry
                        .accept_offer(self.now, id, &(self.offers)(&sdp), out)
                        .ok(),
                    Signal::Answer(sdp) => {
                        let _ = registry.accept_answer(self.now, id, &sdp, out);
                        None
                    }
                    Signal::Candidate(_) => None,
                };
                if let Some(sdp) = answer {
                    self.guests[index]
                        .browser
                        .handle_signal(self.now, &Signal::Answer(sdp));
                }
                self.absorb();
            }
        }
    }

    /// A pair that is connected, one showing the other's picture.
    fn good_pair(&mut self) -> (usize, usize) {
        let publisher = self.enter(Role::Publish, Some(Format::Vp8(1)));
        let viewer = self.enter(Role::Both, None);
        self.run(Duration::from_secs(2), |hall, _, bytes| {
            hall.captured.push(bytes.to_vec());
            true
        });
        assert!(
            self.frames(viewer) > 5,
            "the pair does not work to begin with"
        );
        (publisher, viewer)
    }

    fn frames(&self, viewer: usize) -> u64 {
        self.guests[viewer].browser.frames()
    }

    /// What must hold after any abuse.
    fn assert_sound(&mut self, viewer: usize) {
        assert_eq!(
            self.registry.counters().client_panics,
            0,
            "a panic was contained"
        );
        let before = self.frames(viewer);
        self.run(Duration::from_secs(1), |_, _, _| true);
        let shown = self.frames(viewer) - before;
        assert!(
            shown >= 10,
            "the good pair shows {shown} pictures in a second of 15"
        );
    }

    /// A captured datagram, changed; sometimes mere noise.
    fn mutated(&mut self, from: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = match from {
            Some(bytes) => bytes.to_vec(),
            None if self.captured.is_empty() || self.rng.chance(0.1) => Vec::new(),
            None => self.rng.pick(&self.captured).clone(),
        };
        if bytes.is_empty() {
            bytes = vec![*self.rng.pick(&FIRST_BYTES)];
            for _ in 0..self.rng.range(0, 120) {
                bytes.push(byte(&mut self.rng));
            }
        }
        for _ in 0..self.rng.range(1, 5) {
            mutate(&mut bytes, &self.captured, &mut self.rng);
        }
        bytes
    }
}

fn mutate(bytes: &mut Vec<u8>, captured: &[Vec<u8>], rng: &mut Rng) {
    let len = bytes.len();
    let at = usize::try_from(rng.range(0, len as u64)).unwrap();
    match rng.range(0, 8) {
        0 => bytes.truncate(at),
        1 if at < len => bytes[at] ^= 1 << rng.range(0, 8),
        2 if at < len => bytes[at] = byte(rng),
        // Length fields lie at the front of every protocol here.
        3 if len > 4 => bytes[2 + at % 2] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
        4 if at + 4 <= len => bytes[at..at + 4].copy_from_slice(&[0xff; 4]),
        5 => {
            let copy = bytes[at..].to_vec();
            bytes.extend(copy);
        }
        6 if !captured.is_empty() => {
            let other = rng.pick(captured);
            bytes.truncate(at);
            bytes.extend(other.iter().skip(at));
        }
        _ => bytes.insert(at, byte(rng)),
    }
    bytes.truncate(2000);
}

fn byte(rng: &mut Rng) -> u8 {
    u8::try_from(rng.next() & 0xff).unwrap()
}

const STEP: Duration = Duration::from_millis(5);
const SERVER: LocalCandidate = LocalCandidate {
    address: SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        3478,
    ),
    transport: Transport::Udp,
};
/// STUN, ZRTP, DTLS content types, TURN channels, RTP and RTCP (RFC 7983 §7), and the gaps.
const FIRST_BYTES: [u8; 14] = [0, 1, 3, 4, 16, 20, 21, 22, 23, 64, 128, 129, 144, 255];

#[test]
fn strangers_reach_nobody() {
    // Real datagrams of another room: good in everything but the password they were signed with.
    let mut elsewhere = Hall::new(100);
    elsewhere.good_pair();
    let mut hall = Hall::new(1);
    let (_, viewer) = hall.good_pair();
    hall.captured = elsewhere.captured;
    let before = hall.strangers;
    for n in 0..60_000_u32 {
        let bytes = hall.mutated(None);
        // Those with a good ufrag go to its client, which refuses them; the rest to nobody.
        hall.send(
            SocketAddr::from(([10, 9, 9, 9], 1024 + u16::try_from(n % 60_000).unwrap())),
            &bytes,
        );
    }
    assert!(hall.strangers - before > 50_000);
    let addresses = hall.router.addresses();
    assert_eq!(addresses, 2, "a stranger won an address");
    hall.assert_sound(viewer);
}

#[test]
fn junk_from_a_connected_client_s_own_address_does_not_end_it() {
    let mut hall = Hall::new(2);
    let (publisher, viewer) = hall.good_pair();
    for victim in [publisher, viewer] {
        let address = hall.guests[victim].browser.address;
        for n in 0..15_000 {
            let bytes = hall.mutated(None);
            hall.send(address, &bytes);
            if n % 100 == 0 {
                hall.run(STEP, |_, _, _| true);
            }
            assert!(
                hall.guests[victim].gone.is_none(),
                "ended by {n}: {bytes:02x?}"
            );
        }
    }
    hall.assert_sound(viewer);
}

#[test]
fn handshakes_that_are_mutated_on_the_way_end_themselves_at_most() {
    let mut hall = Hall::new(3);
    let (_, viewer) = hall.good_pair();
    let mut inputs = 0;
    for round in 0..60 {
        let victim = hall.enter(Role::Both, None);
        let rate = [0.02, 0.2, 0.6][round % 3];
        hall.run(Duration::from_millis(400), |hall, index, bytes| {
            if index != victim {
                return true;
            }
            let source = hall.guests[victim].browser.address;
            // The address has proved itself by now, so most of these reach the victim's engine.
            for _ in 0..400 {
                let mutated = hall.mutated(Some(bytes));
                hall.send(source, &mutated);
                inputs += 1;
            }
            !hall.rng.chance(rate)
        });
        let id = hall.guests[victim].id;
        let reason = CloseReason::Application("done".to_owned());
        let (now, registry, out) = (hall.now, &mut hall.registry, &mut hall.out);
        let _ = registry.close_client(now, id, reason, out);
        hall.absorb();
        assert_eq!(hall.registry.counters().client_panics, 0, "round {round}");
    }
    assert!(inputs > 60_000, "only {inputs}");
    hall.assert_sound(viewer);
}

#[test]
fn a_certificate_that_fits_no_fingerprint_ends_by_dtls() {
    let mut hall = Hall::new(4);
    let (_, viewer) = hall.good_pair();
    hall.offers = |sdp| {
        let (head, digest) = sdp.split_once("a=fingerprint:sha-256 ").unwrap();
        let (digest, tail) = digest.split_at(95);
        let forged = digest.replace('A', "B").replace('1', "2");
        format!("{head}a=fingerprint:sha-256 {forged}{tail}")
    };
    let forger = hall.enter(Role::Publish, None);
    hall.run(Duration::from_secs(2), |_, _, _| true);
    assert_eq!(hall.guests[forger].gone, Some(CloseReason::Dtls));
    hall.assert_sound(viewer);
}

#[test]
fn sdp_offer_survives_its_corpus_and_mutations() {
    let corpus = corpus("sdp_offer");
    for text in &corpus {
        room::sdp_offer(text);
    }
    let mut rng = Rng::new(5);
    for _ in 0..4_000 {
        let text = mutated_text(&corpus, &mut rng);
        room::sdp_offer(text.as_bytes());
    }
}

#[test]
fn sdp_answer_survives_its_corpus_and_mutations() {
    let corpus = corpus("sdp_answer");
    let called: Vec<usize> = corpus.iter().map(|text| room::sdp_answer(text)).collect();
    assert!(called.contains(&1) && called.contains(&16), "{called:?}");
    let mut rng = Rng::new(7);
    for _ in 0..4_000 {
        let text = mutated_text(&corpus, &mut rng);
        room::sdp_answer(text.as_bytes());
    }
}

#[test]
fn datagram_survives_its_corpus_and_mutations() {
    let corpus = corpus("datagram");
    for input in &corpus {
        room::datagram(input);
    }
    let mut rng = Rng::new(6);
    for _ in 0..2_000 {
        let mut input = rng.pick(&corpus).clone();
        mutate(&mut input, &corpus, &mut rng);
        room::datagram(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The order of a directory differs between machines, and the run must not.
    files.sort();
    files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// Lines of one description moved, doubled, dropped, taken from another; numbers made odd.
fn mutated_text(corpus: &[Vec<u8>], rng: &mut Rng) -> String {
    let lines = |text: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(text);
        text.lines().map(str::to_owned).collect()
    };
    let mut own = lines(rng.pick::<Vec<u8>>(corpus));
    let other = lines(rng.pick::<Vec<u8>>(corpus));
    for _ in 0..rng.range(1, 5) {
        let at = usize::try_from(rng.range(0, own.len() as u64)).unwrap();
        match rng.range(0, 6) {
            0 if !own.is_empty() => drop(own.remove(at)),
            1 if !own.is_empty() => own.insert(at, own[at].clone()),
            2 if !other.is_empty() => own.insert(at, rng.pick(&other).clone()),
            3 if !own.is_empty() => own.swap(at, 0),
            4 if !own.is_empty() => {
                let odd = *rng.pick(&["-1", "0", "255", "65536", "4294967296", "", "x", " "]);
                let digit = *rng.pick(&["0", "1", "9", "6", "7", "2"]);
                own[at] = own[at].replacen(digit, odd, 1);
            }
            _ => own.truncate(at.max(8)),
        }
    }
    own.join("\r\n") + "\r\n"
}
