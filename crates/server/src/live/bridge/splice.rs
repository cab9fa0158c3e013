//! Packets of a room's tracks into the frames of one stream, whichever tracks they are just now.
//!
//! The new picture begins with its keyframe; until then the old one goes on, and the old sound with it. So pictures of
//! two sources never mix, and what is seen is what is heard. Each sender has a clock of its own; time goes on by arrival
//! from one to the next, and by the sender's reports within one.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use sluice_media::{CodecConfig, Frame, MediaKind, Timestamp, TrackId};
use sluice_sfu::{ClientId, Tapped, TrackId as RoomTrack};

use crate::live::ingest::{Fed, Ingest, Place};

/// What packets amount to.
#[derive(Debug)]
pub(super) enum Spliced {
    /// Frames of the stream's track are coded like this from here on.
    Config(TrackId, CodecConfig),
    /// The next frame.
    Frame(Frame),
    /// Nothing decodes before the next keyframe of this track and layer.
    Lost(RoomTrack, u8),
    /// The track is no longer read.
    Released(RoomTrack),
    /// Another track, or none, is seen or heard from here on.
    Cut,
}

/// The tracks that are read, and their place on one timeline.
#[derive(Debug)]
pub(super) struct Splice {
    video: Channel,
    audio: Channel,
    senders: Vec<Sender>,
    origin: Option<Instant>,
    /// Until when a new sound waits for its picture.
    cut_by: Option<Instant>,
}

/// One track of the stream.
#[derive(Debug)]
struct Channel {
    track: TrackId,
    current: Option<Reader>,
    next: Option<Reader>,
    /// The latest `pts` and `dts` given out.
    last: Option<(Timestamp, Timestamp)>,
}

/// A track of the room on its way into a channel.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) track: RoomTrack,
    pub(super) layer: u8,
    /// When it was opened or a packet came.
    pub(super) heard: Instant,
    /// What its sender's ingest calls it.
    lane: TrackId,
    begun: bool,
}

/// A client whose tracks are read.
#[derive(Debug)]
struct Sender {
    client: ClientId,
    ingest: Ingest,
    lanes: Vec<LaneConfig>,
    /// From its timeline to the stream's; known with its first frame.
    shift_micros: Option<i64>,
}

#[derive(Debug)]
struct LaneConfig {
    lane: TrackId,
    config: CodecConfig,
    told: bool,
}

impl Splice {
    pub(super) fn new() -> Self {
        Self {
            video: Channel::new(TrackId::VIDEO),
            audio: Channel::new(TrackId::AUDIO),
            senders: Vec::new(),
            origin: None,
            cut_by: None,
        }
    }

    /// The track that is seen or heard now.
    pub(super) fn current(&self, kind: MediaKind) -> Option<&Reader> {
        self.channel(kind).current.as_ref()
    }

    /// The track that is to be, once it has a frame to begin with.
    pub(super) fn next(&self, kind: MediaKind) -> Option<&Reader> {
        self.channel(kind).next.as_ref()
    }

    /// Turns to a track of the room, or to none. True: its packets are needed from now on, and its keyframe.
    pub(super) fn tune(
        &mut self,
        now: Instant,
        kind: MediaKind,
        aim: Option<(RoomTrack, u8)>,
        out: &mut Vec<Spliced>,
    ) -> bool {
        let channel = self.channel_mut(kind);
        let is_aim = |reader: &Reader| Some((reader.track, reader.layer)) == aim;
        if channel.next.as_ref().is_some_and(is_aim) {
            return false;
        }
        let mut released: Vec<Reader> = channel.next.take().into_iter().collect();
        let mut opened = false;
        match aim {
            None => {
                let current = channel.current.take();
                out.extend(current.iter().map(|_| Spliced::Cut));
                released.extend(current);
            }
            Some(_) if channel.current.as_ref().is_some_and(is_aim) => {}
            Some((track, layer)) => {
                channel.next = Some(Reader {
                    track,
                    layer,
                    heard: now,
                    lane: channel.spare_lane(),
                    begun: false,
                });
                opened = true;
                if kind == MediaKind::Video {
                    self.cut_by = Some(now + PATIENCE);
                }
            }
        }
        out.extend(
            released
                .iter()
                .map(|reader| Spliced::Released(reader.track)),
        );
        self.forget_senders();
        opened
    }

    pub(super) fn handle_packet(&mut self, now: Instant, packet: Tapped, out: &mut Vec<Spliced>) {
        let channels = [&mut self.video, &mut self.audio];
        let readers = channels
            .into_iter()
            .flat_map(|channel| [&mut channel.current, &mut channel.next])
            .flatten();
        let reads =
            |reader: &&mut Reader| reader.track == packet.track_id && reader.layer == packet.layer;
        let Some(reader) = readers.into_iter().find(reads) else {
            return;
        };
        reader.heard = now;
        let (lane, client) = (reader.lane, packet.track_id.client());
        let index = self.sender(client);
        let Some(sender) = self.senders.get_mut(index) else {
            return;
        };
        let mut fed = Vec::new();
        // A layer is a lane of its own here.
        let place = Place {
            track: lane,
            layer: 0,
        };
        sender.ingest.handle_packet(now, place, packet, &mut fed);
        self.digest(now, index, fed, out);
    }

    /// Gives up what was waited for too long.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Spliced>) {
        for index in 0..self.senders.len() {
            let Some(sender) = self.senders.get_mut(index) else {
                break;
            };
            let mut fed = Vec::new();
            sender.ingest.handle_timeout(now, &mut fed);
            for fed in fed {
                self.take(now, index, fed, out);
            }
        }
        self.forget_senders();
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let senders = self.senders.iter();
        senders.filter_map(|s| s.ingest.next_deadline()).min()
    }

    fn digest(&mut self, now: Instant, sender: usize, fed: Vec<Fed>, out: &mut Vec<Spliced>) {
        let before = out.len();
        for fed in fed {
            self.take(now, sender, fed, out);
        }
        let is_cut = |spliced: &Spliced| matches!(spliced, Spliced::Cut);
        if out.iter().skip(before).any(is_cut) {
            self.forget_senders();
        }
    }

    fn take(&mut self, now: Instant, index: usize, fed: Fed, out: &mut Vec<Spliced>) {
        match fed {
            Fed::Config(Place { track: lane, .. }, config) => {
                if let Some(sender) = self.senders.get_mut(index) {
                    sender.lanes.retain(|known| known.lane != lane);
                    let told = false;
                    sender.lanes.push(LaneConfig { lane, config, told });
                }
            }
            Fed::Lost(track, layer) => out.push(Spliced::Lost(track, layer)),
            Fed::Frame(_, frame) => self.place(now, index, frame, out),
        }
    }

    /// Gives a frame out if it is its reader's turn, or makes it so.
    fn place(&mut self, now: Instant, index: usize, frame: Frame, out: &mut Vec<Spliced>) {
        let Some(client) = self.senders.get(index).map(|sender| sender.client) else {
            return;
        };
        let kind = frame.codec.kind();
        let is_it = |reader: &Reader| reader.lane == frame.track && reader.track.client() == client;
        let channel = self.channel(kind);
        if channel.next.as_ref().is_some_and(is_it) {
            let picture_comes =
                self.video.next.is_some() && self.cut_by.is_some_and(|until| now < until);
            match kind {
                MediaKind::Video if !frame.keyframe => return,
                MediaKind::Video => {
                    self.video.cut(out);
                    self.audio.cut(out);
                }
                MediaKind::Audio if picture_comes => return,
                MediaKind::Audio => self.audio.cut(out),
            }
        } else if !channel.current.as_ref().is_some_and(is_it) {
            return;
        }
        self.give(now, kind, index, frame, out);
    }

    fn give(
        &mut self,
        now: Instant,
        kind: MediaKind,
        index: usize,
        mut frame: Frame,
        out: &mut Vec<Spliced>,
    ) {
        let origin = *self.origin.get_or_insert(now);
        let latest = [&self.video, &self.audio]
            .into_iter()
            .filter_map(|channel| channel.last.map(|(pts, _)| pts.micros()))
            .max();
        let Some(sender) = self.senders.get_mut(index) else {
            return;
        };
        let shift = *sender.shift_micros.get_or_insert_with(|| {
            let here = now.saturating_duration_since(origin).as_micros();
            let here = i64::try_from(here).unwrap_or(i64::MAX);
            let behind = latest.map_or(here, |latest| latest.saturating_add(STEP_MICROS));
            here.max(behind).saturating_sub(frame.pts.micros())
        });
        let channel = match kind {
            MediaKind::Video => &mut self.video,
            MediaKind::Audio => &mut self.audio,
        };
        let Some(reader) = &mut channel.current else {
            return;
        };
        let begins = !std::mem::replace(&mut reader.begun, true);
        let Some(known) = sender.lanes.iter_mut().find(|l| l.lane == reader.lane) else {
            return;
        };
        if begins || !known.told {
            known.told = true;
            out.push(Spliced::Config(channel.track, known.config.clone()));
        }
        let rate = frame.pts.rate();
        let ticks = Timestamp::new(shift, MICROS).rescaled(rate).ticks();
        frame.track = channel.track;
        frame.pts = frame.pts.plus_ticks(ticks);
        frame.dts = frame.dts.plus_ticks(ticks);
        frame.discontinuity |= begins && channel.last.is_some();
        if let Some((pts, dts)) = channel.last {
            frame.dts = frame.dts.max(dts.rescaled(rate).plus_ticks(1));
            if begins {
                frame.pts = frame.pts.max(pts.rescaled(rate).plus_ticks(1));
            }
        }
        let latest = channel
            .last
            .map_or(frame.pts, |(pts, _)| pts.max(frame.pts));
        channel.last = Some((latest, frame.dts));
        out.push(Spliced::Frame(frame));
    }

    fn sender(&mut self, client: ClientId) -> usize {
        let index = self.senders.iter().position(|s| s.client == client);
        index.unwrap_or_else(|| {
            self.senders.push(Sender {
                client,
                ingest: Ingest::default(),
                lanes: Vec::new(),
                shift_micros: None,
            });
            self.senders.len() - 1
        })
    }

    /// Nothing stays of clients that are no longer read: who comes back begins anew.
    fn forget_senders(&mut self) {
        let Self {
            video,
            audio,
            senders,
            ..
        } = self;
        let reads = |channel: &Channel, client| {
            let mut readers = channel.current.iter().chain(&channel.next);
            readers.any(|reader| reader.track.client() == client)
        };
        senders.retain(|s| reads(video, s.client) || reads(audio, s.client));
    }

    fn channel(&self, kind: MediaKind) -> &Channel {
        match kind {
            MediaKind::Video => &self.video,
            MediaKind::Audio => &self.audio,
        }
    }

    fn channel_mut(&mut self, kind: MediaKind) -> &mut Channel {
        match kind {
            MediaKind::Video => &mut self.video,
            MediaKind::Audio => &mut self.audio,
        }
    }
}

impl Channel {
    const fn new(track: TrackId) -> Self {
        Self {
            track,
            current: None,
            next: None,
            last: None,
        }
    }

    /// The name that the present reader's ingest does not use for this channel.
    fn spare_lane(&self) -> TrackId {
        let second = TrackId::new(self.track.number() + 2);
        match &self.current {
            Some(reader) if reader.lane == self.track => second,
            _ => self.track,
        }
    }

    fn cut(&mut self, out: &mut Vec<Spliced>) {
        let Some(next) = self.next.take() else {
            return;
        };
        let before = self.current.replace(next);
        out.extend(before.map(|reader| Spliced::Released(reader.track)));
        out.push(Spliced::Cut);
    }
}

/// How long a new sound waits for its picture. A keyframe that was asked for takes a round trip and an encoder's time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How far behind the last frame the first of a new sender lies at least.
const STEP_MICROS: i64 = 1_000;
const MICROS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
