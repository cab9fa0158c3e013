//! What a shard holds of a recording: parts go in at once or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;

use bytes::Bytes;

use super::writer::Order;

/// The way of one recording's parts to the writer, bounded by what it may have under way.
///
/// Dropping it ends the recording.
#[derive(Debug)]
pub(crate) struct Tape {
    pub(super) number: u64,
    pub(super) orders: Sender<Order>,
    pub(super) credit: Credit,
}

/// The part that comes with it is the first of a new file.
#[derive(Debug, Clone)]
pub(crate) struct Begin {
    /// The init segment.
    pub(crate) init: Bytes,
    /// Wall-clock time of the part, milliseconds since 1970.
    pub(crate) start_ms: i64,
}

impl Tape {
    /// Hands a part to the writer. False: the storage is too far behind, and nothing was taken.
    pub(crate) fn try_write(&self, begin: Option<&Begin>, part: &Bytes) -> bool {
        let bytes = part.len() + begin.map_or(0, |begin| begin.init.len()) + OVERHEAD;
        let Some(lent) = self.credit.lend(bytes) else {
            return false;
        };
        let order = Order::Write {
            number: self.number,
            begin: begin.cloned(),
            part: part.clone(),
            lent,
        };
        // A writer that is gone has told so, or the server is closing.
        self.orders.send(order).is_ok()
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        let number = self.number;
        // No writer, nothing to end.
        let _ = self.orders.send(Order::Close { number });
    }
}

/// What may be under way: of one recording, and of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Credit {
    own: Arc<AtomicUsize>,
    all: Arc<AtomicUsize>,
}

impl Credit {
    pub(super) fn new(all: &Arc<AtomicUsize>) -> Self {
        Self {
            own: Arc::default(),
            all: Arc::clone(all),
        }
    }

    fn lend(&self, bytes: usize) -> Option<Lent> {
        let own = self.own.fetch_add(bytes, Ordering::Relaxed);
        let all = self.all.fetch_add(bytes, Ordering::Relaxed);
        let lent = Lent {
            credit: self.clone(),
            bytes,
        };
        // The first one always goes, however large a part may be.
        let fits = own == 0 || own + bytes <= MAX_OWN;
        (fits && all + bytes <= MAX_ALL).then_some(lent)
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent {
    credit: Credit,
    bytes: usize,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.credit.own.fetch_sub(self.bytes, Ordering::Relaxed);
        self.credit.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What an order costs besides its bytes.
const OVERHEAD: usize = 256;
/// Bytes of one recording that wait: 16 s at 8 Mbit/s.
pub(super) const MAX_OWN: usize = 16 << 20;
/// Bytes of all recordings that wait.
const MAX_ALL: usize = 256 << 20;
