//! Between an application's rooms and live streams, which may live on different shards.
//!
//! A *cast* makes a stream of what a room has: a [`pickup`] beside the room makes frames of packets, a [`cast`] beside the
//! stream gives them to the kernel. A *show* is the other way round: [`show`] reads the stream, a [`screen`] beside the
//! room cuts packets. What goes from one half to the other are frames, a batch a turn; see [`crossing`].
//!
//! The half that an application's call meets first owns the bridge: its shard is in the [`BridgeId`], and it tells the end.

mod cast;
mod crossing;
mod event;
mod pickup;
mod screen;
mod show;
mod splice;
mod taps;

pub(crate) use cast::CastGrant;
pub use event::{BridgeEnd, BridgeEvent, BridgeEventKind};
pub(crate) use pickup::CastWish;
pub use pickup::{Pick, Picks};
pub(crate) use show::ShowWish;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use sluice_net::mailbox::{Mailbox, SendError};
use tokio::sync::oneshot;

use self::cast::Cast;
use self::pickup::Pickup;
use self::screen::Screen;
use self::show::Show;
use self::taps::Taps;
use super::Live;
use crate::error::ServerError;
use crate::rooms::Rooms;
use crate::shard::{LiveJob, Message};
use crate::shard_number::{on_shard, shard_of};

/// A bridge of this server. The shard of its owning half is in its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId(u64);

impl BridgeId {
    /// A number unique in the server, for maps on the other side of a language border.
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The bridge that has this number.
    pub fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    pub(crate) fn shard(self) -> usize {
        shard_of(self.0)
    }
}

pub(super) type StopReply = oneshot::Sender<Result<(), ServerError>>;

/// The halves of bridges that are on this shard.
pub(super) struct Bridges {
    last: u64,
    mailboxes: Vec<Mailbox<Message>>,
    pickups: HashMap<BridgeId, Pickup>,
    taps: Taps,
    casts: HashMap<BridgeId, Cast>,
    shows: HashMap<BridgeId, Show>,
    screens: HashMap<BridgeId, Screen>,
    /// Those with frames to be sent across.
    loaded: Vec<BridgeId>,
    /// For other halves, in order. Bounded by the number of bridges: each has a few on their way at most.
    outbox: VecDeque<(usize, LiveJob)>,
    retry_at: Option<Instant>,
    tick_at: Option<Instant>,
}

impl Bridges {
    pub(super) fn new(mailboxes: Vec<Mailbox<Message>>) -> Self {
        Self {
            last: 0,
            mailboxes,
            pickups: HashMap::new(),
            taps: Taps::default(),
            casts: HashMap::new(),
            shows: HashMap::new(),
            screens: HashMap::new(),
            loaded: Vec::new(),
            outbox: VecDeque::new(),
            retry_at: None,
            tick_at: None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let packets = self.pickups.values().filter_map(Pickup::next_deadline);
        [self.retry_at, self.tick_at]
            .into_iter()
            .flatten()
            .chain(packets)
            .min()
    }

    /// What a shard's halves may be.
    fn is_full(&self) -> bool {
        self.pickups.len() + self.shows.len() >= MAX_BRIDGES
    }

    fn number(&mut self, shard: u16) -> BridgeId {
        self.last += 1;
        BridgeId(on_shard(self.last, usize::from(shard)))
    }
}

impl Live {
    /// Ends a bridge; one that has ended already is no error.
    pub(crate) fn stop_bridge(
        &mut self,
        now: Instant,
        rooms: &mut Rooms,
        id: BridgeId,
        reply: StopReply,
    ) {
        if self.bridges.pickups.contains_key(&id) {
            self.end_pickup(now, rooms, id, BridgeEnd::Stopped, Some(reply));
        } else if self.bridges.shows.contains_key(&id) {
            self.end_show(now, id, BridgeEnd::Stopped, Some(reply));
        } else {
            // A caller that no longer waits has what it wanted.
            let _ = reply.send(Ok(()));
        }
    }

    /// Tells the other halves what there is for them. True: one of them was here, and there may be more to do.
    pub(super) fn cross(&mut self, now: Instant, rooms: &mut Rooms) -> bool {
        self.load_batches();
        let here = usize::from(self.shard);
        let mut was_here = false;
        let mut kept = VecDeque::new();
        for (shard, job) in std::mem::take(&mut self.bridges.outbox) {
            if shard == here {
                self.run(now, rooms, job);
                was_here = true;
            } else if kept.iter().any(|(full, _)| *full == shard) {
                kept.push_back((shard, job));
            } else if let Some(mailbox) = self.bridges.mailboxes.get(shard)
                && let Err(SendError::Full(Message::Live(job))) =
                    mailbox.try_send(Message::Live(job))
            {
                kept.push_back((shard, job));
            }
        }
        kept.append(&mut self.bridges.outbox);
        let is_done = kept.is_empty() && self.bridges.loaded.is_empty();
        self.bridges.retry_at = (!is_done).then(|| now + RETRY);
        self.bridges.outbox = kept;
        was_here
    }

    /// Does what is due by time alone.
    pub(super) fn bridges_on_time(&mut self, now: Instant, rooms: &mut Rooms) {
        self.pickups_on_time(now, rooms);
        if self.bridges.tick_at.is_some_and(|at| at > now) {
            return;
        }
        let is_idle = self.bridges.pickups.is_empty() && self.bridges.shows.is_empty();
        self.bridges.tick_at = (!is_idle).then(|| now + TICK);
        self.tick_pickups(now, rooms);
        self.tell_dropped();
    }

    /// Has a half do something, here or on another shard.
    fn send_across(
        &mut self,
        shard: usize,
        job: impl FnOnce(&mut Self, &mut Rooms, Instant) + Send + 'static,
    ) {
        self.bridges.outbox.push_back((shard, Box::new(job)));
    }

    /// Batches that are complete with this turn go on their way.
    fn load_batches(&mut self) {
        for id in std::mem::take(&mut self.bridges.loaded) {
            if let Some(pickup) = self.bridges.pickups.get_mut(&id) {
                let home = pickup.home();
                match pickup.crossing().depart() {
                    Some(batch) => {
                        self.send_across(home, move |live, _, now| {
                            live.take_cast(now, id, batch);
                        });
                    }
                    None => self.bridges.loaded.push(id),
                }
            } else if let Some(show) = self.bridges.shows.get_mut(&id) {
                let home = show.room().shard();
                match show.crossing().depart() {
                    Some(batch) => {
                        self.send_across(home, move |live, rooms, now| {
                            live.take_show(now, rooms, id, batch);
                        });
                    }
                    None => self.bridges.loaded.push(id),
                }
            }
        }
    }
}

/// Owned by one shard; each of them costs a packetizer or a reordering buffer at most.
const MAX_BRIDGES: usize = 1000;
/// A neighbour that is too busy to take a message is left alone for so long.
const RETRY: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
