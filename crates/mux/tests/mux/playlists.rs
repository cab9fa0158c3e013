//! Streams of all tempers through the segmenter and its playlist, each step held against the rules.

use std::time::Duration;

use sluice_mux::hls::{MediaPlaylist, PlaylistOptions};
use sluice_mux::journal::Journal;
use sluice_mux::{Counters, Output, Segmenter, SegmenterOptions};

use crate::lint::Lint;
use crate::streams::{Event, Temper, events};
use crate::support::{Seeded, drain};

#[test]
fn streams_of_all_tempers_keep_the_rules() {
    let mut looked_at = 0;
    for seed in 1..=60 {
        let mut random = Seeded::new(seed * 0x9e37_79b9);
        let temper = Temper::of(&mut random);
        let events = events(&mut random, temper, 40);
        let outcome =
            std::panic::catch_unwind(|| play(&events, SegmenterOptions::default()).looked_at);
        looked_at += outcome.unwrap_or_else(|_| panic!("seed {seed}, {temper:?}"));
    }
    assert!(looked_at > 6_000, "{looked_at}");
}

#[test]
fn parts_of_any_target_keep_the_rules() {
    for millis in [100, 150, 333, 500, 1_000] {
        let mut options = SegmenterOptions::default();
        options.part_target = Duration::from_millis(millis);
        options.segment_target = Duration::from_secs(2);
        let mut random = Seeded::new(millis);
        let events = events(&mut random, Temper::calm(), 20);
        let run = play(&events, options);
        assert!(run.looked_at > 15, "{}", run.looked_at);
    }
}

#[test]
fn calm_stream_loses_nothing_and_cuts_each_second_in_five() {
    let run = play(
        &events(&mut Seeded::new(1), Temper::calm(), 20),
        SegmenterOptions::default(),
    );
    assert_eq!(run.counters, Counters::default());
    let mut parts = 0;
    for output in &run.outputs {
        match output {
            Output::Part(part) => {
                assert_eq!(part.duration, Duration::from_millis(200));
                assert_eq!(part.independent, part.index == 0);
                parts += 1;
            }
            Output::End(segment) => assert_eq!(segment.duration, Duration::from_secs(1)),
            _ => {}
        }
    }
    // The last picture's place is a guess.
    assert!((99..=100).contains(&parts), "{parts}");
}

#[test]
fn lint_finds_what_it_looks_for() {
    let good = play(
        &events(&mut Seeded::new(3), Temper::calm(), 9),
        SegmenterOptions::default(),
    );
    let judged = |spoil: &dyn Fn(&mut Output)| {
        let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
        let mut lint = Lint::default();
        for output in &good.outputs {
            let mut output = output.clone();
            spoil(&mut output);
            playlist.push(&output);
            if matches!(output, Output::Part(_) | Output::End(_)) {
                lint.look(&mut playlist);
            }
        }
    };
    let found = |spoil: fn(&mut Output)| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judged(&spoil))).is_err()
    };
    assert!(!found(|_| {}));
    assert!(found(|output| {
        if let Output::Part(part) = output {
            part.duration = part.duration.mul_f64(0.9);
        }
    }));
    assert!(found(|output| {
        if let Output::Start(start) = output {
            start.number /= 2;
        }
    }));
    assert!(found(|output| {
        if let Output::End(end) = output {
            end.duration *= 2;
        }
    }));
    assert!(found(|output| {
        if let Output::Part(part) = output {
            part.last |= part.index == 2;
        }
    }));
}

struct Run {
    outputs: Vec<Output>,
    counters: Counters,
    looked_at: u32,
}

fn play(events: &[Event], options: SegmenterOptions) -> Run {
    let mut segmenter = Segmenter::new(options);
    let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
    let mut lint = Lint::default();
    let mut outputs = Vec::new();
    for event in events {
        match event {
            Event::Tracks(tracks) => segmenter.set_tracks(tracks).unwrap(),
            Event::Frame(frame, wall) => segmenter.handle_frame(frame, *wall),
        }
        give_out(&mut segmenter, &mut playlist, &mut lint, &mut outputs);
    }
    segmenter.end_segment();
    give_out(&mut segmenter, &mut playlist, &mut lint, &mut outputs);
    let frames = events
        .iter()
        .filter(|event| matches!(event, Event::Frame(..)));
    assert_eq!(
        samples(&outputs) as u64 + dropped(segmenter.counters()),
        frames.count() as u64
    );
    playlist.end();
    assert!(lint.look(&mut playlist).ended);
    Run {
        outputs,
        counters: segmenter.counters(),
        looked_at: lint.looked_at,
    }
}

/// All samples given out, read back: the reader refuses times that do not rise.
fn samples(outputs: &[Output]) -> usize {
    let mut journals = Vec::new();
    for output in outputs {
        match output {
            Output::Init(init) => journals.push(Journal::begin(&init.bytes).unwrap()),
            Output::Part(part) => {
                journals.last_mut().unwrap().append(&part.bytes).unwrap();
            }
            _ => {}
        }
    }
    journals.iter().map(Journal::samples).sum()
}

fn dropped(counters: Counters) -> u64 {
    counters.unknown_track + counters.before_keyframe + counters.stragglers + counters.overlapping
}

fn give_out(
    segmenter: &mut Segmenter,
    playlist: &mut MediaPlaylist,
    lint: &mut Lint,
    outputs: &mut Vec<Output>,
) {
    for output in drain(segmenter) {
        playlist.push(&output);
        if matches!(output, Output::Part(_) | Output::End(_)) {
            lint.look(playlist);
        }
        outputs.push(output);
    }
}
