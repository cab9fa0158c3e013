//! Waking a shard from another thread, with a system call only when the shard sleeps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Ends a shard's [`Driver::wait`](crate::Driver::wait) from any thread; cheap to clone.
///
/// While the shard is at work, waking costs one atomic swap; the next `wait` then returns at once.
#[derive(Debug, Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    poll: mio::Waker,
}

impl Waker {
    pub(crate) fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared {
                state: AtomicU8::new(AWAKE),
                poll: mio::Waker::new(registry, token)?,
            }),
        })
    }

    /// Makes the owner's current or next wait return with [`Ready::woken`](crate::Ready).
    ///
    /// What the caller wrote before is visible to the owner after that return.
    pub fn wake(&self) {
        let before = self.shared.state.swap(NOTIFIED, Ordering::AcqRel);
        if before == ASLEEP
            && let Err(error) = self.shared.poll.wake()
        {
            tracing::error!(%error, "cannot wake a shard");
        }
    }

    /// The owner is about to wait; `false` when it was notified since and must not sleep.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.shared
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The owner waited; whether somebody notified it since the last call.
    pub(crate) fn wake_up(&self) -> bool {
        self.shared.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

/// The owner is at work and has seen every notification so far.
const AWAKE: u8 = 0;
/// The owner is inside the poll, or a moment before it: a notification must end the poll.
const ASLEEP: u8 = 1;
/// Somebody wants the owner's attention and has seen to it that it comes.
const NOTIFIED: u8 = 2;
