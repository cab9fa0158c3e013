#![no_main]

#[path = "../src/media.rs"]
#[expect(dead_code, reason = "one of its four targets")]
mod media;

libfuzzer_sys::fuzz_target!(|data: &[u8]| media::codec_config(data));
