#![no_main]

#[path = "../src/room.rs"]
#[expect(dead_code, reason = "one of its targets")]
mod room;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(room::sdp_answer(data)));
