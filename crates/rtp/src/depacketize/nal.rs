//! What H.264 and H.265 share: parameter sets kept aside, and a unit that comes in fragments.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Damage;
use super::assembly::Assembly;

/// Parameter sets on their way to the next access unit that comes out.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sets: VecDeque<Bytes>,
    bytes: usize,
    /// The unit they came in has ended: a new group replaces them.
    old: bool,
    /// This sender puts parameter sets into the stream.
    seen: bool,
    /// The unit in assembly has the first set of a group.
    led: bool,
}

impl ParameterSets {
    /// Adds a set that is not there yet; the oldest go at the bounds. A set that `leads` its group (SPS, VPS) in
    /// another unit than the sets before it replaces them all.
    pub(super) fn push(&mut self, set: Bytes, leads: bool) {
        if leads && self.old {
            self.sets.clear();
            self.bytes = 0;
        }
        self.old = false;
        self.seen = true;
        self.led |= leads;
        if self.sets.contains(&set) {
            return;
        }
        self.bytes = self.bytes.saturating_add(set.len());
        self.sets.push_back(set);
        while self.sets.len() > MAX_SETS || self.bytes > MAX_SET_BYTES {
            let Some(oldest) = self.sets.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.len());
        }
    }

    /// The unit they came in has ended; whether it has all the sets that this sender puts in front of a keyframe.
    pub(super) fn end_unit(&mut self) -> bool {
        self.old = true;
        std::mem::take(&mut self.led) || !self.seen
    }

    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        std::mem::take(&mut self.sets).into()
    }
}

/// A NAL unit that comes in fragments: where its length stands in the unit, and its type.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    open: Option<(usize, u8)>,
}

impl Fragments {
    /// Adds a fragment of a NAL unit of this type and header; neither start nor end may be missing (RFC 6184 §5.8).
    pub(super) fn push(
        &mut self,
        kind: u8,
        header: &[u8],
        flags: u8,
        body: &[u8],
        unit: &mut Assembly,
    ) -> Result<Fragment, Damage> {
        let (start, end) = (flags & FU_START != 0, flags & FU_END != 0);
        let at = match self.open {
            Some((at, open)) if !start && open == kind => {
                unit.extend_nal(at, body)?;
                at
            }
            None if start => {
                let at = unit.size();
                unit.push_nal([header, body])?;
                at
            }
            _ => return Err(Damage::Malformed),
        };
        self.open = (!end).then_some((at, kind));
        Ok(Fragment {
            is_first: start,
            completes: end.then_some(at),
        })
    }

    pub(super) fn check_closed(&self) -> Result<(), Damage> {
        match self.open {
            None => Ok(()),
            Some(_) => Err(Damage::Malformed),
        }
    }

    pub(super) fn abandon(&mut self) {
        self.open = None;
    }
}

/// What a fragment was of its NAL unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    pub(super) is_first: bool,
    /// Where the NAL unit stands that is whole with it.
    pub(super) completes: Option<usize>,
}

/// The units of an aggregate, each behind its size in two bytes; an error after the last whole one when bytes are left.
pub(super) fn aggregated(mut rest: Bytes) -> impl Iterator<Item = Result<Bytes, Damage>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(&[high, low]) = rest.first_chunk() else {
            rest.clear();
            return Some(Err(Damage::Malformed));
        };
        let end = usize::from(u16::from_be_bytes([high, low])).saturating_add(2);
        if end > rest.len() {
            rest.clear();
            return Some(Err(Damage::Malformed));
        }
        let mut unit = rest.split_to(end);
        drop(unit.split_to(2));
        Some(Ok(unit))
    })
}

const MAX_SETS: usize = 64;
const MAX_SET_BYTES: usize = 64 << 10;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
