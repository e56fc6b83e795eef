//! `cargo +nightly fuzz run --features libfuzzer refusal`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::refusal(data);
});
