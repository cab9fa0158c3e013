//! H.264 (RFC 6184, packetization-mode 1) and H.265 (RFC 7798): single NAL units, fragments, aggregates.

use bytes::{BufMut, Bytes, BytesMut};
use sluice_media::Frame;

use super::rtp_payload::Head;
use super::{PacketizeError, RtpPayload, pieces};

/// Whose NAL units: the two formats differ in their headers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NalFormat {
    H264,
    H265,
}

#[derive(Debug, Clone)]
pub(super) struct Packetizer {
    format: NalFormat,
    sets: Vec<Bytes>,
}

impl Packetizer {
    pub(super) const fn new(format: NalFormat) -> Self {
        Self {
            format,
            sets: Vec::new(),
        }
    }

    pub(super) fn set_parameter_sets(&mut self, sets: &[Bytes]) {
        self.sets = sets
            .iter()
            .filter(|set| self.format.carries(set))
            .cloned()
            .collect();
    }

    pub(super) fn packetize(
        &self,
        frame: &Frame,
        budget: usize,
        out: &mut Vec<RtpPayload>,
    ) -> Result<(), PacketizeError> {
        if frame.keyframe {
            self.sets(budget, out);
        }
        let mut rest = frame.data.clone();
        while !rest.is_empty() {
            let at = frame.data.len().saturating_sub(rest.len());
            let unit = self
                .split_unit(&mut rest)
                .ok_or(PacketizeError::Malformed { at })?;
            self.unit(&unit, budget, out);
        }
        if let Some(last) = out.pop() {
            out.push(last.with_marker(true));
        }
        Ok(())
    }

    /// Takes the next NAL unit behind its length in four bytes.
    fn split_unit(&self, rest: &mut Bytes) -> Option<Bytes> {
        let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
        let end = length.checked_add(4)?;
        if end > rest.len() {
            return None;
        }
        let mut unit = rest.split_to(end);
        drop(unit.split_to(4));
        self.format.carries(&unit).then_some(unit)
    }

    /// The parameter sets, together where they fit.
    fn sets(&self, budget: usize, out: &mut Vec<RtpPayload>) {
        let fits = |group: &[Bytes]| {
            let body: usize = group.iter().map(|set| set.len().saturating_add(2)).sum();
            body.saturating_add(self.format.header_bytes()) <= budget
                && group.iter().all(|set| u16::try_from(set.len()).is_ok())
        };
        let mut rest = self.sets.as_slice();
        while let Some(first) = rest.first() {
            let count = (2..=rest.len())
                .take_while(|count| rest.get(..*count).is_some_and(fits))
                .last()
                .unwrap_or(1);
            let (group, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            if count == 1 {
                self.unit(first, budget, out);
            } else {
                out.push(self.aggregate(group));
            }
            rest = later;
        }
    }

    fn aggregate(&self, group: &[Bytes]) -> RtpPayload {
        let mut body = BytesMut::new();
        for set in group {
            body.put_u16(u16::try_from(set.len()).unwrap_or(u16::MAX));
            body.extend_from_slice(set);
        }
        let first = group.first().map_or([0, 0], |set| head_of(set));
        let head = match self.format {
            // §5.7: F is the OR and NRI the highest of the units'.
            NalFormat::H264 => {
                let highest = group.iter().map(|set| head_of(set)[0] & REF_IDC).max();
                Head::of(&[highest.unwrap_or_default() | STAP_A])
            }
            // RFC 7798 §4.4.2: layer and temporal id are the lowest of the units'; sets have 0 and 1.
            NalFormat::H265 => Head::of(&[AGGREGATION << 1 | first[0] & 0x81, first[1]]),
        };
        RtpPayload::new(head, body.freeze())
    }

    fn unit(&self, unit: &Bytes, budget: usize, out: &mut Vec<RtpPayload>) {
        if unit.len() <= budget {
            out.push(RtpPayload::whole(unit.clone()));
            return;
        }
        let [first, second] = head_of(unit);
        let header = self.format.header_bytes();
        let body = unit.slice(header.min(unit.len())..);
        let mut left = body.len();
        for piece in pieces(&body, budget.saturating_sub(header.saturating_add(1))) {
            let start = if left == body.len() { FU_START } else { 0 };
            left = left.saturating_sub(piece.len());
            let end = if left == 0 { FU_END } else { 0 };
            let head = match self.format {
                // §5.8.
                NalFormat::H264 => Head::of(&[first & !TYPE | FU_A, start | end | first & TYPE]),
                // RFC 7798 §4.4.3.
                NalFormat::H265 => Head::of(&[
                    first & 0x81 | FRAGMENTATION << 1,
                    second,
                    start | end | first >> 1 & 0x3f,
                ]),
            };
            out.push(RtpPayload::new(head, piece));
        }
    }
}

impl NalFormat {
    /// A NAL unit, and not one of the types that the payload formats use themselves.
    fn carries(self, unit: &[u8]) -> bool {
        match (self, unit) {
            (Self::H264, [header, ..]) => {
                header & FORBIDDEN == 0 && (1..STAP_A).contains(&(header & TYPE))
            }
            (Self::H265, [first, second, ..]) => {
                first & FORBIDDEN == 0 && first >> 1 < AGGREGATION && second & 0x07 != 0
            }
            _ => false,
        }
    }

    const fn header_bytes(self) -> usize {
        match self {
            Self::H264 => 1,
            Self::H265 => 2,
        }
    }
}

fn head_of(unit: &[u8]) -> [u8; 2] {
    let mut bytes = unit.iter().copied();
    [
        bytes.next().unwrap_or_default(),
        bytes.next().unwrap_or_default(),
    ]
}

const FORBIDDEN: u8 = 0x80;
const REF_IDC: u8 = 0x60;
const TYPE: u8 = 0x1f;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
