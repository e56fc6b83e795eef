//! This SDK, its peer and the physical floor, doing the same work side by side.
//!
//! Figures from a shared machine mean little; ratios of runs that alternate mean something. See the README.

pub mod answer;
pub mod inprocess;
pub mod interleaved;
pub mod mppx;
pub mod ours;
pub mod peers;
pub mod row;
pub mod rows;
pub mod tempo;
