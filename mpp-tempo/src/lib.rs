//! Method tempo of the Machine Payments Protocol: stablecoin payments on the Tempo chain.

pub mod chain;
