//! Everything the crate writes, judged by foreign readers and by the rules of the specifications.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test may panic, and its numbers are small"
)]

mod answers;
mod atoms;
mod corpus;
mod excerpts;
mod ffprobe;
mod lint;
mod playlists;
mod real_streams;
mod recordings;
mod segments;
mod streams;
mod support;
