//! What is kept of a channel is never older than it was.
