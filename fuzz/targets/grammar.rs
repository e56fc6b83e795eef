//! `cargo +nightly fuzz run --features libfuzzer grammar`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::grammar(data);
});
