//! The layers of a publisher's picture: each a stream of its own, the best of them the stream itself.

use std::time::{Duration, Instant};

use sluice_live::{Engine, SessionId};
use sluice_media::{CodecConfig, Frame, Parameters, StreamKey, Timestamp, TrackId};

use super::lead::{Lead, Pass};
use super::publisher::Consequences;

/// A simulcast track on its way into the streams of its layers.
///
/// Its first pictures wait for 200 ms, or until the best layer has brought a keyframe: so the stream does not begin with
/// a layer that comes a moment before a better one, and it is known whether the publisher lists its layers from
/// the lowest, as browsers do, or from the highest.
#[derive(Debug)]
pub(super) struct Ladder {
    /// In the publisher's order.
    rungs: Vec<Rung>,
    stage: Stage,
    /// The newest times of the stream itself.
    newest: Option<Timestamp>,
}

#[derive(Debug)]
struct Rung {
    rid: String,
    config: Option<CodecConfig>,
    turn: Turn,
}

/// A layer's turn on its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// No packet has come.
    Waits,
    Runs(SessionId),
    /// The application ended it, or it was refused: it does not begin again.
    Over,
}

#[derive(Debug)]
enum Stage {
    /// Until then, what has come.
    Held(Option<Instant>, Vec<Piece>),
    Runs {
        lead: Lead,
        /// The highest layer is listed first.
        falling: bool,
    },
}

/// What comes of a layer.
#[derive(Debug)]
pub(super) enum Piece {
    Config(u8, CodecConfig),
    Frame(u8, Frame),
}

impl Piece {
    const fn layer(&self) -> u8 {
        match self {
            Self::Config(layer, _) | Self::Frame(layer, _) => *layer,
        }
    }
}

/// Where a ladder's pictures go.
pub(super) struct Streams<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) key: &'a StreamKey,
    /// The stream's own turn.
    pub(super) session: SessionId,
    /// How the publisher's sound is coded: each layer has it too.
    pub(super) sound: &'a [(TrackId, CodecConfig)],
    pub(super) out: &'a mut Consequences,
}

impl Ladder {
    pub(super) fn new(rids: &[String]) -> Self {
        let rung = |rid: &String| Rung {
            rid: rid.clone(),
            config: None,
            turn: Turn::Waits,
        };
        Self {
            rungs: rids.iter().map(rung).collect(),
            stage: Stage::Held(None, Vec::new()),
            newest: None,
        }
    }

    /// The names of the layers, the best first.
    pub(super) fn rids(&self) -> Vec<String> {
        let names = self.rungs.iter().map(|rung| rung.rid.clone());
        if self.is_falling() {
            names.collect()
        } else {
            names.rev().collect()
        }
    }

    pub(super) fn has(&self, rid: &str) -> bool {
        self.rungs.iter().any(|rung| rung.rid == rid)
    }

    /// The turns of the layers that run now.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.rungs.iter().filter_map(|rung| match rung.turn {
            Turn::Runs(session) => Some(session),
            Turn::Waits | Turn::Over => None,
        })
    }

    /// The layer that the stream itself carries.
    pub(super) fn carried(&self) -> Option<u8> {
        match &self.stage {
            Stage::Held(..) => None,
            Stage::Runs { lead, .. } => u8::try_from(self.turned(lead.carried())).ok(),
        }
    }

    /// The name of a layer.
    pub(super) fn rid(&self, layer: u8) -> Option<&str> {
        self.rungs
            .get(usize::from(layer))
            .map(|rung| rung.rid.as_str())
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Held(until, _) => *until,
            Stage::Runs { .. } => None,
        }
    }

    /// The engine took a layer's turn.
    pub(super) fn session_ended(&mut self, session: SessionId) {
        for rung in &mut self.rungs {
            if rung.turn == Turn::Runs(session) {
                rung.turn = Turn::Over;
            }
        }
    }

    /// Takes what has come of a layer.
    pub(super) fn handle(&mut self, now: Instant, piece: Piece, streams: &mut Streams<'_>) {
        if let Piece::Config(layer, config) = &piece
            && let Some(rung) = self.rungs.get_mut(usize::from(*layer))
        {
            rung.config = Some(config.clone());
        }
        match &mut self.stage {
            Stage::Held(until, held) => {
                until.get_or_insert(now + HOLD);
                held.push(piece);
                if held.len() >= MAX_HELD || self.best_is_there() {
                    self.begin(now, streams);
                }
            }
            Stage::Runs { .. } => self.pass(now, piece, streams),
        }
    }

    /// Begins with what there is once it has waited long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant, streams: &mut Streams<'_>) {
        if self.next_deadline().is_some_and(|at| at <= now) {
            self.begin(now, streams);
        }
    }

    fn begin(&mut self, now: Instant, streams: &mut Streams<'_>) {
        let falling = self.is_falling();
        let Stage::Held(_, held) = &mut self.stage else {
            return;
        };
        let held = std::mem::take(held);
        let count = self.rungs.len();
        let rank = |layer: u8| turned(usize::from(layer), count, falling);
        let keyframes = held.iter().filter_map(|piece| match piece {
            Piece::Frame(layer, frame) if frame.keyframe => Some(rank(*layer)),
            _ => None,
        });
        let others = held.iter().map(|piece| rank(piece.layer()));
        let first = keyframes.max().or(others.max()).unwrap_or_default();
        let lead = Lead::new(count, first);
        self.stage = Stage::Runs { lead, falling };
        for piece in held {
            self.pass(now, piece, streams);
        }
    }

    fn pass(&mut self, now: Instant, piece: Piece, streams: &mut Streams<'_>) {
        let session = self.turn(now, piece.layer(), streams);
        match piece {
            Piece::Config(layer, config) => {
                if let Some(session) = session {
                    // What the kernel refuses it counts and tells.
                    let _ = streams
                        .engine
                        .set_config(now, session, TrackId::VIDEO, config.clone());
                }
                if self.carried() == Some(layer) {
                    let session = streams.session;
                    let _ = streams
                        .engine
                        .set_config(now, session, TrackId::VIDEO, config);
                }
            }
            Piece::Frame(layer, frame) => {
                if let Some(session) = session {
                    let _ = streams.engine.push(now, session, frame.clone());
                }
                self.lead_with(now, layer, frame, streams);
            }
        }
    }

    /// Gives a picture to the stream itself, if it is of the layer that is carried.
    fn lead_with(&mut self, now: Instant, layer: u8, mut frame: Frame, streams: &mut Streams<'_>) {
        let rank = self.turned(usize::from(layer));
        let Stage::Runs { lead, .. } = &mut self.stage else {
            return;
        };
        let pass = lead.handle_picture(now, rank, frame.keyframe);
        let asked = lead.poll_request();
        if let Some(layer) = asked.and_then(|rank| u8::try_from(self.turned(rank)).ok()) {
            streams.out.wanted.push(layer);
        }
        let session = streams.session;
        match pass {
            Pass::Leave => return,
            Pass::Carry => {}
            Pass::Switch => {
                let rung = self.rungs.get(usize::from(layer));
                if let Some(config) = rung.and_then(|rung| rung.config.clone()) {
                    let _ = streams
                        .engine
                        .set_config(now, session, TrackId::VIDEO, config);
                }
            }
        }
        // The layers' clocks agree but for a few milliseconds.
        if let Some(newest) = self.newest.filter(|newest| frame.dts <= *newest) {
            let late = newest.plus_ticks(1).rescaled(frame.dts.rate()).ticks() - frame.dts.ticks();
            frame.dts = frame.dts.plus_ticks(late);
            frame.pts = frame.pts.max(frame.dts);
        }
        self.newest = Some(frame.dts);
        let _ = streams.engine.push(now, session, frame);
    }

    /// The turn of a layer on a stream of its own, begun if need be. The best layer has none: it is the stream itself.
    fn turn(&mut self, now: Instant, layer: u8, streams: &mut Streams<'_>) -> Option<SessionId> {
        let best = self.turned(usize::from(layer)) + 1 == self.rungs.len();
        let rung = self.rungs.get_mut(usize::from(layer))?;
        match rung.turn {
            Turn::Runs(session) => return Some(session),
            Turn::Waits if !best => {}
            Turn::Waits | Turn::Over => return None,
        }
        rung.turn = Turn::Over;
        let key = streams.key.layer(&rung.rid).ok()?;
        let session = match streams.engine.begin_layer(now, streams.session, &key) {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(%key, %error, "a layer cannot be a stream");
                return None;
            }
        };
        rung.turn = Turn::Runs(session);
        streams.out.begun.push((session, layer));
        for (track, config) in streams.sound {
            let _ = streams
                .engine
                .set_config(now, session, *track, config.clone());
        }
        Some(session)
    }

    /// Whether the layer that will be the best has brought a keyframe, and all sizes that matter are known.
    fn best_is_there(&self) -> bool {
        let Stage::Held(_, held) = &self.stage else {
            return false;
        };
        let sized = self.rungs.iter().filter(|rung| area(rung).is_some());
        let best = self.turned(self.rungs.len().saturating_sub(1));
        sized.count() > 1
            && held.iter().any(|piece| {
                matches!(piece, Piece::Frame(layer, frame) if frame.keyframe && usize::from(*layer) == best)
            })
    }

    /// Whether the publisher lists its highest layer first, as far as their sizes tell.
    fn is_falling(&self) -> bool {
        if let Stage::Runs { falling, .. } = &self.stage {
            return *falling;
        }
        let mut sizes = self.rungs.iter().filter_map(area);
        let first = sizes.next();
        first
            .zip(sizes.last())
            .is_some_and(|(first, last)| first > last)
    }

    /// From the publisher's number of a layer to its rank from the lowest, and back.
    fn turned(&self, layer: usize) -> usize {
        turned(layer, self.rungs.len(), self.is_falling())
    }
}

fn turned(layer: usize, count: usize, falling: bool) -> usize {
    if falling {
        count.saturating_sub(layer + 1)
    } else {
        layer
    }
}

fn area(rung: &Rung) -> Option<u64> {
    match rung.config.as_ref()?.parameters {
        Parameters::Video(video) if video.width > 0 => {
            Some(u64::from(video.width) * u64::from(video.height))
        }
        _ => None,
    }
}

/// How long the first pictures wait for better ones.
const HOLD: Duration = Duration::from_millis(200);
/// Pictures that wait at most.
const MAX_HELD: usize = 256;

#[cfg(test)]
#[path = "../ladder_tests.rs"]
mod tests;
