//! Excerpts of finished recordings, played by ffmpeg.

use std::time::Duration;

use bytes::Bytes;
use mp4_atom::Any;
use sluice_mux::MuxError;
use sluice_mux::journal::{Excerpt, ExcerptCutter, Journal, Movie, MovieSearch};

use crate::atoms::atoms;
use crate::ffprobe;
use crate::recordings::{recorded, written};
use crate::support::file;

#[test]
fn an_excerpt_begins_with_the_keyframe_before_it_and_ends_to_the_sample() {
    for source in [in_place(0), in_front(0), in_place(7)] {
        let movie = movie(&source).unwrap();
        assert_eq!(movie.codecs(), "avc1.64000b,mp4a.40.2");
        let excerpt = cut(&[&movie], ms(1500), ms(2200)).unwrap();
        let bytes = assembled(&excerpt, &[&source]);
        assert_eq!(bytes.len() as u64, excerpt.bytes);
        let [Any::Ftyp(_), Any::Moov(moov), Any::Mdat(_)] = &atoms(&bytes)[..] else {
            panic!("not ftyp, moov, mdat");
        };
        assert_eq!(moov.trak.len(), 2);
        let Some(packets) = ffprobe::packets(&bytes) else {
            continue;
        };
        let all = ffprobe::packets(&source).unwrap();
        let pictures = |packets: &[ffprobe::Packet]| -> Vec<(bool, usize)> {
            let video = packets.iter().filter(|packet| packet.stream == 0);
            video.map(|packet| (packet.keyframe, packet.size)).collect()
        };
        let (found, all) = (pictures(&packets), pictures(&all));
        assert!(found[0].0, "{found:?}");
        // The excerpt is a stretch of the whole, with one more keyframe in front of it at most.
        let at = all.windows(found.len()).position(|some| some == found);
        assert!(at.is_some_and(|at| at > 0), "{found:?}");
        let frames = ffprobe::decoded(&bytes).unwrap();
        assert_eq!(frames[0].1 + leading(&packets), found.len());
        let sound = packets.iter().filter(|packet| packet.stream == 1).count();
        assert!(sound > 10, "{sound}");
    }
}

#[test]
fn an_excerpt_goes_on_over_the_border_of_two_files() {
    let source = in_place(0);
    let movie = movie(&source).unwrap();
    let whole = cut(&[&movie], Duration::ZERO, Duration::MAX).unwrap();
    let twice = cut(&[&movie, &movie], Duration::ZERO, Duration::MAX).unwrap();
    let excerpt = cut(&[&movie, &movie], ms(2500), ms(1300)).unwrap();
    assert_eq!(twice.pieces.len(), 2 * whole.pieces.len());
    assert!(twice.duration.abs_diff(whole.duration * 2) < ms(60));
    assert!(excerpt.pieces.iter().any(|piece| piece.source == 1));
    for excerpt in [twice, excerpt] {
        let bytes = assembled(&excerpt, &[&source, &source]);
        let Some(packets) = ffprobe::packets(&bytes) else {
            continue;
        };
        let decoded = ffprobe::decoded(&bytes).unwrap();
        for (stream, (_, frames)) in decoded.iter().enumerate() {
            let of: Vec<_> = packets.iter().filter(|p| p.stream == stream).collect();
            assert!(of.windows(2).all(|pair| pair[0].dts < pair[1].dts));
            let undecodable = if stream == 0 { leading(&packets) } else { 0 };
            assert_eq!(of.len(), frames + undecodable, "{stream}");
        }
    }
}

#[test]
fn a_time_without_samples_is_no_excerpt() {
    let movie = movie(&in_place(0)).unwrap();
    assert_eq!(cut(&[&movie], ms(0), ms(0)), Err(MuxError::Empty));
    assert_eq!(ExcerptCutter::default().finish(), Err(MuxError::Empty));
    // Behind the end there is still the keyframe before it.
    assert!(cut(&[&movie], ms(60_000), ms(70_000)).is_ok());
}

#[test]
fn a_file_that_is_not_finished_or_cut_off_has_no_index() {
    let (_, outputs) = recorded(0);
    assert!(movie(&file(&outputs).into()).is_err(), "a journal");
    let whole = in_place(0);
    for end in (0..whole.len()).step_by(97) {
        assert!(movie(&whole.slice(..end)).is_err(), "{end}");
    }
}

#[test]
fn tables_that_contradict_each_other_end_the_walk() {
    let whole = in_front(0);
    let moov = whole.windows(4).position(|at| at == b"mdat").unwrap();
    for at in 40..moov {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = whole.to_vec();
            broken[at] ^= flip;
            if let Ok(movie) = movie(&broken.into()) {
                // Whatever comes of it, it ends and stays small.
                if let Ok(excerpt) = cut(&[&movie], ms(500), ms(2000)) {
                    assert!(excerpt.header.len() < 1 << 20);
                }
            }
        }
    }
}

fn in_place(skip: usize) -> Bytes {
    let (_, outputs) = recorded(skip);
    let journal = written(&outputs);
    let plan = journal.finish_in_place().unwrap();
    let mut file = file(&outputs);
    file.truncate(journal.bytes() as usize);
    file.extend_from_slice(&plan.append);
    let at = plan.patch_at as usize;
    file[at..at + 16].copy_from_slice(&plan.patch);
    file.into()
}

fn in_front(skip: usize) -> Bytes {
    let (_, outputs) = recorded(skip);
    let journal: Journal = written(&outputs);
    let plan = journal.finish_in_front().unwrap();
    let source = file(&outputs);
    let mut file = plan.header.to_vec();
    for range in &plan.copy {
        file.extend_from_slice(&source[range.start as usize..range.end as usize]);
    }
    file.into()
}

fn movie(file: &Bytes) -> Result<Movie, MuxError> {
    let mut search = MovieSearch::new(file.len() as u64);
    while let Some(wanted) = search.poll_read() {
        search.handle_read(&file.slice(wanted.start as usize..wanted.end as usize));
    }
    search.finish()
}

/// Pictures shown before the first keyframe, which refer to one that is not there.
fn leading(packets: &[ffprobe::Packet]) -> usize {
    let video = || packets.iter().filter(|packet| packet.stream == 0);
    let first = video().next().unwrap();
    video().filter(|packet| packet.pts < first.pts).count()
}

/// `from` in the first, `to` in the last.
fn cut(movies: &[&Movie], from: Duration, to: Duration) -> Result<Excerpt, MuxError> {
    let mut cutter = ExcerptCutter::default();
    for (number, movie) in movies.iter().enumerate() {
        let from = if number == 0 { from } else { Duration::ZERO };
        let last = number + 1 == movies.len();
        cutter.add(movie, from, if last { to } else { Duration::MAX })?;
    }
    cutter.finish()
}

fn assembled(excerpt: &Excerpt, sources: &[&Bytes]) -> Vec<u8> {
    let mut bytes = excerpt.header.to_vec();
    for piece in &excerpt.pieces {
        let range = piece.bytes.start as usize..piece.bytes.end as usize;
        bytes.extend_from_slice(&sources[piece.source][range]);
    }
    bytes
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
