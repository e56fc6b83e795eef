//! The middleware against servers on loopback, honest ones and others.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bar;
#[path = "../../src/double.rs"]
mod double;
mod doubt;
mod journal;
mod paying;
mod quiet;
mod safety;
mod server;
mod sessions;
#[cfg(feature = "ws")]
mod sockets;
mod streams;
#[path = "../../src/tab.rs"]
mod tab;
