//! What callers may ask of bridges between rooms and live streams.

use sluice_live::Identity;
use sluice_media::StreamKey;
use sluice_sfu::ClientId;

use crate::live::{BridgeId, CastWish, Picks, ShowWish};
use crate::pending::Pending;
use crate::server::{RegistryId, Server};

/// Of bridges: see `stream::BridgeEvent` for what becomes of them.
impl Server {
    /// Publishes what a room has as a stream, until the room, its tracks or the stream end, or the bridge is stopped.
    ///
    /// Whoever holds the key under the same identity goes; without an identity a key that is held is refused.
    pub fn publish_from(
        &self,
        room: RegistryId,
        key: StreamKey,
        picks: Picks,
        identity: Option<Identity>,
    ) -> Pending<BridgeId> {
        let home = self.home(&key);
        self.answered(room.shard(), move |live, rooms, now, reply| {
            let wish = CastWish {
                room,
                key,
                home,
                picks,
                identity,
                reply,
            };
            live.cast(now, rooms, wish);
        })
    }

    /// Publishes other tracks of the room from now on. Their picture begins with its keyframe.
    pub fn set_picks(&self, bridge: BridgeId, picks: Picks) -> Pending<()> {
        self.live(bridge.shard(), move |live, rooms, now| {
            live.set_picks(now, rooms, bridge, picks)
        })
    }

    /// Shows a stream in a room: its tracks become those of a client that is no peer, until the stream or the room
    /// ends, or the bridge is stopped. Resolves to the bridge and that client.
    pub fn show_in(&self, room: RegistryId, key: StreamKey) -> Pending<(BridgeId, ClientId)> {
        self.answered(self.home(&key), move |live, rooms, now, reply| {
            live.show(now, rooms, ShowWish { key, room, reply });
        })
    }

    /// Ends a bridge; one that has ended already is no error. When this resolves the stream's key is free, or the tracks
    /// are gone from the room.
    pub fn stop_bridge(&self, bridge: BridgeId) -> Pending<()> {
        self.answered(bridge.shard(), move |live, rooms, now, reply| {
            live.stop_bridge(now, rooms, bridge, reply);
        })
    }
}
