//! The stream's half of a cast: frames from a room into the kernel.

use std::time::Instant;

use sluice_live::{
    AccessRequest, Action, FinishReason, Identity, Protocol, SessionId, StreamError,
};
use sluice_media::StreamKey;
use tokio::sync::oneshot;

use super::crossing::{Batch, Item};
use super::{BridgeEnd, BridgeId, StopReply};
use crate::error::ServerError;
use crate::live::access::Asked;
use crate::live::{Live, guarded};
use crate::rooms::Rooms;

#[derive(Debug)]
pub(super) struct Cast {
    session: SessionId,
}

/// A cast that waits for its key.
#[derive(Debug)]
pub(crate) struct CastGrant {
    id: BridgeId,
    reply: oneshot::Sender<Result<BridgeId, ServerError>>,
}

impl Live {
    /// Claims the key for a room's media.
    pub(super) fn open_cast(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        key: StreamKey,
        identity: Option<Identity>,
        reply: oneshot::Sender<Result<BridgeId, ServerError>>,
    ) {
        let mut request = AccessRequest::new(key, Protocol::ROOM);
        let nobody_else = || Identity::new(&format!("room {}", id.raw()));
        request.identity = Some(identity.unwrap_or_else(nobody_else));
        let asked = Asked::Cast(CastGrant { id, reply });
        if let Err((asked, error)) = self.ask(now, Action::Publish, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    pub(in crate::live) fn start_cast(
        &mut self,
        now: Instant,
        session: SessionId,
        CastGrant { id, reply }: CastGrant,
    ) {
        if reply.send(Ok(id)).is_err() {
            // A caller that no longer waits has no handle to stop it with.
            self.finish(now, session, FinishReason::Disconnected);
            self.send_across(id.shard(), move |live, rooms, now| {
                live.end_pickup(now, rooms, id, BridgeEnd::Stopped, None);
            });
            return;
        }
        self.bridges.casts.insert(id, Cast { session });
        let home = usize::from(self.shard);
        self.send_across(id.shard(), move |live, rooms, now| {
            if !live.begin_pickup(now, rooms, id) {
                // The room was closed meanwhile.
                live.send_across(home, move |live, _, now| live.close_cast(now, id, None));
            }
        });
    }

    pub(in crate::live) fn refuse_cast(
        &mut self,
        CastGrant { id, reply }: CastGrant,
        error: StreamError,
    ) {
        drop(reply.send(Err(error.into())));
        self.send_across(id.shard(), move |live, rooms, now| {
            live.forget_pickup(now, rooms, id);
        });
    }

    /// What has come of the room.
    pub(super) fn take_cast(&mut self, now: Instant, id: BridgeId, mut batch: Batch) {
        let Some(session) = self.bridges.casts.get(&id).map(|cast| cast.session) else {
            // The key is no longer its own.
            return;
        };
        let engine = &mut self.engine;
        let items = std::mem::take(&mut batch.items);
        let taken = guarded(|| {
            for item in items {
                match item {
                    // What the kernel refuses it counts and tells.
                    Item::Config(track, config) => {
                        let _ = engine.set_config(now, session, track, config);
                    }
                    Item::Frame(frame) => {
                        let _ = engine.push(now, session, frame);
                    }
                    Item::Restart => {}
                }
            }
        });
        if taken.is_none() {
            self.bridges.casts.remove(&id);
            self.finish(now, session, FinishReason::Malformed);
            self.end_owner(id, BridgeEnd::Internal);
        }
    }

    /// The room's half is over.
    pub(super) fn close_cast(&mut self, now: Instant, id: BridgeId, reply: Option<StopReply>) {
        if let Some(cast) = self.bridges.casts.remove(&id) {
            self.finish(now, cast.session, FinishReason::Completed);
        }
        // Who no longer waits hears it by the event.
        drop(reply.map(|reply| reply.send(Ok(()))));
    }

    /// The engine took the key from a cast.
    pub(in crate::live) fn cast_ended(&mut self, session: SessionId, reason: FinishReason) {
        let Some(id) = self.cast_of(session) else {
            return;
        };
        self.bridges.casts.remove(&id);
        let reason = match reason {
            FinishReason::Replaced => BridgeEnd::Replaced,
            FinishReason::Idle => BridgeEnd::Idle,
            FinishReason::RateLimited => BridgeEnd::RateLimited,
            _ => BridgeEnd::StreamEnded,
        };
        self.end_owner(id, reason);
    }

    /// Asks the room's publisher for a keyframe, if the stream is a cast.
    pub(in crate::live) fn refresh_cast(&mut self, session: SessionId) {
        if let Some(id) = self.cast_of(session) {
            self.send_across(id.shard(), move |live, rooms, now| {
                live.refresh_pickup(now, rooms, id);
            });
        }
    }

    fn end_owner(&mut self, id: BridgeId, reason: BridgeEnd) {
        self.send_across(id.shard(), move |live, rooms, now| {
            live.end_pickup(now, rooms, id, reason, None);
        });
    }

    fn cast_of(&self, session: SessionId) -> Option<BridgeId> {
        let mut casts = self.bridges.casts.iter();
        let (id, _) = casts.find(|(_, cast)| cast.session == session)?;
        Some(*id)
    }
}
