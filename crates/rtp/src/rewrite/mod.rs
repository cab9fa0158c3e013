//! The state of one subscriber slot that keeps its numbers gapless while the source behind it changes.

mod picture_id;
mod sequence;
mod timestamp;

pub use picture_id::{PictureIdRewriter, PictureIds};
pub use sequence::SequenceRewriter;
pub use timestamp::TimestampRewriter;
