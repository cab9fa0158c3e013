//! The thread that writes recordings: one per server, started with the first.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sluice_media::StreamKey;
use sluice_mux::MuxError;
use sluice_net::thread;
use tokio::sync::watch;

use super::archive::{Archive, Keep};
use super::error::RecordError;
use super::index::RecordedFile;
use super::storage::Storage;
use super::take::Take;
use super::tape::{Begin, Credit, Lent, Tape};
use crate::error::ServerError;

/// What the writer tells of a recording, from its own thread.
#[derive(Debug)]
pub(crate) enum Told {
    /// Nothing more is written. `Closed` follows when the tape is dropped.
    Failed(Arc<RecordError>),
    /// It is over, and these are its files.
    Closed(Vec<RecordedFile>),
}

/// Takes what the writer tells.
pub(crate) type Listener = Box<dyn Fn(Told) + Send>;

/// Where tapes come from.
pub(crate) struct Writer {
    orders: Mutex<Open>,
    all: Arc<AtomicUsize>,
    /// Counts the threads that the server waits for when it closes.
    running: watch::Sender<usize>,
}

enum Open {
    NotYet,
    Running(Sender<Order>, u64),
    Closed,
}

/// What the thread is to do. Parts are bounded by their credit, the others by the number of recordings.
#[derive(Debug)]
pub(super) enum Order {
    Open {
        number: u64,
        recording: Box<Recording>,
    },
    Write {
        number: u64,
        begin: Option<Begin>,
        part: Bytes,
        lent: Lent,
    },
    Close {
        number: u64,
    },
}

/// A recording as the thread has it.
pub(super) struct Recording {
    archive: Archive,
    keep: Keep,
    listener: Listener,
    take: Option<Take>,
    init: Bytes,
    files: Vec<RecordedFile>,
    failed: bool,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(running: watch::Sender<usize>) -> Self {
        Self {
            orders: Mutex::new(Open::NotYet),
            all: Arc::default(),
            running,
        }
    }

    /// Begins a recording; starts the thread when there is none.
    pub(crate) fn tape(
        &self,
        storage: Arc<dyn Storage>,
        key: &StreamKey,
        keep: Keep,
        listener: Listener,
    ) -> Result<Tape, ServerError> {
        let mut open = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*open, Open::NotYet) {
            *open = Open::Running(self.start()?, 0);
        }
        let Open::Running(orders, count) = &mut *open else {
            return Err(ServerError::Closed);
        };
        *count += 1;
        let tape = Tape {
            number: *count,
            orders: orders.clone(),
            credit: Credit::new(&self.all),
        };
        let recording = Recording {
            archive: Archive::new(storage, key),
            keep,
            listener,
            take: None,
            init: Bytes::new(),
            files: Vec::new(),
            failed: false,
        };
        let order = Order::Open {
            number: tape.number,
            recording: Box::new(recording),
        };
        orders.send(order).map_err(|_| ServerError::Closed)?;
        Ok(tape)
    }

    /// Takes no more recordings. The thread ends when those that run have ended.
    pub(crate) fn close(&self) {
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Open::Closed;
    }

    fn start(&self) -> Result<Sender<Order>, ServerError> {
        let (orders, waiting) = mpsc::channel();
        self.running.send_modify(|running| *running += 1);
        let ended = Ended(self.running.clone());
        thread::spawn("sluice-record", move || {
            run(&waiting);
            drop(ended);
        })
        .map_err(|error| ServerError::Internal(error.to_string()))?;
        Ok(orders)
    }
}

/// Tells that the thread is over, however it ended.
struct Ended(watch::Sender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0
            .send_modify(|running| *running = running.saturating_sub(1));
    }
}

fn run(orders: &Receiver<Order>) {
    let mut recordings: HashMap<u64, Recording> = HashMap::new();
    while let Ok(order) = orders.recv() {
        match order {
            Order::Open { number, recording } => {
                if let Err(error) = recording.archive.recover() {
                    tracing::warn!(%error, "what a crash left behind could not be looked for");
                }
                recordings.insert(number, *recording);
            }
            Order::Write {
                number,
                begin,
                part,
                lent,
            } => {
                if let Some(recording) = recordings.get_mut(&number) {
                    recording.handle_part(begin, &part);
                }
                drop(lent);
            }
            Order::Close { number } => {
                if let Some(recording) = recordings.remove(&number) {
                    recording.close();
                }
            }
        }
    }
    // Every tape is gone, and each has closed its recording.
    debug_assert!(recordings.is_empty());
}

impl Recording {
    fn handle_part(&mut self, begin: Option<Begin>, part: &[u8]) {
        if self.failed {
            return;
        }
        if let Err(error) = self.write(begin, part) {
            self.fail(error);
        }
    }

    fn write(&mut self, begin: Option<Begin>, part: &[u8]) -> Result<(), RecordError> {
        let mut start_ms = 0;
        if let Some(begin) = begin {
            self.finish_take()?;
            (self.init, start_ms) = (begin.init, begin.start_ms);
            self.take = Some(Take::begin(&self.archive, &self.init, start_ms)?);
        }
        let Some(take) = &mut self.take else {
            return Ok(());
        };
        match take.append(&self.archive, part) {
            // More samples than the index of one file may hold, after a day and more.
            Err(RecordError::Mux(MuxError::OverBudget)) => {
                self.finish_take()?;
                let mut take = Take::begin(&self.archive, &self.init, start_ms)?;
                take.append(&self.archive, part)?;
                self.take = Some(take);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn finish_take(&mut self) -> Result<(), RecordError> {
        let Some(take) = self.take.take() else {
            return Ok(());
        };
        if let Some(file) = take.finish(&self.archive)? {
            if self.files.len() >= MAX_FILES {
                self.files.remove(0);
            }
            self.files.push(file);
            let kept = self.archive.retain(self.keep);
            kept.map_err(|error| self.archive.failed(error))?;
        }
        Ok(())
    }

    fn fail(&mut self, error: RecordError) {
        self.failed = true;
        (self.listener)(Told::Failed(Arc::new(error)));
        let trimmed = self.take.as_mut().and_then(|take| take.trim(&self.archive));
        // A full disk may have room for an index still. If not, the journal is finished another time.
        let finished = self.finish_take();
        if let Some(error) = trimmed.or(finished.err()) {
            tracing::warn!(%error, "a recording stays a journal");
        }
    }

    fn close(mut self) {
        if !self.failed
            && let Err(error) = self.finish_take()
        {
            self.fail(error);
        }
        (self.listener)(Told::Closed(self.files));
    }
}

/// Files that the end of a recording tells of; of more, the newest. All are in the index.
const MAX_FILES: usize = 10_000;
