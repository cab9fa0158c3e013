//! Recordings: cut off anywhere, read back, finished, played by ffmpeg.

use std::time::Duration;

use mp4_atom::Any;
use sluice_media::Codec;
use sluice_mux::journal::Journal;
use sluice_mux::{MuxError, Output, Segmenter, SegmenterOptions};

use crate::atoms::atoms;
use crate::ffprobe;
use crate::support::{Elementary, drain, file, interleaved, real};

#[test]
fn file_cut_off_anywhere_loses_at_most_the_part_being_written() {
    let (_, outputs) = recorded(0);
    let file = file(&outputs);
    let whole = Journal::recover(&file).unwrap();
    assert_eq!(whole, written(&outputs));
    assert_eq!(whole.bytes(), file.len() as u64);
    let init = whole.init().end as usize;
    for end in 0..file.len() {
        let recovered = Journal::recover(&file[..end]);
        if end < init {
            assert!(
                matches!(recovered, Err(MuxError::BrokenBox { .. })),
                "{end}: {recovered:?}"
            );
            continue;
        }
        let recovered = recovered.unwrap();
        let kept = whole
            .parts()
            .iter()
            .filter(|part| part.bytes.end <= end as u64)
            .count();
        assert_eq!(recovered.parts(), &whole.parts()[..kept], "{end}");
        let last = recovered
            .parts()
            .last()
            .map_or(init as u64, |part| part.bytes.end);
        assert_eq!(recovered.bytes(), last);
    }
}

#[test]
fn rubbish_behind_the_last_part_is_left_out() {
    let (_, outputs) = recorded(0);
    let whole = written(&outputs);
    for rubbish in [
        &[0_u8; 64][..],
        b"\0\0\0\x08moof",
        b"\0\0\0\x08mdat",
        b"\0\0\0\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x08ftyp\0\0\0\x08moov",
    ] {
        let mut file = file(&outputs);
        file.extend_from_slice(rubbish);
        assert_eq!(Journal::recover(&file), Ok(whole.clone()));
    }
}

#[test]
fn finished_in_place_plays_to_the_tick() {
    for skip in [0, 7] {
        let (streams, outputs) = recorded(skip);
        let journal = written(&outputs);
        let plan = journal.finish_in_place().unwrap();
        let mut file = file(&outputs);
        file.truncate(journal.bytes() as usize);
        file.extend_from_slice(&plan.append);
        // Not patched yet: still a journal.
        assert_eq!(Journal::recover(&file), Ok(journal));
        let at = plan.patch_at as usize;
        file[at..at + 16].copy_from_slice(&plan.patch);
        assert_eq!(Journal::recover(&file), Err(MuxError::Finished));
        plays(&streams, &file, skip);
        let kinds: Vec<_> = atoms(&file)
            .iter()
            .map(|atom| atom.kind().to_string())
            .collect();
        assert_eq!(kinds, ["ftyp", "mdat", "moov"]);
    }
}

#[test]
fn finished_in_front_plays_to_the_tick() {
    for skip in [0, 7] {
        let (streams, outputs) = recorded(skip);
        let journal = written(&outputs);
        let plan = journal.finish_in_front().unwrap();
        let source = file(&outputs);
        let mut file = plan.header.to_vec();
        for range in &plan.copy {
            file.extend_from_slice(&source[range.start as usize..range.end as usize]);
        }
        assert_eq!(file.len() as u64, plan.bytes);
        assert!(file.len() < source.len());
        plays(&streams, &file, skip);
        let [Any::Ftyp(_), Any::Moov(moov), Any::Mdat(_)] = &atoms(&file)[..] else {
            panic!("not ftyp, moov, mdat");
        };
        assert!(moov.mvex.is_none());
        let samples: usize = moov
            .trak
            .iter()
            .map(|trak| match &trak.mdia.minf.stbl.stsz.samples {
                mp4_atom::StszSamples::Different { sizes } => sizes.len(),
                mp4_atom::StszSamples::Identical { count, .. } => *count as usize,
            })
            .sum();
        assert_eq!(samples, journal.samples());
    }
}

#[test]
fn nothing_recorded_is_nothing_to_finish() {
    let (_, outputs) = recorded(0);
    let Some(Output::Init(init)) = outputs.first() else {
        panic!("no init segment");
    };
    let journal = Journal::begin(&init.bytes).unwrap();
    assert_eq!(journal.duration(), Duration::ZERO);
    assert_eq!(journal.finish_in_place(), Err(MuxError::Empty));
    assert_eq!(journal.finish_in_front(), Err(MuxError::Empty));
    assert!(Journal::begin(&init.bytes[..50]).is_err());
}

#[test]
fn part_of_another_file_is_refused_and_leaves_no_trace() {
    let (_, outputs) = recorded(0);
    let mut journal = written(&outputs);
    let before = journal.clone();
    for output in &outputs {
        // Their time is over.
        if let Output::Part(part) = output {
            assert!(journal.append(&part.bytes).is_err());
            assert!(journal.append(&part.bytes[..part.bytes.len() / 2]).is_err());
        }
    }
    assert_eq!(journal, before);
}

#[test]
fn stretch_of_time_begins_where_a_decoder_can() {
    let (_, outputs) = recorded(0);
    let journal = written(&outputs);
    let ms = Duration::from_millis;
    let found = journal.covering(ms(1_500), ms(1_700));
    // Keyframes are a second apart.
    assert_eq!((found[0].start, found[0].independent), (ms(1_000), true));
    assert!(found.iter().all(|part| part.start < ms(1_700)));
    assert!(found.last().unwrap().end >= ms(1_700));
    assert!(journal.covering(ms(60_000), ms(70_000)).is_empty());
    assert!(journal.covering(ms(500), ms(500)).is_empty());
    assert_eq!(journal.covering(ms(0), ms(60_000)), journal.parts());
    let by_clock = journal.covering_wall(WALL + 1_500_000, WALL + 1_700_000);
    assert_eq!(by_clock, found);
    // The stretch behind the init segment is a file of its own.
    let source = file(&outputs);
    let bytes = |range: std::ops::Range<u64>| &source[range.start as usize..range.end as usize];
    let mut clip = bytes(journal.init()).to_vec();
    for part in found {
        clip.extend_from_slice(bytes(part.bytes.clone()));
    }
    if let Some(decoded) = ffprobe::decoded(&clip) {
        assert!(decoded[0].1 >= 15, "{decoded:?}");
    }
}

const WALL: i64 = 1_700_000_000_123_456;

/// H.264 with B-frames and AAC; the first `skip` parts are not recorded.
pub(crate) fn recorded(skip: usize) -> (Vec<Elementary>, Vec<Output>) {
    let streams = vec![real("h264", Codec::H264), real("aac", Codec::Aac)];
    let mut options = SegmenterOptions::default();
    options.reference_times = true;
    let mut segmenter = Segmenter::new(options);
    let tracks: Vec<_> = streams.iter().map(|stream| stream.track.clone()).collect();
    segmenter.set_tracks(&tracks).unwrap();
    for frame in interleaved(&streams.iter().collect::<Vec<_>>()) {
        segmenter.handle_frame(&frame, WALL);
    }
    segmenter.end_segment();
    let mut left = skip;
    let mut outputs = drain(&mut segmenter);
    outputs.retain(|output| {
        let skipped = left > 0 && matches!(output, Output::Part(_));
        left -= usize::from(skipped);
        !skipped
    });
    (streams, outputs)
}

/// The journal as the recorder keeps it.
pub(crate) fn written(outputs: &[Output]) -> Journal {
    let Some(Output::Init(init)) = outputs.first() else {
        panic!("no init segment");
    };
    let mut journal = Journal::begin(&init.bytes).unwrap();
    for output in outputs {
        if let Output::Part(part) = output {
            let entry = journal.append(&part.bytes).unwrap();
            assert_eq!(entry.independent, part.independent);
        }
    }
    journal
}

fn plays(streams: &[Elementary], file: &[u8], skipped_parts: usize) {
    let Some(packets) = ffprobe::packets(file) else {
        return;
    };
    let mut expected = ffprobe::expected(0, &streams[0].frames, 0);
    expected.extend(ffprobe::expected(1, &streams[1].frames, 0));
    if skipped_parts == 0 {
        ffprobe::assert_same(&packets, &expected);
        return;
    }
    // What is left, counted from the first picture.
    assert!(packets.len() > 50 && packets.len() < expected.len());
    for stream in 0..2 {
        let of = |packets: &[ffprobe::Packet]| -> Vec<_> {
            packets
                .iter()
                .filter(|packet| packet.stream == stream)
                .copied()
                .collect()
        };
        let (found, mut expected) = (of(&packets), of(&expected));
        expected.drain(..expected.len() - found.len());
        let video_starts = start_of_video(&packets, streams);
        let shift = video_starts * i64::from(streams[stream].track.rate.get()) / 90_000;
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found.dts + shift - expected.dts).abs() <= 1,
                "{found:?} {expected:?}"
            );
            assert_eq!(found.pts - found.dts, expected.pts - expected.dts);
            assert_eq!(found.size, expected.size);
        }
    }
}

/// The first recorded picture's decode time on the stream's timeline.
fn start_of_video(packets: &[ffprobe::Packet], streams: &[Elementary]) -> i64 {
    let recorded = packets.iter().filter(|packet| packet.stream == 0).count();
    let frames = &streams[0].frames;
    frames[frames.len() - recorded].dts.ticks()
}
