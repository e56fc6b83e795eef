//! The programs of the README, compiled.
//!
#![doc = include_str!("../../../README.md")]
