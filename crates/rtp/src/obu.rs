//! AV1's OBUs and their lengths (AV1 bitstream specification §4.10.5, §5.3).

/// The header of an OBU, and where its parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObuHeader {
    /// `obu_type`.
    pub(crate) kind: u8,
    /// The header without its size flag, and the extension where there is one.
    pub(crate) bytes: [u8; 2],
    /// 1, or 2 with the extension.
    pub(crate) length: usize,
    /// The size field counts the bytes behind it; `None` without one.
    pub(crate) payload: Option<usize>,
    /// Bytes of header, extension and size field.
    pub(crate) prefix: usize,
}

impl ObuHeader {
    /// `None` when cut short, when the forbidden bit is set, or when the size cannot be.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let &first = data.first()?;
        if first & 0x80 != 0 {
            return None;
        }
        let (extension, length) = if first & 0x04 != 0 {
            (*data.get(1)?, 2)
        } else {
            (0, 1)
        };
        let (payload, prefix) = if first & 0x02 != 0 {
            let (size, bytes) = read_leb128(data.get(length..)?)?;
            (Some(size), bytes.saturating_add(length))
        } else {
            (None, length)
        };
        Some(Self {
            kind: first >> 3 & 0x0f,
            bytes: [first & !0x02, extension],
            length,
            payload,
            prefix,
        })
    }

    /// The header as it stands in an RTP element.
    pub(crate) fn without_size(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// A number and how many bytes it took: at most eight, some of them padding when a muxer reserved the room.
pub(crate) fn read_leb128(data: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    let mut taken = 0_usize;
    for (byte, shift) in data.iter().zip([0_u32, 7, 14, 21, 28, 35, 42, 49]) {
        taken = taken.saturating_add(1);
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, taken));
        }
    }
    None
}

/// Appends a number in the fewest bytes.
pub(crate) fn write_leb128(mut value: usize, out: &mut impl bytes::BufMut) {
    while let rest @ 1.. = value >> 7 {
        out.put_u8(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value = rest;
    }
    out.put_u8(u8::try_from(value).unwrap_or_default());
}

/// Bytes of a number in [`write_leb128`].
pub(crate) fn leb128_bytes(mut value: usize) -> usize {
    let mut bytes = 1_usize;
    while let rest @ 1.. = value >> 7 {
        value = rest;
        bytes = bytes.saturating_add(1);
    }
    bytes
}

pub(crate) const SEQUENCE_HEADER: u8 = 1;
pub(crate) const TEMPORAL_DELIMITER: u8 = 2;
pub(crate) const FRAME_HEADER: u8 = 3;
pub(crate) const FRAME: u8 = 6;
pub(crate) const TILE_LIST: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_round_trip_in_the_bytes_foretold() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 8 << 20] {
            let mut out = Vec::new();
            write_leb128(value, &mut out);
            assert_eq!(out.len(), leb128_bytes(value));
            assert_eq!(read_leb128(&out), Some((value, out.len())));
        }
        assert_eq!(read_leb128(&[0x80; 9]), None);
        assert_eq!(read_leb128(&[0x85, 0x80, 0x00]), Some((5, 3)));
    }
}
