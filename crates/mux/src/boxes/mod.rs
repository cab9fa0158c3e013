//! The box structure of ISO/IEC 14496-12 §4.2, written and read.

mod reader;
mod writer;

pub(crate) use reader::{Boxed, Boxes, Fields, Header};
pub(crate) use writer::{full_box, patch_u32, write_box};

/// A four-character code.
pub(crate) type Kind = [u8; 4];
