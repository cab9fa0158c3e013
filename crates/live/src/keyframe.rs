//! Asking a publisher for keyframes, seldom enough.

use std::time::{Duration, Instant};

/// Merges the wishes of all readers: one request at a time, repeated each second, ended only by a keyframe.
#[derive(Debug, Default)]
pub(crate) struct KeyframeRequests {
    wanted: bool,
    asked: Option<Instant>,
}

impl KeyframeRequests {
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came, or whoever could have sent one is gone.
    pub(crate) const fn settle(&mut self) {
        self.wanted = false;
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether a request may leave at `now`; `true` starts a new interval.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let due = self.wanted && self.due().is_none_or(|due| now >= due);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// When the next request may leave, if one was sent before.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.asked.map(|asked| asked + INTERVAL)
    }
}

/// Often enough that a joiner of a stream whose keyframe was lost waits no longer than it must.
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
    fn d8_requests_go_on_each_second_until_a_keyframe_comes() {
        let (t0, mut requests) = (Instant::now(), KeyframeRequests::default());
        assert!(!requests.allow(t0), "nobody asked");
        requests.want();
        assert!(requests.allow(t0));
        requests.want();
        assert!(!requests.allow(t0 + INTERVAL / 2));
        assert!(requests.allow(t0 + INTERVAL));
        requests.settle();
        assert!(!requests.allow(t0 + INTERVAL * 5));
        requests.want();
        assert!(requests.allow(t0 + INTERVAL * 5));
    }
}
