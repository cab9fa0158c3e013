//! What a response carries, read piece by piece as it is taken.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error::ServerError;
use crate::live::LiveResponse;
use crate::pending::Pending;
use crate::record::{Readers, RecordError, Storage};

/// An answer about recordings.
#[derive(Debug)]
pub struct Playback {
    /// Status, header fields with `Content-Length`, and a small content.
    pub response: LiveResponse,
    /// The content in place of the response's own.
    pub content: Option<Content>,
}

/// A content that is read while it is sent. Dropping it gives up the rest.
pub struct Content {
    storage: Arc<dyn Storage>,
    readers: Readers,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    left: Vec<Piece>,
    reading: bool,
    /// What the memory of the pieces is counted by.
    _held: Option<Held>,
}

/// Bytes of a response.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// These.
    Memory(Bytes),
    /// Those of a file.
    File(Arc<str>, Range<u64>),
}

impl Piece {
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::File(_, range) => range.end.saturating_sub(range.start),
        }
    }

    /// Its bytes from `from` to `to`, as far as there are any.
    fn slice(&self, from: u64, to: u64) -> Option<Self> {
        let to = to.min(self.length());
        if from >= to {
            return None;
        }
        Some(match self {
            Self::Memory(bytes) => {
                let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
                Self::Memory(bytes.slice(from..to))
            }
            Self::File(name, range) => {
                let start = range.start.saturating_add(from);
                Self::File(Arc::clone(name), start..range.start.saturating_add(to))
            }
        })
    }
}

/// The bytes of `pieces` from `range.start` to `range.end`.
pub(super) fn sliced(pieces: &[Piece], range: &Range<u64>) -> Vec<Piece> {
    let mut at = 0_u64;
    let mut chosen = Vec::new();
    for piece in pieces {
        let end = at.saturating_add(piece.length());
        let from = range.start.saturating_sub(at);
        chosen.extend(piece.slice(from, range.end.saturating_sub(at)));
        at = end;
    }
    chosen
}

impl Content {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        readers: Readers,
        mut pieces: Vec<Piece>,
        held: Option<Held>,
    ) -> Self {
        pieces.reverse();
        let state = State {
            left: pieces,
            reading: false,
            _held: held,
        };
        Self {
            storage,
            readers,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The next bytes, at most 256 KiB; `None` at the end. One call at a time; another is [`ServerError::Busy`].
    ///
    /// The storage is not touched before it is called: who takes nothing causes nothing.
    pub fn read(&self) -> Pending<Option<Bytes>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.reading {
            return Pending::refused(ServerError::Busy);
        }
        let (sender, receiver) = oneshot::channel();
        let pieces = state.take(CHUNK);
        if pieces.is_empty() {
            // There is a receiver: it is in our hands.
            let _ = sender.send(Ok(None));
            return Pending::posted(receiver);
        }
        state.reading = true;
        drop(state);
        let (storage, own) = (Arc::clone(&self.storage), Arc::clone(&self.state));
        let job = move || {
            let read = read(&*storage, &pieces);
            let mut state = own.lock().unwrap_or_else(PoisonError::into_inner);
            state.reading = false;
            if read.is_err() {
                state.left.clear();
            }
            drop(state);
            // Who hung up needs nothing more.
            let _ = sender.send(read.map(Some));
        };
        match self.readers.post(&self.storage.place(), job) {
            Ok(()) => Pending::posted(receiver),
            Err(error) => Pending::refused(error),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Takes up to so many bytes off the front, which is the end of the list.
    fn take(&mut self, mut bytes: u64) -> Vec<Piece> {
        let mut taken = Vec::new();
        while bytes > 0 {
            let Some(piece) = self.left.pop() else {
                break;
            };
            self.left.extend(piece.slice(bytes, u64::MAX));
            let first = piece.slice(0, bytes);
            bytes -= first.as_ref().map_or(0, Piece::length);
            taken.extend(first);
        }
        taken
    }
}

fn read(storage: &dyn Storage, pieces: &[Piece]) -> Result<Bytes, ServerError> {
    if let [Piece::Memory(bytes)] = pieces {
        return Ok(bytes.clone());
    }
    let mut chunk = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Memory(bytes) => chunk.extend_from_slice(bytes),
            Piece::File(name, range) => {
                let from = chunk.len();
                chunk.resize(
                    from + usize::try_from(piece.length()).unwrap_or_default(),
                    0,
                );
                let into = chunk.get_mut(from..).unwrap_or_default();
                let wanted = into.len();
                let read = storage.read_at(name, range.start, into);
                let short = || Err(io::ErrorKind::UnexpectedEof.into());
                read.and_then(|read| if read == wanted { Ok(()) } else { short() })
                    .map_err(|source| {
                        let place = storage.place();
                        ServerError::Record(RecordError::Storage { place, source })
                    })?;
            }
        }
    }
    Ok(chunk.into())
}

/// The memory that the heads of all excerpts may take which are being sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A part of it. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    pub(super) fn hold(&self, bytes: usize) -> Option<Held> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let held = Held {
            budget: self.clone(),
            bytes,
        };
        (before.saturating_add(bytes) <= MAX_HELD).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bytes of one read: what a client that stands still costs.
const CHUNK: u64 = 256 << 10;
/// Some hours of excerpts: an hour's head is 3 MB.
const MAX_HELD: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pieces: &[Piece]) -> Vec<Range<u64>> {
        let range = |piece: &Piece| match piece {
            Piece::Memory(bytes) => {
                let first = u64::from(bytes[0]);
                first..first + piece.length()
            }
            Piece::File(_, range) => range.clone(),
        };
        pieces.iter().map(range).collect()
    }

    #[test]
    fn any_range_of_pieces_is_those_bytes() {
        let name: Arc<str> = "f".into();
        let pieces = [
            Piece::Memory(Bytes::from_static(&[0, 1, 2, 3])),
            Piece::File(Arc::clone(&name), 4..6),
            Piece::File(name, 6..10),
        ];
        for start in 0..10 {
            for end in start + 1..=10 {
                let chosen = told(&sliced(&pieces, &(start..end)));
                let all: Vec<u64> = chosen.into_iter().flatten().collect();
                assert_eq!(all, (start..end).collect::<Vec<_>>());
            }
        }
        assert!(sliced(&pieces, &(5..5)).is_empty());
    }

    #[test]
    fn chunks_follow_each_other_without_a_gap() {
        let name: Arc<str> = "f".into();
        let pieces = (0..7).map(|n| Piece::File(Arc::clone(&name), n * 5..n * 5 + 5));
        let mut pieces: Vec<Piece> = pieces.collect();
        pieces.reverse();
        let mut state = State {
            left: pieces,
            reading: false,
            _held: None,
        };
        let mut at = 0;
        loop {
            let taken = told(&state.take(12));
            if taken.is_empty() {
                break;
            }
            for byte in taken.into_iter().flatten() {
                assert_eq!(byte, at);
                at += 1;
            }
        }
        assert_eq!(at, 35);
    }

    #[test]
    fn heads_of_excerpts_share_a_bound() {
        let budget = Budget::default();
        let first = budget.hold(MAX_HELD).unwrap();
        assert!(budget.hold(1).is_none());
        drop(first);
        assert!(budget.hold(1).is_some());
    }
}
