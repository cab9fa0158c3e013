//! When a publisher may be asked for a keyframe.

use std::time::{Duration, Instant};

/// Merges and limits the keyframe requests of one published layer (RFC 4585 §6.3.1).
#[derive(Debug, Default)]
pub(crate) struct KeyframeThrottle {
    last: Option<Instant>,
    /// A keyframe came since.
    answered: bool,
    /// Somebody asked inside the interval: ask again when it is over.
    owed: bool,
    sent: u64,
}

impl KeyframeThrottle {
    /// Whether a request may leave at `now`; if not, it is owed.
    pub(crate) fn request(&mut self, now: Instant) -> bool {
        if self.is_due(now) {
            self.last = Some(now);
            self.answered = false;
            self.owed = false;
            self.sent += 1;
            true
        } else {
            self.owed = true;
            false
        }
    }

    /// Asked for while the layer cannot be asked yet.
    pub(crate) fn owe(&mut self) {
        self.owed = true;
    }

    /// Whether a request may leave now that was owed, or that `somebody_waits` to see answered: the
    /// last one, or the keyframe it brought, may be lost.
    pub(crate) fn retry_due(&self, now: Instant, somebody_waits: bool) -> bool {
        (self.owed || somebody_waits) && self.is_due(now)
    }

    /// A keyframe came: nobody waits for one any more.
    pub(crate) fn satisfied(&mut self) {
        self.answered = true;
        self.owed = false;
    }

    /// Whether the ring is the quickest way to a picture, however long the replay: no request may
    /// leave, and none that left will be answered soon.
    pub(crate) fn is_spent(&self, now: Instant) -> bool {
        let overdue = |at| now.saturating_duration_since(at) >= ANSWER;
        !self.is_due(now) && (self.answered || self.last.is_some_and(overdue))
    }

    /// Requests sent since the start.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    fn is_due(&self, now: Instant) -> bool {
        self.last
            .is_none_or(|at| now.saturating_duration_since(at) >= MIN_INTERVAL)
    }
}

/// One request a second and layer, whatever the number of subscribers.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A keyframe that was asked for comes within this time, or something was lost.
const ANSWER: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_requests_in_a_second_make_one() {
        let (t0, mut throttle) = (Instant::now(), KeyframeThrottle::default());
        let sent = (0..50)
            .filter(|i| throttle.request(t0 + Duration::from_millis(i * 19)))
            .count();
        assert_eq!(sent, 1);
    }

    #[test]
    fn an_owed_request_leaves_when_the_interval_is_over() {
        let (t0, mut throttle) = (Instant::now(), KeyframeThrottle::default());
        assert!(throttle.request(t0));
        assert!(!throttle.request(t0 + MIN_INTERVAL / 2));
        assert!(!throttle.retry_due(t0 + MIN_INTERVAL / 2, true));
        assert!(throttle.retry_due(t0 + MIN_INTERVAL, false));
        assert!(throttle.request(t0 + MIN_INTERVAL));
        assert!(
            !throttle.retry_due(t0 + MIN_INTERVAL * 2, false),
            "paid once"
        );
    }

    #[test]
    fn a_lost_request_is_repeated_while_somebody_waits() {
        let (t0, mut throttle) = (Instant::now(), KeyframeThrottle::default());
        throttle.request(t0);
        assert!(!throttle.retry_due(t0 + MIN_INTERVAL, false));
        assert!(throttle.retry_due(t0 + MIN_INTERVAL, true));
    }

    #[test]
    fn a_keyframe_cancels_what_is_owed() {
        let (t0, mut throttle) = (Instant::now(), KeyframeThrottle::default());
        throttle.request(t0);
        throttle.request(t0 + MIN_INTERVAL / 2);
        throttle.satisfied();
        assert!(!throttle.retry_due(t0 + MIN_INTERVAL, false));
    }

    #[test]
    fn it_is_spent_between_an_answer_and_the_next_request() {
        let (t0, mut throttle) = (Instant::now(), KeyframeThrottle::default());
        assert!(!throttle.is_spent(t0), "a request may leave");
        throttle.request(t0);
        assert!(!throttle.is_spent(t0 + ANSWER / 2), "one is on its way");
        assert!(throttle.is_spent(t0 + ANSWER), "it was lost");
        throttle.satisfied();
        assert!(throttle.is_spent(t0 + ANSWER / 2));
        assert!(!throttle.is_spent(t0 + MIN_INTERVAL));
    }
}
