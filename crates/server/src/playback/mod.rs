//! Recordings over HTTP: lists of them, files by ranges of bytes, and stretches of time.
//!
//! A request is put before the authorizer on its stream's shard; what it gets is read by threads of its storage
//! ([`Readers`](crate::record::Readers)), piece by piece as the client takes it. Only finished files are served: one that
//! is being written is found when it is finished.

mod answer;
mod content;
mod route;

pub(crate) use answer::{Source, answer, busy, refused};
pub(crate) use content::Budget;
pub use content::{Content, Playback};
pub(crate) use route::key_of;
