//! What must hold for every codec header and coded byte a stranger can send; a target panics where it does not.

use bytes::Bytes;
use sluice_media::{
    AccessUnitSplitter, AdtsHeader, AdtsSplitter, AdtsUnit, AudioSpecificConfig, Codec,
    CodecConfig, MediaKind, NalAccessUnit, NalUnits, OpusHead, ParameterSets, adts_header,
    av1_from_low_overhead, av1_to_low_overhead, from_annex_b, inspect_access_unit, nal_length_size,
    opus_packet_samples, to_annex_b, with_four_byte_lengths,
};

/// A byte that picks the codec, then its record: what is taken reads back the same, and its sets make it again.
pub fn codec_config(data: &[u8]) {
    let Some((codec, record)) = pick(data) else {
        return;
    };
    if let Ok(head) = OpusHead::parse(record) {
        assert_eq!(OpusHead::parse_dops(&head.to_dops()), Ok(head));
    }
    if let Ok(config) = AudioSpecificConfig::parse(record)
        && let Ok(bytes) = config.to_bytes()
    {
        assert_eq!(AudioSpecificConfig::parse(&bytes), Ok(config));
    }
    let Ok(config) = CodecConfig::parse(codec, Bytes::copy_from_slice(record)) else {
        return;
    };
    check_config(&config);
    if matches!(codec, Codec::H264 | Codec::H265) {
        assert_eq!(nal_length_size(codec, &config.record), Some(4));
        let sets: Vec<&[u8]> = config.parameter_sets().collect();
        // A record may hold more sets of a kind than the other form counts, but not fewer.
        if let Ok(again) = CodecConfig::from_parameter_sets(codec, &sets) {
            check_config(&again);
        }
        let mut known = ParameterSets::new(codec);
        if let Some(update) = known.update(&sets) {
            check_config(&update);
            // Above its cap it forgets, and is told again.
            assert!(sets.len() > 64 || known.update(&sets).is_none());
        }
    }
}

/// A byte that picks the codec, then an access unit: the facts agree, and other forms of it come back.
pub fn access_unit(data: &[u8]) {
    let Some((codec, data)) = pick(data) else {
        return;
    };
    let unit = inspect_access_unit(codec, data);
    assert!(!(unit.keyframe && unit.discardable));
    assert!(!unit.keyframe || !data.is_empty());
    if codec.kind() == MediaKind::Audio {
        assert_eq!(unit.keyframe, !data.is_empty());
    }
    if let Some(config) = unit.config.filter(|config| config.codec != Codec::Mp3) {
        check_config(&config);
        if let Some(bytes) = to_annex_b(&config, data) {
            let back = from_annex_b(codec, &bytes);
            assert!(back.is_none_or(
                |back| inspect_access_unit(codec, &back.data).intact || back.data.is_empty()
            ));
        }
    }
    for size in [1, 2] {
        if let Some(four) = with_four_byte_lengths(&Bytes::copy_from_slice(data), size) {
            assert!(NalUnits::new(&four).all(|unit| unit.len() <= data.len()));
        }
    }
    if let Some(ours) = av1_from_low_overhead(data) {
        assert_eq!(av1_from_low_overhead(&ours).as_ref(), Some(&ours));
        assert_eq!(
            av1_from_low_overhead(&av1_to_low_overhead(&ours)),
            Some(ours)
        );
    }
    assert!(opus_packet_samples(data).is_none_or(|samples| samples <= 5_760));
}

/// A byte that picks H.264 or H.265 and how the stream is cut, then a byte stream: cuts change nothing, what comes out
/// has the form of frames, and nothing is above its cap.
pub fn annex_b(data: &[u8]) {
    let Some((&selector, stream)) = data.split_first() else {
        return;
    };
    let codec = [Codec::H264, Codec::H265][usize::from(selector & 1)];
    let chunk = usize::from(selector >> 1).max(1);
    let (whole, dropped) = split(codec, stream, usize::MAX, 1 << 20);
    assert_eq!(dropped, 0);
    assert_eq!(split(codec, stream, chunk, 1 << 20).0, whole);
    for unit in &whole {
        check_form(codec, unit);
    }
    for unit in split(codec, stream, chunk, CAP).0 {
        check_form(codec, &unit);
        assert!(unit.data.len() <= CAP + 4);
    }
    if let Some(unit) = from_annex_b(codec, stream) {
        assert!(unit.data.is_empty() || inspect_access_unit(codec, &unit.data).intact);
    }
}

/// A byte that says how the stream is cut, then ADTS: cuts change nothing, and what comes out can be put back.
pub fn adts(data: &[u8]) {
    let Some((&chunk, stream)) = data.split_first() else {
        return;
    };
    let whole = split_adts(stream, usize::MAX);
    assert_eq!(split_adts(stream, usize::from(chunk).max(1)), whole);
    let (units, skipped) = whole;
    let mut bytes = usize::try_from(skipped).expect("fits");
    for unit in units {
        assert!(!unit.data.is_empty());
        let header = adts_header(&unit.config, unit.data.len()).expect("it came from ADTS");
        let parsed = AdtsHeader::parse(&header).expect("we made it");
        assert_eq!(parsed.config, unit.config);
        bytes += unit.data.len() + 7;
        check_config(&CodecConfig::try_from(unit.config).expect("it came from ADTS"));
    }
    assert!(bytes <= stream.len());
}

/// Below most access units of the corpus.
const CAP: usize = 200;

fn pick(data: &[u8]) -> Option<(Codec, &[u8])> {
    let (&selector, rest) = data.split_first()?;
    Some((
        Codec::KNOWN[usize::from(selector) % Codec::KNOWN.len()],
        rest,
    ))
}

fn check_config(config: &CodecConfig) {
    assert!(config.record.len() <= 64 * 1024);
    let parsed = CodecConfig::parse(config.codec, config.record.clone()).expect("it was taken");
    assert_eq!(parsed.record, config.record);
    // Records of VP8 and VP9 do not tell the size.
    if !matches!(config.codec, Codec::Vp8 | Codec::Vp9) {
        assert_eq!(&parsed, config);
    }
    assert_eq!(parsed.codec_string(), config.codec_string());
    assert!(config.codec_string().is_none_or(|text| text.len() < 64));
}

fn check_form(codec: Codec, unit: &NalAccessUnit) {
    let facts = inspect_access_unit(codec, &unit.data);
    assert!(facts.intact && facts.config.is_none());
    assert!(unit.parameter_sets.len() <= 64);
    if let Ok(config) = CodecConfig::from_parameter_sets(codec, &unit.parameter_sets) {
        check_config(&config);
        let bytes = to_annex_b(&config, &unit.data).expect("it is intact");
        let back = from_annex_b(codec, &bytes).expect("there are units");
        assert_eq!(back.data, unit.data);
    }
}

fn split(codec: Codec, stream: &[u8], chunk: usize, cap: usize) -> (Vec<NalAccessUnit>, u64) {
    let mut splitter = AccessUnitSplitter::new(codec, cap).expect("one of the two");
    let mut units = Vec::new();
    for bytes in stream.chunks(chunk) {
        units.extend(splitter.push(bytes));
    }
    units.extend(splitter.finish());
    (units, splitter.dropped())
}

fn split_adts(stream: &[u8], chunk: usize) -> (Vec<AdtsUnit>, u64) {
    let mut splitter = AdtsSplitter::new();
    let mut units = Vec::new();
    for bytes in stream.chunks(chunk) {
        units.extend(splitter.push(bytes));
    }
    units.extend(splitter.finish());
    (units, splitter.skipped())
}
