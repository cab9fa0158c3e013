//! Writing codec headers bit by bit.

/// Bits that become bytes, most significant first; the last byte is filled with zeros.
#[derive(Debug, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that were not written yet.
    left: u32,
}

impl BitWriter {
    /// The lowest `width` bits of a number.
    pub(crate) fn number(&mut self, value: u32, width: u32) {
        for shift in (0..width).rev() {
            let bit = u8::from(value.checked_shr(shift).unwrap_or_default() & 1 != 0);
            if self.left == 0 {
                self.bytes.push(0);
                self.left = 8;
            }
            self.left = self.left.saturating_sub(1);
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit.checked_shl(self.left).unwrap_or_default();
            }
        }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
impl BitWriter {
    /// `ue(v)` (H.264 §9.1).
    pub(crate) fn golomb(&mut self, value: u32) {
        let zeros = (value + 1).ilog2();
        self.number(0, zeros);
        self.number(value + 1, zeros + 1);
    }

    /// Several of `ue(v)`.
    pub(crate) fn golombs(&mut self, values: &[u32]) {
        for value in values {
            self.golomb(*value);
        }
    }

    /// Several numbers with their widths.
    pub(crate) fn numbers(&mut self, fields: &[(u32, u32)]) {
        for (value, width) in fields {
            self.number(*value, *width);
        }
    }

    /// The bytes behind `header` as a NAL unit, stop bit and emulation prevention included (H.264 §7.4.1).
    pub(crate) fn into_nal(mut self, header: &[u8]) -> Vec<u8> {
        self.number(1, 1);
        let mut unit = header.to_vec();
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            unit.push(byte);
            zeros = if byte == 0 { zeros + 1 } else { 0 };
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bits;

    #[test]
    fn what_was_written_reads_back() {
        let mut out = BitWriter::default();
        out.numbers(&[(5, 3), (0, 40), (u32::MAX, 32)]);
        (0..40).for_each(|value| out.golomb(value));
        let nal = out.into_nal(&[]);
        let mut bits = Bits::of_nal(&nal);
        assert_eq!(bits.number(3), Some(5));
        assert_eq!((bits.number(20), bits.number(20)), (Some(0), Some(0)));
        assert_eq!(bits.number(32), Some(u32::MAX));
        for value in 0..40 {
            assert_eq!(bits.unsigned_golomb(), Some(value));
        }
    }
}
