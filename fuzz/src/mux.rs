//! What must hold for every recording that is read back and every request for a playlist.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use sluice_media::{AudioParameters, Codec, CodecConfig, Parameters, TrackId, VideoParameters};
use sluice_mux::fmp4::{Track, init_segment};
use sluice_mux::hls::{Query, Resource};
use sluice_mux::journal::{ExcerptCutter, Journal, MovieSearch};

/// A file, and a part behind an init segment: what is found lies inside, in order, is found again without what
/// follows it, and can be finished.
pub fn mp4_boxes(data: &[u8]) {
    if let Ok(journal) = Journal::recover(data) {
        check(&journal, data.len());
        let end = usize::try_from(journal.bytes()).expect("inside the file");
        assert_eq!(Journal::recover(&data[..end]), Ok(journal));
    }
    excerpt(data);
    let init = init();
    let mut journal = Journal::begin(&init).expect("our own init segment");
    let before = journal.clone();
    if journal.append(data).is_ok() {
        check(&journal, init.len() + data.len());
        let file = [&init[..], data].concat();
        assert_eq!(Journal::recover(&file), Ok(journal));
    } else {
        assert_eq!(journal, before);
    }
}

/// A finished file: no more samples than its tables have room for, and an excerpt is as long as it says.
fn excerpt(data: &[u8]) {
    let file = Bytes::copy_from_slice(data);
    let mut search = MovieSearch::new(data.len() as u64);
    while let Some(wanted) = search.poll_read() {
        let range = usize::try_from(wanted.start).expect("inside the file")
            ..usize::try_from(wanted.end).expect("inside the file");
        search.handle_read(&file.slice(range));
    }
    let Ok(movie) = search.finish() else { return };
    let mut cutter = ExcerptCutter::default();
    if cutter
        .add(&movie, Duration::from_millis(500), Duration::MAX)
        .is_err()
    {
        return;
    }
    if let Ok(excerpt) = cutter.finish() {
        let pieces = excerpt.pieces.iter();
        let copied: u64 = pieces
            .map(|piece| piece.bytes.end - piece.bytes.start)
            .sum();
        assert_eq!(excerpt.bytes, excerpt.header.len() as u64 + copied);
        // A head of ours, and at most as much for each sample as MP4 takes for one.
        assert!(excerpt.header.len() <= 16 * 1024 + 16 * data.len());
    }
}

/// A query string, and the name of a resource: both say the same when written again.
pub fn hls_query(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(query) = Query::parse(&text) {
        assert!(query.part.is_none() || query.msn.is_some());
        let mut again = Vec::new();
        again.extend(query.msn.map(|msn| format!("_HLS_msn={msn}")));
        again.extend(query.part.map(|part| format!("_HLS_part={part}")));
        again.extend(query.skip.then(|| "_HLS_skip=YES".to_owned()));
        assert_eq!(Query::parse(&again.join("&")), Ok(query));
    }
    if let Some(resource) = Resource::parse(&text) {
        assert_eq!(resource.to_string(), text);
    }
}

fn check(journal: &Journal, length: usize) {
    let mut end = journal.init().end;
    for part in journal.parts() {
        assert!(part.bytes.start == end && part.bytes.end > end);
        assert!(part.payload.start > part.bytes.start && part.payload.end == part.bytes.end);
        assert!(part.payload.start <= part.payload.end && part.start <= part.end);
        end = part.bytes.end;
    }
    assert_eq!(end, journal.bytes());
    assert!(usize::try_from(end).is_ok_and(|end| end <= length));
    // Four bytes of size each, at least.
    assert!(journal.samples() <= length / 4);
    if let Ok(plan) = journal.finish_in_front() {
        let copied: u64 = plan.copy.iter().map(|range| range.end - range.start).sum();
        let header = u64::try_from(plan.header.len()).expect("64 bits");
        assert_eq!(plan.bytes, header + copied);
    }
    if let Ok(plan) = journal.finish_in_place() {
        assert!(plan.patch_at + 16 <= journal.init().end);
    }
}

fn init() -> Bytes {
    let track = |id, codec, rate, record, parameters| Track {
        id,
        config: CodecConfig {
            codec,
            record: Bytes::from_static(record),
            parameters,
        },
        rate: NonZeroU32::new(rate).expect("a rate"),
    };
    let video = Parameters::Video(VideoParameters {
        width: 160,
        height: 90,
        reorder_frames: 0,
    });
    let audio = Parameters::Audio(AudioParameters {
        sample_rate: 48_000,
        channels: 2,
    });
    init_segment(&[
        track(TrackId::VIDEO, Codec::Vp8, 90_000, &[1; 12], video),
        track(TrackId::AUDIO, Codec::Opus, 48_000, &[0; 11], audio),
    ])
    .expect("an init segment")
}
