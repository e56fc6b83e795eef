//! Both halves against a real Tempo chain.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod payer;
mod pull;
mod session;
mod signers;
mod teller;
