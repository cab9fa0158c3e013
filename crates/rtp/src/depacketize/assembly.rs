//! The bytes of one access unit under construction.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Damage, MAX_VIDEO_BYTES};

/// A unit being put together; a single piece is shared, several are copied once.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    only: Bytes,
    data: BytesMut,
    pub(super) keyframe: bool,
    pub(super) discardable: bool,
}

impl Assembly {
    pub(super) fn size(&self) -> usize {
        self.only.len().saturating_add(self.data.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// Adds a piece as it is.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<(), Damage> {
        self.check(piece.len())?;
        if self.is_empty() {
            self.only = piece;
        } else {
            self.writable().extend_from_slice(&piece);
        }
        Ok(())
    }

    /// Adds a NAL unit of these parts behind its length in four bytes.
    pub(super) fn push_nal(&mut self, parts: [&[u8]; 2]) -> Result<(), Damage> {
        let [head, body] = parts;
        let length = head.len().saturating_add(body.len());
        self.check(length.saturating_add(4))?;
        let length = u32::try_from(length).map_err(|_| Damage::TooLarge)?;
        let data = self.writable();
        data.put_u32(length);
        data.extend_from_slice(head);
        data.extend_from_slice(body);
        Ok(())
    }

    /// Adds more of the NAL unit whose length stands at `at`.
    pub(super) fn extend_nal(&mut self, at: usize, piece: &[u8]) -> Result<(), Damage> {
        self.check(piece.len())?;
        let data = self.writable();
        data.extend_from_slice(piece);
        let body = at.saturating_add(4);
        let length =
            u32::try_from(data.len().saturating_sub(body)).map_err(|_| Damage::TooLarge)?;
        if let Some(field) = data.get_mut(at..body) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }

    /// Takes back the NAL unit whose length stands at `at`, the last.
    pub(super) fn take_nal(&mut self, at: usize) -> Bytes {
        let mut nal = self.data.split_off(at.min(self.data.len()));
        nal.advance(nal.len().min(4));
        nal.freeze()
    }

    /// Where further bytes go, for formats with structure of their own; [`check`](Self::check) first.
    pub(super) fn writable(&mut self) -> &mut BytesMut {
        if !self.only.is_empty() {
            self.data.extend_from_slice(&self.only);
            self.only = Bytes::new();
        }
        &mut self.data
    }

    /// Whether `more` bytes may be added.
    pub(super) fn check(&self, more: usize) -> Result<(), Damage> {
        if self.size().saturating_add(more) > MAX_VIDEO_BYTES {
            return Err(Damage::TooLarge);
        }
        Ok(())
    }

    pub(super) fn into_data(self) -> Bytes {
        if self.only.is_empty() {
            self.data.freeze()
        } else {
            self.only
        }
    }
}
