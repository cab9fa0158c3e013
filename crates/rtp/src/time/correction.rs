//! How a track comes to its right time without going back in it.

/// What is added to a track's RTP time, as it moves towards what sender reports ask for.
///
/// The rule, so that time as it comes out never goes back:
/// - A track that is early by 250 ms or more leaps forward at the next new timestamp: a gap hurts less than seconds
///   of sound beside the lips.
/// - A smaller error is taken up by a sixteenth of the time that passes, either way.
/// - A track that is late by more goes at half speed until 250 ms are left.
///
/// The offset is a function of the timestamp, so pictures that come in decoding order keep the order of their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Correction {
    /// Holds up to `present.from`.
    before: Course,
    present: Course,
}

/// One way from an offset to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Course {
    from: i64,
    offset: i64,
    target: i64,
    /// 250 ms in ticks.
    limit: i64,
}

impl Correction {
    /// A fixed offset, for a track of `rate` ticks a second.
    pub(super) fn fixed(offset: i64, rate: u32) -> Self {
        let course = Course {
            from: i64::MIN,
            offset,
            target: offset,
            limit: i64::from(rate / 4),
        };
        Self {
            before: course,
            present: course,
        }
    }

    /// What to add to the extended RTP timestamp `ticks`.
    pub(super) fn offset(&self, ticks: i64) -> i64 {
        if ticks > self.present.from {
            self.present.offset(ticks)
        } else {
            self.before.offset(ticks)
        }
    }

    /// Where it is heading.
    pub(super) const fn target(&self) -> i64 {
        self.present.target
    }

    /// From the timestamp `highest` on, the highest seen, head for `target`.
    pub(super) fn aim(&mut self, highest: i64, target: i64) {
        let offset = self.offset(highest);
        self.before = if highest > self.present.from {
            self.present
        } else {
            self.before
        };
        self.present = Course {
            from: highest,
            offset,
            target,
            limit: self.present.limit,
        };
    }
}

impl Course {
    fn offset(&self, ticks: i64) -> i64 {
        if ticks <= self.from {
            return self.offset;
        }
        let passed = ticks.saturating_sub(self.from);
        let early = self.target.saturating_sub(self.offset);
        if early >= self.limit {
            return self.target;
        }
        if early >= 0 {
            return self.offset.saturating_add(early.min(passed / 16));
        }
        let late = early.saturating_neg();
        let fast = late.saturating_sub(self.limit).max(0);
        let fast_passed = fast.saturating_mul(2);
        let moved = if passed <= fast_passed {
            passed / 2
        } else {
            fast.saturating_add(passed.saturating_sub(fast_passed) / 16)
        };
        self.offset.saturating_sub(moved.min(late))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000;

    fn course(target: i64) -> Correction {
        let mut correction = Correction::fixed(0, 1_000);
        correction.aim(0, target);
        correction
    }

    #[test]
    fn small_errors_are_taken_up_by_a_sixteenth_either_way() {
        for target in [160, -160] {
            let correction = course(target);
            assert_eq!(correction.offset(0), 0);
            assert_eq!(correction.offset(SECOND), 62 * target.signum());
            assert_eq!(correction.offset(10 * SECOND), target);
        }
    }

    #[test]
    fn large_errors_leap_forward_and_crawl_back() {
        assert_eq!(course(5 * SECOND).offset(1), 5 * SECOND);
        let late = course(-5 * SECOND);
        assert_eq!(late.offset(SECOND), -SECOND / 2);
        assert_eq!(late.offset(9_500), -4_750);
        assert_eq!(late.offset(9_500 + 4 * SECOND), -5 * SECOND);
    }

    #[test]
    fn time_never_goes_back_whatever_is_aimed_at_and_when() {
        let mut correction = Correction::fixed(0, 1_000);
        let (mut highest, mut last) = (0, 0);
        let mut seed = 9_u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let draw = i64::try_from(seed >> 40).unwrap();
            if draw % 7 == 0 {
                correction.aim(highest, draw % 20_000 - 10_000);
            }
            highest += draw % 40;
            let out = highest + correction.offset(highest);
            assert!(out >= last, "{out} after {last}");
            last = out;
        }
    }

    #[test]
    fn picture_from_before_the_turn_stays_before_it() {
        let mut correction = course(-5 * SECOND);
        let shown: Vec<i64> = [100, 133, 166]
            .map(|ticks| ticks + correction.offset(ticks))
            .into();
        correction.aim(166, 0);
        assert_eq!(133 + correction.offset(133), shown[1]);
        assert_eq!(166 + correction.offset(166), shown[2]);
    }
}
