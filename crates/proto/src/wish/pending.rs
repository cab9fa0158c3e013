//! Requests that wait for an outcome.

use std::collections::BTreeMap;
use std::time::Instant;

use sluice_media::StreamKey;

use super::action::Action;
use super::entity_tag::EntityTag;
use super::route::Protocol;
use super::session_id::SessionId;

/// Names a request that waits; never used twice by one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What is done once the outcome is there.
#[derive(Debug)]
pub(crate) enum Task {
    /// Then goes on with that action.
    Authorize {
        next: Box<(Action, Self)>,
        had_token: bool,
    },
    Create(Creation),
    Answer {
        session: SessionId,
        ufrag: Box<str>,
    },
    Trickle {
        session: SessionId,
    },
    Restart {
        session: SessionId,
        ufrag: Box<str>,
    },
    SelectLayer {
        session: SessionId,
    },
    Close,
}

impl Task {
    /// The session that this is about to make.
    pub(crate) fn creates(&self) -> Option<&Creation> {
        match self {
            Self::Create(creation) => Some(creation),
            Self::Authorize { next, .. } => next.1.creates(),
            _ => None,
        }
    }
}

/// A session in the making.
#[derive(Debug)]
pub(crate) struct Creation {
    pub(crate) session: SessionId,
    pub(crate) tag: EntityTag,
    pub(crate) protocol: Protocol,
    pub(crate) prefix: Box<str>,
    pub(crate) key: StreamKey,
    pub(crate) ufrag: Box<str>,
}

/// The waiting requests. Whoever adds one has asked [`has_room`](Self::has_room).
#[derive(Debug)]
pub(crate) struct PendingTable {
    cap: usize,
    next: u64,
    waiting: BTreeMap<Ticket, (Instant, Task)>,
}

impl PendingTable {
    pub(crate) const fn new(cap: usize) -> Self {
        Self {
            cap,
            next: 0,
            waiting: BTreeMap::new(),
        }
    }

    /// Whether one more may wait. Requests to sessions have room of their own:
    /// an authorizer that hangs takes no session the means to end.
    pub(crate) fn has_room(&self, task: &Task) -> bool {
        let creates = self.creations().count();
        let used = match task.creates() {
            Some(_) => creates,
            None => self.waiting.len().saturating_sub(creates),
        };
        used < self.cap
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn add(&mut self, deadline: Instant, task: Task) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(ticket, (deadline, task));
        ticket
    }

    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<(Instant, Task)> {
        self.waiting.remove(&ticket)
    }

    /// Sessions in the making.
    pub(crate) fn creations(&self) -> impl Iterator<Item = &Creation> {
        self.waiting.values().filter_map(|(_, task)| task.creates())
    }
}
