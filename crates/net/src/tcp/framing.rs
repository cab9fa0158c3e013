//! Packets on a byte stream: two bytes of length, then the packet (RFC 4571 §2).

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

/// Cuts a byte stream into packets of at most 65 535 bytes.
///
/// Any byte sequence is a valid stream, so there is nothing to refuse. Holds at most one incomplete
/// packet and what the last [`push`](Self::push) brought.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// First byte not yet given out; never past the end.
    start: usize,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. Call [`next_frame`](Self::next_frame) until `None`
    /// before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete packet. Null packets (length 0) are skipped.
    pub fn next_frame(&mut self) -> Option<&[u8]> {
        let range = self.next_range()?;
        Some(self.bytes(range))
    }

    /// As [`next_frame`](Self::next_frame), to be resolved by [`bytes`](Self::bytes) before the
    /// next push.
    pub(crate) fn next_range(&mut self) -> Option<Range<usize>> {
        loop {
            let unread = self.buffer.get(self.start..)?;
            let (header, rest) = unread.split_first_chunk::<HEADER_BYTES>()?;
            let len = usize::from(u16::from_be_bytes(*header));
            if rest.len() < len {
                return None;
            }
            let from = self.start.saturating_add(HEADER_BYTES);
            self.start = from.saturating_add(len);
            if len > 0 {
                return Some(from..self.start);
            }
        }
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }
}

/// Bytes of the length in front of each packet.
pub const HEADER_BYTES: usize = 2;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    /// What RFC 4571 says of a stream, read in one go.
    fn frames_of(mut stream: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        while let [high, low, rest @ ..] = stream {
            let Some((frame, after)) =
                rest.split_at_checked(usize::from(*high) << 8 | usize::from(*low))
            else {
                break;
            };
            if !frame.is_empty() {
                frames.push(frame.to_vec());
            }
            stream = after;
        }
        frames
    }

    fn decoded_in_pieces(stream: &[u8], random: &mut Seeded, longest: u64) -> Vec<Vec<u8>> {
        let (mut decoder, mut frames, mut rest) = (Decoder::new(), Vec::new(), stream);
        while !rest.is_empty() {
            let piece = usize::try_from(random.below(longest + 1))
                .unwrap()
                .min(rest.len());
            let (now, later) = rest.split_at(piece);
            decoder.push(now);
            while let Some(frame) = decoder.next_frame() {
                frames.push(frame.to_vec());
            }
            rest = later;
        }
        frames
    }

    #[test]
    fn packets_survive_any_cut_of_the_stream() {
        for seed in 0..200 {
            let mut random = Seeded::new(seed);
            let mut stream = Vec::new();
            let mut packets = Vec::new();
            for _ in 0..20 {
                let len = usize::try_from(random.below(3000)).unwrap();
                let packet = random.bytes(len);
                stream.extend(u16::try_from(len).unwrap().to_be_bytes());
                stream.extend(&packet);
                packets.push(packet);
            }
            packets.retain(|packet| !packet.is_empty());
            let longest = 1 + random.below(9000);
            assert_eq!(
                decoded_in_pieces(&stream, &mut random, longest),
                packets,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn any_bytes_decode_as_the_rfc_reads_them() {
        for seed in 0..300 {
            let mut random = Seeded::new(seed);
            let len = usize::try_from(random.below(150_000)).unwrap();
            let mut stream = random.bytes(len);
            // Small lengths, else few streams hold more than one packet.
            if seed % 2 == 0 {
                for byte in stream.iter_mut().step_by(3) {
                    *byte = 0;
                }
            }
            let longest = 1 + random.below(20_000);
            let expected = frames_of(&stream);
            assert_eq!(
                decoded_in_pieces(&stream, &mut random, longest),
                expected,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn longest_packet_passes() {
        let mut decoder = Decoder::new();
        decoder.push(&[0xff, 0xff]);
        decoder.push(&vec![7; 65_534]);
        assert_eq!(decoder.next_frame(), None);
        decoder.push(&[7]);
        assert_eq!(decoder.next_frame().map(<[u8]>::len), Some(65_535));
        assert_eq!(decoder.next_frame(), None);
    }

    #[test]
    fn held_bytes_stay_below_a_packet_and_a_push() {
        let mut random = Seeded::new(1);
        let mut decoder = Decoder::new();
        for _ in 0..500 {
            let piece = random.bytes(16 * 1024);
            decoder.push(&piece);
            while decoder.next_frame().is_some() {}
            assert!(decoder.buffer.len() < HEADER_BYTES + 65_535 + piece.len());
        }
    }
}
