//! Which of the packets that claim to start a keyframe is the first.

use super::PayloadInfo;

/// Tells the first packet of each keyframe of one source, in order of arrival.
///
/// H.264 and H.265 senders put parameter sets in packets before the picture, under the same RTP timestamp; a decoder
/// that begins at the picture lacks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyframeStart {
    timestamp: Option<u32>,
}

impl KeyframeStart {
    /// Whether this packet is the first of a keyframe; `timestamp` is its RTP timestamp.
    pub fn is_first(&mut self, timestamp: u32, info: &PayloadInfo) -> bool {
        let first = info.starts_keyframe && self.timestamp != Some(timestamp);
        if first {
            self.timestamp = Some(timestamp);
        }
        first
    }
}
