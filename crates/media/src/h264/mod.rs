//! H.264.

mod sps;

pub use sps::H264Sps;
