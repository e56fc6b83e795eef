//! The gate and its adapters against callers who pay, cheat, hang up and come back.

mod adapters;
mod booth;
mod gate;
mod hostile;
