//! The way out for events: whoever listens implements [`EventSink`].

use sluice_sfu::{Lane, Propagated};

use crate::live::LiveEvent;
use crate::server::RegistryId;

/// Something a room reported.
#[derive(Debug, Clone)]
pub enum Event {
    /// By one registry.
    Registry {
        /// Which.
        registry: RegistryId,
        /// What.
        event: Propagated,
    },
    /// By the live kernel.
    Live(LiveEvent),
    /// Events that were not delivered because the listener was slow.
    EventsDropped {
        /// Which lane lost them.
        lane: Lane,
        /// How many since the last such event.
        count: u64,
    },
}

/// Takes batches of events from a shard thread.
pub trait EventSink: Send + Sync + 'static {
    /// Takes a batch, never blocking and never panicking.
    ///
    /// # Errors
    /// [`Undelivered::Full`] gives the batch back to be tried again; [`Undelivered::Closed`] ends
    /// delivery for good.
    fn try_deliver(&self, batch: Vec<Event>) -> Result<(), Undelivered>;
}

/// A batch that was not taken.
#[derive(Debug)]
pub enum Undelivered {
    /// Later, perhaps.
    Full(Vec<Event>),
    /// Never again.
    Closed,
}
