//! The client that publishes a stream: which of its tracks become which of the stream's.

use std::collections::HashMap;
use std::time::Instant;

use sluice_live::{Engine, SessionId};
use sluice_media::{CodecConfig, MediaKind, StreamKey, TrackId};
use sluice_sfu::{ClientId, PublishedTrack, Tapped, TrackId as RoomTrack};

use super::ingest::{Fed, Ingest, Place};
use super::ladder::{Ladder, Piece, Streams};

/// The client that publishes the stream.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) client: ClientId,
    pub(super) session: SessionId,
    ingest: Ingest,
    lanes: HashMap<RoomTrack, Lane>,
    /// Of its first picture, when that has layers.
    pub(super) ladder: Option<Ladder>,
    /// How the tracks are coded that all layers have.
    sound: Vec<(TrackId, CodecConfig)>,
}

/// Which of a room track's layers become which track of the stream.
#[derive(Debug, Clone, Copy)]
struct Lane {
    track: TrackId,
    kind: MediaKind,
    /// The one that is taken; none: all are.
    layer: Option<u8>,
}

/// What feeding a publisher's streams has led to.
#[derive(Debug, Default)]
pub(super) struct Consequences {
    /// Layers that are streams now, with their numbers.
    pub(super) begun: Vec<(SessionId, u8)>,
    /// Layers of the picture to be asked for a keyframe.
    pub(super) wanted: Vec<u8>,
    /// All that are to be asked for one.
    pub(super) asks: Vec<(RoomTrack, u8)>,
}

impl Publisher {
    pub(super) fn new(client: ClientId, session: SessionId) -> Self {
        Self {
            client,
            session,
            ingest: Ingest::default(),
            lanes: HashMap::new(),
            ladder: None,
            sound: Vec::new(),
        }
    }

    /// Finds a place for a track of the room: pictures are 0, sound is 1, what comes on top counts on. The times of
    /// layers count from `origin`.
    pub(super) fn add(&mut self, track: &PublishedTrack, origin: Instant) -> bool {
        let taken = |id: TrackId| self.lanes.values().any(|lane| lane.track == id);
        let first = match track.kind {
            MediaKind::Video => TrackId::VIDEO,
            MediaKind::Audio => TrackId::AUDIO,
        };
        let more = (2..MAX_TRACKS).map(TrackId::new);
        let Some(id) = std::iter::once(first).chain(more).find(|id| !taken(*id)) else {
            return false;
        };
        let is_layered = id == TrackId::VIDEO && track.rids.len() > 1;
        if is_layered {
            self.ladder = Some(Ladder::new(&track.rids));
            self.ingest.set_origin(origin);
        }
        // Of another track's layers the last listed one is the highest, as browsers list them.
        let last = u8::try_from(track.rids.len().saturating_sub(1)).unwrap_or_default();
        let lane = Lane {
            track: id,
            kind: track.kind,
            layer: (!is_layered).then_some(last),
        };
        self.lanes.insert(track.id, lane);
        true
    }

    /// A track of the room is gone; the turns of its layers are returned.
    pub(super) fn remove(&mut self, track: RoomTrack) -> Vec<SessionId> {
        let lane = self.lanes.remove(&track);
        let is_layered = lane.is_some_and(|lane| lane.layer.is_none());
        let ladder = self.ladder.take_if(|_| is_layered);
        ladder.map_or_else(Vec::new, |ladder| ladder.sessions().collect())
    }

    /// The names of its picture's layers, the best first; none without simulcast.
    pub(super) fn rids(&self) -> Vec<String> {
        self.ladder.as_ref().map_or_else(Vec::new, Ladder::rids)
    }

    /// The layer that the stream itself carries.
    pub(super) fn carries(&self) -> Option<&str> {
        let ladder = self.ladder.as_ref()?;
        ladder.rid(ladder.carried()?)
    }

    /// The turns it has: of the stream itself and of its layers.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        sessions(self.session, self.ladder.as_ref())
    }

    /// Whether it sends a layer of that name.
    pub(super) fn sends(&self, rid: &str) -> bool {
        self.ladder.as_ref().is_some_and(|ladder| ladder.has(rid))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let held = self.ladder.as_ref().and_then(Ladder::next_deadline);
        self.ingest.next_deadline().into_iter().chain(held).min()
    }

    /// Takes a packet of a tapped track.
    pub(super) fn handle_packet(&mut self, now: Instant, packet: Tapped, out: &mut Vec<Fed>) {
        let Some(lane) = self.lanes.get(&packet.track_id) else {
            return;
        };
        if lane.layer.is_some_and(|layer| layer != packet.layer) {
            return;
        }
        let place = Place {
            track: lane.track,
            layer: packet.layer,
        };
        self.ingest.handle_packet(now, place, packet, out);
    }

    /// Gives up what was waited for too long.
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Vec<Fed>) {
        self.ingest.handle_timeout(now, out);
    }

    /// Brings what has come into the stream and its layers.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        engine: &mut Engine,
        key: &StreamKey,
        fed: &mut Vec<Fed>,
        out: &mut Consequences,
    ) {
        let Self {
            session,
            ladder,
            sound,
            ..
        } = self;
        for fed in fed.drain(..) {
            let piece = match fed {
                Fed::Lost(track, layer) => {
                    out.asks.push((track, layer));
                    continue;
                }
                Fed::Config(place, config) if place.track == TrackId::VIDEO && ladder.is_some() => {
                    Piece::Config(place.layer, config)
                }
                Fed::Frame(layer, frame) if frame.track == TrackId::VIDEO && ladder.is_some() => {
                    Piece::Frame(layer, frame)
                }
                Fed::Config(place, config) => {
                    for session in sessions(*session, ladder.as_ref()) {
                        // What the kernel refuses it counts and tells.
                        let _ = engine.set_config(now, session, place.track, config.clone());
                    }
                    sound.retain(|(track, _)| *track != place.track);
                    sound.push((place.track, config));
                    continue;
                }
                Fed::Frame(_, frame) => {
                    for session in sessions(*session, ladder.as_ref()) {
                        let _ = engine.push(now, session, frame.clone());
                    }
                    continue;
                }
            };
            if let Some(ladder) = ladder {
                let (session, sound) = (*session, sound.as_slice());
                let mut streams = Streams {
                    engine,
                    key,
                    session,
                    sound,
                    out,
                };
                ladder.handle(now, piece, &mut streams);
            }
        }
        if let Some(ladder) = ladder {
            let (session, sound) = (*session, sound.as_slice());
            let mut streams = Streams {
                engine,
                key,
                session,
                sound,
                out,
            };
            ladder.handle_timeout(now, &mut streams);
        }
        let layered = self.lanes.iter().find(|(_, lane)| lane.layer.is_none());
        if let Some((track, _)) = layered {
            let wanted = out.wanted.drain(..).map(|layer| (*track, layer));
            out.asks.extend(wanted);
        }
    }

    /// The layers to be asked for a keyframe of the stream itself, or of one of its layers.
    pub(super) fn sources(&self, layer: Option<u8>) -> Vec<(RoomTrack, u8)> {
        let mut all = Vec::new();
        for (track, lane) in &self.lanes {
            match (lane.layer, &self.ladder) {
                (Some(of_lane), _) if lane.kind == MediaKind::Video && layer.is_none() => {
                    all.push((*track, of_lane));
                }
                (None, Some(ladder)) => {
                    all.extend(
                        layer
                            .or_else(|| ladder.carried())
                            .map(|layer| (*track, layer)),
                    );
                }
                _ => {}
            }
        }
        all
    }
}

/// The stream's turn and those of its layers.
fn sessions(own: SessionId, ladder: Option<&Ladder>) -> impl Iterator<Item = SessionId> {
    let layers = ladder.into_iter().flat_map(Ladder::sessions);
    std::iter::once(own).chain(layers)
}

/// Tracks of one publisher.
const MAX_TRACKS: u16 = 16;
