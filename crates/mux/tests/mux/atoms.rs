//! Everything read again by `mp4-atom`, down to the last field.

use std::io::Cursor;

use bytes::Bytes;
use mp4_atom::{Any, Codec as Entry, Decode};
use sluice_media::{Codec, TrackId};
use sluice_mux::fmp4::{
    PartHead, ReferenceTime, Run, Sample, init_segment, media_part, track_number,
};
use sluice_mux::{MuxError, fmp4};

use crate::support::{real, track};

#[test]
fn each_codec_has_its_sample_entry() {
    for (name, codec) in [
        ("h264", Codec::H264),
        ("h265", Codec::H265),
        ("vp8", Codec::Vp8),
        ("vp9", Codec::Vp9),
        ("av1", Codec::Av1),
        ("aac", Codec::Aac),
        ("opus", Codec::Opus),
        ("mp3", Codec::Mp3),
    ] {
        let stream = real(name, codec);
        let atoms = atoms(&init_segment(std::slice::from_ref(&stream.track)).unwrap());
        let [Any::Ftyp(_), Any::Moov(moov)] = atoms.as_slice() else {
            panic!("{atoms:?}");
        };
        let [trak] = moov.trak.as_slice() else {
            panic!("{moov:?}");
        };
        assert_eq!(trak.tkhd.track_id, track_number(stream.track.id));
        assert_eq!(trak.mdia.mdhd.timescale, stream.track.rate.get());
        let [entry] = trak.mdia.minf.stbl.stsd.codecs.as_slice() else {
            panic!("{trak:?}");
        };
        let fits = match codec {
            Codec::H264 => matches!(entry, Entry::Avc1(entry) if entry.visual.width == 160),
            Codec::H265 => matches!(entry, Entry::Hvc1(_)),
            Codec::Vp8 => matches!(entry, Entry::Vp08(_)),
            Codec::Vp9 => matches!(entry, Entry::Vp09(_)),
            Codec::Av1 => matches!(entry, Entry::Av01(_)),
            Codec::Aac | Codec::Mp3 => matches!(entry, Entry::Mp4a(_)),
            _ => matches!(entry, Entry::Opus(_)),
        };
        assert!(fits, "{name}: {entry:?}");
    }
}

#[test]
fn part_says_what_it_was_given() {
    let sample = |duration, composition_offset, keyframe, size| Sample {
        duration,
        composition_offset,
        keyframe,
        discardable: !keyframe,
        data: Bytes::from(vec![0x5a; size]),
    };
    let video = [
        sample(3_000, 6_000, true, 900),
        sample(3_001, -1, false, 10),
        sample(2_999, 0, false, 0),
    ];
    let audio = [sample(960, 0, true, 33), sample(960, 0, true, 44)];
    let runs = [
        Run {
            track: TrackId::VIDEO,
            decode_time: 1 << 40,
            samples: &video,
        },
        Run {
            track: TrackId::new(7),
            decode_time: 0,
            samples: &[],
        },
        Run {
            track: TrackId::AUDIO,
            decode_time: 12_345,
            samples: &audio,
        },
    ];
    let head = PartHead {
        starts_segment: true,
        reference: Some(ReferenceTime {
            track: TrackId::VIDEO,
            media_time: 77,
            wall_micros: 1_700_000_000_500_000,
        }),
    };
    let part = media_part(9, head, &runs).unwrap();
    let atoms = atoms(&part);
    let [
        Any::Styp(_),
        Any::Prft(prft),
        Any::Moof(moof),
        Any::Mdat(mdat),
    ] = atoms.as_slice()
    else {
        panic!("{atoms:?}");
    };
    assert_eq!(prft.media_time, 77);
    assert_eq!(prft.ntp_timestamp >> 32, 1_700_000_000 + 2_208_988_800);
    assert_eq!(prft.ntp_timestamp as u32, 1 << 31);
    assert_eq!(moof.mfhd.sequence_number, 9);
    assert_eq!(moof.traf.len(), 2);
    let moof_at = part.len() - mdat.data.len() - 8 - moof_size(&part);
    for (traf, (track, time, samples)) in moof.traf.iter().zip([
        (TrackId::VIDEO, 1_u64 << 40, video.as_slice()),
        (TrackId::AUDIO, 12_345, audio.as_slice()),
    ]) {
        assert_eq!(traf.tfhd.track_id, track_number(track));
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, time);
        let [run] = traf.trun.as_slice() else {
            panic!("{traf:?}");
        };
        let mut at = moof_at + run.data_offset.unwrap() as usize;
        assert_eq!(run.samples.len(), samples.len());
        for (entry, sample) in run.samples.iter().zip(samples) {
            let duration = entry.duration.or(traf.tfhd.default_sample_duration);
            let flags = entry.flags.or(traf.tfhd.default_sample_flags).unwrap();
            assert_eq!(duration, Some(sample.duration));
            assert_eq!(entry.size, Some(sample.data.len() as u32));
            assert_eq!(entry.cts.unwrap_or(0), i64::from(sample.composition_offset));
            assert_eq!(flags & 0x1_0000 == 0, sample.keyframe);
            assert_eq!(&part[at..at + sample.data.len()], &sample.data[..]);
            at += sample.data.len();
        }
    }
}

#[test]
fn tracks_that_make_no_file_are_refused() {
    let opus = real("opus", Codec::Opus).track;
    assert_eq!(init_segment(&[]), Err(MuxError::TrackCount { count: 0 }));
    assert_eq!(
        init_segment(&vec![opus.clone(); fmp4::MAX_TRACKS + 1]),
        Err(MuxError::TrackCount { count: 17 })
    );
    assert_eq!(
        init_segment(&[opus.clone(), opus.clone()]),
        Err(MuxError::DuplicateTrack { track: opus.id })
    );
    assert_eq!(
        init_segment(&[track(Codec::Pcmu, 8_000, Bytes::new())]),
        Err(MuxError::UnsupportedCodec { codec: Codec::Pcmu })
    );
    let mut wrong = opus;
    wrong.config.codec = Codec::Vp8;
    let bad = Err(MuxError::BadConfig { track: wrong.id });
    assert_eq!(init_segment(std::slice::from_ref(&wrong)), bad);
    wrong.config.codec = Codec::Aac;
    wrong.config.record = Bytes::new();
    assert_eq!(init_segment(&[wrong]), bad);
}

fn moof_size(part: &[u8]) -> usize {
    let at = part.windows(4).position(|kind| kind == b"moof").unwrap() - 4;
    u32::from_be_bytes(part[at..at + 4].try_into().unwrap()) as usize
}

pub(crate) fn atoms(bytes: &[u8]) -> Vec<Any> {
    let mut rest = Cursor::new(bytes);
    let mut atoms = Vec::new();
    while rest.position() < bytes.len() as u64 {
        atoms.push(Any::decode(&mut rest).unwrap());
    }
    atoms
}
