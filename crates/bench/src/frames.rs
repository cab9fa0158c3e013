//! Video that no decoder will see: VP8 frames of a given size (RFC 7741).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::FRAME_PACKETS;

/// Makes the payloads of one stream, frame by frame.
#[derive(Debug)]
pub struct Frames {
    payload_bytes: usize,
    picture_id: u16,
}

impl Frames {
    /// Payloads of `payload_bytes`, at least 32.
    pub fn new(payload_bytes: usize) -> Self {
        Self {
            payload_bytes: payload_bytes.max(32),
            picture_id: 0,
        }
    }

    /// The next frame, each packet stamped with the time since `epoch`.
    pub fn next(&mut self, key: bool, since_epoch: Duration) -> [Arc<[u8]>; FRAME_PACKETS] {
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        let [high, low] = self.picture_id.to_be_bytes();
        let stamp = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
        std::array::from_fn(|index| {
            let start = index == 0;
            let mut payload = Vec::with_capacity(self.payload_bytes);
            payload.extend([if start { 0x90 } else { 0x80 }, 0x80, high | 0x80, low]);
            if start && key {
                payload.extend([0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
            } else {
                payload.extend([0x11; 10]);
            }
            payload.resize(STAMP_AT, 0);
            payload.extend(stamp.to_be_bytes());
            payload.resize(self.payload_bytes, 0x5a);
            payload.into()
        })
    }
}

/// How long ago at `now` the packet was made.
pub fn stamp_of(payload: &[u8], epoch: Instant, now: Instant) -> Option<Duration> {
    let bytes = payload.get(STAMP_AT..STAMP_AT + 8)?.try_into().ok()?;
    let made = epoch + Duration::from_nanos(u64::from_be_bytes(bytes));
    now.checked_duration_since(made)
}

const STAMP_AT: usize = 16;
