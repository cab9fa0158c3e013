//! The one way from shard threads into JavaScript.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use sluice_server::{Event, EventSink, Undelivered};

use crate::events::{Delivery, deliveries};

/// Hands batches to one JavaScript function, without ever waiting for it.
///
/// The thread-safe function is weak: events alone do not keep a process alive.
pub(crate) struct JsSink(RwLock<Option<Batches>>);

/// A batch that either side can take: on a refusal the shard takes it back.
type Parcel = Arc<Mutex<Vec<Event>>>;

type Batches = ThreadsafeFunction<Parcel, (), Vec<Delivery>, Status, false, true, QUEUE>;

impl JsSink {
    /// Delivers to `listener`, which must not throw: a throw there ends the process.
    pub(crate) fn new(listener: &Function<'_, Vec<Delivery>, ()>) -> napi::Result<Self> {
        let batches = listener
            .build_threadsafe_function::<Parcel>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<QUEUE>()
            .build_callback(|call| Ok(deliveries(open(&call.value))))?;
        Ok(Self(RwLock::new(Some(batches))))
    }

    /// Ends delivery for good. Afterwards no shard thread can touch this environment.
    pub(crate) fn end(&self) {
        let batches = self
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(batches);
    }
}

impl EventSink for JsSink {
    fn try_deliver(&self, batch: Vec<Event>) -> Result<(), Undelivered> {
        let gate = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(batches) = gate.as_ref() else {
            return Err(Undelivered::Closed);
        };
        let parcel = Parcel::new(Mutex::new(batch));
        match batches.call(Arc::clone(&parcel), ThreadsafeFunctionCallMode::NonBlocking) {
            Status::Ok => Ok(()),
            Status::QueueFull => Err(Undelivered::Full(open(&parcel))),
            _ => Err(Undelivered::Closed),
        }
    }
}

fn open(parcel: &Parcel) -> Vec<Event> {
    std::mem::take(&mut *parcel.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Batches between a shard and JavaScript. Few: beyond them events wait in the shard's own queue,
/// where a newer state replaces an older one.
const QUEUE: usize = 16;
