//! The fuzz targets on stable: the committed corpus, and a fixed number of mutations of it.

// The fuzz crate is a workspace of its own and wants libFuzzer; its targets are plain functions.
#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "public for the targets of the fuzz crate, and a target panics where a parser broke its word"
)]
#[path = "../../../fuzz/src/media.rs"]
mod media;
#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "public for every crate with a corpus; one that cannot be read fails the test"
)]
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sluice_media::{Codec, CodecConfig};

#[test]
fn codec_config_survives_its_corpus_and_mutations() {
    let crash = replay::crash(&corpus("codec_config"), 100_000, media::codec_config);
    assert_eq!(crash, None);
}

#[test]
fn access_unit_survives_its_corpus_and_mutations() {
    let crash = replay::crash(&corpus("access_unit"), 100_000, media::access_unit);
    assert_eq!(crash, None);
}

#[test]
fn annex_b_survives_its_corpus_and_mutations() {
    assert_eq!(
        replay::crash(&corpus("annex_b"), 10_000, media::annex_b),
        None
    );
}

#[test]
fn adts_survives_its_corpus_and_mutations() {
    assert_eq!(replay::crash(&corpus("adts"), 20_000, media::adts), None);
}

#[test]
fn planted_panic_behind_a_parameter_set_is_found() {
    let planted = |data: &[u8]| {
        if data.first() == Some(&6) {
            let record = Bytes::copy_from_slice(&data[1..]);
            let width = CodecConfig::parse(Codec::H264, record)
                .ok()
                .and_then(|config| config.parameters.video())
                .map_or(0, |video| video.width);
            assert!(width <= 2_000);
        }
    };
    assert!(replay::crash(&corpus("codec_config"), 100_000, planted).is_some());
}

fn corpus(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    folder.join(name)
}
