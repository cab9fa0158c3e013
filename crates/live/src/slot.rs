//! A frame in the ring, with what its readers are told in front of it.

use sluice_media::{Frame, Item};

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) frame: Frame,
    /// Index into the stream's tracks.
    pub(crate) track: u8,
    pub(crate) audio: bool,
    pub(crate) starts_chain: bool,
    pub(crate) epoch: u32,
    pub(crate) stamp: Stamp,
}

/// What a reader compares to see that nothing has changed since the track's last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    /// Of the track's configuration, from 1; 0 is none.
    pub(crate) revision: u32,
    /// Of the stream, from 1: one more with each discontinuity.
    pub(crate) timeline: u32,
}

impl Item for Slot {
    fn cost(&self) -> usize {
        self.frame.data.len() + SLOT_COST
    }

    fn starts_chain(&self) -> bool {
        self.starts_chain
    }

    fn is_audio(&self) -> bool {
        self.audio
    }
}

/// What a slot takes beside its payload: itself, its arrival, and as much again for the ring's spare capacity.
const SLOT_COST: usize = 2 * (size_of::<Slot>() + 16);
