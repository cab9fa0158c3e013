//! Boxes written into one growing buffer; a size is filled in when its box is complete.

use bytes::{BufMut, BytesMut};

use super::Kind;

/// Writes a box and what `body` puts into it.
pub(crate) fn write_box(out: &mut BytesMut, kind: Kind, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(&kind);
    body(out);
    let size = out.len().saturating_sub(start);
    // The callers keep every box far below 4 GiB, so the size always fits.
    patch_u32(out, start, u32::try_from(size).unwrap_or(u32::MAX));
}

/// Writes a box that begins with a version and 24 flags (§4.2.2).
pub(crate) fn full_box(
    out: &mut BytesMut,
    kind: Kind,
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut BytesMut),
) {
    write_box(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0x00ff_ffff);
        body(out);
    });
}

/// Overwrites four bytes that are already there.
pub(crate) fn patch_u32(out: &mut BytesMut, at: usize, value: u32) {
    if let Some(slot) = out.get_mut(at..at.saturating_add(4)) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}
