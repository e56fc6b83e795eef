//! `cargo +nightly fuzz run --features libfuzzer transaction`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::transaction(data);
});
