//! `cargo +nightly fuzz run --features libfuzzer receipt`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::receipt(data);
});
