//! Boxes read back, never past their parent's end and never without going on.

use super::Kind;
use crate::MuxError;

/// The head of a box (ISO/IEC 14496-12 §4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes of the head itself: 8, or 16 with a 64 bit size.
    pub(crate) head: u64,
    /// Bytes of the whole box, never less than the head.
    pub(crate) size: u64,
}

impl Header {
    /// Longest head there is.
    pub(crate) const MAX: u64 = 16;

    /// Reads a head from the first bytes of a box; `None` when they do not suffice or the size is impossible.
    ///
    /// A size of 0 ("until the end of the file") is impossible here: our writer never makes one, and what claims it
    /// in a cut-off file is not whole.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let short = fields.u32()?;
        let kind = fields.array()?;
        let (head, size) = if short == 1 {
            (16, fields.u64()?)
        } else {
            (8, u64::from(short))
        };
        (size >= head).then_some(Self { kind, head, size })
    }
}

/// The boxes in a byte string, one after the other; ends after the first error.
#[derive(Debug, Clone)]
pub(crate) struct Boxes<'a> {
    rest: &'a [u8],
    offset: u64,
}

/// One box of a byte string.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boxed<'a> {
    pub(crate) kind: Kind,
    /// Where it begins, counted as the offset given to [`Boxes::new`].
    pub(crate) offset: u64,
    pub(crate) body_offset: u64,
    pub(crate) end: u64,
    pub(crate) body: &'a [u8],
}

impl<'a> Boxed<'a> {
    pub(crate) fn new(header: Header, offset: u64, body: &'a [u8]) -> Self {
        Self {
            kind: header.kind,
            offset,
            body_offset: offset.saturating_add(header.head),
            end: offset.saturating_add(header.size),
            body,
        }
    }

    /// The first box of this kind inside; what comes before it is passed over.
    pub(crate) fn child(&self, kind: Kind) -> Result<Self, MuxError> {
        for found in Boxes::new(self.body, self.body_offset) {
            let found = found?;
            if found.kind == kind {
                return Ok(found);
            }
        }
        Err(MuxError::ForeignBox {
            offset: self.offset,
        })
    }
}

impl<'a> Boxes<'a> {
    /// `offset` is where `bytes` begins in whatever errors should speak of.
    pub(crate) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self {
            rest: bytes,
            offset,
        }
    }
}

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<Boxed<'a>, MuxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let whole = Header::parse(self.rest).and_then(|header| {
            let size = usize::try_from(header.size).ok()?;
            let (this, rest) = self.rest.split_at_checked(size)?;
            Some((
                header,
                this.get(usize::try_from(header.head).ok()?..)?,
                rest,
            ))
        });
        let offset = self.offset;
        let Some((header, body, rest)) = whole else {
            self.rest = &[];
            return Some(Err(MuxError::BrokenBox { offset }));
        };
        self.rest = rest;
        self.offset = offset.saturating_add(header.size);
        Some(Ok(Boxed::new(header, offset, body)))
    }
}

/// Numbers read from the front of a body; `None` past its end.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (this, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*this)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    /// A version and 24 flags (§4.2.2).
    pub(crate) fn version_and_flags(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Some((version, word & 0x00ff_ffff))
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(bytes: &[u8]) -> Vec<Result<Kind, MuxError>> {
        Boxes::new(bytes, 0)
            .map(|found| found.map(|found| found.kind))
            .collect()
    }

    #[test]
    fn sizes_that_lead_nowhere_end_the_reading() {
        for size in [0_u32, 2, 7, 9, u32::MAX] {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend_from_slice(b"free");
            assert_eq!(kinds(&bytes), [Err(MuxError::BrokenBox { offset: 0 })]);
        }
        for size in [0_u64, 15, 17, u64::MAX] {
            let mut bytes = b"\0\0\0\x01mdat".to_vec();
            bytes.extend_from_slice(&size.to_be_bytes());
            assert_eq!(kinds(&bytes), [Err(MuxError::BrokenBox { offset: 0 })]);
        }
    }

    #[test]
    fn both_forms_of_size_are_read() {
        let mut bytes = b"\0\0\0\x09free!".to_vec();
        bytes.extend_from_slice(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x11?");
        assert_eq!(kinds(&bytes), [Ok(*b"free"), Ok(*b"mdat")]);
        let found = Boxes::new(&bytes, 100).nth(1).unwrap().unwrap();
        assert_eq!((found.body, found.offset), (&b"?"[..], 109));
        assert_eq!((found.body_offset, found.end), (125, 126));
    }
}
