//! What a subscriber's jitter buffer notices of the rewritten timestamps.

mod seeded;

use std::time::Duration;

use seeded::Seeded;
use sluice_rtp::TimestampRewriter;

const RATE: u32 = 90_000;

fn ticks(elapsed: Duration) -> u64 {
    let whole = elapsed.as_secs() * u64::from(RATE);
    whole + u64::from(elapsed.subsec_micros()) * u64::from(RATE) / 1_000_000
}

#[test]
fn clock_is_free_of_drift_and_never_goes_back_over_a_thousand_switches() {
    for (seed, interval) in (1..=20).zip([None, Some(3_000), Some(3_600), Some(750)].iter().cycle())
    {
        let mut random = Seeded::new(seed);
        let first_out = random.below(1 << 32);
        let mut rewriter = TimestampRewriter::new(first_out);
        let mut now = Duration::from_secs(random.below(1_000_000));
        let origin = now;
        let mut last: Option<u64> = None;
        for switch in 0..1_000 {
            let mut ts_in = random.below(1 << 33);
            rewriter.switch(ts_in, now, RATE, *interval);
            let out = rewriter.map(ts_in);
            if let Some(last) = last {
                assert!(out >= last + 1_500, "seed {seed}: {out} after {last}");
                if let Some(interval) = interval {
                    let step = out - last;
                    assert!(
                        step.is_multiple_of(*interval) || step <= 1_800,
                        "seed {seed}: {step}"
                    );
                }
            }
            let wall = first_out + ticks(now.saturating_sub(origin));
            // Half a frame of rounding, one least step, and the publisher's clock and jitter in the last stay.
            assert!(
                out.abs_diff(wall) <= 9_000,
                "seed {seed}, switch {switch}: {out} {wall}"
            );
            last = Some(out);
            // Each publisher's clock is off by up to 1000 ppm.
            let skew = 999 + random.below(3);
            for _ in 0..random.below(60) {
                ts_in += 3 * skew;
                now += Duration::from_micros(33_333);
                let out = rewriter.map(ts_in);
                assert!(last < Some(out), "seed {seed}");
                last = Some(out);
            }
            now += Duration::from_micros(random.below(50_000));
        }
    }
}

#[test]
fn first_packet_gets_the_first_timestamp_and_the_source_keeps_its_steps() {
    let mut rewriter = TimestampRewriter::new(5_000_000_000);
    rewriter.switch(77, Duration::from_secs(9), RATE, None);
    assert_eq!(rewriter.map(77), 5_000_000_000);
    assert_eq!(rewriter.map(3_077), 5_000_003_000);
}

#[test]
fn late_packet_from_before_the_switch_is_held_at_it() {
    let mut rewriter = TimestampRewriter::new(0);
    rewriter.switch(10, Duration::ZERO, RATE, None);
    assert_eq!(rewriter.map(5), 0);
    rewriter.switch(1 << 40, Duration::from_secs(1), RATE, None);
    assert_eq!(rewriter.map((1 << 40) - 3_000), 90_000);
}

#[test]
fn switches_faster_than_frames_still_advance_and_are_caught_up() {
    let mut rewriter = TimestampRewriter::new(0);
    let mut last = None;
    for millis in 0..50 {
        rewriter.switch(0, Duration::from_millis(millis), RATE, None);
        let out = rewriter.map(0);
        assert!(last.is_none_or(|last| out >= last + 1_500));
        last = Some(out);
    }
    rewriter.switch(0, Duration::from_secs(10), RATE, None);
    assert_eq!(rewriter.map(0), 900_000, "back on the wall");
}

#[test]
fn source_that_ran_away_moves_the_epoch_instead_of_freezing_time() {
    let mut rewriter = TimestampRewriter::new(0);
    rewriter.switch(0, Duration::ZERO, RATE, None);
    let far = rewriter.map(1 << 31);
    rewriter.switch(0, Duration::from_secs(1), RATE, None);
    assert_eq!(rewriter.map(0), far + 1_500);
    rewriter.switch(0, Duration::from_secs(3), RATE, None);
    assert_eq!(rewriter.map(0), far + 1_500 + 180_000);
}

#[test]
fn senseless_frame_intervals_are_ignored() {
    for interval in [0, 90_001, u64::MAX] {
        let mut rewriter = TimestampRewriter::new(0);
        rewriter.switch(0, Duration::ZERO, RATE, Some(interval));
        rewriter.switch(0, Duration::from_secs(1), RATE, Some(interval));
        assert_eq!(rewriter.map(0), 90_000);
    }
}
