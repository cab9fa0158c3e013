//! What a publisher does.

use std::time::Instant;

use sluice_media::{CodecConfig, Frame, TrackId};

use crate::admission::RATE_WINDOW;
use crate::engine::Engine;
use crate::error::{FrameError, StreamError};
use crate::event::{FinishReason, SourceState, StreamEventKind};
use crate::id::SessionId;
use crate::stream::{Phase, Stream};
use crate::view::Metadata;

impl Engine {
    /// Announces a track, or says how its frames are coded from the next one on. Each session announces its tracks
    /// before their first frame, also those whose codec needs no record. The same configuration again is no news.
    ///
    /// # Errors
    /// When the session is over, or the configuration cannot be taken; the track stays as it was.
    pub fn set_config(
        &mut self,
        _now: Instant,
        session: SessionId,
        track: TrackId,
        config: CodecConfig,
    ) -> Result<(), FrameError> {
        let stream = self
            .streams
            .named_mut(session.stream.index, session.stream.generation)
            .filter(|stream| stream.holds(session))
            .ok_or(FrameError::SessionEnded)?;
        let app = self.apps.get(stream.app).ok_or(FrameError::SessionEnded)?;
        let codec = config.codec;
        if let Some(revision) = stream.configure(track, config, &app.spec.limits)? {
            let kind = StreamEventKind::CodecChanged {
                track,
                codec,
                revision,
            };
            self.outputs.event(&stream.key, kind);
        }
        Ok(())
    }

    /// Gives a frame to all readers. Costs the same for one and for ten thousand, and copies no payload. The frame's
    /// `data` keeps its whole allocation alive: a small slice of a large buffer counts as what it is a slice of only
    /// to the allocator.
    ///
    /// # Errors
    /// When the frame is not taken. It is counted; only `RateLimited` ends the session.
    pub fn push(
        &mut self,
        now: Instant,
        session: SessionId,
        frame: Frame,
    ) -> Result<(), FrameError> {
        let index = session.stream.index;
        let stream = self
            .streams
            .named_mut(index, session.stream.generation)
            .filter(|stream| stream.holds(session))
            .ok_or(FrameError::SessionEnded)?;
        let app = self.apps.get(stream.app).ok_or(FrameError::SessionEnded)?;
        let limits = &app.spec.limits;
        let size = frame.data.len() as u64;
        if let Some(limit) = limits.max_bytes_per_second
            && exceeds(now, stream, size, limit)
        {
            let kind = StreamEventKind::RateLimited {
                session,
                bytes_per_second: limit,
            };
            self.outputs.event(&stream.key, kind);
            self.end_session(now, index, FinishReason::RateLimited, true);
            return Err(FrameError::RateLimited);
        }
        let before = stream.bytes();
        let starts_chain = match stream.push(now, frame, limits) {
            Ok(starts_chain) => starts_chain,
            Err(error) => {
                self.reject(now, index, error);
                return Err(error);
            }
        };
        if let Some(session) = &mut stream.session {
            session.active = now;
            session.frames += 1;
            session.bytes += size;
        }
        if starts_chain {
            stream.keyframes.settle();
        }
        self.ring_bytes = self.ring_bytes - before + stream.bytes();
        while self.ring_bytes > self.options.max_ring_bytes {
            let before = stream.bytes();
            if !stream.ring.evict_oldest() {
                break;
            }
            self.ring_bytes = self.ring_bytes - before + stream.bytes();
        }
        let tick_by = now + app.spec.ring.max_age;
        let ticks = stream.timer.is_some_and(|timer| timer <= tick_by);
        let starts = stream.phase != Phase::Publishing;
        let has_readers = stream.readers > 0;
        if starts {
            self.go_live(now, index);
        }
        if !ticks {
            self.schedule(index);
        }
        if has_readers {
            self.mark(index);
        }
        Ok(())
    }

    /// Ends a session for its publisher. Its key is free, or somebody else's, when this returns.
    ///
    /// # Errors
    /// When the session is over already.
    pub fn finish(
        &mut self,
        now: Instant,
        session: SessionId,
        reason: FinishReason,
    ) -> Result<(), StreamError> {
        let stream = self
            .streams
            .named(session.stream.index, session.stream.generation);
        if !stream.is_some_and(|stream| stream.holds(session)) {
            return Err(StreamError::SessionEnded);
        }
        // The key changes hands by a claim alone: a publisher that says so of itself was lost.
        let reason = match reason {
            FinishReason::Replaced => FinishReason::Disconnected,
            reason => reason,
        };
        self.end_session(now, session.stream.index, reason, false);
        Ok(())
    }

    /// What the publisher says of its stream, in place of what it said before.
    ///
    /// # Errors
    /// When the session is over.
    pub fn update_metadata(
        &mut self,
        _now: Instant,
        session: SessionId,
        mut metadata: Metadata,
    ) -> Result<(), StreamError> {
        let stream = self
            .streams
            .named_mut(session.stream.index, session.stream.generation)
            .filter(|stream| stream.holds(session))
            .ok_or(StreamError::SessionEnded)?;
        metadata.encoder = metadata
            .encoder
            .map(|encoder| encoder.chars().take(MAX_ENCODER).collect());
        stream.metadata = metadata;
        Ok(())
    }

    fn go_live(&mut self, now: Instant, index: u32) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        stream.phase = Phase::Publishing;
        stream.started.get_or_insert(now);
        let kind = StreamEventKind::SourceState {
            state: SourceState::Live,
            epoch: stream.epoch,
        };
        self.outputs.event(&stream.key, kind);
    }

    fn reject(&mut self, now: Instant, index: u32, error: FrameError) {
        let Some(stream) = self.streams.at_mut(index) else {
            return;
        };
        stream.rejections.total += 1;
        let (count, _) = stream.rejections.untold.unwrap_or((0, error));
        stream.rejections.untold = Some((count + 1, error));
        self.tell_rejections(now, index);
        if error == FrameError::AwaitingKeyframe {
            self.want_keyframe(now, index);
        }
    }
}

/// Whether this frame is beyond what its publisher may send.
fn exceeds(now: Instant, stream: &mut Stream, size: u64, bytes_per_second: u64) -> bool {
    let rate = stream
        .session
        .as_mut()
        .and_then(|session| session.rate.as_mut());
    rate.is_some_and(|rate| {
        rate.add(now, size, 1);
        rate.total(now).0 > bytes_per_second.saturating_mul(RATE_WINDOW.as_secs())
    })
}

const MAX_ENCODER: usize = 256;
