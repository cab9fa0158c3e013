//! Reading and rewriting the fields that the payload descriptors of VP8 and VP9 share.

/// A walk over bytes that knows where it is.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    pub(super) fn number(&mut self) -> Option<u16> {
        let (high, low) = (self.byte()?, self.byte()?);
        Some(u16::from_be_bytes([high, low]))
    }

    /// A picture id and its width: 7 bits, or 15 when the first bit is set.
    pub(super) fn picture_id(&mut self) -> Option<(u16, u8)> {
        let first = self.byte()?;
        if first & 0x80 == 0 {
            return Some((u16::from(first), 7));
        }
        Some((u16::from_be_bytes([first & 0x7f, self.byte()?]), 15))
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

/// A payload being copied to the end of a buffer with some fields replaced.
#[derive(Debug)]
pub(super) struct Edit<'a> {
    out: &'a mut Vec<u8>,
    begin: usize,
}

impl<'a> Edit<'a> {
    pub(super) fn begin(payload: &[u8], out: &'a mut Vec<u8>) -> Self {
        let begin = out.len();
        out.extend_from_slice(payload);
        Self { out, begin }
    }

    /// Replaces the picture id at `at`; `false` when there is none or the value is wider than `bits`.
    pub(super) fn picture_id(&mut self, at: Option<usize>, bits: u8, value: Option<u16>) -> bool {
        let Some(value) = value else { return true };
        let [high, low] = value.to_be_bytes();
        match (at, bits) {
            (Some(at), 7) if value < 0x80 => self.set(at, 0x7f, low),
            (Some(at), 15) if value < 0x8000 => {
                self.set(at, 0x7f, high) && self.set(at.saturating_add(1), 0xff, low)
            }
            _ => false,
        }
    }

    /// Replaces the bits of `mask` at `at`; `false` when there is no such field or the value does not fit.
    pub(super) fn low_bits(&mut self, at: Option<usize>, mask: u8, value: Option<u8>) -> bool {
        let Some(value) = value else { return true };
        at.is_some_and(|at| value & !mask == 0 && self.set(at, mask, value))
    }

    /// Keeps the copy, or takes it back.
    pub(super) fn end(self, keep: bool) -> bool {
        if !keep {
            self.out.truncate(self.begin);
        }
        keep
    }

    fn set(&mut self, at: usize, mask: u8, value: u8) -> bool {
        let Some(byte) = self.out.get_mut(self.begin.saturating_add(at)) else {
            return false;
        };
        *byte = *byte & !mask | value;
        true
    }
}
