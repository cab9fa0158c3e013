//! The fuzz targets on stable: a committed corpus, and a fixed number of mutations of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The first input on which the target panics, in hexadecimal: of the files of a corpus, then of `mutations` of them.
pub fn crash(folder: &Path, mutations: u32, target: impl Fn(&[u8])) -> Option<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| entry.expect("a corpus").path())
        .collect();
    // The order of a directory differs between machines, and the run must not.
    files.sort();
    let corpus: Vec<Vec<u8>> = files
        .iter()
        .map(|path| std::fs::read(path).expect("a corpus"))
        .collect();
    assert!(!corpus.is_empty());
    let panics = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| target(input))).is_err();
    if let Some(input) = corpus.iter().find(|input| panics(input)) {
        return Some(hexadecimal(input));
    }
    let mut random = Seeded(0x5107_ce00);
    (0..mutations).find_map(|_| {
        let input = mutated(&mut random, &corpus);
        panics(&input).then(|| hexadecimal(&input))
    })
}

/// xorshift64*: a seed decides a run.
struct Seeded(u64);

impl Seeded {
    /// A number from 0 to `bound` - 1.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        usize::try_from(number).expect("32 bits") % bound
    }
}

fn hexadecimal(input: &[u8]) -> String {
    let digits: Vec<String> = input.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn mutated(random: &mut Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(6) {
        // Most of what a parser reads is at the front.
        let reach = if random.below(4) == 0 {
            input.len()
        } else {
            input.len().min(40)
        };
        let at = random.below(reach.max(1)).min(input.len());
        let byte = u8::try_from(random.below(256)).expect("below 256");
        match random.below(8) {
            0 => input.truncate(at),
            1 => input.insert(at, byte),
            2 if at < input.len() => drop(input.remove(at)),
            3 => {
                let other = &corpus[random.below(corpus.len())];
                input.truncate(at);
                input.extend_from_slice(&other[random.below(other.len())..]);
            }
            4 if at < input.len() => input[at] = [0, 1, 3, 0x7f, 0x80, 0xff][usize::from(byte) % 6],
            5 if at < input.len() => input[at] = byte,
            _ if at < input.len() => input[at] ^= 1 << (byte % 8),
            _ => {}
        }
    }
    input
}
