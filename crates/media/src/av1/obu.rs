//! OBUs and their two forms: with and without a size field (AV1 §5.3).

use bytes::Bytes;

use super::{PADDING, TEMPORAL_DELIMITER, TILE_LIST};

/// One open bitstream unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Av1Obu<'a> {
    header: u8,
    extension: Option<u8>,
    body: &'a [u8],
}

impl<'a> Av1Obu<'a> {
    /// Reads one unit that fills `bytes`, with or without a size field (an OBU element of RTP). `None` when it is
    /// malformed or its size field says something else.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (obu, rest) = Self::split(bytes)?;
        rest.is_empty().then_some(obu)
    }

    /// The first unit and what follows it; a unit without a size field takes all.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&header, mut rest) = bytes.split_first()?;
        if header & FORBIDDEN != 0 {
            return None;
        }
        let mut extension = None;
        if header & HAS_EXTENSION != 0 {
            let (&byte, after) = rest.split_first()?;
            (extension, rest) = (Some(byte), after);
        }
        let (body, rest) = if header & HAS_SIZE != 0 {
            let (size, after) = read_leb128(rest)?;
            after.split_at_checked(size)?
        } else {
            (rest, &[][..])
        };
        Some((
            Self {
                header,
                extension,
                body,
            },
            rest,
        ))
    }

    /// `obu_type` (§6.2.2): 1 sequence header, 2 temporal delimiter, 3 frame header, 4 tile group, 5 metadata, 6 frame,
    /// 7 redundant frame header, 8 tile list, 15 padding.
    pub const fn kind(&self) -> u8 {
        self.header >> 3 & 0x0f
    }

    /// `temporal_id`, 0 without extension.
    pub fn temporal(&self) -> u8 {
        self.extension.unwrap_or_default() >> 5
    }

    /// `spatial_id`, 0 without extension.
    pub fn spatial(&self) -> u8 {
        self.extension.unwrap_or_default() >> 3 & 0x03
    }

    /// `obu_has_size_field`, as it was read.
    pub const fn has_size(&self) -> bool {
        self.header & HAS_SIZE != 0
    }

    /// What stands behind header and size, trailing bits included.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Appends the unit with a size field, the form of our frames.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(self.header | HAS_SIZE);
        out.extend(self.extension);
        push_leb128(out, self.body.len());
        out.extend_from_slice(self.body);
    }
}

/// The OBUs of a temporal unit in the low-overhead format (AV1 §5.2): each with a size field, but perhaps the last.
///
/// Ends at the first unit that is malformed or reaches past the end; [`Av1Obus::is_intact`] then tells.
#[derive(Debug, Clone)]
pub struct Av1Obus<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl<'a> Av1Obus<'a> {
    /// The units of `data`.
    pub const fn new(data: &'a [u8]) -> Self {
        Self {
            rest: data,
            broken: false,
        }
    }

    /// What was not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether every unit so far was well-formed; after the last, whether all were.
    pub const fn is_intact(&self) -> bool {
        !self.broken
    }
}

impl<'a> Iterator for Av1Obus<'a> {
    type Item = Av1Obu<'a>;

    fn next(&mut self) -> Option<Av1Obu<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((obu, rest)) = Av1Obu::split(self.rest) else {
            self.broken = true;
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(obu)
    }
}

/// A temporal unit in the low-overhead format (AV1 §5.2) in the form of our frames: every unit with a size field, no
/// temporal delimiters, tile lists and padding. `None` when a unit is malformed.
pub fn av1_from_low_overhead(data: &[u8]) -> Option<Bytes> {
    let mut obus = Av1Obus::new(data);
    let mut out = Vec::with_capacity(data.len().saturating_add(8));
    for obu in &mut obus {
        if !matches!(obu.kind(), TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            obu.write(&mut out);
        }
    }
    obus.is_intact().then(|| out.into())
}

/// A temporal unit in the form of our frames with the temporal delimiter in front that the low-overhead format asks
/// for (AV1 §7.5).
pub fn av1_to_low_overhead(data: &[u8]) -> Bytes {
    [&[TEMPORAL_DELIMITER << 3 | HAS_SIZE, 0], data]
        .concat()
        .into()
}

/// AV1 §4.10.5: at most eight bytes, some of them padding when a muxer reserved the room.
fn read_leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21, 28, 35, 42, 49] {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, rest));
        }
    }
    None
}

fn push_leb128(out: &mut Vec<u8>, value: usize) {
    let mut rest = value;
    loop {
        let byte = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

const FORBIDDEN: u8 = 0x80;
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_and_padding_go_and_sizes_come() {
        // Temporal delimiter; padding; a sequence header; a frame with extension and without size.
        let low_overhead = [
            &[0x12, 0x00, 0x7a, 1, 0x80, 0x0a, 2, 7, 8, 0x34, 0x28][..],
            &[9; 200],
        ]
        .concat();
        let ours = av1_from_low_overhead(&low_overhead).unwrap();
        let expected = [&[0x0a, 2, 7, 8, 0x36, 0x28, 0xc8, 0x01][..], &[9; 200]].concat();
        assert_eq!(ours, expected);
        let back = av1_to_low_overhead(&ours);
        assert_eq!(back[..2], [0x12, 0x00]);
        assert_eq!(av1_from_low_overhead(&back).unwrap(), ours);
        let frame = Av1Obus::new(&ours).last().unwrap();
        assert_eq!((frame.kind(), frame.temporal(), frame.spatial()), (6, 1, 1));
    }

    #[test]
    fn a_size_past_the_end_is_no_temporal_unit() {
        for data in [
            &[0x32, 2, 0][..],
            &[0x32],
            &[0x32, 0x80],
            &[0xb2, 0],
            &[0x34],
        ] {
            assert_eq!(av1_from_low_overhead(data), None, "{data:?}");
        }
        assert_eq!(Av1Obu::parse(&[0x32, 0, 1]), None, "bytes behind the unit");
    }
}
