#![no_main]

#[path = "../src/wish.rs"]
#[expect(dead_code, reason = "one of its two targets")]
mod wish;

libfuzzer_sys::fuzz_target!(|data: &[u8]| wish::http_semantics(data));
