//! The fuzz targets on stable: the committed corpus, and a fixed number of mutations of it.

// The fuzz crate is a workspace of its own and wants libFuzzer; its targets are plain functions.
#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "public for every crate with a corpus; one that cannot be read fails the test"
)]
#[path = "../../../../fuzz/src/replay.rs"]
mod replay;
#[expect(
    unreachable_pub,
    clippy::expect_used,
    reason = "public for the targets of the fuzz crate, and a target panics where a parser broke its word"
)]
#[path = "../../../../fuzz/src/mux.rs"]
mod targets;

use std::path::{Path, PathBuf};

use sluice_mux::journal::Journal;

#[test]
fn mp4_boxes_survives_its_corpus_and_mutations() {
    let crash = replay::crash(&corpus("mp4_boxes"), 300_000, targets::mp4_boxes);
    assert_eq!(crash, None);
}

#[test]
fn hls_query_survives_its_corpus_and_mutations() {
    let crash = replay::crash(&corpus("hls_query"), 100_000, targets::hls_query);
    assert_eq!(crash, None);
}

#[test]
fn planted_panic_behind_a_whole_part_is_found() {
    let planted = |data: &[u8]| {
        if let Ok(journal) = Journal::recover(data) {
            // The duration of a sample, deep in a part: times that jump the journal refuses by itself.
            assert!(journal.parts().is_empty() || journal.duration().as_secs() < 1_000);
        }
    };
    assert!(replay::crash(&corpus("mp4_boxes"), 40_000, planted).is_some());
}

fn corpus(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    folder.join(name)
}
