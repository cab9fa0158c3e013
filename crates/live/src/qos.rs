//! What a stream or a track brings, measured.

use std::time::{Duration, Instant};

use crate::window::Window;

/// What has come, and at what rate over the last second: zero when frames stop.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Qos {
    /// Payload bits a second.
    pub bits_per_second: f64,
    /// Frames a second.
    pub frames_per_second: f64,
    /// Frames since the beginning.
    pub frames: u64,
    /// Payload bytes since the beginning.
    pub bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Meter {
    window: Window,
    frames: u64,
    bytes: u64,
}

impl Meter {
    pub(crate) fn count(&mut self, now: Instant, bytes: usize) {
        let bytes = bytes as u64;
        self.frames += 1;
        self.bytes += bytes;
        self.window.add(now, bytes, 1);
    }

    pub(crate) fn qos(&self, now: Instant) -> Qos {
        let (bytes, frames) = self.window.rate(now);
        Qos {
            bits_per_second: bytes * 8.0,
            frames_per_second: frames,
            frames: self.frames,
            bytes: self.bytes,
        }
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            window: Window::new(Duration::from_secs(1)),
            frames: 0,
            bytes: 0,
        }
    }
}
