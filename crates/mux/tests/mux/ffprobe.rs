//! How ffmpeg sees a file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sluice_media::Frame;

/// One packet as a demuxer gives it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Packet {
    pub(crate) stream: usize,
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) duration: i64,
    pub(crate) size: usize,
    pub(crate) keyframe: bool,
}

/// The packets of a file, by stream, after making sure that nothing was complained about; `None` without ffprobe.
pub(crate) fn packets(file: &[u8]) -> Option<Vec<Packet>> {
    let entries = "packet=stream_index,dts,pts,duration,size,flags";
    let text = probe(
        file,
        &[
            "-show_packets",
            "-show_entries",
            entries,
            "-of",
            "compact=p=0",
        ],
    )?;
    let mut packets: Vec<Packet> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(packet)
        .collect();
    packets.sort_by_key(|packet| packet.stream);
    Some(packets)
}

/// Which codecs and how many decoded frames there are, by stream.
pub(crate) fn decoded(file: &[u8]) -> Option<Vec<(String, usize)>> {
    probe(file, &COUNT).map(|text| counts(&text))
}

/// As [`decoded`], of a file on disk that may name others.
pub(crate) fn decoded_path(path: &Path) -> Option<Vec<(String, usize)>> {
    probe_path(path, &COUNT).map(|text| counts(&text))
}

const COUNT: [&str; 5] = [
    "-count_frames",
    "-show_entries",
    "stream=codec_name,nb_read_frames",
    "-of",
    "compact=p=0",
];

fn counts(text: &str) -> Vec<(String, usize)> {
    text.lines()
        .filter(|line| line.contains("nb_read_frames"))
        .map(|line| {
            let codec = field(line, "codec_name").to_owned();
            (codec, field(line, "nb_read_frames").parse().unwrap_or(0))
        })
        .collect()
}

/// What a demuxer must give out for these frames of one track, from `shift` ticks on. Each lasts until the next; the
/// last as long as the one before.
pub(crate) fn expected(stream: usize, frames: &[Frame], shift: i64) -> Vec<Packet> {
    (0..frames.len())
        .map(|index| {
            let frame = &frames[index];
            let pair = index.min(frames.len() - 2);
            let step = frames[pair + 1].dts.ticks() - frames[pair].dts.ticks();
            let last = index + 1 == frames.len();
            Packet {
                stream,
                dts: frame.dts.ticks() + shift,
                pts: frame.pts.ticks() + shift,
                duration: if last {
                    frame.duration.map_or(step, i64::from)
                } else {
                    step
                },
                size: frame.data.len(),
                keyframe: frame.keyframe,
            }
        })
        .collect()
}

/// Fails on the first difference, without printing all that is alike.
///
/// Of fragments ffprobe tells no duration as long as it looks for the streams' parameters (of its own ones neither),
/// and the last packet's it may take from the codec: these are left to the box reader's test.
pub(crate) fn assert_same(found: &[Packet], expected: &[Packet]) {
    for (index, (found, next)) in found.iter().zip(expected).enumerate() {
        let last = expected
            .get(index + 1)
            .is_none_or(|after| after.stream != next.stream);
        let duration = if found.duration == UNKNOWN || last {
            next.duration
        } else {
            found.duration
        };
        assert_eq!(Packet { duration, ..*found }, *next, "packet {index}");
    }
    assert_eq!(found.len(), expected.len());
}

fn probe(file: &[u8], arguments: &[&str]) -> Option<String> {
    // A file, because of a pipe ffprobe does not tell all durations.
    let folder = folder();
    let path = folder.join("file.mp4");
    std::fs::write(&path, file).unwrap();
    let text = probe_path(&path, arguments);
    std::fs::remove_dir_all(folder).unwrap();
    text
}

/// A new folder for one test's files.
pub(crate) fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn probe_path(path: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error"])
        .args(arguments)
        .arg(path)
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: no ffprobe on this machine");
        return None;
    };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "ffprobe complains: {complaints}"
    );
    Some(String::from_utf8(output.stdout).unwrap())
}

fn packet(line: &str) -> Packet {
    let number = |name| field(line, name).parse().unwrap_or(UNKNOWN);
    Packet {
        stream: number("stream_index") as usize,
        dts: number("dts"),
        pts: number("pts"),
        duration: number("duration"),
        size: number("size") as usize,
        keyframe: field(line, "flags").starts_with('K'),
    }
}

fn field<'a>(line: &'a str, name: &str) -> &'a str {
    line.split('|')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map_or("", |(_, value)| value)
}

const UNKNOWN: i64 = i64::MIN;
