//! Conformance, demo, tidy and the one command that gates.
fn main() {}
