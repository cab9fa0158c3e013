//! The handle that callers hold.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use sluice_net::mailbox::{self, Mailbox, SendError};
use sluice_net::tcp::{TcpListener, TcpOptions, TcpPeers};
use sluice_net::{Driver, UdpOptions, UdpSocket, thread};
use sluice_sfu::{
    ClientId, ClientOptions, ClientStats, CloseReason, LocalCandidate, Output, PreferredLayers,
    Registry, RegistryOptions, SfuError, SubscribeOptions, TrackId,
};
use tokio::sync::{oneshot, watch};

use crate::addresses::Addresses;
use crate::error::ServerError;
use crate::live::Live;
use crate::metrics::{self, Snapshot};
use crate::options::ServerOptions;
use crate::pending::Pending;
use crate::playback::Budget;
use crate::record::{Readers, Writer};
use crate::rooms::Rooms;
use crate::shard::{Io, MAILBOX, Message, Shard};
use crate::shard_number::{on_shard, shard_of};
use crate::sink::EventSink;

/// A room of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegistryId(u64);

impl RegistryId {
    /// A number unique in the server, for maps on the other side of a language border.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The room of a live stream, whose numbers are the shard's own.
    pub(crate) fn of_hall(number: u64, shard: u16) -> Self {
        Self(HALL | on_shard(number, usize::from(shard)))
    }

    #[cfg(test)]
    pub(crate) fn for_tests(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

/// A running server. Clones share it; dropping the last one closes it without waiting.
#[derive(Clone)]
pub struct Server(Arc<Inner>);

struct Inner {
    mailboxes: Vec<Mailbox<Message>>,
    /// Clients inserted per shard so far: where the next room goes.
    load: Vec<AtomicUsize>,
    next_registry: AtomicU64,
    candidates: Vec<LocalCandidate>,
    /// Where calls are made from: our address and any port.
    line_address: SocketAddr,
    closing: AtomicBool,
    next_recording: AtomicU64,
    writer: Writer,
    readers: Readers,
    playback_budget: Budget,
    /// Threads that still run: the shards', and the writer's of recordings.
    running: watch::Receiver<usize>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("candidates", &self.0.candidates)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds the sockets and starts the shard threads. Takes milliseconds.
    ///
    /// # Errors
    /// [`ServerError::Bind`] or [`ServerError::InvalidOption`]; nothing runs then.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "both belong to the server from now on"
    )]
    pub fn start(options: ServerOptions, sink: Arc<dyn EventSink>) -> Result<Self, ServerError> {
        let count = shard_count(&options)?;
        let mut address = options.socket_address();
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            let mut udp_options = UdpOptions::default();
            udp_options.reuse_port = count > 1;
            let bind = |source| ServerError::Bind { address, source };
            let socket = UdpSocket::bind(address, &udp_options).map_err(bind)?;
            // With port 0 the first socket chooses for all.
            address = socket.local_addr();
            sockets.push(socket);
        }
        let listener = listen(&options, address)?;
        let addresses = Addresses::new(
            &options,
            address,
            listener.as_ref().map(TcpListener::local_addr),
        );
        if addresses.candidates().is_empty() {
            return Err(ServerError::InvalidOption(
                "no address to announce".to_owned(),
            ));
        }
        let internal = |e: std::io::Error| ServerError::Internal(e.to_string());
        let mut drivers = Vec::with_capacity(count);
        let (mut mailboxes, mut inboxes) = (Vec::new(), Vec::new());
        let (mut stray_mailboxes, mut stray_inboxes) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let driver = Driver::new().map_err(internal)?;
            let (mailbox, inbox) = mailbox::channel(MAILBOX, driver.waker());
            let (stray_mailbox, stray_inbox) = mailbox::channel(MAILBOX, driver.waker());
            stray_mailboxes.push(stray_mailbox);
            stray_inboxes.push(stray_inbox);
            drivers.push(driver);
            mailboxes.push(mailbox);
            inboxes.push(inbox);
        }
        let (ended, running) = watch::channel(count);
        let mut listener = listener;
        let inboxes = inboxes.into_iter().zip(stray_inboxes);
        let parts = drivers.into_iter().zip(sockets).zip(inboxes).zip(0_u16..);
        for (((mut driver, mut socket), (inbox, strays)), number) in parts {
            driver.register_udp(&mut socket).map_err(internal)?;
            let mut tcp = TcpPeers::new(&driver, TcpOptions::default()).map_err(internal)?;
            if let Some(listener) = listener.take() {
                tcp.listen(listener).map_err(internal)?;
            }
            let io = Io::new(driver, socket, tcp, addresses.clone(), options.gso);
            let shard = Shard {
                number,
                io,
                inbox,
                strays,
                mailboxes: mailboxes.clone(),
                stray_mailboxes: stray_mailboxes.clone(),
                sink: Arc::clone(&sink),
            };
            let ended = Ended(ended.clone());
            thread::spawn(&format!("sluice-shard-{number}"), move || {
                shard.run();
                drop(ended);
            })
            .map_err(internal)?;
        }
        Ok(Self(Arc::new(Inner {
            load: mailboxes.iter().map(|_| AtomicUsize::new(0)).collect(),
            mailboxes,
            next_registry: AtomicU64::new(1),
            candidates: addresses.candidates().to_vec(),
            line_address: SocketAddr::new(address.ip(), 0),
            closing: AtomicBool::new(false),
            next_recording: AtomicU64::new(1),
            writer: Writer::new(ended),
            readers: Readers::default(),
            playback_budget: Budget::default(),
            running,
        })))
    }

    /// Where peers are told to send to; with the port that was bound.
    pub fn candidates(&self) -> Vec<LocalCandidate> {
        self.0.candidates.clone()
    }

    /// How many shard threads were started.
    pub fn shards(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// Opens a room on the shard with the fewest insertions so far.
    pub fn open_registry(&self) -> Pending<RegistryId> {
        let shard = (0..self.shards())
            .min_by_key(|i| self.0.load.get(*i).map(|load| load.load(Ordering::Relaxed)))
            .unwrap_or(0);
        let number = self.0.next_registry.fetch_add(1, Ordering::Relaxed);
        let id = RegistryId(on_shard(number, shard));
        let options = RegistryOptions::new(self.candidates());
        self.post(shard, move |rooms, now| {
            rooms.open(now, id, options, false).map(|()| id)
        })
    }

    /// Closes a room and its clients. Its last event is `Close`.
    pub fn close_registry(&self, registry: RegistryId) -> Pending<()> {
        self.post(registry.shard(), move |rooms, now| {
            rooms.close(now, registry, &CloseReason::RegistryClosed)
        })
    }

    /// Adds a client to a room.
    pub fn insert(&self, registry: RegistryId, options: ClientOptions) -> Pending<ClientId> {
        if let Some(load) = self.0.load.get(registry.shard()) {
            load.fetch_add(1, Ordering::Relaxed);
        }
        self.post(registry.shard(), move |rooms, now| {
            rooms.insert(now, registry, options)
        })
    }

    /// Applies a remote offer and resolves to the answer (RFC 9429 §5.3).
    pub fn accept_offer(&self, client: ClientId, sdp: String) -> Pending<String> {
        self.client(client, move |room, now, out| {
            room.accept_offer(now, client, &sdp, out)
        })
    }

    /// Makes an offer if there is something to negotiate.
    pub fn create_offer(&self, client: ClientId) -> Pending<Option<String>> {
        self.client(client, move |room, now, out| {
            room.create_offer(now, client, out)
        })
    }

    /// Applies the answer to our offer in flight.
    pub fn accept_answer(&self, client: ClientId, sdp: String) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.accept_answer(now, client, &sdp, out)
        })
    }

    /// Adds a trickled candidate (RFC 8840); an empty one means the end and does nothing.
    pub fn add_ice_candidate(&self, client: ClientId, candidate: String) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.add_ice_candidate(now, client, &candidate, out)
        })
    }

    /// Makes the next offer an ICE restart and asks for it by `NegotiationNeeded`.
    pub fn restart_ice(&self, client: ClientId) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.restart_ice(now, client, out)
        })
    }

    /// Subscribes to a track, or changes the options of a subscription.
    pub fn subscribe(
        &self,
        client: ClientId,
        track: TrackId,
        options: SubscribeOptions,
    ) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.subscribe(now, client, track, options, out)
        })
    }

    /// Ends a subscription; its slot is free for the next waiting one.
    pub fn unsubscribe(&self, client: ClientId, track: TrackId) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.unsubscribe(now, client, track, out)
        })
    }

    /// Bounds the layers a subscriber gets.
    pub fn set_preferred_layers(
        &self,
        client: ClientId,
        track: TrackId,
        layers: PreferredLayers,
    ) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.set_preferred_layers(now, client, track, layers, out)
        })
    }

    /// Holds a subscription back, or lets it flow again from a keyframe.
    pub fn set_paused(&self, client: ClientId, track: TrackId, paused: bool) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.set_paused(now, client, track, paused, out)
        })
    }

    /// Orders subscriptions when bandwidth is short: higher first.
    pub fn set_priority(&self, client: ClientId, track: TrackId, priority: u8) -> Pending<()> {
        self.client(client, move |room, _, _| {
            room.set_priority(client, track, priority)
        })
    }

    /// Asks the publisher for a keyframe, merged and throttled.
    pub fn request_key_frame(&self, client: ClientId, track: TrackId) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.request_key_frame(now, client, track, out)
        })
    }

    /// Bounds what is sent to a client, in bits a second; none lifts the bound.
    pub fn set_max_outgoing_bitrate(
        &self,
        client: ClientId,
        bits_per_second: Option<u64>,
    ) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.set_max_outgoing_bitrate(now, client, bits_per_second, out)
        })
    }

    /// Measures one client.
    pub fn client_stats(&self, client: ClientId) -> Pending<ClientStats> {
        self.client(client, move |room, now, _| room.client_stats(now, client))
    }

    /// Measures every client of a room, in order of insertion.
    pub fn registry_stats(&self, registry: RegistryId) -> Pending<Vec<ClientStats>> {
        self.post(registry.shard(), move |rooms, now| {
            Ok(rooms.registry(registry)?.stats(now))
        })
    }

    /// Closes a client: BYE and `close_notify` are sent.
    pub fn close_client(&self, client: ClientId, reason: CloseReason) -> Pending<()> {
        self.client(client, move |room, now, out| {
            room.close_client(now, client, reason, out)
        })
    }

    /// All metrics as Prometheus text, format 0.0.4.
    pub fn metrics(&self) -> Pending<String> {
        let server = self.clone();
        Pending::gathered(async move {
            let mut sum = Snapshot::default();
            for shard in 0..server.shards() {
                let (sender, receiver) = oneshot::channel();
                let look = Box::new(move |rooms: &Rooms, live: &Live, io: &Io| {
                    // Nobody listens any more: nothing to do.
                    let _ = sender.send(Snapshot::of(rooms, live, io));
                });
                server.send(shard, Message::Look(look))?;
                sum.add(receiver.await.map_err(|_| ServerError::Closed)?);
            }
            sum.shards = server.shards();
            Ok(metrics::render(&sum))
        })
    }

    /// Closes every room, then the sockets; resolves when the threads have ended and recordings are finished: as late as
    /// their storage lets them.
    pub fn close(&self) -> Pending<()> {
        self.begin_close();
        let mut running = self.0.running.clone();
        Pending::gathered(async move {
            // An error would mean that the server itself is gone.
            let _ = running.wait_for(|n| *n == 0).await;
            Ok(())
        })
    }

    /// Starts closing and returns at once: what a finalizer or a dying worker thread calls.
    pub fn begin_close(&self) {
        self.0.begin_close();
    }

    fn client<T: Send + 'static>(
        &self,
        client: ClientId,
        call: impl FnOnce(&mut Registry, std::time::Instant, &mut Output) -> Result<T, SfuError>
        + Send
        + 'static,
    ) -> Pending<T> {
        self.post(shard_of(client.raw()), move |rooms, now| {
            rooms.client(now, client, |registry, output| call(registry, now, output))
        })
    }

    fn post<T: Send + 'static>(
        &self,
        shard: usize,
        job: impl FnOnce(&mut Rooms, std::time::Instant) -> Result<T, ServerError> + Send + 'static,
    ) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |rooms: &mut Rooms, now| {
            // A caller that no longer waits has not withdrawn the job.
            let _ = sender.send(job(rooms, now));
        });
        match self.send(shard, Message::Job(job)) {
            Ok(()) => Pending::posted(receiver),
            Err(error) => Pending::refused(error),
        }
    }

    pub(crate) fn line_address(&self) -> SocketAddr {
        self.0.line_address
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.0.writer
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.0.readers
    }

    pub(crate) fn playback_budget(&self) -> &Budget {
        &self.0.playback_budget
    }

    pub(crate) fn next_recording(&self) -> u64 {
        self.0.next_recording.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn mailbox(&self, shard: usize) -> Option<Mailbox<Message>> {
        self.0.mailboxes.get(shard).cloned()
    }

    pub(crate) fn send(&self, shard: usize, message: Message) -> Result<(), ServerError> {
        if self.0.closing.load(Ordering::Acquire) {
            return Err(ServerError::Closed);
        }
        let mailbox = self.0.mailboxes.get(shard).ok_or(ServerError::Closed)?;
        mailbox.try_send(message).map_err(|error| match error {
            SendError::Full(_) => ServerError::Busy,
            SendError::Closed(_) => ServerError::Closed,
        })
    }
}

impl Inner {
    fn begin_close(&self) {
        if self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.writer.close();
        for mailbox in &self.mailboxes {
            let mut message = Message::Close(CloseReason::ServerClosed);
            // Full for a moment at most: the shard empties it every turn. Never for long, as the
            // callers were shut out above.
            for _ in 0..CLOSE_TRIES {
                match mailbox.try_send(message) {
                    Err(SendError::Full(back)) => message = back,
                    _ => break,
                }
                std::thread::yield_now();
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.begin_close();
    }
}

/// Tells that a shard thread is over, however it ended.
struct Ended(watch::Sender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0
            .send_modify(|running| *running = running.saturating_sub(1));
    }
}

fn shard_count(options: &ServerOptions) -> Result<usize, ServerError> {
    if options.shards > MAX_SHARDS {
        return Err(ServerError::InvalidOption(format!(
            "more than {MAX_SHARDS} shards"
        )));
    }
    // Only Linux spreads one port over several sockets.
    if options.shards > 0 && cfg!(target_os = "linux") {
        return Ok(usize::from(options.shards));
    }
    if !cfg!(target_os = "linux") {
        return Ok(1);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(cores.saturating_sub(1).clamp(1, usize::from(MAX_SHARDS)))
}

fn listen(options: &ServerOptions, udp: SocketAddr) -> Result<Option<TcpListener>, ServerError> {
    if !options.tcp {
        return Ok(None);
    }
    match TcpListener::bind(udp) {
        Ok(listener) => Ok(Some(listener)),
        // A port that the system chose for UDP may be taken for TCP: any other will do.
        Err(_) if options.udp_port == 0 => TcpListener::bind(SocketAddr::new(udp.ip(), 0))
            .map(Some)
            .map_err(|source| ServerError::Bind {
                address: udp,
                source,
            }),
        Err(source) => Err(ServerError::Bind {
            address: udp,
            source,
        }),
    }
}

/// Sets the numbers of live streams' rooms apart from those of rooms.
const HALL: u64 = 1 << 60;
const MAX_SHARDS: u8 = 64;
const CLOSE_TRIES: usize = 10_000;
