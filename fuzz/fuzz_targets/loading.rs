#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| infinity::fuzzing::loading(bytes));
