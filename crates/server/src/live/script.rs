//! Publishers and readers that the application itself is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_live::{
    AccessRequest, Action, AdmissionId, EndReason, FinishReason, FrameError, Identity, Next,
    Protocol, SessionId, SubscribeOptions, SubscriptionId,
};
use sluice_media::{
    Codec, CodecConfig, ConfigError, Frame, StreamKey, TrackId, inspect_access_unit,
};
use tokio::sync::oneshot;

use super::access::Asked;
use super::feed::{ByteFormat, Feed, Unit};
use super::{Consumer, Live};
use crate::error::ServerError;
use crate::rooms::Rooms;
use crate::shard_number::{on_shard, shard_of};

/// A publisher in this process. Its shard is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublisherId(u64);

/// A reader in this process. Its shard is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReaderId(u64);

impl PublisherId {
    /// The shard its stream is at home on.
    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

impl ReaderId {
    /// The shard its stream is at home on.
    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

/// What a reader got at once.
#[derive(Debug, Default)]
pub struct LiveBatch {
    /// In order; never empty unless the stream has ended.
    pub items: Vec<LiveItem>,
    /// Set with the last batch.
    pub end: Option<EndReason>,
}

/// One thing a reader is told.
#[derive(Debug, Clone)]
pub enum LiveItem {
    /// Frames of this track are coded like this from here on.
    Config {
        /// The track.
        track: TrackId,
        /// Its configuration.
        config: CodecConfig,
    },
    /// A frame.
    Frame(Frame),
    /// The reader was slow; it goes on at a keyframe.
    Lagged {
        /// Frames it will never see.
        skipped: u64,
        /// How much time they are.
        lost: Duration,
    },
    /// Timestamps begin anew in front of the next frame.
    Discontinuity,
}

/// How a publisher says that a track is coded.
#[derive(Debug, Clone)]
pub enum TrackCoding {
    /// Like this.
    Configured(CodecConfig),
    /// As the track's keyframes say, from the first one on.
    InBand(Codec),
}

impl TrackCoding {
    /// Takes a configuration in the form MP4 carries. An empty one leaves it to the frames, where they can tell: those
    /// of H.264 and H.265 only with their parameter sets left in. For Opus it means stereo; G.711 and G.722 have none.
    ///
    /// # Errors
    /// When the record cannot be read, or is missing where frames do not tell.
    pub fn parse(codec: Codec, record: Bytes) -> Result<Self, ConfigError> {
        match codec {
            Codec::Opus if record.is_empty() => CodecConfig::opus(48_000, 2),
            Codec::H264 | Codec::H265 | Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Mp3
                if record.is_empty() =>
            {
                return Ok(Self::InBand(codec));
            }
            _ => CodecConfig::parse(codec, record),
        }
        .map(Self::Configured)
    }
}

pub(super) type PublishReply = oneshot::Sender<Result<PublisherId, ServerError>>;
type BatchReply = oneshot::Sender<Result<LiveBatch, ServerError>>;

/// The application's wish to read.
#[derive(Debug)]
pub(super) struct ReadWish {
    pub(super) options: SubscribeOptions,
    pub(super) reply: oneshot::Sender<Result<ReaderId, ServerError>>,
}

#[derive(Debug, Default)]
pub(super) struct Scripts {
    publishers: HashMap<PublisherId, Writer>,
    /// Tracks of publishers that come as byte streams; at most one per track.
    feeds: Vec<(PublisherId, Feed)>,
    readers: HashMap<ReaderId, Reader>,
    next: u64,
}

#[derive(Debug)]
struct Writer {
    session: SessionId,
    /// Tracks whose keyframes tell how they are coded, with what they told last.
    in_band: HashMap<TrackId, Option<CodecConfig>>,
}

#[derive(Debug)]
struct Reader {
    subscription: SubscriptionId,
    /// Who waits for the next batch.
    waiting: Option<BatchReply>,
}

/// Who wants to publish in this process.
#[derive(Debug, Clone)]
pub enum PublishWish {
    /// The application itself. Whoever holds the key under the same identity goes; without an identity a key that is
    /// held is refused.
    Own {
        /// The stream.
        key: StreamKey,
        /// Who it says it is.
        identity: Option<Identity>,
    },
    /// A client of a protocol that the application speaks: the authorizer decides.
    Of(Box<AccessRequest>),
}

impl PublishWish {
    /// The stream it is about.
    pub(crate) fn key(&self) -> &StreamKey {
        match self {
            Self::Own { key, .. } => key,
            Self::Of(request) => &request.key,
        }
    }
}

impl Scripts {
    fn close_feed(&mut self, id: PublisherId, track: TrackId) {
        self.feeds
            .retain(|(of, feed)| *of != id || feed.track() != track);
    }

    fn number(&mut self, shard: u16) -> u64 {
        self.next += 1;
        on_shard(self.next, usize::from(shard))
    }
}

impl Live {
    /// Publishes in the application's own name, or puts the wish of somebody else before the authorizer. The application
    /// without an identity is nobody else: it takes no key that is held, and keeps its own though it says nothing.
    pub(crate) fn publish(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        wish: PublishWish,
        reply: PublishReply,
    ) {
        let (request, own) = match wish {
            PublishWish::Own { key, identity } => {
                let mut request = AccessRequest::new(key, Protocol::APPLICATION);
                let number = self.scripts.number(self.shard);
                let nobody_else = || Identity::new(&format!("application {number}"));
                request.identity = Some(identity.unwrap_or_else(nobody_else));
                (request, true)
            }
            PublishWish::Of(request) => (*request, false),
        };
        let asked = Asked::Publish(reply);
        if let Err((asked, error)) = self.ask(now, Action::Publish, request, asked, own) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    /// From now on a track of this publisher comes as bytes.
    pub(crate) fn open_feed(
        &mut self,
        id: PublisherId,
        track: TrackId,
        format: ByteFormat,
    ) -> Result<(), ServerError> {
        if !self.scripts.publishers.contains_key(&id) {
            return Err(ServerError::Closed);
        }
        let feed = Feed::new(track, format).ok_or(FrameError::CodecMismatch)?;
        self.scripts.close_feed(id, track);
        self.scripts.feeds.push((id, feed));
        Ok(())
    }

    /// Publishes what the next bytes of a track complete; `None` ends them. What the kernel refuses it counts and
    /// tells.
    pub(crate) fn feed(
        &mut self,
        now: Instant,
        id: PublisherId,
        track: TrackId,
        bytes: Option<&[u8]>,
    ) -> Result<(), ServerError> {
        let writer = self.scripts.publishers.get(&id);
        let session = writer.ok_or(ServerError::Closed)?.session;
        let mut feeds = self.scripts.feeds.iter_mut();
        let feed = feeds.find(|(of, feed)| *of == id && feed.track() == track);
        let (_, feed) = feed.ok_or(FrameError::UnknownTrack)?;
        for unit in feed.take(bytes) {
            match unit {
                Unit::Config(config) => self.engine.set_config(now, session, track, config)?,
                Unit::Frame(frame) => drop(self.engine.push(now, session, frame)),
            }
        }
        if bytes.is_none() {
            self.scripts.close_feed(id, track);
        }
        Ok(())
    }

    pub(super) fn open_publisher(&mut self, now: Instant, session: SessionId, reply: PublishReply) {
        let id = PublisherId(self.scripts.number(self.shard));
        let writer = Writer {
            session,
            in_band: HashMap::new(),
        };
        self.scripts.publishers.insert(id, writer);
        if reply.send(Ok(id)).is_err() {
            self.close_publisher(now, id, FinishReason::Disconnected);
        }
    }

    /// Says how a track's frames are coded from here on.
    pub(crate) fn configure(
        &mut self,
        now: Instant,
        id: PublisherId,
        track: TrackId,
        coding: TrackCoding,
    ) -> Result<(), ServerError> {
        let writer = self.scripts.publishers.get_mut(&id);
        let writer = writer.ok_or(ServerError::Closed)?;
        match coding {
            TrackCoding::Configured(config) => {
                writer.in_band.remove(&track);
                self.engine.set_config(now, writer.session, track, config)?;
            }
            TrackCoding::InBand(_) if writer.in_band.len() >= MAX_IN_BAND => {
                return Err(FrameError::TrackLimitReached { limit: MAX_IN_BAND }.into());
            }
            TrackCoding::InBand(_) => drop(writer.in_band.insert(track, None)),
        }
        Ok(())
    }

    /// Publishes frames in order; those in front of one that is refused are published.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        id: PublisherId,
        frames: Vec<Frame>,
    ) -> Result<(), ServerError> {
        let writer = self.scripts.publishers.get_mut(&id);
        let writer = writer.ok_or(ServerError::Closed)?;
        for frame in frames {
            if let Some(told) = writer.in_band.get_mut(&frame.track) {
                if let Some(config) = news(told.as_ref(), &frame) {
                    *told = Some(config.clone());
                    let session = writer.session;
                    self.engine.set_config(now, session, frame.track, config)?;
                } else if told.is_none() {
                    return Err(FrameError::AwaitingKeyframe.into());
                }
            }
            self.engine.push(now, writer.session, frame)?;
        }
        Ok(())
    }

    /// Ends a publisher; one that is gone already is no error.
    pub(crate) fn close_publisher(&mut self, now: Instant, id: PublisherId, reason: FinishReason) {
        self.scripts.feeds.retain(|(of, _)| *of != id);
        if let Some(writer) = self.scripts.publishers.remove(&id) {
            self.finish(now, writer.session, reason);
        }
    }

    /// The engine ended a session: if it is one of ours, its next call says so.
    pub(super) fn forget_publisher(&mut self, session: SessionId) {
        let Scripts {
            publishers, feeds, ..
        } = &mut self.scripts;
        publishers.retain(|_, writer| writer.session != session);
        feeds.retain(|(of, _)| publishers.contains_key(of));
    }

    /// Reads in the application's own name.
    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        key: StreamKey,
        options: SubscribeOptions,
        reply: oneshot::Sender<Result<ReaderId, ServerError>>,
    ) {
        let request = AccessRequest::new(key, Protocol::APPLICATION);
        let asked = Asked::Read(ReadWish { options, reply });
        if let Err((asked, error)) = self.ask(now, Action::Play, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    pub(super) fn open_reader(&mut self, now: Instant, admission: AdmissionId, wish: ReadWish) {
        let subscription = match self.engine.subscribe(now, admission, wish.options) {
            Ok(subscription) => subscription,
            Err(error) => {
                self.engine.cancel(admission);
                drop(wish.reply.send(Err(error.into())));
                return;
            }
        };
        let id = ReaderId(self.scripts.number(self.shard));
        self.readers.insert(subscription, Consumer::Script(id));
        let reader = Reader {
            subscription,
            waiting: None,
        };
        self.scripts.readers.insert(id, reader);
        if wish.reply.send(Ok(id)).is_err() {
            self.close_reader(now, id);
        }
    }

    /// Asks for the next batch: answered at once when there is something, else with the next frame. The ring is the
    /// queue: a reader that does not ask costs nothing and loses what the ring lets go.
    pub(crate) fn read(&mut self, now: Instant, id: ReaderId, reply: BatchReply) {
        let Some(reader) = self.scripts.readers.get_mut(&id) else {
            drop(reply.send(Err(ServerError::Closed)));
            return;
        };
        if reader.waiting.is_some() {
            drop(reply.send(Err(ServerError::Busy)));
            return;
        }
        reader.waiting = Some(reply);
        self.answer_reader(now, id);
    }

    /// Gives a waiting reader what there is.
    pub(super) fn answer_reader(&mut self, now: Instant, id: ReaderId) {
        let Some(reader) = self.scripts.readers.get_mut(&id) else {
            return;
        };
        if reader.waiting.is_none() {
            return;
        }
        let mut batch = LiveBatch::default();
        let mut bytes = 0;
        while batch.items.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
            let item = match self.engine.read(now, reader.subscription) {
                Next::Empty => break,
                Next::Ended(reason) => {
                    batch.end = Some(reason);
                    break;
                }
                Next::Config { track, config, .. } => LiveItem::Config {
                    track,
                    config: config.clone(),
                },
                Next::Frame(frame) => {
                    bytes += frame.data.len();
                    LiveItem::Frame(frame.clone())
                }
                Next::Lagged { skipped, lost } => LiveItem::Lagged { skipped, lost },
                Next::Discontinuity { .. } => LiveItem::Discontinuity,
                _ => continue,
            };
            batch.items.push(item);
        }
        if batch.items.is_empty() && batch.end.is_none() {
            return;
        }
        let ended = batch.end.is_some();
        let taken = reader
            .waiting
            .take()
            .is_some_and(|reply| reply.send(Ok(batch)).is_ok());
        if ended || !taken {
            self.close_reader(now, id);
        }
    }

    /// Ends a reader; one that is gone already is no error.
    pub(crate) fn close_reader(&mut self, now: Instant, id: ReaderId) {
        if let Some(reader) = self.scripts.readers.remove(&id) {
            self.readers.remove(&reader.subscription);
            self.engine.unsubscribe(now, reader.subscription);
        }
    }
}

/// What a keyframe says of its track that was not known.
fn news(told: Option<&CodecConfig>, frame: &Frame) -> Option<CodecConfig> {
    let config = frame
        .keyframe
        .then(|| inspect_access_unit(frame.codec, &frame.data).config)??;
    (told != Some(&config)).then_some(config)
}

/// As many tracks as a stream may have.
const MAX_IN_BAND: usize = 64;

/// Items of one batch: some frames' worth, so that a crossing into JavaScript is shared.
const BATCH_ITEMS: usize = 64;
/// Bytes after which a batch is full; one frame may be beyond.
const BATCH_BYTES: usize = 1 << 20;
