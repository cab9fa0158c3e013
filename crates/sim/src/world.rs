//! A room, its browsers and the network between them, from one event in virtual time to the next.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluice_sfu::{
    Calling, ClientId, ClientOptions, ClientSeed, ClientStats, CloseReason, Datagram, Deadline,
    LocalCandidate, Output, Propagated, Registry, RegistryOptions, Role, Route, Router, SfuError,
    SubscribedTrack, Tapped, TrackId, Transport,
};

use crate::browser::{Browser, RtpHead, Signal};
use crate::network::{Path, Profile};
use crate::oracle::{Emitted, Violation};
use crate::rng::Rng;

/// A browser with its two paths, and the server's side of it as the world saw it.
#[derive(Debug)]
pub struct Peer {
    /// The browser.
    pub browser: Browser,
    /// Its client.
    pub id: ClientId,
    /// Browser to server.
    pub up: Path,
    /// Server to browser.
    pub down: Path,
    /// Signaling, one way.
    pub signal_delay: Duration,
    /// When packets left and when they arrived at the server, by encoder and packet number.
    pub way: HashMap<(u32, u32), Way>,
    /// What the registry wrote, by SSRC.
    pub emitted: HashMap<u32, Vec<Emitted>>,
    /// As last reported.
    pub subscriptions: Vec<SubscribedTrack>,
    /// How the client ended, once per `clientDisconnected`.
    pub disconnects: Vec<CloseReason>,
    /// `clientConnected` events.
    pub connects: usize,
    /// Times its deadline was due.
    pub wakeups: u64,
    key: u32,
    gone: bool,
    deadline: Option<Instant>,
    signals_at: [Instant; 2],
}

/// When a packet left, and when it arrived if it did.
pub type Way = (Instant, Option<Instant>);

#[derive(Debug)]
enum Delivery {
    ToServer(SocketAddr, Vec<u8>),
    ToBrowser(usize, Vec<u8>),
    SignalToServer(usize, Signal),
    SignalToBrowser(usize, Signal),
}

/// Everything.
#[derive(Debug)]
pub struct World {
    /// Virtual time.
    pub now: Instant,
    /// Where it began.
    pub origin: Instant,
    /// The room.
    pub registry: Registry,
    /// The table in front of it.
    pub router: Router,
    /// All browsers ever, also those that left.
    pub peers: Vec<Peer>,
    /// Every event of the registry.
    pub events: Vec<(Instant, Propagated)>,
    /// Packets of tapped tracks, as the registry gave them.
    pub tapped: Vec<Tapped>,
    /// What oracles found while running.
    pub violations: Vec<Violation>,
    /// Datagrams that no route was found for.
    pub strangers: u64,
    /// Datagrams the server got are held to a multiple of this, so that they come in batches.
    pub batch: Duration,
    out: Output,
    deliveries: BTreeMap<(Instant, u64), Delivery>,
    serial: u64,
    rng: Rng,
}

impl World {
    /// An empty room with the default options.
    pub fn new(seed: u64) -> Self {
        Self::with_options(seed, |_| ())
    }

    /// An empty room with options of its own.
    pub fn with_options(seed: u64, set: impl FnOnce(&mut RegistryOptions)) -> Self {
        fastrand::seed(seed);
        let now = Instant::now(); // an arbitrary origin, read once
        let mut options = RegistryOptions::new(vec![candidate()]);
        set(&mut options);
        Self {
            now,
            origin: now,
            registry: Registry::new(now, options),
            router: Router::default(),
            peers: Vec::new(),
            events: Vec::new(),
            tapped: Vec::new(),
            violations: Vec::new(),
            strangers: 0,
            batch: Duration::ZERO,
            out: Output::default(),
            deliveries: BTreeMap::new(),
            serial: 0,
            rng: Rng::new(seed ^ 0x5151),
        }
    }

    /// Virtual time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.origin
    }

    /// A browser arrives. It has no tracks yet: add some and call [`Self::negotiate`].
    ///
    /// # Panics
    /// If the registry refuses it.
    pub fn join(&mut self, options: ClientOptions, up: Profile, down: Profile) -> usize {
        let (address, first) = self.next_place();
        let browser = Browser::new(self.now, address, first, self.rng.fork());
        self.enter(browser, options, up, down)
    }

    /// A foreign server is there to be called, perhaps an ICE-lite one. Call [`Self::call`].
    ///
    /// # Panics
    /// If the registry refuses it.
    pub fn find_server(&mut self, calling: Calling, lite: bool, profile: Profile) -> usize {
        let (address, first) = self.next_place();
        let browser = Browser::server(self.now, address, first, self.rng.fork(), lite);
        let mut options = ClientOptions::default();
        if !calling.receive.is_empty() {
            options.role = Role::Publish;
        }
        let calling = Calling {
            candidates: vec![candidate()],
            ..calling
        };
        options.calling = Some(calling);
        self.enter(browser, options, profile.clone(), profile)
    }

    /// Offers to a foreign server; `greets`: it is to begin the DTLS handshake.
    pub fn call(&mut self, peer: usize, greets: bool) {
        let id = self.peers[peer].id;
        let offer = self.with_registry(|r, now, out| r.create_offer(now, id, out));
        let Ok(Some(offer)) = offer else {
            self.find(|| format!("peer {peer}: no offer to a foreign server: {offer:?}"));
            return;
        };
        let setup = if greets { "passive" } else { "actpass" };
        let offer = offer.replace("a=setup:actpass", &format!("a=setup:{setup}"));
        self.tell(peer, Signal::Offer(offer));
    }

    fn next_place(&self) -> (SocketAddr, u32) {
        let index = self.peers.len();
        let low = u8::try_from(index % 200).unwrap_or_default();
        let port = 5000 + u16::try_from(index).unwrap_or_default();
        let first = u32::try_from(index).unwrap_or_default() * 1000;
        (SocketAddr::from(([10, 1, 0, low + 1], port)), first)
    }

    fn enter(
        &mut self,
        browser: Browser,
        options: ClientOptions,
        up: Profile,
        down: Profile,
    ) -> usize {
        let index = self.peers.len();
        let id = ClientId::new(index as u64 + 1);
        let token = u32::try_from(index).unwrap_or_default();
        let seed = ClientSeed {
            id,
            token,
            ufrag: format!("ufrag{index:011}"),
            password: format!("password-of-{index:012}"),
        };
        self.peers.push(Peer {
            browser,
            id,
            up: Path::new(up, self.origin, self.rng.fork()),
            down: Path::new(down, self.origin, self.rng.fork()),
            signal_delay: Duration::from_millis(self.rng.range(1, 60)),
            way: HashMap::new(),
            emitted: HashMap::new(),
            subscriptions: Vec::new(),
            disconnects: Vec::new(),
            connects: 0,
            wakeups: 0,
            key: u32::MAX,
            gone: false,
            deadline: None,
            signals_at: [self.now; 2],
        });
        // A room that refused would leave the peer without a key, which the oracles report.
        if let Ok(key) = self.registry.insert(self.now, seed, options, &mut self.out) {
            self.peers[index].key = key;
        }
        self.absorb();
        index
    }

    /// The browser offers what it has to offer.
    pub fn negotiate(&mut self, peer: usize) {
        let now = self.now;
        self.peers[peer].browser.negotiate(now);
        self.collect(peer);
    }

    /// Runs the browser's side of something at the present time.
    pub fn with_browser<T>(
        &mut self,
        peer: usize,
        f: impl FnOnce(&mut Browser, Instant) -> T,
    ) -> T {
        let now = self.now;
        let result = f(&mut self.peers[peer].browser, now);
        self.collect(peer);
        result
    }

    /// Calls the registry at the present time.
    pub fn with_registry<T>(
        &mut self,
        f: impl FnOnce(&mut Registry, Instant, &mut Output) -> T,
    ) -> T {
        let result = f(&mut self.registry, self.now, &mut self.out);
        self.absorb();
        result
    }

    /// The server closes a client.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn close_client(&mut self, peer: usize) -> Result<(), SfuError> {
        let id = self.peers[peer].id;
        let reason = CloseReason::Application("script".to_owned());
        self.with_registry(|r, now, out| r.close_client(now, id, reason, out))
    }

    /// A datagram from an address of somebody's choice.
    pub fn inject(&mut self, source: SocketAddr, bytes: Vec<u8>) {
        let at = self.now;
        self.schedule(at, Delivery::ToServer(source, bytes));
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_event().filter(|at| *at <= end) {
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
    }

    /// Lets time pass until something is so; false if it does not come to be within `time`.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + time;
        while !done(self) {
            let Some(next) = self.next_event().filter(|at| *at <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(next);
            self.turn();
        }
        true
    }

    /// Whether the client is still in the room.
    pub fn is_present(&self, peer: usize) -> bool {
        !self.peers[peer].gone
    }

    /// The server's measurements of a client.
    pub fn stats(&self, peer: usize) -> Option<ClientStats> {
        self.registry
            .client_stats(self.now, self.peers[peer].id)
            .ok()
    }

    /// The tracks a client publishes, as the server knows them.
    pub fn published(&self, peer: usize) -> Vec<TrackId> {
        self.stats(peer)
            .map(|stats| stats.tracks.iter().map(|t| t.track.id).collect())
            .unwrap_or_default()
    }

    /// Closes the room, and finds what a closed room must not have.
    pub fn close(&mut self) {
        self.with_registry(|r, now, out| r.close(now, &CloseReason::RegistryClosed, out));
        let (clients, addresses) = (self.registry.len(), self.router.addresses());
        if clients + addresses > 0 {
            self.find(|| format!("{clients} clients and {addresses} addresses after the end"));
        }
        for index in 0..self.peers.len() {
            let count = self.peers[index].disconnects.len();
            if count != 1 {
                self.find(|| format!("peer {index} disconnected {count} times"));
            }
        }
    }

    /// Notes what an oracle found.
    pub fn find(&mut self, what: impl FnOnce() -> String) {
        let at = self.elapsed();
        if self.violations.len() < 20 {
            self.violations.push(Violation { at, what: what() });
        }
    }

    fn next_event(&self) -> Option<Instant> {
        let delivery = self.deliveries.keys().next().map(|(at, _)| *at);
        let browsers = self
            .peers
            .iter()
            .filter(|p| !p.browser.closed)
            .map(|p| p.browser.deadline);
        let clients = self.peers.iter().filter_map(|p| p.deadline);
        delivery
            .into_iter()
            .chain(browsers)
            .chain(clients)
            .chain(self.registry.next_tick())
            .min()
    }

    /// All that is due now.
    fn turn(&mut self) {
        let now = self.now;
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            if peer.deadline.is_some_and(|at| at <= now) {
                peer.deadline = None;
                peer.wakeups += 1;
                let key = peer.key;
                self.registry.handle_timeout(now, key, &mut self.out);
                self.registry.settle(now, &mut self.out);
                self.absorb();
            }
        }
        let mut batch = false;
        while let Some(entry) = self.deliveries.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let delivery = entry.remove();
            batch |= matches!(delivery, Delivery::ToServer(..));
            self.deliver(delivery);
        }
        if batch {
            self.registry.settle(now, &mut self.out);
            self.absorb();
        }
        if self.registry.next_tick().is_some_and(|at| at <= now) {
            self.registry.handle_tick(now, &mut self.out);
            self.absorb();
        }
        for index in 0..self.peers.len() {
            let browser = &mut self.peers[index].browser;
            if !browser.closed && browser.deadline <= now {
                browser.advance(now);
                self.collect(index);
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let now = self.now;
        match delivery {
            Delivery::ToServer(source, bytes) => {
                let Route::Client(token) = self.router.route(source, Transport::Udp, &bytes) else {
                    self.strangers += 1;
                    return;
                };
                let key = self.peers[token as usize].key;
                let datagram = Datagram {
                    received: now,
                    transport: Transport::Udp,
                    source,
                    destination: candidate().address,
                    bytes: &bytes,
                };
                self.registry
                    .handle_input(now, key, datagram, &mut self.out);
                self.absorb();
            }
            Delivery::ToBrowser(peer, bytes) => {
                let browser = &mut self.peers[peer].browser;
                browser.receive(now, candidate().address, &bytes);
                self.collect(peer);
            }
            Delivery::SignalToBrowser(peer, signal) => {
                self.peers[peer].browser.handle_signal(now, &signal);
                self.collect(peer);
            }
            Delivery::SignalToServer(peer, signal) => self.signal(peer, &signal),
        }
    }

    fn signal(&mut self, peer: usize, signal: &Signal) {
        let (now, id) = (self.now, self.peers[peer].id);
        let (registry, out) = (&mut self.registry, &mut self.out);
        match signal {
            Signal::Offer(sdp) => match registry.accept_offer(now, id, sdp, out) {
                Ok(answer) => self.tell(peer, Signal::Answer(answer)),
                Err(SfuError::ClientClosed) => {}
                Err(error) => {
                    self.find(|| format!("peer {peer}: a browser's offer was refused: {error}"));
                    self.peers[peer].browser.rollback();
                }
            },
            Signal::Answer(sdp) => match registry.accept_answer(now, id, sdp, out) {
                Ok(()) | Err(SfuError::ClientClosed) => {}
                Err(error) => {
                    self.find(|| format!("peer {peer}: a browser's answer was refused: {error}"));
                }
            },
            Signal::Candidate(text) => match registry.add_ice_candidate(now, id, text, out) {
                Ok(()) | Err(SfuError::ClientClosed) => {}
                Err(error) => {
                    self.find(|| format!("peer {peer}: a candidate was refused: {error}"));
                }
            },
        }
        self.absorb();
    }

    /// Sends what a browser has to send.
    fn collect(&mut self, index: usize) {
        let now = self.now;
        let peer = &mut self.peers[index];
        let source = peer.browser.address;
        for (_, bytes) in std::mem::take(&mut peer.browser.outbox) {
            let arrivals = peer.up.send(now, &bytes);
            if let Some(packet) = peer.browser.identify(&bytes) {
                // A copy may be faster than the original.
                peer.way
                    .insert(packet, (now, arrivals.into_iter().flatten().min()));
            }
            for at in arrivals.into_iter().flatten() {
                let at = batched(self.origin, at, self.batch);
                self.serial += 1;
                let delivery = Delivery::ToServer(source, bytes.clone());
                self.deliveries.insert((at, self.serial), delivery);
            }
        }
        for signal in std::mem::take(&mut self.peers[index].browser.signals) {
            let at = self.signal_time(index, 0);
            self.schedule(at, Delivery::SignalToServer(index, signal));
        }
    }

    fn tell(&mut self, peer: usize, signal: Signal) {
        let at = self.signal_time(peer, 1);
        self.schedule(at, Delivery::SignalToBrowser(peer, signal));
    }

    /// The application's channel keeps order.
    fn signal_time(&mut self, index: usize, direction: usize) -> Instant {
        let peer = &mut self.peers[index];
        let at = (self.now + peer.signal_delay).max(peer.signals_at[direction]);
        peer.signals_at[direction] = at;
        at
    }

    fn schedule(&mut self, at: Instant, delivery: Delivery) {
        self.serial += 1;
        self.deliveries.insert((at, self.serial), delivery);
    }

    /// Does what the registry asks for, until it asks for nothing.
    fn absorb(&mut self) {
        if self.out.transmits.len() > MAX_TRANSMITS || self.out.events.len() > MAX_EVENTS {
            let sizes = (self.out.transmits.len(), self.out.events.len());
            self.find(|| format!("an output of {sizes:?} transmits and events"));
        }
        for change in std::mem::take(&mut self.out.routes) {
            self.router.apply(&change);
        }
        for Deadline { token, at, .. } in std::mem::take(&mut self.out.deadlines) {
            self.peers[token as usize].deadline = Some(at.max(self.now));
        }
        for transmit in std::mem::take(&mut self.out.transmits) {
            let found = self
                .peers
                .iter()
                .position(|p| p.browser.address == transmit.destination);
            let Some(index) = found else { continue };
            let (now, peer) = (self.now, &mut self.peers[index]);
            if let Some(head) = RtpHead::read(&transmit.contents) {
                let log = peer.emitted.entry(head.ssrc).or_default();
                log.push(Emitted { at: now, head });
            }
            for at in peer
                .down
                .send(now, &transmit.contents)
                .into_iter()
                .flatten()
            {
                self.serial += 1;
                let delivery = Delivery::ToBrowser(index, transmit.contents.clone());
                self.deliveries.insert((at, self.serial), delivery);
            }
        }
        self.tapped.append(&mut self.out.tapped);
        let events = std::mem::take(&mut self.out.events);
        for event in events {
            self.on_event(&event);
            self.events.push((self.now, event));
        }
    }

    fn on_event(&mut self, event: &Propagated) {
        match event {
            Propagated::NegotiationNeeded { client_id } => {
                let (now, peer) = (self.now, peer_of(*client_id));
                let offer = self.registry.create_offer(now, *client_id, &mut self.out);
                if let Ok(Some(sdp)) = offer {
                    self.tell(peer, Signal::Offer(sdp));
                }
                self.absorb();
            }
            Propagated::SubscriptionsChanged {
                client_id,
                subscriptions,
            } => {
                let peer = &mut self.peers[peer_of(*client_id)];
                peer.subscriptions.clone_from(subscriptions);
            }
            Propagated::ClientConnected { client_id } => {
                self.peers[peer_of(*client_id)].connects += 1;
            }
            Propagated::ClientDisconnected { client_id, reason } => {
                // A source is nobody's browser.
                let Some(peer) = self.peers.get_mut(peer_of(*client_id)) else {
                    return;
                };
                peer.gone = true;
                peer.deadline = None;
                peer.disconnects.push(reason.clone());
                if matches!(reason, CloseReason::Internal(_) | CloseReason::Sdp(_)) {
                    self.find(|| format!("{client_id} ended by {reason:?}"));
                }
            }
            _ => {}
        }
    }
}

fn peer_of(id: ClientId) -> usize {
    usize::try_from(id.raw() - 1).unwrap_or_default()
}

fn batched(origin: Instant, at: Instant, batch: Duration) -> Instant {
    if batch.is_zero() {
        return at;
    }
    let since = (at - origin).as_micros();
    let ticks = since.div_ceil(batch.as_micros());
    origin + batch * u32::try_from(ticks).unwrap_or_default()
}

fn candidate() -> LocalCandidate {
    LocalCandidate {
        address: SocketAddr::from(([10, 0, 0, 1], 3478)),
        transport: Transport::Udp,
    }
}

/// More than one call has any reason to put out: the bound on memory an `Output` takes.
const MAX_TRANSMITS: usize = 5000;
const MAX_EVENTS: usize = 1000;
