//! What callers may ask of the live kernel.

use std::time::Instant;

use sluice_live::{AppSpec, Denial, FinishReason, Identity, SubscribeOptions};
use sluice_media::{Frame, StreamKey, TrackId};
use sluice_net::{UdpOptions, UdpSocket};
use tokio::sync::oneshot;

use crate::error::ServerError;
use crate::live::{
    Access, ByteFormat, CallDescription, CallId, CallNews, CallOffer, CallWish, EventsId, Live,
    LiveBatch, LiveRequest, LiveResponse, PublishWish, PublisherId, ReaderId, StreamInfo,
    TrackCoding,
};
use crate::pending::Pending;
use crate::rooms::Rooms;
use crate::server::Server;
use crate::shard::{LineJob, Message};
use crate::shard_number::shard_of;

/// Of the live kernel. A stream lives on one shard, that of its key.
impl Server {
    /// Registers an application: the streams `name/…`. `live` is there from the beginning.
    pub fn register_app(&self, spec: AppSpec) -> Pending<()> {
        self.on_every_shard(move |live, _| Ok(live.register(spec.clone())?))
    }

    /// Says who decides what clients of protocols may do. Until then all are refused.
    pub fn set_access(&self, access: Access) -> Pending<()> {
        self.on_every_shard(move |live, _| {
            live.set_access(access);
            Ok(())
        })
    }

    /// Whether new WHIP and WHEP sessions are refused with 503 (RFC 9110 §15.6.4), while those that are go on.
    pub fn set_draining(&self, draining: bool) -> Pending<()> {
        self.on_every_shard(move |live, _| {
            live.set_draining(draining);
            Ok(())
        })
    }

    /// The verdict on an [`AuthorizeRequest`](crate::stream::AuthorizeRequest).
    pub fn decide(&self, number: u64, verdict: Result<Option<Identity>, Denial>) -> Pending<()> {
        self.live(shard_of(number), move |live, _, now| {
            live.decide(now, number, verdict);
            Ok(())
        })
    }

    /// Publishes a stream in this process.
    pub fn publish(&self, wish: PublishWish) -> Pending<PublisherId> {
        self.answered(self.home(wish.key()), move |live, rooms, now, reply| {
            live.publish(now, rooms, wish, reply);
        })
    }

    /// From now on a track of this publisher comes as bytes, by [`Self::feed_track`].
    pub fn open_feed(
        &self,
        publisher: PublisherId,
        track: TrackId,
        format: ByteFormat,
    ) -> Pending<()> {
        self.live(publisher.shard(), move |live, _, _| {
            live.open_feed(publisher, track, format)
        })
    }

    /// Publishes what the next bytes of a track complete; `None` ends them.
    pub fn feed_track(
        &self,
        publisher: PublisherId,
        track: TrackId,
        bytes: Option<Vec<u8>>,
    ) -> Pending<()> {
        self.live(publisher.shard(), move |live, _, now| {
            live.feed(now, publisher, track, bytes.as_deref())
        })
    }

    /// Says how the frames of a publisher's track are coded from here on.
    pub fn configure_track(
        &self,
        publisher: PublisherId,
        track: TrackId,
        coding: TrackCoding,
    ) -> Pending<()> {
        self.live(publisher.shard(), move |live, _, now| {
            live.configure(now, publisher, track, coding)
        })
    }

    /// Publishes frames in order; those in front of one that is refused are published.
    pub fn push_frames(&self, publisher: PublisherId, frames: Vec<Frame>) -> Pending<()> {
        self.live(publisher.shard(), move |live, _, now| {
            live.push(now, publisher, frames)
        })
    }

    /// Ends a publisher. Its key is free when this resolves.
    pub fn finish_publisher(&self, publisher: PublisherId, reason: FinishReason) -> Pending<()> {
        self.live(publisher.shard(), move |live, _, now| {
            live.close_publisher(now, publisher, reason);
            Ok(())
        })
    }

    /// Reads a stream in the application's own name.
    pub fn subscribe_stream(&self, key: StreamKey, options: SubscribeOptions) -> Pending<ReaderId> {
        self.answered(self.home(&key), move |live, rooms, now, reply| {
            live.subscribe(now, rooms, key, options, reply);
        })
    }

    /// The next batch of a reader: resolves when there is something. One call at a time; another is
    /// [`ServerError::Busy`].
    pub fn read_stream(&self, reader: ReaderId) -> Pending<LiveBatch> {
        self.answered(reader.shard(), move |live, _, now, reply| {
            live.read(now, reader, reply);
        })
    }

    /// Ends a reader.
    pub fn close_reader(&self, reader: ReaderId) -> Pending<()> {
        self.live(reader.shard(), move |live, _, now| {
            live.close_reader(now, reader);
            Ok(())
        })
    }

    /// Calls a foreign server: resolves to what it is to be offered.
    pub fn call(&self, wish: CallWish) -> Pending<CallOffer> {
        let address = self.line_address();
        let socket = match UdpSocket::bind(address, &UdpOptions::default()) {
            Ok(socket) => Box::new(socket),
            Err(source) => return Pending::refused(ServerError::Bind { address, source }),
        };
        let (reply, receiver) = oneshot::channel();
        let shard = self.home(wish.key());
        let job: LineJob = Box::new(move |live, rooms, now, line| {
            live.call(now, rooms, wish, line, reply);
        });
        match self.send(shard, Message::Call(socket, job)) {
            Ok(()) => Pending::posted(receiver),
            Err(error) => Pending::refused(error),
        }
    }

    /// Takes what the server said to the offer; resolves to our answer, where it was a counter-offer. A refusal leaves
    /// the call to be ended.
    pub fn answer_call(
        &self,
        call: CallId,
        description: CallDescription,
    ) -> Pending<Option<String>> {
        self.answered(call.shard(), move |live, rooms, now, reply| {
            live.answer_call(now, rooms, call, description, reply);
        })
    }

    /// What becomes of a call next: resolves when there is something. One call at a time; another is
    /// [`ServerError::Busy`].
    pub fn watch_call(&self, call: CallId) -> Pending<CallNews> {
        self.answered(call.shard(), move |live, _, _, reply| {
            live.watch_call(call, reply);
        })
    }

    /// Ends a call. `Completed` ends a stream that is pulled; otherwise it waits for the next publisher.
    pub fn end_call(&self, call: CallId, reason: FinishReason) -> Pending<()> {
        self.live(call.shard(), move |live, rooms, now| {
            live.end_call(now, rooms, call, reason);
            Ok(())
        })
    }

    /// All live streams, shard by shard.
    pub fn streams(&self) -> Pending<Vec<StreamInfo>> {
        let server = self.clone();
        Pending::gathered(async move {
            let mut all = Vec::new();
            for shard in 0..server.shards() {
                all.extend(
                    server
                        .live(shard, |live, _, now| Ok(live.streams(now)))
                        .await?,
                );
            }
            Ok(all)
        })
    }

    /// Ends a stream, its publisher's turn and its readers.
    pub fn end_stream(&self, key: StreamKey) -> Pending<()> {
        self.live(self.home(&key), move |live, _, now| {
            Ok(live.end_stream(now, &key)?)
        })
    }

    /// Answers an HTTP request below the live prefix; `None`: the path is none of ours.
    pub fn live_request(&self, request: LiveRequest) -> Option<Pending<LiveResponse>> {
        let shard = self.home(&request.key()?);
        Some(self.answered(shard, move |live, rooms, now, reply| {
            live.handle_request(now, rooms, &request, reply);
        }))
    }

    /// The next text of a response's events: resolves when there is some; `None` when they end. One call at a time;
    /// another is [`ServerError::Busy`].
    pub fn read_events(&self, events: EventsId) -> Pending<Option<String>> {
        self.answered(events.shard(), move |live, _, _, reply| {
            live.read_events(events, reply);
        })
    }

    /// The client of such a response has hung up.
    pub fn close_events(&self, events: EventsId) -> Pending<()> {
        self.live(events.shard(), move |live, _, _| {
            live.close_events(events);
            Ok(())
        })
    }

    /// The shard a stream lives on, whatever its layer: FNV-1a over its name.
    pub(crate) fn home(&self, key: &StreamKey) -> usize {
        let name = [key.app(), "/", key.stream()];
        let bytes = name.iter().flat_map(|part| part.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let shards = self.shards().max(1) as u64;
        usize::try_from(hash % shards).unwrap_or_default()
    }

    fn on_every_shard(
        &self,
        call: impl Fn(&mut Live, Instant) -> Result<(), ServerError> + Clone + Send + 'static,
    ) -> Pending<()> {
        let server = self.clone();
        Pending::gathered(async move {
            for shard in 0..server.shards() {
                let call = call.clone();
                server
                    .live(shard, move |live, _, now| call(live, now))
                    .await?;
            }
            Ok(())
        })
    }

    /// A call that is answered at once.
    pub(crate) fn live<T: Send + 'static>(
        &self,
        shard: usize,
        call: impl FnOnce(&mut Live, &mut Rooms, Instant) -> Result<T, ServerError> + Send + 'static,
    ) -> Pending<T> {
        self.answered(shard, move |live, rooms, now, reply| {
            // A caller that no longer waits has not withdrawn the call.
            let _ = reply.send(call(live, rooms, now));
        })
    }

    /// A call that is answered when it is done.
    pub(crate) fn answered<T: Send + 'static>(
        &self,
        shard: usize,
        call: impl FnOnce(&mut Live, &mut Rooms, Instant, oneshot::Sender<Result<T, ServerError>>)
        + Send
        + 'static,
    ) -> Pending<T> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |live: &mut Live, rooms: &mut Rooms, now| {
            call(live, rooms, now, sender);
        });
        match self.send(shard, Message::Live(job)) {
            Ok(()) => Pending::posted(receiver),
            Err(error) => Pending::refused(error),
        }
    }
}
