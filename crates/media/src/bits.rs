//! Reading codec headers bit by bit.

/// Bits of a byte string, most significant first; reads past the end give `None`.
#[derive(Debug, Clone)]
pub struct Bits<'a> {
    rest: core::slice::Iter<'a, u8>,
    current: u8,
    left: u32,
    /// Zero bytes in a row, when emulation prevention is to be undone.
    zeros: Option<u8>,
}

impl<'a> Bits<'a> {
    /// Plain bytes (AV1, VP9).
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.iter(),
            current: 0,
            left: 0,
            zeros: None,
        }
    }

    /// The bytes of a NAL unit: the 3 in 0 0 3 is skipped (H.264 §7.4.1, H.265 §7.4.2.1).
    pub fn of_nal(bytes: &'a [u8]) -> Self {
        Self {
            zeros: Some(0),
            ..Self::new(bytes)
        }
    }

    /// One bit.
    pub fn flag(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.byte()?;
            self.left = 8;
        }
        self.left = self.left.saturating_sub(1);
        Some(self.current >> self.left & 1 != 0)
    }

    /// An unsigned number of at most 32 bits.
    pub fn number(&mut self, width: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..width.min(32) {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    /// Passes over `width` bits.
    pub fn skip(&mut self, width: u32) -> Option<()> {
        let passed = width.min(self.left);
        for _ in 0..passed {
            self.flag()?;
        }
        let rest = width.saturating_sub(passed);
        for _ in 0..rest / 8 {
            self.byte()?;
        }
        for _ in 0..rest % 8 {
            self.flag()?;
        }
        Some(())
    }

    /// Exp-Golomb `ue(v)` (H.264 §9.1), also AV1's `uvlc()`; at most 31 leading zeros.
    pub fn unsigned_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0_u32;
        while !self.flag()? {
            zeros = zeros.checked_add(1).filter(|zeros| *zeros < 32)?;
        }
        let suffix = self.number(zeros)?;
        1_u32
            .checked_shl(zeros)?
            .checked_sub(1)?
            .checked_add(suffix)
    }

    /// Exp-Golomb `se(v)` (H.264 §9.1.1).
    pub fn signed_golomb(&mut self) -> Option<i32> {
        let code = self.unsigned_golomb()?;
        let size = i32::try_from(code.div_ceil(2)).ok()?;
        Some(if code % 2 == 0 {
            size.saturating_neg()
        } else {
            size
        })
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.rest.next()?;
        let Some(zeros) = self.zeros else {
            return Some(byte);
        };
        if zeros >= 2 && byte == 3 {
            let byte = *self.rest.next()?;
            self.zeros = Some(u8::from(byte == 0));
            return Some(byte);
        }
        self.zeros = Some(if byte == 0 {
            zeros.saturating_add(1)
        } else {
            0
        });
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulation_prevention_bytes_are_not_read() {
        let mut bits = Bits::of_nal(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 2]);
        let bytes: Vec<u32> = std::iter::from_fn(|| bits.number(8)).collect();
        assert_eq!(bytes, [0, 0, 1, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn golomb_codes_follow_the_table() {
        // 1, 010, 011, 00100, 00101 are 0 to 4, signed 0, 1, -1, 2, -2.
        let bytes = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut bits = Bits::new(&bytes);
        assert_eq!(
            [0; 5].map(|_| bits.unsigned_golomb().unwrap()),
            [0, 1, 2, 3, 4]
        );
        let mut bits = Bits::new(&bytes);
        assert_eq!(
            [0; 5].map(|_| bits.signed_golomb().unwrap()),
            [0, 1, -1, 2, -2]
        );
    }

    #[test]
    fn passing_over_bits_is_reading_them() {
        let bytes: Vec<u8> = (0..=20).chain([0, 0, 3, 0xa5, 0x5a, 7]).collect();
        for first in 0..20 {
            for second in 0..150 {
                let (mut passed, mut read) = (Bits::of_nal(&bytes), Bits::of_nal(&bytes));
                passed.skip(first).unwrap();
                passed.skip(second).unwrap();
                for _ in 0..first + second {
                    read.flag().unwrap();
                }
                assert_eq!(passed.number(20), read.number(20), "{first} {second}");
            }
        }
        assert_eq!(Bits::new(&[0; 4]).skip(33), None);
    }

    #[test]
    fn the_end_and_endless_zeros_give_nothing() {
        assert_eq!(Bits::new(&[]).flag(), None);
        assert_eq!(Bits::new(&[0xff]).number(9), None);
        assert_eq!(Bits::new(&[0; 64]).unsigned_golomb(), None);
    }
}
