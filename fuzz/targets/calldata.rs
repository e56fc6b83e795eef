//! `cargo +nightly fuzz run --features libfuzzer calldata`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::calldata(data);
});
