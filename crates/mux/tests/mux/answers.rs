//! What players get, and when: blocking reloads, hinted parts, the window.

use std::time::Duration;

use sluice_mux::hls::{
    AudioRendition, BadRequest, Bandwidth, MediaPlaylist, PlaylistAnswer, PlaylistOptions,
    Position, Query, Resource, ResourceAnswer, Variant, multivariant,
};
use sluice_mux::{MuxError, Output, Segmenter, SegmenterOptions};

use crate::lint::{parse, ready};
use crate::streams::{Event, Temper, events};
use crate::support::{Seeded, drain};

#[test]
fn nobody_is_answered_before_the_first_part() {
    let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
    let ask = |playlist: &mut MediaPlaylist, waited| playlist.playlist(Query::default(), waited);
    assert_eq!(ask(&mut playlist, Duration::ZERO), PlaylistAnswer::Wait);
    assert_eq!(
        ask(&mut playlist, Duration::from_secs(3)),
        PlaylistAnswer::TimedOut
    );
    let (mut playlist, _) = filled(1);
    assert_eq!(playlist.position(), Some(Position { msn: 0, part: 0 }));
    assert!(ready(&mut playlist, Query::default()).contains("p0.0.m4s"));
}

#[test]
fn reload_blocks_until_its_part_is_there() {
    // Two whole segments of five parts, and two parts of the third.
    let (mut playlist, mut rest) = filled(12);
    assert_eq!(playlist.position(), Some(Position { msn: 2, part: 1 }));
    let mut ask = |msn, part, waited| {
        let query = Query {
            msn: Some(msn),
            part,
            skip: false,
        };
        match playlist.playlist(query, waited) {
            PlaylistAnswer::Ready(_) => "ready",
            PlaylistAnswer::Wait => "wait",
            PlaylistAnswer::BadRequest(BadRequest::TooFarAhead) => "too far",
            PlaylistAnswer::TimedOut => "timed out",
            other @ PlaylistAnswer::BadRequest(_) => panic!("{other:?}"),
        }
    };
    let none = Duration::ZERO;
    for (msn, part, answer) in [
        (0, None, "ready"),
        (1, None, "ready"),
        (1, Some(4), "ready"),
        // Beyond the last part of a segment lies the first of the next.
        (1, Some(5), "ready"),
        (2, Some(1), "ready"),
        (2, Some(2), "wait"),
        (2, None, "wait"),
        (3, Some(0), "wait"),
        (4, None, "wait"),
        (5, None, "too far"),
        (u64::MAX, None, "too far"),
        // Parts of 216 ms: fourteen of them are three seconds.
        (2, Some(15), "wait"),
        (2, Some(16), "too far"),
    ] {
        assert_eq!(ask(msn, part, none), answer, "{msn} {part:?}");
    }
    assert_eq!(ask(2, Some(2), Duration::from_millis(2_999)), "wait");
    assert_eq!(ask(2, Some(2), Duration::from_secs(3)), "timed out");
    push_part(&mut playlist, &mut rest);
    let query = Query {
        msn: Some(2),
        part: Some(2),
        skip: false,
    };
    assert!(ready(&mut playlist, query).contains("p2.2.m4s"));
}

#[test]
fn part_without_msn_is_a_bad_request() {
    let (mut playlist, _) = filled(3);
    let query = Query {
        msn: None,
        part: Some(0),
        skip: false,
    };
    assert_eq!(
        playlist.playlist(query, Duration::ZERO),
        PlaylistAnswer::BadRequest(BadRequest::PartWithoutMsn)
    );
}

#[test]
fn hinted_part_blocks_then_comes_and_stays() {
    let (mut playlist, mut rest) = filled(4);
    let hinted = Resource::Part {
        segment: 0,
        index: 4,
    };
    assert!(ready(&mut playlist, Query::default()).contains("TYPE=PART,URI=\"p0.4.m4s\""));
    assert_eq!(
        playlist.resource(hinted, Duration::ZERO),
        ResourceAnswer::Wait
    );
    assert_eq!(
        playlist.resource(hinted, Duration::from_secs(3)),
        ResourceAnswer::TimedOut
    );
    // Two ahead nobody has announced.
    let after = Resource::Part {
        segment: 0,
        index: 5,
    };
    assert_eq!(
        playlist.resource(after, Duration::ZERO),
        ResourceAnswer::NotFound
    );
    push_part(&mut playlist, &mut rest);
    let ResourceAnswer::Ready(first) = playlist.resource(hinted, Duration::ZERO) else {
        panic!("not there");
    };
    // Seven more segments: it is listed no more, and still there.
    for _ in 0..36 {
        push_part(&mut playlist, &mut rest);
    }
    let text = ready(&mut playlist, Query::default());
    assert!(
        !text.contains("p0.4.m4s") && !text.contains("s0.m4s"),
        "{text}"
    );
    assert_eq!(
        playlist.resource(hinted, Duration::ZERO),
        ResourceAnswer::Ready(first)
    );
}

#[test]
fn end_of_stream_keeps_nobody_waiting() {
    let (mut playlist, _) = filled(7);
    playlist.end();
    let query = Query {
        msn: Some(9),
        part: None,
        skip: false,
    };
    let text = ready(&mut playlist, query);
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && !text.contains("PRELOAD-HINT"));
    let next = Resource::Part {
        segment: 1,
        index: 2,
    };
    assert_eq!(
        playlist.resource(next, Duration::ZERO),
        ResourceAnswer::NotFound
    );
}

#[test]
fn window_is_seven_segments_and_as_many_behind_it() {
    let (mut playlist, _) = filled(5 * 40 + 1);
    let listing = parse(&ready(&mut playlist, Query::default()));
    assert_eq!(listing.sequence(), 33);
    assert_eq!(listing.segments.len(), 8);
    let answer = |number| playlist.resource(Resource::Segment(number), Duration::ZERO);
    assert!(matches!(answer(26), ResourceAnswer::Ready(_)));
    assert_eq!(answer(24), ResourceAnswer::NotFound);
    // Old parts are not listed, only those within three target durations of the edge.
    let with_parts = listing
        .segments
        .iter()
        .filter(|one| !one.parts.is_empty())
        .count();
    assert_eq!(with_parts, 3);
}

#[test]
fn bytes_held_stay_under_the_cap() {
    let mut options = PlaylistOptions::default();
    options.max_bytes = 1 << 20;
    let mut playlist = MediaPlaylist::new(options);
    let temper = Temper {
        // Two pictures of up to 4 kB a frame time: some 4 Mbit/s.
        gop: 1,
        fps: 60.0,
        ..Temper::calm()
    };
    let mut most = 0;
    for output in outputs(temper, 60) {
        playlist.push(&output);
        most = most.max(playlist.bytes());
    }
    // Four seconds or so of it; the cap may be passed by the part that is let in.
    assert!(most > 900_000 && most < (1 << 20) + 60_000, "{most}");
    assert!(playlist.bandwidth().peak_bits_per_second > 500_000);
}

#[test]
fn long_gops_are_kept_for_three_target_durations() {
    let temper = Temper {
        gop: 300,
        ..Temper::calm()
    };
    let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
    for output in outputs(temper, 95) {
        playlist.push(&output);
    }
    assert_eq!(playlist.target_duration(), Duration::from_secs(10));
    let listing = parse(&ready(&mut playlist, Query::default()));
    assert!(listing.segments.len() >= 7);
    // A joiner finds the keyframe of the segment in the making, ten seconds back or not.
    let open = listing.segments.last().unwrap();
    assert!(open.uri.is_none() && open.parts[0].2);
}

#[test]
fn siblings_are_reported() {
    let (mut playlist, _) = filled(3);
    let at = |msn, part| Some(Position { msn, part });
    playlist.set_report("../low/index.m3u8", at(7, 1)).unwrap();
    playlist.set_report("../high/index.m3u8", at(8, 0)).unwrap();
    playlist.set_report("../low/index.m3u8", at(7, 2)).unwrap();
    playlist.set_report("../gone/index.m3u8", None).unwrap();
    let text = ready(&mut playlist, Query::default());
    let reports: Vec<_> = text
        .lines()
        .filter(|line| line.contains("REPORT"))
        .collect();
    assert_eq!(
        reports,
        [
            "#EXT-X-RENDITION-REPORT:URI=\"../low/index.m3u8\",LAST-MSN=7,LAST-PART=2",
            "#EXT-X-RENDITION-REPORT:URI=\"../high/index.m3u8\",LAST-MSN=8,LAST-PART=0",
        ]
    );
    playlist.set_report("../low/index.m3u8", None).unwrap();
    assert!(!ready(&mut playlist, Query::default()).contains("low"));
    assert_eq!(
        playlist.set_report("a\"\n#EXT-X-ENDLIST", at(0, 0)),
        Err(MuxError::BadText)
    );
}

#[test]
fn multivariant_says_what_m3u8_rs_reads() {
    let layer = |name: &str, width, bits| Variant {
        uri: format!("{name}/index.m3u8"),
        codecs: "avc1.42c01f,mp4a.40.2".to_owned(),
        bandwidth: Bandwidth {
            peak_bits_per_second: bits,
            average_bits_per_second: bits / 2,
        },
        resolution: Some((width, width * 9 / 16)),
        frames_per_thousand_seconds: Some(29_970),
        audio_group: Some("sound".to_owned()),
    };
    let audio = AudioRendition {
        group: "sound".to_owned(),
        name: "Stage".to_owned(),
        uri: "audio/index.m3u8".to_owned(),
        language: Some("en".to_owned()),
        default: true,
    };
    let variants = [layer("f", 1280, 2_500_000), layer("h", 640, 0)];
    let text = multivariant(&variants, &[audio]).unwrap();
    let (_, judged) = m3u8_rs::parse_master_playlist(&text).unwrap();
    assert_eq!(judged.variants.len(), 2);
    let first = &judged.variants[0];
    assert_eq!(
        (first.bandwidth, first.average_bandwidth),
        (2_500_000, Some(1_250_000))
    );
    assert_eq!(first.codecs.as_deref(), Some("avc1.42c01f,mp4a.40.2"));
    assert_eq!(first.frame_rate, Some(29.97));
    let size = first.resolution.unwrap();
    assert_eq!((size.width, size.height), (1280, 720));
    assert_eq!(first.audio.as_deref(), Some("sound"));
    assert_eq!(judged.variants[1].bandwidth, 1);
    assert_eq!(
        judged.alternatives[0].uri.as_deref(),
        Some("audio/index.m3u8")
    );
    for uri in ["", "a\nb", "#a", "a\"b"] {
        let mut bad = layer("f", 16, 1);
        bad.uri = uri.to_owned();
        assert_eq!(multivariant(&[bad], &[]), Err(MuxError::BadText), "{uri}");
    }
}

/// A playlist with so many parts of a calm stream, and what is still to come.
fn filled(parts: usize) -> (MediaPlaylist, Vec<Output>) {
    let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
    let mut rest = outputs(Temper::calm(), 60);
    for _ in 0..parts {
        push_part(&mut playlist, &mut rest);
    }
    (playlist, rest)
}

/// The next part, with what stands before it and the end it may be.
fn push_part(playlist: &mut MediaPlaylist, rest: &mut Vec<Output>) {
    let part = rest
        .iter()
        .position(|output| matches!(output, Output::Part(_)))
        .unwrap();
    let ends = matches!(rest.get(part + 1), Some(Output::End(_)));
    for output in rest.drain(..=part + usize::from(ends)) {
        playlist.push(&output);
    }
}

fn outputs(temper: Temper, seconds: u64) -> Vec<Output> {
    let mut segmenter = Segmenter::new(SegmenterOptions::default());
    let mut outputs = Vec::new();
    for event in events(&mut Seeded::new(7), temper, seconds) {
        match event {
            Event::Tracks(tracks) => segmenter.set_tracks(&tracks).unwrap(),
            Event::Frame(frame, wall) => segmenter.handle_frame(&frame, wall),
        }
        outputs.extend(drain(&mut segmenter));
    }
    outputs
}
