//! What we say of coded streams is what ffprobe and ffmpeg's MP4 and DASH muxers say of them.

#![expect(
    clippy::unwrap_used,
    reason = "a stream that cannot be read fails the test"
)]

mod streams;

use bytes::Bytes;
use sluice_media::{
    AccessUnitSplitter, AdtsSplitter, AudioParameters, ChromaFormat, Codec, CodecConfig,
    NalAccessUnit, OpusHead, ParameterSets, Parameters, VideoParameters, adts_header,
    av1_from_low_overhead, av1_to_low_overhead, from_annex_b, inspect_access_unit,
    opus_packet_samples, to_annex_b,
};

/// A stream and what ffmpeg says of it.
struct Stream {
    file: &'static str,
    codec: Codec,
    size: (u32, u32),
    /// `has_b_frames`.
    reorder: u8,
    frames: usize,
    keyframes: &'static [usize],
    /// Frames of `nal_ref_idc` 0, or of sub-layer non-reference types.
    discardable: &'static [usize],
    codec_string: &'static str,
    /// The record in ffmpeg's MP4.
    record: &'static str,
}

const NAL_STREAMS: [Stream; 9] = [
    Stream {
        file: "h264-baseline-1920x1080.h264",
        codec: Codec::H264,
        size: (1_920, 1_080),
        reorder: 0,
        frames: 4,
        keyframes: &[0],
        discardable: &[],
        codec_string: "avc1.42c028",
        record: "0142c028ffe100196742c028da01e0089f970110000003001000000303c0f1832a01000568ce019720",
    },
    Stream {
        file: "h264-high-854x480-b.h264",
        codec: Codec::H264,
        size: (854, 480),
        reorder: 2,
        frames: 8,
        keyframes: &[0, 4],
        discardable: &[3, 7],
        codec_string: "avc1.64001f",
        record: "0164001fffe1001a6764001facd940d83de6f0110000030001000003003c0f18319601000568ef81372cfdf8f800",
    },
    Stream {
        file: "h264-high10-320x180.h264",
        codec: Codec::H264,
        size: (320, 180),
        reorder: 0,
        frames: 6,
        keyframes: &[0, 3],
        discardable: &[],
        codec_string: "avc1.6e000c",
        record: "016e000cffe10019676e000ca6cb40a0cfcf80880000030008000003019078a15501000568ef01372cfdfafa00",
    },
    Stream {
        file: "h264-high444-322x182.h264",
        codec: Codec::H264,
        size: (322, 182),
        reorder: 1,
        frames: 6,
        keyframes: &[0, 3],
        discardable: &[2, 5],
        codec_string: "avc1.f4000d",
        record: "01f4000dffe1001967f4000d919d82a33c7c5e0220000003002000000641e2852701000768ef8134648640fff8f800",
    },
    // Four slices in each picture, delimiters, macroblock-adaptive fields.
    Stream {
        file: "h264-interlaced-slices-320x240.h264",
        codec: Codec::H264,
        size: (320, 240),
        reorder: 1,
        frames: 6,
        keyframes: &[0],
        discardable: &[2, 4],
        codec_string: "avc1.640015",
        record: "01640015ffe1001867640015acec1410fcb8088000000300800000190f8a149c01000568fe81372cfdf8f800",
    },
    Stream {
        file: "h265-main-854x480-b.h265",
        codec: Codec::H265,
        size: (854, 480),
        reorder: 2,
        frames: 8,
        keyframes: &[0, 4],
        discardable: &[3, 7],
        codec_string: "hvc1.1.6.L90.90",
        record: "0101600000009000000000005af000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003005a959009a10001002a42010101600000030090000003000003005aa006b201e1d796564924caf0168080000003008000000f04a2000100074401c172b46240",
    },
    Stream {
        file: "h265-main10-1920x1080.h265",
        codec: Codec::H265,
        size: (1_920, 1_080),
        reorder: 0,
        frames: 3,
        keyframes: &[0],
        discardable: &[],
        codec_string: "hvc1.2.4.L120.90",
        record: "01022000000090000000000078f000fcfdfafa00000f03a00001001840010c01ffff022000000300900000030000030078ba0240a10001002c420101022000000300900000030000030078a003c0801107cad96e92930bc05a020000030002000003003c10a2000100064401c073c189",
    },
    // Two slices in each picture.
    Stream {
        file: "h265-444-322x182.h265",
        codec: Codec::H265,
        size: (322, 182),
        reorder: 0,
        frames: 4,
        keyframes: &[0],
        discardable: &[],
        codec_string: "hvc1.4.10.L60.9E.8",
        record: "0104080000009e08000000003cf000fcfff8f800000f03a00001001740010c01ffff0408000003009e0800000300003cba0240a10001002b4201010408000003009e0800000300003c90015101838f8bcb7494985e02d0100000030010000003019080a2000100084401c07318301090",
    },
    // The second keyframe is a CRA with leading pictures.
    Stream {
        file: "h265-open-gop-320x180.h265",
        codec: Codec::H265,
        size: (320, 180),
        reorder: 2,
        frames: 12,
        keyframes: &[0, 4],
        discardable: &[3, 6, 9, 11],
        codec_string: "hvc1.1.6.L60.90",
        record: "0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959009a10001002b42010101600000030090000003000003003ca00a080b9f796564924caf016808000003000800000300c840a2000100074401c172b46240",
    },
];

fn units(stream: &Stream, chunk: usize) -> Vec<NalAccessUnit> {
    let mut splitter = AccessUnitSplitter::new(stream.codec, 1 << 20).unwrap();
    let file = streams::read(stream.file);
    let mut units = Vec::new();
    for bytes in file.chunks(chunk) {
        units.extend(splitter.push(bytes));
    }
    units.extend(splitter.finish());
    assert_eq!(splitter.dropped(), 0, "{}", stream.file);
    units
}

fn config(stream: &Stream) -> CodecConfig {
    let first = units(stream, usize::MAX).remove(0);
    CodecConfig::from_parameter_sets(stream.codec, &first.parameter_sets).unwrap()
}

fn video(config: &CodecConfig) -> VideoParameters {
    config.parameters.video().unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The numbers of the access units for which `fact` holds.
fn which(
    frames: &[Bytes],
    codec: Codec,
    fact: fn(&sluice_media::AccessUnit) -> bool,
) -> Vec<usize> {
    let holds = |data: &Bytes| fact(&inspect_access_unit(codec, data));
    let found = frames.iter().enumerate().filter(|(_, data)| holds(data));
    found.map(|(index, _)| index).collect()
}

#[test]
fn byte_streams_become_the_frames_ffprobe_counts_however_they_are_cut() {
    for stream in &NAL_STREAMS {
        let whole = units(stream, usize::MAX);
        assert_eq!(whole.len(), stream.frames, "{}", stream.file);
        for chunk in [1, 2, 3, 7, 188, 1_316] {
            assert_eq!(units(stream, chunk), whole, "{} by {chunk}", stream.file);
        }
        let frames: Vec<Bytes> = whole.into_iter().map(|unit| unit.data).collect();
        let keyframes = which(&frames, stream.codec, |unit| unit.keyframe);
        assert_eq!(keyframes, stream.keyframes, "{}", stream.file);
        let discardable = which(&frames, stream.codec, |unit| unit.discardable);
        assert_eq!(discardable, stream.discardable, "{}", stream.file);
        let intact = which(&frames, stream.codec, |unit| unit.intact);
        assert_eq!(intact.len(), stream.frames, "{}", stream.file);
    }
}

#[test]
fn records_of_parameter_sets_are_those_of_ffmpeg() {
    for stream in &NAL_STREAMS {
        let config = config(stream);
        assert_eq!(
            hexadecimal(&config.record),
            stream.record,
            "{}",
            stream.file
        );
        assert_eq!(config.codec_string().unwrap(), stream.codec_string);
        let video = video(&config);
        assert_eq!((video.width, video.height), stream.size, "{}", stream.file);
        assert_eq!(video.reorder_frames, stream.reorder, "{}", stream.file);
        let parsed = CodecConfig::parse(stream.codec, config.record.clone());
        assert_eq!(parsed, Ok(config), "{}", stream.file);
    }
}

#[test]
fn open_gops_of_h264_begin_with_recovery_points() {
    let stream = streams::read("h264-open-gop-176x144.h264");
    let mut splitter = AccessUnitSplitter::new(Codec::H264, 1 << 20).unwrap();
    let mut units = splitter.push(&stream);
    units.extend(splitter.finish());
    let frames: Vec<Bytes> = units.into_iter().map(|unit| unit.data).collect();
    assert_eq!(which(&frames, Codec::H264, |unit| unit.keyframe), [0]);
    let recovery = which(&frames, Codec::H264, |unit| unit.recovery_point == Some(0));
    assert_eq!(recovery, [4, 8]);
    let first = from_annex_b(Codec::H264, &stream).unwrap();
    let config = CodecConfig::from_parameter_sets(Codec::H264, &first.parameter_sets).unwrap();
    for (index, data) in frames.iter().enumerate() {
        let bytes = to_annex_b(&config, data).unwrap();
        let sets = from_annex_b(Codec::H264, &bytes).unwrap().parameter_sets;
        assert_eq!(!sets.is_empty(), [0, 4, 8].contains(&index), "{index}");
    }
}

#[test]
fn formats_are_those_of_the_pixel_formats() {
    use ChromaFormat::{Yuv420, Yuv444};
    let expected = [
        (66, 40, 8, Yuv420),
        (100, 31, 8, Yuv420),
        (110, 12, 10, Yuv420),
        (244, 13, 8, Yuv444),
        (100, 21, 8, Yuv420),
        (1, 90, 8, Yuv420),
        (2, 120, 10, Yuv420),
        (4, 60, 8, Yuv444),
        (1, 60, 8, Yuv420),
    ];
    for (stream, expected) in NAL_STREAMS.iter().zip(expected) {
        assert_eq!(format(&config(stream)), expected, "{}", stream.file);
    }
    for (codec, data, expected) in [
        (
            Codec::Vp8,
            streams::ivf("vp8-322x182.ivf").remove(0),
            (0, 20, 8, Yuv420),
        ),
        (
            Codec::Vp9,
            streams::ivf("vp9-322x182.ivf").remove(0),
            (0, 20, 8, Yuv420),
        ),
        (
            Codec::Vp9,
            streams::ivf("vp9-444-10-320x180.ivf").remove(0),
            (3, 20, 10, Yuv444),
        ),
        (
            Codec::Av1,
            streams::temporal_units("av1-svt-854x480.obu").remove(0),
            (0, 4, 8, Yuv420),
        ),
        (
            Codec::Av1,
            streams::temporal_units("av1-444-10-320x180.obu").remove(0),
            (1, 0, 10, Yuv444),
        ),
    ] {
        let config = inspect_access_unit(codec, &data).config.unwrap();
        assert_eq!(format(&config), expected, "{codec:?}");
    }
}

fn format(config: &CodecConfig) -> (u8, u8, u8, ChromaFormat) {
    let format = config.video_format().unwrap();
    (
        format.profile,
        format.level,
        format.bit_depth,
        format.chroma,
    )
}

#[test]
fn a_frame_goes_into_the_byte_stream_and_back() {
    for stream in &NAL_STREAMS {
        let config = config(stream);
        for (index, unit) in units(stream, usize::MAX).iter().enumerate() {
            let bytes = to_annex_b(&config, &unit.data).unwrap();
            let back = from_annex_b(stream.codec, &bytes).unwrap();
            assert_eq!(back.data, unit.data, "{} {index}", stream.file);
            let sets: Vec<&[u8]> = config.parameter_sets().collect();
            let expected = if stream.keyframes.contains(&index) {
                sets
            } else {
                Vec::new()
            };
            assert_eq!(back.parameter_sets, expected, "{} {index}", stream.file);
        }
    }
}

#[test]
fn repeated_parameter_sets_give_one_configuration() {
    for stream in &NAL_STREAMS {
        let mut sets = ParameterSets::new(stream.codec);
        let all = units(stream, usize::MAX);
        let updates = all.iter().map(|unit| sets.update(&unit.parameter_sets));
        assert_eq!(updates.flatten().count(), 1, "{}", stream.file);
    }
}

#[test]
fn an_access_unit_above_the_cap_is_dropped_and_the_next_ones_come() {
    let stream = &NAL_STREAMS[1];
    let whole = units(stream, usize::MAX);
    let sizes: Vec<usize> = whole.iter().map(|unit| unit.data.len()).collect();
    // The two keyframes are larger, all others smaller.
    for chunk in [1, 100, usize::MAX] {
        let mut splitter = AccessUnitSplitter::new(stream.codec, 2_000).unwrap();
        let mut left = Vec::new();
        for bytes in streams::read(stream.file).chunks(chunk) {
            left.extend(splitter.push(bytes));
        }
        left.extend(splitter.finish());
        let expected: Vec<&NalAccessUnit> = whole
            .iter()
            .filter(|unit| unit.data.len() < 2_000)
            .collect();
        assert_eq!(left.iter().collect::<Vec<_>>(), expected, "{sizes:?}");
        assert_eq!(splitter.dropped(), 2);
    }
}

#[test]
fn vp8_and_vp9_key_frames_tell_what_ffprobe_tells() {
    for (file, codec, frames, keyframes, size, codec_string) in [
        (
            "vp8-322x182.ivf",
            Codec::Vp8,
            4,
            &[0, 3][..],
            (322, 182),
            "vp08.00.20.08",
        ),
        (
            "vp9-322x182.ivf",
            Codec::Vp9,
            10,
            &[0, 8],
            (322, 182),
            "vp09.00.20.08",
        ),
        (
            "vp9-444-10-320x180.ivf",
            Codec::Vp9,
            3,
            &[0, 2],
            (320, 180),
            "vp09.03.20.10.03.02.02.09.01",
        ),
    ] {
        let data: Vec<Bytes> = streams::ivf(file).into_iter().map(Bytes::from).collect();
        assert_eq!(data.len(), frames, "{file}");
        assert_eq!(
            which(&data, codec, |unit| unit.keyframe),
            keyframes,
            "{file}"
        );
        let configured = which(&data, codec, |unit| unit.config.is_some());
        assert_eq!(configured, keyframes, "{file}");
        assert_eq!(
            which(&data, codec, |unit| unit.intact).len(),
            frames,
            "{file}"
        );
        let config = inspect_access_unit(codec, &data[0]).config.unwrap();
        let video = video(&config);
        assert_eq!((video.width, video.height), size, "{file}");
        assert_eq!(config.codec_string().unwrap(), codec_string);
    }
}

#[test]
fn vp9_records_are_those_of_ffmpeg_but_for_the_level() {
    for (file, expected) in [
        ("vp9-322x182.ivf", "01000000000b820202020000"),
        ("vp9-444-10-320x180.ivf", "01000000030ba70202090000"),
    ] {
        let data = streams::ivf(file).remove(0);
        let config = inspect_access_unit(Codec::Vp9, &data).config.unwrap();
        let mut record = config.record.to_vec();
        // ffmpeg takes 1.1 for 25 pictures in a second, we allow for 60.
        assert_eq!(record[5], 20);
        record[5] = 11;
        assert_eq!(hexadecimal(&record), expected, "{file}");
        let parsed = CodecConfig::parse(Codec::Vp9, config.record.clone()).unwrap();
        assert_eq!(parsed.codec_string(), config.codec_string());
    }
}

#[test]
fn av1_temporal_units_tell_what_ffmpeg_tells() {
    for (file, frames, keyframes, size, codec_string, record) in [
        (
            "av1-322x182.obu",
            6,
            &[0, 3][..],
            (322, 182),
            "av01.0.00M.08",
            "81000c000a0b000000043d06d4daf90040",
        ),
        (
            "av1-444-10-320x180.obu",
            3,
            &[0, 2],
            (320, 180),
            "av01.1.00M.10.0.000.09.16.09.1",
            "812040000a0d200000043cfeccdaf961220132",
        ),
        (
            "av1-svt-854x480.obu",
            10,
            &[0, 5],
            (854, 480),
            "av01.0.04M.08",
            "81040c000a0b00000024c6abdf3efe4010",
        ),
    ] {
        let low_overhead = streams::temporal_units(file);
        let data: Vec<Bytes> = low_overhead
            .iter()
            .map(|unit| av1_from_low_overhead(unit).unwrap())
            .collect();
        assert_eq!(data.len(), frames, "{file}");
        for (ours, theirs) in data.iter().zip(&low_overhead) {
            assert_eq!(av1_to_low_overhead(ours), theirs, "{file}");
        }
        let codec = Codec::Av1;
        assert_eq!(
            which(&data, codec, |unit| unit.keyframe),
            keyframes,
            "{file}"
        );
        let configured = which(&data, codec, |unit| unit.config.is_some());
        assert_eq!(configured, keyframes, "{file}");
        assert_eq!(
            which(&data, codec, |unit| unit.intact).len(),
            frames,
            "{file}"
        );
        let config = inspect_access_unit(codec, &data[0]).config.unwrap();
        assert_eq!(hexadecimal(&config.record), record, "{file}");
        assert_eq!(config.codec_string().unwrap(), codec_string);
        let video = video(&config);
        assert_eq!((video.width, video.height), size, "{file}");
        let headers: Vec<&[u8]> = config.parameter_sets().collect();
        assert!(data[0].starts_with(headers[0]), "{file}");
        let rebuilt = CodecConfig::from_parameter_sets(codec, &headers);
        assert_eq!(rebuilt.as_ref(), Ok(&config), "{file}");
        let parsed = CodecConfig::parse(codec, config.record.clone());
        assert_eq!(parsed, Ok(config), "{file}");
        let delimited = inspect_access_unit(codec, &low_overhead[0]);
        assert!(delimited.keyframe && !delimited.intact, "{file}");
    }
}

#[test]
fn adts_gives_the_units_and_the_configuration_of_ffmpeg() {
    for (file, frames, record, sample_rate, channels) in [
        ("aac-lc-44100-2.adts", 14, "1210", 44_100, 2),
        ("aac-lc-48000-6.adts", 11, "11b0", 48_000, 6),
    ] {
        let stream = streams::read(file);
        let mut splitter = AdtsSplitter::new();
        let mut units = splitter.push(&stream);
        units.extend(splitter.finish());
        assert_eq!((units.len(), splitter.skipped()), (frames, 0), "{file}");
        let audio = AudioParameters {
            sample_rate,
            channels,
        };
        let mut again = Vec::new();
        for unit in &units {
            let config = CodecConfig::try_from(unit.config).unwrap();
            assert_eq!(hexadecimal(&config.record), record, "{file}");
            assert_eq!(config.parameters, Parameters::Audio(audio), "{file}");
            assert_eq!(config, CodecConfig::aac(sample_rate, channels).unwrap());
            assert_eq!(config.codec_string().unwrap(), "mp4a.40.2");
            again.extend(adts_header(&unit.config, unit.data.len()).unwrap());
            again.extend_from_slice(&unit.data);
        }
        assert_eq!(again, stream, "{file}");
    }
}

#[test]
fn opus_heads_become_the_boxes_of_ffmpeg() {
    for (file, channels, record, last) in [
        ("opus-2.ogg", 2, "000201380000bb80000000", 960),
        (
            "opus-6.ogg",
            6,
            "000601380000bb800000010402000401020305",
            960,
        ),
    ] {
        let packets = streams::ogg(file);
        let head = OpusHead::parse(&packets[0]).unwrap();
        assert_eq!(head.to_bytes(), packets[0], "{file}");
        let config = CodecConfig::from(head);
        assert_eq!(hexadecimal(&config.record), record, "{file}");
        assert_eq!(CodecConfig::opus(48_000, channels), Ok(config.clone()));
        let parsed = CodecConfig::parse(Codec::Opus, config.record.clone());
        assert_eq!(parsed, Ok(config), "{file}");
        // Behind the two headers.
        for packet in &packets[2..] {
            assert_eq!(opus_packet_samples(packet), Some(last), "{file}");
        }
        assert_eq!(packets.len(), 8, "{file}");
    }
}
