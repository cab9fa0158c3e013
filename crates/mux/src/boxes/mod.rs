//! The box structure of ISO/IEC 14496-12 §4.2, written.

mod writer;

pub(crate) use writer::{full_box, patch_u32, write_box};

/// A four-character code.
pub(crate) type Kind = [u8; 4];
