//! Walking over the byte-aligned parts of records and headers.

/// A walk over bytes; what lies past the end gives `None` and leaves the walk where it was.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }

    /// Bytes behind their length in two bytes.
    pub(crate) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let mut after = self.clone();
        let unit = after.u16().and_then(|size| after.take(usize::from(size)))?;
        *self = after;
        Some(unit)
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}
