//! Which bridges read which tracks: a track is tapped once, whatever their number.

use std::collections::HashMap;
use std::time::Instant;

use sluice_sfu::TrackId as RoomTrack;

use super::BridgeId;
use crate::rooms::Rooms;
use crate::server::RegistryId;

/// By track, the bridges that read it, with how often each does.
#[derive(Debug, Default)]
pub(super) struct Taps(HashMap<RoomTrack, Vec<(BridgeId, u8)>>);

impl Taps {
    /// The `n`th reader of a track.
    pub(super) fn reader(&self, track: RoomTrack, n: usize) -> Option<BridgeId> {
        self.0.get(&track)?.get(n).map(|(id, _)| *id)
    }

    pub(super) fn open(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        room: RegistryId,
        track: RoomTrack,
        id: BridgeId,
    ) {
        let readers = self.0.entry(track).or_default();
        if readers.is_empty() {
            // One that closed meanwhile has nothing to tap.
            let _ = rooms.room(now, room, |r, _| r.tap(track, true));
        }
        match readers.iter_mut().find(|(reader, _)| *reader == id) {
            Some((_, times)) => *times += 1,
            None => readers.push((id, 1)),
        }
    }

    pub(super) fn close(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        room: RegistryId,
        track: RoomTrack,
        id: BridgeId,
    ) {
        let Some(readers) = self.0.get_mut(&track) else {
            return;
        };
        readers.retain_mut(|(reader, times)| {
            if *reader == id {
                *times -= 1;
            }
            *times > 0
        });
        if readers.is_empty() {
            self.0.remove(&track);
            let _ = rooms.room(now, room, |r, _| r.tap(track, false));
        }
    }
}
