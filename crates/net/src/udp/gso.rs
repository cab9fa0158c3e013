//! Which queued packets may leave in one system call.

use std::net::{IpAddr, SocketAddr};

/// A packet that waits to be sent.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) destination: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) contents: Vec<u8>,
}

/// How many packets at the front of `queue` form one run: one destination and source, equal
/// sizes where only the last may be shorter, at most `max_segments` and 65 000 bytes.
///
/// 0 only for an empty queue. An empty or over-long packet goes alone.
pub(crate) fn run_len(queue: &[Queued], max_segments: usize) -> usize {
    let Some((first, rest)) = queue.split_first() else {
        return 0;
    };
    let segment = first.contents.len();
    if segment == 0 || segment > MAX_SEGMENT_BYTES {
        return 1;
    }
    let mut len = 1;
    let mut bytes = segment;
    for packet in rest
        .iter()
        .take(max_segments.min(MAX_SEGMENTS).saturating_sub(1))
    {
        let size = packet.contents.len();
        bytes += size;
        if packet.destination != first.destination
            || packet.source != first.source
            || size == 0
            || size > segment
            || bytes > MAX_RUN_BYTES
        {
            break;
        }
        len += 1;
        if size < segment {
            break;
        }
    }
    len
}

/// Most segments the kernel takes in one call (`UDP_MAX_SEGMENTS` up to Linux 6.8).
pub(crate) const MAX_SEGMENTS: usize = 64;
/// The kernel's limit is 65 535 with headers.
const MAX_RUN_BYTES: usize = 65_000;
/// What fits an Ethernet frame over IPv6. The kernel refuses a run with longer segments with the
/// error that also says "no GSO here".
const MAX_SEGMENT_BYTES: usize = 1452;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    fn packet(destination: u16, len: usize) -> Queued {
        Queued {
            destination: SocketAddr::from(([192, 0, 2, 1], destination)),
            source: None,
            contents: vec![0; len],
        }
    }

    fn run_of(packets: &[(u16, usize)]) -> usize {
        let queue: Vec<_> = packets.iter().map(|&(to, len)| packet(to, len)).collect();
        run_len(&queue, MAX_SEGMENTS)
    }

    #[test]
    fn equal_sizes_to_one_destination_are_one_run() {
        assert_eq!(run_of(&[(1, 1200), (1, 1200), (1, 1200)]), 3);
    }

    #[test]
    fn only_the_last_segment_may_be_shorter() {
        assert_eq!(run_of(&[(1, 1200), (1, 1199), (1, 1200)]), 2);
        assert_eq!(run_of(&[(1, 1199), (1, 1200)]), 1);
        assert_eq!(run_of(&[(1, 1200), (1, 100), (1, 100)]), 2);
    }

    #[test]
    fn another_destination_or_source_ends_the_run() {
        assert_eq!(run_of(&[(1, 500), (2, 500)]), 1);
        let mut queue = vec![packet(1, 500), packet(1, 500)];
        queue[1].source = Some(IpAddr::from([192, 0, 2, 9]));
        assert_eq!(run_len(&queue, MAX_SEGMENTS), 1);
    }

    #[test]
    fn empty_and_over_long_packets_go_alone() {
        assert_eq!(run_of(&[]), 0);
        assert_eq!(run_of(&[(1, 0), (1, 0)]), 1);
        assert_eq!(run_of(&[(1, 9), (1, 0)]), 1);
        assert_eq!(run_of(&[(1, 1453), (1, 1453)]), 1);
    }

    #[test]
    fn runs_stop_at_the_segment_and_byte_limits() {
        assert_eq!(run_of(&[(1, 100); 200]), 64);
        assert_eq!(run_of(&[(1, 1452); 200]), 65_000 / 1452);
        let queue: Vec<_> = (0..9).map(|_| packet(1, 100)).collect();
        assert_eq!(run_len(&queue, 4), 4);
        assert_eq!(run_len(&queue, 1), 1);
        assert_eq!(run_len(&queue, 0), 1);
    }

    #[test]
    fn every_run_is_one_the_kernel_takes_and_none_could_be_longer() {
        for seed in 0..300 {
            let mut random = Seeded::new(seed);
            let sizes = [random.index(1600), random.index(1600), 1200];
            let queue: Vec<_> = (0..400)
                .map(|_| {
                    packet(
                        u16::from(random.below(8) == 0),
                        sizes[random.index(sizes.len())],
                    )
                })
                .collect();
            let limit = 1 + random.index(80);
            let mut rest = queue.as_slice();
            while !rest.is_empty() {
                let len = run_len(rest, limit);
                assert!(is_legal(&rest[..len], limit), "seed {seed}");
                let longer = rest.get(..=len);
                assert!(
                    longer.is_none_or(|longer| !is_legal(longer, limit)),
                    "seed {seed}"
                );
                rest = &rest[len..];
            }
        }
    }

    fn is_legal(run: &[Queued], limit: usize) -> bool {
        let [first, .., last] = run else {
            return run.len() == 1;
        };
        let size = first.contents.len();
        let equal = run[..run.len() - 1]
            .iter()
            .all(|p| p.contents.len() == size);
        let bytes: usize = run.iter().map(|p| p.contents.len()).sum();
        equal
            && (1..=size).contains(&last.contents.len())
            && size <= 1452
            && run.len() <= limit.min(64)
            && bytes <= 65_000
            && run.iter().all(|p| p.destination == first.destination)
    }
}
