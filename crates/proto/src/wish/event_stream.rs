//! One server-sent event stream of a WHEP session.

use std::collections::VecDeque;
use std::time::Instant;

use super::event::{Event, EventKind};
use super::session_id::SessionId;

/// Names the response that an event stream is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventReader {
    pub(crate) session: SessionId,
    pub(crate) stream: u32,
    /// A reader that comes back takes the stream over; the response before it ends.
    pub(crate) attempt: u32,
}

/// Events that wait for a reader.
///
/// At most one of each lane waits: a newer viewer count replaces an older, an `inactive` an `active`. So a reader that
/// is slow or away costs four events at most, and finds the state as it is.
#[derive(Debug)]
pub(crate) struct EventStream {
    pub(crate) number: u32,
    kinds: u8,
    waiting: VecDeque<Event>,
    attempt: u32,
    /// When the attached reader is due a comment; without a reader nothing is.
    pub(crate) keep_alive_at: Option<Instant>,
    /// Whether the comment is to be sent now.
    pub(crate) comment_due: bool,
    /// Whether the caller knows that there is something to read.
    pub(crate) announced: bool,
}

impl EventStream {
    pub(crate) const fn new(number: u32, kinds: u8) -> Self {
        Self {
            number,
            kinds,
            waiting: VecDeque::new(),
            attempt: 0,
            keep_alive_at: None,
            comment_due: false,
            announced: false,
        }
    }

    /// Takes an event, if the client has asked for its kind.
    pub(crate) fn push(&mut self, event: &Event) {
        // What was told last must not outlive what it was about, asked for or not.
        self.waiting
            .retain(|older| older.kind().lane() != event.kind().lane());
        if self.kinds & event.kind().bit() != 0 {
            self.waiting.push_back(event.clone());
        }
    }

    /// A new reader; the one before is no longer the stream's.
    pub(crate) const fn attach(&mut self, keep_alive_at: Instant) -> u32 {
        self.attempt = self.attempt.wrapping_add(1);
        self.keep_alive_at = Some(keep_alive_at);
        self.comment_due = false;
        self.announced = false;
        self.attempt
    }

    pub(crate) const fn is_read_by(&self, attempt: u32) -> bool {
        self.attempt == attempt && self.keep_alive_at.is_some()
    }

    pub(crate) const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether a reader is there that does not know yet that there is something to read.
    pub(crate) fn is_news(&self) -> bool {
        let something = self.comment_due || !self.waiting.is_empty();
        self.keep_alive_at.is_some() && something && !self.announced
    }

    /// All that waits, as text; the due comment when nothing does.
    pub(crate) fn drain(&mut self) -> String {
        self.announced = false;
        let comment = std::mem::take(&mut self.comment_due) && self.waiting.is_empty();
        if comment {
            return ":\n\n".to_owned();
        }
        self.waiting.drain(..).map(|event| event.render()).collect()
    }
}

/// What a late stream must know: the newest of each lane that describes a state.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    newest: Vec<Event>,
}

impl StreamState {
    pub(crate) fn note(&mut self, event: &Event) {
        if event.kind() == EventKind::Reconnect {
            return;
        }
        self.newest
            .retain(|older| older.kind().lane() != event.kind().lane());
        self.newest.push(event.clone());
    }

    /// What a new stream starts with. It does not start with `inactive` (WHEP events, "inactive event").
    pub(crate) fn initial(&self) -> impl Iterator<Item = &Event> {
        self.newest
            .iter()
            .filter(|event| **event != Event::Inactive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_reader_costs_the_newest_of_each_lane() {
        let mut stream = EventStream::new(1, 31);
        for count in 0..1000 {
            stream.push(&Event::ViewerCount(count));
            stream.push(&Event::Inactive);
            stream.push(&Event::Active);
        }
        assert_eq!(stream.waiting.len(), 2);
        let text = stream.drain();
        assert!(text.contains("999") && text.contains("event: active"));
        assert!(!text.contains("inactive") && stream.waiting.is_empty());
    }

    #[test]
    fn only_kinds_that_were_asked_for_are_told() {
        let mut stream = EventStream::new(1, EventKind::Active.bit());
        stream.push(&Event::ViewerCount(1));
        assert!(stream.waiting.is_empty());
        stream.push(&Event::Active);
        stream.push(&Event::Inactive);
        assert!(stream.waiting.is_empty(), "active is no longer true");
    }

    #[test]
    fn new_stream_does_not_start_with_inactive() {
        let mut state = StreamState::default();
        state.note(&Event::Active);
        state.note(&Event::Inactive);
        state.note(&Event::ViewerCount(2));
        let initial: Vec<_> = state.initial().collect();
        assert_eq!(initial, [&Event::ViewerCount(2)]);
    }
}
