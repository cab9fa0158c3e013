//! The stream's half of a show: reads it for a room.

use std::time::Instant;

use sluice_live::{
    AccessRequest, Action, AdmissionId, Next, Protocol, SubscribeOptions, SubscriptionId,
};
use sluice_media::StreamKey;
use sluice_sfu::ClientId;
use tokio::sync::oneshot;

use super::crossing::Crossing;
use super::{BridgeEnd, BridgeEvent, BridgeEventKind, BridgeId, StopReply};
use crate::error::ServerError;
use crate::live::access::Asked;
use crate::live::values::LiveEvent;
use crate::live::{Consumer, Live, guarded};
use crate::rooms::Rooms;
use crate::server::RegistryId;

/// The application's wish to show a stream in a room.
#[derive(Debug)]
pub(crate) struct ShowWish {
    pub(crate) key: StreamKey,
    pub(crate) room: RegistryId,
    /// Resolves to the bridge, and to the client whose tracks the stream's are in the room.
    pub(crate) reply: oneshot::Sender<Result<(BridgeId, ClientId), ServerError>>,
}

#[derive(Debug)]
pub(super) struct Show {
    key: StreamKey,
    room: RegistryId,
    subscription: SubscriptionId,
    crossing: Crossing,
}

impl Show {
    pub(super) const fn room(&self) -> RegistryId {
        self.room
    }

    pub(super) const fn crossing(&mut self) -> &mut Crossing {
        &mut self.crossing
    }
}

impl Live {
    /// Shows a stream in a room, in the application's own name.
    pub(crate) fn show(&mut self, now: Instant, rooms: &mut Rooms, wish: ShowWish) {
        if self.bridges.is_full() {
            return drop(wish.reply.send(Err(ServerError::Busy)));
        }
        let request = AccessRequest::new(wish.key.clone(), Protocol::ROOM);
        let asked = Asked::Show(Box::new(wish));
        if let Err((asked, error)) = self.ask(now, Action::Play, request, asked, true) {
            self.turn_down(now, rooms, asked, error);
        }
    }

    pub(in crate::live) fn start_show(
        &mut self,
        now: Instant,
        admission: AdmissionId,
        wish: ShowWish,
    ) {
        let ShowWish { key, room, reply } = wish;
        let options = SubscribeOptions::default();
        let subscription = match self.engine.subscribe(now, admission, options) {
            Ok(subscription) => subscription,
            Err(error) => {
                self.engine.cancel(admission);
                return drop(reply.send(Err(error.into())));
            }
        };
        let id = self.bridges.number(self.shard);
        self.readers.insert(subscription, Consumer::Show(id));
        let show = Show {
            key: key.clone(),
            room,
            subscription,
            crossing: Crossing::default(),
        };
        self.bridges.shows.insert(id, show);
        self.bridges.tick_at.get_or_insert(now);
        self.send_across(room.shard(), move |live, rooms, now| {
            live.open_screen(now, rooms, id, key, room, reply);
        });
    }

    /// What has come of the stream since the last time goes to the room.
    pub(in crate::live) fn feed_show(
        &mut self,
        now: Instant,
        id: BridgeId,
        subscription: SubscriptionId,
    ) {
        let read = guarded(|| self.read_show(now, id, subscription));
        let ended = match read {
            Some(false) => return,
            Some(true) => BridgeEnd::StreamEnded,
            None => BridgeEnd::Internal,
        };
        self.end_show(now, id, ended, None);
    }

    /// The room's viewers need a keyframe.
    pub(super) fn refresh_show(&mut self, now: Instant, id: BridgeId) {
        if let Some(show) = self.bridges.shows.get(&id) {
            self.engine.request_keyframe(now, show.subscription);
        }
    }

    /// Ends it; the room's half closes the tracks when it has taken what is under way.
    pub(super) fn end_show(
        &mut self,
        now: Instant,
        id: BridgeId,
        reason: BridgeEnd,
        reply: Option<StopReply>,
    ) {
        self.load_batches();
        let Some(show) = self.forget_show(now, id) else {
            return;
        };
        self.send_across(show.room.shard(), move |live, rooms, now| {
            live.close_screen(now, rooms, id, reply);
        });
        self.events.push(LiveEvent::Bridge(BridgeEvent {
            key: show.key,
            bridge: id,
            kind: BridgeEventKind::Ended { reason },
        }));
    }

    /// Lets go of the stream, without a word.
    pub(super) fn forget_show(&mut self, now: Instant, id: BridgeId) -> Option<Show> {
        let show = self.bridges.shows.remove(&id)?;
        self.readers.remove(&show.subscription);
        self.engine.unsubscribe(now, show.subscription);
        Some(show)
    }

    /// Tells of frames that the rooms' and the streams' shards were too slow for.
    pub(super) fn tell_dropped(&mut self) {
        let pickups = self.bridges.pickups.iter_mut();
        let pickups = pickups.map(|(id, pickup)| (*id, pickup.key().clone(), pickup.crossing()));
        let shows = self.bridges.shows.iter_mut();
        let shows = shows.map(|(id, show)| (*id, show.key.clone(), &mut show.crossing));
        for (bridge, key, crossing) in pickups.chain(shows) {
            let frames = crossing.take_dropped();
            if frames > 0 {
                self.events.push(LiveEvent::Bridge(BridgeEvent {
                    key,
                    bridge,
                    kind: BridgeEventKind::Dropped { frames },
                }));
            }
        }
    }

    /// True: there will be no more.
    fn read_show(&mut self, now: Instant, id: BridgeId, subscription: SubscriptionId) -> bool {
        let Some(show) = self.bridges.shows.get_mut(&id) else {
            return false;
        };
        let mut lost = false;
        let ended = loop {
            match self.engine.read(now, subscription) {
                Next::Config { track, config, .. } => {
                    show.crossing.configure(track, config.clone());
                }
                Next::Frame(frame) => lost |= !show.crossing.push(frame.clone()),
                Next::Discontinuity { .. } => show.crossing.restart(),
                Next::Ended(_) => break true,
                Next::Empty => break false,
                // A picture after a gap begins with a keyframe, which is all that viewers need.
                _ => {}
            }
        };
        if !show.crossing.is_empty() && !self.bridges.loaded.contains(&id) {
            self.bridges.loaded.push(id);
        }
        if lost {
            self.engine.request_keyframe(now, subscription);
        }
        ended
    }
}
