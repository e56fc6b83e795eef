//! The server half, through a real gate.

mod bad_input;
mod doubt;
mod options;
mod outcomes;
mod recovery;
mod refunds;
mod replay;
mod scripted;
mod stage;
mod suite;
mod vectors;
