#![no_main]

#[path = "../src/streams.rs"]
#[expect(dead_code, reason = "one of its three targets")]
mod streams;

libfuzzer_sys::fuzz_target!(|data: &[u8]| streams::depacketize(data));
