#![no_main]

#[path = "../src/mux.rs"]
#[expect(dead_code, reason = "one of its two targets")]
mod mux;

libfuzzer_sys::fuzz_target!(|data: &[u8]| mux::mp4_boxes(data));
