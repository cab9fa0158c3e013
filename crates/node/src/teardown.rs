//! The end of a Node environment: of the process, or of a worker thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use napi::Env;
use sluice_server::Server;

use crate::live_storage;
use crate::sink::JsSink;

/// A server and its way into JavaScript.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) sink: Arc<JsSink>,
}

impl Drop for Running {
    /// Runs on the JavaScript thread, in a finalizer: it signals and does not wait.
    fn drop(&mut self) {
        self.sink.end();
        self.server.begin_close();
    }
}

thread_local! {
    /// What runs in the environment of this thread. Weak: the handles in JavaScript own it.
    static RUNNING: RefCell<Vec<Weak<Running>>> = const { RefCell::new(Vec::new()) };
    static HOOKED: Cell<bool> = const { Cell::new(false) };
}

/// Has `running` closed when the environment ends.
pub(crate) fn watch(env: &Env, running: &Arc<Running>) -> napi::Result<()> {
    hook(env)?;
    RUNNING.with_borrow_mut(|all| {
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(running));
    });
    Ok(())
}

/// Has what this thread's environment owns ended with it.
pub(crate) fn hook(env: &Env) -> napi::Result<()> {
    if !HOOKED.get() {
        env.add_env_cleanup_hook((), |()| end_all())?;
        HOOKED.set(true);
    }
    Ok(())
}

/// Cuts every sink first, so that no thread can call into the dying environment, then gives the
/// shard threads a moment to say goodbye to their peers.
fn end_all() {
    HOOKED.set(false);
    live_storage::end_all();
    let all: Vec<_> = RUNNING.take().iter().filter_map(Weak::upgrade).collect();
    for running in &all {
        running.sink.end();
        running.server.begin_close();
    }
    let deadline = Instant::now() + PATIENCE;
    for running in &all {
        wait(running.server.close(), deadline);
    }
}

/// Polls on this thread; there is no runtime left to do it.
fn wait(future: impl Future, deadline: Instant) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    while future
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// How long a dying environment waits for the shard threads.
const PATIENCE: Duration = Duration::from_secs(2);
