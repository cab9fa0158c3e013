//! The threads that read recordings for whoever plays them: a few for each storage.
//!
//! One that hangs holds up its own players alone; who comes when too many wait is told so.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_net::thread;

use crate::error::ServerError;

/// Where reading is asked for. Threads are started as they are needed and end when they are not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readers(Arc<Mutex<HashMap<String, Arc<Desk>>>>);

/// The work for one storage.
#[derive(Default)]
struct Desk {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

type Job = Box<dyn FnOnce() + Send>;

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Readers {
    /// Has `job` run on a thread of this place.
    ///
    /// # Errors
    /// [`ServerError::Busy`] when too many wait there, or there are too many places at once.
    pub(crate) fn post(
        &self,
        place: &str,
        job: impl FnOnce() + Send + 'static,
    ) -> Result<(), ServerError> {
        let desk = self.desk(place)?;
        let mut queue = desk.lock();
        if queue.jobs.len() >= MAX_JOBS {
            return Err(ServerError::Busy);
        }
        queue.jobs.push_back(Box::new(job));
        if queue.idle >= queue.jobs.len() || queue.threads >= MAX_THREADS {
            desk.changed.notify_one();
            return Ok(());
        }
        queue.threads += 1;
        drop(queue);
        let own = Arc::clone(&desk);
        if let Err(error) = thread::spawn("sluice-playback", move || own.run()) {
            let mut queue = desk.lock();
            queue.threads -= 1;
            // Where others run, one of them takes it.
            if queue.threads == 0 {
                queue.jobs.clear();
                return Err(ServerError::Internal(error.to_string()));
            }
        }
        Ok(())
    }

    fn desk(&self, place: &str) -> Result<Arc<Desk>, ServerError> {
        let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(place) {
            return Ok(Arc::clone(desk));
        }
        if desks.len() >= MAX_PLACES {
            desks.retain(|_, desk| desk.lock().threads > 0);
        }
        if desks.len() >= MAX_PLACES {
            return Err(ServerError::Busy);
        }
        let desk = Arc::<Desk>::default();
        desks.insert(place.to_owned(), Arc::clone(&desk));
        Ok(desk)
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.lock();
                continue;
            }
            queue.idle += 1;
            let waited = self.changed.wait_timeout(queue, IDLE);
            let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = back;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

/// Threads of one storage: what hides the latency of one that is far away.
const MAX_THREADS: usize = 4;
/// Storages that are played from at once.
const MAX_PLACES: usize = 16;
/// Requests that wait for one storage.
const MAX_JOBS: usize = 1024;
/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_storage_that_hangs_holds_up_its_own_players_alone() {
        let readers = Readers::default();
        let (release, waiting) = mpsc::channel::<()>();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut taken = 0;
        while readers
            .post("hung", {
                let waiting = Arc::clone(&waiting);
                move || {
                    let _ = waiting.lock().unwrap().recv();
                }
            })
            .is_ok()
        {
            taken += 1;
        }
        // Those that wait, and those that a thread has taken by now.
        assert!((MAX_JOBS..=MAX_JOBS + MAX_THREADS).contains(&taken));
        let (tell, told) = mpsc::channel();
        readers
            .post("other", move || tell.send(()).unwrap())
            .unwrap();
        told.recv().unwrap();
        drop(release);
    }

    #[test]
    fn places_are_bounded_and_forgotten() {
        let readers = Readers::default();
        for place in 0..MAX_PLACES {
            let (tell, told) = mpsc::channel();
            let job = move || tell.send(()).unwrap();
            readers.post(&place.to_string(), job).unwrap();
            told.recv().unwrap();
        }
        assert!(matches!(
            readers.post("more", || ()),
            Err(ServerError::Busy)
        ));
        for desk in readers.0.lock().unwrap().values() {
            // As after a while without work.
            let is_idle = |queue: MutexGuard<'_, Queue>| queue.idle == queue.threads;
            while !is_idle(desk.lock()) {
                std::thread::yield_now();
            }
            desk.lock().threads = 0;
        }
        readers.post("more", || ()).unwrap();
    }
}
