//! Names of the live objects: dense indices with a generation, so that nothing is searched on a frame's way.

/// A stream from its creation to its end. A key published again after its stream ended is another stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// One publisher's turn on a stream. Stale once the turn is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    pub(crate) stream: StreamId,
    pub(crate) epoch: u32,
}

impl SessionId {
    /// The stream it writes.
    pub const fn stream(self) -> StreamId {
        self.stream
    }

    /// Which turn it is: 1 for a stream's first publisher, one more with each that takes over or comes back.
    pub const fn epoch(self) -> u32 {
        self.epoch
    }
}

/// One reader of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SubscriptionId {
    /// A dense index, for tables beside the engine: reused once the subscription is gone.
    pub const fn index(self) -> u32 {
        self.index
    }
}

/// A request to publish or to play, from its arrival until it is used, refused or forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdmissionId(pub(crate) u64);
