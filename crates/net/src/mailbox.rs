//! Bounded queues into a shard: commands from outside, datagrams that another shard received.

use std::error::Error;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::Waker;

/// A queue of at most `capacity` values (at least 1) to the shard that `waker` wakes.
///
/// At the cap a value is refused and given back, never an older one dropped.
pub fn channel<T>(capacity: usize, waker: Waker) -> (Mailbox<T>, Inbox<T>) {
    let (sender, receiver) = sync_channel(capacity.max(1));
    (Mailbox { sender, waker }, Inbox { receiver })
}

/// The sending end: any thread, any number of clones.
#[derive(Debug)]
pub struct Mailbox<T> {
    sender: SyncSender<T>,
    waker: Waker,
}

impl<T> Mailbox<T> {
    /// Queues `value` and wakes the owner if it sleeps. Never blocks.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] at the cap, [`SendError::Closed`] when the inbox is gone; both give
    /// the value back.
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        match self.sender.try_send(value) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(value)) => Err(SendError::Full(value)),
            Err(TrySendError::Disconnected(value)) => Err(SendError::Closed(value)),
        }
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            waker: self.waker.clone(),
        }
    }
}

/// The receiving end, which the shard owns.
#[derive(Debug)]
pub struct Inbox<T> {
    receiver: Receiver<T>,
}

impl<T> Inbox<T> {
    /// The oldest queued value; `None` when there is none now.
    ///
    /// A shard drains each inbox to `None` after each [`Driver::wait`](crate::Driver::wait); one
    /// that stops earlier passes a zero timeout to its next wait.
    pub fn try_recv(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// Why a [`Mailbox`] did not take a value, which comes back inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// The queue is at its cap; the value may be tried again or dropped.
    Full(T),
    /// The shard is gone; no value will ever be taken.
    Closed(T),
}

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the mailbox is full",
            Self::Closed(_) => "the mailbox's owner is gone",
        })
    }
}

impl<T: fmt::Debug> Error for SendError<T> {}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{Driver, thread};

    #[test]
    fn full_mailbox_gives_the_value_back() {
        let driver = Driver::new().unwrap();
        let (mailbox, mut inbox) = channel(2, driver.waker());
        assert_eq!(mailbox.try_send(1), Ok(()));
        assert_eq!(mailbox.try_send(2), Ok(()));
        assert_eq!(mailbox.try_send(3), Err(SendError::Full(3)));
        assert_eq!(inbox.try_recv(), Some(1));
        assert_eq!(mailbox.try_send(4), Ok(()));
        drop(inbox);
        assert_eq!(mailbox.try_send(5), Err(SendError::Closed(5)));
    }

    #[test]
    fn value_sent_before_the_wait_ends_it_at_once() {
        let mut driver = Driver::new().unwrap();
        let (mailbox, mut inbox) = channel(2, driver.waker());
        mailbox.try_send(1).unwrap();
        assert!(driver.wait(None).unwrap().woken);
        assert_eq!(inbox.try_recv(), Some(1));
        assert!(!driver.wait(Some(Duration::ZERO)).unwrap().woken);
    }

    #[test]
    fn no_value_is_ever_slept_through() {
        let mut driver = Driver::new().unwrap();
        let (mailbox, mut inbox) = channel(16, driver.waker());
        let senders: Vec<_> = (0..3)
            .map(|sender| {
                let mailbox = mailbox.clone();
                thread::spawn("sender", move || {
                    for number in 0..5_000 {
                        let mut value = (sender, number);
                        while let Err(SendError::Full(back)) = mailbox.try_send(value) {
                            value = back;
                            std::thread::yield_now();
                        }
                    }
                })
                .unwrap()
            })
            .collect();
        let mut next = [0; 3];
        while next.iter().sum::<i32>() < 15_000 {
            let asleep = Instant::now();
            let ready = driver.wait(Some(Duration::from_secs(10))).unwrap();
            assert!(
                ready.woken,
                "slept through a value for {:?}",
                asleep.elapsed()
            );
            while let Some((sender, number)) = inbox.try_recv() {
                assert_eq!(number, next[sender], "order of sender {sender}");
                next[sender] += 1;
            }
        }
        for sender in senders {
            sender.join().unwrap();
        }
    }
}
