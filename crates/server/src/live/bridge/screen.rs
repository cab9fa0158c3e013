//! The room's half of a show: the stream's tracks as those of a source.

use std::time::Instant;

use sluice_media::{StreamKey, TrackId};
use sluice_sfu::ClientId;
use tokio::sync::oneshot;

use super::crossing::{Batch, Item};
use super::{BridgeEnd, BridgeEvent, BridgeEventKind, BridgeId, StopReply};
use crate::error::ServerError;
use crate::live::hall::close;
use crate::live::room_writer::RoomWriter;
use crate::live::values::LiveEvent;
use crate::live::{Live, guarded};
use crate::rooms::Rooms;
use crate::server::RegistryId;

#[derive(Debug)]
pub(super) struct Screen {
    key: StreamKey,
    room: RegistryId,
    writer: RoomWriter,
    /// Tracks that no browser takes, told of once.
    skipped: Vec<TrackId>,
}

impl Live {
    /// Adds the stream to the room as a client of its own.
    pub(super) fn open_screen(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        key: StreamKey,
        room: RegistryId,
        reply: oneshot::Sender<Result<(BridgeId, ClientId), ServerError>>,
    ) {
        let client = match rooms.insert_source(now, room) {
            Ok(client) => client,
            Err(error) => {
                drop(reply.send(Err(error)));
                return self.send_across(id.shard(), move |live, _, now| {
                    live.forget_show(now, id);
                });
            }
        };
        rooms.bridge(room, true);
        let screen = Screen {
            key,
            room,
            writer: RoomWriter::new(room, client),
            skipped: Vec::new(),
        };
        self.bridges.screens.insert(id, screen);
        if reply.send(Ok((id, client))).is_err() {
            // A caller that no longer waits has no handle to stop it with.
            self.send_across(id.shard(), move |live, _, now| {
                live.end_show(now, id, BridgeEnd::Stopped, None);
            });
        }
    }

    /// What has come of the stream.
    pub(super) fn take_show(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        mut batch: Batch,
    ) {
        let Some(screen) = self.bridges.screens.get_mut(&id) else {
            return;
        };
        let items = std::mem::take(&mut batch.items);
        let mut skipped = Vec::new();
        let taken = guarded(|| {
            for item in items {
                match item {
                    Item::Config(track, config) => {
                        if let Err(codec) = screen.writer.configure(now, rooms, track, &config)
                            && !screen.skipped.contains(&track)
                        {
                            screen.skipped.push(track);
                            skipped.push(BridgeEventKind::TrackSkipped { track, codec });
                        }
                    }
                    Item::Frame(frame) => screen.writer.send(now, rooms, &frame),
                    Item::Restart => screen.writer.restart_clock(),
                }
            }
        });
        for kind in skipped {
            self.events.push(LiveEvent::Bridge(BridgeEvent {
                key: screen.key.clone(),
                bridge: id,
                kind,
            }));
        }
        if taken.is_none() {
            self.send_across(id.shard(), move |live, _, now| {
                live.end_show(now, id, BridgeEnd::Internal, None);
            });
        }
    }

    pub(super) fn close_screen(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        reply: Option<StopReply>,
    ) {
        if let Some(screen) = self.bridges.screens.remove(&id) {
            rooms.bridge(screen.room, false);
            close(
                now,
                rooms,
                screen.writer.client(),
                "the stream is no longer shown",
            );
        }
        // Who no longer waits hears it by the event.
        drop(reply.map(|reply| reply.send(Ok(()))));
    }

    /// A room is closed.
    pub(super) fn screens_closed(&mut self, room: RegistryId) {
        let screens = self.bridges.screens.iter();
        let over = screens.filter(|(_, screen)| screen.room == room);
        let over: Vec<BridgeId> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.bridges.screens.remove(&id);
            self.send_across(id.shard(), move |live, _, now| {
                live.end_show(now, id, BridgeEnd::RoomClosed, None);
            });
        }
    }

    /// Somebody in the room needs a keyframe of what is shown.
    pub(in crate::live) fn refresh_screen(&mut self, client: ClientId) {
        let mut screens = self.bridges.screens.iter();
        let asked = screens.find(|(_, screen)| screen.writer.client() == client);
        if let Some(id) = asked.map(|(id, _)| *id) {
            self.send_across(id.shard(), move |live, _, now| live.refresh_show(now, id));
        }
    }
}
