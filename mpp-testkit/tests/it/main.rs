//! What the test kit promises to those who test with it.

mod devnet;
mod services;
mod suites;
