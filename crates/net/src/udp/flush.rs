//! What becomes of runs that the kernel refuses.

use std::io;
use std::net::SocketAddr;

use super::UdpCounters;
use super::gso::Queued;
use super::transmit::{is_no_room, may_blame_gso};

/// The way out: a socket, or a test's idea of one.
pub(crate) trait Transmit<'a> {
    /// Sends `run` in one system call, all of it or nothing.
    fn transmit(&mut self, run: &'a [Queued]) -> io::Result<()>;

    /// Makes every later run a single packet; `true` if that was not so already.
    fn disable_gso(&mut self) -> bool;
}

/// One flush of a queue: sends runs, falls back, counts.
pub(crate) struct Flush<T> {
    pub(crate) way: T,
    pub(crate) counters: UdpCounters,
    /// The last error that was not for want of room, and whose packet it met.
    pub(crate) last_error: Option<(io::Error, SocketAddr)>,
    /// A full buffer is tried again once, and not again before the next flush.
    retry: bool,
}

impl<'a, T: Transmit<'a>> Flush<T> {
    pub(crate) fn new(way: T) -> Self {
        Self {
            way,
            counters: UdpCounters::default(),
            last_error: None,
            retry: true,
        }
    }

    /// Sends `run` at once; where the kernel refuses it as a run, packet by packet.
    pub(crate) fn send(&mut self, run: &'a [Queued]) {
        let Err(error) = self.transmit(run) else {
            return;
        };
        if run.len() == 1 || is_no_room(&error) {
            self.give_up(run, error);
            return;
        }
        let blame = may_blame_gso(&error);
        for (index, packet) in run.iter().enumerate() {
            let single = std::slice::from_ref(packet);
            match self.transmit(single) {
                // A first packet that passes alone shows that the run was refused for being one,
                // not for its size or destination.
                Ok(()) if index == 0 && blame => {
                    if self.way.disable_gso() {
                        self.counters.gso_disabled += 1;
                        tracing::warn!(%error, "GSO refused; one datagram per call from now on");
                    }
                }
                Ok(()) => {}
                Err(error) => self.give_up(single, error),
            }
        }
    }

    fn transmit(&mut self, run: &'a [Queued]) -> io::Result<()> {
        self.counters.send_calls += 1;
        let mut sent = self.way.transmit(run);
        if self.retry && sent.as_ref().is_err_and(is_no_room) {
            self.retry = false;
            std::thread::yield_now();
            self.counters.send_calls += 1;
            sent = self.way.transmit(run);
        }
        sent?;
        let bytes: usize = run.iter().map(|packet| packet.contents.len()).sum();
        self.counters.datagrams_out += run.len() as u64;
        self.counters.bytes_out += bytes as u64;
        self.counters.gso_runs += u64::from(run.len() > 1);
        Ok(())
    }

    fn give_up(&mut self, run: &[Queued], error: io::Error) {
        let dropped = run.len() as u64;
        if is_no_room(&error) {
            self.counters.would_block_dropped += dropped;
        } else {
            self.counters.send_errors += dropped;
            self.last_error = run.first().map(|packet| (error, packet.destination));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use nix::errno::Errno;

    use super::*;

    /// A kernel that answers calls from a list, then takes everything.
    struct Kernel {
        answers: Vec<Option<Errno>>,
        took: Vec<usize>,
        gso: bool,
    }

    impl Transmit<'_> for Kernel {
        fn transmit(&mut self, run: &[Queued]) -> io::Result<()> {
            let listed = !self.answers.is_empty();
            if let Some(errno) = listed.then(|| self.answers.remove(0)).flatten() {
                return Err(errno.into());
            }
            self.took.push(run.len());
            Ok(())
        }

        fn disable_gso(&mut self) -> bool {
            std::mem::replace(&mut self.gso, false)
        }
    }

    fn sent_to(answers: &[Option<Errno>], len: usize) -> Flush<Kernel> {
        let run: Vec<_> = (0..len)
            .map(|_| Queued {
                destination: (Ipv4Addr::LOCALHOST, 9).into(),
                source: None,
                contents: vec![0; 100],
            })
            .collect();
        let way = Kernel {
            answers: answers.to_vec(),
            took: Vec::new(),
            gso: true,
        };
        let mut flush = Flush::new(way);
        let run: &[Queued] = &run;
        flush.send(run);
        flush
    }

    #[test]
    fn run_refused_as_a_run_goes_singly_and_switches_gso_off() {
        for refusal in [Errno::EIO, Errno::EINVAL] {
            let flush = sent_to(&[Some(refusal)], 3);
            assert_eq!(flush.way.took, [1, 1, 1]);
            assert!(!flush.way.gso);
            assert_eq!(flush.counters.gso_disabled, 1);
            assert_eq!(
                (flush.counters.datagrams_out, flush.counters.send_errors),
                (3, 0)
            );
        }
    }

    #[test]
    fn packets_that_fail_alone_too_are_not_the_fault_of_gso() {
        let too_long = Some(Errno::EMSGSIZE);
        let flush = sent_to(&[Some(Errno::EINVAL), too_long, too_long, None], 3);
        assert!(flush.way.gso);
        assert_eq!(
            (flush.counters.datagrams_out, flush.counters.send_errors),
            (1, 2)
        );
        assert!(flush.last_error.is_some());
    }

    #[test]
    fn full_buffer_is_tried_again_once_then_dropped() {
        let full = Some(Errno::EAGAIN);
        let flush = sent_to(&[full], 3);
        assert_eq!(flush.way.took, [3]);
        let flush = sent_to(&[full, full], 3);
        assert!(flush.way.took.is_empty());
        assert_eq!(flush.counters.would_block_dropped, 3);
        assert_eq!(flush.counters.send_calls, 2);
        assert!(flush.last_error.is_none());
    }

    #[test]
    fn no_route_drops_the_run_and_is_told() {
        let flush = sent_to(&[Some(Errno::ENETUNREACH); 3], 2);
        assert_eq!(flush.counters.send_errors, 2);
        assert!(flush.way.gso);
        assert!(flush.last_error.is_some());
    }
}
