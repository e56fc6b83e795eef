//! `cargo +nightly fuzz run --features libfuzzer credential`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzz::credential(data);
});
