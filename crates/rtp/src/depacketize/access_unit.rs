//! What a depacketizer gives.

use bytes::Bytes;
use sluice_media::{Codec, Frame, Timestamp, TrackId};

/// One thing a [`Depacketizer`](crate::Depacketizer) has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Depacketized {
    /// A whole access unit.
    Unit(AccessUnit),
    /// Something is missing before the next unit: said once, however much goes. Video needs a keyframe to go on.
    Damaged(Damage),
}

/// Why units are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// Packets were lost.
    Lost,
    /// A payload breaks its format: the sender's fault.
    Malformed,
    /// A unit above the bound.
    TooLarge,
    /// The stream began, or went on, without a keyframe.
    NoKeyframe,
}

/// An access unit as [`Frame::data`] wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// The RTP timestamp of its packets; of later AAC units in a packet, counted on by 1 024 samples each.
    pub timestamp: u32,
    /// A decoder may begin here.
    pub keyframe: bool,
    /// No other unit refers to it (H.264 `nal_ref_idc` 0, VP8 `N`, H.265 non-reference pictures of the highest
    /// sub-layer).
    pub discardable: bool,
    /// Parameter sets that came with it or since the unit before, in order, as NAL units: H.264 and H.265. They are
    /// not in `data`. Senders repeat them: compare before a new configuration is built.
    pub parameter_sets: Vec<Bytes>,
    /// The coded bytes; shared with the packet where it holds the whole unit as it is.
    pub data: Bytes,
}

impl AccessUnit {
    /// The frame of a track without reordered pictures, shown when it is decoded; `pts` comes from
    /// [`Timeline`](crate::Timeline). The caller sets what only it knows: duration, discontinuity, capture time, and
    /// `dts` where pictures are reordered ([`DecodeTimes`](crate::DecodeTimes)).
    pub fn into_frame(self, track: TrackId, codec: Codec, pts: Timestamp) -> Frame {
        Frame {
            track,
            codec,
            pts,
            dts: pts,
            duration: None,
            keyframe: self.keyframe,
            discardable: self.discardable,
            discontinuity: false,
            captured_micros: None,
            data: self.data,
        }
    }
}
