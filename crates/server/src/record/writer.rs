//! The threads that write recordings: one for each place, started with its first and ended with its last.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sluice_media::StreamKey;
use sluice_mux::MuxError;
use sluice_net::thread;
use tokio::sync::watch;

use super::archive::{Archive, Keep};
use super::copy::Copying;
use super::error::RecordError;
use super::index::RecordedFile;
use super::storage::Storage;
use super::take::{Finish, Take};
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

/// Where tapes come from: a thread for each place that is recorded to, up to a bound.
///
/// A storage that hangs holds up its own recordings, not those of others. Beyond the bound places share threads.
pub(crate) struct Writer {
    desks: Desks,
    all: Arc<AtomicUsize>,
    /// Counts the threads that the server waits for when it closes.
    running: watch::Sender<usize>,
}

/// The threads by number; none any more when it is closed.
type Desks = Arc<Mutex<Option<Vec<Desk>>>>;

/// A thread and what it writes.
struct Desk {
    number: u64,
    orders: Sender<Order>,
    /// Recordings by place.
    places: HashMap<String, usize>,
    life: Arc<Life>,
}

/// Whether a thread still runs, and does something.
struct Life {
    steps: AtomicU64,
    counted: AtomicBool,
    running: watch::Sender<usize>,
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
    finishing: Finishing,
    listener: Listener,
    take: Option<Take>,
    init: Bytes,
    files: Vec<RecordedFile>,
    /// Finished files in the making, the oldest first.
    copies: VecDeque<Box<Copying>>,
    failed: bool,
    /// Nothing more comes.
    closed: bool,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("archive", &self.archive)
            .finish_non_exhaustive()
    }
}

/// What becomes of a recording's files.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Finishing {
    pub(crate) keep: Keep,
    /// Their index stands in front.
    pub(crate) front: bool,
}

impl Writer {
    pub(crate) fn new(running: watch::Sender<usize>) -> Self {
        Self {
            desks: Arc::new(Mutex::new(Some(Vec::new()))),
            all: Arc::default(),
            running,
        }
    }

    /// Begins a recording; starts a thread where there is none.
    pub(crate) fn tape(
        &self,
        storage: Arc<dyn Storage>,
        key: &StreamKey,
        finishing: Finishing,
        listener: Listener,
    ) -> Result<Tape, ServerError> {
        let place = storage.place();
        let mut open = lock(&self.desks);
        let desks = open.as_mut().ok_or(ServerError::Closed)?;
        let desk = self.desk(desks, &place)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let recording = Recording {
            archive: Archive::new(storage, key),
            finishing,
            listener,
            take: None,
            init: Bytes::new(),
            files: Vec::new(),
            copies: VecDeque::new(),
            failed: false,
            closed: false,
        };
        let order = Order::Open {
            number,
            recording: Box::new(recording),
        };
        desk.orders.send(order).map_err(|_| ServerError::Closed)?;
        *desk.places.entry(place).or_default() += 1;
        Ok(Tape {
            number,
            orders: desk.orders.clone(),
            credit: Credit::new(&self.all),
        })
    }

    /// Takes no more recordings. Threads end when those that run have ended; one whose storage does nothing for
    /// [`PATIENCE`] is not waited for any longer: what it has written is a journal, and finished another time.
    pub(crate) fn close(&self) {
        let desks = lock(&self.desks).take().unwrap_or_default();
        let lives: Vec<Arc<Life>> = desks.into_iter().map(|desk| desk.life).collect();
        if lives.is_empty() {
            return;
        }
        // Without it the server waits as long as the storage takes.
        let watching = thread::spawn("sluice-closing", move || watch(lives));
        if let Err(error) = watching {
            tracing::warn!(%error, "nobody watches over the end of recordings");
        }
    }

    fn desk<'a>(&self, desks: &'a mut Vec<Desk>, place: &str) -> Result<&'a mut Desk, ServerError> {
        let known = desks
            .iter()
            .position(|desk| desk.places.contains_key(place));
        let index = match known {
            Some(index) => index,
            None if desks.len() < MAX_THREADS => {
                desks.push(self.start()?);
                desks.len() - 1
            }
            None => {
                let load = |desk: &Desk| desk.places.values().sum::<usize>();
                let least = desks.iter().enumerate().min_by_key(|(_, desk)| load(desk));
                least.map_or(0, |(index, _)| index)
            }
        };
        desks.get_mut(index).ok_or(ServerError::Closed)
    }

    fn start(&self) -> Result<Desk, ServerError> {
        let (orders, waiting) = mpsc::channel();
        self.running.send_modify(|running| *running += 1);
        let life = Arc::new(Life {
            steps: AtomicU64::new(0),
            counted: AtomicBool::new(true),
            running: self.running.clone(),
        });
        let ended = Ended(Arc::clone(&life));
        let (number, desks) = (
            NEXT.fetch_add(1, Ordering::Relaxed),
            Arc::clone(&self.desks),
        );
        thread::spawn("sluice-record", move || {
            run(&waiting, &ended.0, &|place| leave(&desks, number, place));
            drop(ended);
        })
        .map_err(|error| ServerError::Internal(error.to_string()))?;
        Ok(Desk {
            number,
            orders,
            places: HashMap::new(),
            life,
        })
    }
}

fn lock(desks: &Desks) -> MutexGuard<'_, Option<Vec<Desk>>> {
    desks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A recording of this place is over; the thread of a desk without any ends.
fn leave(desks: &Desks, number: u64, place: &str) {
    let mut open = lock(desks);
    let Some(desks) = open.as_mut() else {
        return;
    };
    desks.retain_mut(|desk| {
        if desk.number == number
            && let Some(count) = desk.places.get_mut(place)
        {
            *count -= 1;
            if *count == 0 {
                desk.places.remove(place);
            }
        }
        desk.number != number || !desk.places.is_empty()
    });
}

/// Counts out those threads that do nothing any more.
fn watch(lives: Vec<Arc<Life>>) {
    let mut seen: Vec<(Arc<Life>, u64, Duration)> = lives
        .into_iter()
        .map(|life| (life, u64::MAX, Duration::ZERO))
        .collect();
    while !seen.is_empty() {
        std::thread::sleep(LOOK);
        seen.retain_mut(|(life, before, still)| {
            let steps = life.steps.load(Ordering::Relaxed);
            *still = if steps == *before {
                still.saturating_add(LOOK)
            } else {
                Duration::ZERO
            };
            *before = steps;
            if *still >= PATIENCE {
                tracing::warn!("a storage does not answer: its recordings stay journals");
                life.end();
            }
            life.counted.load(Ordering::Acquire)
        });
    }
}

impl Life {
    fn end(&self) {
        if self.counted.swap(false, Ordering::AcqRel) {
            let count_out = |running: &mut usize| *running = running.saturating_sub(1);
            self.running.send_modify(count_out);
        }
    }
}

/// Tells that the thread is over, however it ended.
struct Ended(Arc<Life>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn run(orders: &Receiver<Order>, life: &Life, leave: &dyn Fn(&str)) {
    let mut recordings: HashMap<u64, Recording> = HashMap::new();
    loop {
        life.steps.fetch_add(1, Ordering::Relaxed);
        let copying = recordings
            .iter()
            .find(|(_, recording)| !recording.copies.is_empty())
            .map(|(number, _)| *number);
        let order = if copying.is_some() {
            // Parts go first; a slice of a copy between them.
            orders.try_recv().ok()
        } else {
            match orders.recv() {
                Ok(order) => Some(order),
                Err(_) => break,
            }
        };
        match order {
            Some(Order::Open { number, recording }) => {
                if let Err(error) = recording.archive.recover() {
                    tracing::warn!(%error, "what a crash left behind could not be looked for");
                }
                recordings.insert(number, *recording);
            }
            Some(Order::Write {
                number,
                begin,
                part,
                lent,
            }) => {
                if let Some(recording) = recordings.get_mut(&number) {
                    recording.handle_part(begin, &part);
                }
                drop(lent);
            }
            Some(Order::Close { number }) => {
                if let Some(recording) = recordings.get_mut(&number) {
                    recording.close();
                    if recording.copies.is_empty() {
                        end(&mut recordings, number, leave);
                    }
                }
            }
            None => {}
        }
        if let Some(number) = copying
            && let Some(recording) = recordings.get_mut(&number)
        {
            recording.copy();
            if recording.closed && recording.copies.is_empty() {
                end(&mut recordings, number, leave);
            }
        }
    }
    // Every tape is gone, and each has closed its recording.
    debug_assert!(recordings.is_empty());
}

fn end(recordings: &mut HashMap<u64, Recording>, number: u64, leave: &dyn Fn(&str)) {
    if let Some(recording) = recordings.remove(&number) {
        let place = recording.archive.storage().place();
        (recording.listener)(Told::Closed(recording.files));
        leave(&place);
    }
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
        match take.finish(&self.archive, self.finishing.front)? {
            Finish::Empty => Ok(()),
            Finish::Done(file) => self.finished(file),
            Finish::Copying(copying) => {
                self.copies.push_back(copying);
                Ok(())
            }
        }
    }

    fn finished(&mut self, file: RecordedFile) -> Result<(), RecordError> {
        if self.files.len() >= MAX_FILES {
            self.files.remove(0);
        }
        self.files.push(file);
        let kept = self.archive.retain(self.finishing.keep);
        kept.map_err(|error| self.archive.failed(error))
    }

    /// A slice of the oldest copy.
    fn copy(&mut self) {
        let Some(mut copying) = self.copies.pop_front() else {
            return;
        };
        let outcome = match copying.step(&self.archive) {
            Ok(false) => return self.copies.push_front(copying),
            Ok(true) => copying
                .end(&self.archive)
                .and_then(|file| self.finished(file)),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if self.failed => {
                if error.is_silent() {
                    self.copies.clear();
                }
                tracing::warn!(%error, "a recording stays a journal");
            }
            Err(error) => self.fail(error),
            Ok(()) => {}
        }
    }

    fn fail(&mut self, error: RecordError) {
        self.failed = true;
        let silent = error.is_silent();
        (self.listener)(Told::Failed(Arc::new(error)));
        if silent {
            // Each further question would wait as long.
            self.take = None;
            self.copies.clear();
            return;
        }
        let trimmed = self.take.as_mut().and_then(|take| take.trim(&self.archive));
        // A full disk may have room for an index still. If not, the journal is finished another time.
        let finished = self.finish_take();
        if let Some(error) = trimmed.or(finished.err()) {
            tracing::warn!(%error, "a recording stays a journal");
        }
    }

    fn close(&mut self) {
        self.closed = true;
        if !self.failed
            && let Err(error) = self.finish_take()
        {
            self.fail(error);
        }
    }
}

/// Files that the end of a recording tells of; of more, the newest. All are in the index.
const MAX_FILES: usize = 10_000;
/// Threads that write at once. Each holds a few files open.
const MAX_THREADS: usize = 16;
/// How long a storage may do nothing while the server closes.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
const LOOK: Duration = Duration::from_millis(50);
/// Numbers of recordings and threads.
static NEXT: AtomicU64 = AtomicU64::new(1);
