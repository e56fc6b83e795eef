//! Suites that a custom method, store or transport must pass, and a real local Tempo chain.

pub mod devnet;
