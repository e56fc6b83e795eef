//! What the test kit promises to those who test with it.

mod channels;
mod complete;
mod devnet;
mod services;
mod stripe;
mod suites;
mod tempo;
