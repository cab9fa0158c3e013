//! The fuzz targets on stable: the committed corpus, and a fixed number of mutations of it.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read fails the test"
)]

// The fuzz crate is a workspace of its own and wants libFuzzer; its targets are plain functions.
#[expect(
    unreachable_pub,
    clippy::panic,
    clippy::expect_used,
    reason = "public for the targets of the fuzz crate, and a target panics where a parser broke its word"
)]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;
mod seeded;
#[expect(
    unreachable_pub,
    clippy::panic,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "as above; and an arbitrary origin of time, read once"
)]
#[path = "../../../fuzz/src/streams.rs"]
mod streams;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use seeded::Seeded;
use sluice_media::Codec;
use sluice_rtp::payload::inspect;

const MUTATIONS: u32 = 200_000;

#[test]
fn classify_stun_survives_its_corpus_and_mutations() {
    assert_eq!(crash("classify_stun", fuzz::classify_stun), None);
}

#[test]
fn payload_survives_its_corpus_and_mutations() {
    assert_eq!(crash("payload", fuzz::payload), None);
}

#[test]
fn vp9_patch_survives_its_corpus_and_mutations() {
    assert_eq!(crash("vp9_patch", fuzz::vp9_patch), None);
}

#[test]
fn depacketize_survives_its_corpus_and_mutations() {
    assert_eq!(crash("depacketize", streams::depacketize), None);
}

#[test]
fn reorder_survives_its_corpus_and_mutations() {
    assert_eq!(crash("reorder", streams::reorder), None);
}

#[test]
fn timeline_survives_its_corpus_and_mutations() {
    assert_eq!(crash("timeline", streams::timeline), None);
}

#[test]
fn planted_panic_deep_in_a_parser_is_found() {
    // Behind an aggregate, a parameter set and a dozen Golomb codes.
    let planted = |data: &[u8]| {
        if data.first() == Some(&6) {
            let resolution = inspect(Codec::H264, &data[1..]).resolution;
            assert!(resolution.is_none_or(|(width, _)| width <= 1_000));
        }
    };
    assert!(crash("payload", planted).is_some());
}

/// The first input on which the target panics, in hexadecimal.
fn crash(name: &str, target: impl Fn(&[u8])) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // The order of a directory differs between machines, and the run must not.
    files.sort();
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(!corpus.is_empty());
    let panics = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| target(input))).is_err();
    if let Some(input) = corpus.iter().find(|input| panics(input)) {
        return Some(hexadecimal(input));
    }
    let mut random = Seeded::new(0x5107_ce00);
    (0..MUTATIONS).find_map(|_| {
        let input = mutated(&mut random, &corpus);
        panics(&input).then(|| hexadecimal(&input))
    })
}

fn hexadecimal(input: &[u8]) -> String {
    input
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn mutated(random: &mut Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[index(random, corpus.len())].clone();
    for _ in 0..=random.below(6) {
        // Most of what a parser reads is at the front.
        let reach = if random.below(4) == 0 {
            input.len()
        } else {
            input.len().min(40)
        };
        let at = index(random, reach.max(1)).min(input.len());
        let byte = u8::try_from(random.below(256)).unwrap();
        match random.below(8) {
            0 => input.truncate(at),
            1 => input.insert(at, byte),
            2 if at < input.len() => drop(input.remove(at)),
            3 => {
                let other = &corpus[index(random, corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[index(random, other.len())..]);
            }
            4 if at < input.len() => input[at] = [0, 1, 3, 0x7f, 0x80, 0xff][usize::from(byte) % 6],
            5 if at < input.len() => input[at] = byte,
            _ if at < input.len() => input[at] ^= 1 << (byte % 8),
            _ => {}
        }
    }
    input
}

fn index(random: &mut Seeded, length: usize) -> usize {
    usize::try_from(random.below(u64::try_from(length).unwrap())).unwrap()
}
