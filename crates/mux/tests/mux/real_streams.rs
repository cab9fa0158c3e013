//! Real H.264, H.265, VP8, VP9, AV1, AAC, Opus and MP3 through the segmenter, back out of ffmpeg.

use std::time::Duration;

use mp4_atom::Any;
use sluice_media::{Codec, CodecConfig};
use sluice_mux::fmp4::track_number;
use sluice_mux::hls::{MediaPlaylist, PlaylistOptions, Query, Resource, ResourceAnswer};
use sluice_mux::{Output, Segmenter, SegmenterOptions};

use crate::atoms::atoms;
use crate::ffprobe;
use crate::lint::ready;
use crate::support::{Elementary, drain, file, interleaved, real};

#[test]
fn h264_with_b_frames_and_aac_come_back_to_the_tick() {
    come_back("h264", Codec::H264, "aac", Codec::Aac);
}

#[test]
fn h265_with_b_frames_and_mp3_come_back_to_the_tick() {
    come_back("h265", Codec::H265, "mp3", Codec::Mp3);
}

#[test]
fn vp9_and_opus_come_back_to_the_tick() {
    come_back("vp9", Codec::Vp9, "opus", Codec::Opus);
}

#[test]
fn av1_and_opus_come_back_to_the_tick() {
    come_back("av1", Codec::Av1, "opus", Codec::Opus);
}

#[test]
fn vp8_and_opus_come_back_to_the_tick() {
    come_back("vp8", Codec::Vp8, "opus", Codec::Opus);
}

#[test]
fn one_track_alone_comes_back_to_the_tick() {
    for stream in [real("h264", Codec::H264), real("aac", Codec::Aac)] {
        let outputs = segmented(&[&stream]);
        if let Some(packets) = ffprobe::packets(&file(&outputs)) {
            ffprobe::assert_same(&packets, &ffprobe::expected(0, &stream.frames, 0));
        }
    }
}

#[test]
fn player_that_knows_no_parts_plays_the_same_playlist() {
    let streams = [real("h264", Codec::H264), real("aac", Codec::Aac)];
    let mut playlist = MediaPlaylist::new(PlaylistOptions::default());
    for output in segmented(&[&streams[0], &streams[1]]) {
        playlist.push(&output);
    }
    playlist.end();
    let text = ready(&mut playlist, Query::default());
    let folder = ffprobe::folder();
    for name in text.lines().flat_map(|line| line.split('"')) {
        let Some(resource) = Resource::parse(name) else {
            continue;
        };
        let ResourceAnswer::Ready(bytes) = playlist.resource(resource, Duration::ZERO) else {
            panic!("{name} is listed and not there");
        };
        std::fs::write(folder.join(name), bytes.concat()).unwrap();
    }
    let path = folder.join("index.m3u8");
    std::fs::write(&path, text).unwrap();
    let decoded = ffprobe::decoded_path(&path);
    std::fs::remove_dir_all(folder).unwrap();
    let Some(decoded) = decoded else { return };
    assert_eq!(decoded[0], ("h264".to_owned(), 75), "{decoded:?}");
    assert!(decoded[1].1 >= 128, "{decoded:?}");
}

#[test]
fn configurations_that_media_makes_are_decoded() {
    let mut streams = [real("opus", Codec::Opus), real("aac", Codec::Aac)];
    streams[0].track.config = CodecConfig::opus(48_000, 2).unwrap();
    streams[1].track.config = CodecConfig::aac(44_100, 2).unwrap();
    for (name, stream) in ["opus", "aac"].into_iter().zip(&streams) {
        let outputs = segmented(&[stream]);
        if let Some(decoded) = ffprobe::decoded(&file(&outputs)) {
            assert_eq!(decoded[0].0, name);
            assert!(decoded[0].1 + 2 >= stream.frames.len(), "{decoded:?}");
        }
    }
}

/// The frames as a file, through ffmpeg's demuxer and decoder.
fn come_back(video: &str, video_codec: Codec, audio: &str, audio_codec: Codec) {
    let (video, audio) = (real(video, video_codec), real(audio, audio_codec));
    let outputs = segmented(&[&video, &audio]);
    let parts = outputs
        .iter()
        .filter(|output| matches!(output, Output::Part(_)))
        .count();
    assert!(parts >= 8, "{parts} parts");
    assert_eq!(
        durations(&outputs, &video),
        stated(&ffprobe::expected(0, &video.frames, 0))
    );
    assert_eq!(
        durations(&outputs, &audio),
        stated(&ffprobe::expected(1, &audio.frames, 0))
    );
    let file = file(&outputs);
    let Some(packets) = ffprobe::packets(&file) else {
        return;
    };
    let mut expected = ffprobe::expected(0, &video.frames, 0);
    expected.extend(ffprobe::expected(1, &audio.frames, 0));
    ffprobe::assert_same(&packets, &expected);
    let decoded = ffprobe::decoded(&file).unwrap();
    assert_eq!(decoded[0].1, video.frames.len(), "{decoded:?}");
    // The decoder may keep the encoder's delay to itself.
    assert!(decoded[1].1 + 2 >= audio.frames.len(), "{decoded:?}");
}

fn segmented(streams: &[&Elementary]) -> Vec<Output> {
    let mut segmenter = Segmenter::new(SegmenterOptions::default());
    let tracks: Vec<_> = streams.iter().map(|stream| stream.track.clone()).collect();
    segmenter.set_tracks(&tracks).unwrap();
    for frame in interleaved(streams) {
        segmenter.handle_frame(&frame, 0);
    }
    segmenter.end_segment();
    drain(&mut segmenter)
}

/// The sample durations of a track, as its `trun`s tell them.
fn durations(outputs: &[Output], stream: &Elementary) -> Vec<i64> {
    let number = track_number(stream.track.id);
    let mut durations = Vec::new();
    for atom in atoms(&file(outputs)) {
        let Any::Moof(moof) = atom else { continue };
        for traf in moof.traf.iter().filter(|traf| traf.tfhd.track_id == number) {
            for entry in traf.trun.iter().flat_map(|run| run.samples.iter()) {
                let duration = entry.duration.or(traf.tfhd.default_sample_duration);
                durations.push(i64::from(duration.unwrap()));
            }
        }
    }
    durations
}

fn stated(packets: &[ffprobe::Packet]) -> Vec<i64> {
    packets.iter().map(|packet| packet.duration).collect()
}
