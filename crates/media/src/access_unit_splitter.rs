//! Cutting a byte stream of H.264 or H.265 into access units.

use std::mem;

use crate::annex_b::{
    Assembly, NalAccessUnit, START_CODE, find_start_code, without_trailing_zeros,
};
use crate::nal::{Role, role};
use crate::{Codec, h264, h265};

/// Cuts the byte stream format (annex B of H.264 and H.265), as it comes from a pipe, into access units.
///
/// Where one ends is told by what begins the next (H.264 §7.4.1.2.3 and §7.4.1.2.4, H.265 §7.4.2.4.4), so each comes
/// out when the next one begins, and the last on [`Self::finish`]. Two fields of interlaced H.264 that are coded apart
/// are two access units. It keeps at most one access unit and one NAL unit of the bytes given at creation; an access
/// unit above that is dropped and counted, and the next one goes on.
#[derive(Debug)]
pub struct AccessUnitSplitter {
    codec: Codec,
    max_bytes: usize,
    /// The unit that is being read, from behind its start code; in front of the first start code what may be part
    /// of one.
    pending: Vec<u8>,
    inside_unit: bool,
    /// Up to where `pending` holds no start code.
    searched: usize,
    assembly: Assembly,
    has_slice: bool,
    too_large: bool,
    dropped: u64,
    pictures: h264::PictureStart,
}

impl AccessUnitSplitter {
    /// A splitter of access units up to `max_bytes`; `None` for other codecs than H.264 and H.265.
    pub fn new(codec: Codec, max_bytes: usize) -> Option<Self> {
        matches!(codec, Codec::H264 | Codec::H265).then(|| Self {
            codec,
            max_bytes,
            pending: Vec::new(),
            inside_unit: false,
            searched: 0,
            assembly: Assembly::default(),
            has_slice: false,
            too_large: false,
            dropped: 0,
            pictures: h264::PictureStart::default(),
        })
    }

    /// Takes the next bytes, cut anywhere, and gives the access units that ended in them.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<NalAccessUnit> {
        let mut done = Vec::new();
        let mut pending = mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut rest = pending.as_slice();
        let mut searched = self.searched;
        while let Some(at) = rest
            .get(searched..)
            .and_then(find_start_code)
            .map(|at| at.saturating_add(searched))
        {
            let (unit, after) = rest.split_at(at);
            if self.inside_unit {
                self.take_unit(without_trailing_zeros(unit), &mut done);
            }
            self.inside_unit = true;
            rest = after.get(START_CODE.len()..).unwrap_or_default();
            searched = 0;
        }
        if rest.len() > self.max_bytes && self.inside_unit {
            // Its header still tells which access unit it spoils.
            self.take_unit(rest, &mut done);
            self.too_large = true;
            self.inside_unit = false;
        }
        // A start code may have begun in the last two bytes.
        let reach = rest
            .len()
            .saturating_sub(START_CODE.len().saturating_sub(1));
        let kept = if self.inside_unit { 0 } else { reach };
        self.searched = reach.saturating_sub(kept);
        let read = pending
            .len()
            .saturating_sub(rest.len())
            .saturating_add(kept);
        pending.drain(..read.min(pending.len()));
        self.pending = pending;
        done
    }

    /// The stream ended: gives what was left, where it holds a picture. The splitter is as new then.
    #[must_use]
    pub fn finish(&mut self) -> Vec<NalAccessUnit> {
        let mut done = Vec::new();
        let pending = mem::take(&mut self.pending);
        if mem::take(&mut self.inside_unit) {
            self.take_unit(without_trailing_zeros(&pending), &mut done);
        }
        self.searched = 0;
        self.end_access_unit(&mut done);
        self.pictures = h264::PictureStart::default();
        done
    }

    /// Access units that were dropped because they were too large.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn take_unit(&mut self, unit: &[u8], done: &mut Vec<NalAccessUnit>) {
        let Some(kind) = role(self.codec, unit) else {
            return;
        };
        let begins = match self.codec {
            Codec::H264 => self.pictures.begins_access_unit(unit),
            _ => h265::begins_access_unit(unit),
        };
        if begins && self.has_slice {
            self.end_access_unit(done);
        }
        self.has_slice |= kind == Role::Slice;
        let bytes = self.assembly.bytes().saturating_add(unit.len());
        if self.too_large || bytes > self.max_bytes {
            self.too_large = true;
            self.assembly = Assembly::default();
            return;
        }
        self.assembly.push(self.codec, unit);
    }

    fn end_access_unit(&mut self, done: &mut Vec<NalAccessUnit>) {
        let unit = mem::take(&mut self.assembly).finish();
        if mem::take(&mut self.too_large) {
            self.dropped = self.dropped.saturating_add(1);
        } else if self.has_slice {
            done.push(unit);
        }
        self.has_slice = false;
    }
}
