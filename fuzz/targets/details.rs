//! `cargo +nightly fuzz run --features libfuzzer details`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::details(data);
});
