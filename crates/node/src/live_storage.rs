//! Where recordings are kept: a folder, or what the application makes of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use sluice_server::stream::{AppendStorage, Appended, FsStorage, Storage, StoredEntry};

use crate::errors::{Code, Fault};
use crate::guard::guard;
use crate::teardown;
use crate::tracks::number;

/// A place for recordings.
#[napi]
pub struct NativeStorage {
    storage: Arc<dyn Storage>,
    asking: Option<Arc<JsStorage>>,
}

/// What a storage is asked to do.
#[napi(string_enum = "camelCase")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageAction {
    /// Add bytes at `start`, where the file ends.
    Append,
    /// Nothing more is added.
    Finish,
    /// Give the bytes from `start` to `end`.
    Read,
    /// Say what is in a folder.
    List,
    /// Remove a file.
    Remove,
}

/// A question to a storage of the application.
#[napi(object, object_from_js = false)]
pub struct StorageCall {
    /// What the answer is to name.
    pub number: f64,
    /// What to do.
    pub action: StorageAction,
    /// Which file or folder.
    pub name: String,
    /// From where.
    pub start: f64,
    /// To where.
    pub end: f64,
    /// What to add.
    pub bytes: Option<Buffer>,
}

/// A file or a folder.
#[napi(object, object_to_js = false)]
pub struct StorageEntry {
    /// Its plain name.
    pub name: String,
    /// Its length.
    pub bytes: f64,
}

/// What a storage of the application says.
#[napi(object, object_to_js = false)]
pub struct StorageAnswer {
    /// Why not.
    pub error: Option<String>,
    /// The system's word for it, where it has one.
    pub code: Option<String>,
    /// What was read.
    pub bytes: Option<Uint8Array>,
    /// What is there.
    pub entries: Option<Vec<StorageEntry>>,
}

#[napi]
impl NativeStorage {
    /// A folder of the file system.
    #[napi(factory, catch_unwind)]
    pub fn directory(path: String) -> Result<Self, Fault> {
        guard(|| match FsStorage::new(&path) {
            Ok(storage) => Ok(Self {
                storage: Arc::new(storage),
                asking: None,
            }),
            Err(error) => Err(Fault::new(
                Code::InvalidArgument,
                format!("directory {path:?}: {error}"),
            )),
        })
    }

    /// What the application makes: `listener` is asked, and answers by `answer` within so many milliseconds. It must
    /// not throw.
    #[napi(factory, catch_unwind)]
    pub fn asking(
        env: &Env,
        place: String,
        timeout_ms: u32,
        listener: Function<'_, StorageCall, ()>,
    ) -> napi::Result<Self> {
        let timeout = Duration::from_millis(timeout_ms.into());
        let asking = Arc::new(JsStorage::new(place, timeout, &listener)?);
        watch(env, &asking)?;
        Ok(Self {
            storage: Arc::new(Appended::new(Arc::clone(&asking))),
            asking: Some(asking),
        })
    }

    /// Answers a question; one that comes too late changes nothing.
    #[napi(catch_unwind)]
    pub fn answer(&self, call: f64, answer: StorageAnswer) {
        if let Some(asking) = &self.asking {
            asking.answer(whole(call), said(answer));
        }
    }
}

impl NativeStorage {
    pub(crate) fn place(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }
}

/// A storage in JavaScript, asked by threads that can wait.
pub(crate) struct JsStorage {
    place: String,
    timeout: Duration,
    ask: RwLock<Option<Ask>>,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, SyncSender<io::Result<Said>>>>,
}

/// An answer that other threads can have.
struct Said {
    bytes: Option<Vec<u8>>,
    entries: Option<Vec<StoredEntry>>,
}

struct Question {
    number: u64,
    action: StorageAction,
    name: String,
    range: Range<u64>,
    bytes: Vec<u8>,
}

type Ask = ThreadsafeFunction<Question, (), StorageCall, Status, false, true, QUEUE>;

impl JsStorage {
    fn new(
        place: String,
        timeout: Duration,
        listener: &Function<'_, StorageCall, ()>,
    ) -> napi::Result<Self> {
        let ask = listener
            .build_threadsafe_function::<Question>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<QUEUE>()
            .build_callback(|call| Ok(StorageCall::from(call.value)))?;
        Ok(Self {
            place,
            timeout,
            ask: RwLock::new(Some(ask)),
            next: AtomicU64::new(1),
            waiting: Mutex::default(),
        })
    }

    /// Ends asking for good, and lets go of those who wait. Afterwards no thread can touch this environment.
    fn end(&self) {
        let ask = self
            .ask
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(ask);
        self.lock().clear();
    }

    fn answer(&self, number: u64, answer: io::Result<Said>) {
        if let Some(waiting) = self.lock().remove(&number) {
            // There is room for one, and there is one.
            let _ = waiting.try_send(answer);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, SyncSender<io::Result<Said>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(
        &self,
        action: StorageAction,
        name: &str,
        range: Range<u64>,
        bytes: Vec<u8>,
    ) -> io::Result<Said> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = mpsc::sync_channel(1);
        self.lock().insert(number, sender);
        let question = Question {
            number,
            action,
            name: name.to_owned(),
            range,
            bytes,
        };
        let status = match &*self.ask.read().unwrap_or_else(PoisonError::into_inner) {
            Some(ask) => ask.call(question, ThreadsafeFunctionCallMode::NonBlocking),
            None => Status::Closing,
        };
        let answered = match status {
            Status::Ok => receiver.recv_timeout(self.timeout),
            // A program that takes no question does not answer either.
            Status::QueueFull => Err(RecvTimeoutError::Timeout),
            _ => Err(RecvTimeoutError::Disconnected),
        };
        self.lock().remove(&number);
        answered.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(io::ErrorKind::TimedOut.into()),
            RecvTimeoutError::Disconnected => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }
}

impl AppendStorage for JsStorage {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn append(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        let asked = self.ask(StorageAction::Append, name, offset..end, bytes.to_vec());
        asked.map(drop)
    }

    fn finish(&self, name: &str) -> io::Result<()> {
        self.ask(StorageAction::Finish, name, 0..0, Vec::new())
            .map(drop)
    }

    fn read(&self, name: &str, range: Range<u64>) -> io::Result<Vec<u8>> {
        let answer = self.ask(StorageAction::Read, name, range, Vec::new())?;
        Ok(answer.bytes.ok_or(io::ErrorKind::InvalidData)?)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<StoredEntry>> {
        let answer = self.ask(StorageAction::List, folder, 0..0, Vec::new())?;
        Ok(answer.entries.ok_or(io::ErrorKind::InvalidData)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.ask(StorageAction::Remove, name, 0..0, Vec::new()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            asked => asked.map(drop),
        }
    }
}

impl fmt::Debug for JsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsStorage")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl From<Question> for StorageCall {
    fn from(question: Question) -> Self {
        let adds = question.action == StorageAction::Append;
        Self {
            number: number(question.number),
            action: question.action,
            name: question.name,
            start: number(question.range.start),
            end: number(question.range.end),
            bytes: adds.then(|| question.bytes.into()),
        }
    }
}

thread_local! {
    /// Those of the environment of this thread.
    static ASKING: RefCell<Vec<Weak<JsStorage>>> = const { RefCell::new(Vec::new()) };
}

fn watch(env: &Env, asking: &Arc<JsStorage>) -> napi::Result<()> {
    teardown::hook(env)?;
    ASKING.with_borrow_mut(|all| {
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(asking));
    });
    Ok(())
}

/// Cuts the way of every storage into the dying environment.
pub(crate) fn end_all() {
    for asking in ASKING.take().iter().filter_map(Weak::upgrade) {
        asking.end();
    }
}

fn said(answer: StorageAnswer) -> io::Result<Said> {
    if let Some(why) = answer.error {
        return Err(io::Error::new(
            kind(answer.code.as_deref().unwrap_or_default()),
            why,
        ));
    }
    let entry = |entry: StorageEntry| StoredEntry {
        name: entry.name,
        bytes: whole(entry.bytes),
    };
    Ok(Said {
        bytes: answer.bytes.map(|bytes| bytes.to_vec()),
        entries: answer
            .entries
            .map(|entries| entries.into_iter().map(entry).collect()),
    })
}

/// What Node's file system calls it.
fn kind(code: &str) -> io::ErrorKind {
    match code {
        "ENOENT" => io::ErrorKind::NotFound,
        "ENOSPC" => io::ErrorKind::StorageFull,
        "EDQUOT" => io::ErrorKind::QuotaExceeded,
        "EACCES" | "EPERM" => io::ErrorKind::PermissionDenied,
        "EROFS" => io::ErrorKind::ReadOnlyFilesystem,
        _ => io::ErrorKind::Other,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the facade has checked it; what it has not saturates"
)]
fn whole(given: f64) -> u64 {
    given as u64
}

/// Questions on their way: more threads never ask one storage at once.
const QUEUE: usize = 64;
