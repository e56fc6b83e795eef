//! What a channel counts.
