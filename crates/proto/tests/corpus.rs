//! The fuzz targets on stable: the committed corpus, and a fixed number of mutations of it.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read fails the test"
)]

// The fuzz crate is a workspace of its own and wants libFuzzer; its targets are plain functions.
#[expect(
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "public for the targets of the fuzz crate, and a target panics where a machine broke its word"
)]
#[path = "../../../fuzz/src/wish.rs"]
mod fuzz;
mod seeded;
#[expect(
    unreachable_pub,
    clippy::panic,
    clippy::expect_used,
    reason = "as above"
)]
#[path = "../../../fuzz/src/token.rs"]
mod token;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use seeded::Seeded;
use sluice_proto::wish::SdpFragment;

const MUTATIONS: u32 = 100_000;

#[test]
fn sdp_fragment_survives_its_corpus_and_mutations() {
    assert_eq!(crash("sdp_fragment", MUTATIONS, fuzz::sdp_fragment), None);
}

#[test]
fn http_semantics_survive_their_corpus_and_mutations() {
    assert_eq!(
        crash("http_semantics", MUTATIONS / 2, fuzz::http_semantics),
        None
    );
}

#[test]
fn token_survives_its_corpus_and_mutations() {
    assert_eq!(crash("token", MUTATIONS, token::token), None);
}

#[test]
fn planted_panic_behind_a_candidate_is_found() {
    let planted = |data: &[u8]| {
        if let Ok(fragment) = SdpFragment::parse(data, 4096) {
            assert!(fragment.candidates().all(|candidate| candidate.port() != 9));
        }
    };
    assert!(crash("sdp_fragment", 0, planted).is_some());
    let deeper = |data: &[u8]| {
        if let Ok(fragment) = SdpFragment::parse(data, 4096) {
            assert!(fragment.candidates().count() < 4);
        }
    };
    assert!(crash("sdp_fragment", MUTATIONS, deeper).is_some());
}

/// The first input on which the target panics, as text where it is text.
fn crash(name: &str, mutations: u32, target: impl Fn(&[u8])) -> Option<String> {
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
        return Some(input.escape_ascii().to_string());
    }
    let mut random = Seeded::new(0x5107_ce01);
    (0..mutations).find_map(|_| {
        let input = mutated(&mut random, &corpus);
        panics(&input).then(|| input.escape_ascii().to_string())
    })
}

fn mutated(random: &mut Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[index(random, corpus.len())].clone();
    for _ in 0..=random.below(6) {
        let at = index(random, input.len().max(1)).min(input.len());
        let byte = u8::try_from(random.below(256)).unwrap();
        match random.below(10) {
            0 => input.truncate(at),
            1 => input.insert(at, byte),
            2 if at < input.len() => drop(input.remove(at)),
            3 => {
                let other = &corpus[index(random, corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[index(random, other.len())..]);
            }
            // What is between two separators is one request, or one line.
            4..=6 => shuffle_records(random, &mut input, corpus),
            7 if at < input.len() => input[at] = byte,
            8 => retouch(random, &mut input),
            _ if at < input.len() => input[at] ^= 1 << (byte % 8),
            _ => {}
        }
    }
    input
}

/// Puts a record of any input into this one.
fn shuffle_records(random: &mut Seeded, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let separator = if input.contains(&0x1e) { 0x1e } else { b'\n' };
    let other = &corpus[index(random, corpus.len())];
    let foreign: Vec<&[u8]> = other.split(|byte| *byte == separator).collect();
    let mut records: Vec<&[u8]> = input.split(|byte| *byte == separator).collect();
    let at = index(random, records.len());
    records.insert(at, foreign[index(random, foreign.len())]);
    *input = records.join(&separator);
}

/// Changes one of the four bytes in front of a request.
fn retouch(random: &mut Seeded, input: &mut [u8]) {
    let starts: Vec<usize> = (0..input.len())
        .filter(|at| *at == 0 || input[at - 1] == 0x1e)
        .collect();
    if starts.is_empty() {
        return;
    }
    let at = starts[index(random, starts.len())] + index(random, 4);
    if let Some(byte) = input.get_mut(at) {
        *byte = u8::try_from(random.below(256)).unwrap();
    }
}

fn index(random: &mut Seeded, length: usize) -> usize {
    usize::try_from(random.below(u64::try_from(length).unwrap())).unwrap()
}
