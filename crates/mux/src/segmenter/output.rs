//! What a segmenter gives out.

use std::time::Duration;

use bytes::Bytes;
use sluice_media::Timestamp;

/// What comes out, in this order: an init segment, then per segment its start, its parts and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The decoder configuration of the segments that follow.
    Init(Init),
    /// A segment begins; its first part follows at once.
    Start(SegmentStart),
    /// A part of the segment that has begun.
    Part(Part),
    /// The segment is complete: the parts given out since its start, one after the other, are its bytes.
    End(Segment),
}

/// An init segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    /// Rises with each change of tracks or configuration, from 0.
    pub number: u32,
    /// `ftyp` and `moov`.
    pub bytes: Bytes,
}

/// What is known of a segment before it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// The media sequence number (RFC 8216 §3): from 0, never goes back, never skips.
    pub number: u64,
    /// Number of the [`Init`] it needs.
    pub init: u32,
    /// Its timeline or configuration does not continue that of the segment before.
    pub discontinuity: bool,
    /// Discontinuities of this stream up to and with this segment.
    pub discontinuity_sequence: u64,
    /// When its first sample is decoded on the timeline given out.
    pub start: Timestamp,
    /// Wall-clock time of its first sample, microseconds since 1970.
    pub wall_micros: i64,
}

/// A CMAF chunk: one `moof` and its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Number of its segment.
    pub segment: u64,
    /// Its place in the segment, from 0.
    pub index: u32,
    /// The bytes; a segment is the sum of its parts.
    pub bytes: Bytes,
    /// When it starts on the timeline given out.
    pub start: Timestamp,
    /// How long it lasts on the cutting track.
    pub duration: Duration,
    /// It holds a keyframe of the video, or there is no video.
    pub independent: bool,
    /// The segment ends with it; [`Output::End`] follows at once.
    pub last: bool,
    /// The part target of the stream by now, which grows only. The part lasts from 85 % to 100 % of it; a segment's
    /// last may be shorter, or longer where nothing came for that long.
    pub target: Duration,
}

/// A complete segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub number: u64,
    /// The sum of its parts' durations.
    pub duration: Duration,
    /// How many parts it has.
    pub parts: u32,
    /// The sum of its parts' bytes.
    pub bytes: u64,
    /// Samples of the cutting track, the video where there is one: frames per second follow.
    pub frames: u32,
    /// It begins with a keyframe, or there is no video. Else the segment before had to end early.
    pub independent: bool,
}

/// What a segmenter dropped or bent, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Frames of tracks nobody announced.
    pub unknown_track: u64,
    /// Frames dropped because no keyframe had come yet.
    pub before_keyframe: u64,
    /// Frames of a timeline that had ended.
    pub stragglers: u64,
    /// Frames of sound dropped because they lay on what had been given out.
    pub overlapping: u64,
    /// Decode times moved forward because they did not rise.
    pub moved: u64,
    /// Parts dropped because MP4 cannot hold them.
    pub oversized: u64,
}
