//! D9: tracks of different clocks on one timeline, without going back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod seeded;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use seeded::Seeded;
use sluice_media::TrackId;
use sluice_rtp::{Moment, NtpTime, SenderInfo, Timeline};

#[expect(clippy::disallowed_methods, reason = "an arbitrary origin, read once")]
fn any_instant() -> Instant {
    Instant::now()
}

/// One track of a sender whose clocks are wrong in their own ways.
struct Sender {
    track: TrackId,
    rate: u32,
    first: u32,
    /// How much faster than nominal its sampling clock runs, in millionths.
    skew: i64,
}

impl Sender {
    const VIDEO: Self = Self {
        track: TrackId::VIDEO,
        rate: 90_000,
        // Wraps after ten seconds.
        first: u32::MAX - 900_000,
        skew: 120,
    };
    const AUDIO: Self = Self {
        track: TrackId::AUDIO,
        rate: 48_000,
        first: 77,
        skew: -90,
    };

    fn rtp(&self, micros: i64) -> u32 {
        let ticks = i128::from(micros) * i128::from(1_000_000 + self.skew) * i128::from(self.rate)
            / 1_000_000_000_000;
        self.first
            .wrapping_add(u32::try_from(ticks.rem_euclid(1 << 32)).unwrap())
    }

    fn report(&self, micros: i64, wall: i64) -> SenderInfo {
        SenderInfo {
            ntp: NtpTime::from_unix_micros(wall + micros),
            rtp_timestamp: self.rtp(micros),
            packets: 0,
            octets: 0,
        }
    }
}

const WALL: i64 = 1_790_000_000_000_000;

struct Run {
    start: Instant,
    timeline: Timeline,
}

impl Run {
    fn new() -> Self {
        let mut timeline = Timeline::new();
        for sender in [Sender::VIDEO, Sender::AUDIO] {
            assert!(timeline.add_track(sender.track, NonZeroU32::new(sender.rate).unwrap()));
        }
        Self {
            start: any_instant(),
            timeline,
        }
    }

    /// What was captured `micros` after the start, and arrives `delay` later.
    fn locate(&mut self, sender: &Sender, micros: i64, delay: u64) -> Moment {
        let arrival = self.start
            + Duration::from_micros(u64::try_from(micros).unwrap())
            + Duration::from_millis(delay);
        self.timeline
            .locate(sender.track, sender.rtp(micros), arrival)
            .unwrap()
    }
}

/// Runs for ten minutes and gives the greatest difference of the two tracks, in milliseconds, once the first reports
/// have had time to act.
fn lip_error(with_reports: bool) -> i64 {
    let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
    let mut run = Run::new();
    let mut random = Seeded::new(11);
    let mut last = [i64::MIN; 2];
    let mut worst = 0;
    for step in 0..60_000_i64 {
        let micros = step * 10_000;
        if with_reports && step > 0 && step % 500 == 0 {
            run.timeline
                .handle_report(video.track, video.report(micros, WALL));
            run.timeline
                .handle_report(audio.track, audio.report(micros - 3_000, WALL));
        }
        // Video takes 180 ms longer than audio to arrive.
        let jitter = random.below(30);
        let picture = run.locate(&video, micros, 200 + jitter).pts.micros();
        let sound = run.locate(&audio, micros, 20 + jitter / 3).pts.micros();
        for (last, now) in last.iter_mut().zip([picture, sound]) {
            assert!(now >= *last, "time went back at {micros}");
            *last = now;
        }
        if step > 2_000 {
            worst = worst.max((picture - sound).abs());
        }
    }
    worst / 1_000
}

#[test]
fn d9_lips_stay_with_sound_for_ten_minutes_of_skewed_clocks() {
    let worst = lip_error(true);
    assert!(worst < 5, "{worst} ms");
}

#[test]
fn d9_without_reports_the_same_clocks_run_apart() {
    let worst = lip_error(false);
    assert!(worst > 80, "{worst} ms: the test cannot fail");
}

#[test]
fn first_report_moves_nothing_and_gives_the_capture_time() {
    let mut run = Run::new();
    let video = Sender::VIDEO;
    let before = run.locate(&video, 0, 40);
    assert_eq!(before.captured_micros, None);
    assert_eq!(before.pts.ticks(), 0);
    run.timeline
        .handle_report(video.track, video.report(33_333, WALL));
    let after = run.locate(&video, 1_000_000, 40);
    assert!((after.pts.micros() - 1_000_000).abs() < 200);
    let captured = after.captured_micros.unwrap();
    assert!((captured - WALL - 1_000_000).abs() < 200, "{captured}");
}

#[test]
fn track_that_joins_with_a_report_is_in_its_place_at_once() {
    let mut run = Run::new();
    let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
    run.locate(&video, 0, 20);
    run.timeline
        .handle_report(video.track, video.report(0, WALL));
    run.timeline
        .handle_report(audio.track, audio.report(2_000_000, WALL));
    let sound = run.locate(&audio, 2_000_000, 900);
    assert!((sound.pts.micros() - 2_000_000).abs() < 1_000);
    assert!(sound.captured_micros.is_some());
}

#[test]
fn wall_clock_that_is_set_moves_no_track() {
    for step in [-3_600_000_000, -4_000_000, 5_000_000, 3_600_000_000] {
        let mut run = Run::new();
        let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
        for second in 0..40_i64 {
            let micros = second * 1_000_000;
            let wall = if second < 20 { WALL } else { WALL + step };
            let picture = run.locate(&video, micros, 20).pts.micros();
            let sound = run.locate(&audio, micros, 20).pts.micros();
            assert!((picture - micros).abs() < 10_000, "{step}: {picture}");
            assert!((sound - micros).abs() < 10_000, "{step}: {sound}");
            if second % 5 == 0 {
                run.timeline
                    .handle_report(video.track, video.report(micros, wall));
                run.timeline
                    .handle_report(audio.track, audio.report(micros, wall));
            }
        }
    }
}

#[test]
fn report_of_another_clock_leaves_the_track_by_arrival() {
    let mut run = Run::new();
    let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
    for second in 0..30_i64 {
        let micros = second * 1_000_000;
        run.locate(&video, micros, 20);
        let sound = run.locate(&audio, micros, 20).pts.micros();
        assert!((sound - micros).abs() < 10_000, "{sound}");
        run.timeline
            .handle_report(video.track, video.report(micros, WALL));
        // Counts from when the camera was switched on, 1900 by its own word.
        run.timeline
            .handle_report(audio.track, audio.report(micros, -2_208_988_700_000_000));
    }
}

#[test]
fn rtp_time_that_begins_anew_goes_on_by_arrival() {
    let mut run = Run::new();
    let video = Sender::VIDEO;
    run.timeline
        .handle_report(video.track, video.report(0, WALL));
    for second in 0..5 {
        assert!(!run.locate(&video, second * 1_000_000, 20).discontinuity);
    }
    let anew = Sender {
        first: 123_456_789,
        ..Sender::VIDEO
    };
    let moment = run.locate(&anew, 5_000_000, 20);
    assert!(moment.discontinuity);
    assert_eq!(moment.captured_micros, None);
    assert!((moment.pts.micros() - 5_000_000).abs() < 2_000);
    assert!(!run.locate(&anew, 6_000_000, 20).discontinuity);
    run.timeline.restart_track(video.track);
    let moment = run.locate(&video, 6_500_000, 20);
    assert!(moment.discontinuity);
    assert!((moment.pts.micros() - 6_500_000).abs() < 2_000);
}

#[test]
fn report_overtaken_by_one_from_behind_a_step_is_left_out() {
    let mut run = Run::new();
    let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
    let step = 3_600_000_000;
    for second in 0..30_i64 {
        let micros = second * 1_000_000;
        run.locate(&video, micros, 20);
        let sound = run.locate(&audio, micros, 20).pts.micros();
        assert!((sound - micros).abs() < 10_000, "{sound}");
        let wall = |from| if second < from { WALL } else { WALL + step };
        if second % 5 == 0 {
            run.timeline
                .handle_report(video.track, video.report(micros, wall(10)));
            // At 10 s it still tells the time before the step.
            run.timeline
                .handle_report(audio.track, audio.report(micros, wall(11)));
        }
    }
}

#[test]
fn late_sound_from_before_a_leap_stays_before_it() {
    let mut run = Run::new();
    let (video, audio) = (Sender::VIDEO, Sender::AUDIO);
    // The first picture arrives 5 s late, so the sound is taken for 5 s too early.
    run.locate(&video, 0, 5_000);
    run.timeline
        .handle_report(video.track, video.report(0, WALL));
    assert_eq!(run.locate(&audio, 5_000_000, 0).pts.ticks(), 0);
    for micros in [5_000_000, 5_020_000] {
        run.timeline
            .handle_report(audio.track, audio.report(micros, WALL));
        let now = run.locate(&audio, micros + 20_000, 0).pts.micros();
        assert!((now - micros - 20_000).abs() < 1_000, "{now}");
        let late = run
            .locate(&audio, 5_000_000 - micros / 1_000, 0)
            .pts
            .micros();
        assert!(late < 10_000, "{late}");
    }
}

#[test]
fn stalled_network_is_no_restart() {
    let mut run = Run::new();
    let video = Sender::VIDEO;
    run.locate(&video, 0, 20);
    for frame in 1..400_i64 {
        // 13 s of pictures that all arrive 20 s after the start.
        let delay = u64::try_from(20_000 - frame * 33).unwrap();
        let moment = run.locate(&video, frame * 33_000, delay);
        assert!(!moment.discontinuity);
        assert!((moment.pts.micros() - frame * 33_000).abs() < 3_000);
    }
}

#[test]
fn tracks_are_bounded_and_unknown_ones_have_no_place() {
    let mut timeline = Timeline::new();
    let rate = NonZeroU32::new(90_000).unwrap();
    let added = (0..40)
        .filter(|number| timeline.add_track(TrackId::new(*number), rate))
        .count();
    assert_eq!(added, 32);
    assert!(timeline.add_track(TrackId::new(3), rate), "anew");
    timeline.remove_track(TrackId::new(3));
    let now = any_instant();
    assert_eq!(timeline.locate(TrackId::new(3), 0, now), None);
    assert_eq!(timeline.locate(TrackId::new(39), 0, now), None);
    assert!(timeline.locate(TrackId::new(4), 0, now).is_some());
}
