//! What the test kit promises to those who test with it.

mod channels;
mod complete;
mod compose;
mod devnet;
mod services;
mod stripe;
mod suites;
mod tempo;
