//! NAL units behind their lengths, as `Frame::data` carries them.

use bytes::Bytes;

use crate::{Codec, h264, h265};

/// The NAL units of an access unit in the form of [`Frame::data`](crate::Frame::data): each behind its length in four
/// bytes. Empty units are passed over.
///
/// Ends at the first unit that reaches past the end of the bytes; [`NalUnits::is_intact`] then tells.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> NalUnits<'a> {
    /// The units of `data`.
    pub const fn new(data: &'a [u8]) -> Self {
        Self {
            rest: data,
            broken: false,
        }
    }

    /// Whether every unit so far lay within the bytes; after the last, whether all did.
    pub const fn is_intact(&self) -> bool {
        !self.broken
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let Some((unit, rest)) = split(self.rest) else {
                self.broken = true;
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
        None
    }
}

/// How many bytes count the length of a NAL unit in access units that come with this record: 1, 2 or 4 (ISO/IEC
/// 14496-15 `lengthSizeMinusOne`). `None` for codecs without, and for records that end early or say 3.
pub fn nal_length_size(codec: Codec, record: &[u8]) -> Option<u8> {
    let at = match codec {
        Codec::H264 => 4,
        Codec::H265 => 21,
        _ => return None,
    };
    match record.get(at)? & 0x03 {
        0 => Some(1),
        1 => Some(2),
        3 => Some(4),
        _ => None,
    }
}

/// An access unit whose lengths take `size` bytes with lengths of four; copies only when `size` is not 4. `None` when
/// `size` is not 1, 2 or 4 or a unit reaches past the end.
pub fn with_four_byte_lengths(data: &Bytes, size: u8) -> Option<Bytes> {
    if size == 4 {
        return Some(data.clone());
    }
    let mut rest: &[u8] = data;
    let mut out = Vec::with_capacity(data.len().saturating_add(32));
    while !rest.is_empty() {
        let (length, after) = match size {
            1 => rest
                .split_first()
                .map(|(length, rest)| (usize::from(*length), rest))?,
            2 => rest
                .split_first_chunk()
                .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
            _ => return None,
        };
        let (unit, after) = after.split_at_checked(length)?;
        push_unit(&mut out, unit);
        rest = after;
    }
    Some(out.into())
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// What the units of an access unit say, of H.264 and H.265 alike.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) keyframe: bool,
    pub(crate) discardable: bool,
    pub(crate) recovery_point: Option<u32>,
    pub(crate) parameter_sets: Vec<&'a [u8]>,
}

impl<'a> Facts<'a> {
    /// Sets above [`MAX_SETS`] are left out.
    pub(crate) fn push_set(&mut self, unit: &'a [u8]) {
        if self.parameter_sets.len() < MAX_SETS {
            self.parameter_sets.push(unit);
        }
    }
}

/// Above what encoders send in an access unit, and a bound on what one of nothing but sets can make us keep.
pub(crate) const MAX_SETS: usize = 64;

/// What becomes of a unit in the form of our frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Slice,
    ParameterSet,
    /// Delimiters and filler data.
    Unwanted,
    Other,
}

/// `None` for codecs without NAL units and for units without a whole header.
pub(crate) fn role(codec: Codec, unit: &[u8]) -> Option<Role> {
    match codec {
        Codec::H264 => Some(h264::role(*unit.first()?)),
        Codec::H265 => Some(h265::role(h265::Header::parse(unit)?.kind)),
        _ => None,
    }
}

/// Appends a unit behind its length; one that four bytes cannot count is left out.
pub(crate) fn push_unit(out: &mut Vec<u8>, unit: &[u8]) {
    if let Ok(length) = u32::try_from(unit.len()) {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(unit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_back_as_they_were_put_and_empty_ones_do_not() {
        let mut data = Vec::new();
        for unit in [&b"one"[..], b"", b"three"] {
            push_unit(&mut data, unit);
        }
        let mut units = NalUnits::new(&data);
        assert_eq!(units.by_ref().collect::<Vec<_>>(), [&b"one"[..], b"three"]);
        assert!(units.is_intact());
    }

    #[test]
    fn shorter_lengths_become_four_bytes() {
        let four: &[u8] = &[0, 0, 0, 2, 7, 8, 0, 0, 0, 1, 9];
        for (size, data) in [
            (1, &[2, 7, 8, 1, 9][..]),
            (2, &[0, 2, 7, 8, 0, 1, 9]),
            (4, four),
        ] {
            let data = Bytes::from_static(data);
            assert_eq!(with_four_byte_lengths(&data, size).unwrap(), four, "{size}");
        }
        for size in [0, 3] {
            assert_eq!(
                with_four_byte_lengths(&Bytes::from_static(four), size),
                None
            );
        }
        assert_eq!(
            with_four_byte_lengths(&Bytes::from_static(&[2, 1]), 1),
            None
        );
    }

    #[test]
    fn a_length_past_the_end_breaks_the_access_unit() {
        for data in [&[0, 0, 0, 2, 1][..], &[0, 0, 0], &[0xff; 9]] {
            let mut units = NalUnits::new(data);
            assert_eq!(units.next(), None);
            assert!(!units.is_intact(), "{data:?}");
        }
    }
}
