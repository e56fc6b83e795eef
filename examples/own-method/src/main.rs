//! A payment method of one's own, both halves, against mpp-core alone.
fn main() {}
