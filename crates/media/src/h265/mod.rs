//! H.265.

mod sps;

pub use sps::H265Sps;
