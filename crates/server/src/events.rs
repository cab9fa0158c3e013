//! What a shard has to tell and has not told yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use sluice_sfu::{ClientId, Lane, TrackId};

use crate::live::LiveEvent;
use crate::sink::{Event, EventSink, Undelivered};

/// One shard's events on their way to the [`EventSink`], in the order they happened.
///
/// Three lanes share that order (DESIGN.md decision 11). Lifecycle events are never dropped: their
/// number is bounded by that of the live objects they tell of. Of the state lane the latest per key
/// stays, at its newest place; over [`LANE_CAP`] keys the oldest goes. Over [`LANE_CAP`] the
/// telemetry lane refuses the newest. What is dropped is counted and told by
/// [`Event::EventsDropped`].
///
/// After [`Undelivered::Closed`] it takes nothing any more.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    waiting: BTreeMap<u64, Event>,
    next: u64,
    latest: HashMap<StateKey, u64>,
    states: BTreeSet<(u64, StateKey)>,
    telemetry: usize,
    urgent: bool,
    dropped_states: u64,
    dropped_telemetry: u64,
    dropped_ever: u64,
    since: Option<Instant>,
    refused: Option<Refused>,
    closed: bool,
}

/// The batch that found no room, and when to try it again.
#[derive(Debug)]
struct Refused {
    batch: Vec<Event>,
    retry_at: Instant,
}

type StateKey = (u8, ClientId, Option<TrackId>, Option<String>);

impl EventQueue {
    /// Takes an event that happened at `now`.
    pub(crate) fn push(&mut self, now: Instant, event: Event) {
        if self.closed {
            return;
        }
        match Place::of(&event) {
            Place::Lifecycle => self.urgent = true,
            Place::State(key) => self.make_room_for_state(key),
            Place::Telemetry if self.telemetry >= LANE_CAP => {
                self.dropped_telemetry += 1;
                self.dropped_ever += 1;
                self.since.get_or_insert(now);
                return;
            }
            Place::Telemetry => self.telemetry += 1,
        }
        self.waiting.insert(self.next, event);
        self.next += 1;
        self.since.get_or_insert(now);
    }

    /// Whether a flush at `now` would try to deliver something.
    pub(crate) fn flush_due(&self, now: Instant) -> bool {
        self.next_deadline().is_some_and(|due| due <= now)
    }

    /// When the next flush is due; none while there is nothing to tell.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if let Some(refused) = &self.refused {
            return Some(refused.retry_at);
        }
        let since = self.since?;
        if self.urgent || self.waiting.len() >= BATCH {
            Some(since)
        } else {
            Some(since + LINGER)
        }
    }

    /// Delivers all that waits, in batches, until the sink has no room.
    ///
    /// A batch without room is kept and tried again by the first flush that is [`RETRY`] later;
    /// a flush before that does nothing.
    pub(crate) fn flush(&mut self, now: Instant, sink: &dyn EventSink) {
        if self.refused.as_ref().is_some_and(|r| r.retry_at > now) {
            return;
        }
        loop {
            let batch = match self.refused.take() {
                Some(refused) => refused.batch,
                None => self.take_batch(),
            };
            if batch.is_empty() {
                return;
            }
            match sink.try_deliver(batch) {
                Ok(()) => {}
                Err(Undelivered::Full(batch)) => {
                    self.refused = Some(Refused {
                        batch,
                        retry_at: now + RETRY,
                    });
                    return;
                }
                Err(Undelivered::Closed) => {
                    *self = Self {
                        closed: true,
                        ..Self::default()
                    };
                    return;
                }
            }
        }
    }

    /// Events dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped_ever
    }

    fn make_room_for_state(&mut self, key: StateKey) {
        if let Some(older) = self.latest.insert(key.clone(), self.next) {
            self.waiting.remove(&older);
            self.states.remove(&(older, key.clone()));
        } else if self.states.len() >= LANE_CAP
            && let Some((oldest, lost)) = self.states.pop_first()
        {
            self.waiting.remove(&oldest);
            self.latest.remove(&lost);
            self.dropped_states += 1;
            self.dropped_ever += 1;
        }
        self.states.insert((self.next, key));
    }

    fn take_batch(&mut self) -> Vec<Event> {
        let mut batch = self.take_drop_notices();
        while batch.len() < BATCH
            && let Some((at, event)) = self.waiting.pop_first()
        {
            match Place::of(&event) {
                Place::Lifecycle => {}
                Place::State(key) => {
                    self.latest.remove(&key);
                    self.states.remove(&(at, key));
                }
                Place::Telemetry => self.telemetry -= 1,
            }
            batch.push(event);
        }
        if self.waiting.is_empty() {
            self.urgent = false;
            self.since = None;
        }
        batch
    }

    fn take_drop_notices(&mut self) -> Vec<Event> {
        [
            (Lane::State, std::mem::take(&mut self.dropped_states)),
            (Lane::Telemetry, std::mem::take(&mut self.dropped_telemetry)),
        ]
        .into_iter()
        .filter(|&(_, count)| count > 0)
        .map(|(lane, count)| Event::EventsDropped { lane, count })
        .collect()
    }
}

/// Where an event queues.
enum Place {
    Lifecycle,
    State(StateKey),
    Telemetry,
}

impl Place {
    fn of(event: &Event) -> Self {
        match event {
            Event::Registry { event, .. } => match (event.lane(), event.state_key()) {
                (Lane::Telemetry, _) => Self::Telemetry,
                (Lane::State, Some(key)) => Self::State(key),
                // A state without a key has nothing it could replace.
                (Lane::Lifecycle, _) | (Lane::State, None) => Self::Lifecycle,
            },
            Event::Live(LiveEvent::Stream(event)) if event.kind.is_telemetry() => Self::Telemetry,
            Event::Live(_) | Event::EventsDropped { .. } => Self::Lifecycle,
        }
    }
}

/// Most events of the state lane, and of the telemetry lane, that wait.
const LANE_CAP: usize = 4096;

/// Most events in one batch: a call into JavaScript costs as much as about twenty of them.
const BATCH: usize = 64;

/// How long a state or telemetry event waits for company.
const LINGER: Duration = Duration::from_millis(2);

/// How long a full sink is left alone.
const RETRY: Duration = Duration::from_millis(2);

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
