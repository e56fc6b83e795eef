//! This SDK, its peer and the physical floor, doing the same work side by side.
//!
//! Figures from a shared machine mean little; ratios of runs that alternate mean something. See the README.

pub mod answer;
pub mod channels;
pub mod inprocess;
pub mod interleaved;
pub mod mppx;
pub mod node;
pub mod ours;
pub mod peers;
pub mod row;
pub mod rows;
pub mod tempo;
